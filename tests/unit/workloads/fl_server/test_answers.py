"""One hospital cannot hurt the others: its answer is judged, and named where it does not count.

The same on a running federation: tests/e2e/test_hostile_hospital.py.
"""

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from fed_server import answers, gates
from fed_server.answers import (
    LARGEST,
    LONGEST_TEXT,
    Answer,
    AnswerRefusedError,
    Expected,
    read,
)
from fed_server.binary_classifier import SHARES, summarise_round
from fed_server.combining import METHODS, scaling, weighted_mean, weights
from fed_server.contribution import Contribution
from fed_server.metric_names import accepted
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.support.hostile_answers import BOUNDED, CELLS, KEY, LONGEST, PATIENTS, REFUSED, Change, Raw
from tests.unit.support.job_archives import folder_of
from workloads.data import heart_data
from workloads.jobs.heart.heart_job import model

HOSPITALS = ("cleveland", "hungary", "va-long-beach")
HOSTILE = "hungary"
HISTOGRAMS = {"healthy": model.SCORE_BINS, "ill": model.SCORE_BINS}
ROUNDS = 10


@dataclass
class Federation:
    """The server's side of a job on the real data, without NVFlare."""

    hostile: Change = lambda raw: None
    method: str = "weighted-mean"
    sites: tuple[str, ...] = HOSPITALS
    dropped: dict[str, set[str]] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    own: dict[str, Mapping[str, float]] = field(default_factory=dict)
    honest: dict[str, float] = field(default_factory=dict)
    """Each honest hospital's AUC of the final model."""

    def run(self) -> "Federation":
        """All rounds, each with the hospitals whose answer counts."""
        everybody = {name: model.read_patients(heart_data.seed(name).decode()) for name in HOSPITALS}
        scale = model.Scaling.of(model.join(list(everybody.values())))
        files = {name: everybody[name] for name in self.sites}
        designs = {name: model.design(file, scale) for name, file in files.items()}
        rows = {name: float(len(file)) for name, file in files.items()}
        weights = np.zeros(1 + len(model.FEATURES))
        for current in range(ROUNDS + 1):
            answers: dict[str, Answer] = {}
            for site, file in files.items():
                raw = answer_of(file, designs[site], weights, trains=current < ROUNDS)
                if site == HOSTILE:
                    self.hostile(raw)
                expected = Expected(
                    shapes={KEY: weights.shape},
                    rows=rows[site],
                    metrics=("n_test", "n_train"),
                    histograms=HISTOGRAMS,
                    shares=SHARES,
                )
                try:
                    answers[site] = read(raw["kind"], raw["data"], raw["meta"], expected)
                except AnswerRefusedError as refusal:
                    self.dropped.setdefault(site, set()).add(str(refusal))
            self.own = {site: answer.sent.metrics for site, answer in answers.items()}
            self.metrics = summarise_round(
                {site: answer.sent for site, answer in answers.items()}, "healthy", "ill"
            )
            self.honest = {
                site: model.auc(file.labels[file.test], designs[site][file.test] @ weights)
                for site, file in files.items()
                if site != HOSTILE
            }
            weights = weights + METHODS[self.method](answers, rows)[KEY]
        return self

    def passes(self) -> bool:
        """Whether heart's own gates would let the model be registered."""
        verdicts = gates.judge(folder_of("heart").content["gates"], self.metrics, self.own)
        return all(verdict.passed for verdict in verdicts)


def answer_of(file: model.Patients, design: model.Array, weights: model.Array, *, trains: bool) -> Raw:
    """An honest hospital's answer."""
    train, labels = ~file.test, file.labels
    trained = model.descend(design[train], labels[train], weights, 5) if trains else weights
    scores = model.predict(design[file.test], weights)
    return {
        "kind": "WEIGHT_DIFF",
        "data": {KEY: trained - weights},
        "meta": {
            "NUM_STEPS_CURRENT_ROUND": int(train.sum()),
            "initial_metrics": {
                **model.evaluate(labels[file.test], scores),
                "own_auc": 0.74,
                "n_train": float(train.sum()),
                "n_test": float(file.test.sum()),
            },
            "score_histograms": {
                "healthy": [float(count) for count in model.score_histogram(labels[file.test], scores, 0)],
                "ill": [float(count) for count in model.score_histogram(labels[file.test], scores, 1)],
            },
            "data_sha256": "ab",
        },
    }


class TestOneHostileHospital:
    @pytest.mark.parametrize("mode", REFUSED)
    def test_job_goes_on_without_it_and_names_it(self, mode: str) -> None:
        change, named = REFUSED[mode]
        ended = Federation(change).run()
        assert list(ended.dropped) == [HOSTILE]
        assert all(named in reason for reason in ended.dropped[HOSTILE])
        alone = Federation(sites=("cleveland", "va-long-beach")).run()
        assert ended.metrics == alone.metrics

    @pytest.mark.parametrize("mode", BOUNDED)
    def test_takeover_does_not_pass_the_gates(self, mode: str) -> None:
        ended = Federation(BOUNDED[mode]).run()
        assert ended.dropped == {}
        assert not ended.passes()

    @pytest.mark.parametrize("method", ["median", "trimmed-mean"])
    @pytest.mark.parametrize("mode", BOUNDED)
    def test_robust_methods_leave_the_others_a_useful_model(self, mode: str, method: str) -> None:
        """A minority of one in three; the hostile one's own figures are left out, as they are lies."""
        ended = Federation(BOUNDED[mode], method).run()
        honest = Federation(method=method).run()
        assert min(ended.honest.values()) > min(honest.honest.values()) - 0.05

    def test_modes_are_of_the_bounds_that_the_server_has(self) -> None:
        assert answers.LONGEST == LONGEST
        assert len(model.read_patients(heart_data.seed(HOSTILE).decode())) == PATIENTS
        assert model.SCORE_BINS == CELLS

    def test_honest_hospitals_pass(self) -> None:
        ended = Federation().run()
        assert ended.dropped == {}
        assert ended.passes()

    def test_bounds_change_nothing_for_honest_hospitals(self) -> None:
        """The plain mean by patients is what NVFlare's own aggregator gives."""

        def plain(answers: Mapping[str, Answer], rows: Mapping[str, float]) -> dict[str, model.Array]:
            return {
                KEY: np.average(
                    [answer.update[KEY] for answer in answers.values()],
                    axis=0,
                    weights=[answer.patients for answer in answers.values()],
                )
            }

        bounded = Federation().run()
        METHODS_WITH_PLAIN = {**METHODS, "plain": plain}  # noqa: N806 - stands in for the table of methods
        with pytest.MonkeyPatch.context() as patched:
            patched.setitem(globals(), "METHODS", METHODS_WITH_PLAIN)
            assert Federation(method="plain").run().metrics == pytest.approx(bounded.metrics)


def answer(*update: float, patients: float = 100.0) -> Answer:
    return Answer(update={"w": np.array(update)}, patients=patients, sent=Contribution({}, {}, {}))


class TestCombining:
    def test_mean_is_weighted_by_patients(self) -> None:
        sent = {"a": answer(1.0, patients=300), "b": answer(2.0, patients=100)}
        assert weighted_mean(sent, {"a": 300, "b": 100})["w"] == pytest.approx([1.25])

    def test_none_of_three_has_more_than_half_of_the_weight(self) -> None:
        sent = {
            "a": answer(1.0, patients=9000),
            "b": answer(1.0, patients=300),
            "c": answer(1.0, patients=100),
        }
        shares = weights(sent, {"a": 9000, "b": 300, "c": 100})
        assert shares == pytest.approx({"a": 0.5, "b": 0.375, "c": 0.125})

    def test_claims_that_nobody_counted_weigh_at_most_as_the_smallest_that_was(self) -> None:
        sent = {
            "a": answer(1.0, patients=9000),
            "b": answer(1.0, patients=300),
            "c": answer(1.0, patients=100),
        }
        assert weights(sent, {"b": 300, "c": 100}) == pytest.approx({"a": 0.2, "b": 0.5, "c": 0.2}, abs=0.11)
        assert weights(sent, {"b": 300, "c": 100})["a"] == weights(sent, {"b": 300, "c": 100})["c"]
        assert weights(sent, {}) == pytest.approx(dict.fromkeys("abc", 1 / 3))

    def test_an_update_is_scaled_down_to_twice_the_median_length(self) -> None:
        sent = {"a": answer(3.0, 4.0), "b": answer(0.0, 5.0), "c": answer(300.0, 400.0)}
        assert scaling(sent) == pytest.approx({"a": 1.0, "b": 1.0, "c": 0.02})

    def test_where_the_others_do_not_move_one_cannot(self) -> None:
        sent = {"a": answer(0.0), "b": answer(0.0), "c": answer(7.0)}
        assert weighted_mean(sent, {})["w"] == pytest.approx([0.0])

    @given(st.lists(st.floats(-LARGEST, LARGEST), min_size=3, max_size=9), st.floats(-LARGEST, LARGEST))
    def test_one_voice_leaves_median_and_trimmed_mean_within_the_others(
        self, honest: list[float], foreign: float
    ) -> None:
        sent = {str(number): answer(value) for number, value in enumerate([*honest, foreign])}
        for method in ("median", "trimmed-mean"):
            (combined,) = METHODS[method](sent, {})["w"]
            assert min(honest) - 1e-6 <= combined <= max(honest) + 1e-6

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("count", [1, 2, 3, 5])
    def test_equal_answers_are_the_result(self, method: str, count: int) -> None:
        sent = {str(number): answer(1.0, -2.0) for number in range(count)}
        assert METHODS[method](sent, dict.fromkeys(sent, 100.0))["w"] == pytest.approx([1.0, -2.0])


class TestNamesOfMetrics:
    """MLflow's own rule: mlflow.utils.validation, `_validate_metric_name`, version 3."""

    @staticmethod
    def taken(name: str) -> bool:
        plain = re.fullmatch(r"[/\w.\- :]{1,250}", name, re.ASCII)
        leads_out = posixpath.normpath(name) != name or name == "." or name.startswith(("..", "/"))
        return bool(plain) and not leads_out

    @given(st.lists(st.text(max_size=300) | st.text("a@./", max_size=5), unique=True, max_size=8))
    def test_each_metric_has_a_name_of_its_own_that_mlflow_takes(self, names: list[str]) -> None:
        found = accepted(names)
        assert sorted(found) == sorted(names)
        assert len(set(found.values())) == len(names)
        assert all(self.taken(name) for name in found.values())
        assert all(found[name] == name for name in names if self.taken(name))

    def test_only_what_is_refused_is_changed(self) -> None:
        assert accepted(["auc", "AR@100"]) == {"auc": "auc", "AR@100": "AR_100"}


class TestReading:
    expected = Expected(shapes={"w": (2,)}, rows=100.0)

    def test_what_could_not_be_computed_is_left_blank(self) -> None:
        meta = {"initial_metrics": {"auc": float("nan"), "accuracy": 0.5}}
        assert read("WEIGHT_DIFF", {"w": np.zeros(2)}, meta, self.expected).sent.metrics == {"accuracy": 0.5}

    def test_texts_are_cut_and_without_control_characters(self) -> None:
        meta = {"data_sha256": "\x1b]0;owned\x07" + "x" * 10_000, **{f"t{n}": "x" for n in range(100)}}
        tags = read("WEIGHT_DIFF", {"w": np.zeros(2)}, meta, self.expected).sent.tags
        assert all(text.isprintable() and len(text) <= LONGEST_TEXT for text in tags.values())
        assert len(tags) == 10

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3)
            ),
        ),
        st.sampled_from(["NUM_STEPS_CURRENT_ROUND", "initial_metrics", "score_histograms", "x"]),
    )
    def test_any_content_is_read_or_refused(self, content: Any, key: str) -> None:
        try:
            found = read("WEIGHT_DIFF", {"w": np.zeros(2)}, {key: content}, self.expected)
        except AnswerRefusedError as refusal:
            assert str(refusal).isprintable()
            assert len(str(refusal)) < 300
        else:
            assert 1 <= found.patients <= 100
            json.dumps({"metrics": found.sent.metrics, "h": found.sent.histograms}, allow_nan=False)
