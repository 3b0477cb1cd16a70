"""The one exception of preparation, and running a command so that its failure becomes one."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class ProblemError(Exception):
    """Something that a person must fix; the text says what, why and how."""


def _end_with_parent() -> None:
    """Let the kernel end the child when this process is killed: an orphan would build on for minutes."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    each_line: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Run a command without input and return the lines of its output and errors, in order.

    `each_line` sees every line as it comes. `env` is added to the environment. Raises ProblemError with the
    command's last lines when it cannot start or exits with anything but 0.
    """
    lines: list[str] = []
    try:
        process = subprocess.Popen(  # noqa: S603 fixed commands, no shell
            [str(word) for word in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=_end_with_parent,  # noqa: PLW1509 the call is async-signal-safe
        )
    except OSError as error:
        raise ProblemError(f"{command[0]}: {error.strerror}") from error
    with process:
        assert process.stdout is not None  # noqa: S101 for the type checker: stdout is a pipe
        for line in process.stdout:
            lines.append(line.rstrip())
            each_line(lines[-1])
    if process.returncode:
        tail = "\n".join(f"    {line}" for line in lines[-8:])
        raise ProblemError(f"{Path(command[0]).name} ended with {process.returncode}:\n{tail}")
    return lines
