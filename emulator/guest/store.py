"""Makes what the recipes say, once for all clones of this machine."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from emulator.guest import recipe
from emulator.guest.recipe import FILES, Recipe

Say = Callable[[str], None]
_SAID_LINES = 15


class GuestError(Exception):
    """Something of a real machine cannot be made; the text says why."""


class GuestStore:
    """What is made, below a folder."""

    def __init__(self, folder: Path, say: Say) -> None:
        """`say` tells a person what is made and how long that takes."""
        self.folder = folder
        self._say = say

    def disk(self) -> Path:
        """Return the folder of the guest's image: ``disk.img``, ``vmlinuz``, ``initrd``, ``packages.txt``."""
        system = recipe.guest()

        def make(folder: Path) -> None:
            run(system.command(folder / "root"), f"install {system.name}")
            run([str(FILES / "build-disk"), str(folder)], "make the guest's disk")

        return self._once("guest", system, make, "the guest's disk, about 2 minutes")

    def builder(self) -> Path:
        """Return the root folder of what builds container images."""
        return (
            self._once(
                "builder",
                recipe.BUILDER,
                lambda folder: run(recipe.BUILDER.command(folder / "root"), f"install {recipe.BUILDER.name}"),
                "what builds container images, about 1 minute",
            )
            / "root"
        )

    def python(self) -> Path:
        """Return the archive of what stands for Python's image where Docker Hub does not answer."""
        return (
            self._once(
                "python",
                recipe.PYTHON,
                lambda folder: run(
                    recipe.PYTHON.command(folder / "root.tar"), f"install {recipe.PYTHON.name}"
                ),
                "what stands for Python's image, about 1 minute",
            )
            / "root.tar"
        )

    def _once(self, kind: str, made_by: Recipe, make: Callable[[Path], object], what: str) -> Path:
        folder = self.folder / f"{kind}-{made_by.mark}"
        with locked(self.folder / f"{kind}.lock"):
            if not folder.exists():
                self._say(f"making {what} ({made_by.name}; kept for later in {self.folder})")
                unfinished = self.folder / f"{kind}.new"
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir(parents=True)
                make(unfinished)
                unfinished.rename(folder)
        return folder


def run(command: Sequence[str], what: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it wrote; raise GuestError with the end of what it said when it fails."""
    done = subprocess.run(  # noqa: S603 our own commands
        command,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        end = "\n  ".join((done.stderr or done.stdout).splitlines()[-_SAID_LINES:])
        raise GuestError(f"could not {what} ({command[0]} ended with {done.returncode}):\n  {end}")
    return done.stdout


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock file: one process of this machine at a time is inside."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
