"""What is wrong with a stack's settings, told to the person who must fix it.

It does not decide what is wrong: see `settings.py` (values) and `rules.py` (values that do not go together).
"""

from collections.abc import Sequence
from typing import Any

from federation.problem import Problem

SHOWN_VALUE_LENGTH = 120


def violation(*, key: str, value: Any, why: str, fix: str) -> Problem:
    """One wrong setting: its key, what it says, what it would have broken and how to fix it."""
    return Problem(where=key, what=_shown(value), why=why, fix=fix)


class SettingsError(Exception):
    """Every violation of one stack at once. `str()` is ready to print; `violations` is for programs."""

    def __init__(self, source: str, violations: Sequence[Problem]) -> None:
        self.source = source
        self.violations = tuple(violations)
        super().__init__(self._message())

    def _message(self) -> str:
        count = len(self.violations)
        what = "1 setting is wrong" if count == 1 else f"{count} settings are wrong"
        numbered = (f"{number}. {found}" for number, found in enumerate(self.violations, start=1))
        return "\n".join([f"{self.source}: {what}; nothing was planned.", *numbered])


class _Nothing:
    """Stands for a key that is not there, which is not the same as a key that says null."""

    def __repr__(self) -> str:
        return "(not set)"


NOT_SET = _Nothing()


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) and value.strip() == value and value else repr(value)
    return text if len(text) <= SHOWN_VALUE_LENGTH else f"{text[:SHOWN_VALUE_LENGTH]}..."
