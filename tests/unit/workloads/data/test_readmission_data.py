"""The second data set, of another kind than heart: time until an event; and the model trained on it."""

import csv
import hashlib
import importlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import nvflare.client as flare
import pytest
import yaml
from fed_data.catalogue import Catalogue
from fed_data.check import check
from nvflare.client import FLModel

from workloads.data import readmission_data
from workloads.data.readmission_data import HOSPITALS, YEAR
from workloads.jobs.readmission.readmission_job import model

THREE = ("cleveland", "hungary", "va-long-beach")


def patients(hospital: str) -> model.Patients:
    return model.read_patients(readmission_data.seed(hospital).decode())


class TestData:
    @pytest.mark.parametrize("hospital", HOSPITALS)
    def test_each_hospital_s_file_is_of_its_data_set_in_its_plain_form(
        self, hospital: str, tmp_path: Path
    ) -> None:
        file, plain, content = tmp_path / "any", io.StringIO(), readmission_data.seed(hospital)
        file.write_bytes(content)
        data_set = Catalogue.released().named("readmission")
        assert data_set is not None
        checked = check(file, "readmission.csv", data_set, plain)
        assert (checked.complaints, checked.notes) == ((), ())
        assert (checked.rows, plain.getvalue().encode()) == (HOSPITALS[hospital].patients, content)

    def test_it_is_the_same_everywhere_and_forever(self) -> None:
        """A number that changed with Python, or with the file, would be another demonstration."""
        found = hashlib.sha256(readmission_data.seed("hungary")).hexdigest()
        assert found[:16] == "8decf2b6655c3e8b"  # pragma: allowlist secret

    def test_hospitals_differ_and_some_patients_were_last_seen_well(self) -> None:
        came_back = {name: patients(name).event.mean() for name in HOSPITALS}
        assert came_back["hungary"] < came_back["cleveland"] < came_back["va-long-beach"]
        assert all(0.4 < share < 0.75 for share in came_back.values())
        rows = list(csv.DictReader(io.StringIO(readmission_data.seed("va-long-beach").decode())))
        assert 0.3 < sum(row["sodium"] == "" for row in rows) / len(rows) < 0.5
        assert max(int(row["days"]) for row in rows) == YEAR


class TestModel:
    def test_an_interval_counts_for_who_lived_through_it_or_had_the_event_in_it(self) -> None:
        days, event = np.array([30.0, 31, 45, 365, 10]), np.array([1.0, 0, 1, 0, 0])
        at_risk, happened = model.lived(days, event)
        assert at_risk.tolist() == [
            [1, 0, 0, 0, 0],
            [1, 0, 0, 0, 0],
            [1, 1, 0, 0, 0],
            [1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0],
        ]
        assert happened.tolist() == [[1, 0, 0, 0, 0], [0] * 5, [0, 1, 0, 0, 0], [0] * 5, [0] * 5]

    def test_without_features_it_is_the_life_table(self) -> None:
        """Kaplan and Meier's estimate at the edges of the intervals, where nobody is lost within one."""
        one = patients("cleveland")
        whole = (one.event == 1) | (one.days == YEAR)
        days, event = one.days[whole], one.event[whole]
        weights = model.descend(np.zeros((len(days), 0)), days, event, np.zeros(model.INTERVALS), 4000)
        survived = np.cumprod(1 - model.hazards(np.zeros((1, 0)), weights))
        share = [float((days > edge).mean()) for edge in model.EDGES[1:-1]]
        assert survived[:-1] == pytest.approx(share, abs=2e-3)

    def test_concordance_counts_the_pairs_of_whom_it_is_known_who_was_first(self) -> None:
        days, event = np.array([1.0, 2, 3, 4]), np.array([1.0, 0, 1, 0])
        assert model.concordance(days, event, np.array([4.0, 3, 2, 1])) == 1
        assert model.concordance(days, event, np.array([1.0, 2, 3, 4])) == 0
        assert model.concordance(days, event, np.zeros(4)) == 0.5
        assert np.isnan(model.concordance(days, np.zeros(4), np.zeros(4)))

    def test_averaging_over_three_hospitals_passes_the_job_s_gates(self) -> None:
        """As the federation does it: each change at most 1 long, weighted by patients, eight rounds."""
        weights = np.zeros(model.SIZE)
        for _ in range(8):
            changes = [change(patients(name), weights) for name in THREE]
            weights = weights + np.average(changes, axis=0, weights=[380, 240, 300])
        found = [
            model.concordance(one.days[one.test], one.event[one.test], risk)
            for name in THREE
            for one in [patients(name)]
            for risk in [model.risk(model.design(one.columns)[one.test], weights)]
        ]
        assert np.mean(found) > 0.7
        assert min(found) > 0.65

    def test_a_hospital_s_script_trains_and_then_only_measures(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "readmission.csv").write_bytes(readmission_data.seed("hungary"))
        monkeypatch.setenv("FED_DATA", str(tmp_path))
        asked = [
            FLModel(params={"numpy_key": np.zeros(model.SIZE)}, current_round=number) for number in (0, 1)
        ]
        sent: list[FLModel] = []
        monkeypatch.setattr(flare, "init", lambda: None)
        monkeypatch.setattr(flare, "is_running", lambda: bool(asked))
        monkeypatch.setattr(flare, "receive", lambda: asked.pop(0))
        monkeypatch.setattr(flare, "send", sent.append)
        of_the_job("train").main(rounds=1, steps=15)
        trained, measured = (one.params["numpy_key"] for one in sent)
        assert 0.5 < np.linalg.norm(trained) < 10
        assert not measured.any()
        described = yaml.safe_load(Path("workloads/jobs/readmission/job.yaml").read_text())
        assert all(sorted(one.metrics) == described["metrics"] for one in sent)
        assert (
            len(described["model"]["features"]) == model.SIZE == described["model"]["arrays"]["numpy_key"][0]
        )
        assert tuple(described["predictor"]["inputs"]) == tuple(model.SCALES)

    def test_the_finished_model_predicts_from_its_folder(self, tmp_path: Path) -> None:
        (tmp_path / "model.json").write_text(f'{{"weights": {[0.0] * model.SIZE}}}')
        predictor = of_the_job("predictor")
        table = {name: [middle] for name, (middle, _) in model.SCALES.items()} | {"sodium": [float("nan")]}
        assert predictor._load_pyfunc(str(tmp_path)).predict(table) == pytest.approx([1 - 0.5**5])


def of_the_job(module: str) -> Any:
    """A module under the name that it has in a box."""
    sys.path.insert(0, "workloads/jobs/readmission")
    try:
        return importlib.import_module(f"readmission_job.{module}")
    finally:
        sys.path.pop(0)


def change(one: model.Patients, weights: model.Array) -> model.Array:
    train = ~one.test
    features = model.design(one.columns)[train]
    moved = model.descend(features, one.days[train], one.event[train], weights, 15) - weights
    return np.asarray(moved / max(1.0, float(np.linalg.norm(moved))))
