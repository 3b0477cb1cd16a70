"""Finds the Pulumi engine, or fetches or builds it: once per version and machine, shared by all clones.

In this order: a `pulumi` on PATH, new enough, with its Python language host next to it; one that an earlier
use left in the cache; the official release, through Pulumi's own installer; a build from source
(build.py). A stamp in ``.venv`` says which one this clone uses.
"""

import fcntl
import os
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from automation.machine.setup import build
from automation.machine.setup.packages import VENV
from automation.machine.setup.problem import ProblemError, run
from automation.machine.setup.progress import Task
from clone import paths

STAMP = VENV / ".fed-engine"

_RELEASES = "https://get.pulumi.com/install.sh"
_ANSWER_WITHIN = 5.0  # seconds; a machine behind a closed firewall must not wait longer before it builds
_INSTALL = """
import sys
from pulumi.automation import PulumiCommand
from semver import VersionInfo
PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))
"""


def chosen() -> Path | None:
    """Return the engine that this clone already uses, if it is still there."""
    if not STAMP.exists():
        return None
    engine = Path(STAMP.read_text().strip())
    return engine if os.access(engine, os.X_OK) else None


def cached(version: str) -> Path | None:
    """Return the engine that an earlier use left on this machine, in this clone or another."""
    engine = paths.engine(version) / "pulumi"
    return engine if os.access(engine, os.X_OK) else None


def prepare(task: Task, packages: Future[None], while_it_is_built: Callable[[], None] = lambda: None) -> Path:
    """Return the engine's executable, after fetching or building it where there is none.

    `packages` ends when ``.venv`` can be used: the official installer is part of it. `while_it_is_built` is
    called before a build from source, which takes minutes. Raises ProblemError that tells every way that was
    tried and why it failed.
    """
    tried: list[str] = []
    version = build.pinned_version()
    on_path = _on_path(version, tried)
    if on_path:
        task.say(f"{on_path}")
        return on_path
    target = paths.engine(version) / "pulumi"
    with _only_one(target.parent, task):
        if cached(version):
            build.clean(target)
            task.say(f"{version} from {target.parent}")
            return target
        if (failure := _download(target, version, task, packages)) is not None:
            tried.append(f"the official release ({_RELEASES}): {failure}")
            while_it_is_built()
            try:
                build.build(target, task)
            except ProblemError as error:
                tried.append(f"building it from automation/machine/setup/go/go.mod: {error}")
        if not target.exists():
            raise ProblemError(_explain(version, tried))
    task.say(f"{version} in {target.parent}")
    return target


def write_stamp(engine: Path) -> None:
    """Record which engine this clone uses."""
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(f"{engine}\n")
    fresh.replace(STAMP)


def _on_path(version: str, tried: list[str]) -> Path | None:
    """Return PATH's engine when this project can use it; otherwise note why not."""
    named = shutil.which("pulumi")
    if not named:
        tried.append("`pulumi` on PATH: there is none")
        return None
    engine = Path(named).resolve()
    try:
        said = run([engine, "version"], env={"PULUMI_SKIP_UPDATE_CHECK": "true"})[-1]
    except (ProblemError, IndexError) as error:
        tried.append(f"{named} on PATH: it does not run: {error}")
        return None
    found = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)\S*", said)
    wanted = tuple(int(part) for part in version.split("."))
    if not found or (numbers := tuple(int(part) for part in found.groups()))[0] != wanted[0]:
        tried.append(f"{named} on PATH: version {said}, needed is {version} or a later {wanted[0]}.x")
    elif numbers < wanted:
        tried.append(f"{named} on PATH: version {said} is older than {version}")
    elif not (engine.parent / "pulumi-language-python").exists():
        tried.append(f"{named} on PATH: pulumi-language-python is missing next to it")
    else:
        return engine
    return None


def _download(target: Path, version: str, task: Task, packages: Future[None]) -> Exception | None:
    """Put the official release next to `target`; return the reason where that does not work."""
    task.say("asking for the official release")
    try:
        with urllib.request.urlopen(_RELEASES, timeout=_ANSWER_WITHIN):
            pass
        task.say("downloading the official release")
        packages.result()
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            run([VENV / "bin" / "python", "-c", _INSTALL, folder, version])
            executables = sorted((Path(folder) / "bin").iterdir(), key=lambda file: file.name == "pulumi")
            for file in executables:  # the engine itself comes last: where it is, everything is
                file.replace(target.parent / file.name)
    except (OSError, ProblemError) as error:
        return error
    return None


@contextmanager
def _only_one(folder: Path, task: Task) -> Iterator[None]:
    """Let one process at a time make this version; the kernel frees the lock of one that is killed."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            task.say("another ./fed is making it: waiting")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _explain(version: str, tried: list[str]) -> str:
    ways = "\n".join(f"  - {way}" for way in tried)
    return (
        f"there is no Pulumi engine {version} on this machine, and none could be made. Tried:\n{ways}\n"
        "Fix, one of:\n"
        f"  - install Pulumi {version} or later yourself (https://www.pulumi.com/docs/install/) "
        "and put it on PATH;\n"
        "  - let this machine reach get.pulumi.com, or a Go module proxy (GOPROXY) and a package index, "
        "and run ./fed again;\n"
        f"  - copy a `pulumi` {version} executable from another machine to {paths.engine(version)}/"
    )
