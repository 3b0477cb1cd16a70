"""The server's rounds on NVFlare: what counts, who is named, and that the true reason ends a job."""

import json
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fed_server import plan as plans
from fed_server.answers import AIRLOCK, ANSWER, LONGEST, LONGEST_TEXT, REFUSAL, error_text
from fed_server.model import save
from fed_server.plan import CYCLIC, SUM, Plan
from fed_server.rounds import JudgedRounds, JudgingAggregator
from fed_site.airlock import Refusal
from fed_site.filters import REFUSAL_HEADER
from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask, Task
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReservedKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl import bcast_manager
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.model import make_model_learnable
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType
from nvflare.app_common.workflows.scatter_and_gather import ScatterAndGather

from clone import paths

WORKLOADS = paths.REPOSITORY / "workloads"
SITES = ("cleveland", "hungary", "va-long-beach")
KEY = "numpy_key"
AIRLOCK_SCHEMA = WORKLOADS / "container_server/container_server/schemas/airlock.schema.json"
PLAN = Plan(job="heart", checksum="ab", rounds=9, measuring_round=True, needed_metrics=("n_test",))


def answer(site: str, number: int = 0, update: float = 1.0, **meta: Any) -> Shareable:
    metrics = {"n_test": 50.0, "n_train": 100.0, "auc": 0.8}
    known = {MetaKey.NUM_STEPS_CURRENT_ROUND: 100, MetaKey.INITIAL_METRICS: metrics, **meta}
    sent: Shareable = DXO(DataKind.WEIGHT_DIFF, {KEY: np.full(2, update)}, known).to_shareable()
    sent.set_peer_props({ReservedKey.IDENTITY_NAME: site})
    sent.add_cookie(AppConstants.CONTRIBUTION_ROUND, number)
    return sent


def context(number: int = 0) -> FLContext:
    found = FLContext()
    found.set_prop(AppConstants.CURRENT_ROUND, number, private=True, sticky=False)
    model = make_model_learnable({KEY: np.zeros(2)}, {})
    found.set_prop(AppConstants.GLOBAL_MODEL, model, private=True, sticky=False)
    return found


@pytest.fixture
def aggregator(tmp_path: Path) -> JudgingAggregator:
    rows = {site: {"heart.csv": 150} for site in SITES}
    (tmp_path / "allowed.json").write_text(json.dumps({"rows": rows}))
    return JudgingAggregator(PLAN, allowed=str(tmp_path / "allowed.json"))


class TestAggregator:
    def test_the_rest_counts(self, aggregator: JudgingAggregator) -> None:
        sent = [answer("cleveland"), answer("hungary", update=float("nan")), answer("va-long-beach")]
        assert [aggregator.accept(one, context()) for one in sent] == [True, False, True]
        combined = from_shareable(aggregator.aggregate(context()))
        assert combined.data[KEY] == pytest.approx([1.0, 1.0])

    def test_in_the_round_that_measures_nobody_changes_the_model(self, aggregator: JudgingAggregator) -> None:
        """Else one hospital could change what passes the gates, or its noise would, after it was measured."""
        for number, update in ((8, 1.0), (9, 0.0)):
            for site in SITES:
                assert aggregator.accept(answer(site, number=number), context(number))
            combined = from_shareable(aggregator.aggregate(context(number))).data[KEY]
            assert combined == pytest.approx([update, update])

    @pytest.mark.parametrize(
        ("sent", "named"),
        [
            (answer("hungary", number=3), "late"),
            (answer("hungary", **{MetaKey.NUM_STEPS_CURRENT_ROUND: 151}), "counted 150 patients"),
            (answer("hungary", **{MetaKey.INITIAL_METRICS: {}}), "n_test is missing"),
            (Shareable(), "cannot be read"),
            (make_reply(ReturnCode.EXECUTION_EXCEPTION), "late"),
        ],
    )
    def test_a_refusal_is_left_for_the_tracker(
        self, aggregator: JudgingAggregator, sent: Shareable, named: str
    ) -> None:
        if sent.get_cookie(AppConstants.CONTRIBUTION_ROUND) is None and "read" in named:
            sent.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
        where = context()
        assert not aggregator.accept(sent, where)
        assert named in where.get_prop(REFUSAL)

    def test_only_the_first_of_two_answers_counts(self, aggregator: JudgingAggregator) -> None:
        assert aggregator.accept(answer("hungary"), context())
        where = context()
        assert not aggregator.accept(answer("hungary", update=5.0), where)
        assert "second" in where.get_prop(REFUSAL)

    def test_below_the_minimum_the_job_ends_and_names_who_was_dropped(
        self, aggregator: JudgingAggregator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[str] = []
        monkeypatch.setattr(aggregator, "system_panic", lambda reason, fl_ctx: said.append(reason))
        aggregator.accept(answer("cleveland"), context())
        aggregator.accept(answer("hungary", update=float("nan")), context())
        aggregator.aggregate(context())
        (reason,) = said
        assert reason.startswith("round 0: 1 of 2 hospitals needed gave a usable answer; hungary: numpy_key")

    def test_errors_end_it_with_what_the_airlocks_said_and_not_with_nvflares_code(
        self, aggregator: JudgingAggregator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[str] = []
        rounds = JudgedRounds(0, 1, 2)
        rounds.aggregator = aggregator
        for one in (rounds, aggregator):
            monkeypatch.setattr(one, "system_panic", lambda reason, fl_ctx: said.append(reason))
        where = context()
        aggregator.accept(answer("cleveland"), where)
        task = Task("train", Shareable())
        task.props[bcast_manager._KEY_MIN_RESPS] = 2
        for site in ("hungary", "va-long-beach"):
            result = make_reply(ReturnCode.TASK_RESULT_FILTER_ERROR)
            result.set_header(AIRLOCK, "the job's code ended with an error (ValueError at train.py, line 14)")
            answered = ClientTask(client=Client(site, "token"), task=task)
            answered.result = result
            rounds._process_train_result(answered, where)
        assert said == [], "others may answer"
        assert task.props[bcast_manager._KEY_MIN_RESPS] == 4
        aggregator.aggregate(where)
        (reason,) = said
        assert reason.startswith(
            "round 0: 1 of 2 hospitals needed gave a usable answer; hungary: its airlock"
        )
        assert reason.count("ValueError at train.py, line 14") == 2

    def test_a_sum_goes_on_with_the_same_hospitals_alone(
        self, aggregator: JudgingAggregator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What one round adds up to, less what the next does without a hospital, is that one's share."""
        said: list[str] = []
        monkeypatch.setattr(aggregator, "system_panic", lambda reason, fl_ctx: said.append(reason))
        aggregator._plan = replace(PLAN, workflow=SUM)
        for site in ("cleveland", "hungary"):
            aggregator.accept(answer(site), context())
        assert from_shareable(aggregator.aggregate(context())).data[KEY] == pytest.approx([2.0, 2.0])
        late = context(1)
        assert not aggregator.accept(answer("va-long-beach", number=1), late)
        assert "missed the first round" in late.get_prop(REFUSAL)
        for site in ("cleveland", "hungary"):
            assert aggregator.accept(answer(site, number=1), late)
        assert from_shareable(aggregator.aggregate(late)).data[KEY] == pytest.approx([2.0, 2.0])
        assert not said
        aggregator._plan = replace(PLAN, workflow=SUM, minimum_sites=1)
        aggregator.accept(answer("cleveland", number=2), context(2))
        assert set(from_shareable(aggregator.aggregate(context(2))).data) == {""}
        (reason,) = said
        assert reason.startswith("round 2: hungary is missing, and a sum without it")

    @pytest.mark.parametrize(
        ("plan", "most"),
        [
            (PLAN, LONGEST),
            (replace(PLAN, workflow=SUM), LONGEST),
            (replace(PLAN, workflow=SUM, longest=3.0), 3.0),
            (replace(PLAN, workflow=CYCLIC, longest=3.0), 3.0),
            (replace(PLAN, aggregation="norm-bounded", longest=3.0), LONGEST),
        ],
        ids=["averaging", "sum", "bounded sum", "bounded relay", "norm-bounded scales instead"],
    )
    def test_an_answer_has_a_length(self, aggregator: JudgingAggregator, plan: Plan, most: float) -> None:
        aggregator._plan = plan
        side = most / 2**0.5
        assert aggregator.accept(answer("cleveland", update=side * 0.999), context())
        where = context()
        assert not aggregator.accept(answer("hungary", update=side * 1.001), where)
        assert where.get_prop(REFUSAL).endswith(f"long, at most {most:g} is taken")

    def test_it_is_what_a_hospitals_officers_can_let_out_at_most(self) -> None:
        schema = json.loads(AIRLOCK_SCHEMA.read_text())
        assert schema["properties"]["longest"]["maximum"] == LONGEST

    def test_nothing_is_kept_for_the_next_round(self, aggregator: JudgingAggregator) -> None:
        for site in SITES:
            aggregator.accept(answer(site), context())
        aggregator.aggregate(context())
        assert aggregator.accept(answer("hungary", number=1), context(1))


def test_what_an_airlock_says_is_read_whole() -> None:
    assert AIRLOCK == REFUSAL_HEADER
    place = " (ConnectionRefusedError at a_package_of_the_job/a_module/train.py, line 1234)"
    assert all(len(refusal.value) < LONGEST_TEXT for refusal in Refusal)
    assert len(Refusal.RETURN_CODE.value + place) < LONGEST_TEXT


def test_what_is_overridden_in_nvflare_is_there() -> None:
    """Private parts of NVFlare 2.9: another version may have them elsewhere."""
    assert "_process_train_result" in vars(ScatterAndGather)
    assert bcast_manager._KEY_MIN_RESPS == "__min_responses"
    assert issubclass(JudgedRounds, ScatterAndGather)


class Engine:
    """Who takes part."""

    def get_clients(self) -> list[Any]:
        return [types.SimpleNamespace(name=site) for site in SITES]


class Run:
    """A tracker, and the events that NVFlare would fire."""

    def __init__(self, tracker: Any, folder: Path):
        self.tracker = tracker
        self.folder = folder
        self.abort = Signal()
        self.panics: list[str] = []
        tracker.system_panic = self._panic
        self.fire(EventType.START_RUN)

    def fire(self, event: str, **props: Any) -> None:
        where = context(props.pop("number", 0))
        where.set_prop("__engine__", Engine(), private=True)
        where.set_prop("__run_num__", "job", private=True)
        where.set_prop(ReservedKey.RUN_ABORT_SIGNAL, self.abort, private=True)
        for name, value in props.items():
            where.set_prop(name, value, private=True, sticky=False)
        self.tracker.handle_event(event, where)

    def _panic(self, reason: str, fl_ctx: FLContext) -> None:
        self.panics.append(reason)
        self.fire(EventType.FATAL_SYSTEM_ERROR, **{FLContextKey.EVENT_DATA: reason})

    def round(self, aggregator: JudgingAggregator, sent: Mapping[str, Shareable]) -> None:
        self.fire(AppEventType.ROUND_STARTED)
        for one in sent.values():
            where = context()
            accepted = aggregator.accept(one, where)
            props = {name: where.get_prop(name) for name in (ANSWER, REFUSAL)}
            self.fire(
                AppEventType.AFTER_CONTRIBUTION_ACCEPT,
                **props,
                **{AppConstants.TRAINING_RESULT: one, AppConstants.AGGREGATION_ACCEPTED: accepted},
            )
        self.fire(AppEventType.AFTER_AGGREGATION)

    def progress(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "progress.json").read_text())
        return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """MLflow is a record and no part of training: here it cannot be reached."""
    names = (
        "mlflow",
        "mlflow.entities",
        "mlflow.exceptions",
        "fed_server.mlflow_runs",
        "fed_server.tracking",
    )
    for name in names[:3]:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))

    class MlflowException(Exception):  # noqa: N818 - MLflow's name
        pass

    def unreachable(*arguments: object) -> Any:
        raise MlflowException("no route")

    client = types.SimpleNamespace(get_experiment_by_name=unreachable)
    sys.modules["mlflow"].MlflowClient = lambda address: client  # type: ignore[attr-defined]
    for entity in ("Dataset", "DatasetInput", "InputTag", "Metric", "Param", "RunTag"):
        setattr(sys.modules["mlflow.entities"], entity, tuple)
    sys.modules["mlflow.exceptions"].MlflowException = MlflowException  # type: ignore[attr-defined]
    from fed_server import tracking  # noqa: PLC0415 - needs MLflow's stand-in

    monkeypatch.setattr(tracking, "job_folder", lambda job_id: tmp_path)
    monkeypatch.setattr(tracking, "provenance", lambda checksum: {"job_checksum": checksum})
    plan = {"job": "heart", "checksum": "ab", "rounds": 1}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    monkeypatch.setattr(plans, "job_folder", lambda job_id: tmp_path)
    tracker = tracking.RunTracker()
    monkeypatch.setattr(tracker, "_run_folder", lambda fl_ctx: tmp_path / "run")
    yield Run(tracker, tmp_path)
    for name in names[3:]:
        sys.modules.pop(name, None)


class TestTracker:
    def test_whose_answer_was_dropped_or_did_not_come_is_named(
        self, run: Run, aggregator: JudgingAggregator
    ) -> None:
        run.round(
            aggregator, {"a": answer("cleveland"), "b": answer("hungary", **{MetaKey.INITIAL_METRICS: {}})}
        )
        progress = run.progress()
        assert progress["dropped"] == {
            "hungary": {"rounds": [0], "reason": "round 0: the metric n_test is missing"},
            "va-long-beach": {"rounds": [0], "reason": "round 0: no answer in time"},
        }
        assert list(progress["history"][0]["sites"]) == ["cleveland"]

    def test_an_error_in_place_of_an_answer_is_named(self, run: Run, aggregator: JudgingAggregator) -> None:
        run.fire(AppEventType.ROUND_STARTED)
        peer = FLContext()
        peer.set_prop(ReservedKey.IDENTITY_NAME, "hungary", private=False)
        reply = make_reply(ReturnCode.EXECUTION_EXCEPTION)
        run.fire(
            EventType.BEFORE_PROCESS_SUBMISSION,
            **{FLContextKey.TASK_RESULT: reply, FLContextKey.PEER_CONTEXT: peer},
        )
        run.fire(AppEventType.AFTER_AGGREGATION)
        assert "EXECUTION_EXCEPTION" in run.progress()["dropped"]["hungary"]["reason"]

    def test_the_airlocks_own_words_reach_the_author(self, run: Run, aggregator: JudgingAggregator) -> None:
        said = Refusal.WHOLE_WEIGHTS.value
        reply = make_reply(ReturnCode.TASK_RESULT_FILTER_ERROR)
        reply.set_header(REFUSAL_HEADER, said)
        reply.set_peer_props({ReservedKey.IDENTITY_NAME: "hungary"})
        reply.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
        where = context()
        assert not aggregator.accept(reply, where)
        assert where.get_prop(REFUSAL) == f"its airlock let nothing out: {said}"
        peer = FLContext()
        peer.set_prop(ReservedKey.IDENTITY_NAME, "hungary", private=False)
        run.fire(AppEventType.ROUND_STARTED)
        run.fire(
            EventType.BEFORE_PROCESS_SUBMISSION,
            **{FLContextKey.TASK_RESULT: reply, FLContextKey.PEER_CONTEXT: peer},
        )
        run.fire(AppEventType.AFTER_AGGREGATION)
        reason = run.progress()["dropped"]["hungary"]["reason"]
        assert reason == f"round 0: its airlock let nothing out: {said}"
        run.tracker.drop("hungary", 0, "gave no statistics")
        assert said in run.tracker._progress["dropped"]["hungary"]["reason"]

    @pytest.mark.parametrize("said", [None, b"x", ["rows"], "\x1b[2J" * 500])
    def test_words_of_a_hostile_client_are_cut(self, said: Any) -> None:
        text = error_text("EXECUTION_EXCEPTION", said)
        assert text.isprintable()
        assert len(text) < 300

    def test_a_hospital_that_withdrew_is_named_in_every_round_that_it_misses(
        self, run: Run, aggregator: JudgingAggregator
    ) -> None:
        peer = FLContext()
        peer.set_prop(ReservedKey.IDENTITY_NAME, "hungary", private=False)
        reply = make_reply(ReturnCode.UNSAFE_JOB)
        sent = {FLContextKey.TASK_RESULT: reply, FLContextKey.PEER_CONTEXT: peer}
        run.fire(AppEventType.ROUND_STARTED)
        run.fire(EventType.BEFORE_PROCESS_SUBMISSION, **sent)
        run.fire(AppEventType.AFTER_AGGREGATION)
        run.round(aggregator, {"a": answer("cleveland")})
        dropped = run.progress()["dropped"]["hungary"]
        assert len(dropped["rounds"]) == 2
        assert "round 0: the hospital no longer approves" in dropped["reason"]

    def test_what_one_cannot_compute_is_blank_there(self, run: Run, aggregator: JudgingAggregator) -> None:
        without = {MetaKey.INITIAL_METRICS: {"n_test": 50.0, "n_train": 100.0, "auc": float("nan")}}
        run.round(aggregator, {"a": answer("cleveland"), "b": answer("hungary", **without)})
        progress = run.progress()
        assert progress["blank"] == {"hungary": {"auc": "could not be computed there"}}
        assert progress["history"][0]["global"] == {"mean_auc": 0.8}

    def test_its_own_failure_is_the_reason(self, run: Run, aggregator: JudgingAggregator) -> None:
        def broken(contributions: object) -> dict[str, float]:
            raise KeyError("n_test")

        run.tracker._report.summarise = broken
        run.round(aggregator, {"a": answer("cleveland"), "b": answer("hungary")})
        run.abort.trigger(True)
        run.fire(EventType.END_RUN)
        assert run.panics == ["the server's tracker failed: KeyError: 'n_test'"]
        progress = run.progress()
        assert (progress["state"], progress["reason"]) == ("failed", run.panics[0])

    def test_a_failure_at_the_very_end_is_the_reason_too(self, run: Run) -> None:
        def broken(*known: object) -> bool:
            raise OSError("disk full")

        run.tracker._report.complete = broken
        run.fire(EventType.END_RUN)
        progress = run.progress()
        assert progress["state"] == "failed"
        assert progress["reason"] == "the server's tracker failed: OSError: disk full"

    def test_aborted_is_not_finished_whatever_there_is(self, run: Run) -> None:
        run.tracker._report.complete = lambda *known: True
        run.abort.trigger(True)
        run.fire(EventType.END_RUN)
        progress = run.progress()
        assert (progress["state"], progress["reason"]) == ("failed", "aborted")
        assert not (run.folder / "results").exists()

    @pytest.mark.parametrize(("stopped", "status"), [(True, "KILLED"), (False, "FAILED")])
    def test_runs_in_mlflow_tell_an_abort_from_a_failure(self, run: Run, stopped: bool, status: str) -> None:
        ended: list[str] = []
        run.tracker._runs = types.SimpleNamespace(
            ids={"global": "run"}, renamed={}, tag=lambda *known: None, finish=ended.append
        )
        if stopped:
            run.abort.trigger(True)
        else:
            run.tracker._report.complete = lambda *known: False
        run.fire(EventType.END_RUN)
        assert ended == [status]

    @pytest.mark.parametrize(("evaluates", "registered"), [("", ["heart"]), ("3", [])])
    def test_a_model_that_was_only_measured_becomes_no_version(
        self, run: Run, aggregator: JudgingAggregator, evaluates: str, registered: list[str]
    ) -> None:
        asked: list[str] = []
        run.tracker._plan = replace(run.tracker._plan, evaluates=evaluates)
        run.round(aggregator, {"a": answer("cleveland")})
        save(run.folder / "checkpoint.npz", {"w": np.zeros(3)})
        run.tracker._runs = types.SimpleNamespace(
            ids={"global": "run"},
            renamed={},
            tag=lambda *known: None,
            finish=lambda status: None,
            upload=lambda *known: None,
            register=lambda name, path: asked.append(name),
        )
        run.tracker._report.complete = lambda *known: True
        run.fire(EventType.END_RUN)
        assert run.progress()["state"] == "finished"
        assert asked == registered

    def test_the_centre_has_what_the_histograms_of_the_last_round_add_up_to(
        self, run: Run, aggregator: JudgingAggregator
    ) -> None:
        """Counts by time, of which a survival curve is made, were read and then kept nowhere."""
        run.tracker._plan = replace(run.tracker._plan, histograms={"observed": 2})
        counted = {"cleveland": [6.0, 10.0], "hungary": [0.0, 7.5]}
        answers = {
            site: answer(site, score_histograms={"observed": cells}) for site, cells in counted.items()
        }
        run.round(aggregator, answers)
        run.tracker._report.complete = lambda *known: True
        run.fire(EventType.END_RUN)
        found = json.loads((run.folder / "results/centre/histograms.json").read_text())
        assert found["histograms"] == {"observed": [6.0, 17.5]}
        assert found["hospitals"] == ["cleveland", "hungary"]
        assert not (run.folder / "results/global/histograms.json").exists()

    def test_without_a_model_or_a_metric_nothing_is_registered(
        self, run: Run, aggregator: JudgingAggregator
    ) -> None:
        results = run.folder / "results"
        (results / "global").mkdir(parents=True)
        run.round(aggregator, {"a": answer("cleveland")})
        assert not run.tracker._has_model(results)
        (results / "global" / "model.npy").touch()
        assert run.tracker._has_model(results)
        run.round(aggregator, {"a": answer("cleveland", **{MetaKey.INITIAL_METRICS: {"n_test": 50.0}})})
        assert not run.tracker._has_model(results)

    def test_what_hospitals_measure_of_each_others_models_is_for_the_centre(self, run: Run) -> None:
        for owner, site, metrics in (
            ("SRV_federation", "hungary", {"auc": 0.8}),
            ("SRV_cleveland", "hungary", {"auc": 0.7}),
            ("SRV_nobody", "hungary", {"auc": 0.6}),
            ("SRV_cleveland", "cleveland", {"auc": "high"}),
        ):
            props = {
                AppConstants.MODEL_OWNER: owner,
                AppConstants.DATA_CLIENT: site,
                AppConstants.VALIDATION_RESULT: DXO(DataKind.METRICS, metrics).to_shareable(),
            }
            run.fire(AppEventType.VALIDATION_RESULT_RECEIVED, **props)
        assert run.tracker._measured == {
            "federation": {"hungary": {"auc": 0.8}},
            "cleveland": {"hungary": {"auc": 0.7}},
        }
        dropped = run.progress()["dropped"]
        assert "names a model that nobody has" in dropped["hungary"]["reason"]
        assert "expected a number" in dropped["cleveland"]["reason"]
