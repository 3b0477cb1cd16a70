"""Becomes a container: a private root made by a whitelist, no capabilities, then the program.

Started by `runtime` inside fresh mount, pid and ipc namespaces as ``container.py SPEC`` (a JSON file of a
`Spec`). This process stays as the container's init: it passes signals on, reaps orphans, and ends with the
program's exit code. Standard library only: every container pays for what is imported here.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
CAPABILITIES = 64
ROOT = "/run/fed-container"
HOST_FILES = (
    "nsswitch.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "protocols",
    "services", "alternatives",
)  # fmt: skip
"""What of the machine's /etc a container sees."""
READ_ONLY_PROC = ("sys", "sysrq-trigger", "irq", "bus", "fs")
MASKED_PROC = ("kcore", "keys", "timer_list", "latency_stats", "sched_debug")
"""What of /proc lets even uid 0 without capabilities change or read the machine (Docker masks the same)."""
DEVICES = ("null", "zero", "full", "random", "urandom")

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise OSError with the reason when a system call failed."""
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, data: str = "") -> None:
    """Mount, bind or remount (mount(2))."""
    words = [word.encode() if word else None for word in (source, target, kind)]
    check(libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None), f"mount {source} on {target}")


def bind(source: str, target: str, *, read_only: bool = True) -> None:
    """Show a file or folder of the machine at a place below the new root."""
    if os.path.isdir(source):  # noqa: PTH112 no pathlib here: it doubles the start-up time
        os.makedirs(target, exist_ok=True)  # noqa: PTH103
    elif not os.path.exists(target):  # noqa: PTH110
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        os.close(os.open(target, os.O_CREAT | os.O_RDONLY, 0o644))
    mount(source, target, None, BIND | REC)
    if read_only:
        mount(None, target, None, BIND | REMOUNT | RDONLY | NOSUID)


def make_root(spec: dict[str, Any]) -> None:
    """Build the root file system and move into it; nothing else of the machine stays visible."""
    mount(None, "/", None, REC | PRIVATE)
    os.makedirs(ROOT, exist_ok=True)  # noqa: PTH103
    mount("tmpfs", ROOT, "tmpfs", NOSUID, "mode=755")
    bind("/usr", f"{ROOT}/usr")
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        if os.path.islink(f"/{name}"):  # noqa: PTH114
            os.symlink(os.readlink(f"/{name}"), f"{ROOT}/{name}")  # noqa: PTH115, PTH211
        elif os.path.isdir(f"/{name}"):  # noqa: PTH112
            bind(f"/{name}", f"{ROOT}/{name}")
    if not spec["python"].startswith("/usr/"):
        bind(spec["python"], ROOT + spec["python"])
    os.makedirs(f"{ROOT}/etc", exist_ok=True)  # noqa: PTH103
    for name in HOST_FILES:
        if os.path.exists(f"/etc/{name}"):  # noqa: PTH110
            bind(f"/etc/{name}", f"{ROOT}/etc/{name}")
    for path, text in spec["etc"].items():
        os.makedirs(os.path.dirname(ROOT + path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(ROOT + path, "w") as file:  # noqa: PTH123
            file.write(text)
    make_devices()
    for path, options in {"/tmp": "", "/dev/shm": "", **dict(spec["tmpfs"])}.items():  # noqa: S108 its own
        make_scratch(path, options.split(","))
    for source, target, read_only in spec["mounts"]:
        bind(source, ROOT + target, read_only=read_only)
    os.makedirs(ROOT + spec["working_dir"], exist_ok=True)  # noqa: PTH103
    enter_root(read_only=spec["read_only"])


def make_scratch(path: str, options: list[str]) -> None:
    """Give the root memory to write to, which goes with the container."""
    os.makedirs(ROOT + path, exist_ok=True)  # noqa: PTH103
    size = next((one for one in options if one.startswith("size=")), "size=1g")
    flags = NOSUID | NODEV | (NOEXEC if "noexec" in options else 0)
    mount("tmpfs", ROOT + path, "tmpfs", flags, f"mode=1777,{size}")


def make_devices() -> None:
    """Give the root its own /proc and the harmless devices."""
    for name in ("proc", "run", "root", "dev", "var/tmp", "var/lib"):
        os.makedirs(f"{ROOT}/{name}", exist_ok=True)  # noqa: PTH103
    for name in DEVICES:
        bind(f"/dev/{name}", f"{ROOT}/dev/{name}", read_only=False)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{ROOT}/dev/{name}")  # noqa: PTH211
    mount("proc", f"{ROOT}/proc", "proc", NOSUID | NODEV)
    for name in READ_ONLY_PROC:
        if os.path.exists(f"{ROOT}/proc/{name}"):  # noqa: PTH110
            bind(f"{ROOT}/proc/{name}", f"{ROOT}/proc/{name}")
    for name in MASKED_PROC:
        if os.path.exists(f"{ROOT}/proc/{name}"):  # noqa: PTH110
            bind("/dev/null", f"{ROOT}/proc/{name}")


def enter_root(*, read_only: bool) -> None:
    """Make the new root the only one."""
    os.makedirs(f"{ROOT}/.old", exist_ok=True)  # noqa: PTH103
    os.chdir(ROOT)
    check(libc.syscall(PIVOT_ROOT[os.uname().machine], b".", b".old"), "pivot_root")
    os.chdir("/")
    check(libc.umount2(b"/.old", MNT_DETACH), "umount the old root")
    os.rmdir("/.old")  # noqa: PTH106
    if read_only:
        mount(None, "/", None, BIND | REMOUNT | RDONLY | NOSUID)


def drop_rights(spec: dict[str, Any]) -> None:
    """Become the container's user, with the capabilities it is given and no way to gain any."""
    kept = spec["capabilities"]
    if spec["processes"] is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (spec["processes"], spec["processes"]))
    for number in range(CAPABILITIES):
        if number not in kept:
            libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    if spec["user"] is not None:
        uid, gid = spec["user"]
        os.setgroups(spec["groups"])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    low = sum(1 << number for number in kept)
    check(libc.capset(header, (ctypes.c_uint32 * 6)(low, low, low)), "capset")


def run(spec: dict[str, Any]) -> int:
    """Run the program to its end as its init; return the exit code, 128 + n after signal n."""
    if spec["ready"] is not None:
        os.set_inheritable(spec["ready"], False)
    program = os.fork()
    if program == 0:
        os.chdir(spec["working_dir"])
        try:
            os.execvpe(spec["command"][0], spec["command"], spec["environment"])  # noqa: S606
        except OSError as error:
            sys.stderr.write(f"{spec['command'][0]}: {error.strerror}\n")
            os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda received, _: os.kill(program, received))
    if spec["ready"] is not None:
        os.write(spec["ready"], b"1")
        os.close(spec["ready"])
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            return 0
        if pid == program:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def main() -> None:
    """Become what the specification in the first argument says."""
    with open(sys.argv[1]) as file:  # noqa: PTH123
        spec = json.load(file)
    os.unlink(sys.argv[1])  # noqa: PTH108
    os.umask(0o022)
    make_root(spec)
    drop_rights(spec)
    sys.exit(run(spec))


if __name__ == "__main__":
    main()
