"""A model gets out: measured where the patients are, and predicting there, by the commands of a person."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.own_clone import PATIENCE, Clone
from tests.e2e.running_federation import Federation

pytestmark = pytest.mark.long

COLUMNS = (
    "age",
    "trestbps",
    "chol",
    "thalch",
    "oldpeak",
    "ca",
    "sex",
    "fbs",
    "exang",
    "cp",
    "restecg",
    "slope",
    "thal",
)
PATIENT = (54, 130, 240, 150, 1, 0, 1, 0, 0, 4, 0, 2, 3)
DIRTY = "\r\n".join(
    [
        ";".join(("patient", *COLUMNS)),
        ";".join(map(str, ("A-1", *PATIENT))),
        ";".join(map(str, ("A-2", 76, *PATIENT[1:4], "2,5", *PATIENT[5:]))),
        ";".join(map(str, ("A-3", "old", *PATIENT[1:]))),
        "",
    ]
)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    with Federation.up(Clone(tmp_path_factory.mktemp("models"), machines=True)) as running:
        yield running


@pytest.fixture(scope="module")
def version(federation: Federation) -> str:
    """Of the model that was trained and that a person promoted."""
    answer = json.loads(federation.clone.fed("train", "--json", seconds=2 * PATIENCE).stdout)
    said = federation.clone.fed("model", "promote", "heart", answer["model_version"])
    assert "cannot score" not in said.stderr + said.stdout
    return str(answer["model_version"])


def test_a_model_is_measured_at_every_hospital_and_stays_as_it_is(
    federation: Federation, version: str
) -> None:
    trained = federation.fedctl("jobs")["jobs"][0]
    before = federation.fedctl("job", trained["id"])
    found = json.loads(federation.clone.fed("evaluate", "heart", "--json", seconds=2 * PATIENCE).stdout)
    assert (found["state"], found["evaluates"]) == ("finished", version)
    assert found["hospitals"] == before["hospitals"]  # the same model on the same patients
    assert found["model_version"] is None
    (overall,) = [
        run for run in federation.mlflow_runs(found["id"]) if run["info"]["run_name"].startswith("global")
    ]
    tags = {tag["key"]: tag["value"] for tag in overall["data"]["tags"]}
    assert tags["evaluates"] == f"heart {version}"
    listed = federation.clone.fed("jobs").stdout
    assert "measures" in listed


def test_mlflow_has_the_code_and_each_hospitals_parameters_and_data(
    federation: Federation, version: str
) -> None:
    trained = json.loads(federation.clone.fed("model", "show", "heart", "--json").stdout)["job_id"]
    runs = {run["info"]["run_name"].split()[0]: run for run in federation.mlflow_runs(trained)}
    cleveland = runs["cleveland"]
    assert {"key": "rounds", "value": "10"} in cleveland["data"]["params"]
    (read,) = cleveland["inputs"]["dataset_inputs"]
    assert read["dataset"]["name"] == "heart.csv"
    assert json.loads(read["dataset"]["schema"])["name"] == "heart"
    names = federation.read("centre", "server", "mlflow/")
    assert any(name.endswith("/artifacts/code/heart_job/train.py") for name in names)


def test_the_model_card_is_with_the_version_and_at_every_hospital(
    federation: Federation, version: str, tmp_path: Path
) -> None:
    fed, name = federation.clone.fed, f"card-heart-{version}.md"
    federation.wait(
        lambda: any(
            blob.endswith("/model/card.md") for blob in federation.read("centre", "server", "mlflow/")
        ),
        "the card is in MLflow",
    )
    card = fed("model", "show", "heart", "--card").stdout
    assert card.startswith(f"# Model card: heart, version {version}")
    assert "VA Long Beach" in card and "data set heart" in card
    fed("model", "get", "heart", "--to", str(tmp_path / "model"))
    assert (tmp_path / "model" / "card.html").read_text().startswith("<!doctype html>")
    federation.wait(lambda: federation.read("hungary", "client-hungary", f"curated/{name}"), "hungary's card")
    (own,) = federation.read("hungary", "client-hungary", f"curated/{name}").values()
    assert b"Hungary" in own
    assert b"| Cleveland |" not in own.split(b"## Measured")[0]


def test_a_hospital_has_its_patients_scored_once_its_officers_approve_the_model(
    federation: Federation, version: str, tmp_path: Path
) -> None:
    fed, file = federation.clone.fed, tmp_path / "heart.csv"
    file.write_text(DIRTY, newline="")
    fed("data", "score", str(file), "--party", "cleveland")

    def asked() -> str:
        jobs = json.loads(fed("hospital", "review", "cleveland", "--json").stdout)["jobs"]
        return next(
            (job["code"] for job in jobs if job["answer"] == "waiting" and job["name"] == "model-heart"), ""
        )

    federation.wait(asked, "the model is put before the officers")
    code = asked()
    federation.wait(
        lambda: "waits for your officers' answer" in scores(federation, tmp_path, "heart.txt"), "why"
    )
    read = fed("hospital", "review", "cleveland", "--code", code).stdout
    assert "nothing leaves" in read and f"version {version}" in read
    fed("hospital", "approve-job", "cleveland", code, "--by", "Dr Meier")
    federation.wait(lambda: scores(federation, tmp_path, "heart.csv"), "the scores")

    first, second, third = csv.DictReader(io.StringIO(scores(federation, tmp_path, "heart.csv")))
    assert [row["patient"] for row in (first, second, third)] == ["A-1", "A-2", "A-3"]
    assert 0 < float(first["risk"]) < float(second["risk"]) < 1
    assert (third["risk"], third["problem"]) == ("", "age: not a number")
    assert "scored" in fed("audit", "--party", "cleveland").stdout
    centre = {name for name in federation.read("centre", "client-cleveland", "") if "score" in name}
    assert centre == set()
    assert federation.hospital("cleveland")["state"] == "running"


def scores(federation: Federation, folder: Path, name: str) -> str:
    """What the hospital's people find in its container `scores` by a name; nothing where there is none."""
    target = folder / f"scores-{len(list(folder.iterdir()))}"
    federation.clone.fed("data", "scores", "--party", "cleveland", "--to", str(target))
    found = target / name
    return found.read_text() if found.is_file() else ""
