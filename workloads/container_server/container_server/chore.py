"""What a loop does again and again: each thing alone, so that nothing ends the loop or holds up another."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from container_server.cadence import Cadence
from container_server.errors import ContainerServerError
from container_server.log import say


@dataclass
class Chore:
    """One thing to do: `what`, for whom (`owner`, empty for the VM itself), and when.

    `action` may return the seconds until the next time, where that is not the cadence's interval. Whatever
    it raises is this chore's trouble: said once, shown in the status, tried again ever more slowly.
    """

    what: str
    cadence: Cadence
    action: Callable[[], float | None]
    owner: str = ""
    trouble: str = field(default="", init=False)
    """Why the last attempt failed; empty when it did not."""

    def run(self) -> None:
        """Do it if it is time."""
        if self.cadence.due():
            self.attempt()

    def attempt(self) -> None:
        """Do it now."""
        try:
            pause = self.action()
        except Exception as error:  # an input that nobody foresaw must not end the loop: it is told instead
            self._failed(error)
        else:
            self._succeeded(pause)

    def _failed(self, error: Exception) -> None:
        self.cadence.failed()
        known = isinstance(error, ContainerServerError)
        trouble = str(error) if known else f"{type(error).__name__}: {str(error)[:300]}"
        if trouble != self.trouble:
            trace = {} if known else {"trace": traceback.format_exception(error)[-3:]}
            say("trouble", what=self.what, owner=self.owner, reason=trouble, **trace)
        self.trouble = trouble

    def _succeeded(self, pause: float | None) -> None:
        self.cadence.succeeded(pause)
        if self.trouble:
            say("trouble over", what=self.what, owner=self.owner)
        self.trouble = ""
