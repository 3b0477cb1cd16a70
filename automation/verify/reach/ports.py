"""Sets of ports as sorted, disjoint, closed ranges: exact over all 65,536 without holding any of them."""

from collections.abc import Iterable

Range = tuple[int, int]
Ports = tuple[Range, ...]

EVERY: Ports = ((0, 65535),)
NONE: Ports = ()


def ports(*texts: str) -> Ports:
    """Read Azure's notation: ``443``, ``8000-8010``, ``*``."""
    found: list[Range] = []
    for text in texts:
        low, _, high = ("0-65535" if text == "*" else text).partition("-")
        found.append((int(low), int(high or low)))
    return union(found)


def union(ranges: Iterable[Range]) -> Ports:
    """Return the ports in any of the ranges."""
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def intersection(a: Ports, b: Ports) -> Ports:
    """Return the ports in both sets."""
    return tuple(
        (max(low, other_low), min(high, other_high))
        for low, high in a
        for other_low, other_high in b
        if max(low, other_low) <= min(high, other_high)
    )


def difference(a: Ports, b: Ports) -> Ports:
    """Return the ports of `a` that are not in `b`."""
    left = list(a)
    for other_low, other_high in b:
        cut: list[Range] = []
        for low, high in left:
            if high < other_low or low > other_high:
                cut.append((low, high))
                continue
            if low < other_low:
                cut.append((low, other_low - 1))
            if high > other_high:
                cut.append((other_high + 1, high))
        left = cut
    return tuple(left)


def text(found: Ports) -> str:
    """Return a set of ports as people write it."""
    if found == EVERY:
        return "every port"
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in found) or "no port"
