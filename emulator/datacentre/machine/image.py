"""Makes an image of a pushed build context, without an engine: its files, and a venv from its requirements.

The venv is in the cache, shared by all images and clones (`installed`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from emulator.datacentre import installed
from emulator.datacentre.errands import Errands
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.machine import dockerfile
from emulator.datacentre.machine.dockerfile import ImageConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that containers can run. `files` are (path on the machine, path in the container)."""

    reference: str
    config: ImageConfig
    files: tuple[tuple[Path, str], ...]
    venv: Path | None


class Images:
    """The images of one datacentre: made when first asked for, then kept."""

    def __init__(self, snapshots: Path, cache: Path, errands: Errands, log: Path) -> None:
        self._snapshots = snapshots
        self._cache = cache
        self._errands = errands
        self._log = log
        self._made: dict[str, Image] = {}

    async def get(self, reference: str) -> Image:
        """Return the image ``<registry>/<repository>@sha256:<hex>``; raise DatacentreError as Docker would.

        Whether the registry has it and the machine may pull it has been checked by the caller.
        """
        if reference not in self._made:
            self._made[reference] = await self._make(reference)
        return self._made[reference]

    async def _make(self, reference: str) -> Image:
        digest = reference.rpartition("@")[2]
        folder = self._snapshots / digest.replace(":", "-")
        if not (folder / "image.json").exists():
            raise DatacentreError(f"manifest for {reference} not found: manifest unknown")
        known = json.loads((folder / "image.json").read_text())
        config = dockerfile.read(folder / "Dockerfile", folder / "context", known.get("args"))
        return Image(
            reference=reference,
            config=config,
            files=tuple((folder / "context" / copy.source, copy.target) for copy in config.copies),
            venv=await self._venv(folder / "context" / config.requirements) if config.requirements else None,
        )

    async def _venv(self, requirements: Path) -> Path:
        run = self._errands.into(self._log)
        return await installed.python_environment(self._cache, requirements, run)
