"""How much questions may put into a hospital's record: a day's worth, whatever the centre sends.

The record keeps what it gets. Without a bound a hostile centre could fill the hospital's account, 20 MB a
question and 50 questions a look.
"""

from typing import Final, final

from container_server.clock import Clock

DAY: Final = 86_400.0
MOST_QUESTIONS: Final = 200
"""In 24 hours, of known code or new."""
MOST_BYTES: Final = 200 * 1024 * 1024
"""Of code, in 24 hours."""
FULL: Final = (
    f"the centre has asked more than {MOST_QUESTIONS} times, or with more than {MOST_BYTES >> 20} MB of code,"
    " within a day: the rest is put before the officers later"
)


@final
class Intake:
    """`taken` is what was taken before: Unix times with bytes of code."""

    def __init__(self, clock: Clock, taken: list[tuple[float, int]]):
        self._clock = clock
        self._taken = taken

    @property
    def taken(self) -> list[tuple[float, int]]:
        """Of the last 24 hours."""
        since = self._clock.now() - DAY
        self._taken = [(moment, size) for moment, size in self._taken if moment > since]
        return self._taken

    @property
    def full(self) -> bool:
        """Whether no question is taken now."""
        taken = self.taken
        return len(taken) >= MOST_QUESTIONS or sum(size for _, size in taken) >= MOST_BYTES

    def take(self, size: int) -> None:
        """Count a question that came with so many bytes of code; the last one may lead beyond the bound."""
        self._taken.append((self._clock.now(), size))
