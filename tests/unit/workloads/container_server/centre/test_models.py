"""The registered models: one is made so that MLflow loads it, and people say which one is used."""

import importlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import yaml
from container_server import fedctl
from container_server.centre.models import CHAMPION, Models
from container_server.control import WrongQuestionError
from container_server.errors import RefusedInputError
from fed_server import mlflow_model

from automation.operate import models as people
from automation.operate.machines import Centre
from automation.ui.outcome import FedError
from clone import paths
from tests.unit.support.workloads_fakes import FakeClock
from workloads.container_server.container_server.question import Question

ROOT = paths.REPOSITORY
HEART = ROOT / "workloads" / "jobs" / "heart" / "heart_job"


class FakeMlflow:
    """MLflow's register: two versions of `heart`, as its REST API shows them."""

    def __init__(self) -> None:
        self.aliases: dict[str, str] = {}
        self.tags: dict[str, dict[str, str]] = {"1": {"job_id": "a" * 8}, "2": {"job_id": "b\x1b[31m"}}

    def ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        answer = getattr(self, f"_{method}_{path}".replace("/", "_").replace("-", "_").lower())
        return dict(answer(**content) or {})

    def _version(self, version: str) -> dict[str, Any]:
        if version not in self.tags:
            raise RefusedInputError("MLflow: no such version")
        return {
            "name": "heart",
            "version": version,
            "creation_timestamp": 1_790_000_000_000,
            "run_id": "run",
            "source": "mlflow-artifacts:/1/run/artifacts/model",
            "tags": [{"key": key, "value": value} for key, value in self.tags[version].items()],
        }

    def _get_model_versions_search(self, max_results: int, **content: Any) -> dict[str, Any]:
        first = int(content.get("page_token", 0))
        wanted = content.get("filter", "name='heart'") == "name='heart'"
        known = [self._version(version) for version in self.tags] if wanted else []
        more = {"next_page_token": str(first + max_results)} if known[first + max_results :] else {}
        return {"model_versions": known[first : first + max_results], **more}

    def _get_model_versions_get(self, name: str, version: str) -> dict[str, Any]:
        return {"model_version": self._version(version)}

    def _get_registered_models_get(self, name: str) -> dict[str, Any]:
        aliases = [{"alias": alias, "version": version} for alias, version in self.aliases.items()]
        return {"registered_model": {"name": name, "aliases": aliases}}

    def _post_registered_models_alias(self, name: str, alias: str, version: str) -> None:
        self.aliases[alias] = version

    def _delete_registered_models_alias(self, name: str, alias: str) -> None:
        del self.aliases[alias]

    def _post_model_versions_set_tag(self, name: str, version: str, key: str, value: str) -> None:
        self.tags[version][key] = value

    def _get_runs_get(self, run_id: str) -> dict[str, Any]:
        return {"run": {"data": {"metrics": [{"key": "auc", "value": 0.83}]}}}


@dataclass
class CentreByRunCommand:
    """The centre, whose answers `fedctl` cuts."""

    models: Models

    def ask(self, question: Question[Any]) -> dict[str, Any]:
        given = vars(fedctl.parser().parse_args(question.words()))
        answer = self.models.handlers()[given.pop("command")](given)
        return dict(json.loads(fedctl.fit(answer, fedctl.OUTPUT_LIMIT)))


@dataclass
class Given:
    """Hospitals, who are given what was promoted."""

    models: dict[str, str] = field(default_factory=dict)
    why_not: str = ""

    def promoted(self, name: str, version: str, job_id: str, by: str) -> None:
        if self.why_not:
            raise RefusedInputError(self.why_not)
        self.models[name] = version

    def withdrawn(self, name: str, version: str | None = None) -> None:
        if version in (None, self.models.get(name)):
            self.models.pop(name, None)


def test_hospitals_are_given_the_champion_and_nothing_once_it_is_retired(mlflow: FakeMlflow) -> None:
    hospitals = Given()
    models = Models(mlflow, FakeClock(), hospitals)
    assert "no_scores" not in models.promote({"name": "heart", "version": "1", "by": "a"})
    assert hospitals.models == {"heart": "1"}
    models.retire({"name": "heart", "version": "1", "by": "a", "why": "drift"})
    assert hospitals.models == {}


def test_a_version_that_is_retired_goes_from_hospitals_though_the_centre_was_killed_on_the_way(
    mlflow: FakeMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was no champion any more, so the second try did not take it from them, and they kept it for good."""

    def killed(*arguments: object, **words: object) -> None:
        raise KeyboardInterrupt

    hospitals = Given()
    models = Models(mlflow, FakeClock(), hospitals)
    models.promote({"name": "heart", "version": "1", "by": "a"})
    asked = {"name": "heart", "version": "1", "by": "a", "why": "drift"}
    with monkeypatch.context() as at_once:
        at_once.setattr(hospitals, "withdrawn", killed)
        with pytest.raises(KeyboardInterrupt):
            models.retire(asked)
    models.retire(asked)
    assert hospitals.models == {}


def test_a_version_that_hospitals_still_have_goes_from_them_though_another_is_the_champion(
    mlflow: FakeMlflow,
) -> None:
    """A promotion that was killed half way leaves it so."""
    hospitals = Given({"heart": "1"})
    mlflow.aliases[CHAMPION] = "2"
    Models(mlflow, FakeClock(), hospitals).retire(
        {"name": "heart", "version": "1", "by": "a", "why": "drift"}
    )
    assert hospitals.models == {}


def test_a_champion_that_hospitals_cannot_use_says_why_and_none_of_before_stays_there(
    mlflow: FakeMlflow,
) -> None:
    hospitals = Given({"heart": "1"}, why_not="heart has no predictor")
    answer = Models(mlflow, FakeClock(), hospitals).promote({"name": "heart", "version": "2", "by": "a"})
    assert (answer["champion"], answer["no_scores"]) == (True, "heart has no predictor")
    assert hospitals.models == {}


def test_it_is_known_which_job_left_a_version(models: Models, mlflow: FakeMlflow) -> None:
    assert models.trained_by("heart", "1") == "a" * 8
    mlflow.tags["1"] = {}
    with pytest.raises(RefusedInputError, match="of no job"):
        models.trained_by("heart", "1")


@pytest.fixture
def mlflow() -> FakeMlflow:
    return FakeMlflow()


@pytest.fixture
def models(mlflow: FakeMlflow) -> Models:
    return Models(mlflow, FakeClock(), Given())


def test_lists_all_versions_the_newest_first_without_control_characters(models: Models) -> None:
    rows = models.listing({})["models"]
    assert [(row["version"], row["champion"]) for row in rows] == [("2", False), ("1", False)]
    assert rows[0]["job_id"] == "b?[31m" and rows[0]["artifacts"] == "1/run/artifacts/model"
    assert "metrics" not in rows[0]
    assert models.listing({"name": "heart"})["models"][0]["metrics"] == {"auc": 0.83}
    assert models.listing({"name": "other"})["models"] == []


@pytest.mark.parametrize("name", [None, "heart"])
def test_people_see_every_version_though_azure_carries_a_few_at_a_time(
    models: Models, mlflow: FakeMlflow, name: str | None
) -> None:
    """With some ten versions the older ones, perhaps the champion, were once not there."""
    mlflow.tags = {str(number): {"job_id": "a" * 36} for number in range(1, 251)}
    models.promote({"name": "heart", "version": "1", "by": "Dr Meier"})
    rows = people.listing(cast("Centre", CentreByRunCommand(models)), name)
    assert [row["version"] for row in rows] == [str(number) for number in range(250, 0, -1)]
    assert [row["version"] for row in rows if row["champion"]] == ["1"]


def test_one_version_that_does_not_fit_is_an_error(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fedctl, "OUTPUT_LIMIT", 100)
    with pytest.raises(FedError, match="too long"):
        people.listing(cast("Centre", CentreByRunCommand(models)))


def test_a_promotion_says_who_and_what_was_before(models: Models, mlflow: FakeMlflow) -> None:
    assert models.promote({"name": "heart", "version": "1", "by": "Dr Meier"})["before"] is None
    assert models.promote({"name": "heart", "version": "2", "by": "Dr Meier"})["before"] == "1"
    assert mlflow.aliases == {CHAMPION: "2"}
    rows = {row["version"]: row for row in models.listing({})["models"]}
    assert rows["2"]["champion"] and not rows["1"]["champion"]
    assert rows["2"]["promoted_by"] == "Dr Meier" and rows["2"]["promoted_at"]


def test_a_retired_version_is_out_of_use_for_good(models: Models, mlflow: FakeMlflow) -> None:
    models.promote({"name": "heart", "version": "1", "by": "a"})
    models.retire({"name": "heart", "version": "1", "by": "a", "why": "drift"})
    assert mlflow.aliases == {} and mlflow.tags["1"]["retired_why"] == "drift"
    with pytest.raises(RefusedInputError, match="was retired"):
        models.promote({"name": "heart", "version": "1", "by": "a"})


def test_retiring_another_version_leaves_the_champion(models: Models, mlflow: FakeMlflow) -> None:
    models.promote({"name": "heart", "version": "2", "by": "a"})
    models.retire({"name": "heart", "version": "1", "by": "a", "why": "old"})
    assert mlflow.aliases == {CHAMPION: "2"}


@pytest.mark.parametrize(
    "arguments", [{"name": "heart' or '1'='1", "version": "1"}, {"name": "heart", "version": "1/../2"}]
)
def test_a_name_or_version_that_is_none_asks_mlflow_nothing(
    models: Models, arguments: dict[str, str]
) -> None:
    with pytest.raises(WrongQuestionError):
        models.promote({**arguments, "by": "a"})


class TestWhatMlflowLoads:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(mlflow_model, "version", lambda package: "1.2.3")
        monkeypatch.syspath_prepend(str(HEART.parent))
        predictor, model = (importlib.import_module(f"heart_job.{name}") for name in ("predictor", "model"))
        content = {
            "weights": np.linspace(-1, 1, 1 + len(model.FEATURES)).tolist(),
            "scaling": {name: [0.5, 2.0] for name in model.FEATURES},
        }
        (tmp_path / "model.json").write_text(json.dumps(content))
        described = yaml.safe_load((HEART.parent / "job.yaml").read_text())["predictor"]
        assert tuple(described["inputs"]) == predictor.INPUTS
        mlflow_model.write(tmp_path / "mlflow", described, HEART.parent, [tmp_path / "model.json"], "run")
        return tmp_path / "mlflow"

    def test_predicts_with_nothing_but_its_folder_as_mlflow_calls_it(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        described = yaml.safe_load((folder / "MLmodel").read_text())
        flavour = described["flavors"]["python_function"]
        for name in [name for name in sys.modules if name.partition(".")[0] == "heart_job"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "path", [str(folder / flavour["code"]), *sys.path])
        loaded = importlib.import_module(flavour["loader_module"])._load_pyfunc(str(folder / flavour["data"]))
        inputs = [one["name"] for one in json.loads(described["signature"]["inputs"])]
        example = json.loads((folder / "input_example.json").read_text())
        assert example["columns"] == inputs
        table = {name: [value, float("nan")] for name, value in zip(inputs, example["data"][0], strict=True)}
        risks = loaded.predict(table)
        assert risks.shape == (2,) and ((risks > 0) & (risks < 1)).all() and risks[0] != risks[1]
        assert str(folder) in sys.modules["heart_job.predictor"].__file__  # type: ignore[operator]

    def test_holds_no_code_of_the_server_or_the_hospitals(self, folder: Path) -> None:
        names = {path.name for path in (folder / "code" / "heart_job").iterdir()} - {"__pycache__"}
        assert names == {"__init__.py", "model.py", "predictor.py"}
