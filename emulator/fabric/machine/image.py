"""Makes an image of a pushed build context, without an engine: its files, and a venv from its requirements.

A venv is made once for each content of a requirements file and shared by all images and clones through the
cache. It is relocatable, so that containers see it at /opt/venv while it lies elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from emulator.fabric.errands import Errands
from emulator.fabric.errors import FabricError
from emulator.fabric.machine import dockerfile
from emulator.fabric.machine.dockerfile import ImageConfig

_MADE = ".complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that containers can run. `files` are (path on the machine, path in the container)."""

    reference: str
    config: ImageConfig
    files: tuple[tuple[Path, str], ...]
    venv: Path | None


class Images:
    """The images of one fabric: made when first asked for, then kept."""

    def __init__(self, snapshots: Path, cache: Path, errands: Errands, log: Path) -> None:
        self._snapshots = snapshots
        self._venvs = cache / "venvs"
        self._errands = errands
        self._log = log
        self._made: dict[str, Image] = {}

    async def get(self, reference: str) -> Image:
        """Return the image ``<registry>/<repository>@sha256:<hex>``; raise FabricError as Docker would.

        Whether the registry has it and the machine may pull it has been checked by the caller.
        """
        if reference not in self._made:
            self._made[reference] = await self._make(reference)
        return self._made[reference]

    async def _make(self, reference: str) -> Image:
        digest = reference.rpartition("@")[2]
        folder = self._snapshots / digest.replace(":", "-")
        if not (folder / "image.json").exists():
            raise FabricError(f"manifest for {reference} not found: manifest unknown")
        known = json.loads((folder / "image.json").read_text())
        config = dockerfile.read(folder / "Dockerfile", folder / "context", known.get("args"))
        return Image(
            reference=reference,
            config=config,
            files=tuple((folder / "context" / copy.source, copy.target) for copy in config.copies),
            venv=await self._venv(folder / "context" / config.requirements) if config.requirements else None,
        )

    async def _venv(self, requirements: Path) -> Path:
        python = f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]} {sys.base_prefix}"
        mark = hashlib.sha256(requirements.read_bytes() + python.encode()).hexdigest()[:20]
        venv = self._venvs / mark
        if not (venv / _MADE).exists():
            self._venvs.mkdir(parents=True, exist_ok=True)
            await self._errands.run(
                ["flock", str(self._venvs / f"{mark}.lock"), "sh", "-ec", _script(venv, requirements)],
                self._log,
                f"make the Python environment of {requirements}",
            )
        return venv


def _script(venv: Path, requirements: Path) -> str:
    uv = Path(sys.executable).with_name("uv")
    command = str(uv) if uv.exists() else shutil.which("uv")
    if command is None:
        raise FabricError("uv is missing: the images' Python environments cannot be made. Run ./fed doctor.")
    words = {
        "uv": command,
        "new": f"{venv}.new",
        "venv": str(venv),
        "python": str(Path(sys.base_prefix) / "bin" / "python3"),
        "requirements": str(requirements),
        "made": f"{venv}/{_MADE}",
    }
    quoted = {name: shlex.quote(word) for name, word in words.items()}
    return (
        "test -e {made} && exit 0\n"
        "rm -rf {new} {venv}\n"
        "{uv} venv --quiet --relocatable --python {python} {new}\n"
        "{uv} pip install --quiet --compile-bytecode --require-hashes --python {new}/bin/python "
        "-r {requirements}\n"
        "mv {new} {venv}\n"
        "touch {made}\n"
    ).format(**quoted)
