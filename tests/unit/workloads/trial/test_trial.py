"""`fed jobs try`: a job at made-up hospitals, by the code that composes, boxes and judges real ones."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from fed_data import check
from fed_data.catalogue import Catalogue
from fed_data.made_up import table
from fed_trial import __main__ as trial

from automation.operate.trial import sentences
from tests.unit.support.job_archives import ROOT

FIRST, LAST = 0, -1
JOB = """
name: cohort
purpose: To see what leaves.
rounds: 1
data: {heart.csv: [age, sex]}
model: {arrays: {w: [2]}}
script: {path: train.py, arguments: [--data, /data/heart.csv]}
metrics: [error]
"""
SCRIPT = """
import csv
import sys

import nvflare.client as flare

flare.init()
while flare.is_running():
    model = flare.receive()
    with open(sys.argv[2]) as stream:
        rows = list(csv.reader(stream))
    print("columns", *rows[0])
    if model.current_round == 1:
        rows[0].index("thalch")
    change = {"w": model.params["w"] + [30, 40]}
    flare.send(flare.FLModel(params=change, metrics={"error": 0.5, "secret": len(rows)}))
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Of two rounds, in the second of which the script fails."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("jobs") / "cohort"
        folder.mkdir()
        (folder / "job.yaml").write_text(JOB)
        (folder / "train.py").write_text(SCRIPT)
        said: list[dict[str, Any]] = []
        patch.setattr(trial, "_say", said.append)
        patch.setenv("FED_BOX_PATH", str(ROOT / "workloads/fl_client"))
        program = shlex.join([sys.executable, "-m", "fed_box.run"])
        words = [str(folder), "--program", program, "--hospitals=2", "--rows=30", "--rounds=2"]
        patch.setattr(sys, "argv", ["fed_trial", *words])
        with pytest.raises(SystemExit) as ended:
            trial.main()
    return [*said, {"code": ended.value.code}]


def of(events: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return [event for event in events if key in event]


class TestTrial:
    def test_says_what_officers_would_read(self, events: list[dict[str, Any]]) -> None:
        (event,) = of(events, "manifest")
        assert "reads      heart.csv: age, sex" in " ".join(sentences(event, printed=False))

    def test_a_script_sees_the_columns_of_its_manifest_alone(self, events: list[dict[str, Any]]) -> None:
        assert of(events, "printed")[FIRST]["printed"] == "columns age sex"

    def test_what_leaves_is_what_the_airlock_lets_out(self, events: list[dict[str, Any]]) -> None:
        left = of(events, "left")
        assert [event["hospital"] for event in left] == ["hospital-1", "hospital-2"]
        assert left[FIRST]["left"]["metrics"] == {"error": 0.5}
        (said,) = sentences(left[FIRST], printed=False)
        assert "length 0.8, scaled down from 50" in said
        assert "stays, as job.yaml does not name it: secret" in said

    def test_an_error_names_file_and_line_of_the_authors_code(self, events: list[dict[str, Any]]) -> None:
        for event in of(events, "dropped"):
            assert event["round"] == 1
            assert "ValueError at train.py, line 14" in event["dropped"]
            assert "ValueError: 'thalch' is not in list" in "".join(sentences(event, printed=False))
        assert len(of(events, "dropped")) == 2

    def test_ends_as_the_job_would(self, events: list[dict[str, Any]]) -> None:
        assert "0 of 2 hospitals needed gave a usable answer" in of(events, "end")[LAST]["end"]
        assert events[LAST] == {"code": 1}


@pytest.mark.parametrize("name", [one.name for one in Catalogue.released()])
def test_made_up_rows_are_what_the_schema_takes(name: str, tmp_path: Path) -> None:
    data_set = Catalogue.released().named(name)
    assert data_set is not None
    file = tmp_path / data_set.file
    file.write_text("".join(",".join(row) + "\n" for row in table(data_set, 200, seed=1)))
    assert check.check(file, file.name, data_set).complaints == ()
    assert table(data_set, 20, seed=1) == table(data_set, 20, seed=1) != table(data_set, 20, seed=2)


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (JOB.replace("heart.csv", "lung.csv"), "no data set has the file lung.csv"),
        (JOB.replace("rounds: 1", "rounds: many"), "rounds"),
        (JOB + "box: {}\n", "box"),
    ],
)
def test_what_cannot_be_tried_is_said_in_words(
    job: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort/job.yaml").write_text(job)
    (tmp_path / "cohort/train.py").write_text("")
    monkeypatch.setattr(sys, "argv", ["fed_trial", str(tmp_path / "cohort"), "--program", "true"])
    with pytest.raises(SystemExit) as ended:
        trial.main()
    assert ended.value.code == 2
    assert said in json.loads(capsys.readouterr().out.splitlines()[LAST])["refused"]


@pytest.mark.parametrize(("table_of_his", "said"), [(None, "No such file"), ("", "it is empty")])
def test_a_table_that_cannot_be_dealt_out_is_no_failure_of_the_job(
    table_of_his: str | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort/job.yaml").write_text(JOB)
    (tmp_path / "cohort/train.py").write_text("")
    if table_of_his is not None:
        (tmp_path / "heart.csv").write_text(table_of_his)
    words = [str(tmp_path / "cohort"), "--program", "true", "--data", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["fed_trial", *words])
    with pytest.raises(SystemExit) as ended:
        trial.main()
    assert ended.value.code == 2
    assert said in json.loads(capsys.readouterr().out.splitlines()[LAST])["refused"]
