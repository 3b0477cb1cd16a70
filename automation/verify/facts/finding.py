"""What verification found: one difference between what is meant and what is, with its cause and its fix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from federation.problem import Problem, words


class Kind(StrEnum):
    """How a difference matters."""

    OPEN = "open"
    """Something is possible that nobody intended."""
    WEAKENED = "weakened"
    """Still impossible, but one of the protections that should each stop it alone does not."""
    MISSING = "missing"
    """Something intended is impossible."""
    UNKNOWN = "unknown"
    """Something whose effect is not understood, so that nothing can be promised about it."""


@dataclass(frozen=True, kw_only=True)
class Finding(Problem):
    """One difference.

    ``proof`` is the part of verification that found it (graph, policy, identity, names, packets, live),
    ``rule`` the check or policy that failed: `controls` says what each protects against.
    ``where`` names the rule or property that causes it, as ``<resource>: <rule>``.
    """

    kind: Kind
    proof: str
    rule: str

    def __str__(self) -> str:
        return words(f"[{self.kind}] {self.what}\n   Cause: {self.where}", why=self.why, fix=self.fix)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was found at one place, what nobody looked at and who can, and what the centre said of its
    jobs.
    """

    findings: tuple[Finding, ...]
    unseen: tuple[str, ...] = ()
    counted: Sequence[Mapping[str, Any]] = ()
