"""`fed dataset`: a draft that speaks of no patient, and the hospital's check on a laptop."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from fed_data.drafting import FEW, around, draft
from fed_data.schema import read
from fed_data.text import UnreadableError
from typer.testing import CliRunner

from automation import cli
from workloads.data import heart_data


def drafted(folder: Path, *rows: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields of a draft by name, and the remarks."""
    file = folder / "any.csv"
    file.write_text("\n".join(rows) + "\n")
    found = draft(file, "any")
    assert read(json.dumps(found.package).encode()).name == "any"
    fields = found.package["resources"][0]["schema"]["fields"]
    return {field.pop("name"): field for field in fields}, found.remarks


class TestDraft:
    def test_types_and_what_is_missing_come_from_the_file(self, tmp_path: Path) -> None:
        rows = [
            f"{20 + n},{n / 7:.2f},2026-03-{n % 28 + 1:02d},{n % 2},x{n},{'NA' if n % 3 else n}"
            for n in range(60)
        ]
        fields, remarks = drafted(tmp_path, "age,level,seen,sex,note,gaps", *rows)
        assert {name: field["type"] for name, field in fields.items()} == {
            "age": "integer", "level": "number", "seen": "date",
            "sex": "integer", "note": "string", "gaps": "integer",
        }  # fmt: skip
        assert fields["sex"]["constraints"] == {"required": True, "enum": [0, 1]}
        assert "required" not in fields["gaps"]["constraints"]
        assert [remark for remark in remarks if remark.startswith("note: free text")]

    def test_a_type_is_one_that_every_value_fits(self, tmp_path: Path) -> None:
        rows = [f"{n}" for n in range(30)] + [f"2026-03-{n:02d}" for n in range(1, 31)]
        assert drafted(tmp_path, "mixed", *rows)[0]["mixed"]["type"] == "string"

    def test_what_few_patients_have_is_not_in_it(self, tmp_path: Path) -> None:
        """Neither a rare value nor the largest ones; people at the hospital are told that there are such."""
        rows = [f"{50 + n % 30},{'rare' if n < FEW - 1 else 'common'}" for n in range(100)]
        rows += ["117,common"] * (FEW - 1)
        fields, remarks = drafted(tmp_path, "age,kind", *rows)
        assert fields["kind"]["constraints"]["enum"] == ["common"]
        assert fields["age"]["constraints"]["maximum"] == 100
        assert len(remarks) == 2
        assert "rare" not in json.dumps([fields, remarks])
        assert "117" not in json.dumps([fields, remarks])

    def test_one_patient_more_changes_nothing(self, tmp_path: Path) -> None:
        """A range depends on the tenth value from each end, and is round."""
        random.seed(1)
        rows = [f"{random.gauss(60, 10):.1f}" for _ in range(300)]
        before = drafted(tmp_path, "age", *rows)[0]
        for extreme in ("0", "119.5", "1e9"):
            assert (
                drafted(tmp_path, "age", *rows, extreme)[0]["age"]["constraints"]
                == before["age"]["constraints"]
            )

    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [(34, 66, (10, 90)), (0, 1, (0, 2)), (-3.2, 4, (-7, 8)), (5, 5, (2, 8)), (101, 103, (100, 104))],
    )
    def test_ranges_are_round_and_wider(self, low: float, high: float, expected: tuple[float, float]) -> None:
        assert around(low, high)[1] == expected[1]
        assert around(low, high)[0] in (0, expected[0])

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            (["63,1,145", *["1,2,3"] * 30], "the first line has numbers"),
            (["age,age", *["1,2"] * 30], "there twice"),
            (["age,sex", *["1,2"] * 30, "1"], "line 32: 1 fields"),
            (["age", *["1"] * 5], "5 rows"),
        ],
    )
    def test_no_draft_is_made_of_what_is_no_table(self, tmp_path: Path, rows: list[str], said: str) -> None:
        with pytest.raises(UnreadableError, match=said):
            drafted(tmp_path, *rows)


class TestCommand:
    def run(self, *words: str | Path) -> Any:
        return CliRunner().invoke(cli.build(), ["dataset", *map(str, words)])

    @pytest.mark.parametrize(("content", "code"), [(heart_data.seed("hungary"), 0), (b"age\n1\n", 1)])
    def test_check_answers_for_a_program_and_for_a_person(
        self, tmp_path: Path, content: bytes, code: int
    ) -> None:
        file = tmp_path / "heart.csv"
        file.write_bytes(content)
        said = self.run("check", file)
        assert (said.exit_code, "refused" in said.stdout, "Fix: " in said.stdout) == (
            code,
            bool(code),
            bool(code),
        )
        answer = self.run("check", file, "--json")
        assert (answer.exit_code, bool(json.loads(answer.stdout)["complaints"])) == (code, bool(code))

    def test_from_a_file_to_a_data_set_that_it_is_of(self, tmp_path: Path) -> None:
        file = tmp_path / "stay.csv"
        file.write_text(
            "\n".join(["age;days", *(f"{40 + n % 40};{n % 25 + 0.5}".replace(".", ",") for n in range(90))])
        )
        folder = tmp_path / "study/stay"
        assert self.run("new", file, "--to", folder).exit_code == 0
        assert self.run("check", file, "--dataset", folder).exit_code == 0
        shown = json.loads(self.run("show", folder, "--json").stdout)
        assert (shown["file"], list(shown["columns"])) == ("stay.csv", ["age", "days"])
        again = self.run("new", file, "--to", folder)
        assert "is there already. Fix: " in str(again.exception)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["check", "none.csv"], "none.csv cannot be read"),
            (["show", "none"], "there is no data set 'none'.*this release has heart.*Fix: "),
            (["new", __file__, "--name", "Ä"], "cannot be a data set's name.*Fix: "),
            (["new", __file__, "--to", "/nowhere"], "no schema can be drafted.*Fix: "),
            (["check", __file__], "no data set has this name.*Fix: name the data set"),
        ],
    )
    def test_a_wrong_question_gets_its_fix(self, words: list[str], said: str) -> None:
        with pytest.raises(Exception, match=f"(?s){said}"):
            raise self.run(*words).exception

    def test_the_release_s_data_sets_are_listed(self) -> None:
        assert "heart 1.0: Coronary heart disease" in self.run("list").stdout
        assert "heart" in json.loads(self.run("list", "--json").stdout)
        assert "1 typical angina, 2 atypical angina" in self.run("show", "heart").stdout
