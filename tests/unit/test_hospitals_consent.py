"""A hospital's answers and record, as `fed hospital` and `fed audit` work with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from automation.commands import audit
from automation.hospitals.consent import EMPTY, House, read_policy
from automation.ui.outcome import FedError, QuestionError, RefusedError
from tests.unit.job_archives import packed
from workloads.fl_client.fed_site import job_code

JOB = packed({"custom/job.py": b"print()"})
CODE = job_code.checksum(JOB)
OTHER = "b" * 64
RELEASE = {
    "time": 1.0,
    "task": "train",
    "round": 2,
    "kind": "WEIGHT_DIFF",
    "numbers": 30,
    "metrics": {"auc": 0.9},
}
KEPT = {"time": 2.0, "task": "train", "round": 3, "refused": "no number"}


class Stand:
    """A hospital's VM and account: what its review says, what its containers hold, what was uploaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jobs = [{"code": code, "name": "cohort", "answer": "waiting"} for code in (CODE, OTHER)]
        self.held: dict[str, bytes] = {f"record/requests/{CODE}.zip": JOB}
        monkeypatch.setattr(House, "review", lambda _: {"jobs": self.jobs, "fault": ""})
        monkeypatch.setattr(House, "_read", lambda _, container, blob: self.held.get(f"{container}/{blob}"))
        monkeypatch.setattr(House, "_fabric", lambda _: self)
        monkeypatch.setattr(House, "_inside", lambda _, script: self.listing)
        self.listing = ""
        outputs: Any = type(
            "Outputs", (), {"hospitals": {"cleveland": type("Own", (), {"storage_account": "/st"})}}
        )
        target: Any = None
        self.house = House(target=target, name="cleveland", outputs=outputs)

    def upload(self, container: str, blob: str, content: bytes) -> None:
        assert container == "/st/blobServices/default/containers/policy"
        self.held[f"policy/{blob}"] = content
        policy = json.loads(content)
        if blob == "airlock.json":
            self.listing = json.dumps({key: value for key, value in policy.items() if key != "schema"})
            return
        for job in self.jobs:
            for answer in ("approved", "refused"):
                if job["code"] in {entry["code"] for entry in policy[answer]}:
                    job["answer"] = answer

    @property
    def policy(self) -> dict[str, Any]:
        return dict(json.loads(self.held["policy/jobs.json"]))


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    return Stand(monkeypatch)


def test_an_approval_is_added_to_what_the_officers_said_before(stand: Stand) -> None:
    before = {**EMPTY, "platform": False, "approved": [{"code": OTHER, "name": "x", "by": "y"}]}
    stand.held["policy/jobs.json"] = json.dumps(before).encode()
    stand.house.approve(CODE[:8], "Dr Meier")
    assert stand.policy["platform"] is False
    assert [entry["code"] for entry in stand.policy["approved"]] == [OTHER, CODE]
    assert stand.policy["approved"][1]["by"] == "Dr Meier"


def test_a_refusal_takes_the_approvals_place(stand: Stand) -> None:
    stand.house.approve(CODE, "Dr Meier")
    stand.house.refuse(CODE, "no purpose")
    assert stand.policy["approved"] == []
    assert stand.policy["refused"] == [{"code": CODE, "why": "no purpose"}]


def test_code_that_is_not_what_the_checksum_says_is_not_approved(stand: Stand) -> None:
    """A job that runs shares the client's user, and could put harmless code in place of its own."""
    stand.held[f"record/requests/{CODE}.zip"] = packed({"custom/job.py": b"harmless()"})
    with pytest.raises(RefusedError, match="other code"):
        stand.house.approve(CODE, "Dr Meier")
    assert "policy/jobs.json" not in stand.held


def test_a_policy_for_the_airlock_goes_to_the_officers_container_and_is_followed(
    stand: Stand, tmp_path: Path
) -> None:
    (tmp_path / "airlock.json").write_text('{"schema": "fed/airlock/1", "longest": 0.5}')
    stand.listing = "{}"
    stand.house.decide(read_policy(tmp_path / "airlock.json"))
    assert json.loads(stand.held["policy/airlock.json"]) == {"schema": "fed/airlock/1", "longest": 0.5}
    assert stand.house.airlock() == {"longest": 0.5}


def test_a_policy_that_the_vm_does_not_take_is_said(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automation.hospitals.consent._HEARD_SECONDS", 0)
    monkeypatch.setattr(House, "airlock", lambda _: None)
    with pytest.raises(FedError, match="nothing leaves it\nFix:"):
        stand.house.decide({"longest": -1})


@pytest.mark.parametrize("content", ["", "7", "[1]"])
def test_a_file_that_is_no_policy_is_a_mistake(tmp_path: Path, content: str) -> None:
    (tmp_path / "x").write_text(content)
    with pytest.raises(QuestionError, match="no policy in JSON"):
        read_policy(tmp_path / "x")


@pytest.mark.parametrize("code", ["", "c" * 64])
def test_a_checksum_that_nobody_asked_with_is_a_mistake(stand: Stand, code: str) -> None:
    with pytest.raises(QuestionError, match="fed hospital review cleveland"):
        stand.house.approve(code, "Dr Meier")


def test_code_is_saved_as_it_arrived(stand: Stand, tmp_path: Path) -> None:
    assert stand.house.save(CODE, tmp_path / "job") == ["custom/job.py"]
    assert (tmp_path / "job/custom/job.py").read_bytes() == b"print()"


def test_the_record_is_in_order_of_time_and_in_words(stand: Stand) -> None:
    asked = {
        "time": "19700101T000000.000000Z",
        "event": "asked-x",
        "job_id": "12345678-1",
        "name": "cohort\x1b[2J",
    }
    asked |= {"code": CODE, "answer": "approved"}
    noisy = {**RELEASE, "round": 4, "time": 5.0, "metrics": {}, "epsilon": 2.5, "delta": 1e-5}
    notes = "\n".join(json.dumps(note) for note in (KEPT, RELEASE, noisy))
    decided = {"time": "19700101T000009.000000Z", "event": "airlock", "policy": {"longest": 0.5}}
    stand.listing = "\n".join(
        json.dumps(blob)
        for blob in (
            ["releases/12345678-1.jsonl", notes],
            ["audit/x.json", json.dumps(asked)],
            ["audit/y.json", json.dumps(decided)],
        )
    )
    words = [audit._words(entry) for entry in stand.house.record()]
    assert words[0].startswith("asked      12345678 cohort")
    assert "\x1b" not in words[0]
    assert words[1:] == [
        "released   12345678 train round 2: WEIGHT_DIFF, 30 numbers; auc 0.9",
        "kept back  12345678 train round 3: no number",
        "released   12345678 train round 4: WEIGHT_DIFF, 30 numbers; epsilon 2.5 of all so far",
        'airlock    {"longest": 0.5}',
    ]
