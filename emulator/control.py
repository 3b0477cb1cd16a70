"""Starts, finds and ends the emulator's daemon, for all who need it: `fed` command, tests, the datacentre.

Imports nothing heavy, since every `fed` command passes here.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clone import paths
from emulator.record import Record, code_state

START_SECONDS = 30.0
STOP_SECONDS = 10.0
ANSWER_SECONDS = 5.0
_LOG_LINES = 15


class EmulatorError(Exception):
    """The daemon cannot be started, reached or removed; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """A daemon that answered when this handle was made.

    `home` is the folder of its files (FED_HOME of its process), `root` the clone whose code it runs.
    """

    root: Path
    home: Path
    record: Record

    @classmethod
    def ensure(cls, root: Path | None = None, fed_home: Path | None = None) -> Emulator:
        """Return the running daemon of a home, started now when there is none.

        `root` is the clone (this one by default), `fed_home` the home (`paths.home()` by default). A daemon
        whose sources have changed since is replaced, unless an engine is using it; one that was started
        before its home was moved is replaced in any case, as it serves the place before. Two callers at
        once get the same daemon. Raises EmulatorError with the end of the log when it does not come up in
        30 s.
        """
        root = root or paths.REPOSITORY
        home = (fed_home or paths.home()).resolve()
        found = cls.running(root, home)
        if found and (found.is_elsewhere or (found.record.code != code_state() and not found.instances())):
            found.stop()
            found = None
        return found or cls._start(root, home)

    @classmethod
    def running(cls, root: Path | None = None, fed_home: Path | None = None) -> Emulator | None:
        """Return the daemon of a home if it runs and answers, else None."""
        home = (fed_home or paths.home()).resolve()
        record = Record.load(_below(home, paths.daemon_file()))
        if record is None or not record.alive():
            return None
        found = cls(root or paths.REPOSITORY, home, record)
        try:
            found.instances()
        except (OSError, ValueError):
            return None
        return found

    @classmethod
    def _start(cls, root: Path, home: Path) -> Emulator:
        log = _below(home, paths.daemon_log())
        paths.private_folder(log.parent)
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "emulator.daemon"],
                cwd=root,
                env={**os.environ, "FED_HOME": str(home), "PYTHONDONTWRITEBYTECODE": ""},  # start fast again
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if found := cls.running(root, home):
                if found.record.pid != process.pid:  # ours must not begin when this one has been ended
                    process.kill()
                    process.wait()
                return found
            if process.poll() not in {None, 0}:  # 0: another caller's daemon was first
                raise EmulatorError(_did_not_start(log, f"ended with exit code {process.returncode}"))
            time.sleep(0.01)
        process.kill()
        process.wait()
        if holder := _holder(log.with_name("daemon.lock")):
            raise EmulatorError(
                f"the emulator's daemon (pid {holder}) runs but does not answer, so nothing can be deployed. "
                f"End it and try again: kill {holder}"
            )
        raise EmulatorError(_did_not_start(log, f"did not answer within {START_SECONDS:.0f} s"))

    @property
    def is_elsewhere(self) -> bool:
        """Whether the daemon was started when its home was in another place."""
        return self.record.backend != paths.file_backend(self.backend)

    @property
    def backend(self) -> Path:
        """The folder of the Pulumi file backend that its stacks live in."""
        return _below(self.home, paths.backend())

    def instances(self) -> list[str]:
        """Return the packages of the provider instances in use; raise OSError when the daemon is gone."""
        token = _below(self.home, paths.plugin_token()).read_text()
        host, _, port = self.record.plugins.partition(":")
        with socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(f"{token}\t?\t\t\n".encode())
            answer = connection.makefile().readline()
        instances: list[str] = json.loads(answer)["instances"]
        return instances

    def environment(self, engine: Path | None = None) -> dict[str, str]:
        """Return the environment in which Pulumi deploys to this emulator.

        `engine` is the folder of the `pulumi` executable to use; without it the caller's PATH decides. The
        value of PATH is complete; everything else of the caller's environment may stay as it is.
        """
        folders = [
            self.root / "emulator" / "plugins" / "bin",
            self.root / "engine" / "bin",
            *([engine] if engine else []),
        ]
        return {
            "PATH": os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)]),
            "FED_HOME": str(self.home),
            "ARM_RESOURCE_MANAGER_ENDPOINT": self.record.arm,
            "FED_RESOURCE_MANAGER_CERTIFICATES": str(_below(self.home, paths.authority())),
            "FED_EMULATOR": self.record.plugins,
            "FED_EMULATOR_TOKEN_FILE": str(_below(self.home, paths.plugin_token())),
            "PULUMI_BACKEND_URL": self.record.backend,
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
        }

    def ssl_context(self) -> Any:
        """Return an ssl.SSLContext that trusts the emulator's authority and nobody else."""
        import ssl  # noqa: PLC0415

        return ssl.create_default_context(cafile=self.authority())

    def authority(self) -> Path:
        """Return the certificate (PEM) of the authority that signs the emulator's endpoints."""
        return _below(self.home, paths.authority())

    def stop(self) -> None:
        """End the daemon and wait until it is gone; what it stored stays."""
        if not self.record.alive():
            return
        try:
            process = os.pidfd_open(self.record.pid)
        except ProcessLookupError:
            return
        try:
            for ended_by, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
                signal.pidfd_send_signal(process, ended_by)
                if select.select([process], [], [], seconds)[0]:
                    return
        except ProcessLookupError:
            return
        finally:
            os.close(process)
        raise EmulatorError(
            f"the emulator's daemon (pid {self.record.pid}) does not end, not even when killed."
        )

    @classmethod
    def destroy(cls, fed_home: Path | None = None, *, force: bool = False) -> None:
        """End the daemon of a home, if it runs, and remove every file of the emulator and of its stacks.

        Refuses with EmulatorError while a stack holds resources or an engine is at work, unless forced.
        """
        home = (fed_home or paths.home()).resolve()
        backend = _below(home, paths.backend())
        found = cls.running(fed_home=home)
        if not force:
            if left := {name: count for name, count in stacks(backend).items() if count}:
                named = ", ".join(f"{name} ({count})" for name, count in left.items())
                raise EmulatorError(
                    f"these emulated stacks still hold resources: {named}. Their state would be lost while "
                    "the resources may still run. Destroy them first (./fed down), or force it."
                )
            if found and found.instances():
                raise EmulatorError("an engine is using the emulator right now. Wait for it, or force it.")
        if found:
            found.stop()
        for folder in (_below(home, paths.emulator()), backend, _below(home, paths.datacentre())):
            if folder.exists():
                shutil.rmtree(folder)


def stacks(backend: Path) -> dict[str, int]:
    """Return the stacks of a Pulumi file backend and how many resources each holds, providers not counted."""
    return {
        f"{file.parent.name}/{file.stem}": len(list(_resources(file)))
        for file in sorted((backend / ".pulumi" / "stacks").glob("*/*.json"))
    }


def _resources(checkpoint: Path) -> list[dict[str, Any]]:
    latest = json.loads(checkpoint.read_text())["checkpoint"].get("latest") or {}
    return [
        resource
        for resource in latest.get("resources") or ()
        if resource.get("custom") and not resource["type"].startswith("pulumi:")
    ]


def _below(home: Path, default: Path) -> Path:
    """Return where a path of this process's home is in another home."""
    return home / default.relative_to(paths.home())


def _holder(lock: Path) -> str | None:
    """Return the pid of the daemon that holds the lock of a home, None when nobody does."""
    with lock.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read_text().strip()
    return None


def _did_not_start(log: Path, what: str) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return f"the emulator's daemon {what}. The end of {log}:\n  " + "\n  ".join(lines)
