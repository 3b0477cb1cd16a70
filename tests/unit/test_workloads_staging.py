"""A hospital's data reaches its client only when its shape is right, and complaints never quote a patient."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from container_server.hospital.dataset_check import MOST_COMPLAINTS, check, description_of
from container_server.hospital.staging import Staging
from container_server.storage import StorageForbiddenError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workloads_fakes import FolderStore
from workloads.data import heart_data

GOOD = heart_data.seed("hungary")
HEADER, *ROWS = GOOD.decode().splitlines()


def text(*rows: str, header: str = HEADER) -> bytes:
    return ("\n".join([header, *rows]) + "\n").encode()


class TestShape:
    @pytest.mark.parametrize("hospital", heart_data.PATIENTS)
    def test_every_hospital_of_the_demonstration_is_right(self, hospital: str) -> None:
        seed = heart_data.seed(hospital)
        found = check("heart.csv", seed)
        assert (found.rows, found.complaints, found.content) == (heart_data.PATIENTS[hospital], (), seed)

    def test_the_description_has_the_columns_that_the_seed_writes(self) -> None:
        description = description_of("heart.csv")
        assert description is not None
        assert tuple(description["columns"]) == heart_data.COLUMNS

    def test_a_file_nobody_described_is_taken_as_it_is(self) -> None:
        found = check("notes.txt", b"\xff")
        assert (found.rows, found.complaints, found.content) == (None, (), b"\xff")

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (b"", "heart.csv: empty"),
            (b"PK\3\4\0\0", "heart.csv: not a text file (is it a spreadsheet? save it as CSV)"),
            (b'"age\n', "heart.csv: not a CSV file (a quotation mark"),
            (text(*ROWS, header=HEADER.replace("chol,", "")), "column chol is missing"),
            (text(*ROWS, header=HEADER.replace("age", "Alter")), "column age is missing"),
            (text(*ROWS, header=HEADER + ",name"), "1 column(s) that the description does not have"),
            (text(ROWS[0] + ",7", *ROWS[1:]), "line 2: 16 fields, expected 15"),
            (text("x" + ROWS[0], *ROWS[1:]), "line 2, column age: not a number"),
            (text("1" + ROWS[0], *ROWS[1:]), "line 2, column age: outside 0 to 120"),
            (text("1e999" + ROWS[0][2:], *ROWS[1:]), "line 2, column age: outside 0 to 120"),
            (text("nan" + ROWS[0][2:], *ROWS[1:]), "line 2, column age: empty, but it may not be missing"),
            (text("6_3" + ROWS[0][2:], *ROWS[1:]), "line 2, column age: not a number"),
            (text("\u0666\u0663" + ROWS[0][2:], *ROWS[1:]), "line 2, column age: not a number"),
            (
                text(*(f"{row},1" for row in ROWS), header=f"{HEADER},disease"),
                "column disease is there 2 times",
            ),
            (text(ROWS[0][2:], *ROWS[1:]), "line 2, column age: empty, but it may not be missing"),
            (text(*ROWS[:10]), "10 rows, at least 20 are needed"),
            (text(*(row for row in ROWS if row.endswith("train"))), "column split is never test"),
            (text(*(row for row in ROWS if ",0,t" in row)), "column disease is never 1"),
        ],
    )
    def test_each_fault_is_named(self, content: bytes, complaint: str) -> None:
        assert complaint in "; ".join(check("heart.csv", content).complaints)

    def test_a_wrong_file_is_not_described_at_length(self) -> None:
        assert len(check("heart.csv", text(*["x" + row for row in ROWS])).complaints) == MOST_COMPLAINTS

    def test_no_value_of_a_patient_is_quoted(self) -> None:
        patient = "Mrs Kovacs 1951"
        for content in (text(ROWS[0].replace(",", f",{patient}", 1), *ROWS[1:]), text(header=patient)):
            found = check("heart.csv", content)
            assert found.complaints
            assert patient not in "; ".join((*found.complaints, *found.notes))

    @settings(max_examples=200, deadline=None)
    @given(content=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
    def test_any_bytes_get_an_answer_and_never_pass(self, content: bytes) -> None:
        assert check("heart.csv", content).complaints


class TestDirt:
    """What spreadsheets and statistics programs do to a table is undone where it means one thing only."""

    @pytest.mark.parametrize(
        ("content", "note"),
        [
            (b"\xef\xbb\xbf" + GOOD, "a byte-order mark was removed"),
            (GOOD.decode().encode("utf-16"), "the file is UTF-16"),
            (GOOD.replace(b",", b";"), "separated by semicolons"),
            (GOOD.replace(b",", b";").replace(b".", b","), "separated by semicolons"),
            (GOOD.replace(b",", b"\t"), "separated by tabs"),
            (GOOD.replace(b",", b", "), "spaces around names or values were removed"),
            (GOOD.replace(b"\n", b"\r\n") + b"\r\n,,\r\n", ""),
            (GOOD.replace(b",,", b",NA,").replace(b",,", b",NaN,"), ""),
            (GOOD.replace(b",0,t", b",0.0,t").replace(b",1,t", b",1.0,t"), ""),
            (("\n".join(",".join(reversed(row.split(","))) for row in (HEADER, *ROWS))).encode(), ""),
        ],
    )
    def test_the_client_gets_the_same_table(self, content: bytes, note: str) -> None:
        found = check("heart.csv", content)
        assert found.complaints == ()
        assert found.content == GOOD
        assert note in "; ".join(found.notes)
        assert bool(note) == bool(found.notes)

    def test_a_comma_between_columns_is_never_a_decimal_comma(self) -> None:
        found = check("heart.csv", text(ROWS[0].replace(",", ',"1,5"', 1), *ROWS[1:]))
        assert found.complaints

    @pytest.mark.parametrize(
        ("keep", "note"),
        [
            (lambda row: not row.endswith("0,test"), "no test row has disease 0"),
            (lambda row: not row.endswith("1,train"), "no train row has disease 1"),
            (lambda row: row.split(",")[1] == "1", "column sex has one value only"),
        ],
    )
    def test_rows_that_say_little_are_taken_with_a_word(self, keep: Callable[[str], bool], note: str) -> None:
        found = check("heart.csv", text(*filter(keep, ROWS)))
        assert found.complaints == ()
        assert note in "; ".join(found.notes)

    def test_a_name_that_no_data_set_has_is_said(self) -> None:
        assert (
            "no data set has this name, so it is not checked (there is heart.csv)"
            in check("heart-2026.csv", GOOD).notes[0]
        )


class TestStaging:
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path / "blobs")

    @pytest.fixture
    def staging(self, tmp_path: Path, store: FolderStore) -> Staging:
        return self.again(tmp_path, store)

    def again(self, tmp_path: Path, store: FolderStore) -> Staging:
        return Staging(store, tmp_path / "data", tmp_path / "input", tmp_path / "staging.json")

    def test_good_data_lies_ready_with_its_checksum(
        self, tmp_path: Path, store: FolderStore, staging: Staging
    ) -> None:
        store.write("heart.csv", GOOD)
        staging.refresh()
        assert (tmp_path / "data/heart.csv").read_bytes() == GOOD
        assert staging.ready
        assert staging.files["heart.csv"].rows == 294
        assert (staging.faults, staging.notes) == ((), ())

    def test_notes_on_a_file_stay_with_it(self, tmp_path: Path, store: FolderStore, staging: Staging) -> None:
        store.write("heart.csv", GOOD.replace(b",", b";"))
        staging.refresh()
        assert (tmp_path / "data/heart.csv").read_bytes() == GOOD
        later = self.again(tmp_path, store)
        later.refresh()
        assert staging.notes == later.notes == ("heart.csv: columns are separated by semicolons",)

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
        assert staging.faults

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
        memory = json.loads((tmp_path / "staging.json").read_text())
        assert set(memory["heart.csv"]) == {"etag", "sha256", "bytes", "rows", "complaints", "notes"}
