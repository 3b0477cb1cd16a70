"""Registered models are laid out where researchers may read them, each once, with a register of all."""

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from container_server.centre.jobs import Jobs
from container_server.centre.published import Published
from container_server.errors import ContainerServerError, TransientError
from container_server.foreign import ForeignFileError, ForeignFolder

from tests.unit.support.workloads_fakes import FolderStore


class Centre:
    """Jobs that left something, a register, and what publishes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: list[Any] = []
        self.rows: list[dict[str, Any]] = []
        self.silent = False
        self.asked = 0
        self.changed = threading.Event()
        self.results = FolderStore(folder / "results")
        self.start()

    def start(self) -> None:
        known = SimpleNamespace(all=lambda: self.jobs, shared=ForeignFolder(self.folder / "work"))
        self.published = Published(
            self.results, cast("Jobs", known), self._registered, self.changed, self.folder / "published.json"
        )

    def _registered(self) -> Any:
        self.asked += 1
        if self.silent:
            raise TransientError("MLflow does not answer")
        return list(self.rows)

    def trained(self, job_id: str, version: Any, name: str = "heart", state: str = "finished") -> Path:
        self.jobs.append(
            SimpleNamespace(job_id=job_id, name=name, state=state, progress={"model_version": version})
        )
        self.rows.append({"name": name, "version": version, "champion": False})
        left = self.folder / "work" / "jobs" / job_id / "results"
        for file in (
            "global/model.json",
            "global/metrics.json",
            "mlflow/MLmodel",
            "mlflow/code/predictor.py",
        ):
            (left / file).parent.mkdir(parents=True, exist_ok=True)
            (left / file).write_text(file)
        (left / "hospitals").mkdir()
        (left / "hospitals" / "cleveland.json").write_text("{}")
        return left

    def laid_out(self) -> set[str]:
        root = self.results.folder
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    def register(self) -> list[dict[str, Any]]:
        content = json.loads((self.results.folder / "models.json").read_text())
        assert content["schema"] == "fed/register/1"
        return list(content["models"])


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    return Centre(tmp_path)


def test_a_versions_files_are_there_as_mlflow_loads_them_and_nobodys_own_numbers(centre: Centre) -> None:
    centre.trained("one", "1")
    centre.published.step()
    files = ("model.json", "metrics.json", "MLmodel", "code/predictor.py")
    assert centre.laid_out() == {"models.json", *(f"models/heart/1/{file}" for file in files)}
    assert centre.register() == centre.rows


def test_it_is_done_once_also_after_a_restart(centre: Centre) -> None:
    left = centre.trained("one", "1")
    centre.published.step()
    (left / "mlflow" / "MLmodel").write_text("another")
    centre.start()
    centre.published.step()
    assert (centre.results.folder / "models/heart/1/MLmodel").read_text() == "mlflow/MLmodel"


def test_the_register_is_written_when_a_person_decides_and_not_all_the_time(centre: Centre) -> None:
    centre.trained("one", "1")
    for _ in range(3):
        centre.published.step()
    assert centre.asked == 1
    centre.rows[0]["champion"] = True
    centre.changed.set()
    centre.published.step()
    assert centre.register()[0]["champion"] is True


def test_a_register_that_could_not_be_read_is_written_later(centre: Centre) -> None:
    centre.trained("one", "1")
    centre.silent = True
    with pytest.raises(TransientError):
        centre.published.step()
    centre.silent = False
    centre.published.step()
    assert centre.register() == centre.rows


@pytest.mark.parametrize(
    ("version", "state"), [(None, "finished"), ("../../x", "finished"), ("2", "failed"), ("2", "aborted")]
)
def test_what_is_no_version_is_not_laid_out_and_asks_mlflow_nothing(
    centre: Centre, version: Any, state: str
) -> None:
    centre.trained("one", version, state=state)
    centre.published.step()
    assert centre.laid_out() == set() and centre.asked == 0


def test_a_model_of_no_job_of_the_federation_is_not_in_the_register(centre: Centre) -> None:
    centre.trained("one", "1")
    centre.rows.append({"name": "../../server/kit", "version": "1", "champion": True})
    centre.published.step()
    assert [row["name"] for row in centre.register()] == ["heart"]


def test_a_link_among_a_jobs_files_is_not_followed_and_holds_up_no_other_job(centre: Centre) -> None:
    left = centre.trained("one", "1")
    centre.trained("two", "2")
    (left / "mlflow" / "key").symlink_to("/etc/passwd")
    with pytest.raises(ForeignFileError):
        centre.published.step()
    assert not [name for name in centre.laid_out() if name.startswith("models/heart/1/")]
    assert "models/heart/2/MLmodel" in centre.laid_out()
    assert issubclass(ForeignFileError, ContainerServerError)
