"""The chain of resources that a deployment cannot be faster than.

Each resource waits for those that it depends on. The longest chain of durations is the critical path: more
parallel work, a faster machine or another order make nothing shorter than it
(https://en.wikipedia.org/wiki/Critical_path_method).
"""

from collections.abc import Iterable

from automation.timeline.run import Step


def critical_path(steps: Iterable[Step]) -> list[Step]:
    """Return the longest chain by duration, first step first; empty for no steps."""
    found = {step.urn: step for step in steps}
    reaches: dict[str, float] = {}
    before: dict[str, str | None] = {}
    # What a resource depends on has ended before it began, so the order of beginnings is an order of
    # dependencies, and no chain can be in a circle.
    for step in sorted(found.values(), key=lambda each: (each.began, each.ended)):
        earlier = [urn for urn in step.after if urn in reaches]
        longest = max(earlier, key=reaches.__getitem__, default=None)
        before[step.urn] = longest
        reaches[step.urn] = step.seconds + (reaches[longest] if longest else 0.0)
    chain: list[Step] = []
    urn = max(reaches, key=reaches.__getitem__, default=None)
    while urn is not None:
        chain.append(found[urn])
        urn = before[urn]
    return chain[::-1]


def length(chain: Iterable[Step]) -> float:
    """Return the seconds of a chain."""
    return sum(step.seconds for step in chain)
