"""The Python environment of the clone: ``.venv`` with exactly the pinned, hashed packages.

Installs with uv: the one on PATH, else a pinned one in a private folder of the cache. A stamp in ``.venv``
names the hash of the requirements it was made from; it is removed first and written last, so an
interrupted installation is never taken for a finished one.
"""

import hashlib
import os
import shutil
import sys
import sysconfig
import threading
from pathlib import Path

from automation.machine.setup.problem import ProblemError, run
from automation.machine.setup.progress import Task
from clone import paths

ROOT = paths.REPOSITORY
VENV = ROOT / ".venv"
STAMP = VENV / ".fed-packages"
DEV_STAMP = VENV / ".fed-packages-dev"
REQUIREMENTS = ROOT / "requirements.txt"
DEV_REQUIREMENTS = ROOT / "requirements-dev.txt"
UV_REQUIREMENTS = ROOT / "requirements-uv.txt"

_finding_uv = threading.Lock()


def stamp_of(requirements: Path) -> str:
    """Return what a stamp says when these requirements are installed in this clone, at this place."""
    return f"{hashlib.sha256(requirements.read_bytes()).hexdigest()} {ROOT}"


def is_ready(*, dev: bool = False) -> bool:
    """Tell whether ``.venv`` holds what the requirements say (with `dev` also the test tools)."""
    wanted = [(STAMP, REQUIREMENTS), (DEV_STAMP, DEV_REQUIREMENTS)][: 2 if dev else 1]
    if not (VENV / "bin" / "python").exists():
        return False
    return all(stamp.exists() and stamp.read_text().strip() == stamp_of(file) for stamp, file in wanted)


def install(task: Task, *, dev: bool) -> None:
    """Make ``.venv`` true to the requirements; keep the test tools when they were there before.

    An environment whose stamp is missing was left half made (or by somebody else) and is made again.
    Raises ProblemError when packages cannot be had.
    """
    dev = dev or DEV_STAMP.exists()
    whole = STAMP.exists() and (VENV / "bin" / "python").exists() and STAMP.read_text().endswith(f" {ROOT}\n")
    task.say("looking for uv")
    uv = find_uv(task)
    if whole:
        for stamp in (STAMP, DEV_STAMP):
            stamp.unlink(missing_ok=True)
    else:
        _remove_venv()
        task.say("making .venv")
        run([uv, "venv", "--quiet", "--no-project", "--python", _base_python(), VENV])
    task.say("installing packages")
    run(
        [
            *(uv, "pip", "sync", "--quiet", "--require-hashes"),
            *("--python", VENV / "bin" / "python", DEV_REQUIREMENTS if dev else REQUIREMENTS),
        ]
    )
    if dev:
        _write_stamp(DEV_STAMP, DEV_REQUIREMENTS)
    _write_stamp(STAMP, REQUIREMENTS)
    task.say(f"Python {sys.version_info.major}.{sys.version_info.minor} packages ready")


def find_uv(task: Task) -> Path:
    """Return a uv that runs: PATH's, else a pinned one, installed by pip on first need (safe in threads).

    Raises ProblemError when there is neither uv nor pip.
    """
    with _finding_uv:
        named = shutil.which("uv")
        return Path(named) if named and _runs(Path(named)) else _own_uv(task)


def _own_uv(task: Task) -> Path:
    digest = hashlib.sha256(UV_REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = paths.cache() / "uv" / f"{digest}-{sysconfig.get_platform()}"
    uv = folder / "bin" / "uv"
    if not uv.exists():
        task.say("installing uv")
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        try:
            run(
                [
                    *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                    *("--require-hashes", "--no-deps", "--target", fresh, "-r", UV_REQUIREMENTS),
                ]
            )
            if not uv.exists():
                shutil.rmtree(folder, ignore_errors=True)
                fresh.rename(folder)
        except ProblemError as error:
            raise ProblemError(
                "uv, which installs the packages, is not on PATH and pip could not fetch it.\n"
                f"  {error}\n"
                "  Fix: install pip (Debian, Ubuntu: apt-get install python3-pip) or uv "
                "(https://docs.astral.sh/uv/), and check that a package index can be reached."
            ) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return uv


def _runs(uv: Path) -> bool:
    """Tell whether this uv starts: a pyenv shim of another Python's uv is on PATH but refuses."""
    try:
        run([uv, "--version"])
    except ProblemError:
        return False
    return True


def _base_python() -> str:
    """Return the interpreter itself, also when this runs inside some virtual environment."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


def _remove_venv() -> None:
    """Remove ``.venv``; the rename first makes sure that no half of it is ever taken for an environment."""
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        VENV.rename(VENV.with_name(f".venv.old-{os.getpid()}"))
    for doomed in ROOT.glob(".venv.old-*"):
        shutil.rmtree(doomed)


def _write_stamp(stamp: Path, requirements: Path) -> None:
    fresh = stamp.with_suffix(".new")
    fresh.write_text(stamp_of(requirements) + "\n")
    fresh.replace(stamp)
