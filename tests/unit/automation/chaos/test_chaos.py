"""What `fed chaos` says of a campaign, and whom it kills when."""

import dataclasses
import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from automation.chaos import kills, report, run, trial
from automation.chaos.own_clone import OwnClone
from automation.chaos.trial import Campaign, Trial
from automation.ui.outcome import QuestionError
from clone import paths


def tried(**changes: Any) -> Trial:
    given: dict[str, Any] = {"fault": "lost answer", "during": "up", "moments": 1, "runs": 2}
    return Trial(**given | changes)


def campaign(*trials: Trial) -> Campaign:
    began = dt.datetime(2026, 12, 1, 2, 0, tzinfo=dt.UTC)
    return Campaign(seed=7, began=began, seconds=90, trials=trials)


@pytest.mark.parametrize(
    "changes", [{"runs": None}, {"lost": ["1 Microsoft.Compute/disks (Succeeded)"]}, {"left": ["process x"]}]
)
def test_a_campaign_holds_only_when_nothing_is_lost_left_or_stuck(changes: dict[str, Any]) -> None:
    assert campaign(tried(), tried()).held
    assert not campaign(tried(), tried(**changes)).held


def test_the_table_has_a_row_for_each_fault_with_the_worst_of_its_trials() -> None:
    found = campaign(
        tried(moments=40, seconds=3.0),
        tried(moments=2, seconds=9.4, runs=3),
        tried(fault="500", runs=None, left=["process node"], said="it | never\nends"),
    )
    text = trial.markdown(found)
    assert (
        "| lost answer | up | 42 | 3 | nothing | nothing | 9 |"
        f" seed 7, 2026-12-01 02:00 UTC, {trial.machine()} |" in text
    )
    assert "| 500 | up | 1 | 1 of 1 never | nothing | process node | 0 |" in text
    assert "- 500 during up: it \\| never ends" in text
    assert trial.document(found)["held"] is False


def test_a_fault_that_there_is_not_is_refused_before_anything_is_done() -> None:
    with pytest.raises(QuestionError, match="no fault '504'"):
        run.run(seed=1, faults=["504"], minutes=0, moments=1)


@pytest.mark.parametrize(
    ("victim", "command"),
    [
        ("fed", "/c/.venv/bin/python -P -m automation up "),
        ("engine", "pulumi up --yes --skip-preview --policy-pack /c/policies "),
        ("language host", "/c/.venv/bin/python -P -u /c/engine/language_host.py 127.0.0.1:45981 "),
        ("policy pack", "/c/policies/../.venv/bin/python -u /c/policies 127.0.0.1:40853 "),
        ("provider", "bash /c/emulator/plugins/bin/pulumi-resource-random 127.0.0.1:40853 "),
        ("emulator", "/c/.venv/bin/python -m emulator.daemon "),
    ],
)
def test_a_victim_is_known_by_its_own_command_line_alone(victim: str, command: str) -> None:
    assert [name for name, looks in kills.VICTIMS.items() if looks.search(command)] == [victim]


def chance(seed: int = 1) -> Random:
    return Random(seed)  # noqa: S311 chance that can be had again, not a secret


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnClone:
    monkeypatch.setattr("automation.chaos.own_clone.copy_repository", lambda root: root.mkdir())
    return OwnClone(tmp_path / "clone")


@pytest.fixture
def command(clone: OwnClone) -> Iterator["subprocess.Popen[str]"]:
    """A command that runs in the clone until it is killed, and looks like the emulator."""
    words = [sys.executable, "-c", "import time; time.sleep(60)", "-m", "emulator.daemon", "."]
    process = subprocess.Popen(words, cwd=clone.root, text=True)
    yield process
    process.kill()
    process.wait()


def test_a_victim_is_killed_at_a_moment_at_which_it_runs(
    clone: OwnClone, command: "subprocess.Popen[str]"
) -> None:
    killed = kills.kill(clone, command, {"emulator": (0.1, 0.2)}, chance())
    assert len(killed) == 1
    assert command.wait(10) == -9


def test_a_command_that_ends_before_its_victim_appears_kills_nobody(clone: OwnClone) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], cwd=clone.root, text=True)
    assert kills.kill(clone, process, {"policy pack": (0.0, 0.1)}, chance()) == []


def test_two_victims_are_two_that_the_command_has() -> None:
    usual = {"engine": (1.0, 2.0), "fed": (0.0, 3.0), "policy pack": (1.5, 2.0)}
    pairs = [kills.chosen(kills.TWO, usual, chance(seed)) for seed in range(20)]
    assert {len(pair) for pair in pairs} == {2}
    assert len({frozenset(pair) for pair in pairs}) == 3
    assert kills.chosen("kill language host", usual, chance()) == {}


PAGE = """# Page
<!-- fed chaos: people -->
old
<!-- fed chaos: end of people -->
between
<!-- fed chaos: machines -->
kept
<!-- fed chaos: end of machines -->
"""


def test_a_page_keeps_all_but_the_sections_of_what_was_tried(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    report.write(page, campaign(tried(fault="Ctrl-C")), {"people": ["Ctrl-C"], "machines": ["power off"]})
    text = page.read_text()
    assert "old" not in text
    assert "| Ctrl-C | up | 1 |" in text.partition("between")[0]
    assert text.partition("between")[2] == PAGE.partition("between")[2]


def test_a_page_keeps_the_rows_of_faults_that_were_not_tried_again(tmp_path: Path) -> None:
    page, parts = tmp_path / "page.md", {"people": ["Ctrl-C", "up and up"]}
    page.write_text(PAGE)
    first = campaign(tried(fault="Ctrl-C", runs=None, said="never"), tried(fault="up and up", said="kept"))
    report.write(page, first, parts)
    report.write(page, dataclasses.replace(campaign(tried(fault="Ctrl-C", runs=1)), seed=8), parts)
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ")][2:]
    assert rows[0].startswith("| Ctrl-C | up | 1 | 1 | nothing | nothing | 0 | seed 8, ")
    assert rows[1].startswith("| up and up | up | 1 | 2 | nothing | nothing | 0 | seed 7, ")
    assert "What did not hold" not in page.read_text()


def test_a_file_without_marks_is_refused_before_anything_is_tried(tmp_path: Path) -> None:
    page = tmp_path / "notes.md"
    page.write_text("mine\n")
    with pytest.raises(QuestionError, match="has no marks"):
        report.check(page, ["people"])


def test_a_new_file_gets_one_table(tmp_path: Path) -> None:
    page = tmp_path / "new.md"
    report.check(page, run.PARTS)
    report.write(page, campaign(tried()), {})
    assert page.read_text() == trial.markdown(campaign(tried()))


def test_the_docs_have_a_section_for_each_part() -> None:
    report.check(paths.REPOSITORY / "docs" / "reliability.md", run.PARTS)
