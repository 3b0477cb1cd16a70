"""Takes from the box's own process, and all that it starts, system calls that no training needs. For ever.

A container's engine has a filter of its own, and this one comes on top of it (seccomp(2): all filters of a
process are asked, the strictest answer counts). Docker's default leaves ptrace, process_vm_readv and every
family of sockets but AF_VSOCK, before 25.0 io_uring too (github.com/moby/moby, profiles/seccomp/default.json
and pull request 46762): each a large part of the kernel that hostile code could look for a fault in. A
profile given to Docker would replace its own, and be ours to keep. On the emulator, whose containers have no
engine, this filter is the only one.
"""

import ctypes
import errno
import platform
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

PR_SET_NO_NEW_PRIVS, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 38, 1, 1
"""Numbers of <linux/prctl.h> and <linux/seccomp.h>; the last for all threads: numpy starts some."""
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions of <linux/bpf_common.h>: BPF_LD|W|ABS, BPF_JMP|JEQ|K, |JGE|K, |JSET|K, BPF_RET|K."""
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Places in struct seccomp_data; of an argument the low half, on a machine that is little-endian."""
_X32 = 0x40000000
"""Bit of the numbers of x86-64's second set of calls."""
NAMESPACES: Final = 0x7E020080
"""CLONE_NEW* of <linux/sched.h>: time, mount, cgroup, uts, ipc, user, pid, net."""


class ConfineError(OSError):
    """The kernel takes no filter: the box must not start."""


@final
@dataclass(frozen=True, kw_only=True)
class Calls:
    """The numbers of system calls on one architecture."""

    architecture: int
    """AUDIT_ARCH_* of <linux/audit.h>."""
    denied: Mapping[str, int]
    clone: int
    socket: int
    socketpair: int
    seccomp: int


_ALIKE: Mapping[str, int] = {
    **{"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427},
    **{"open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433},
    **{"pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442},
}
"""Newer calls have the same number everywhere."""
CLONE3 = 435

X86_64 = Calls(
    architecture=0xC000003E,
    denied={
        **{"ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312},
        **{"add_key": 248, "request_key": 249, "keyctl": 250, "userfaultfd": 323, "vmsplice": 278},
        **{"mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308},
        **{"name_to_handle_at": 303, "open_by_handle_at": 304, "fanotify_init": 300, "quotactl": 179},
        **{"bpf": 321, "perf_event_open": 298, "personality": 135, "modify_ldt": 154, "syslog": 103},
        **{"init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246},
        **{"kexec_file_load": 320, "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163},
        **{"settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305},
        **{"iopl": 172, "ioperm": 173},
        **_ALIKE,
    },
    clone=56,
    socket=41,
    socketpair=53,
    seccomp=317,
)
AARCH64 = Calls(
    architecture=0xC00000B7,
    denied={
        **{"ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272},
        **{"add_key": 217, "request_key": 218, "keyctl": 219, "userfaultfd": 282, "vmsplice": 75},
        **{"mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268},
        **{"name_to_handle_at": 264, "open_by_handle_at": 265, "fanotify_init": 262, "quotactl": 60},
        **{"bpf": 280, "perf_event_open": 241, "personality": 92, "syslog": 116},
        **{"init_module": 105, "finit_module": 273, "delete_module": 106, "kexec_load": 104},
        **{"kexec_file_load": 294, "reboot": 142, "swapon": 224, "swapoff": 225, "acct": 89},
        **{"settimeofday": 170, "clock_settime": 112, "adjtimex": 171, "clock_adjtime": 266},
        **_ALIKE,
    },
    clone=220,
    socket=198,
    socketpair=199,
    seccomp=277,
)
CALLS: Mapping[str, Calls] = {"x86_64": X86_64, "aarch64": AARCH64}


def confine() -> None:
    """Filter the calls of this process, of all its threads, from now on.

    Raises ConfineError where that is not possible.
    """
    calls = CALLS.get(platform.machine())
    if calls is None:
        raise ConfineError(errno.ENOSYS, f"no filter of system calls is known for {platform.machine()}")
    code = program(calls)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: how many instructions, and where
    filters = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    none = ctypes.c_ulong(0)
    mode, flags = ctypes.c_ulong(SECCOMP_SET_MODE_FILTER), ctypes.c_ulong(SECCOMP_FILTER_FLAG_TSYNC)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), none, none, none) or libc.syscall(
        ctypes.c_long(calls.seccomp), mode, flags, ctypes.c_char_p(filters)
    ):
        raise ConfineError(ctypes.get_errno(), "the kernel takes no filter of system calls")


def program(calls: Calls) -> bytes:
    """The filter, in the kernel's classic BPF. Denied calls fail as for somebody without the right."""
    return b"".join(
        [
            _step(_LOAD, _ARCHITECTURE),
            _step(_EQUAL, calls.architecture, yes=1),
            _step(_RETURN, _KILL),
            _step(_LOAD, _NUMBER),
            *_answer(_step(_AT_LEAST, _X32, no=1), errno.ENOSYS),
            # glibc then uses clone, whose flags can be looked at
            *_answer(_step(_EQUAL, CLONE3, no=1), errno.ENOSYS),
            *(part for number in calls.denied.values() for part in _deny(number)),
            *_argument(calls.clone, _step(_ANY_BIT, NAMESPACES, no=1), errno.EPERM),
            *_argument(calls.socket, _step(_EQUAL, socket.AF_UNIX, yes=1), errno.EAFNOSUPPORT),
            *_argument(calls.socketpair, _step(_EQUAL, socket.AF_UNIX, yes=1), errno.EAFNOSUPPORT),
            _step(_RETURN, _ALLOW),
        ]
    )


def _deny(number: int) -> list[bytes]:
    return _answer(_step(_EQUAL, number, no=1), errno.EPERM)


def _argument(number: int, test: bytes, error: int) -> list[bytes]:
    """Of one call, look at its first argument, and answer with an error unless `test` jumps over that."""
    look = [_step(_LOAD, _FIRST_ARGUMENT), *_answer(test, error), _step(_LOAD, _NUMBER)]
    return [_step(_EQUAL, number, no=len(look)), *look]


def _answer(test: bytes, error: int) -> list[bytes]:
    return [test, _step(_RETURN, _ERRNO | error)]


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One instruction: what to do, how many to jump over where it holds and where not."""
    return struct.pack("HBBI", code, yes, no, value)
