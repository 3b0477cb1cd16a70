"""The Pulumi engine as this clone runs it: found, started, interrupted."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from pulumi.automation import CommandError, CommandResult, OnOutput, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from automation.machine.setup import build
from automation.machine.setup import engine as prepared
from automation.ui.outcome import FedError


class EngineKilledError(CommandError):
    """A signal ended the engine, and nobody had interrupted it from here."""

    def __init__(self, result: CommandResult, signal_name: str) -> None:
        super().__init__(result)
        self.signal_name = signal_name


class Engine(PulumiCommand):
    """The engine that `./fed` prepared, found on the PATH of the environment that it is given.

    It runs in a process group of its own and learns of an interrupt (Ctrl-C, a cancelled CI job) once, from
    here: it then finishes what it is doing, records it and ends. A second interrupt makes it end at once.
    `on_interrupt` is told of the first.
    """

    def __init__(self) -> None:
        executable = prepared.chosen()
        if executable is None:
            raise FedError("this clone has no Pulumi engine yet: start fed as ./fed, which prepares one")
        self.folder: Path = executable.parent
        self.command = executable.name
        self.version = VersionInfo.parse(build.pinned_version())
        self.interrupted = False
        self.on_interrupt: Callable[[], None] = lambda: None

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Run a Pulumi command; raise CommandError when it fails."""
        # Where interrupts are handled, the engine starts with the default for them, even where a shell that
        # put `fed` into the background made it ignore them.
        with self._interrupts_handled() as running, self._started(args, cwd, additional_env) as process:
            running.append(process)
            if self.interrupted:
                process.send_signal(signal.SIGINT)
            assert process.stdout and process.stderr  # noqa: S101 both are pipes
            output: list[str] = []
            errors: list[str] = []
            readers = [
                threading.Thread(target=_read, args=reading)
                for reading in ((process.stdout, output, on_output), (process.stderr, errors, on_error))
            ]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            code = process.wait()
        result = CommandResult(stdout="\n".join(output), stderr="\n".join(errors), code=code)
        if code < 0 and not self.interrupted:
            raise EngineKilledError(result, signal.Signals(-code).name)
        if code:
            raise create_command_error(result)
        return result

    def _started(
        self, args: list[str], cwd: str, additional_env: Mapping[str, str]
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603 no shell
            [self.command, *args, "--non-interactive"],
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        )

    @contextmanager
    def _interrupts_handled(self) -> Iterator[list["subprocess.Popen[str]"]]:
        """Pass interrupts on to the processes of the list that is returned."""
        running: list[subprocess.Popen[str]] = []

        def forward(number: int, frame: FrameType | None) -> None:
            if not self.interrupted:
                self.interrupted = True
                self.on_interrupt()
            for process in running:
                process.send_signal(signal.SIGINT)

        if threading.current_thread() is not threading.main_thread():
            yield running  # only the main thread gets signals
            return
        before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield running
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _read(stream: IO[str], lines: list[str], each: OnOutput | None) -> None:
    for line in stream:
        lines.append(line.rstrip())
        if each:
            each(lines[-1])
