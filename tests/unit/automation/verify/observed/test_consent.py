"""Both sides of consent: what a hospital's record and the centre say of the same jobs."""

from typing import Any

import pytest

from automation.verify.observed import consent
from automation.verify.observed.consent import Job, compare
from clone.paths import REPOSITORY as ROOT
from federation.stack_file import load_stack

NAMES = ("fl-server", "fl-client", "container-server", "mlflow")
CODE, JOB = "a" * 64, "00000000-0000-4000-8000-000000000001"


def at(second: int) -> str:
    return f"20261130T1200{second:02d}.000000Z"


def answers(second: int, *approved: str) -> dict[str, Any]:
    return {"event": "answers", "time": at(second), "approved": list(approved), "refused": {}}


STARTED = {"event": "started", "time": at(20), "job_id": JOB, "started": CODE}
RELEASED = {"event": "released", "time": at(30), "job_id": JOB, "kind": "WEIGHT_DIFF"}
ASKED = {"event": "asked-aaaa", "time": at(1), "job_id": JOB, "code": CODE, "answer": "waiting"}
RECORD = [ASKED, answers(10, CODE), STARTED, RELEASED]
COUNTED = [Job(job_id=JOB, name="heart", answered=frozenset({"cleveland"}))]


def found(record: list[dict[str, Any]], jobs: list[Job] | None = None) -> list[str]:
    jobs = COUNTED if jobs is None else jobs
    return [finding.what for finding in compare({"cleveland": record}, jobs)]


def test_two_sides_that_agree_have_no_difference() -> None:
    assert found(RECORD) == []
    assert found([], []) == []


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ([ASKED, STARTED, RELEASED], "without an approval of its code aaaaaaaaaaaa"),
        ([answers(10, "b" * 64), STARTED, RELEASED], "without an approval"),
        ([answers(40, CODE), STARTED, RELEASED], "without an approval"),
        ([answers(10, CODE), answers(22), STARTED, RELEASED], "without an approval"),
        ([answers(10, CODE), RELEASED], "that never started there"),
        ([], "which the hospital's record does not know"),
    ],
    ids=["never", "of other code", "afterwards", "withdrawn", "no start", "no record"],
)
def test_a_break_is_found_on_either_side(record: list[dict[str, Any]], named: str) -> None:
    assert any(named in what for what in found(record))


def test_a_withdrawal_is_not_blamed_on_the_answer_that_left_just_before() -> None:
    assert found([answers(10, CODE), STARTED, RELEASED, answers(31)]) == []


@pytest.mark.parametrize(("stack", "runs"), [("dev", True), ("mvp", False), ("prod", False)])
def test_records_are_looked_for_where_an_image_was_promoted(stack: str, runs: bool) -> None:
    """The repository pins zeros for mvp and prod: no container ever ran there, so there is no record."""
    images = load_stack(ROOT, stack).images
    assert images.exist is runs
    promoted = images.model_copy(update={"digests": dict.fromkeys(NAMES, "sha256:" + "a" * 64)})
    assert promoted.exist


def test_a_job_is_named_once() -> None:
    assert len(found([STARTED, RELEASED, {**RELEASED, "time": at(31)}])) == 1


def test_a_hospital_that_only_missed_rounds_has_not_answered() -> None:
    shown = {"id": JOB, "job": "heart", "hospitals": {"a": {"auc": 0.8}, "b": {"missed": [1], "dropped": {}}}}
    assert consent._job(shown).answered == {"a"}
