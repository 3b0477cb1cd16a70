"""Attacks on the curated tables: each reads only rows and says what hidden thing it worked out.

An attacker knows the rules. `slack` is how far a published count may be from the truth: 2 in our tables,
which round to 5, and 0 where nothing is rounded.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]
Tables = Mapping[str, Rows]

FEDERATION = "federation"
MANY = 10**6


class Reader:
    """The tables of one party, by run, site and feature."""

    def __init__(self, tables: Tables):
        self.runs = [row["run_key"] for row in tables["dim_run"] if row["job"] == "statistics"]
        self.k = max((row["smallest_cell"] for row in tables["dim_run"]), default=0)
        self.features = [row["feature_key"] for row in tables["dim_feature"]]
        self.sites = [row["site_key"] for row in tables["dim_site"] if row["kind"] == "hospital"]
        self.values: dict[tuple[str, str, str, str], float | None] = {}
        self.reasons: dict[tuple[str, str, str, str], str] = {}
        for row in tables["fact_statistics"]:
            key = (row["run_key"], row["site_key"], row["feature_key"], row["statistic"])
            self.values[key], self.reasons[key] = row["value"], row["reason"]
        self.cells: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
        for row in tables["fact_histogram"]:
            self.cells.setdefault((row["run_key"], row["site_key"], row["feature_key"]), []).append(row)

    def total(self, run: str, site: str, feature: str) -> float | None:
        """Count times mean, where both are known."""
        count, mean = (self.values.get((run, site, feature, name)) for name in ("count", "mean"))
        return None if count is None or mean is None else count * mean


def subtract_cells(reader: Reader, slack: float) -> Iterator[tuple[str, str, str, int, int]]:
    """Total minus visible cells: (run, site, feature, cell, patients) of hidden cells that are certain."""
    for (run, site, feature), cells in reader.cells.items():
        total = reader.values.get((run, site, feature, "count"))
        hidden = [cell for cell in cells if cell["count"] is None]
        if site == FEDERATION or total is None or not hidden:
            continue
        visible = [cell["count"] for cell in cells if cell["count"] is not None]
        low = total - sum(visible) - slack * (1 + len(visible))
        high = total - sum(visible) + slack * (1 + len(visible))
        ranges = {cell["cell"]: _range(cell["reason"], reader.k) for cell in hidden}
        for number, (least, most) in ranges.items():
            others = [bounds for other, bounds in ranges.items() if other != number]
            at_least = max(least, low - sum(most for _, most in others))
            at_most = min(most, high - sum(least for least, _ in others))
            if at_least == at_most > 0:
                yield run, site, feature, number, round(at_least)


def subtract_sites(reader: Reader) -> Iterator[tuple[str, str, str, float]]:
    """Federation minus visible hospitals: (run, the hidden one, feature, patients)."""
    for run, feature in itertools.product(reader.runs, reader.features):
        whole = reader.values.get((run, FEDERATION, feature, "count"))
        counts = {
            site: reader.values[run, site, feature, "count"]
            for site in reader.sites
            if (run, site, feature, "count") in reader.values
        }
        hidden = [site for site, count in counts.items() if count is None]
        if whole is None or len(hidden) != 1:
            continue
        left = whole - sum(count for count in counts.values() if count is not None)
        if left > 0:
            yield run, hidden[0], feature, left


def subtract_site_cells(reader: Reader) -> Iterator[tuple[str, str, str, int, float]]:
    """The federation's cell minus the visible hospitals': what is left is of the one that hides it."""
    for run, feature in itertools.product(reader.runs, reader.features):
        whole = reader.cells.get((run, FEDERATION, feature), [])
        parts = {
            site: reader.cells[run, site, feature]
            for site in reader.sites
            if reader.values.get((run, site, feature, "count")) is not None
        }
        for number, cell in enumerate(whole):
            hidden = [site for site, cells in parts.items() if cells[number]["count"] is None]
            if cell["count"] is None or len(hidden) != 1:
                continue
            visible = sum(cells[number]["count"] for site, cells in parts.items() if site not in hidden)
            yield run, hidden[0], feature, number, cell["count"] - visible


def subtract_runs(reader: Reader, slack: float) -> Iterator[tuple[str, str, float, float]]:
    """One run minus another, at a site: (site, feature, patients between them, their mean).

    With rounded counts, for each number of patients that is possible.
    """
    for first, second in itertools.combinations(reader.runs, 2):
        for site, feature in itertools.product([*reader.sites, FEDERATION], reader.features):
            before, after = reader.total(first, site, feature), reader.total(second, site, feature)
            counts = [reader.values.get((run, site, feature, "count")) for run in (first, second)]
            if before is None or after is None or before == after or None in counts:
                continue
            difference = float(counts[1] or 0) - float(counts[0] or 0)
            for between in range(1, reader.k):
                if abs(difference - between) <= 2 * slack:
                    yield site, feature, between, (after - before) / between


def subtract_memberships(reader: Reader) -> Iterator[tuple[str, float]]:
    """The federation with a hospital minus the federation without it: (feature, its patients)."""
    for first, second in itertools.combinations(reader.runs, 2):
        for feature in reader.features:
            counts = [reader.values.get((run, FEDERATION, feature, "count")) for run in (first, second)]
            shown = [
                {
                    site
                    for site in reader.sites
                    if reader.values.get((run, site, feature, "count")) is not None
                }
                for run in (first, second)
            ]
            if None not in counts and shown[0] == shown[1] and counts[0] != counts[1]:
                yield feature, abs(float(counts[1] or 0) - float(counts[0] or 0))


def missing_category(
    reader: Reader, columns: Mapping[str, Sequence[str]], slack: float
) -> Iterator[tuple[str, str, str, int]]:
    """All patients minus known categories and missing: (run, site, column, patients left over)."""
    for run, site in itertools.product(reader.runs, reader.sites):
        for column, features in columns.items():
            count = reader.values.get((run, site, features[0], "count"))
            shares = [reader.values.get((run, site, feature, "mean")) for feature in features]
            shares.append(reader.values.get((run, site, features[0], "missing")))
            if count is None or None in shares:
                continue
            left = count - sum(round(float(share or 0) * count) for share in shares)
            low, high = left - slack * (1 + len(shares)), left + slack * (1 + len(shares))
            possible = [number for number in range(reader.k) if low <= number <= high]
            if len(possible) == 1 and high < reader.k and possible[0]:
                yield run, site, column, possible[0]


def patients_behind_a_mean(mean: float, decimals: int, counts: Sequence[int]) -> list[int]:
    """Of these numbers of patients, those with which a mean of whole numbers can look like this."""
    half = 0.5 * 10.0**-decimals
    return [count for count in counts if round((mean - half) * count + 0.4999999) <= (mean + half) * count]


def moments(reader: Reader, feature: str) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """A feature with one value a cell: count, mean and deviation are equations over its hidden cells."""
    for (run, site, key), cells in reader.cells.items():
        count, mean, deviation = (
            reader.values.get((run, site, key, name)) for name in ("count", "mean", "stddev")
        )
        hidden = [cell for cell in cells if cell["count"] is None]
        if key != feature or site == FEDERATION or not 0 < len(hidden) < len(cells):
            continue
        if count is None or mean is None or deviation is None:
            continue
        known = [(cell["cell"], cell["count"]) for cell in cells if cell["count"] is not None]
        left = round(count - sum(number for _, number in known))
        found = []
        for guess in _divisions(left, len(hidden)):
            whole = [*known, *((cell["cell"], number) for cell, number in zip(hidden, guess, strict=True))]
            average = sum(value * number for value, number in whole) / count
            squares = sum(number * (value - average) ** 2 for value, number in whole)
            if abs(average - mean) < 1e-9 and abs((squares / (count - 1)) ** 0.5 - deviation) < 1e-9:
                found.append(guess)
        if len(found) == 1:
            yield run, site, found[0]


def subtract_own(
    shared: Mapping[str, Sequence[float]], own: Mapping[str, Mapping[str, Any]], total: float, k: int
) -> Iterator[tuple[str, int]]:
    """A hospital's whole container, not only its tables: (feature, the others' patients who have it).

    The federation's means that are shared for scaling, times all patients, minus its own; where that is
    certain and few. A mean tells how finely it is given by its own digits.
    """
    for feature, (mean, _) in shared.items():
        if feature not in own or not 0 <= mean <= 1:
            continue
        half = 0.5 * 10.0 ** -len(f"{mean!r}".partition(".")[2])
        low, high = ((mean + side) * total - own[feature]["sum"] for side in (-half, half))
        possible = [number for number in range(int(total)) if low <= number <= high]
        if len(possible) == 1 and 0 < possible[0] < k:
            yield feature, possible[0]


def _range(reason: str, k: int) -> tuple[float, float]:
    """What a reason alone says of a hidden number of patients."""
    if reason == "fewer than k patients":
        return 1, k - 1
    return (k, MANY) if reason == "would give a hidden cell away" else (0, MANY)


def _divisions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _divisions(total - first, parts - 1):
            yield (first, *rest)


def curve_counts(tables: Tables, run: str, site: str) -> dict[str, list[float]]:
    """Patients between neighbouring points of a curve, by the published test patients and prevalence.

    `positive` and `negative` of a ROC curve; `ill` and `healthy` of a calibration's groups.
    """
    metrics = {
        row["metric"]: row["value"]
        for row in tables["fact_metric"]
        if (row["run_key"], row["site_key"], row["is_final"]) == (run, site, True)
    }
    points: dict[str, list[Mapping[str, Any]]] = {"roc": [], "calibration": []}
    for row in tables["fact_curve"]:
        if (row["run_key"], row["site_key"], row["suppressed"]) == (run, site, False):
            points[row["curve"]].append(row)
    ill = metrics["n_test"] * metrics["prevalence"]
    return {
        "negative": [
            (b["x"] - a["x"]) * (metrics["n_test"] - ill) for a, b in itertools.pairwise(points["roc"])
        ],
        "positive": [(b["y"] - a["y"]) * ill for a, b in itertools.pairwise(points["roc"])],
        "ill": [row["n"] * row["y"] for row in points["calibration"]],
        "healthy": [row["n"] * (1 - row["y"]) for row in points["calibration"]],
    }
