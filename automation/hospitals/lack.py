"""What preflight finds missing, before it is known whose it is."""

from dataclasses import dataclass

from automation.stacks.arm import Answer


@dataclass(frozen=True, kw_only=True)
class Lack:
    """What is not there, why that matters, and the command that helps."""

    what: str
    why: str
    fix: str


def unreadable(answer: Answer, what: str) -> Lack:
    """Return what Azure refused to show; a refusal is never taken for an empty answer."""
    return Lack(
        what=what,
        why=f"Azure says {answer.error}",
        fix="let an owner of the subscription grant at least Reader, or try again when Azure answers",
    )
