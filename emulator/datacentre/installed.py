"""What machines and services of the datacentre run that comes from package registries.

Each is installed once into the cache that all clones share, with exactly what its lock file says. Who runs
the commands depends on where the caller lives, so it says how.
"""

from __future__ import annotations

import hashlib
import logging
import shlex
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from emulator.datacentre.node import FromPyPI, clean_install, npm, uv

Run = Callable[[Sequence[str], str], Awaitable[None]]
"""Runs a command, or raises DatacentreError: "could not " and the second argument."""

AZURITE_LOCK = Path(__file__).with_name("azurite") / "package-lock.json"

_NO_TESTS = r"/site-packages/.*/tests?/"
"""Packages' own tests: a quarter of the source, which no container imports."""

log = logging.getLogger(__name__)


async def python_environment(cache: Path, requirements: Path, run: Run) -> Path:
    """Return the virtual environment made from a requirements file.

    There is one for each content of such a file. It is relocatable, so that containers see it at /opt/venv
    while it is elsewhere.
    """
    python = f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]} {sys.base_prefix}"
    mark = hashlib.sha256(requirements.read_bytes() + python.encode()).hexdigest()[:20]
    interpreter = str(Path(sys.base_prefix) / "bin" / "python3")
    script = (
        f'{_word(uv())} venv --quiet --relocatable --python {_word(interpreter)} "$new"\n'
        f'{_word(uv())} pip install --quiet --require-hashes --python "$new/bin/python"'
        f" -r {_word(requirements)}\n"
        # A file that is no Python of this version (a template, say) makes it end with 1.
        f'"$new/bin/python" -m compileall -qq -j 0 -x {_word(_NO_TESTS)} "$new/lib" || test $? = 1\n'
    )
    return await _once(cache / "venvs" / mark, script, run, f"make the Python environment of {requirements}")


async def azurite(cache: Path, run: Run) -> tuple[Path, str]:
    """Return the folder that Azurite is installed in, and the Node.js to run it with."""
    node = shutil.which("node") or await _node(cache, run)
    folder = cache / "azurite" / hashlib.sha256(AZURITE_LOCK.read_bytes()).hexdigest()[:16]
    install = clean_install(npm(node), Path())
    script = (
        'mkdir -m 755 "$new"\n'
        f'cp {_word(AZURITE_LOCK)} {_word(AZURITE_LOCK.with_name("package.json"))} "$new"\n'
        f'cd "$new"\n{shlex.join(install)}\n'
    )
    return await _once(folder, script, run, "install Azurite from its npm packages"), node


async def _node(cache: Path, run: Run) -> str:
    node = FromPyPI(cache)
    if not node.installed:
        node.folder.parent.mkdir(parents=True, exist_ok=True)
        command = ["flock", f"{node.folder}.lock", *node.install()]
        await run(command, "install Node.js from PyPI (this machine has no node)")
        node.finished()
    return node.program


async def _once(folder: Path, script: str, run: Run, what: str) -> Path:
    """Let a script fill ``$new``, once for all clones, and return the folder that it becomes.

    One process at a time does it; what a killed one left is removed by the next.
    """
    complete = folder / ".complete"
    if not complete.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        whole = (
            f"complete={_word(complete)}\nfolder={_word(folder)}\nnew={_word(folder)}.new\n"
            'test -e "$complete" && exit 0\n'
            'rm -rf "$new" "$folder"\n'
            f"{script}"
            'mv "$new" "$folder"\n'
            'touch "$complete"\n'
        )
        log.info("making %s", folder)
        await run(["flock", f"{folder}.lock", "sh", "-ec", whole], what)
    return folder


def _word(value: Path | str) -> str:
    return shlex.quote(str(value))
