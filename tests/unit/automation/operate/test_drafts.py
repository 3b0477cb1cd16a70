"""`fed jobs new`: what is read in a training script, and what is left to a person."""

from pathlib import Path

import pytest
import yaml
from container_server.centre.job_folder import JobFolder

from automation.operate import drafts
from automation.ui.outcome import QuestionError

SCRIPT = """
import argparse
import os

import torch
from network import Net

import nvflare.client as flare
from nvflare.app_common.np.constants import NPConstants

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.1)
parser.add_argument("--data_path", type=str)
parser.add_argument("--depth", type=int)
parser.add_argument("--quick", action="store_true")
flare.init()
while flare.is_running():
    model = flare.receive()
    table = os.path.join(os.environ["FED_DATA"], "heart.csv")
    rows = read(table, ["age", "thalch"])
    params = {NPConstants.NUMPY_KEY: model.params}
    flare.send(flare.FLModel(params={NPConstants.NUMPY_KEY: 1}, metrics={"auc": 0.5, "loss": 1}))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "network.py").write_text("class Net: ...\n")
    (tmp_path / "client.py").write_text(SCRIPT)
    return tmp_path / "client.py"


def test_a_draft_is_a_job_that_the_centre_can_read(script: Path, tmp_path: Path) -> None:
    remarks = drafts.new("cohort", script, tmp_path / "cohort")
    job = JobFolder.read(tmp_path / "cohort")
    assert job.files["client.py"] == script.read_bytes()  # as it is
    assert job.content["script"] == {
        "path": "client.py",
        "files": ["network.py"],
        "arguments": ["--rate", 0.1, "--data_path", "/data"],
        "framework": "torch",
    }
    assert job.content["data"] == {"heart.csv": ["age", "thalch"]}
    assert job.content["metrics"] == ["auc", "loss"]
    assert job.content["model"] == {"arrays": {"numpy_key": [1]}}
    assert job.content["box"] == "torch"
    assert any("--depth" in remark for remark in remarks)
    assert any(remark.startswith("purpose") for remark in remarks)


@pytest.mark.parametrize(
    ("imports", "box"),
    [
        ("import numpy", None),
        ("from sklearn import svm", "tabular"),
        ("import tensorflow as tf\nimport pandas", "tensorflow"),
        ("import pandas\nimport torchvision", "torch"),
    ],
)
def test_the_box_is_the_one_with_its_libraries(imports: str, box: str | None, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(f"{imports}\nimport nvflare.client as flare\n")
    drafts.new("cohort", tmp_path / "train.py", tmp_path / "cohort")
    assert yaml.safe_load((tmp_path / "cohort/job.yaml").read_text()).get("box") == box


@pytest.mark.parametrize(
    ("text", "said"), [("print()", "does not import nvflare.client"), ("def (", "cannot be read as Python")]
)
def test_a_script_that_no_box_could_run_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(text)
    with pytest.raises(QuestionError, match=said):
        drafts.new("cohort", tmp_path / "train.py", tmp_path / "cohort")
    assert not (tmp_path / "cohort").exists()


@pytest.mark.parametrize(
    ("name", "folder"), [("Cohort", "Cohort"), ("x" * 41, "x" * 41), ("cohort", "other"), ("cohort", ".")]
)
def test_a_name_or_folder_that_cannot_be_is_refused(
    script: Path, name: str, folder: str, tmp_path: Path
) -> None:
    with pytest.raises(QuestionError):
        drafts.new(name, script, tmp_path / folder)


def test_nothing_is_overwritten(script: Path, tmp_path: Path) -> None:
    (tmp_path / "cohort").mkdir()
    with pytest.raises(QuestionError, match="is there already"):
        drafts.new("cohort", script, tmp_path / "cohort")
