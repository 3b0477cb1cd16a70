"""The model card: what a party's tables show of a version, in words, and nothing finer."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.support.curation_world import HOSPITALS, START, training_run
from workloads.curation import cards
from workloads.curation.request import Request
from workloads.curation.tables import curate

CARD = {
    "title": "Risk <b>of</b> disease",
    "purpose": "to estimate | risk [here](http://x)",
    "author": "Dr Meier",
    "code": "ab" * 32,
    "hospitals": list(HOSPITALS),
    "columns": {"heart.csv": ["age", "sex"]},
    "data": {name: {"heart.csv": {"sha256": name[0] * 64, "rows": 310}} for name in HOSPITALS},
    "data_sets": {"heart.csv": {"name": "heart", "version": "1.0", "sha256": "cd" * 32}},
}


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    run = training_run(1)
    run["progress"]["gates"] = {"passed": True, "verdicts": ["auc at va-long-beach is 0.7123, expected 0.55"]}
    return run | {"card": CARD}


def made(folder: Path, *runs: dict[str, Any]) -> dict[tuple[str, str], str]:
    sites = {name: {"state": "running", "reported": START} for name in HOSPITALS}
    content = {"smallest_cell": 10, "sites": sites, "runs": list(runs)}
    (folder / "request.json").write_text(json.dumps(content))
    request = Request.read(folder / "request.json")
    assert not request.refused
    return {(party, name): text for party, name, text in cards.cards(request, curate(request))}


@pytest.fixture
def found(tmp_path: Path, run: dict[str, Any]) -> dict[tuple[str, str], str]:
    version = run["progress"].get("model_version", 1)
    run["progress"]["model_version"] = version
    return made(tmp_path, run)


def test_each_party_has_one_in_both_forms(found: dict[tuple[str, str], str]) -> None:
    names = {f"card-heart-1.{ending}" for ending in ("md", "html")}
    assert set(found) == {(party, name) for party in ("centre", *HOSPITALS) for name in names}


def test_the_centres_has_every_hospital_with_intervals_data_gates_and_consent(
    found: dict[tuple[str, str], str],
) -> None:
    text = found["centre", "card-heart-1.md"]
    assert "|  | Federation | Cleveland | Hungary | VA Long Beach |" in text
    assert " to 0." in text and "95 % interval" in text
    assert "data set heart 1.0 (schema cdcdcdcdcdcd): age, sex." in text
    assert "| Hungary | heart.csv | hhhhhhhhhhhh | 310 |" in text
    assert "auc at va-long-beach is 0.7123" in text
    assert "at: Cleveland, Hungary, VA Long Beach." in text


def test_a_hospitals_has_nothing_of_another_one(
    found: dict[tuple[str, str], str], run: dict[str, Any]
) -> None:
    own, centre = found["hungary", "card-heart-1.md"], found["centre", "card-heart-1.md"]
    assert "|  | Federation | Hungary |" in own
    assert "cccccccccccc" not in own and "0.7123" not in own
    last = run["progress"]["history"][-1]["sites"]
    for name in ("cleveland", "va-long-beach"):
        assert f"{last[name]['auc']:.3f}" in centre
        assert f"{last[name]['auc']:.3f}" not in own


def test_a_backslash_of_a_jobs_own_frees_no_link() -> None:
    section = cards.Section("Purpose", ("see \\[here](http://x)",))
    assert "see \\\\\\[here]" in cards.as_markdown("x", [section])


def test_words_of_a_job_stay_words(found: dict[tuple[str, str], str]) -> None:
    page, text = (found["centre", f"card-heart-1.{ending}"] for ending in ("html", "md"))
    assert "<b>" not in page and "&lt;b&gt;" in page
    assert "<b>" not in text and "\\[here]" in text


def test_a_run_that_became_no_version_has_none(tmp_path: Path, run: dict[str, Any]) -> None:
    progress = {key: value for key, value in run["progress"].items() if key != "model_version"}
    assert made(tmp_path, run | {"progress": progress}) == {}
    assert made(tmp_path, {**run, "card": None}) == {}


class TestCalibration:
    def lines(self, text: str) -> list[str]:
        part = text.partition("## Calibration")[2].partition("## Gates")[0]
        return [line for line in part.splitlines() if line.startswith("| ") and "---" not in line][1:]

    def test_it_is_that_of_the_partys_own_tables(self, tmp_path: Path, run: dict[str, Any]) -> None:
        run["progress"]["model_version"] = 1
        found = made(tmp_path, run)
        tables = curate(Request.read(tmp_path / "request.json"))
        for party in ("centre", "hungary"):
            shown = [row for row in tables[party]["fact_curve"] if row["curve"] == "calibration"]
            lines = self.lines(found[party, "card-heart-1.md"])
            assert len(lines) == len(shown) > 3
            for line, row in zip(lines, shown, strict=True):
                assert ("withheld" if row["x"] is None else f"| {row['x']:.3f} | {row['y']:.3f} (") in line

    def test_a_hospitals_has_the_curve_of_no_other(self, found: dict[tuple[str, str], str]) -> None:
        places = {line.split("|")[1].strip() for line in self.lines(found["hungary", "card-heart-1.md"])}
        assert places == {"Federation", "Hungary"}

    def test_of_a_job_without_histograms_it_is_not_known(self, tmp_path: Path, run: dict[str, Any]) -> None:
        progress = {key: value for key, value in run["progress"].items() if key != "scores"}
        found = made(tmp_path, {**run, "progress": {**progress, "model_version": 1}})
        text = found["centre", "card-heart-1.md"]
        assert "Not known: the job lets out no histogram of its scores." in text
        assert self.lines(text) == []
