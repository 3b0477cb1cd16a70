"""Statistics are counted by the hospital's own code: of its columns, as the jobs' features name them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fed_site import statistics
from fed_site.filters import Airlock
from fed_site.manifest import Manifest
from fed_site.patients import OwnFiles
from fed_site.statistics import OwnColumns, OwnStatisticsExecutor
from nvflare.apis.dxo import from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext, FLContextManager
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.statistics_spec import StatisticConfig
from nvflare.app_common.app_constant import StatisticsConstants
from nvflare.fuel.utils import fobs

from tests.unit.curation_world import HOSPITALS
from tests.unit.heart_features import FEATURES, MAY_BE_MISSING, features_of
from tests.unit.job_archives import manifest_content
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
    airlock = Airlock(files, folder=tmp_path, policy=tmp_path / "airlock.json", manifest=manifest)
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
