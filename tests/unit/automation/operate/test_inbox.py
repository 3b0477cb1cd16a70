"""`fed jobs submit` and `download`: what is uploaded, whose answer is read, where results are written."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from container_server.centre.inbox import ARCHIVE_LIMIT

from automation.operate import inbox
from automation.ui.outcome import FedError, QuestionError, RefusedError


class Centre:
    """The centre's container, with a container server that answers each archive (or none)."""

    def __init__(self, answer: Mapping[str, str] | None) -> None:
        self.blobs: dict[str, bytes] = {}
        self.said = answer
        self.archive = b""

    def upload(self, blob: str, content: bytes) -> bool:
        self.blobs[blob] = self.archive = content
        return True

    def read(self, prefix: str) -> Mapping[str, bytes]:
        found = {name: content for name, content in self.blobs.items() if name.startswith(prefix)}
        if self.said is not None:  # from the second look on
            checksum = hashlib.sha256(self.archive).hexdigest()
            self.blobs["cohort.json"] = json.dumps({"archive": checksum, **self.said}).encode()
        return found


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "_PAUSE_SECONDS", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    job = tmp_path / "cohort"
    (job / "cohort_job/__pycache__").mkdir(parents=True)
    for name in ("job.yaml", "cohort_job/train.py", "cohort_job/__pycache__/train.pyc", ".DS_Store"):
        (job / name).write_text(name)
    return job


class TestSubmit:
    def test_the_folder_goes_up_without_what_is_not_of_the_job(self, folder: Path) -> None:
        centre = Centre({"job_id": "8c98b32f"})
        assert inbox.submit(centre, folder) == "8c98b32f"
        with zipfile.ZipFile(io.BytesIO(centre.blobs["cohort.zip"])) as archive:
            assert sorted(archive.namelist()) == ["cohort_job/train.py", "job.yaml"]

    def test_an_answer_to_an_earlier_upload_is_not_taken_for_its_own(self, folder: Path) -> None:
        centre = Centre({"job_id": "new"})
        earlier = hashlib.sha256(inbox.packed(folder)).hexdigest()
        centre.blobs["cohort.json"] = json.dumps({"archive": earlier, "job_id": "old"}).encode()
        assert inbox.submit(centre, folder) == "new"

    def test_the_same_folder_is_another_archive_each_time(self, folder: Path) -> None:
        assert inbox.packed(folder) != inbox.packed(folder)

    def test_a_refusal_is_told_in_the_centres_words(self, folder: Path) -> None:
        with pytest.raises(RefusedError, match="does not take cohort: purpose is missing"):
            inbox.submit(Centre({"error": "purpose is missing"}), folder)

    def test_another_researchers_answer_cannot_speak_to_the_terminal(self, folder: Path) -> None:
        """All who have the centre's door write to the one container."""
        with pytest.raises(RefusedError) as told:
            inbox.submit(Centre({"error": "\x1b]0;owned\x07"}), folder)
        assert "\x1b" not in str(told.value)

    def test_a_centre_that_does_not_answer_is_not_waited_for_forever(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inbox, "ANSWER_SECONDS", 0.01)
        with pytest.raises(FedError, match="did not answer"):
            inbox.submit(Centre(None), folder)

    def test_one_that_another_researcher_replaced_is_not_taken_for_ones_own(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inbox, "ANSWER_SECONDS", 0.05)
        centre = Centre({"job_id": "theirs"})
        monkeypatch.setattr(centre, "upload", lambda blob, content: True)
        centre.archive = b"theirs"
        with pytest.raises(FedError, match="somebody at its door uploaded one under that name"):
            inbox.submit(centre, folder)

    def test_a_folder_without_job_yaml_is_not_uploaded(self, tmp_path: Path) -> None:
        centre = Centre(None)
        with pytest.raises(QuestionError, match=r"no job\.yaml"):
            inbox.submit(centre, tmp_path)
        assert not centre.blobs

    def test_what_the_centre_would_not_look_at_is_not_uploaded(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody would answer it: the centre passes over other names, and reads no larger archive."""
        monkeypatch.setattr(inbox, "ANSWER_SECONDS", 0.01)
        centre = Centre(None)
        (folder / "start.npz").write_bytes(bytes(ARCHIVE_LIMIT))
        with pytest.raises(QuestionError, match="takes 10,485,760 at most"):
            inbox.submit(centre, folder)
        with pytest.raises(QuestionError, match="'My_Job' cannot be a job's name"):
            inbox.submit(centre, folder.rename(folder.with_name("My_Job")))
        assert not centre.blobs


class TestDownload:
    def test_the_files_of_one_job_are_written_into_a_new_folder(self, tmp_path: Path) -> None:
        centre = Centre(None)
        centre.blobs = {
            "a/progress.json": b"1",
            "a/results/x.npy": b"2",
            "ab/x": b"3",
        }
        assert inbox.download(centre, "a", tmp_path / "out") == ["progress.json", "results/x.npy"]
        assert (tmp_path / "out/results/x.npy").read_bytes() == b"2"

    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        with pytest.raises(QuestionError, match="is there already"):
            inbox.download(Centre(None), "a", tmp_path)

    def test_a_job_that_left_nothing_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(RefusedError, match="left no results"):
            inbox.download(Centre(None), "a", tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("name", ["a/../../x", "a//etc/x"])
    def test_a_name_that_leads_out_is_not_followed(self, tmp_path: Path, name: str) -> None:
        centre = Centre(None)
        centre.blobs = {name: b"x"}
        with pytest.raises(FedError, match="leads out"):
            inbox.download(centre, "a", tmp_path / "out")
        assert not (tmp_path / "x").exists()
