"""Nothing hidden can be worked out of the curated tables; out of the same tables without the rules it can.

The attacks are in red_team.py. Each is first shown to succeed where its rule is switched off, so that a test
that finds nothing says something.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fed_server.pooling import pool, scaling
from fed_server.sharing import for_hospitals
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.support import curation_world as world
from tests.unit.support import red_team
from tests.unit.support.heart_features import described
from workloads.curation import curves, hospital_statistics, metrics
from workloads.curation import policy as rules
from workloads.curation.request import Request, Run, Site, moment
from workloads.curation.tables import curate

Rows = dict[str, np.ndarray[Any, Any]]
SLACK = 2.0
COLUMNS: dict[str, list[str]] = {}
for _feature in described():
    if _feature["kind"] == "indicator":
        COLUMNS.setdefault(str(_feature["column"]), []).append(str(_feature["key"]))


def tables(content: Mapping[str, Any], party: str = "centre") -> red_team.Tables:
    request = Request(
        policy=rules.Policy(content["smallest_cell"]),
        sites={
            name: Site(site["state"], moment(site["reported"])) for name, site in content["sites"].items()
        },
        runs=[Run.read(run) for run in content["runs"]],
    )
    return curate(request)[party]


@pytest.fixture
def unprotected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides small numbers one by one, and does nothing else."""

    def only_small(counts: Mapping[str, float], rest: float, policy: rules.Policy) -> dict[str, str]:
        return {cell: rules.FEW for cell, count in counts.items() if policy.small(count)}

    def exact(count: float) -> float:
        return count

    monkeypatch.setattr(rules, "hide", only_small)
    monkeypatch.setattr(rules, "changed_too_little", lambda now, before, policy: False)
    monkeypatch.setattr(rules, "MINIMUM_HOSPITALS", 1)
    monkeypatch.setattr(hospital_statistics, "rounded", exact)
    monkeypatch.setattr(metrics, "rounded", exact)
    monkeypatch.setattr(hospital_statistics, "SHARE_DECIMALS", 15)


def hospital(patients: int, seed: int, **few: int) -> Rows:
    """A hospital with random patients; `few`: column -> how many have its rarest value."""
    random = np.random.default_rng(seed)
    rows: Rows = {
        "age": random.integers(30, 80, patients).astype(float),
        "trestbps": random.integers(90, 200, patients).astype(float),
        "chol": random.integers(120, 500, patients).astype(float),
        "thalch": random.integers(70, 200, patients).astype(float),
        "oldpeak": random.integers(0, 40, patients) / 10,
        "ca": random.choice([0.0, 1.0, 2.0], patients, p=[0.5, 0.3, 0.2]),
        "sex": random.integers(0, 2, patients).astype(float),
        "fbs": random.integers(0, 2, patients).astype(float),
        "exang": random.integers(0, 2, patients).astype(float),
        "disease": random.integers(0, 2, patients).astype(float),
        "cp": random.choice([1.0, 2.0, 3.0], patients),
        "restecg": random.choice([1.0, 2.0], patients),
        "slope": random.choice([1.0, 2.0], patients),
        "thal": random.choice([3.0, 6.0], patients),
    }
    rare = {"cp": 4.0, "slope": 3.0, "ca": 3.0, "age": 88.0}
    for column, number in few.items():
        rows[column][:number] = rare.get(column, np.nan)
    return rows


def run(number: int, hospitals: Mapping[str, Rows], *, protected: bool = True) -> dict[str, Any]:
    sent = {name: world.published(rows, protected=protected) for name, rows in hospitals.items()}
    return world.statistics_run(number, sent)


def three(**more: Rows) -> dict[str, Rows]:
    return {"a": hospital(200, 1), "b": hospital(180, 2), "c": hospital(150, 3), **more}


def ask(*runs: Mapping[str, Any], names: Sequence[str] = ("a", "b", "c")) -> red_team.Reader:
    return red_team.Reader(tables(world.request(*runs, hospitals=names)))


class TestCells:
    """Of one histogram, by its total."""

    HOSPITALS = three(a=hospital(200, 1, age=7))

    def test_attack_works(self, unprotected: None) -> None:
        found = list(red_team.subtract_cells(ask(run(1, self.HOSPITALS, protected=False)), 0))
        assert ("a", "age", 7) in {(site, feature, patients) for _, site, feature, _, patients in found}

    @pytest.mark.parametrize("protected", [True, False], ids=["hospital protects too", "curation alone"])
    def test_attack_finds_nothing(self, protected: bool) -> None:
        reader = ask(run(1, self.HOSPITALS, protected=protected))
        assert any(cell["count"] is None for cell in reader.cells[reader.runs[0], "a", "age"])
        assert not list(red_team.subtract_cells(reader, SLACK))


class TestSites:
    """Of one hospital, by the federation's total: NVFlare's global counts who withheld the mean."""

    HOSPITALS = three(d=hospital(8, 4))
    NAMES = ("a", "b", "c", "d")

    def test_attack_works(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reader = ask(run(1, self.HOSPITALS, protected=False), names=self.NAMES)
        key = (reader.runs[0], red_team.FEDERATION, "age", "count")
        reader.values[key] = (reader.values[key] or 0) + 8  # as NVFlare sums
        assert (reader.runs[0], "d", "age", 8) in list(red_team.subtract_sites(reader))

    def test_attack_finds_nothing(self) -> None:
        reader = ask(run(1, self.HOSPITALS, protected=False), names=self.NAMES)
        assert reader.values[reader.runs[0], red_team.FEDERATION, "age", "count"] is not None
        assert reader.values[reader.runs[0], "d", "age", "count"] is None
        assert not list(red_team.subtract_sites(reader))

    def test_cell_attack_works_on_sums_over_everybody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hospitals = three(a=hospital(200, 1, age=7))
        reader = ask(run(1, hospitals, protected=False))
        for cell in reader.cells[reader.runs[0], red_team.FEDERATION, "age"]:
            cell["count"] = sum(  # type: ignore[index]
                float(((rows["age"] >= cell["low"]) & (rows["age"] < cell["high"])).sum())
                for rows in hospitals.values()
            )
        found = {(site, number) for _, site, feature, number, _ in red_team.subtract_site_cells(reader)}
        assert ("a", 9) in found

    def test_cell_attack_finds_nothing(self) -> None:
        reader = ask(run(1, three(a=hospital(200, 1, age=7)), protected=False))
        assert not list(red_team.subtract_site_cells(reader))

    def test_two_hospitals_cannot_work_each_other_out(self) -> None:
        content = world.request(run(1, {"a": hospital(200, 1), "b": hospital(180, 2)}), hospitals=("a", "b"))
        seen = tables(content, "a")
        others = [row for row in seen["fact_statistics"] if row["site_key"] != "a"]
        assert others
        assert all(row["value"] is None for row in others)
        assert all(row["count"] is None for row in seen["fact_histogram"] if row["site_key"] != "a")


class TestRuns:
    """Of the patients who joined between two runs."""

    @staticmethod
    def grown(by: int) -> list[dict[str, Any]]:
        before = three()
        joined = hospital(by, 9)
        after = {
            **before,
            "a": {name: np.append(values, joined[name]) for name, values in before["a"].items()},
        }
        return [run(1, before), run(2, after)]

    def test_attack_works(self, unprotected: None) -> None:
        found = list(red_team.subtract_runs(ask(*self.grown(1)), 0))
        truth = hospital(1, 9)["chol"][0]
        guesses = [
            mean for site, feature, patients, mean in found if (site, feature, patients) == ("a", "chol", 1)
        ]
        assert guesses and abs(guesses[0] - truth) < 25  # the mean is still rounded: within its noise

    @pytest.mark.parametrize("joined", [1, 3, 9])
    def test_attack_finds_nothing(self, joined: int) -> None:
        reader = ask(*self.grown(joined))
        assert not list(red_team.subtract_runs(reader, SLACK))
        first, second = reader.runs
        assert reader.values[first, "a", "chol", "mean"] == reader.values[second, "a", "chol", "mean"]
        assert reader.reasons[second, "a", "chol", "mean"] == rules.REPEATED

    def test_one_patient_exchanged_for_another_shows_nothing(self) -> None:
        before = three()
        after = {**before, "a": {name: values.copy() for name, values in before["a"].items()}}
        after["a"]["chol"][0] += 200
        reader = ask(run(1, before), run(2, after))
        first, second = reader.runs
        assert reader.values[first, "a", "chol", "stddev"] == reader.values[second, "a", "chol", "stddev"]

    def test_enough_new_patients_are_seen(self) -> None:
        reader = ask(*self.grown(40))
        first, second = reader.runs
        assert reader.values[second, "a", "age", "count"] == reader.values[first, "a", "age", "count"] + 40
        assert reader.reasons[second, "a", "age", "mean"] == ""

    def test_small_steps_add_up_to_one_that_is_seen_without_a_small_one(self) -> None:
        before = three()
        steps = [before]
        for seed in range(4):
            joined, last = hospital(6, 20 + seed), steps[-1]
            grown = {name: np.append(values, joined[name]) for name, values in last["a"].items()}
            steps.append({**last, "a": grown})
        reader = ask(*(run(number, rows) for number, rows in enumerate(steps, 1)))
        counts = [reader.values[key, "a", "age", "count"] for key in reader.runs]
        distinct = sorted({count for count in counts if count is not None})
        assert len(distinct) > 1
        assert all(b - a >= reader.k - SLACK * 2 for a, b in pairwise(distinct))
        assert not list(red_team.subtract_runs(reader, 0))


class TestMemberships:
    """Of a hospital, by the federation before it joined."""

    def runs(self) -> list[dict[str, Any]]:
        return [run(1, three(), protected=False), run(2, three(d=hospital(8, 4)), protected=False)]

    def test_attack_works(self) -> None:
        reader = ask(*self.runs(), names=("a", "b", "c", "d"))
        key = (reader.runs[1], red_team.FEDERATION, "age", "count")
        reader.values[key] = (reader.values[key] or 0) + 8
        assert ("age", 8) in list(red_team.subtract_memberships(reader))

    def test_attack_finds_nothing(self) -> None:
        reader = ask(*self.runs(), names=("a", "b", "c", "d"))
        assert not list(red_team.subtract_memberships(reader))


class TestColumns:
    """Of the category that nobody publishes, by all the others."""

    HOSPITALS = three(a=hospital(200, 1, cp=6))

    def test_attack_works(self, unprotected: None) -> None:
        found = list(red_team.missing_category(ask(run(1, self.HOSPITALS, protected=False)), COLUMNS, 0))
        assert ("a", "cp", 6) in [entry[1:] for entry in found]

    def test_attack_finds_nothing(self) -> None:
        reader = ask(run(1, self.HOSPITALS))
        assert not list(red_team.missing_category(reader, COLUMNS, SLACK))
        assert any(
            reader.reasons[reader.runs[0], "a", key, "mean"] == rules.COMPLEMENT for key in COLUMNS["cp"]
        )


class TestMoments:
    """Of cells with one value each, by count, mean and deviation."""

    HOSPITALS = three(a=hospital(200, 1, ca=7))

    def test_attack_works(self, unprotected: None, monkeypatch: pytest.MonkeyPatch) -> None:
        content = run(1, self.HOSPITALS, protected=False)
        for feature in content["statistics"]["features"]:
            if feature["key"] == "ca":
                feature |= {"whole": False, "decimals": 15}
        found = list(red_team.moments(ask(content), "ca"))
        assert ("a", (7,)) in [entry[1:] for entry in found]

    def test_attack_finds_nothing(self) -> None:
        reader = ask(run(1, self.HOSPITALS))
        assert reader.values[reader.runs[0], "a", "ca", "mean"] is not None
        assert not list(red_team.moments(reader, "ca"))


class TestMeans:
    """Of the number of patients behind a mean."""

    def test_attack_works_on_a_mean_with_all_its_digits(self) -> None:
        ages = hospital(203, 5)["age"]
        assert red_team.patients_behind_a_mean(ages.mean(), 12, range(201, 206)) == [203]

    def test_attack_finds_nothing(self) -> None:
        ages = hospital(203, 5)["age"]
        reader = ask(run(1, three(a=hospital(203, 5))))
        mean = reader.values[reader.runs[0], "a", "age", "mean"]
        assert mean == pytest.approx(ages.mean(), abs=0.05)
        assert red_team.patients_behind_a_mean(float(mean or 0), 1, range(201, 206)) == [*range(201, 206)]


class TestWholeContainer:
    """Of what few patients have elsewhere, by the scaling that every hospital reads in its container."""

    HOSPITALS = three(b=hospital(180, 2, fbs=7))

    @staticmethod
    def published(hospitals: Mapping[str, Rows]) -> dict[str, dict[str, dict[str, Any]]]:
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for name, rows in hospitals.items():
            for feature, sent in world.published(rows, protected=False).items():
                for statistic, value in sent.items():
                    found.setdefault(feature, {}).setdefault(statistic, {})[name] = {"patients": value}
        return found

    def test_attack_works(self) -> None:
        pooled = {feature: pool(sent) for feature, sent in self.published(self.HOSPITALS).items()}
        exact = {feature: [known["mean"], known["std"]] for feature, known in pooled.items()}
        own = world.published(self.HOSPITALS["a"], protected=False)
        assert ("fbs missing", 7) in list(red_team.subtract_own(exact, own, 530, 10))

    def test_attack_finds_nothing(self) -> None:
        shared = scaling(self.published(self.HOSPITALS))
        own = world.published(self.HOSPITALS["a"], protected=False)
        assert {"age", "sex", "disease"} <= set(shared)
        assert "fbs missing" not in shared
        assert not list(red_team.subtract_own(shared, own, 530, 10))

    def test_metrics_of_two_hospitals_and_of_one_reach_no_other(self) -> None:
        summary = {
            "sites": ["a", "b"],
            "gates": {"passed": True, "verdicts": ["worst_site_auc_gain is 0.0123"]},
            "metrics": {"accuracy": 0.83712, "patients": 203.0, "worst_site_auc_gain": 0.0123},
        }
        assert for_hospitals(summary, ("worst_site_auc_gain",))["metrics"] == {}
        shared = for_hospitals({**summary, "sites": ["a", "b", "c"]}, ("worst_site_auc_gain",))
        assert shared["metrics"] == {"accuracy": 0.837, "patients": 205.0}
        assert "0.0123" not in json.dumps(shared)


class TestMetrics:
    """Of a hospital's metrics, by the federation's."""

    def test_hospital_with_few_healthy_patients_leaves_the_federation_too(self) -> None:
        names = (*world.HOSPITALS, "switzerland")
        with_it = tables(world.request(world.training_run(1, names), hospitals=names))
        rows = [row for row in with_it["fact_metric"] if row["is_final"]]
        hidden = [row for row in rows if row["site_key"] == "switzerland"]
        assert {row["reason"] for row in hidden} == {rules.ONE_SIDE}  # 8 healthy of 123
        shown = {
            row["site_key"]: row for row in rows if row["metric"] == "accuracy" and row["value"] is not None
        }
        total = shown.pop(red_team.FEDERATION)
        mean = sum(row["value"] * row["n"] for row in shown.values()) / sum(
            row["n"] for row in shown.values()
        )
        assert total["value"] == round(mean, 3)
        assert total["n"] == sum(row["n"] for row in shown.values())

    def test_prevalence_of_one_more_patient_is_not_shown(self) -> None:
        first = world.training_run(1)
        second = world.training_run(2)
        for entry in second["progress"]["history"]:
            sent = entry["sites"]["cleveland"]
            sent["prevalence"] = (sent["prevalence"] * 303 + 1) / 304
            sent["n_train"] += 1
        rows = tables(world.request(first, second))["fact_metric"]
        reasons = {
            row["reason"] for row in rows if row["site_key"] == "cleveland" and row["run_key"] == second["id"]
        }
        assert reasons == {rules.CHANGED}


class TestCurves:
    """Of few patients between two points of a curve, with two jobs over two data sets."""

    @staticmethod
    def run() -> dict[str, Any]:
        """Many test patients of a hospital, two of whom are ill with a low score."""
        content = world.training_run(1)
        last = content["progress"]["history"][-1]["sites"]["cleveland"]
        last |= {"n_test": 300.0, "n_train": 300.0, "prevalence": 0.4}
        content["progress"]["scores"]["sites"]["cleveland"] = {
            "negative": [60.0, 60.0, 30.0, 30.0, *[0.0] * 16],
            "positive": [2.0, 0.0, 0.0, 18.0, *[0.0] * 14, 40.0, 60.0],
        }
        for entry in content["progress"]["history"][:-1]:
            entry["sites"]["cleveland"] |= {"n_test": 300.0, "n_train": 300.0, "prevalence": 0.4}
        return content

    @staticmethod
    def at(tables: red_team.Tables, run: str, patients: float) -> dict[float, float]:
        """False positive rate -> patients with it at or above that score, who are so many in all."""
        return {
            row["x"]: row["y"] * patients
            for row in tables["fact_curve"]
            if (row["run_key"], row["site_key"], row["curve"]) == (run, "cleveland", "roc")
        }

    def test_attack_works(self) -> None:
        """Of the last patients that a curve reaches, by how far it was before: here, the hospital's own."""
        content = self.run()
        own = self.at(tables(world.request(content), "cleveland"), content["id"], 120)
        assert 120 - max(count for count in own.values() if count < 119.5) == pytest.approx(2, abs=0.1)

    def test_attack_finds_nothing(self) -> None:
        """Between two ends of cells are at least k patients, whoever had the scores between them."""
        content = self.run()
        other = json.loads(json.dumps(content))
        cells = other["progress"]["scores"]["sites"]["cleveland"]["positive"]
        cells[:4] = 1.0, 3.0, 0.0, 16.0  # as many below the same score, at other scores
        seen, changed = (
            tables(world.request(one, world.readmission_run(2)))["fact_curve"] for one in (content, other)
        )
        assert [row for row in seen if row["site_key"] == "cleveland" and row["y"]]
        assert seen == changed
        found = red_team.curve_counts(tables(world.request(content)), content["id"], "cleveland")
        assert all(count > 9.5 or count < 0.5 for count in (*found["ill"], *found["healthy"]))

    def test_federation_minus_visible_hospitals_is_what_may_be_seen_of_the_others(self) -> None:
        """Its curves are made of merged cells alone: each of them holds k of a class, or nobody."""
        seen = [
            curves.merged(curves.Scores.read(sent, 1e6), rules.Policy(10))
            for sent in world.training_run(1)["progress"]["scores"]["sites"].values()
        ]
        hidden = [one for one in seen if curves.shown(one)["roc"].reason]
        assert hidden, "nobody here has a curve of his own that is withheld"
        for one in hidden:
            if one is not None:
                for counts, divided in zip(
                    (one.scores.negative, one.scores.positive), one.divided, strict=True
                ):
                    held = [sum(counts[low:high]) for low, high in pairwise(divided)]
                    assert not [count for count in held if 0 < count < 9.5]

    def test_hospital_sees_no_other_hospital_s_curve(self) -> None:
        content = self.run()
        seen = tables(world.request(content), "hungary")["fact_curve"]
        assert {row["site_key"] for row in seen} == {"hungary", red_team.FEDERATION}

    def test_run_whose_metrics_are_withheld_has_no_curve(self) -> None:
        first, second = self.run(), self.run()
        second |= {"id": "00000002-0000-4000-8000-000000000000", "submitted": first["submitted"] + 60}
        for entry in second["progress"]["history"]:
            entry["sites"]["cleveland"]["n_train"] += 1
        seen = tables(world.request(first, second))["fact_curve"]
        rows = [row for row in seen if (row["run_key"], row["site_key"]) == (second["id"], "cleveland")]
        assert [(row["curve"], row["y"], row["reason"]) for row in rows] == [
            ("roc", None, rules.CHANGED),
            ("calibration", None, rules.CHANGED),
        ]


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(3, 60), min_size=3, max_size=5),
    few=st.dictionaries(st.sampled_from(["cp", "slope", "ca", "age", "chol", "fbs"]), st.integers(0, 14)),
    protected=st.booleans(),
    joined=st.integers(1, 9),
)
def test_nothing_is_found_in_any_federation(
    sizes: list[int], few: dict[str, int], protected: bool, joined: int
) -> None:
    rows = {
        f"h{number}": hospital(size * 5, number, **{name: min(count, size) for name, count in few.items()})
        for number, size in enumerate(sizes)
    }
    more = hospital(joined, 99)
    later = {**rows, "h0": {name: np.append(values, more[name]) for name, values in rows["h0"].items()}}
    reader = ask(run(1, rows, protected=protected), run(2, later, protected=protected), names=tuple(rows))
    assert not list(red_team.subtract_cells(reader, SLACK))
    assert not list(red_team.subtract_sites(reader))
    assert not list(red_team.subtract_site_cells(reader))
    assert not list(red_team.subtract_runs(reader, 0))
    assert not list(red_team.subtract_memberships(reader))
    assert not list(red_team.missing_category(reader, COLUMNS, SLACK))
    assert not list(red_team.moments(reader, "ca"))
