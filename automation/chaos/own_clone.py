"""A copy of this clone with an emulator of its own, driven by its command line like a user's."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from automation.machine import suite
from clone import paths
from emulator.control import Emulator
from emulator.datacentre.control import Datacentre

PATIENCE = 300.0
"""Seconds after which a command of `fed` has failed, also on a machine that does ten other things."""
_FOREIGN = ("FED_", "PULUMI_", "PYTHON")


def copy_repository(target: Path) -> None:
    """Copy this repository, its compiled modules with it; the copy shares its packages."""
    files = [name for name in suite.files() if (paths.REPOSITORY / name).is_file()]
    caches = {Path(name).parent / "__pycache__" for name in files if name.endswith(".py")}
    compiled = (
        file.relative_to(paths.REPOSITORY)
        for cache in caches
        for file in (paths.REPOSITORY / cache).glob("*.pyc")
    )
    for name in (*map(Path, files), *compiled):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(paths.REPOSITORY / name, target / name)
    (target / ".venv").symlink_to(paths.REPOSITORY / ".venv")


def processes_of(root: Path) -> dict[int, str]:
    """Return pid and command of each process that runs in a clone or was started for it."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = ((process / name).read_bytes() for name in ("cmdline", "environ"))
            where = (process / "cwd").readlink()
        except OSError:  # it has ended meanwhile
            continue
        if where.is_relative_to(root) or str(root).encode() in command + environment:
            found[int(process.name)] = command.replace(b"\0", b" ").decode()
    return found


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command of `fed` ended; `code` is None for one that did not within `PATIENCE`."""

    code: int | None
    output: str
    errors: str
    seconds: float


class OwnClone:
    """A clone in a folder that it is given; `variables` are added to the environment of its commands.

    `through` is a program, with its arguments, that starts each command.
    """

    through: Sequence[str] = ()

    def __init__(self, root: Path, **variables: str) -> None:
        self.root, self.home = root, root / ".fed"
        self._variables = variables
        copy_repository(root)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a `fed` command."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return subprocess.Popen(  # noqa: S603 no shell
            [*self.through, sys.executable, "-P", "-m", "automation", *arguments],
            cwd=self.root,
            env={**kept, "COLUMNS": "200", **self._variables, "PYTHONPATH": str(self.root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> Ended:
        """Run a `fed` command to its end, whatever that is."""
        return self.end(self.start(*arguments))

    @staticmethod
    def end(process: "subprocess.Popen[str]", since: float | None = None) -> Ended:
        """Wait for a command's end; one that does not end is killed, and who holds its output not awaited."""
        began = time.monotonic() if since is None else since
        code: int | None = None
        try:
            output, errors = process.communicate(timeout=PATIENCE)
            code = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = "", f"did not end within {PATIENCE:.0f} s"
        return Ended(code=code, output=output, errors=errors, seconds=time.monotonic() - began)

    def move(self, root: Path) -> None:
        """Move the clone to another place, whatever runs there."""
        self.root.rename(root)
        self.root, self.home = root, root / ".fed"

    def edit(self, change: Callable[[Any], None], stack: str = "dev") -> None:
        """Change a stack's file by changing its content as a tree."""
        yaml, file = YAML(), self.root / f"Pulumi.{stack}.yaml"
        content = yaml.load(file)
        change(content)
        yaml.dump(content, file)

    def emulator(self) -> Emulator | None:
        """Return the emulator that this clone's commands use, None when none runs."""
        return Emulator.running(self.root, self.home)

    def remove(self) -> None:
        """End the emulator and remove everything, whatever the faults left."""
        emulator = self.emulator()
        if emulator and (datacentre := Datacentre.running(emulator)):
            datacentre.stop()
        Emulator.destroy(self.home, force=True)
        for pid in processes_of(self.root):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        shutil.rmtree(self.root, ignore_errors=True)
