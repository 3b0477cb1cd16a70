"""Both sides of consent: what a hospital's record and the centre say of the same jobs."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from automation.ui.outcome import QuestionError
from automation.verify.facts.finding import Look
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
ROW = {"id": JOB, "job": "heart", "author": "ada", "code": CODE[:16], "asked": 1, "ran": ["cleveland"],
       "answered": ["cleveland"]}  # fmt: skip
COUNTED = [Job.read(ROW)]


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


CHANGE = {
    "event": "images",
    "time": at(20),
    "images": {"fl-client": "sha256:1", "container-server": "sha256:2"},
}


def images_answers(second: int, **approved: str) -> dict[str, Any]:
    entries = [{"image": name.replace("_", "-"), "digest": digest} for name, digest in approved.items()]
    return {"event": "images-answers", "time": at(second), "approved": entries, "refused": []}


BOTH = {"fl_client": "sha256:1", "container_server": "sha256:2"}


@pytest.mark.parametrize(
    ("record", "environment", "named"),
    [
        ([CHANGE], "dev", []),
        ([CHANGE], "prod", ["container-server", "fl-client"]),
        ([images_answers(1, **BOTH), CHANGE], "prod", []),
        ([images_answers(1, fl_client="sha256:1"), CHANGE], "dev", ["container-server"]),
        ([images_answers(1, **{**BOTH, "fl_client": "sha256:2"}), CHANGE], "prod", ["fl-client"]),
        ([CHANGE, images_answers(30, **BOTH)], "prod", ["container-server", "fl-client"]),
    ],
    ids=["none in dev", "never", "before", "of one", "of another image", "afterwards"],
)
def test_a_change_of_images_without_the_officers_word_is_found(
    record: list[dict[str, Any]], environment: str, named: list[str]
) -> None:
    whats = [finding.what for finding in consent._of_images({"cleveland": record}, environment)]
    assert [what.split()[3] for what in whats] == named


def test_what_started_is_the_code_that_the_centre_counts() -> None:
    other = Job.read({**ROW, "code": "b" * 16})
    assert any("what started there is aaaaaaaaaaaa" in what for what in found(RECORD, [other]))


@pytest.mark.parametrize("code", ["", "a", "a" * 11])
def test_a_centre_that_does_not_say_which_code_is_found(code: str) -> None:
    """Every code begins with nothing."""
    assert any(
        "does not say of which code" in what for what in found(RECORD, [Job.read({**ROW, "code": code})])
    )


def test_the_centre_counts_no_answer_of_a_hospital_that_it_did_not_send_to() -> None:
    other = Job.read({**ROW, "ran": ["hungary"]})
    (finding,) = consent.of_the_centre([other])
    assert "was not sent there: it ran at hungary" in finding.what
    assert not list(consent.of_the_centre(COUNTED))


class TestOnAzure:
    """Nobody reads both sides there: whoever asks the centre sees one, an officer the other."""

    @pytest.fixture
    def record(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        entries = list(RECORD)
        monkeypatch.setattr(consent.houses, "record_of", lambda *asked: read.append(asked) or entries)
        read: list[Any] = []
        return entries

    @pytest.fixture
    def word(self, tmp_path: Path) -> Path:
        file = tmp_path / "centre.json"
        file.write_text(json.dumps({"stack": "prod", "counted": [ROW]}))
        return file

    def test_from_the_centre_its_own_side_is_judged_and_the_others_are_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = [{**ROW, "ran": ["hungary"]}]
        outputs = SimpleNamespace(hospitals={"cleveland": None, "hungary": None}, environment="prod")
        monkeypatch.setattr(consent.deploy, "outputs", lambda target: outputs)
        reached = SimpleNamespace(centre=Answering(rows))
        monkeypatch.setattr(consent.centres, "of", lambda target, outputs: reached)
        target = SimpleNamespace(name="prod", emulator=None, arm=lambda: None)
        seen = consent.look(target)  # type: ignore[arg-type]
        assert ["was not sent there" in finding.what for finding in seen.findings] == [True]
        assert len(seen.unseen) == 2
        assert "--party cleveland --account NAME --counted FILE" in seen.unseen[0]
        assert seen.counted == rows

    def test_an_officer_sees_that_both_sides_agree(self, record: list[dict[str, Any]], word: Path) -> None:
        assert consent.of_officer("prod", "cleveland", "stcleveland", word) == Look(findings=())

    def test_or_where_they_do_not(self, record: list[dict[str, Any]], word: Path) -> None:
        record.remove(STARTED)
        whats = [one.what for one in consent.of_officer("prod", "cleveland", "st", word).findings]
        assert any("never started there" in what for what in whats)
        assert any("does not know" in what for what in whats)

    def test_without_the_centres_word_its_own_record_is_judged_and_the_rest_is_said(
        self, record: list[dict[str, Any]]
    ) -> None:
        record.remove(answers(10, CODE))
        seen = consent.of_officer("prod", "cleveland", "st", None)
        assert ["without an approval" in one.what for one in seen.findings] == [True]
        (unseen,) = seen.unseen
        assert "--counted" in unseen

    @pytest.mark.parametrize("content", ["", "{}", '{"counted": [{}]}', '{"counted": 1}'])
    def test_a_file_that_is_no_word_of_the_centres_is_named(
        self, record: list[dict[str, Any]], tmp_path: Path, content: str
    ) -> None:
        (tmp_path / "word.json").write_text(content)
        with pytest.raises(QuestionError, match="does not say what the centre counts"):
            consent.of_officer("prod", "cleveland", "st", tmp_path / "word.json")


class Answering:
    """A centre that tells three jobs at a time, as Azure's run command would."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def ask(self, question: Any) -> dict[str, Any]:
        rest = self.rows[question.skip or 0 :]
        return {"jobs": rest[:3], **({"cut": True} if len(rest) > 3 else {})}


def test_a_job_is_named_once() -> None:
    assert len(found([STARTED, RELEASED, {**RELEASED, "time": at(31)}])) == 1
