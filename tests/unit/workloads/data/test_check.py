"""A file is compared with its data set's schema, cured where that is safe, and never quoted."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from fed_data.catalogue import Catalogue
from fed_data.check import FEW_ROWS, MOST_COMPLAINTS, check
from fed_data.text import LONGEST_LINE, MOST_EMPTY_LINES
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.support.data_sets import data_set
from workloads.data import heart_data

GOOD = heart_data.seed("hungary")
HEADER, *ROWS = GOOD.decode().splitlines()
HEART = Catalogue.released().named("heart")
assert HEART is not None


class Found(NamedTuple):
    rows: int | None
    complaints: tuple[str, ...]
    notes: tuple[str, ...]
    content: bytes


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., Found]:
    """What is found of content, by default that of a heart.csv."""

    def of(content: bytes, name: str = "heart.csv", schema: object = HEART) -> Found:
        file, plain = tmp_path / "file", io.StringIO()
        file.write_bytes(content)
        checked = check(file, name, schema, plain)  # type: ignore[arg-type]
        return Found(checked.rows, checked.complaints, checked.notes, plain.getvalue().encode())

    return of


Check = Callable[..., Found]


def text(*rows: str, header: str = HEADER) -> bytes:
    return ("\n".join([header, *rows]) + "\n").encode()


class TestShape:
    @pytest.mark.parametrize("hospital", heart_data.PATIENTS)
    def test_every_hospital_of_the_demonstration_is_right(self, hospital: str, found: Check) -> None:
        seed = heart_data.seed(hospital)
        same = found(seed)
        assert (same.rows, same.complaints, same.content) == (heart_data.PATIENTS[hospital], (), seed)

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (b"", "heart.csv: empty"),
            (b"PK\3\4\0\0", "heart.csv: not a text file (is it a spreadsheet? save it as CSV)"),
            (b'"age\n', "heart.csv: not a CSV file (a quotation mark"),
            (b"a" * (LONGEST_LINE + 1), "a line is longer than"),
            (text(*[""] * (MOST_EMPTY_LINES + 1)), f"more than {MOST_EMPTY_LINES} empty lines"),
            (text(*ROWS, header=HEADER.replace("chol,", "")), "column chol is missing"),
            (text(*ROWS, header=HEADER.replace("age", "Alter")), "column age is missing"),
            (
                text(*ROWS, header=HEADER + ",name"),
                f"1 column(s) that the schema does not have, counted from the left: {HEADER.count(',') + 2}",
            ),
            (text(ROWS[0] + ",7", *ROWS[1:]), "line 2: 16 fields, expected 15"),
            (text(*ROWS[:3], "", *ROWS[3:]), "line 5: 0 fields, expected 15"),
            (text("x" + ROWS[0], *ROWS[1:]), "line 2, column age: not a number"),
            (text("1" + ROWS[0], *ROWS[1:]), "line 2, column age: outside 0 to 120"),
            (text("1e999" + ROWS[0][2:], *ROWS[1:]), "line 2, column age: outside 0 to 120"),
            (text("nan" + ROWS[0][2:], *ROWS[1:]), "line 2, column age: empty, but it may not be missing"),
            (text("6_3" + ROWS[0][2:], *ROWS[1:]), "line 2, column age: not a number"),
            (text("\u0666\u0663" + ROWS[0][2:], *ROWS[1:]), "line 2, column age: not a number"),
            (text(*(f"{row},1" for row in ROWS), header=f"{HEADER},disease"), "disease is there 2 times"),
            (text(ROWS[0][2:], *ROWS[1:]), "line 2, column age: empty, but it may not be missing"),
            (text(ROWS[0].replace(",1,", ",2,", 1), *ROWS[1:]), "line 2, column sex: not one of 0, 1"),
            (text(ROWS[0].replace(",1,", ",1.5,", 1), *ROWS[1:]), "line 2, column sex: not a whole number"),
            (text(*ROWS[:10]), "10 rows, at least 20 are needed"),
            (text(*(row for row in ROWS if row.endswith("train"))), "column split is never test"),
            (text(*(row for row in ROWS if ",0,t" in row)), "column disease is never 1"),
        ],
    )
    def test_each_fault_is_named(self, content: bytes, complaint: str, found: Check) -> None:
        assert complaint in "; ".join(found(content).complaints)

    def test_a_wrong_file_is_not_described_at_length(self, found: Check) -> None:
        assert len(found(text(*["x" + row for row in ROWS])).complaints) == MOST_COMPLAINTS

    def test_no_value_of_a_patient_is_quoted(self, found: Check) -> None:
        patient = "Mrs Kovacs 1951"
        for content in (text(ROWS[0].replace(",", f",{patient}", 1), *ROWS[1:]), text(header=patient)):
            said = found(content)
            assert said.complaints
            assert patient not in "; ".join((*said.complaints, *said.notes))

    @settings(max_examples=60, deadline=None)
    @given(content=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
    def test_any_bytes_get_an_answer_and_never_pass(
        self, content: bytes, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        file = tmp_path_factory.getbasetemp() / "any bytes"
        file.write_bytes(content)
        assert HEART is not None
        assert check(file, "heart.csv", HEART).complaints


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
            (GOOD.replace(b",", b", "), "spaces around values were removed"),
            (GOOD.replace(b"\n", b"\r\n") + b"\r\n,,\r\n", ""),
            (GOOD.replace(b"\n", b"\r"), ""),
            (GOOD.replace(b",,", b",NA,").replace(b",,", b",NaN,"), ""),
            (GOOD.replace(b",0,t", b",0.0,t").replace(b",1,t", b",1.0,t"), ""),
            (("\n".join(",".join(reversed(row.split(","))) for row in (HEADER, *ROWS))).encode(), ""),
        ],
    )
    def test_the_client_gets_the_same_table(self, content: bytes, note: str, found: Check) -> None:
        cured = found(content)
        assert cured.complaints == ()
        assert cured.content == GOOD
        assert note in "; ".join(cured.notes)
        assert bool(note) == bool(cured.notes)

    def test_a_comma_between_columns_is_never_a_decimal_comma(self, found: Check) -> None:
        assert found(text(ROWS[0].replace(",", ',"1,5"', 1), *ROWS[1:])).complaints

    @pytest.mark.parametrize(
        ("keep", "note"),
        [
            (lambda row: not row.endswith("0,test"), "no test row has disease 0"),
            (lambda row: not row.endswith("1,train"), "no train row has disease 1"),
            (lambda row: row.split(",")[1] == "1", "column sex has one value only"),
            (lambda row: row.split(",")[4] == "", "column chol is empty"),
            (
                lambda row: not row.endswith("test") or row in ROWS[:12],
                f"fewer than {FEW_ROWS} rows have split test",
            ),
        ],
    )
    def test_rows_that_say_little_are_taken_with_a_word(
        self, keep: Callable[[str], bool], note: str, found: Check
    ) -> None:
        taken = found(text(*filter(keep, ROWS)))
        assert taken.complaints == ()
        assert note in "; ".join(taken.notes)


class TestParquet:
    def written(self, table: pa.Table) -> bytes:
        sink = pa.BufferOutputStream()
        pa.parquet.write_table(table, sink)
        return bytes(sink.getvalue())

    def test_the_client_gets_the_same_table_as_from_csv(self, found: Check) -> None:
        table = pa.csv.read_csv(io.BytesIO(GOOD))
        same = found(self.written(table), "heart.parquet")
        assert (same.complaints, same.rows, same.content) == ((), len(ROWS), GOOD)

    def test_a_fault_is_named_by_its_row(self, found: Check) -> None:
        table = pa.csv.read_csv(io.BytesIO(text("130" + ROWS[0][2:], *ROWS[1:])))
        assert found(self.written(table), "heart.parquet").complaints == (
            "heart.parquet: row 1, column age: outside 0 to 120",
        )

    @pytest.mark.parametrize("content", [b"PAR1 and more"])
    def test_what_is_none_is_said(self, content: bytes, found: Check) -> None:
        assert "not a Parquet file" in found(content, "heart.parquet").complaints[0]

    def test_columns_that_are_no_plain_values_are_refused(self, found: Check) -> None:
        assert found(self.written(pa.table({"age": [[1, 2]]})), "heart.parquet").complaints


class TestTypes:
    """Of any data set: by its schema, and nothing that only heart has."""

    ANY = data_set(
        {"name": "id", "type": "string"},
        {"name": "since", "type": "date"},
        {"name": "smokes", "type": "boolean", "trueValues": ["ja"], "falseValues": ["nein"]},
        {"name": "stage", "type": "string", "constraints": {"enum": ["none", "I", "II"]}},
        {"name": "visits", "type": "integer", "constraints": {"minimum": 0}},
        {"name": "höhe (m)", "type": "number", "constraints": {"required": True}},
        missing=["", "-9"],
    )
    HEAD = "id;since;smokes;stage;visits;höhe (m)\n"

    def test_each_type_has_one_plain_form(self, found: Check) -> None:
        rows = "none;2026-03-31;ja;none;3,0;1,80\n-9;2026-03-31 00:00:00;0.0;NA;-9;2\n"
        plain = found((self.HEAD + rows).encode("cp1252"), "any.csv", self.ANY)
        assert plain.complaints == ()
        assert plain.content.decode().splitlines()[1:] == [
            "none,2026-03-31,1,none,3,1.80",
            ",2026-03-31,0,,,2",
        ]
        assert "any.csv: the file is not UTF-8, read as Windows-1252" in plain.notes

    @pytest.mark.parametrize(
        ("row", "complaint"),
        [
            ("a;31.3.2026;ja;I;1;1", "column since: not a date such as 2026-03-31"),
            ("a;2026-02-30;ja;I;1;1", "column since: not a date such as 2026-03-31"),
            ("a;2026-03-31;oui;I;1;1", "column smokes: not one of ja, nein"),
            ("a;2026-03-31;ja;IV;1;1", "column stage: not one of none, I, II"),
            ("a;2026-03-31;ja;I;1.5;1", "column visits: not a whole number"),
            ("a;2026-03-31;ja;I;-1;1", "column visits: below 0"),
            ("a;2026-03-31;ja;I;1;-9", "column höhe (m): empty, but it may not be missing"),
            ('"a\nb";2026-03-31;ja;I;1;1', "column id: not one line"),
        ],
    )
    def test_each_fault_is_named(self, row: str, complaint: str, found: Check) -> None:
        assert complaint in found((self.HEAD + row).encode(), "any.csv", self.ANY).complaints[0]
