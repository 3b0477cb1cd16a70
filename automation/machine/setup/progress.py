"""Shows what long preparation is doing: what, for how long, how long it usually takes.

On a terminal one line a task is repainted in place; elsewhere (CI, a pipe) a line says when a task starts,
is still busy (every `HEARTBEAT` seconds) and ends. Everything goes to standard error, so that the output of
``eval "$(./fed env)"`` stays clean. Standard library only: rich is among what is being installed.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TextIO

REPAINT = 0.2
HEARTBEAT = 20.0


@dataclass
class Task:
    """One thing that is being prepared; `usually` is a hint for people, such as ``"about 4 minutes"``."""

    name: str
    usually: str
    started: float = field(default_factory=time.monotonic)
    doing: str = ""
    outcome: str = ""
    ended: float = 0.0

    def say(self, doing: str) -> None:
        """Replace the words that tell what the task is doing now."""
        self.doing = doing

    def line(self) -> str:
        """Return the task as one line."""
        seconds = int((self.ended or time.monotonic()) - self.started)
        elapsed = f"{seconds // 60}:{seconds % 60:02}"
        if self.outcome:
            return f"{self.name}: {self.outcome} ({elapsed})"
        return f"{self.name}: {self.doing or 'starting'} ({elapsed}, usually {self.usually})"


class Progress:
    """A context in which tasks are shown; threads may open tasks at the same time."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._tasks: list[Task] = []
        self._painted = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._painter = threading.Thread(target=self._paint_until_ended, daemon=True)

    def __enter__(self) -> "Progress":
        self._painter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._painter.join()
        if self._live:
            self._repaint()

    @contextmanager
    def task(self, name: str, usually: str) -> Iterator[Task]:
        """Show a task while the block runs; an exception marks it failed and goes on upwards."""
        task = Task(name, usually)
        with self._lock:
            self._tasks.append(task)
        self._announce(task)
        try:
            yield task
        except BaseException:
            self._finish(task, "failed")
            raise
        self._finish(task, task.doing or "done")

    def _finish(self, task: Task, outcome: str) -> None:
        task.ended = time.monotonic()
        task.outcome = outcome
        self._announce(task)

    def _announce(self, task: Task) -> None:
        if not self._live:
            print(f"fed: {task.line()}", file=self._stream, flush=True)

    def _paint_until_ended(self) -> None:
        while not self._ended.wait(REPAINT if self._live else HEARTBEAT):
            if self._live:
                self._repaint()
            else:
                for task in [task for task in self._tasks if not task.outcome]:
                    self._announce(task)

    def _repaint(self) -> None:
        with self._lock:
            up = f"\x1b[{self._painted}A" if self._painted else ""
            lines = "".join(f"\r\x1b[2Kfed: {task.line()}\n" for task in self._tasks)
            self._painted = len(self._tasks)
        self._stream.write(up + lines)
        self._stream.flush()
