"""The centre's model cards are put next to the version's files in MLflow, once."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from container_server.centre.cards import Cards
from container_server.centre.jobs import Jobs
from container_server.errors import RefusedInputError, TransientError

from tests.unit.support.workloads_fakes import FolderStore


@dataclass
class Register:
    files: dict[str, bytes] = field(default_factory=dict)
    silent: bool = False
    deleted: str = ""

    def ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        if content["version"] == self.deleted:
            raise RefusedInputError("MLflow: no such version")
        return {"model_version": {"source": f"mlflow-artifacts:/2/run-{content['version']}/artifacts/model"}}

    def put(self, path: str, content: bytes) -> None:
        if self.silent:
            raise TransientError("MLflow takes no file")
        self.files[path] = content


def jobs(*states: tuple[str, str]) -> Jobs:
    found = [
        SimpleNamespace(job_id=f"job-{n}", name="heart", state=state, progress={"model_version": version})
        for n, (state, version) in enumerate(states)
    ]
    return cast("Jobs", SimpleNamespace(all=lambda: found))


def made(folder: Path, version: str) -> None:
    tables = folder / "tables" / "centre"
    tables.mkdir(parents=True, exist_ok=True)
    for ending in ("md", "html"):
        (tables / f"card-heart-{version}.{ending}").write_text(ending)


def test_they_are_put_once_the_tables_were_made_and_never_again(tmp_path: Path) -> None:
    register, memory = Register(), tmp_path / "cards.json"
    results = FolderStore(tmp_path / "results")
    known = jobs(("finished", "1"), ("failed", "2"), ("finished", ""))
    Cards(known, register, results, tmp_path, memory).step()
    assert register.files == {}
    made(tmp_path, "1")
    register.silent = True
    with pytest.raises(TransientError):
        Cards(known, register, results, tmp_path, memory).step()
    register.silent = False
    Cards(known, register, results, tmp_path, memory).step()
    where = "2/run-1/artifacts/model/card"
    assert register.files == {f"{where}.md": b"md", f"{where}.html": b"html"}
    for ending in ("md", "html"):
        assert (results.folder / f"models/heart/1/card.{ending}").read_text() == ending
    register.files.clear()
    Cards(known, register, results, tmp_path, memory).step()
    assert register.files == {}


def test_a_version_that_somebody_deleted_holds_up_no_other(tmp_path: Path) -> None:
    register = Register(deleted="2")
    for version in ("1", "2"):
        made(tmp_path, version)
    known = jobs(("finished", "2"), ("finished", "1"))
    with pytest.raises(RefusedInputError, match="no such version"):
        Cards(known, register, FolderStore(tmp_path / "results"), tmp_path, tmp_path / "cards.json").step()
    assert list(register.files) == [f"2/run-1/artifacts/model/card.{ending}" for ending in ("md", "html")]
