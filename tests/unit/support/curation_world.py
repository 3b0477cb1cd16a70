"""Requests to the curation as the real data would give them: the jobs' own code, without NVFlare."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from fed_server.binary_classifier import summarise_round
from fed_server.contribution import Contribution
from fed_site.small_cells import gives_away_few, hide, spread

from tests.unit.support.heart_features import NUMERIC, Array, described, features_of
from workloads.data import heart_data, readmission_data
from workloads.jobs.heart.heart_job import model
from workloads.jobs.readmission.readmission_job import model as readmission

HOSPITALS = ("cleveland", "hungary", "va-long-beach")
START = 1_795_000_000.0


def patients(hospital: str) -> dict[str, Array]:
    """A hospital's rows: column -> values, NaN where missing."""
    return dict(model.read_patients(heart_data.seed(hospital).decode()).columns)


def published(rows: Mapping[str, Array], *, protected: bool = True) -> dict[str, dict[str, Any]]:
    """What a hospital sends after its own policy (`fed_site.own_statistics`)."""
    found: dict[str, dict[str, Any]] = {}
    for name, values in features_of(rows).items():
        count, total = len(values), float(values.sum())
        if protected and (count < 10 or gives_away_few(count, total, 5)):
            continue
        cells, low, high = NUMERIC.get(name, (2, -0.5, 1.5))
        counts, edges = np.histogram(np.clip(values, low, high), bins=cells, range=(low, high))
        found[name] = {"count": count, "sum": total, "stddev": float(values.std(ddof=1))}
        shown = hide([int(one) for one in counts], 5) if protected else [int(one) for one in counts]
        if count >= cells * 10 or not protected:
            found[name]["histogram"] = [list(one) for one in zip(edges[:-1], edges[1:], shown, strict=True)]
    return found


def statistics_run(number: int, hospitals: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A finished statistics job."""
    return {
        "id": f"{number:08x}-0000-4000-8000-000000000000",
        "job": "statistics",
        "state": "finished",
        "submitted": START + 3600 * number,
        "code": "abc1234",
        "progress": {
            "rounds": 0,
            "rounds_done": 0,
            "seconds": 12.5,
            "history": [],
            "gates": {"passed": True},
        },
        "statistics": {"features": described(), "hospitals": hospitals},
    }


def training_run(number: int, names: Sequence[str] = HOSPITALS, rounds: int = 10) -> dict[str, Any]:
    """A finished heart job: federated averaging over the hospitals' rows."""
    files = {name: model.read_patients(heart_data.seed(name).decode()) for name in names}
    scaling = model.Scaling.of(model.join(list(files.values())))
    designs = {name: model.design(file, scaling) for name, file in files.items()}
    own = {name: _own(file) for name, file in files.items()}
    weights, history = np.zeros(1 + len(model.FEATURES)), []
    for current in range(rounds + 1):
        sent = {name: _measured(files[name], designs[name], weights, own[name]) for name in names}
        contributions = {name: Contribution(metrics, hist, {}) for name, (metrics, hist) in sent.items()}
        history.append(
            {
                "round": current,
                "seconds": 1.5 + 0.1 * (current % 3),
                "sites": {name: metrics for name, (metrics, _) in sent.items()},
                "global": summarise_round(contributions, "healthy", "ill"),
            }
        )
        steps = [
            model.descend(designs[name][~file.test], file.labels[~file.test], weights, 5)
            for name, file in files.items()
        ]
        weights = np.average(steps, axis=0, weights=[int((~file.test).sum()) for file in files.values()])
    return {
        "id": f"{number:08x}-0000-4000-8000-000000000000",
        "job": "heart",
        "state": "finished",
        "submitted": START + 3600 * number,
        "code": "abc1234",
        "progress": {
            "rounds": rounds,
            "rounds_done": rounds,
            "seconds": 31.0,
            "history": history,
            "gates": {"passed": True, "verdicts": ["mean_site_auc_gain 0.02, at least 0.0"]},
            "scores": {"round": rounds, "sites": {name: scores_of(hist) for name, (_, hist) in sent.items()}},
            "model_version": str(number),
            "parameters": {"steps": 5},
        },
    }


def scores_of(histograms: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Score histograms as a hospital's airlock lets them out, and as the tracker tells of them."""
    names = {"negative": "healthy", "positive": "ill"}
    return {side: spread(histograms[name], 5) for side, name in names.items()}


def readmission_run(number: int, names: Sequence[str] = HOSPITALS, rounds: int = 3) -> dict[str, Any]:
    """A finished readmission job, over the made-up patients of another data set."""
    files = {name: readmission.read_patients(readmission_data.seed(name).decode()) for name in names}
    designs = {name: readmission.design(file.columns) for name, file in files.items()}
    own = {name: _trained(files[name], designs[name], np.zeros(readmission.SIZE), 200) for name in names}
    weights, history = np.zeros(readmission.SIZE), []
    for current in range(rounds + 1):
        sent = {name: _ranked(files[name], designs[name], weights, own[name]) for name in names}
        history.append({"round": current, "seconds": 1.0, "sites": sent, "global": {}})
        weights = np.mean([_trained(files[name], designs[name], weights, 15) for name in names], axis=0)
    run = statistics_run(number, {})
    return run | {
        "job": "readmission",
        "statistics": None,
        "progress": run["progress"] | {"rounds": rounds, "rounds_done": rounds, "history": history},
    }


def two_data_sets() -> dict[str, Any]:
    """Statistics, one heart job and one readmission job over the three hospitals."""
    return request(*everything()["runs"], readmission_run(3))


def request(*runs: Mapping[str, Any], k: int = 10, hospitals: Sequence[str] = HOSPITALS) -> dict[str, Any]:
    """What the container server hands over."""
    sites = {name: {"state": "running", "reported": START + 60.0} for name in hospitals}
    return {"smallest_cell": k, "sites": sites, "runs": list(runs)}


def everything() -> dict[str, Any]:
    """One statistics and one heart job over the three hospitals."""
    rows = {name: published(patients(name)) for name in HOSPITALS}
    return request(statistics_run(1, rows), training_run(2))


def _trained(file: readmission.Patients, features: Array, weights: Array, steps: int) -> Array:
    train = ~file.test
    return readmission.descend(features[train], file.days[train], file.event[train], weights, steps)


def _ranked(file: readmission.Patients, design: Array, weights: Array, own: Array) -> dict[str, float]:
    days, event, tested = file.days[file.test], file.event[file.test], design[file.test]
    together, alone = (
        readmission.concordance(days, event, readmission.risk(tested, one)) for one in (weights, own)
    )
    return {
        "concordance": together,
        "own_concordance": alone,
        "concordance_gain": together - alone,
        "loss": readmission.loss(tested, days, event, weights),
        "n_test": float(file.test.sum()),
        "n_train": float((~file.test).sum()),
    }


def _own(file: model.Patients) -> dict[str, float]:
    features = model.design(file, model.Scaling.of(file))
    weights = model.solve(features[~file.test], file.labels[~file.test])
    measured = model.evaluate(file.labels[file.test], model.predict(features[file.test], weights))
    return {f"own_{name}": measured[name] for name in ("auc", "accuracy", "brier")}


def _measured(
    file: model.Patients, design: Array, weights: Array, own: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, list[float]]]:
    labels, scores = file.labels[file.test], model.predict(design[file.test], weights)
    metrics = {
        **model.evaluate(labels, scores),
        **own,
        "n_train": float((~file.test).sum()),
        "n_test": float(file.test.sum()),
        "prevalence": float(file.labels.mean()),
    }
    histograms = {
        "healthy": model.score_histogram(labels, scores, 0),
        "ill": model.score_histogram(labels, scores, 1),
    }
    return {name: value for name, value in metrics.items() if np.isfinite(value)}, histograms
