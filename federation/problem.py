"""What a person is told who has to act: where, what, why it matters, and what to do about it.

Every message of this repository about a problem has this form, whichever part of it found the problem.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is wrong or missing. `where` is a setting, a subscription, a rule of a resource."""

    where: str
    what: str
    why: str
    fix: str

    def __str__(self) -> str:
        return words(f"{self.where}: {self.what}", why=self.why, fix=self.fix)


def words(what: str, *, why: str, fix: str) -> str:
    """Return the text of a problem; `what` says where, too."""
    return f"{what}\n   Why it matters: {why}\n   Fix: {fix}"
