"""Makes what the recipes say, once for all clones of this machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from emulator.guest import recipe
from emulator.guest.recipe import FILES, Recipe

Say = Callable[[str], None]
CONTAINERS = "containers"
"""The folder of container images; whoever pushes one copies it (emulator/plugins/docker)."""
BUILDS = "buildah"
"""The folder of what container images are built from: layers, and the image that they begin with."""
_SAID_LINES = 15
_DAY = 24 * 3600.0
_KEPT: Final = {CONTAINERS: 2 * _DAY, BUILDS: 30 * _DAY, "recipes": 30 * _DAY}
"""Seconds that each thing is kept: a container image (0.5 GB, one a clone) and what a recipe made since their
last use, builds since they began, so that their packages are never older.
"""
_USERS = "users"


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

    def prune(self, now: float | None = None) -> list[Path]:
        """Remove what nobody has used for long, and return it; `now` is in seconds since 1970.

        A guest's image stays for as long as a VM's disk is a copy-on-write of it, and what today's recipes
        make stays in any case.
        """
        now = time.time() if now is None else now
        today = {f"{kind}-{made_by.mark}" for kind, made_by in _recipes().items()}
        gone = [
            *self._prune(CONTAINERS, (self.folder / CONTAINERS).glob("[0-9a-f]*"), now - _KEPT[CONTAINERS]),
            *self._prune(CONTAINERS, (self.folder / BUILDS).glob("begun"), now - _KEPT[BUILDS]),
        ]
        made = (folder for folder in self.folder.glob("*-*") if folder.name not in today)
        for folder in (folder for folder in made if not _has_users(folder)):
            kind = folder.name.rpartition("-")[0]
            gone += self._prune(kind, [folder], now - _KEPT["recipes"])
        return gone

    def _prune(self, lock: str, found: Iterable[Path], before: float) -> list[Path]:
        with locked(self.folder / f"{lock}.lock"):
            old = [path for path in found if path.stat().st_mtime < before]
            folders = [path if path.is_dir() else path.parent for path in old]
            for folder in folders:
                shutil.rmtree(folder)
        return folders

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
            os.utime(folder)
        return folder


def use(image: Path, own: Path) -> None:
    """Note that the disk of a VM (`own` is its folder, with a link ``image``) needs a guest's image."""
    users = image / _USERS
    users.mkdir(exist_ok=True)
    (users / hashlib.sha256(str(own).encode()).hexdigest()[:16]).write_text(str(own))


def _has_users(image: Path) -> bool:
    return any(
        (Path(user.read_text()) / "image").resolve() == image.resolve() for user in (image / _USERS).glob("*")
    )


def _recipes() -> dict[str, Recipe]:
    """Return today's recipes by the kind of what each makes."""
    return {"guest": recipe.guest(), "builder": recipe.BUILDER, "python": recipe.PYTHON}


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
