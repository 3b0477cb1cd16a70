"""The system calls that a box's process has given up, tried in a process that did."""

import ctypes
import errno
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread

import pytest
from fed_box import confine
from fed_box.confine import AARCH64, CALLS, CLONE3, X86_64, Calls, ConfineError

OWN = CALLS[platform.machine()]
KILLED = 31
"""SIGSYS."""
HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), X86_64),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), AARCH64),
}


def confined(work: Callable[[], int], before: Callable[[], None] = lambda: None) -> int:
    """What a function gives in a process that is confined: an exit code, or the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            before()
            confine.confine()
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def tried(number: int, *arguments: int) -> int:
    """The error of a system call; 0 for none."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(word) for word in (number, *arguments, *[0] * (6 - len(arguments)))]
    return ctypes.get_errno() if libc.syscall(*words) == -1 else 0


@pytest.mark.parametrize("name", OWN.denied)
def test_each_is_refused(name: str) -> None:
    assert confined(lambda: tried(OWN.denied[name])) == errno.EPERM


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (socket.AF_UNIX, 0),
        (socket.AF_INET, errno.EAFNOSUPPORT),
        (socket.AF_INET6, errno.EAFNOSUPPORT),
        (socket.AF_NETLINK, errno.EAFNOSUPPORT),
        (socket.AF_PACKET, errno.EAFNOSUPPORT),
        (socket.AF_ALG, errno.EAFNOSUPPORT),
        (socket.AF_VSOCK, errno.EAFNOSUPPORT),
        (1 << 32 | socket.AF_UNIX, 0),  # the kernel looks at the low half as well
    ],
)
def test_sockets_are_of_this_machine_alone(family: int, expected: int) -> None:
    assert confined(lambda: tried(OWN.socket, family, socket.SOCK_STREAM)) == expected


@pytest.mark.parametrize("bit", [7, 17, 25, 26, 27, 28, 29, 30])
def test_no_namespace_of_its_own(bit: int) -> None:
    """Bits of CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
    assert confined(lambda: tried(OWN.clone, 1 << bit)) == errno.EPERM


def test_the_newer_clone_is_not_there_so_that_the_older_is_used() -> None:
    assert confined(lambda: tried(CLONE3)) == errno.ENOSYS


@pytest.mark.skipif(platform.machine() != "x86_64", reason="another architecture has one set of calls")
def test_the_second_set_of_calls_is_not_there() -> None:
    assert confined(lambda: tried(0x40000000 | OWN.denied["ptrace"])) == errno.ENOSYS


def test_what_training_needs_is_left() -> None:
    """Processes, threads, pipes, shared memory, files, numpy."""

    def work() -> int:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - after the filter is there
        from multiprocessing import get_context  # noqa: PLC0415

        import numpy as np  # noqa: PLC0415

        with ThreadPoolExecutor(2) as pool, get_context("fork").Pool(2) as processes:
            threads = sum(pool.map(abs, [-1, -2]))
            return threads + sum(processes.map(abs, [-3, -4])) + int(np.linalg.norm(np.eye(4)))

    assert confined(work) == 12


def test_threads_that_run_already_are_confined_as_well() -> None:
    """numpy's library starts some when it is imported, before the filter is there."""
    asked, answers = Event(), SimpleQueue[int]()

    def work() -> int:
        asked.set()
        return answers.get(timeout=20)

    def waiting() -> None:
        asked.wait()
        answers.put(tried(OWN.denied["keyctl"]))

    assert confined(work, before=Thread(target=waiting, daemon=True).start) == errno.EPERM


def test_what_it_starts_is_confined_as_well() -> None:
    def work() -> int:
        code = "import socket; socket.socket(socket.AF_INET)"
        return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=False).returncode

    assert confined(work) == 1


def test_another_architectures_calls_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(AARCH64 if OWN is X86_64 else X86_64, seccomp=OWN.seccomp)
    monkeypatch.setattr(confine, "CALLS", {platform.machine(): other})
    assert confined(lambda: 0) == -KILLED


def test_where_none_is_known_no_box_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ConfineError, match="riscv64"):
        confine.confine()


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    header, calls = HEADERS[machine]
    if not header.is_file():
        pytest.skip(f"{header} is not here (Debian's linux-libc-dev)")
    known = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    own = {name: getattr(calls, name) for name in ("clone", "socket", "socketpair", "seccomp")}
    wanted = {**calls.denied, **own}
    assert {name: int(known.get(name, -1)) for name in wanted} == wanted
    assert int(known["clone3"]) == CLONE3


def test_both_architectures_deny_the_same() -> None:
    ports = {"iopl", "ioperm", "modify_ldt"}  # x86's own
    assert set(X86_64.denied) - ports == set(AARCH64.denied)
    assert isinstance(OWN, Calls)
