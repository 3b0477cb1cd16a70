"""Statistics are counted by the hospital's own code: of its columns, as the jobs' features name them."""

import json
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fed_server.plan import Plan
from fed_server.statistics import PlannedStatistics, refusal, statistic_configs
from fed_server.statistics import features_of as features_of_plan
from fed_site import statistics
from fed_site.filters import Airlock
from fed_site.manifest import Manifest
from fed_site.patients import OwnFiles
from fed_site.statistics import OwnColumns, OwnStatisticsExecutor
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext, FLContextManager
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.statistics_spec import StatisticConfig
from nvflare.app_common.app_constant import StatisticsConstants
from nvflare.fuel.utils import fobs

from tests.unit.support.curation_world import HOSPITALS
from tests.unit.support.heart_features import FEATURES, MAY_BE_MISSING, STATISTICS, features_of
from tests.unit.support.job_archives import manifest_content
from tests.unit.support.ledgers_of_tests import at_once
from workloads.data import heart_data
from workloads.jobs.heart.heart_job import model


@pytest.fixture
def files(tmp_path: Path) -> OwnFiles:
    return of("cleveland", tmp_path)


def of(hospital: str, folder: Path) -> OwnFiles:
    (folder / "heart.csv").write_bytes(heart_data.seed(hospital))
    return OwnFiles(folder)


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_each_feature_is_the_column_that_its_name_says(hospital: str, tmp_path: Path) -> None:
    """At Hungary the three known values of `ca` are 0: the others are missing, and not 0."""
    files = of(hospital, tmp_path)
    features = [*FEATURES, *(f"{column} missing" for column in MAY_BE_MISSING)]
    own = OwnColumns("patients", features, ["sex", "fbs", "exang", "disease"], files)
    wanted = features_of(dict(model.read_patients(heart_data.seed(hospital).decode()).columns))
    (found,) = own.features().values()
    counted = [name for name, values in wanted.items() if len(values) > 1]
    assert [feature.feature_name for feature in found] == counted
    for name, values in ((name, wanted[name]) for name in counted):
        assert own.count("patients", name) == len(values)
        assert own.sum("patients", name) == pytest.approx(values.sum())
        assert own.stddev("patients", name) == pytest.approx(values.std(ddof=1))


@pytest.mark.parametrize("feature", ["weight", "cp=", "cp=x", "weight missing", "split", "", "__class__"])
def test_what_is_no_column_of_numbers_is_no_feature(files: OwnFiles, feature: str) -> None:
    assert OwnColumns("patients", [feature], [], files).features() == {"patients": []}


def test_of_each_file_its_own_agreed_columns_are_counted_alone(tmp_path: Path) -> None:
    """A house that lets jobs count one column of each of two files had both columns counted in both."""
    (tmp_path / "a.csv").write_text("age,ill,age missing\n" + "50,1,1\n" * 40)
    (tmp_path / "b.csv").write_text("age,ill\n" + "60,0\n" * 30)
    files = OwnFiles(tmp_path).of({"a.csv": ["age"], "b.csv": ["ill"]})
    own = OwnColumns("patients", ["age", "ill", "age missing"], [], files)
    assert [own.sum("patients", name) for name in ("age", "ill", "age missing")] == [2000, 0, 0]


def test_nvflares_question_is_answered_and_passes_the_airlock(
    files: OwnFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "own_files", lambda: files)
    context: FLContext = FLContextManager(identity_name="cleveland", job_id="1").new_context()
    context.set_prop(FLContextKey.TASK_NAME, StatisticsConstants.FED_STATS_TASK)
    (tmp_path / "airlock.json").write_text("{}")
    (tmp_path / "more.csv").write_text("age\n" + "50\n" * 400)  # of another data set, with such a column
    agreed = {"heart.csv": ["age", "cp"]}
    manifest = Manifest.read(json.dumps(manifest_content(data=agreed)).encode())
    monkeypatch.setattr(statistics, "manifest_of", lambda context: manifest)
    airlock = Airlock(
        files, folder=tmp_path, policy=tmp_path / "airlock.json", manifest=manifest, keep=at_once
    )
    asked = [StatisticConfig(name, {}) for name in ("count", "sum", "mean")]
    question = Shareable()
    step = StatisticsConstants.STATS_1st_STATISTICS
    question[StatisticsConstants.STATISTICS_TASK_KEY] = step
    question[StatisticsConstants.STATS_TARGET_STATISTICS] = fobs.dumps(asked)
    executor = OwnStatisticsExecutor("patients", ["age", "cp=1", "weight"], [])
    executor.handle_event(EventType.START_RUN, context)
    reply = executor.execute(StatisticsConstants.FED_STATS_TASK, question, context, Signal())
    answer: Any = from_shareable(airlock.process(reply, context)).data
    told = fobs.loads(answer[step])
    assert told["count"]["patients"] == {"age": 303, "cp=1": 303}
    ages = model.read_patients(heart_data.seed("cleveland").decode()).columns["age"]
    assert told["mean"]["patients"]["age"] == pytest.approx(np.nanmean(ages), abs=0.2)


class TestAtTheServer:
    """One hospital must not hurt the others, as in rounds of training."""

    STEPS = (StatisticsConstants.STATS_1st_STATISTICS, StatisticsConstants.STATS_2nd_STATISTICS)
    PLAN = Plan(job="statistics", checksum="", rounds=0, statistics=STATISTICS)

    @pytest.mark.parametrize("hospital", HOSPITALS)
    def test_what_a_hospitals_airlock_lets_out_is_taken(
        self, hospital: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = of(hospital, tmp_path)
        known = features_of_plan(self.PLAN)
        columns = list(dict.fromkeys(name.partition("=")[0].removesuffix(" missing") for name in known))
        manifest = Manifest.read(json.dumps(manifest_content(data={"heart.csv": columns})).encode())
        monkeypatch.setattr(statistics, "own_files", lambda: files)
        monkeypatch.setattr(statistics, "manifest_of", lambda context: manifest)
        (tmp_path / "airlock.json").write_text("{}")
        airlock = Airlock(
            files, folder=tmp_path, policy=tmp_path / "airlock.json", manifest=manifest, keep=at_once
        )
        executor = OwnStatisticsExecutor("patients", sorted(known), ["sex", "fbs", "exang", "disease"])
        context: FLContext = FLContextManager(identity_name=hospital, job_id="1").new_context()
        context.set_prop(FLContextKey.TASK_NAME, StatisticsConstants.FED_STATS_TASK)
        executor.handle_event(EventType.START_RUN, context)
        configs = statistic_configs(self.PLAN)
        for step, names in zip(self.STEPS, (("count", "sum", "mean", "stddev"), ("histogram",)), strict=True):
            question = Shareable()
            question[StatisticsConstants.STATISTICS_TASK_KEY] = step
            asked = [StatisticConfig(name, configs[name]) for name in names]
            question[StatisticsConstants.STATS_TARGET_STATISTICS] = fobs.dumps(asked)
            if step == self.STEPS[1]:
                ranges = configs["histogram"]
                edges = {name: ranges.get(name, ranges["*"])["range"] for name in known}
                question[StatisticsConstants.STATS_MIN] = {"patients": {n: e[0] for n, e in edges.items()}}
                question[StatisticsConstants.STATS_MAX] = {"patients": {n: e[1] for n, e in edges.items()}}
            reply = executor.execute(StatisticsConstants.FED_STATS_TASK, question, context, Signal())
            left = airlock.process(reply, context)
            assert left.get_return_code() == ReturnCode.OK, step
            told = fobs.loads(from_shareable(left).data[step])
            assert set(told) & set(names)
            assert refusal(left, known) is None

    def stated(self, value: Any, feature: str = "age", data_set: str = "patients") -> Shareable:
        return self.of({"count": {data_set: {feature: value}}})

    def of(self, content: Any, listed: Any = None) -> Shareable:
        data = {StatisticsConstants.STATISTICS_TASK_KEY: self.STEPS[0], self.STEPS[0]: fobs.dumps(content)}
        more = {} if listed is None else {StatisticsConstants.STATS_FEATURES: fobs.dumps(listed)}
        answer: Shareable = DXO(DataKind.STATISTICS, {**data, **more}).to_shareable()
        return answer

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), "many", True, [1.0], None, 0, -3])
    def test_what_is_no_number_is_dropped(self, value: Any) -> None:
        assert refusal(self.stated(3), frozenset({"age"})) is None
        assert "something else than numbers" in str(refusal(self.stated(value), frozenset({"age"})))

    def test_anything_else_is_dropped(self) -> None:
        known = frozenset({"age"})
        for answer, named in (
            (self.stated(3, feature="weight"), "other features"),
            (self.stated(3, data_set="more"), "other features"),
            (self.of({"var": {"patients": {"age": -1.0}}}), "something else than numbers"),
            (self.of({"count": {}, "sum": {"patients": {"age": 1.0}}}), "something else than numbers"),
            (self.of({"count": 3}), "cannot be read"),
            (self.of({}, listed={"patients": 3}), "cannot be read"),
            (self.of({}, listed={"more": []}), "other features"),
            (DXO(DataKind.STATISTICS, {"x": b"y"}).to_shareable(), "cannot be read: KeyError"),
            (Shareable(), "cannot be read"),
            (make_reply(ReturnCode.TASK_RESULT_FILTER_ERROR), "TASK_RESULT_FILTER_ERROR"),
            (make_reply(ReturnCode.UNSAFE_JOB), "no longer approves"),
        ):
            assert named in str(refusal(answer, known))

    def test_its_hospital_is_named_and_the_job_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        controller, named = PlannedStatistics(2), {}
        controller._known = frozenset({"age"})
        panics: list[str] = []
        monkeypatch.setattr(controller, "system_panic", lambda reason, **_: panics.append(reason))
        tracker = types.SimpleNamespace(refused=named.__setitem__)
        context = FLContext()
        engine = types.SimpleNamespace(get_component=lambda name: tracker)
        monkeypatch.setattr(context, "get_engine", lambda *_, **__: engine)
        for fire in ("log_warning", "log_info"):
            monkeypatch.setattr(controller, fire, lambda *_, **__: None)
        for site, result in (
            ("cleveland", self.stated(3)),
            ("hungary", make_reply(ReturnCode.EXECUTION_EXCEPTION)),
        ):
            task = types.SimpleNamespace(name="fed_stats", props={StatisticsConstants.STATISTICS_TASK_KEY: 1})
            client = types.SimpleNamespace(name=site)
            controller.results_cb(types.SimpleNamespace(client=client, result=result, task=task), context)
        assert list(named) == ["hungary"]
        assert controller.client_statistics == {"count": {"cleveland": {"patients": {"age": 3}}}}
        assert panics == []
