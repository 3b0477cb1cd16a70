"""Finds out what this machine has and lacks, by trying it. Nothing is installed or changed."""

import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from automation.machine import browser, system
from automation.machine.setup import build, packages
from automation.machine.setup import engine as prepared
from automation.machine.setup.problem import ProblemError, run
from clone import paths
from emulator.control import Emulator, EmulatorError
from emulator.datacentre import checks
from emulator.datacentre.settings import Settings
from emulator.guest import accelerator

GOOD, NOTE, BAD = "good", "note", "bad"
"""Works; works, but a person may want to know; does not work."""

_MEMORY_NEEDED = 2e9
_DISK_NEEDED = 3e9
_MARKS = {GOOD: ("ok", "green"), NOTE: ("note", "yellow"), BAD: ("lacks", "red")}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was tried; `state` is one of GOOD, NOTE, BAD, `cure` says what to do."""

    name: str
    state: str
    detail: str
    fix: str = ""


def examine() -> list[Finding]:
    """Try everything, the simple things first."""
    return [
        _system(),
        _python(),
        _engine(),
        _memory(),
        *_disk(),
        _sockets(),
        _emulator(),
        *_networks(),
        _box(),
        _real_machines(),
        _browser(),
        _mono(),
    ]


def table(findings: list[Finding]) -> Table:
    """Return the findings as a table, a row each."""
    result = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        word, style = _MARKS[finding.state]
        fix = f"\nFix: {finding.fix}" if finding.fix else ""
        result.add_row(Text(word, style=style), finding.name, Text.assemble(finding.detail, (fix, "bold")))
    return result


def _system() -> Finding:
    detail = f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} CPUs"
    good = platform.system() == "Linux"
    return Finding(
        name="system", state=GOOD if good else BAD, detail=detail, fix="" if good else "use Linux, or WSL 2"
    )


def _python() -> Finding:
    tools = (
        "with the test tools"
        if packages.is_ready(dev=True)
        else "without the test tools (`fed test` adds them)"
    )
    detail = f"Python {platform.python_version()} in {sys.prefix}, {tools}"
    if packages.is_ready():
        return Finding(name="packages", state=GOOD, detail=detail)
    return Finding(
        name="packages",
        state=BAD,
        detail=f"{detail}: not what requirements.txt says",
        fix="start fed as ./fed",
    )


def _engine() -> Finding:
    version = build.pinned_version()
    found = prepared.chosen() or prepared.cached(version)
    if found is None:
        return Finding(
            name="engine",
            state=NOTE,
            detail=f"Pulumi {version} is not here yet",
            fix="the first ./fed up downloads it, or builds it where that is not possible (3 to 5 minutes)",
        )
    try:
        said = run([found, "version"], env={"PULUMI_SKIP_UPDATE_CHECK": "true"})[-1]
    except (ProblemError, IndexError) as error:
        return Finding(
            name="engine",
            state=BAD,
            detail=f"{found}: {error}",
            fix=f"rm {prepared.STAMP} {found}; ./fed up",
        )
    host = "its own" if (found.parent / "pulumi-language-python").exists() else "engine/bin"
    return Finding(name="engine", state=GOOD, detail=f"Pulumi {said} at {found}, language host: {host}")


def _memory() -> Finding:
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    state = GOOD if free >= _MEMORY_NEEDED else NOTE
    fix = "" if state == GOOD else f"training wants {_MEMORY_NEEDED / 1e9:.0f} GB: close something"
    return Finding(name="memory", state=state, detail=f"{free / 1e9:.1f} GB available", fix=fix)


def _disk() -> Iterator[Finding]:
    for name, folder in (("disk of the clone", paths.home()), ("disk of the cache", paths.cache())):
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(existing).free
        good = free >= _DISK_NEEDED and os.access(existing, os.W_OK)
        fix = "" if good else f"{folder} needs {_DISK_NEEDED / 1e9:.0f} GB and to be writable"
        yield Finding(
            name=name, state=GOOD if good else BAD, detail=f"{free / 1e9:.0f} GB free at {folder}", fix=fix
        )


def _sockets() -> Finding:
    """Listen on the loopback and on a Unix socket, as the emulator does."""
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port), timeout=2):
                pass
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/s")
    except OSError as error:
        return Finding(
            name="sockets",
            state=BAD,
            detail=f"cannot listen on 127.0.0.1 or on a Unix socket: {error}",
            fix="bring up the loopback (ip link set lo up); allow sockets in this sandbox",
        )
    return Finding(name="sockets", state=GOOD, detail="127.0.0.1 and Unix sockets")


def _emulator() -> Finding:
    try:
        running = Emulator.running()
    except EmulatorError as error:
        return Finding(name="emulator", state=BAD, detail=str(error), fix="./fed down")
    if running:
        return Finding(name="emulator", state=GOOD, detail=f"runs as process {running.record.pid}")
    return Finding(name="emulator", state=GOOD, detail="does not run; commands start it when they need it")


def _networks() -> Iterator[Finding]:
    """Try a network of the emulator: namespaces, links, packet filters."""
    if missing := system.missing_packages():
        can_install = system.can_install()
        how = (
            "the first ./fed up or ./fed test installs them"
            if can_install
            else system.install_command(missing)
        )
        yield Finding(
            name="networks",
            state=NOTE if can_install else BAD,
            detail=f"packages are missing: {', '.join(missing)}",
            fix=how,
        )
        return
    for found in checks.run():
        yield Finding(name=found.name, state=GOOD if found.good else BAD, detail=found.detail, fix=found.fix)


def _box() -> Finding:
    """Try what a job's box gives up at its start, and say what only Docker would give it."""
    rootless = Settings.of().rootless
    given = ["no network", *([] if rootless else ["a user of its own"]), "a filter of system calls"]
    lacking = [*(["a user of its own"] if rootless else []), "limits of memory and processors"]
    tried = subprocess.run(
        [sys.executable, "-c", "from workloads.fl_client.fed_box.confine import confine; confine()"],
        cwd=paths.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        return Finding(
            name="a job's box",
            state=BAD,
            detail=f"its filter of system calls is not taken: {tried.stderr.strip().splitlines()[-1]}",
            fix="a kernel with CONFIG_SECCOMP_FILTER; no job's code runs without the filter",
        )
    detail = f"{', '.join(given)}; on Docker alone, not here: {', '.join(lacking)}"
    return Finding(name="a job's box", state=GOOD, detail=detail)


def _real_machines() -> Finding:
    """Look for what `./fed up --real` needs; that command tries whether KVM helps."""
    missing = system.missing_packages(system.REAL_MACHINES)
    helped = "KVM to try" if os.access(accelerator.DEVICE, os.R_OK | os.W_OK) else "no KVM: ten times slower"
    detail = f"packages are missing: {', '.join(missing)}" if missing else "QEMU and what makes its disks"
    fix = ""
    if os.geteuid() != 0:
        fix = "./fed up --real HOSPITAL needs root"
    elif missing:
        by_itself = "./fed up --real HOSPITAL installs them"
        fix = by_itself if system.can_install() else system.install_command(missing)
    return Finding(name="real machines", state=NOTE if fix else GOOD, detail=f"{detail}; {helped}", fix=fix)


def _browser() -> Finding:
    """Look for the browser that the tests of the local dashboards need; people use their own."""
    program = browser.find()
    missing = [] if program else sorted(browser.NEED.programs.values())
    return _for_tests("browser", "the local dashboards", missing, str(program))


def _mono() -> Finding:
    """Look for what the tests of the Power BI models need; nothing else here does."""
    return _for_tests("mono", "the Power BI models", system.missing_packages(system.POWER_BI), "there")


def _for_tests(name: str, of: str, missing: list[str], found: str) -> Finding:
    """Judge what only tests of something need, by its packages that are missing: no fault, to know."""
    if not missing:
        return Finding(name=name, state=GOOD, detail=f"{found}, for the tests of {of}")
    return Finding(
        name=name,
        state=NOTE,
        detail=f"packages are missing: {', '.join(missing)}; the tests of {of} need them",
        fix="./fed test installs them" if system.can_install() else system.install_command(missing),
    )
