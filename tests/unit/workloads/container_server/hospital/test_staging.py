"""A hospital's data reaches its client only when its shape is right, and complaints never quote a patient."""

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet
import pytest
from container_server.hospital.staging import SPARE_DISK, StagedFile, Staging
from container_server.storage import StorageForbiddenError
from fed_data.catalogue import Catalogue

from tests.unit.support.data_sets import data_set
from tests.unit.support.workloads_fakes import FolderStore
from workloads.data import heart_data

GOOD = heart_data.seed("hungary")


class TestStaging:
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path / "blobs")

    @pytest.fixture
    def staging(self, tmp_path: Path, store: FolderStore) -> Staging:
        return self.again(tmp_path, store)

    def again(
        self,
        tmp_path: Path,
        store: FolderStore,
        catalogue: Callable[[], Catalogue] = Catalogue.released,
    ) -> Staging:
        self.recorded: list[Any] = []
        return Staging(
            store=store,
            data=tmp_path / "data",
            seen=tmp_path / "input",
            memory=tmp_path / "agent/staging.json",
            catalogue=catalogue,
            record=lambda *entry: self.recorded.append(entry),
        )

    def found(self) -> str:
        """What the newest entry of the hospital's record says of a file."""
        entry = self.recorded[-1][1]
        return "; ".join([*entry["found"], *entry["notes"]])

    def test_good_data_lies_ready_with_its_checksum(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        assert (tmp_path / "data/heart.csv").read_bytes() == GOOD
        assert staging.ready
        assert staging.files["heart.csv"].rows == 294
        assert (staging.faults, staging.notes) == ((), ())

    def test_tables_that_a_model_is_asked_about_are_no_data(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("heart.csv", GOOD)
        store.write("score/heart.csv", b"age\n54\n")
        staging.refresh()
        assert (list(staging.files), staging.faults) == (["heart.csv"], ())
        assert [path.name for path in (tmp_path / "data").iterdir()] == ["heart.csv"]

    def test_notes_on_a_file_stay_with_it(self, tmp_path: Path, store: FolderStore, staging: Staging) -> None:
        store.write("heart.csv", GOOD.replace(b",", b";"))
        staging.refresh()
        assert (tmp_path / "data/heart.csv").read_bytes() == GOOD
        later = self.again(tmp_path, store)
        later.refresh()
        assert staging.notes == later.notes
        assert staging.notes == ("heart.csv is taken with remarks: the hospital's record says why",)

    def test_no_data_is_said_plainly(self, staging: Staging) -> None:
        staging.refresh()
        assert not staging.ready
        assert "nothing to train on has been uploaded" in staging.faults[0]

    def test_a_wrong_file_never_replaces_a_good_one(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        store.write("heart.csv", b"rubbish")
        staging.refresh()
        assert (tmp_path / "data/heart.csv").read_bytes() == GOOD
        assert staging.ready
        digest = hashlib.sha256(GOOD).hexdigest()[:12]
        assert staging.faults[0] == "heart.csv is refused: the hospital's record says why"
        assert re.fullmatch(
            rf"heart\.csv: the version of \S+ \S+ UTC stays in use \(SHA-256 {digest}\.\.\.\)",
            staging.faults[-1],
        )

    def test_what_is_wrong_goes_to_the_hospitals_record_and_not_to_the_centre(
        self, store: FolderStore, staging: Staging
    ) -> None:
        header, *rows = GOOD.decode().splitlines(keepends=True)
        disease = header.split(",").index("disease")
        healthy = [row for row in rows if row.split(",")[disease] == "0"]
        store.write("heart.csv", "".join([header, *healthy]).encode())
        staging.refresh()
        staging.refresh()
        assert staging.faults == ("heart.csv is refused: the hospital's record says why",)
        (event, entry), *more = self.recorded
        assert (event, entry["found"], more) == ("data", ["heart.csv: column disease is never 1"], [])

    @pytest.mark.parametrize(
        ("rows", "told"), [(0, 10), (3, 10), (10, 10), (294, 300), (301, 310), (None, None)]
    )
    def test_the_centre_is_told_a_coarse_number_of_rows(self, rows: int | None, told: int | None) -> None:
        assert StagedFile("0" * 64, rows).for_the_centre() == {"sha256": "0" * 64, "rows": told}

    def test_the_same_after_a_restart(self, tmp_path: Path, store: FolderStore, staging: Staging) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        store.write("heart.csv", b"rubbish")
        staging.refresh()
        later = self.again(tmp_path, store)
        later.refresh()
        assert later.ready
        assert later.faults == staging.faults

    def test_when_it_is_mended_the_fault_is_gone(self, store: FolderStore, staging: Staging) -> None:
        store.write("heart.csv", b"rubbish")
        staging.refresh()
        assert not staging.ready
        store.write("heart.csv", GOOD)
        staging.refresh()
        assert (staging.ready, staging.faults) == (True, ())

    def test_what_the_hospital_removes_is_removed_here(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        store.delete("heart.csv")
        staging.refresh()
        assert list((tmp_path / "data").iterdir()) == []
        assert not staging.ready

    def test_an_unchanged_file_is_not_read_again(self, store: FolderStore, staging: Staging) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        store.calls.clear()
        staging.refresh()
        assert store.calls == ["list "]

    def test_a_copy_that_was_lost_is_brought_again(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        (tmp_path / "data/heart.csv").unlink()
        staging.refresh()
        assert (tmp_path / "data/heart.csv").read_bytes() == GOOD

    def test_nothing_is_left_of_a_run_that_was_killed(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        for left in ("data/heart.csv.new", "agent/incoming"):
            (tmp_path / left).parent.mkdir(exist_ok=True)
            (tmp_path / left).write_bytes(GOOD)
        store.write("notes.txt", b"x")
        staging.refresh()
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == GOOD]

    def test_parquet_becomes_the_same_copy(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        table = pyarrow.csv.read_csv(io.BytesIO(GOOD))
        pyarrow.parquet.write_table(table, tmp_path / "heart.parquet")
        store.write("heart.parquet", (tmp_path / "heart.parquet").read_bytes())
        staging.refresh()
        assert (tmp_path / "data/heart.csv").read_bytes() == GOOD
        assert list(staging.files) == ["heart.csv"]
        assert [path.name for path in (tmp_path / "agent").iterdir()] == ["staging.json"]

    def test_two_files_of_one_data_set_are_one_too_many(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        store.write("heart.parquet", b"")
        staging.refresh()
        assert staging.faults == (
            "heart.parquet: of the same data set as heart.csv. Fix: remove one of them",
        )
        assert (tmp_path / "data/heart.csv").read_bytes() == GOOD
        store.delete("heart.csv")
        staging.refresh()
        assert "heart.parquet: not a Parquet file" in self.found()

    def test_another_schema_is_another_check(self, tmp_path: Path, store: FolderStore) -> None:
        schemas = [data_set({"name": "age", "type": "number"})]
        staging = self.again(tmp_path, store, lambda: Catalogue(schemas))
        store.write("any.csv", b"age\n61\n130\n")
        staging.refresh()
        assert staging.files["any.csv"].rows == 2
        schemas[0] = data_set({"name": "age", "type": "number", "constraints": {"maximum": 120}})
        staging.refresh()
        assert staging.faults[0] == "any.csv is refused: the hospital's record says why"
        assert self.found() == "any.csv: line 3, column age: above 120"

    def test_a_schema_that_is_gone_is_no_leave_to_check_nothing(
        self, tmp_path: Path, store: FolderStore
    ) -> None:
        """Whoever can delete a blob of the officers' would have files taken as they are."""
        schemas = [data_set({"name": "age", "type": "number"})]
        staging = self.again(tmp_path, store, lambda: Catalogue(schemas))
        store.write("any.csv", b"age\n 61\n")
        staging.refresh()
        gone = schemas.pop()
        store.write("any.csv", b"name\nanybody\n")
        staging.refresh()
        assert (tmp_path / "data/any.csv").read_bytes() == b"age\n61\n"
        assert "schema that is gone or wrong" in staging.faults[0]
        assert "stays in use" in staging.faults[1]
        schemas.append(gone)
        staging.refresh()
        assert staging.faults[0] == "any.csv is refused: the hospital's record says why"

    def test_a_file_that_no_data_set_has_is_taken_with_a_word(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("notes.txt", b"\xff")
        store.write("heart-2026.csv", GOOD)
        staging.refresh()
        assert (tmp_path / "data/notes.txt").read_bytes() == b"\xff"
        assert (staging.files["notes.txt"].rows, staging.files["heart-2026.csv"].rows) == (None, 294)
        assert "notes.txt: no data set" in self.found()
        self.recorded.pop()
        assert "no data set has this name, so it is not checked (there is heart.csv" in self.found()
        assert "its columns are those of heart.csv: is it meant to have that name?" in self.found()

    def test_a_file_larger_than_the_disk_has_room_for_is_not_read(
        self, store: FolderStore, staging: Staging, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        used = shutil.disk_usage("/")._replace(free=SPARE_DISK + 1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: used)
        store.write("heart.csv", GOOD)
        staging.refresh()
        assert not staging.ready
        assert "no room for it: heart.csv:" in staging.faults[0]
        assert staging.faults[0].endswith("at most 500 expected. Fix: a larger one (dataDiskGib)")

    def test_names_that_lead_elsewhere_are_not_staged(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("sub/heart.csv", GOOD)
        store.write("Heart Data.csv", GOOD)
        staging.refresh()
        assert list((tmp_path / "data").iterdir()) == []
        assert "2 file name(s)" in staging.faults[0]

    def test_storage_trouble_leaves_everything_as_it_was(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        store.failure = StorageForbiddenError("refused")
        with pytest.raises(StorageForbiddenError):
            staging.refresh()
        assert staging.ready
        assert (tmp_path / "data/heart.csv").is_file()

    def test_the_copy_is_this_services_and_the_clients_alone(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        assert (tmp_path / "data/heart.csv").stat().st_mode & 0o777 == 0o600

    def test_what_the_hospital_removes_is_taken_from_a_box_that_runs(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        (tmp_path / "input").mkdir()
        (tmp_path / "input/heart.csv").write_bytes(GOOD)
        store.delete("heart.csv")
        staging.refresh()
        assert not list((tmp_path / "input").iterdir())

    def test_its_memory_holds_no_data(self, tmp_path: Path, store: FolderStore, staging: Staging) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        memory = json.loads((tmp_path / "agent/staging.json").read_text())
        assert set(memory["heart.csv"]) == {
            *("etag", "schema", "file", "sha256", "rows", "complaints", "found", "notes")
        }
        assert [path.name for path in (tmp_path / "agent").iterdir()] == ["staging.json"]
