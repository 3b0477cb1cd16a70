"""System calls that Python 3.11 does not offer, and network namespaces held open by a file descriptor.

A namespace without a name under /run/netns needs no mount, is invisible to everybody else, and goes when the
process that holds it goes, however that process dies.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from emulator.datacentre.errors import DatacentreError

CLONE_NEWNET = 0x40000000

MS_NOSUID = 2
MS_NODEV = 4

_SIOCGIFFLAGS = 0x8913
_IFF_RUNNING = 0x40
_OWN_NET = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces (unshare(2))."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Move the calling thread into the namespace behind a file descriptor (setns(2))."""
    _check(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """Mount a file system, or bind or remount one (mount(2))."""
    encoded = [text.encode() if text is not None else None for text in (source, target, kind)]
    options = data.encode() if data is not None else None
    _check(_libc.mount(*encoded, ctypes.c_ulong(flags), options), f"mount {source} on {target}")


class Namespace:
    """A network namespace, alive until `close` or the end of the process."""

    def __init__(self, name: str) -> None:
        """Make a new one; `name` only appears in error messages."""
        self.name = name
        here = os.open(_OWN_NET, os.O_RDONLY | os.O_CLOEXEC)
        try:
            unshare(CLONE_NEWNET)
            try:
                self.descriptor = os.open(_OWN_NET, os.O_RDONLY | os.O_CLOEXEC)
            finally:
                setns(here, CLONE_NEWNET)
        finally:
            os.close(here)
        self.sysctl("net.ipv4.ip_forward", "0")  # a new one does what the machine does: where Docker runs, 1

    @property
    def path(self) -> str:
        """A path by which other processes of the sandbox can open it."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Run the block inside: sockets made in it stay there. The whole thread has moved: await nothing."""
        here = os.open(_OWN_NET, os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(self.descriptor, CLONE_NEWNET)
            try:
                yield
            finally:
                setns(here, CLONE_NEWNET)
        finally:
            os.close(here)

    def socket(self, kind: socket.SocketKind, address: str = "", port: int = 0) -> socket.socket:
        """Return a non-blocking IPv4 socket inside; with a port, bound (and listening, for a stream)."""
        with self.entered():
            made = socket.socket(socket.AF_INET, kind)
        try:
            made.setblocking(False)
            if port:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.bind((address, port))
                if kind == socket.SOCK_STREAM:
                    made.listen(256)
        except OSError:
            made.close()
            raise
        return made

    def ip(self, commands: Sequence[str]) -> None:
        """Run `ip -batch` inside; raises DatacentreError with the command that failed."""
        with self.entered():
            ran = subprocess.run(
                ["ip", "-batch", "-"],  # noqa: S607 iproute2 is in /sbin or /usr/sbin
                input="\n".join(commands) + "\n",
                text=True,
                capture_output=True,
                check=False,
            )
        if ran.returncode:
            raise DatacentreError(f"network namespace {self.name}: ip refused: {ran.stderr.strip()}")

    def running(self, interface: str) -> bool:
        """Say whether an interface carries packets already: the kernel needs a moment after it was set up."""
        request = struct.pack("16s16x", interface.encode())
        with self.socket(socket.SOCK_DGRAM) as any_socket:
            answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        return bool(struct.unpack("16xh", answer[:18])[0] & _IFF_RUNNING)

    def sysctl(self, name: str, value: str) -> None:
        """Set a network parameter inside, such as ``net.ipv4.ip_forward``."""
        with self.entered(), open("/proc/sys/" + name.replace(".", "/"), "w") as file:  # noqa: PTH123
            file.write(value)

    def nft(self, rules: str) -> str:
        """Load an nftables file inside; return what nft says against it, empty when it took it."""
        with self.entered():
            done = subprocess.run(
                ["nft", "-f", "-"],  # noqa: S607 nft is in /usr/sbin
                input=rules,
                text=True,
                capture_output=True,
                check=False,
            )
        return done.stderr if done.returncode else ""

    def close(self) -> None:
        """Let go of it; the kernel removes it when no process is left inside."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
