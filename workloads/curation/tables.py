"""All curated tables, for the centre and for each hospital, as rows by the schema."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import curves, hospital_statistics, metrics
from . import policy as rules
from .curves import Curve, Merged
from .features import Described, Feature, Value, hidden
from .federation_statistics import pooled
from .hospital_statistics import HospitalStatistics
from .metrics import HospitalMetrics, Measured
from .request import Request, Run
from .schema import CURVES, FEDERATION, FEDERATION_METRICS, SITE_METRICS, STATISTICS, TABLES

CENTRE = "centre"
Row = dict[str, Any]
Tables = dict[str, list[Row]]
"""Table -> rows."""


@dataclass(slots=True)
class Curated:
    """What one run says: of each hospital to others, of each to itself, and of the federation."""

    run: Run
    shown: Mapping[str, Mapping[str, Described]]
    own: Mapping[str, Mapping[str, Described]]
    pooled: Mapping[str, Described]
    rounds: list[tuple[Mapping[str, Any], dict[str, dict[str, Measured]]]] = field(default_factory=list)
    curves: dict[str, Merged | str | None] = field(default_factory=dict)
    """Hospital -> its scores as they may be seen; the reason where its metrics may not; None: too few."""


def curate(request: Request) -> dict[str, Tables]:
    """Party (`centre` or a hospital) -> its tables."""
    statistics = {name: HospitalStatistics(request.policy) for name in request.sites}
    measured = {name: HospitalMetrics(request.policy) for name in request.sites}
    curated = [_curate(run, statistics, measured) for run in request.runs]
    return {party: _tables(request, curated, party) for party in (CENTRE, *sorted(request.sites))}


def _curate(
    run: Run, statistics: Mapping[str, HospitalStatistics], measured: Mapping[str, HospitalMetrics]
) -> Curated:
    shown = {
        site: statistics[site].judge(run.features, published)
        for site, published in sorted(run.published.items())
        if site in statistics
    }
    own = {site: hospital_statistics.own(run.features, run.published[site]) for site in shown}
    together = {
        feature.key: pooled(feature, {site: described[feature.key] for site, described in shown.items()})
        for feature in run.features
    }
    result = Curated(run, shown, own, together)
    judged = {
        site: iter(judge.judge([entry["sites"][site] for entry in run.history if site in entry["sites"]]))
        for site, judge in measured.items()
    }
    for entry in run.history:
        sites = {site: next(judged[site]) for site in sorted(entry["sites"]) if site in judged}
        result.rounds.append((entry, sites))
    for site, scores in sorted(run.scores.items()):
        if site in measured:
            counted = result.rounds[-1][1][site]["n_test"].value
            result.curves[site] = counted.reason or curves.merged(scores, measured[site].policy)
    return result


def _tables(request: Request, curated: list[Curated], party: str) -> Tables:
    tables: Tables = {
        "dim_site": list(_sites(request, curated, party)),
        "dim_feature": list(_features(curated)),
        "dim_run": list(_runs(request, curated)),
        "fact_statistics": [row for run in curated for row in _statistics(run, party)],
        "fact_histogram": [row for run in curated for row in _histograms(run, party)],
        "fact_metric": [row for run in curated for row in _metrics(run, party)],
        "fact_curve": [row for run in curated for row in _curves(run, party)],
        "access": [
            {"principal": party, "site_key": site}
            for site in (FEDERATION, *sorted(request.sites))
            if party in (CENTRE, site) or site == FEDERATION
        ],
    }
    assert set(tables) == set(TABLES)  # noqa: S101 - one list of tables, in the schema
    return tables


def label_of(site: str) -> str:
    """`va-long-beach` -> `VA Long Beach`."""
    words = site.split("-")
    return " ".join(word.upper() if len(word) <= 2 else word.capitalize() for word in words)


def _sites(request: Request, curated: list[Curated], party: str) -> Iterator[Row]:
    patients = _patients(curated, party)
    yield {
        "site_key": FEDERATION,
        "site_label": "Federation",
        "kind": "federation",
        "sort_order": 0,
        "is_own": False,
        "state": "-",
        "reported_at": None,
        "patients": None,
    }
    for order, (name, site) in enumerate(sorted(request.sites.items()), 1):
        visible = party in (CENTRE, name)
        yield {
            "site_key": name,
            "site_label": label_of(name),
            "kind": "hospital",
            "sort_order": order,
            "is_own": name == party,
            "state": site.state if visible else "-",
            "reported_at": site.reported if visible else None,
            "patients": patients.get(name),
        }


def _patients(curated: list[Curated], party: str) -> dict[str, int]:
    """Patients by hospital, as far as the newest statistics show them to `party`."""
    found: dict[str, int] = {}
    for one in curated:
        newest: dict[str, int] = {}
        for site, _, described, _ in _views(one, party):
            if count := described.statistics["count"].value:
                newest[site] = max(round(count), newest.get(site, 0))
        found |= newest
    return found


def _features(curated: list[Curated]) -> Iterator[Row]:
    features = {feature.key: feature for one in curated for feature in one.run.features}
    for order, feature in enumerate(features.values()):
        yield {
            "feature_key": feature.key,
            "feature_label": feature.label,
            "kind": feature.kind,
            "unit": feature.unit,
            "low": float(feature.low),
            "high": float(feature.high),
            "decimals": feature.decimals,
            "sort_order": order,
        }


def _runs(request: Request, curated: list[Curated]) -> Iterator[Row]:
    numbers: dict[str, int] = {}
    latest = {run.job: run.run_id for run in request.runs if run.state == "finished"}
    for run in (one.run for one in curated):
        numbers[run.job] = number = numbers.get(run.job, 0) + 1
        ended = "" if run.state == "finished" else f" ({run.state})"
        yield {
            "run_key": run.run_id,
            "run_label": f"{run.job} {number}, {run.submitted.day} {run.submitted:%b}{ended}",
            "job": run.job,
            "number": number,
            "state": run.state,
            "started_at": run.submitted,
            "seconds": run.seconds,
            "rounds": run.rounds,
            "rounds_done": run.rounds_done,
            "model_version": run.version,
            "gates": run.gates,
            "code_version": run.code,
            "parameters": ", ".join(f"{name}={value}" for name, value in run.parameters.items()) or "-",
            "privacy_policy": request.policy.text,
            "smallest_cell": request.policy.k,
            "is_latest": latest.get(run.job) == run.run_id,
        }


def _views(one: Curated, party: str) -> Iterator[tuple[str, Feature, Described, bool]]:
    """Site, feature, what `party` sees of it, and whether every hospital sees that."""
    for feature in one.run.features:
        yield FEDERATION, feature, one.pooled[feature.key], True
        shared = one.pooled[feature.key].shown
        for site in one.shown:
            described = one.shown[site][feature.key]
            if site == party:
                yield site, feature, one.own[site][feature.key], False
            elif party == CENTRE or shared:
                yield site, feature, described, shared
            else:
                reason = described.statistics["count"].reason if not described.shown else ""
                yield site, feature, hidden(feature, reason or rules.FEW_HOSPITALS), True


def _statistics(one: Curated, party: str) -> Iterator[Row]:
    for site, feature, described, shared in _views(one, party):
        for statistic in STATISTICS:
            yield {
                **_place(one, site, feature),
                "statistic": statistic,
                **_value("value", described.statistics[statistic]),
                "is_shared": shared,
                "hospitals": described.hospitals,
            }


def _histograms(one: Curated, party: str) -> Iterator[Row]:
    for site, feature, described, shared in _views(one, party):
        for number, ((low, high), cell) in enumerate(zip(feature.grid, described.cells, strict=True)):
            yield {
                **_place(one, site, feature),
                "cell": number,
                "cell_label": _cell_label(feature, number, low, high),
                "low": low,
                "high": high,
                **_value("count", cell.count),
                "share": cell.share,
                "is_shared": shared,
            }


def _metrics(one: Curated, party: str) -> Iterator[Row]:
    last = one.rounds[-1][0]["round"] if one.rounds else None
    for entry, sites in one.rounds:
        rows: list[tuple[str, dict[str, Measured], bool]] = [(FEDERATION, _federation(entry, sites), True)]
        for site, shown in sites.items():
            if party == CENTRE:
                rows.append((site, shown, False))
            elif site == party:
                rows.append((site, metrics.own(entry["sites"][site]), False))
        for site, measured, shared in rows:
            labels = FEDERATION_METRICS if site == FEDERATION else SITE_METRICS
            for name, value in measured.items():
                yield {
                    "run_key": one.run.run_id,
                    "site_key": site,
                    "model": one.run.job,
                    "version": one.run.version,
                    "round": int(entry["round"]),
                    "is_final": entry["round"] == last,
                    "metric": name,
                    "metric_label": labels[name].label,
                    **_value("value", value.value),
                    "n": value.n,
                    "low": value.low,
                    "high": value.high,
                    "is_shared": shared,
                }


def _curves(one: Curated, party: str) -> Iterator[Row]:
    if not one.curves:
        return
    seen = [known for known in one.curves.values() if not isinstance(known, str)]
    found: list[tuple[str, Mapping[str, Curve], bool]] = [(FEDERATION, curves.federation(seen), True)]
    for site, known in one.curves.items():
        if site == party:
            found.append((site, curves.own(one.run.scores[site]), False))
        elif party == CENTRE:
            found.append((site, _seen_by_centre(known), False))
    for site, drawn, shared in found:
        for name, curve in drawn.items():
            for number, point in enumerate(curve.points or (None,)):
                yield {
                    "run_key": one.run.run_id,
                    "site_key": site,
                    "model": one.run.job,
                    "curve": name,
                    "point": number,
                    **{column: getattr(point, column, None) for column in ("x", "y", "n", "low", "high")},
                    "suppressed": point is None,
                    "reason": curve.reason,
                    "is_shared": shared,
                }


def _seen_by_centre(known: Merged | str | None) -> Mapping[str, Curve]:
    return dict.fromkeys(CURVES, Curve(reason=known)) if isinstance(known, str) else curves.shown(known)


def _federation(entry: Mapping[str, Any], sites: Mapping[str, Mapping[str, Measured]]) -> dict[str, Measured]:
    found = metrics.federation(sites)
    if entry.get("seconds") is not None:
        found["seconds"] = Measured(Value(float(entry["seconds"])))
    found["hospitals"] = Measured(Value(float(len(entry["sites"]))))
    return found


def _place(one: Curated, site: str, feature: Feature) -> Row:
    return {
        "run_key": one.run.run_id,
        "site_key": site,
        "feature_key": feature.key,
        "dataset": "patients",
    }


def _value(name: str, value: Value) -> Row:
    number = None if value.value is None else float(value.value)
    return {name: number, "suppressed": number is None, "reason": value.reason}


def _cell_label(feature: Feature, number: int, low: float, high: float) -> str:
    if feature.kind == "indicator":
        return ("no", "yes")[number]
    return f"{(low + high) / 2:g}" if feature.whole else f"{low:g} to {high:g}"
