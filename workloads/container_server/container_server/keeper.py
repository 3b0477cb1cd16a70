"""Keeps the managed container running: only this service starts it, after a look at its kit."""

from container_server.cadence import Cadence
from container_server.clock import Clock
from container_server.engine import Engine

LASTS_SECONDS = 60.0
"""A container that ran for longer than this had started well: its next end is no part of a series."""


class Keeper:
    """Starts and stops one container. Its restart policy is `no`: Docker's own would start it unlooked at.

    A start soon after the one before waits: one second, then twice as long each time, up to LASTS_SECONDS.
    """

    def __init__(self, engine: Engine, clock: Clock, name: str) -> None:
        self._engine = engine
        self._clock = clock
        self._name = name
        self._turn = Cadence(clock, 0.0, longest_pause=LASTS_SECONDS)
        self.started_at: float | None = None
        """Unix time of the last start; None while it was not started, or was stopped since."""
        self.restarts = 0
        """How often it was started again since it last ran for long."""

    def start(self) -> bool:
        """Start it if it is its turn; whether it was. Raises EngineUnreachableError."""
        if self.started_at is not None and self._clock.now() - self.started_at > LASTS_SECONDS:
            self._forget()
        if not self._turn.due():
            return False
        self._turn.failed()
        self._engine.start(self._name)
        self.restarts += self.started_at is not None
        self.started_at = self._clock.now()
        return True

    def restart(self) -> None:
        """Stop and start it. Raises EngineUnreachableError."""
        self._forget()
        self._engine.restart(self._name)
        self.started_at = self._clock.now()

    def stop(self) -> None:
        """Stop it and keep it stopped. Raises EngineUnreachableError."""
        self._engine.stop(self._name)
        self._forget()

    def _forget(self) -> None:
        self._turn.succeeded()
        self.started_at, self.restarts = None, 0
