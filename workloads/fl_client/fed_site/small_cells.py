"""Rules for small numbers of patients: pure functions over counts, no NVFlare.

A published count of 1 to k-1 patients may point at a person. Two ways to avoid it: `hide` puts 0 in place
of small cells (histograms people read), `spread` shares small cells out among their neighbours (histograms
that are summed).
"""

from collections.abc import Sequence


def hide(counts: Sequence[int], k: int) -> list[int]:
    """Counts with each of 1..k-1 replaced by 0, and as many more as keep the hidden ones from being worked
    out.

    Who knows the total could subtract the visible cells: so the smallest visible cells are hidden too until
    what is hidden is at least k patients in at least two cells, or nothing is left to hide.
    """
    hidden = {cell for cell, count in enumerate(counts) if 0 < count < k}
    visible = sorted((count, cell) for cell, count in enumerate(counts) if count >= k)
    while hidden and visible and (len(hidden) < 2 or sum(counts[cell] for cell in hidden) < k):
        hidden.add(visible.pop(0)[1])
    return [0 if cell in hidden else count for cell, count in enumerate(counts)]


def spread(counts: Sequence[float], k: int) -> list[float]:
    """Counts in which neighbouring cells are joined until each group holds 0 or at least k, then share it
    equally.

    The sum stays the same unless all cells together are fewer than k: then all are 0.
    """
    groups: list[tuple[list[int], float]] = []
    cells: list[int] = []
    total = 0.0
    for cell, count in enumerate(counts):
        cells.append(cell)
        total += count
        if total == 0 or total >= k:
            groups.append((cells, total))
            cells, total = [], 0.0
    while total and groups:  # the last cells were too few: join them with the group before
        before, count = groups.pop()
        cells, total = before + cells, total + count
        if total >= k:
            break
    if total >= k:
        groups.append((cells, total))
    shared = [0.0] * len(counts)
    for members, count in groups:
        for cell in members:
            shared[cell] = count / len(members)
    return shared


def gives_away_few(count: float, total: float, k: int) -> bool:
    """Whether a sum looks like that of an indicator with 1..k-1 patients on one side.

    The sum of a 0/1 column is a count of patients; a whole number between 0 and the count is treated as one.
    """
    if not 0 <= total <= count or total != round(total):
        return False
    return 0 < total < k or 0 < count - total < k
