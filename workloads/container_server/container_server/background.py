"""Something that may take minutes, next to a loop that must not."""

import threading
from collections.abc import Callable
from typing import final


@final
class Background:
    """An action on a thread of its own, once at a time."""

    def __init__(self, action: Callable[[], None], patience: float):
        self._action = action
        self._patience = patience
        """Seconds that the loop waits for one that it starts: most end at once."""
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def step(self) -> bool:
        """Start it, or look whether the one that runs has ended; whether it has. Raises what it raised."""
        if self._thread is None:
            self._error = None
            self._thread = threading.Thread(target=self._run, name="background", daemon=True)
            self._thread.start()
            self._thread.join(self._patience)
        if self._thread.is_alive():
            return False
        self._thread = None
        if self._error is not None:
            raise self._error
        return True

    def _run(self) -> None:
        try:
            self._action()
        except Exception as error:  # the loop's to judge
            self._error = error
