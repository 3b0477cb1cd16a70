"""What `fed chaos` says of a campaign."""

import datetime as dt
from typing import Any

import pytest

from automation.chaos import run, trial
from automation.chaos.trial import Campaign, Trial
from automation.ui.outcome import QuestionError


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
    assert "Seed 7, 2026-12-01 02:00 UTC" in text
    assert "| lost answer | up | 42 | 3 | nothing | nothing | 9 |" in text
    assert "| 500 | up | 1 | 1 of 1 never | nothing | process node | 0 |" in text
    assert "- 500 during up: it \\| never ends" in text
    assert trial.document(found)["held"] is False


def test_a_fault_that_there_is_not_is_refused_before_anything_is_done() -> None:
    with pytest.raises(QuestionError, match="no fault '504'"):
        run.run(seed=1, faults=["504"], minutes=0)
