"""What the centre's container server hands over: the jobs that ended, newest first, and who takes part."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .curves import Scores
from .features import Feature
from .metrics import COUNTS, SHARES, Sent
from .policy import Policy
from .schema import SITE_METRICS

LARGEST = 1e12
"""No number of patients, and no sum of what is measured of them, is larger."""


@dataclass(frozen=True, slots=True)
class Site:
    """A hospital: the state it last reported, and when."""

    state: str
    reported: datetime | None


@dataclass(frozen=True, slots=True)
class Run:
    """One job that ended. `history`: its rounds; `scores`: hospital -> those of the last round's model;
    `published`: hospital -> statistics, of a statistics job.
    """

    run_id: str
    job: str
    state: str
    submitted: datetime
    seconds: float | None
    rounds: int
    rounds_done: int
    version: int | None
    gates: str
    code: str
    verdicts: Sequence[str]
    """Each gate's answer as a sentence, for the centre: one may speak of one hospital."""
    card: Mapping[str, Any] | None
    """What its model card says of it besides numbers (cards.py); None for a run without a version."""
    parameters: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    scores: Mapping[str, Scores]
    features: Sequence[Feature]
    published: Mapping[str, Mapping[str, Mapping[str, Any]]]
    left_out: Mapping[str, str]
    """Hospital whose numbers no patients can have -> why: nothing of it is in the tables of this run."""

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Run":
        """One of the request's `runs`; each hospital's numbers alone, because one must not hide a run.

        Raises KeyError, TypeError, ValueError or AttributeError for other content.
        """
        progress, statistics = content["progress"], content.get("statistics") or {}
        features = Feature.read(statistics.get("features") or [])
        gates = (progress.get("gates") or {}).get("verdicts")
        version = progress.get("model_version")
        history, published = _rounds(progress.get("history") or []), statistics.get("hospitals") or {}
        scores = progress.get("scores") or {"sites": {}}
        left_out = {
            site: why
            for site in {site for entry in history for site in entry["sites"]}
            | {*published, *scores["sites"]}
            if (why := _wrong(site, history, published.get(site) or {}, features, scores))
        }
        return cls(
            run_id=content["id"],
            job=content["job"],
            state=content["state"],
            submitted=moment(content["submitted"]),
            seconds=progress.get("seconds"),
            rounds=int(progress.get("rounds", 0)),
            rounds_done=int(progress.get("rounds_done", 0)),
            version=int(version) if version else None,
            gates="-" if not gates else "passed" if progress["gates"]["passed"] else "failed",
            code=content["code"],
            verdicts=[str(text) for text in gates or ()],
            card=_card(content.get("card")),
            parameters=progress.get("parameters") or {},
            history=[{**entry, "sites": _others(entry["sites"], left_out)} for entry in history],
            scores=_scores({**scores, "sites": _others(scores["sites"], left_out)}, history),
            features=features,
            published=_others(published, left_out),
            left_out=left_out,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """The whole of it. `refused`: jobs that are left out, because what they wrote is not what it must be."""

    policy: Policy
    sites: Mapping[str, Site]
    runs: Sequence[Run]
    refused: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Request":
        """From the file. Raises KeyError, TypeError or ValueError for other content."""
        content = json.loads(path.read_text())
        runs, refused = [], {}
        for given in content["runs"]:
            try:
                runs.append(Run.read(given))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                refused[str(given["id"])] = f"{type(error).__name__}: {error}"
        return cls(
            policy=Policy(int(content["smallest_cell"])),
            sites={
                name: Site(site["state"], moment(site["reported"]) if site["reported"] else None)
                for name, site in content["sites"].items()
            },
            runs=sorted(runs, key=lambda run: run.submitted),
            refused=refused,
        )


def _card(content: Any) -> Mapping[str, Any] | None:
    """What the container server says of a run. Raises KeyError where a part is missing."""
    if not content:
        return None
    parts = ("title", "purpose", "author", "code", "hospitals", "columns", "data", "data_sets")
    return {part: content[part] for part in parts}


def _others(sites: Mapping[str, Any], left_out: Mapping[str, str]) -> dict[str, Any]:
    """What those hospitals sent that are not left out."""
    return {site: sent for site, sent in sites.items() if site not in left_out}


def _wrong(
    site: str,
    history: Sequence[Mapping[str, Any]],
    published: Mapping[str, Any],
    features: Sequence[Feature],
    scores: Mapping[str, Any],
) -> str:
    """Why nothing of what a hospital sent in a run can be used; empty where all of it can."""
    try:
        for entry in history:
            if site in entry["sites"]:
                _measured(site, entry["sites"][site])
        for key, entry in published.items():
            _check(key, entry, features)
        _scores(
            {**scores, "sites": {name: one for name, one in scores["sites"].items() if name == site}}, history
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _check(key: str, entry: Mapping[str, Any], features: Sequence[Feature]) -> None:
    """One feature's statistics. Raises TypeError or ValueError where no patients can have such numbers."""
    count, total, deviation = (entry.get(name, 0.0) for name in ("count", "sum", "stddev"))
    if not (0 <= count <= LARGEST and abs(total) <= LARGEST and 0 <= deviation <= LARGEST):
        raise ValueError(f"{key}: count {count}, sum {total} and stddev {deviation} are of no patients")
    indicators = {one.key for one in features if one.kind == "indicator"} | {one.missing for one in features}
    if key in indicators and not 0 <= total <= count:
        raise ValueError(f"{key}: {total} of {count} patients have it")
    cells = next((one.cells for one in features if one.key == key), None)
    if cells is not None and "histogram" in entry:
        counts = [number for _, _, number in entry["histogram"]]
        if len(counts) != cells or not all(0 <= number <= LARGEST for number in counts):
            raise ValueError(f"the histogram of {key} has {len(counts)} cells, described are {cells}")


def _rounds(history: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The rounds of a run. Raises KeyError, TypeError or ValueError for what is none."""
    if len({int(entry["round"]) for entry in history}) < len(history):
        raise ValueError("a round is told twice")
    return history


def _scores(sent: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> dict[str, Scores]:
    """Hospital -> scores of the last round. Raises KeyError, TypeError or ValueError for others."""
    if not sent["sites"]:
        return {}
    if not history or sent["round"] != history[-1]["round"]:
        raise ValueError("the scores are of another round than the last")
    measured: Mapping[str, Sent] = history[-1]["sites"]
    return {site: Scores.read(given, measured[site]["n_test"]) for site, given in sent["sites"].items()}


def _measured(hospital: str, sent: Sent) -> None:
    """One hospital's metrics in a round. Raises TypeError or ValueError for those of no patients."""
    if "n_test" not in sent and not SITE_METRICS.keys().isdisjoint(sent):
        raise ValueError(f"{hospital} does not say on how many test patients (n_test) it measured")
    for name in SITE_METRICS:
        value = sent.get(name, 0.0)
        least = 0 if name in (*COUNTS, *SHARES) else -LARGEST
        if not least <= value <= (1 if name in SHARES else LARGEST):
            raise ValueError(f"{name} of {hospital} is {value}")


def moment(seconds: float) -> datetime:
    """Unix time -> UTC, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)
