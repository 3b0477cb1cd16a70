"""What machines and services of the fabric run that comes from package registries.

Each is installed once into the cache that all clones share, with exactly what its lock file says. Who runs
the commands depends on where the caller lives, so it says how.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shlex
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from emulator.fabric.node import FromPyPI, clean_install, npm, uv

Run = Callable[[Sequence[str], str], Awaitable[None]]
"""Runs a command, or raises FabricError: "could not " and the second argument."""

AZURITE_LOCK = Path(__file__).with_name("azurite") / "package-lock.json"

_NO_TESTS = r"[/\\]tests?[/\\]"
"""Packages' own tests: a quarter of the source, which no container imports."""

log = logging.getLogger(__name__)


async def python_environment(cache: Path, requirements: Path, run: Run) -> Path:
    """Return the virtual environment made from a requirements file.

    There is one for each content of such a file. It is relocatable, so that containers see it at /opt/venv
    while it lies elsewhere.
    """
    python = f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]} {sys.base_prefix}"
    mark = hashlib.sha256(requirements.read_bytes() + python.encode()).hexdigest()[:20]
    venv = cache / "venvs" / mark
    complete = venv / ".complete"
    if not complete.exists():
        venv.parent.mkdir(parents=True, exist_ok=True)
        await run(
            ["flock", f"{venv}.lock", "sh", "-ec", _script(venv, complete, requirements)],
            f"make the Python environment of {requirements}",
        )
    return venv


async def azurite(cache: Path, run: Run) -> tuple[Path, str]:
    """Return the folder that Azurite is installed in, and the Node.js to run it with."""
    node = shutil.which("node") or await _node(cache, run)
    folder = cache / "azurite" / hashlib.sha256(AZURITE_LOCK.read_bytes()).hexdigest()[:16]
    if not (folder / "complete").exists():
        unfinished = folder.with_name(f"{folder.name}.{os.urandom(4).hex()}")
        unfinished.mkdir(parents=True)
        unfinished.chmod(0o755)
        for file in (AZURITE_LOCK, AZURITE_LOCK.with_name("package.json")):
            shutil.copy(file, unfinished)
        log.info("installing Azurite into %s", folder)
        try:
            await run(clean_install(npm(node), unfinished), "install Azurite from its npm packages")
            (unfinished / "complete").touch()
            with contextlib.suppress(OSError):  # another clone was first
                unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder, node


async def _node(cache: Path, run: Run) -> str:
    node = FromPyPI(cache)
    if not node.installed:
        log.info("installing Node.js into %s", cache)
        await run(node.install(), "install Node.js from PyPI (this machine has no node)")
        node.finished()
    return node.program


def _script(venv: Path, complete: Path, requirements: Path) -> str:
    words = {
        "uv": uv(),
        "new": f"{venv}.new",
        "venv": str(venv),
        "python": str(Path(sys.base_prefix) / "bin" / "python3"),
        "requirements": str(requirements),
        "complete": str(complete),
        "tests": _NO_TESTS,
    }
    quoted = {name: shlex.quote(word) for name, word in words.items()}
    return (
        "test -e {complete} && exit 0\n"
        "rm -rf {new} {venv}\n"
        "{uv} venv --quiet --relocatable --python {python} {new}\n"
        "{uv} pip install --quiet --require-hashes --python {new}/bin/python -r {requirements}\n"
        # A file that is no Python of this version (a template, say) makes it end with 1.
        "{new}/bin/python -m compileall -q -j 0 -x {tests} {new}/lib > /dev/null || test $? = 1\n"
        "mv {new} {venv}\n"
        "touch {complete}\n"
    ).format(**quoted)
