"""Two runs of the statistics, before and after a patient joined or left, do not give that patient away.

The attack is a centre's: subtract what one run says from what another does. It is first shown to work on
exact sums (it did on a running federation on 2026-11-30: all 14 values of a new patient from two runs).
"""

import fcntl
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fed_server.pooling import scaling
from fed_site.kept import Keep, NotKeptError
from fed_site.own_statistics import OwnStatistics, StatisticsLimits
from fed_site.patients import OwnFiles
from fed_site.released import Releases
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.support import job_archives
from tests.unit.support.curation_world import HOSPITALS
from tests.unit.support.heart_features import NUMERIC, features_of
from tests.unit.support.ledgers_of_tests import at_once
from workloads.data import heart_data
from workloads.jobs.heart.heart_job import model

DATA_SET = "patients"
LIMITS = StatisticsLimits()

Sent = dict[str, dict[str, Any]]
"""Feature -> statistic -> value."""


class Hospital:
    """One hospital's files and ledger; `run` is the platform's `statistics` job at it."""

    def __init__(self, folder: Path, name: str = "cleveland"):
        self.folder = folder
        self.keep: Keep = at_once
        self.folder.mkdir(parents=True, exist_ok=True)
        self.header, *self.rows = heart_data.seed(name).decode().splitlines()

    def run(self, rows: Sequence[str] | None = None, cells: int | None = None) -> Sent:
        text = "\n".join([self.header, *(self.rows if rows is None else rows)]) + "\n"
        (self.folder / "data").mkdir(exist_ok=True)
        (self.folder / "data" / "heart.csv").write_text(text)
        files = OwnFiles(self.folder / "data")
        own = OwnStatistics(files, LIMITS, self.folder / "released.json", self.keep)
        values = features_of(dict(model.read_patients(text).columns))
        first = {
            "count": {DATA_SET: {name: len(found) for name, found in values.items()}},
            "sum": {DATA_SET: {name: float(found.sum()) for name, found in values.items()}},
        }
        second = {
            "stddev": {DATA_SET: dict.fromkeys(values, 1.0)},
            "histogram": {DATA_SET: {name: _grid(name, cells) for name in values}},
        }
        sent: Sent = {}
        for statistic, data_sets in {**own.counted(first, {}), **own.counted(second, {})}.items():
            for name, value in data_sets[DATA_SET].items():
                sent.setdefault(name, {})[statistic] = value
        return sent


def _grid(name: str, cells: int | None) -> list[tuple[float, float, int]]:
    number, low, high = NUMERIC.get(name, (2, -0.5, 1.5))
    edges = np.linspace(low, high, (cells or number) + 1)
    return [(float(a), float(b), 0) for a, b in pairwise(edges)]


def exact(rows: Sequence[str], header: str) -> Sent:
    """What a hospital without a ledger or rounding would send."""
    values = features_of(dict(model.read_patients("\n".join([header, *rows]) + "\n").columns))
    return {name: {"count": len(found), "sum": float(found.sum())} for name, found in values.items()}


def newcomer(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, float]:
    """The centre's attack: the record of who is in one run and not in the other, as far as it differs."""
    known = [name for name in before if name in after and "sum" in before[name] and "sum" in after[name]]
    return {name: after[name]["sum"] - before[name]["sum"] for name in known if before[name] != after[name]}


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return Hospital(tmp_path)


JOINS = "47,1,3,138,257,0,2,156,0,0.0,1,0,3,0,train"
"""A new patient: the columns of heart.csv."""


class TestOneMoreOneLess:
    def test_attack_works_on_exact_sums(self, hospital: Hospital) -> None:
        found = newcomer(
            exact(hospital.rows, hospital.header), exact([*hospital.rows, JOINS], hospital.header)
        )
        assert (found["age"], found["chol"], found["thalch"]) == (47.0, 257.0, 156.0)

    @pytest.mark.parametrize("joined", [1, 3, 9])
    def test_fewer_than_ten_more_change_nothing(self, hospital: Hospital, joined: int) -> None:
        before = hospital.run()
        more = [JOINS.replace("257", str(200 + number)) for number in range(joined)]
        assert hospital.run([*hospital.rows, *more]) == before

    @pytest.mark.parametrize("left", [1, 9])
    def test_fewer_than_ten_less_change_nothing(self, hospital: Hospital, left: int) -> None:
        before = hospital.run()
        assert hospital.run(hospital.rows[left:]) == before

    def test_one_who_is_altered_or_exchanged_changes_nothing(self, hospital: Hospital) -> None:
        before = hospital.run()
        assert hospital.run([JOINS, *hospital.rows[1:]]) == before

    def test_the_order_of_rows_is_no_change(self, hospital: Hospital) -> None:
        assert hospital.run() == hospital.run(hospital.rows[::-1])

    def test_steps_of_one_never_show_one(self, hospital: Hospital) -> None:
        runs = [hospital.run(hospital.rows[: 250 + number]) for number in range(21)]
        distinct = [runs[0]]
        for sent in runs:
            if sent != distinct[-1]:
                distinct.append(sent)
        counts = [sent["age"]["count"] for sent in distinct]
        assert counts == [250, 260, 270]

    def test_a_version_of_long_ago_still_counts(self, hospital: Hospital) -> None:
        first = hospital.run(hospital.rows[:250])
        assert hospital.run(hospital.rows[:280]) != first
        assert hospital.run(hospital.rows[:251]) == first

    def test_ten_more_are_seen(self, hospital: Hospital) -> None:
        before = hospital.run(hospital.rows[:250])
        after = hospital.run(hospital.rows[:260])
        assert after["age"]["count"] == before["age"]["count"] + 10

    @settings(max_examples=4, deadline=None)
    @given(seed=st.integers(0, 2**32), changes=st.lists(st.integers(-12, 12), min_size=2, max_size=6))
    def test_no_two_answers_are_of_columns_that_differ_by_fewer_than_ten(
        self, tmp_path_factory: pytest.TempPathFactory, seed: int, changes: list[int]
    ) -> None:
        hospital, random = Hospital(tmp_path_factory.mktemp("hospital")), np.random.default_rng(seed)
        rows = hospital.rows[:200]
        ages = hospital.header.split(",").index("age")
        released: list[tuple[Counter[str], dict[str, Any]]] = []
        for change in changes:
            rows = rows[: len(rows) + change] if change < 0 else [*rows, *hospital.rows[200 : 200 + change]]
            random.shuffle(rows)
            now, sent = Counter(row.split(",")[ages] for row in rows), hospital.run(rows)["age"]
            if sent not in [answers for _, answers in released]:
                assert all(max((now - old).total(), (old - now).total()) >= 10 for old, _ in released)
                released.append((now, sent))


class TestOtherColumns:
    """A column that changed for many patients is no reason to answer again for the others."""

    def changed(self, hospital: Hospital, column: str, value: str, patients: int = 50) -> list[str]:
        place = hospital.header.split(",").index(column)
        rows = [row.split(",") for row in hospital.rows]
        for row in rows[:patients]:
            row[place] = value
        return [",".join(row) for row in rows]

    def test_a_newcomer_does_not_show_in_those_that_did_not_change(self, hospital: Hospital) -> None:
        before = hospital.run()
        after = hospital.run([*self.changed(hospital, "chol", "199"), JOINS])
        assert {name for name in before if before[name] != after.get(name)} == {"chol"}

    def test_the_one_that_changed_is_answered_anew(self, hospital: Hospital) -> None:
        hospital.run()
        rows = self.changed(hospital, "chol", "199")
        assert hospital.run(rows)["chol"] == Hospital(hospital.folder / "fresh").run(rows)["chol"]

    def test_nine_values_are_not_enough(self, hospital: Hospital) -> None:
        before = hospital.run()
        assert hospital.run(self.changed(hospital, "chol", "199", patients=9)) == before


class TestLedgersOfBefore:
    """Up to 0.3 a version was all of a file's rows."""

    def old(self, hospital: Hospital) -> Sent:
        """Make of today's ledger one of before, of the rows that are there."""
        sent = hospital.run()
        path = hospital.folder / "released.json"
        content = json.loads(path.read_text())
        answers: dict[str, Any] = {}
        for versions in content.pop("values").values():
            answers |= versions[0]["answers"]
        made = Releases(path, 10)
        rows = [made._checksum(row) for row in OwnFiles(hospital.folder / "data").rows("heart.csv")]
        content["versions"] = [{"rows": sorted(rows), "answers": answers}]
        path.write_text(json.dumps(content))
        return sent

    def test_its_answers_go_on(self, hospital: Hospital) -> None:
        sent = self.old(hospital)
        assert hospital.run([*hospital.rows, JOINS]) == sent
        assert hospital.run() == sent
        assert hospital.run([*hospital.rows, JOINS]) == sent

    def test_they_are_the_columns_first_version(self, hospital: Hospital) -> None:
        sent = self.old(hospital)
        hospital.run()
        rows = TestOtherColumns().changed(hospital, "chol", "199")
        after = hospital.run([*rows, JOINS])
        assert {name for name in sent if sent[name] != after.get(name)} == {"chol"}


class TestQuestions:
    def test_new_questions_get_no_answer_while_too_little_changed(self, hospital: Hospital) -> None:
        hospital.run()
        own = Releases(hospital.folder / "released.json", 10)
        nearly = own.of("heart.csv", "age 0", [repr(float(row.split(",")[0])) for row in hospital.rows[1:]])
        assert nearly.answer("another question", lambda: 3.0) is None

    def test_changes_of_another_file_are_no_reason_to_answer_again(self, hospital: Hospital) -> None:
        """A job that names a second file, which grew, must not get the sums of the first one's newcomer."""
        before = hospital.run()
        (hospital.folder / "data/more.csv").write_text("weight\n" + "80\n" * 50)
        assert hospital.run([*hospital.rows, JOINS]) == before

    def test_another_grid_gets_no_histogram(self, hospital: Hospital) -> None:
        """Between two grids are few patients."""
        assert "histogram" in hospital.run()["age"]
        assert "histogram" not in hospital.run(cells=11)["age"]
        assert "histogram" in hospital.run()["age"]

    def test_two_at_the_same_time_get_no_two_answers(
        self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def save(releases: Releases) -> None:
            lock = hospital.folder / "released.json.lock"
            with lock.open("w") as another, pytest.raises(BlockingIOError):
                fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
            saved.append(releases)

        saved: list[Releases] = []
        monkeypatch.setattr(Releases, "save", save)
        hospital.run()
        assert saved

    def test_nothing_leaves_before_the_hospitals_account_has_the_ledger(self, hospital: Hospital) -> None:
        def away(ledger: Path) -> None:
            assert json.loads(ledger.read_text())["values"]
            raise NotKeptError("released.json has not reached the hospital's account")

        hospital.keep = away
        with pytest.raises(NotKeptError):
            hospital.run()

    def test_a_restart_forgets_nothing_and_no_row_is_kept(self, hospital: Hospital) -> None:
        before = hospital.run()
        text = (hospital.folder / "released.json").read_text()
        assert not [row for row in hospital.rows if row in text]
        assert hospital.run([*hospital.rows, JOINS]) == before

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "{",
            "[]",
            '{"values": 3, "salt": "00"}',
            '{"values": {"heart.csv age 0": [{}]}, "salt": "00"}',
            '{"values": {}}',
        ],
    )
    def test_with_a_damaged_ledger_nothing_leaves(self, hospital: Hospital, content: str) -> None:
        hospital.run()
        (hospital.folder / "released.json").write_text(content)
        with pytest.raises((ValueError, TypeError, KeyError)):
            hospital.run()


class TestRounding:
    def test_sums_are_coarser_than_one_patient(self, hospital: Hospital) -> None:
        sent, values = hospital.run(), exact(hospital.rows, hospital.header)
        assert sent["sex"]["sum"] % 5 == 0
        assert sent["chol"]["sum"] % 100 == 0
        for name, known in sent.items():
            assert known["count"] == values[name]["count"]
            assert 0 <= abs(known["sum"] - values[name]["sum"]) <= max(2.5, 2.5 * known["stddev"])

    def test_what_hospitals_round_and_read_costs_heart_less_than_a_two_hundredth_of_auc(
        self, tmp_path: Path
    ) -> None:
        files = {name: model.read_patients(heart_data.seed(name).decode()) for name in HOSPITALS}
        sent = {name: Hospital(tmp_path / name, name).run() for name in HOSPITALS}
        published: dict[str, dict[str, dict[str, Any]]] = {}
        for name, features in sent.items():
            for feature, statistics in features.items():
                for statistic, value in statistics.items():
                    published.setdefault(feature, {}).setdefault(statistic, {})[name] = {DATA_SET: value}
        scales = job_archives.settings("heart", scaling(published))["scaling"]
        coarse = model.Scaling(
            {name: scale[0] for name, scale in scales.items()},
            {name: scale[1] for name, scale in scales.items()},
        )
        exactly = model.Scaling.of(model.join(list(files.values())))
        assert trained(files, coarse) > trained(files, exactly) - 0.005


def trained(files: Mapping[str, model.Patients], scale: model.Scaling) -> float:
    """AUC over all test patients after ten rounds."""
    designs = {name: model.design(file, scale) for name, file in files.items()}
    weights = np.zeros(1 + len(model.FEATURES))
    for _ in range(10):
        steps = [
            model.descend(designs[name][~file.test], file.labels[~file.test], weights, 5)
            for name, file in files.items()
        ]
        weights = np.average(steps, axis=0, weights=[int((~file.test).sum()) for file in files.values()])
    labels = np.concatenate([file.labels[file.test] for file in files.values()])
    scores = np.concatenate([designs[name][file.test] @ weights for name, file in files.items()])
    return model.auc(labels, scores)


def test_the_ledger_is_json_without_numbers_that_are_not_finite(hospital: Hospital) -> None:
    hospital.run()
    json.loads((hospital.folder / "released.json").read_text(), parse_constant=pytest.fail)
