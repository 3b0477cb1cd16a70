"""The server's workflows: what each makes of the hospitals' answers, on top of NVFlare's classes."""

import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fed_server import model, plan, relay
from fed_server.answers import REFUSAL, Answer
from fed_server.combining import norm_bounded, total
from fed_server.contribution import Contribution
from fed_server.cross_site import FEDERATION, CrossSite, Models
from fed_server.model import ModelArrays, load, save
from fed_server.plan import Plan
from fed_server.relay import JudgedRelay
from fed_server.rounds import JudgedRounds, JudgingAggregator, read_metrics
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.app_common.abstract.model import ModelLearnableKey, make_model_learnable
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType
from nvflare.app_common.shareablegenerators.full_model_shareable_generator import FullModelShareableGenerator
from nvflare.app_common.workflows.cross_site_model_eval import CrossSiteModelEval
from nvflare.app_common.workflows.cyclic_ctl import CyclicController
from nvflare.app_common.workflows.scatter_and_gather import ScatterAndGather

from tests.unit.workloads.fl_server.test_rounds import SITES, Engine, answer, context
from workloads.data import heart_data
from workloads.jobs.heart.heart_job import model as heart

KEY = "numpy_key"
HOSPITALS = ("cleveland", "hungary", "va-long-beach")


def planned(**changes: Any) -> Plan:
    return Plan(
        **{
            "job": "heart",
            "checksum": "ab",
            "rounds": 9,
            "minimum_sites": 2,
            "files": ["heart.csv"],
            **changes,
        }
    )


@pytest.fixture
def allowed(tmp_path: Path) -> str:
    (tmp_path / "allowed.json").write_text(
        json.dumps({"rows": {site: {"heart.csv": 150, "more.csv": 10**6} for site in SITES}})
    )
    return str(tmp_path / "allowed.json")


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the server's jobs; `job` is there."""
    for module in (model, plan):
        monkeypatch.setattr(module, "job_folder", lambda job_id: tmp_path / job_id)
    monkeypatch.setattr(model, "JOBS", tmp_path)
    (tmp_path / "job").mkdir()
    return tmp_path


def write_plan(jobs: Path, **changes: Any) -> None:
    content = {
        "job": "heart",
        "checksum": "ab",
        "rounds": 9,
        "minimum_sites": 2,
        "files": ["heart.csv"],
        **changes,
    }
    (jobs / "job" / "plan.json").write_text(json.dumps(content))


def of_job() -> FLContext:
    where = context()
    where.set_prop("__run_num__", "job", private=True)
    return where


class TestModel:
    def test_it_starts_with_zeros_of_the_declared_shapes(self, jobs: Path) -> None:
        write_plan(jobs, arrays={"w": [2, 3], "b": []})
        weights = ModelArrays().load_model(of_job())[ModelLearnableKey.WEIGHTS]
        assert {name: array.shape for name, array in weights.items()} == {"w": (2, 3), "b": ()}
        assert not any(array.any() for array in weights.values())

    def test_or_with_the_file_of_the_job(self, jobs: Path) -> None:
        write_plan(jobs, arrays={"w": [2]})
        save(jobs / "job/start.npz", {"w": np.array([1.0, 2.0])})
        weights = ModelArrays().load_model(of_job())[ModelLearnableKey.WEIGHTS]
        assert weights["w"] == pytest.approx([1.0, 2.0])

    def test_or_where_the_job_that_is_resumed_had_ended(self, jobs: Path) -> None:
        write_plan(jobs, arrays={"file": [2]})
        learnable = make_model_learnable({"file": np.array([3.0, 4.0], dtype=np.float32)}, {})
        ModelArrays().save_model(learnable, of_job())
        (jobs / "job").rename(jobs / "before")
        (jobs / "job").mkdir()
        write_plan(jobs, arrays={"file": [2]}, resumed_from="before")
        weights = ModelArrays().load_model(of_job())[ModelLearnableKey.WEIGHTS]
        assert weights["file"].dtype == np.float32
        assert weights["file"] == pytest.approx([3.0, 4.0])

    def test_pickled_objects_are_not_loaded(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", w=np.array([{}]))
        with pytest.raises(ValueError, match="allow_pickle"):
            load(tmp_path / "x.npz")

    def test_a_job_that_was_not_composed_here_has_no_plan(self, jobs: Path) -> None:
        with pytest.raises(ValueError, match="did not compose this job"):
            ModelArrays().load_model(of_job())


def sent(**arrays: list[float]) -> dict[str, Answer]:
    return {
        site: Answer(update={"w": np.array(array)}, patients=100.0, sent=Contribution({}, {}, {}))
        for site, array in arrays.items()
    }


class TestCombining:
    def test_a_longer_update_than_the_job_allows_is_scaled_down(self) -> None:
        found = norm_bounded(sent(a=[0.3, 0.4], b=[30.0, 40.0]), {"a": 100.0, "b": 100.0}, longest=0.5)
        assert found["w"] == pytest.approx([0.3, 0.4])

    def test_a_sum_weighs_nobody(self) -> None:
        assert total(sent(a=[1.0, 2.0], b=[3.0, 4.0]), {})["w"] == pytest.approx([4.0, 6.0])


class TestRounds:
    @pytest.mark.parametrize(
        ("gone", "targets"), [((), list(SITES)), (SITES[:1], list(SITES[1:])), (SITES[:2], None)]
    )
    def test_a_hospital_where_the_job_has_ended_is_not_waited_for_in_each_round(
        self, monkeypatch: pytest.MonkeyPatch, gone: tuple[str, ...], targets: list[str] | None
    ) -> None:
        """One that withdrew cost each round five seconds; below the minimum NVFlare itself ends the job."""
        rounds, asked = JudgedRounds(0, 1, 2), []
        monkeypatch.setattr(
            ScatterAndGather, "broadcast_and_wait", lambda _, **how: asked.append(how["targets"])
        )
        monkeypatch.setattr(rounds, "get_client_disconnect_time", lambda name: 1.0 if name in gone else None)
        where = context()
        where.set_prop("__engine__", Engine(), private=True)
        rounds.broadcast_and_wait(task=types.SimpleNamespace(), fl_ctx=where, min_responses=2)
        assert asked == [targets]


class TestSum:
    def test_the_model_becomes_what_the_hospitals_add_up_to(self, allowed: str) -> None:
        aggregator = JudgingAggregator(planned(workflow="sum"), allowed=allowed)
        where = context()
        where.get_prop(AppConstants.GLOBAL_MODEL)[ModelLearnableKey.WEIGHTS][KEY] = np.array([5.0, 5.0])
        for site in SITES:
            assert aggregator.accept(answer(site, update=2.0), where)
        became = FullModelShareableGenerator().shareable_to_learnable(aggregator.aggregate(where), where)
        assert became[ModelLearnableKey.WEIGHTS][KEY] == pytest.approx([6.0, 6.0])

    def test_newtons_method_reaches_the_pooled_optimum_in_six_rounds(self, allowed: str) -> None:
        """Each script works the step out from the sums that come back; nobody at the centre does."""
        files = [heart.read_patients(heart_data.seed(name).decode()) for name in HOSPITALS]
        scale = heart.Scaling.of(heart.join(files))
        designs = [(heart.design(file, scale), file.labels) for file in files]
        rows = sum(len(labels) for _, labels in designs)
        size = 1 + len(heart.FEATURES)
        penalty = heart.L2 * np.r_[0.0, np.ones(size - 1)]
        aggregator = JudgingAggregator(planned(workflow="sum"), allowed=allowed)
        state = {"gradient": np.zeros(size), "hessian": np.zeros((size, size))}
        weights = np.zeros(size)
        for number in range(6):
            where = context(number)
            learnable = make_model_learnable(dict(state), {})
            where.set_prop(AppConstants.GLOBAL_MODEL, learnable, private=True, sticky=False)
            for site, (features, labels) in zip(SITES, designs, strict=True):
                risk = heart.predict(features, weights)
                share = {
                    "gradient": features.T @ (risk - labels) / rows,
                    "hessian": (features.T * (risk * (1 - risk))) @ features / rows,
                }
                one = DXO(DataKind.WEIGHT_DIFF, share, {MetaKey.NUM_STEPS_CURRENT_ROUND: 100}).to_shareable()
                one.set_peer_props({"__identity_name__": site})
                one.add_cookie(AppConstants.CONTRIBUTION_ROUND, number)
                assert aggregator.accept(one, where)
            state = from_shareable(aggregator.aggregate(where)).data
            step = np.linalg.solve(
                state["hessian"] + np.diag(penalty + 1e-9), state["gradient"] + penalty * weights
            )
            weights = weights - step
        together = heart.join(files)
        assert weights == pytest.approx(heart.solve(heart.design(together, scale), together.labels), abs=1e-4)


class Relayed:
    """A relay, and the events that it fires."""

    def __init__(self, jobs: Path, allowed: str) -> None:
        write_plan(jobs, workflow="cyclic")
        self.controller = JudgedRelay(0, 9, allowed=allowed)
        self.controller._plan = planned(workflow="cyclic")
        self.controller._last_learnable = make_model_learnable({KEY: np.zeros(2)}, {})
        self.controller.shareable_generator = FullModelShareableGenerator()
        self.controller._current_round = 0
        self.refused: list[str] = []
        self.fired: list[str] = []
        self.controller.fire_event = self._fire
        self.task = types.SimpleNamespace(data=None)

    def _fire(self, event_type: str, fl_ctx: FLContext, **_: Any) -> None:
        if event_type.startswith("_log"):
            return
        self.fired.append(event_type)
        if refusal := fl_ctx.get_prop(REFUSAL):
            self.refused.append(refusal)

    def answered(self, site: str, result: Shareable) -> None:
        client = types.SimpleNamespace(name=site)
        task = types.SimpleNamespace(client=client, result=result, task=self.task)
        self.controller._process_result(task, context())

    @property
    def model(self) -> Any:
        return self.controller._last_learnable[ModelLearnableKey.WEIGHTS][KEY]


class TestRelay:
    @pytest.fixture
    def relayed(self, jobs: Path, allowed: str) -> Relayed:
        return Relayed(jobs, allowed)

    def test_each_hospital_goes_on_from_what_the_one_before_made(self, relayed: Relayed) -> None:
        relayed.answered("cleveland", answer("cleveland", update=1.0))
        assert from_shareable(relayed.task.data).data[KEY] == pytest.approx([1.0, 1.0])
        assert relayed.task.data.get_header(AppConstants.CURRENT_ROUND) == 0
        relayed.answered("hungary", answer("hungary", update=0.5))
        assert relayed.model == pytest.approx([1.5, 1.5])
        assert relayed.fired == [AppEventType.AFTER_CONTRIBUTION_ACCEPT] * 2

    @pytest.mark.parametrize(
        ("result", "named"),
        [
            (answer("hungary", update=float("nan")), "no finite number"),
            (make_reply(ReturnCode.UNSAFE_JOB), "no longer approves"),
            (Shareable(), "cannot be read"),
        ],
    )
    def test_an_answer_that_does_not_count_leaves_the_model_as_it_was(
        self, relayed: Relayed, result: Shareable, named: str
    ) -> None:
        relayed.answered("cleveland", answer("cleveland", update=1.0))
        relayed.answered("hungary", result)
        assert relayed.model == pytest.approx([1.0, 1.0])
        assert named in relayed.refused[0]

    def test_too_few_answers_end_the_job(self, relayed: Relayed, monkeypatch: pytest.MonkeyPatch) -> None:
        said: list[str] = []
        monkeypatch.setattr(CyclicController, "relay_and_wait", lambda *_, **__: None)
        monkeypatch.setattr(relayed.controller, "system_panic", lambda reason, where: said.append(reason))
        running = types.SimpleNamespace(triggered=False)
        relayed.controller.relay_and_wait(relayed.task, context(), abort_signal=running)
        assert said == ["round 0: 0 of 2 hospitals needed gave a usable answer"]
        assert relayed.fired == [AppEventType.ROUND_STARTED, AppEventType.AFTER_AGGREGATION]

    def test_what_is_overridden_in_nvflare_is_there(self) -> None:
        assert "_process_result" in vars(CyclicController)
        assert relay.TASK_SECONDS > 600


class TestCrossSite:
    def test_a_hospitals_model_is_what_was_sent_and_the_difference_it_let_out(self, allowed: str) -> None:
        aggregator = JudgingAggregator(planned(workflow="cross-site"), allowed=allowed)
        where = context()
        where.get_prop(AppConstants.GLOBAL_MODEL)[ModelLearnableKey.WEIGHTS][KEY] = np.array([1.0, 1.0])
        for site, update in (("cleveland", 1.0), ("hungary", 3.0)):
            aggregator.accept(answer(site, update=update), where)
        FullModelShareableGenerator().shareable_to_learnable(aggregator.aggregate(where), where)
        own = aggregator.own_models()
        assert own["cleveland"][KEY] == pytest.approx([2.0, 2.0])
        assert own["hungary"][KEY] == pytest.approx([4.0, 4.0])
        models = Models({FEDERATION: {KEY: np.array([3.0])}, **own})
        assert models.get_model_names(where) == [FEDERATION, "cleveland", "hungary"]
        assert models.locate_model("hungary", where).data[KEY] == pytest.approx([4.0, 4.0])

    def test_it_goes_on_without_a_hospital_that_is_late(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[dict[str, Any]] = []
        monkeypatch.setattr(CrossSiteModelEval, "broadcast", lambda _, **how: asked.append(how))
        workflow = CrossSite()
        workflow._minimum, workflow._late_seconds = 2, 20
        workflow.broadcast(
            task=types.SimpleNamespace(),
            fl_ctx=context(),
            targets=list(SITES),
            min_responses=3,
            wait_time_after_min_received=0,
        )
        assert (asked[0]["min_responses"], asked[0]["wait_time_after_min_received"]) == (2, 20)

    def test_nobody_is_asked_for_a_whole_model(self) -> None:
        assert CrossSite()._submit_model_task_name == ""
        assert issubclass(CrossSite, CrossSiteModelEval)

    @pytest.mark.parametrize(
        ("result", "named"),
        [
            (make_reply(ReturnCode.EXECUTION_EXCEPTION), "EXECUTION_EXCEPTION"),
            (Shareable(), "cannot be read"),
            (DXO(DataKind.WEIGHT_DIFF, {"w": np.ones(1)}).to_shareable(), "expected metrics"),
            (DXO(DataKind.METRICS, {"auc": "high"}).to_shareable(), "expected a number"),
        ],
    )
    def test_what_is_no_metrics_is_refused(self, result: Shareable, named: str) -> None:
        from fed_server.answers import AnswerRefusedError  # noqa: PLC0415

        with pytest.raises(AnswerRefusedError, match=named):
            read_metrics(result)

    def test_metrics_are_taken(self) -> None:
        measured: Mapping[str, float] = read_metrics(DXO(DataKind.METRICS, {"auc": 0.8}).to_shareable())
        assert measured == {"auc": 0.8}
