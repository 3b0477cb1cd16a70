"""The demonstration's patients: the file's known faults fixed, one fixed split, one hospital at a time."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
from fed_server.binary_classifier import auc_from_histograms

from workloads.data import heart_data, reference
from workloads.jobs.heart.heart_job import model

HOSPITALS = tuple(heart_data.PATIENTS)


def rows(hospital: str, seed: int = heart_data.SPLIT_SEED) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(heart_data.seed(hospital, seed).decode())))


class TestPatients:
    def test_counts_and_diseased_are_those_of_the_original_study(self) -> None:
        patients = heart_data.load()
        found = {
            name: (
                sum(patient.hospital == name for patient in patients),
                sum(patient.hospital == name and patient.disease == "1" for patient in patients),
            )
            for name in HOSPITALS
        }
        assert found == {
            "cleveland": (303, 139),
            "hungary": (294, 106),
            "switzerland": (123, 115),
            "va-long-beach": (200, 149),
        }

    def test_the_mislabelled_patient_is_back_in_hungary(self) -> None:
        moved = next(patient for patient in heart_data.load() if patient.row == "304")
        assert (moved.hospital, moved.values[0]) == ("hungary", "28")

    @pytest.mark.parametrize("hospital", HOSPITALS)
    def test_no_pressure_or_cholesterol_of_zero_is_left(self, hospital: str) -> None:
        assert not [row for row in rows(hospital) if row["chol"] == "0" or row["trestbps"] == "0"]

    def test_an_altered_file_is_refused(self, tmp_path: Path) -> None:
        altered = tmp_path / "heart.csv"
        altered.write_bytes(heart_data.SOURCE.read_bytes().replace(b"1,63,Male", b"1,64,Male"))
        with pytest.raises(heart_data.DataError, match="restore the committed file"):
            heart_data.load(altered)


class TestSeed:
    def test_a_hospital_gets_its_own_rows_and_no_others(self) -> None:
        assert {name: len(rows(name)) for name in HOSPITALS} == heart_data.PATIENTS

    def test_the_split_is_the_same_every_time(self) -> None:
        assert heart_data.seed("hungary") == heart_data.seed("hungary")
        assert heart_data.seed("hungary") != heart_data.seed("hungary", 1)

    @pytest.mark.parametrize("hospital", HOSPITALS)
    def test_three_tenths_of_the_ill_and_of_the_healthy_are_for_testing(self, hospital: str) -> None:
        for label in ("0", "1"):
            split = [row["split"] for row in rows(hospital) if row["disease"] == label]
            assert split.count("test") == round(0.3 * len(split))

    def test_an_unknown_hospital_is_named(self) -> None:
        with pytest.raises(KeyError, match="zurich"):
            heart_data.seed("zurich")


class TestReference:
    def test_it_says_that_no_party_could_compute_it(self) -> None:
        assert "operator's side" in reference.pooled()["computed"]

    def test_pooling_helps_the_smallest_hospital_most(self) -> None:
        answer = reference.pooled()
        gain = {
            name: entry["pooled"]["auc"] - entry["own_only"]["auc"]
            for name, entry in answer["hospitals"].items()
        }
        assert 0.85 < answer["pooled"]["auc"] < 0.93
        assert max(gain, key=lambda name: gain[name]) == "va-long-beach"

    def test_the_pooled_weights_measured_as_a_federated_model_give_the_pooled_auc(self) -> None:
        everyone = model.join(
            [model.read_patients(heart_data.seed(name).decode()) for name in reference.DEFAULT_HOSPITALS]
        )
        scaling = model.Scaling.of(everyone)
        train = ~everyone.test
        weights = model.solve(model.design(everyone, scaling)[train], everyone.labels[train])
        measured = reference.measure_global(list(weights), scaling)
        assert measured["federated"]["auc"] == pytest.approx(reference.pooled()["pooled"]["auc"])


class TestModel:
    def patients(self) -> model.Patients:
        return model.read_patients(heart_data.seed("cleveland").decode())

    def test_missing_values_become_the_mean_and_are_flagged(self) -> None:
        hungary = model.read_patients(heart_data.seed("hungary").decode())
        features = model.design(hungary, model.Scaling.of(hungary))
        unknown = np.isnan(hungary.columns["ca"])
        assert unknown.sum() > 280
        assert np.all(features[unknown, 1 + model.FEATURES.index("ca")] == 0.0)
        assert np.isfinite(features).all()

    def test_enough_gradient_steps_reach_the_newton_solution(self) -> None:
        patients = self.patients()
        features = model.design(patients, model.Scaling.of(patients))
        solved = model.solve(features, patients.labels)
        walked = model.descend(features, patients.labels, np.zeros(features.shape[1]), 4000)
        assert np.abs(solved - walked).max() < 1e-3

    def test_no_patient_changes_an_update_by_more_than_is_stated(self) -> None:
        """What noise by patient rests on: tried with the patients that pull most, from many models."""
        assert model.LEARNING_RATE < 2 / (model.LONGEST_PATIENT**2 / 4 + model.L2)
        patients, random = self.patients(), np.random.default_rng(3)
        features = model.design(patients, model.Scaling.of(patients))[:20]
        assert np.linalg.norm(features, axis=1).max() <= model.LONGEST_PATIENT + 1e-9
        most = 0.0
        for _ in range(200):
            weights = random.normal(0, random.choice([0.1, 1.0, 10.0]), features.shape[1])
            along = weights / np.linalg.norm(weights)
            across = np.cross(np.r_[along[:2], 0], np.r_[0, 0, 1])[:2] / np.linalg.norm(along[:2])
            side = np.r_[across, np.zeros(len(along) - 2)] * math.sqrt(model.LONGEST_PATIENT**2 - 1)
            ends = [
                # Both are ill, seem healthy to the model, and pull in opposite directions.
                model.descend(
                    np.vstack([pull - along, features[1:]]), np.r_[1.0, patients.labels[1:20]], weights, 5
                )
                for pull in (side, -side)
            ]
            most = max(most, float(np.linalg.norm(ends[0] - ends[1])))
        assert most <= model.patient_change(20, 5)
        assert most > model.patient_change(20, 5) / 2  # the bound is not idle

    def test_auc_counts_pairs_and_halves_ties(self) -> None:
        labels = np.array([0.0, 0.0, 1.0, 1.0])
        assert model.auc(labels, np.array([0.1, 0.5, 0.5, 0.9])) == pytest.approx(3.5 / 4)
        assert np.isnan(model.auc(np.ones(3), np.array([0.1, 0.2, 0.3])))

    def test_auc_from_histograms_is_close_to_the_true_one(self) -> None:
        random = np.random.default_rng(1)
        labels = (random.random(500) < 0.5).astype(float)
        scores = np.clip(0.5 + 0.2 * (labels - 0.5) + 0.15 * random.standard_normal(500), 0, 1)
        counts = [np.array(model.score_histogram(labels, scores, label), float) for label in (0, 1)]
        assert auc_from_histograms(*counts) == pytest.approx(model.auc(labels, scores), abs=0.01)

    def test_metrics_of_a_perfect_and_of_a_useless_model(self) -> None:
        labels = np.array([0.0, 1.0, 0.0, 1.0])
        perfect = model.evaluate(labels, labels)
        assert (perfect["auc"], perfect["accuracy"], perfect["brier"]) == (1.0, 1.0, 0.0)
        useless = model.evaluate(labels, np.full(4, 0.5))
        assert (useless["auc"], useless["brier"]) == (0.5, 0.25)
        assert useless["calibration_in_the_large"] == pytest.approx(0.0)
