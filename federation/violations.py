"""What is wrong with a stack's settings, told to the person who must mend it.

It does not decide what is wrong: see `settings.py` (values) and `rules.py` (values that do not go together).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SHOWN_VALUE_LENGTH = 120


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One wrong setting: where it stands, what it says, what it would have broken and how to mend it."""

    key: str
    value: Any
    consequence: str
    mend: str

    def __str__(self) -> str:
        return (
            f"{self.key} = {_shown(self.value)}\n   Why it matters: {self.consequence}\n   Mend: {self.mend}"
        )


class SettingsError(Exception):
    """Every violation of one stack at once. `str()` is ready to print; `violations` is for programs."""

    def __init__(self, source: str, violations: Sequence[Violation]) -> None:
        self.source = source
        self.violations = tuple(violations)
        super().__init__(self._message())

    def _message(self) -> str:
        count = len(self.violations)
        what = "1 setting is wrong" if count == 1 else f"{count} settings are wrong"
        numbered = (f"{number}. {violation}" for number, violation in enumerate(self.violations, start=1))
        return "\n".join([f"{self.source}: {what}; nothing was planned.", *numbered])


class _Nothing:
    """Stands for a key that is not there, which is not the same as a key that says null."""

    def __repr__(self) -> str:
        return "(not set)"


NOT_SET = _Nothing()


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) and value.strip() == value and value else repr(value)
    return text if len(text) <= SHOWN_VALUE_LENGTH else f"{text[:SHOWN_VALUE_LENGTH]}..."
