"""Jobs as far as they are pure: gates, the federation's metrics, recomputed statistics."""

from typing import Any, ClassVar

import numpy as np
import pytest
from fed_server.binary_classifier import summarise_round
from fed_server.contribution import Contribution
from fed_server.gates import GateError, judge
from fed_server.pooling import by_hospital, pool, scaling

from tests.unit.support.heart_features import features_of
from workloads.data import heart_data
from workloads.jobs.heart.heart_job import model


class TestGates:
    def test_each_bound_is_kept_or_named(self) -> None:
        gates = [{"metric": "auc", "at_least": 0.8}, {"metric": "brier", "at_most": 0.2}]
        verdicts = judge(gates, {"auc": 0.79, "brier": 0.1})
        assert [verdict.passed for verdict in verdicts] == [False, True]
        assert verdicts[0].text == "auc is 0.7900, expected at least 0.8"

    def test_of_each_looks_at_every_hospital_and_names_the_worst(self) -> None:
        gate = {"metric": "auc", "at_least": 0.6, "of": "each"}
        sites = {"a": {"auc": 0.9}, "b": {"auc": 0.5}, "c": {"brier": 0.1}}
        (verdict,) = judge([gate], {"auc": 0.9}, sites)
        assert not verdict.passed
        assert verdict.text == "auc at b is 0.5000, expected at least 0.6"
        assert judge([gate], {}, {"a": {"auc": 0.9}, "c": {}})[0].passed
        assert not judge([gate], {"auc": 0.9}, {"c": {}})[0].passed

    @pytest.mark.parametrize("metrics", [{}, {"auc": float("nan")}])
    def test_what_was_not_measured_fails(self, metrics: dict[str, float]) -> None:
        assert not judge([{"metric": "auc", "at_least": 0.8}], metrics)[0].passed

    @pytest.mark.parametrize(
        "gate",
        [
            {},
            {"metric": "auc"},
            {"at_least": 1},
            {"metric": "a", "at_least": 1, "at_most": 2},
            {"metric": "a", "x": 1},
            {"metric": "a", "at_least": 1, "of": "some"},
        ],
    )
    def test_a_gate_that_makes_no_sense_is_an_error(self, gate: dict[str, Any]) -> None:
        with pytest.raises(GateError):
            judge([gate], {"auc": 1.0})


class TestHeartMetrics:
    def contribution(self, auc: float, own: float, patients: float, brier: float) -> Contribution:
        metrics = {
            "auc": auc,
            "own_auc": own,
            "brier": brier,
            "accuracy": 0.8,
            "loss": 0.4,
            "calibration_in_the_large": 0.0,
            "n_test": patients,
        }
        return Contribution(metrics, {"healthy": [5.0, 0.0], "ill": [0.0, 5.0]}, {})

    def test_means_over_patients_are_weighted_and_means_over_sites_are_not(self) -> None:
        sent = {"a": self.contribution(0.9, 0.8, 90, 0.1), "b": self.contribution(0.7, 0.75, 30, 0.2)}
        metrics = summarise_round(sent, "healthy", "ill")
        assert metrics["brier"] == pytest.approx((90 * 0.1 + 30 * 0.2) / 120)
        assert metrics["mean_site_auc"] == pytest.approx(0.8)
        assert metrics["mean_site_auc_gain"] == pytest.approx(0.025)
        assert metrics["worst_site_auc_gain"] == pytest.approx(-0.05)
        assert metrics["auc_lower"] == 1.0

    def test_a_hospital_whose_auc_is_undefined_is_left_out_of_the_means(self) -> None:
        sent = {"a": self.contribution(0.9, 0.8, 90, 0.1), "b": self.contribution(0.7, 0.75, 30, 0.2)}
        without = {key: value for key, value in sent["b"].metrics.items() if key != "auc"}
        sent["b"] = Contribution(without, sent["b"].histograms, {})
        assert summarise_round(sent, "healthy", "ill")["mean_site_auc"] == pytest.approx(0.9)

    def test_without_any_auc_the_gains_are_missing_and_so_fail_their_gates(self) -> None:
        sent = self.contribution(0.9, 0.8, 90, 0.1)
        without = {key: value for key, value in sent.metrics.items() if key != "auc"}
        metrics = summarise_round(
            {"a": Contribution(without, {"healthy": [0.0], "ill": [9.0]}, {})}, "healthy", "ill"
        )
        assert "mean_site_auc_gain" not in metrics
        assert "auc_lower" not in metrics
        assert not judge([{"metric": "mean_site_auc_gain", "at_least": 0.0}], metrics)[0].passed


def published(values: dict[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """What NVFlare's writer makes of one feature at these hospitals."""

    def entry(number: float) -> dict[str, float]:
        return {"patients": number}

    return {
        "count": {name: entry(len(column)) for name, column in values.items()} | {"Global": entry(999)},
        "sum": {name: entry(float(column.sum())) for name, column in values.items()} | {"Global": entry(1)},
        "stddev": {name: entry(float(column.std(ddof=1))) for name, column in values.items()},
        "histogram": {name: {"patients": [[0, 1, 3], [1, 2, 4]]} for name in values},
    }


class TestStatistics:
    values: ClassVar = {
        "a": np.array([1.0, 2.0, 3.0, 4.0]),
        "b": np.array([10.0, 20.0, 60.0]),
    }

    def test_globals_are_those_of_all_rows_together(self) -> None:
        pooled = pool(published(self.values))
        together = np.concatenate(list(self.values.values()))
        assert pooled["count"] == 7
        assert pooled["mean"] == pytest.approx(together.mean())
        assert pooled["std"] == pytest.approx(together.std())
        assert pooled["histogram"] == [[0, 1, 6], [1, 2, 8]]

    def test_a_hospital_that_withheld_its_sum_is_left_out_of_the_count_too(self) -> None:
        """NVFlare's own global mean would divide the others' sum by everybody's count."""
        statistics = published(self.values)
        del statistics["sum"]["b"]
        pooled = pool(statistics)
        assert pooled["hospitals"] == ["a"]
        assert pooled["mean"] == pytest.approx(2.5)

    def test_a_feature_nobody_published_has_no_hospitals(self) -> None:
        assert pool({"count": {"Global": {"patients": 3}}}) == {"hospitals": []}

    three: ClassVar = {**values, "c": np.array([5.0, 6.0, 7.0])}

    def large(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: np.tile(column, 10) for name, column in self.three.items()}

    def test_what_every_hospital_reads_is_coarse(self) -> None:
        together = np.concatenate(list(self.large().values()))
        (mean, std) = scaling({"age": published(self.large())})["age"]
        assert mean == pytest.approx(together.mean(), abs=together.std() / 10)
        assert std == pytest.approx(together.std(), rel=0.05)
        assert (mean, std) == (round(mean, 0), round(std, 0))

    def test_a_constant_feature_is_not_scaled(self) -> None:
        assert scaling({"x": published({name: np.full(20, 2.0) for name in "abc"})}) == {"x": [2.0, 1.0]}

    def test_two_hospitals_get_nothing_of_each_other(self) -> None:
        two = {name: column for name, column in self.large().items() if name != "c"}
        assert scaling({"age": published(two)}) == {}

    @pytest.mark.parametrize("have", [1, 9, 31, 39])
    def test_few_patients_on_a_side_anywhere_keep_a_feature_back(self, have: int) -> None:
        everybody = {name: np.repeat([0.0, 1.0], 20) for name in "abc"}
        assert scaling({"sex": published(everybody)})
        few = {**everybody, "b": np.repeat([1.0, 0.0], [have, 40 - have])}
        assert scaling({"sex": published(few)}) == {}

    def test_each_hospitals_own_numbers_are_without_nvflares_globals(self) -> None:
        turned = by_hospital({"age": published(self.values)})
        assert set(turned) == {"a", "b"}
        assert turned["a"]["age"]["sum"] == 10.0

    def test_the_statistics_cover_every_feature_of_the_heart_model(self) -> None:
        patients = model.read_patients(heart_data.seed("hungary").decode())
        described = features_of(patients.columns)
        assert set(model.FEATURES) <= set(described)
        raw = model.raw_features(patients)
        for name in model.FEATURES:
            assert described[name] == pytest.approx(raw[name][~np.isnan(raw[name])])
