"""A data set of one's own, from a hospital's dirty file to a checked copy; and the second that is shipped."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.own_clone import PATIENCE, Clone, keep_hospitals
from tests.e2e.running_federation import Federation

pytestmark = pytest.mark.long

HOSPITALS = ("cleveland", "hungary")
ROWS = [f"{40 + number % 45};{number % 25},5" for number in range(90)]
DIRTY = "\r\n".join(["age;days", *ROWS, "", ""]).encode("utf-8-sig")
PLAIN = "age,days\n" + "".join(row.replace(",", ".").replace(";", ",") + "\n" for row in ROWS)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    clone = Clone(tmp_path_factory.mktemp("data-sets"), machines=True)
    clone.edit(keep_hospitals(*HOSPITALS))
    with Federation.up(clone) as running:
        yield running


def test_from_a_hospitals_file_to_a_copy_that_is_checked_by_its_schema(
    federation: Federation, tmp_path: Path
) -> None:
    fed, file, folder = federation.clone.fed, tmp_path / "stay.csv", tmp_path / "stay"
    file.write_bytes(DIRTY)
    fed("dataset", "new", str(file), "--to", str(folder))
    assert "90 rows" in fed("dataset", "check", str(file), "--dataset", str(folder)).stdout
    for name in HOSPITALS:
        assert f"{name} knows the data set stay" in fed("dataset", "approve", str(folder), "-p", name).stdout
        fed("data", "put", str(file), "--party", name)
        read = "from pathlib import Path; print(Path('/var/lib/fed/data/stay.csv').read_text(), end='')"
        federation.wait(lambda: _read(federation, name, read) == PLAIN, f"{name} has the plain copy")  # noqa: B023
    file.write_bytes(DIRTY.rstrip() + b"\r\nold;1")
    answer = json.loads(fed("dataset", "check", str(file), "-d", str(folder), "--json", code=1).stdout)
    assert answer["complaints"] == ["stay.csv: line 92, column age: not a number"]
    federation.datacentre.upload(
        federation.container("rg-fed-dev-hungary-data", "data"), "stay.csv", file.read_bytes()
    )
    federation.wait(
        lambda: re.search(
            r"stay\.csv is refused.*the version of \S+ \S+ UTC stays in use",
            federation.hospital("hungary").get("reason", ""),
        ),
        "hungary says which version it goes on with",
    )
    assert _read(federation, "hungary", read) == PLAIN


def test_a_survival_model_is_trained_on_the_second_data_set(federation: Federation) -> None:
    answer = json.loads(
        federation.clone.fed("train", "--job", "readmission", "--json", seconds=2 * PATIENCE).stdout
    )
    assert answer["state"] == "finished"
    assert answer["rounds"] == 8


def _read(federation: Federation, hospital: str, script: str) -> str:
    try:
        return federation.python(hospital, script)
    except AssertionError:  # there is none yet
        return ""
