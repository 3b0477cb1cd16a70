"""The four hospitals' heart data: read, fixed, split once, and given out one hospital at a time.

Operator's side only. `seed(hospital)` makes the bytes that stand for one hospital's own upload; nothing
here writes two hospitals' rows into one place but `load()`, which the pooled reference run needs. Source,
licence and the faults of the file: README.md next to it.
"""

import argparse
import csv
import hashlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workloads.data.fed_data import schema

SOURCE = Path(__file__).parent / "heart" / "heart_disease_uci.csv"
SCHEMA = SOURCE.with_name(schema.FILE)
SOURCE_SHA256 = "574f2fa2b43012fa25fca4fcdb36bd7c6bccdd0af4242f6c0e4c8633c5a072ae"

SPLIT_SEED = 2026
"""Seed of the train/test split of the demonstration; any other gives another, equally valid, split."""
TEST_SHARE = 0.3

PATIENTS = {"cleveland": 303, "hungary": 294, "switzerland": 123, "va-long-beach": 200}
"""Patients of each hospital, as the original study reports them."""

COLUMNS = tuple(schema.read(SCHEMA.read_bytes()).by_name)
"""Columns of a hospital's file, in order; an empty field is a missing value."""

_HOSPITAL = {
    "Cleveland": "cleveland",
    "Hungary": "hungary",
    "Switzerland": "switzerland",
    "VA Long Beach": "va-long-beach",
}
_CODES = {
    "sex": {"Female": "0", "Male": "1"},
    "fbs": {"FALSE": "0", "TRUE": "1"},
    "exang": {"FALSE": "0", "TRUE": "1"},
    "cp": {"typical angina": "1", "atypical angina": "2", "non-anginal": "3", "asymptomatic": "4"},
    "restecg": {"normal": "0", "st-t abnormality": "1", "lv hypertrophy": "2"},
    "slope": {"upsloping": "1", "flat": "2", "downsloping": "3"},
    "thal": {"normal": "3", "fixed defect": "6", "reversable defect": "7"},
}
_ZERO_IS_MISSING = ("trestbps", "chol")
_MISLABELLED = {"304": "hungary"}
"""Row id -> the hospital it is from: row 304 (28 years, male) is Hungarian in the original files."""


class DataError(ValueError):
    """The source file is not the one this loader knows."""


@dataclass(frozen=True)
class Patient:
    """One row: `values` in the order of COLUMNS without `split`, as text; `""` where missing."""

    row: str
    hospital: str
    values: tuple[str, ...]

    @property
    def disease(self) -> str:
        """`"1"` if a coronary artery is narrowed by more than half (`num` > 0), else `"0"`."""
        return self.values[-1]


def load(source: Path = SOURCE) -> list[Patient]:
    """All 920 patients, fixed. Raises DataError when the file or the counts are not the known ones."""
    content = source.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != SOURCE_SHA256:
        raise DataError(f"{source}: SHA-256 is {found}, expected {SOURCE_SHA256}: restore the committed file")
    patients = [_patient(row) for row in csv.DictReader(io.StringIO(content.decode()))]
    counts = {name: sum(patient.hospital == name for patient in patients) for name in PATIENTS}
    if counts != PATIENTS:
        raise DataError(f"{source}: patients by hospital are {counts}, expected {PATIENTS}")
    return patients


def seed(hospital: str, split_seed: int = SPLIT_SEED) -> bytes:
    """The CSV that one hospital uploads to its own container: COLUMNS, one patient a line, UTF-8.

    Raises KeyError for a hospital the data set does not have.
    """
    if hospital not in PATIENTS:
        raise KeyError(f"no data for {hospital!r}: the data set has {', '.join(PATIENTS)}")
    own = [patient for patient in load() if patient.hospital == hospital]
    test = test_rows(own, split_seed)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([*patient.values, "test" if patient.row in test else "train"] for patient in own)
    return text.getvalue().encode()


def test_rows(patients: Sequence[Patient], split_seed: int) -> set[str]:
    """Rows of the test set: TEST_SHARE of the healthy and of the ill, each rounded.

    The order is that of a hash of seed and row, so it depends on no random number generator's version.
    """
    chosen: set[str] = set()
    for label in ("0", "1"):
        rows = sorted(
            (patient.row for patient in patients if patient.disease == label),
            key=lambda row: hashlib.sha256(f"{split_seed}:{row}".encode()).digest(),
        )
        chosen.update(rows[: round(TEST_SHARE * len(rows))])
    return chosen


def _patient(row: dict[str, str]) -> Patient:
    hospital = _MISLABELLED.get(row["id"], _HOSPITAL[row["dataset"]])
    values = [_value(name, row[name]) for name in COLUMNS[:-2]]
    return Patient(row["id"], hospital, (*values, str(int(int(row["num"]) > 0))))


def _value(column: str, text: str) -> str:
    if not text:
        return ""
    if column in _CODES:
        return _CODES[column][text]
    number = float(text)
    if number == 0 and column in _ZERO_IS_MISSING:
        return ""
    return f"{number:g}"


def main() -> None:
    """`python -m workloads.data.heart_data HOSPITAL > heart.csv`: one hospital's file."""
    parser = argparse.ArgumentParser(description="One hospital's rows of the demonstration data, as CSV")
    parser.add_argument("hospital", choices=sorted(PATIENTS))
    sys.stdout.buffer.write(seed(parser.parse_args().hospital))


if __name__ == "__main__":
    main()
