"""When to do something again: at an interval while it works, ever more slowly while it fails."""

from dataclasses import dataclass, field

from container_server.clock import Clock


@dataclass
class Cadence:
    """One recurring activity.

    After `succeeded()` it is due again in `interval` seconds. After each `failed()` the pause doubles, from
    `first_pause` to `longest_pause`; no jitter: a hospital asks only its own container.
    """

    clock: Clock
    interval: float
    first_pause: float = 1.0
    longest_pause: float = 60.0
    _due_at: float = field(default=0.0, init=False)
    _failures: int = field(default=0, init=False)

    def due(self) -> bool:
        """Whether it is time."""
        return self.clock.now() >= self._due_at

    def succeeded(self, interval: float | None = None) -> None:
        """It worked: next time after the interval (or, this once, another one)."""
        self._failures = 0
        self._due_at = self.clock.now() + (self.interval if interval is None else interval)

    def failed(self) -> None:
        """It did not: wait longer than the last time."""
        self._due_at = self.clock.now() + min(self.first_pause * 2**self._failures, self.longest_pause)
        self._failures += 1

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._failures > 0

    def at_once(self) -> None:
        """Due now."""
        self._due_at = 0.0
