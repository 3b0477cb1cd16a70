"""A hospital has its own patients scored: by a model that its officers approved, and nothing of it leaves."""

import csv
import io
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from container_server.centre.composed import Asked, compose
from container_server.centre.job_folder import JobFolder
from container_server.engine import ContainerState, Limits, Running
from container_server.hospital.models import HeldModel
from container_server.hospital.score_box import CONTAINER
from container_server.hospital.scoring import LOOK_SECONDS, Scoring
from container_server.model_package import ModelPackage, ModelPackageError, pack
from fed_box import score
from fed_box.channel import ClosedError
from fed_box.meeting import connect
from fed_data.catalogue import Catalogue
from fed_site import job_code

from clone import paths
from tests.unit.support.workloads_fakes import FakeClock, FakeEngine, FolderStore

HEART = paths.REPOSITORY / "workloads" / "jobs" / "heart"
JOB = "8c98b32f-01d4-40c2-b99e-5014b873b748"
INPUTS = (
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
PATIENT = dict(zip(INPUTS, (54, 130, 240, 150, 1, 0, 1, 0, 0, 4, 0, 2, 3), strict=True))
LIMITS = Limits(memory_mb=64, cpus=None, processes=8, scratch_mb=16)


def results() -> dict[str, bytes]:
    """What a run of `heart` leaves, with the code that predicts."""
    job = JobFolder.read(HEART)
    content = {
        **job.content["model"],
        "weights": [0.1] * 29,
        "scaling": job.content["needs"]["scaling"]["otherwise"],
    }
    code = {
        f"code/heart_job/{name}.py": (HEART / f"heart_job/{name}.py").read_bytes()
        for name in ("__init__", "model", "predictor")
    }
    return {"model.json": json.dumps(content).encode(), "metrics.json": b"{}", **code}


def archive(version: str = "3", **changes: bytes) -> bytes:
    job = JobFolder.read(HEART)
    composed = compose(job, Asked(rounds=10, parameters=job.parse({}), inputs={"scaling": {}}), ["cleveland"])
    manifest = json.loads(composed.nvflare["app_hospital/manifest.json"])
    return pack(
        job=json.loads(composed.server["plan.json"]),
        submission={"job_id": JOB, "manifest": manifest, "by": "Dr Meier"},
        version=version,
        files={**results(), **changes},
    )


class TestPackage:
    def test_is_the_same_for_the_same_version_and_other_for_other_numbers(self) -> None:
        code = job_code.checksum(archive())
        assert job_code.checksum(archive()) == code
        assert job_code.checksum(archive("4")) != code
        numbers = results()["model.json"].replace(b"0.1", b"0.2", 1)
        assert job_code.checksum(archive(**{"model.json": numbers})) != code

    def test_says_to_the_officers_that_nothing_leaves(self) -> None:
        said = job_code.manifest(archive())
        assert (said.metrics, dict(said.histograms), said.statistics, dict(said.model)) == ((), {}, (), {})
        assert said.workflow == "scoring"
        assert said.data == {"score/heart.csv": INPUTS}

    def test_has_numbers_and_code_and_nothing_else_of_the_run(self) -> None:
        package = ModelPackage.read(archive())
        assert set(package.model) == {"model.json"}
        assert set(package.code) == {f"heart_job/{name}.py" for name in ("__init__", "model", "predictor")}

    def test_has_no_file_that_its_checksum_leaves_out(self) -> None:
        """The centre could change such a file after the officers' yes, and the model's code read it."""
        more = archive(**{"code/heart_job/.__nvfl_sig.json": b"0.9"})
        assert job_code.checksum(more) == job_code.checksum(archive())
        assert ModelPackage.read(more) == ModelPackage.read(archive())

    def test_of_a_job_without_a_predictor_is_refused(self) -> None:
        with pytest.raises(ModelPackageError, match=r"no predictor in its job\.yaml"):
            pack(job={"job": "heart", "files": []}, submission={}, version="1", files={})

    def test_too_large_for_hospitals_is_refused(self) -> None:
        with pytest.raises(ModelPackageError, match="more than"):
            archive(**{"model.npy": os.urandom(21 * 1024 * 1024)})


@dataclass
class House:
    """A hospital whose container `fl-score` is a thread that runs the program of that container."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    notes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    held: dict[str, HeldModel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data, self.scores = (FolderStore(self.folder / name) for name in ("data", "scores"))
        self.engine = FakeEngine({CONTAINER: ContainerState(Running.STOPPED)}, on_start=self._started)
        self.hold(archive())
        self.scoring = self.boot()

    def boot(self) -> Scoring:
        self.scoring = Scoring(
            data=self.data,
            scores=self.scores,
            engine=self.engine,
            clock=self.clock,
            folder=self.folder / "score",
            memory=self.folder / "agent" / "scores.json",
            models=lambda: self.held,
            catalogue=Catalogue.released,
            note=lambda event, said: self.notes.append((event, said)),
            limits=lambda: (LIMITS, 20.0),
        )
        return self.scoring

    def hold(self, content: bytes, objection: str = "") -> None:
        package = ModelPackage.read(content)
        self.held["heart"] = HeldModel(code=job_code.checksum(content), package=package, objection=objection)

    def put(self, rows: list[dict[str, Any]], name: str = "heart.csv") -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        self.data.write(f"score/{name}", text.getvalue().encode())

    def look(self) -> None:
        self.clock.sleep(LOOK_SECONDS * 60)
        self.scoring.turn()

    def answer(self, name: str = "heart.csv") -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO((self.scores.folder / name).read_text())))

    def why(self, name: str = "heart.txt") -> str:
        return (self.scores.folder / name).read_text()

    def _started(self, name: str) -> None:
        assert name == CONTAINER
        threading.Thread(target=self._predict, daemon=True).start()

    def _predict(self) -> None:
        with closing(connect(self.folder / "score" / "socket", 5.0)) as connection, suppress(ClosedError):
            score.answer(self.folder / "score", connection)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Below /tmp: the path of a socket has 107 bytes at most. Modules and path are as they were after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = Path(tempfile.mkdtemp(prefix="house-"))
    yield House(folder)
    shutil.rmtree(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "heart_job"]:
        del sys.modules[name]


class TestScores:
    def test_come_back_by_row_with_what_the_model_does_not_read(self, house: House) -> None:
        older = {**PATIENT, "age": 70}
        house.put([{"patient": "A-1", **PATIENT}, {"patient": "A-2", **older}])
        house.look()
        first, second = house.answer()
        assert (first["patient"], second["patient"]) == ("A-1", "A-2")
        assert 0 < float(first["risk"]) < float(second["risk"]) < 1
        assert set(first) == {"patient", "risk", "problem"}
        assert house.engine.limits[CONTAINER] == LIMITS

    def test_of_a_row_that_cannot_be_read_are_replaced_by_its_column_and_the_rule(self, house: House) -> None:
        rows = [{"patient": n, **PATIENT} for n in "ABCD"]
        rows[1]["age"], rows[2]["cp"], rows[3]["chol"] = "old", 9, ""
        house.put(rows)
        house.look()
        good, text, code, unknown = house.answer()
        assert good["risk"] and not good["problem"]
        assert (text["risk"], text["problem"]) == ("", "age: not a number")
        assert code["problem"].startswith("cp: not one of")
        assert unknown["risk"] and not unknown["problem"]

    def test_are_in_the_record_as_what_ran_on_how_many_rows(self, house: House) -> None:
        house.put([PATIENT, {**PATIENT, "age": "old"}])
        house.look()
        ((event, said),) = house.notes
        assert event == "scored"
        assert said == {
            "table": "score/heart.csv",
            "model": "heart",
            "version": "3",
            "code": house.held["heart"].code,
            "rows": 2,
            "without_score": 1,
        }

    def test_of_the_same_table_and_model_are_made_once_and_anew_for_another(self, house: House) -> None:
        house.put([PATIENT])
        house.look()
        house.boot()
        house.look()
        assert len(house.notes) == 1
        house.hold(archive("4"))
        house.look()
        house.put([PATIENT, PATIENT])
        house.look()
        assert [said["rows"] for _, said in house.notes] == [1, 1, 2]

    def test_of_the_table_before_are_not_left_for_a_table_that_is_refused(self, house: House) -> None:
        house.put([PATIENT])
        house.look()
        assert house.answer()
        house.put([{"name": "Smith"}])
        house.look()
        assert "no scores" in house.why() and not (house.scores.folder / "heart.csv").exists()

    def test_stay_where_only_the_model_changed_and_waits(self, house: House) -> None:
        house.put([PATIENT])
        house.look()
        house.hold(archive("4"), "it waits for your officers' answer")
        house.look()
        assert house.answer() and "waits" in house.why()

    def test_wait_for_the_officers_and_say_so(self, house: House) -> None:
        house.hold(archive(), "it waits for your officers' answer")
        house.put([PATIENT])
        house.look()
        assert not (house.scores.folder / "heart.csv").exists()
        assert "version 3" in house.why() and "waits for your officers' answer" in house.why()
        house.hold(archive())
        house.look()
        assert house.answer()
        assert not (house.scores.folder / "heart.txt").exists()

    @pytest.mark.parametrize(
        ("name", "why"),
        [("other.csv", "no model other has come"), ("heart.xlsx", "its name is not <model>.csv")],
    )
    def test_without_a_model_say_why(self, house: House, name: str, why: str) -> None:
        house.put([PATIENT], name)
        house.look()
        (said,) = [path.read_text() for path in house.scores.folder.iterdir()]
        assert why in said

    def test_of_another_ward_have_their_own_file(self, house: House) -> None:
        house.put([PATIENT], "heart.ward-3.csv")
        house.look()
        assert house.answer("heart.ward-3.csv")

    def test_of_a_table_without_a_column_are_refused_by_its_name(self, house: House) -> None:
        house.put([{name: value for name, value in PATIENT.items() if name != "chol"}])
        house.look()
        assert "column chol is missing" in house.why()
        assert house.engine.actions == []

    def test_of_code_that_fails_name_the_line_and_leave_nothing_in_the_container(self, house: House) -> None:
        broken = b"def _load_pyfunc(folder):\n    raise ZeroDivisionError('a patient')\n"
        house.hold(archive(**{"code/heart_job/predictor.py": broken}))
        house.put([PATIENT])
        house.look()
        assert "ZeroDivisionError" in house.why() and "line '2'" in house.why()
        assert "a patient" not in house.why()
        assert list((house.folder / "score").iterdir()) == []
        assert house.engine.state(CONTAINER).running is Running.STOPPED

    def test_of_another_number_than_rows_are_not_taken(self, house: House) -> None:
        few = (
            b"class Model:\n    def predict(self, table):\n        return [0.5]\n\n"
            b"def _load_pyfunc(folder):\n    return Model()\n"
        )
        house.hold(archive(**{"code/heart_job/predictor.py": few}))
        house.put([PATIENT, PATIENT])
        house.look()
        assert "something else than 2 numbers" in house.why()
        house.look()
        assert house.engine.actions.count(f"start {CONTAINER}") == 1  # it would say the same again

    def test_of_a_model_that_answers_with_much_more_take_none_of_this_services_memory(
        self, house: House
    ) -> None:
        many = (
            b"import numpy\n\nclass Model:\n    def predict(self, table):\n"
            b"        return numpy.zeros(2_000_000)\n\ndef _load_pyfunc(folder):\n    return Model()\n"
        )
        house.hold(archive(**{"code/heart_job/predictor.py": many}))
        house.put([PATIENT])
        house.look()
        assert "the arrays are too large" in house.why()

    def test_come_when_the_container_that_did_not_start_does(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("container_server.hospital.score_box.START_SECONDS", 0.05)
        house.engine.on_start = lambda name: None
        house.put([PATIENT])
        house.put([PATIENT], "other.csv")
        house.look()
        assert "did not start within" in house.scoring.trouble
        assert "did not start within" in house.why()
        assert "no model other" in house.why("other.txt")
        monkeypatch.undo()
        house.engine.on_start = house._started
        house.look()
        assert house.answer() and not house.scoring.trouble
