"""Microsoft's own tools for Power BI projects, installed on first use into the cache that clones share.

npm packages by `tools/package-lock.json`, a wheel by the hash in `tools/requirements.txt`. The wheel is there
for the libraries of Microsoft Analysis Services in it alone: their licence lets them be used, not committed.
They are for .NET Framework, which is Mono here.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from automation.machine import system
from automation.ui.outcome import FedError
from clone import paths
from emulator.datacentre.node import FromPyPI, clean_install, npm, uv

FOLDER: Final = Path(__file__).with_name("tools")
OLDEST_NODE: Final = 20
"""What the validator asks for (its `engines`)."""

_LIBRARIES: Final = ("", ".Core", ".Tabular", ".Tabular.Json")


@cache
def report_validator() -> tuple[str, ...]:
    """The command that validates reports. Raises FedError where it cannot be installed."""
    package = _npm_packages() / "node_modules/@microsoft/powerbi-report-authoring-cli/dist/cli.js"
    return (_node(), str(package))


def query_parser() -> tuple[tuple[str, ...], Path]:
    """The command that parses Power Query, and the folder to run it in. Raises FedError as above."""
    return (_node(), str(FOLDER / "check-queries.cjs")), _npm_packages()


@cache
def model_reader() -> tuple[str, ...]:
    """The command that reads models. Raises FedError where it cannot be installed, and says what lacks."""
    system.require_packages(system.POWER_BI)
    source = FOLDER / "ReadModels.cs"

    def build(folder: Path) -> None:
        _run(
            [
                *(uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder)),
                *("--no-deps", "--require-hashes", "--only-binary", ":all:"),
                *("--requirements", str(FOLDER / "requirements.txt")),
            ]
        )
        libraries = [f"Microsoft.AnalysisServices{part}.dll" for part in _LIBRARIES]
        dlls = folder / "pbi_cli/dlls"
        _run(
            [
                "mcs",
                "-nologo",
                *(f"-r:{dlls / name}" for name in libraries),
                f"-out:{dlls / 'read-models.exe'}",
                str(source),
            ]
        )

    folder = _installed("models", [source, FOLDER / "requirements.txt"], build)
    return ("mono", str(folder / "pbi_cli/dlls/read-models.exe"))


def _npm_packages() -> Path:
    manifest, lock = FOLDER / "package.json", FOLDER / "package-lock.json"

    def build(folder: Path) -> None:
        for file in (manifest, lock):
            shutil.copy(file, folder)
        _run(clean_install(_npm(), folder))

    return _installed("npm", [manifest, lock], build)


@cache
def _node() -> str:
    """A Node.js that is new enough: the machine's, else one from PyPI."""
    found = shutil.which("node")
    if found is not None:
        version = _run([found, "--version"]).strip().removeprefix("v")
        if int(version.partition(".")[0]) >= OLDEST_NODE:
            return found
    node = FromPyPI(paths.cache())
    if not node.installed:
        _run(node.install())
        node.finished()
    return node.program


def _npm() -> list[str]:
    return npm(_node())


def _installed(name: str, sources: Sequence[Path], build: Callable[[Path], None]) -> Path:
    """A folder of the cache that `build` filled from these sources, under another name until it was whole."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    folder = paths.cache() / "powerbi" / f"{name}-{digest}"
    if not folder.exists():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        fresh.mkdir(parents=True)
        try:
            build(fresh)
            if not folder.exists():
                fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FedError(
            f"a tool that checks the Power BI projects could not be installed: {' '.join(command)}\n"
            f"{(done.stderr or done.stdout).strip()[-800:]}"
        )
    return done.stdout
