"""A hospital's answers and record, as `fed hospital` and `fed audit` work with them."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from container_server.messages import decode

from automation.commands import audit
from automation.operate import record
from automation.operate.code_difference import MOST_LINES, difference
from automation.operate.consent import EMPTY, House, read_policy
from automation.ui.outcome import FedError, QuestionError, RefusedError
from tests.unit.support.job_archives import job, packed
from workloads.fl_client.fed_site import job_code

JOB = job(b"print()\n")
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
        self.images = [
            {"image": image, "digest": f"sha256:{mark * 64}", "answer": "waiting"}
            for image, mark in (("fl-client", "1"), ("container-server", "2"))
        ]
        monkeypatch.setattr(
            House,
            "review",
            lambda _: {"jobs": self.jobs, "images": self.images, "rules": {}, "fault": ""},
        )
        monkeypatch.setattr(House, "_read", lambda _, container, blob: self.held.get(f"{container}/{blob}"))
        monkeypatch.setattr(House, "_datacentre", lambda _: self)
        monkeypatch.setattr(House, "_blobs", lambda *_: self.listing)
        monkeypatch.setattr(House, "_inside", lambda _, script: self.followed)
        self.listing: dict[str, bytes] = {}
        self.followed = ""
        outputs: Any = type(
            "Outputs", (), {"hospitals": {"cleveland": type("Own", (), {"storage_account": "/st"})}}
        )
        target: Any = None
        self.house = House(target=target, name="cleveland", outputs=outputs)

    def upload(self, container: str, blob: str, content: bytes) -> None:
        assert container == "/st/blobServices/default/containers/policy"
        self.held[f"policy/{blob}"] = content
        policy = json.loads(content)
        if blob == "images.json":
            return
        if blob == "airlock.json":
            self.followed = json.dumps({key: value for key, value in policy.items() if key != "schema"})
            return
        for one in self.jobs:
            for answer in ("approved", "refused"):
                if one["code"] in {entry["code"] for entry in policy[answer]}:
                    one["answer"] = answer

    @property
    def policy(self) -> dict[str, Any]:
        return dict(json.loads(self.held["policy/jobs.json"]))


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    return Stand(monkeypatch)


class TestImages:
    def said(self, stand: Stand) -> dict[str, Any]:
        policy = json.loads(stand.held["policy/images.json"])
        return {answer: [entry["digest"] for entry in policy[answer]] for answer in ("approved", "refused")}

    def test_one_is_approved_by_the_beginning_of_its_digest(self, stand: Stand) -> None:
        assert stand.house.approve_image("1111", "Dr Meier")["image"] == "fl-client"
        assert self.said(stand) == {"approved": [f"sha256:{'1' * 64}"], "refused": []}

    def test_a_later_word_takes_the_place_of_the_first_and_leaves_others(self, stand: Stand) -> None:
        for digest in ("sha256:1111", "sha256:2222"):
            stand.house.approve_image(digest, "Dr Meier")
        stand.house.refuse_image("1111", "not before the audit")
        assert self.said(stand) == {"approved": [f"sha256:{'2' * 64}"], "refused": [f"sha256:{'1' * 64}"]}

    def test_what_the_vm_takes_is_what_was_written(self, stand: Stand) -> None:
        stand.house.approve_image("1111", "Dr Meier")
        stand.house.refuse_image("2222", "no")
        decode("images", stand.held["policy/images.json"])

    @pytest.mark.parametrize("digest", ["3333", ""])
    def test_one_that_does_not_wait_there_is_not_answered(self, stand: Stand, digest: str) -> None:
        with pytest.raises(QuestionError, match=r"(no image .* has|2 images have) a digest beginning with"):
            stand.house.approve_image(digest, "Dr Meier")
        assert "policy/images.json" not in stand.held


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


def test_an_approval_is_withdrawn_and_its_author_told(stand: Stand) -> None:
    stand.house.approve(CODE, "Dr Meier")
    stand.house.withdraw(CODE[:8], "our board changed its mind")
    assert stand.policy["approved"] == []
    assert stand.policy["refused"][0]["why"] == "its approval was withdrawn: our board changed its mind"


def test_only_an_approval_can_be_withdrawn(stand: Stand) -> None:
    with pytest.raises(QuestionError, match="it is waiting"):
        stand.house.withdraw(CODE, "")


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
    stand.followed = "{}"
    stand.house.decide(read_policy(tmp_path / "airlock.json"))
    assert json.loads(stand.held["policy/airlock.json"]) == {"schema": "fed/airlock/1", "longest": 0.5}
    assert stand.house.airlock() == {"longest": 0.5}


def test_a_policy_that_the_vm_does_not_take_is_said(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automation.operate.consent._HEARD_SECONDS", 0)
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
    assert {"code/job.py", "manifest.json"} <= set(stand.house.save(CODE, tmp_path / "job"))
    assert (tmp_path / "job/code/job.py").read_bytes() == b"print()\n"


def test_of_what_left_everything_is_shown_however_jobs_are_named() -> None:
    """Of the last 500 by name a job of the centre's, which it names itself, would never have been one."""

    class Container:
        def blobs(self) -> list[str]:
            asked = [f"audit/20261201T{number:06}Z-asked.json" for number in range(600)]
            return asked + [
                f"releases/{number:08}-0000-4000-8000-000000000000.jsonl" for number in range(600)
            ]

        def blob(self, name: str) -> bytes:
            return json.dumps(
                {"time": 1.0 if name.startswith("releases/") else name, "event": "asked"}
            ).encode()

    found = record.of_account(cast(Any, Container()))
    assert sum(entry["event"] == "released" for entry in found) == 600
    assert sum(entry["event"] == "asked" for entry in found) == 500


def test_the_record_is_in_order_of_time_and_in_words(stand: Stand) -> None:
    asked = {
        "time": "19700101T000000.000000Z",
        "event": "asked-x",
        "job_id": "12345678-1",
        "name": "cohort\x1b[2J",
    }
    asked |= {"code": CODE, "answer": "approved"}
    noisy = {**RELEASE, "round": 4, "time": 5.0, "metrics": {}, "epsilon": 2.5, "delta": 1e-5}
    start = {"time": 0.5, "task": "start", "round": None, "started": CODE}
    notes = "\n".join(json.dumps(note) for note in (KEPT, start, RELEASE, noisy))
    decided = {"time": "19700101T000009.000000Z", "event": "airlock", "policy": {"longest": 0.5}}
    stand.listing = {
        "releases/12345678-1.jsonl": notes.encode(),
        "audit/x.json": json.dumps(asked).encode(),
        "audit/y.json": json.dumps(decided).encode(),
    }
    words = [audit._words(entry) for entry in stand.house.record()]
    assert words[0].startswith("asked      12345678 cohort")
    assert "\x1b" not in words[0]
    assert words[1] == f"started    12345678, code {CODE[:12]}"
    assert words[2:] == [
        "released   12345678 train round 2: WEIGHT_DIFF, 30 numbers; auc 0.9",
        "kept back  12345678 train round 3: no number",
        "released   12345678 train round 4: WEIGHT_DIFF, 30 numbers; epsilon 2.5 of all so far",
        'airlock    {"longest": 0.5}',
    ]


def test_a_job_is_shown_with_what_it_says_of_itself(stand: Stand) -> None:
    shown = "\n".join(stand.house.look(CODE[:8]))
    for said in (
        "cohort: A cohort",
        "for        to see",
        "asked by   ada, as the centre states",
        "heart.csv: age",
    ):
        assert said in shown
    assert "no other version of cohort was approved here" in shown


def test_scores_and_data_sets_are_in_the_audit_as_what_did_not_leave() -> None:
    scored = {
        "event": "scored",
        "table": "score/heart.csv",
        "model": "heart",
        "version": "3",
        "code": "ab" * 32,
        "rows": 3,
        "without_score": 1,
    }
    assert audit._words(scored) == (
        "scored     score/heart.csv by the model heart version 3, code abababababab: 3 rows, 1 without a"
        " score; nothing left"
    )
    adopted = {"event": "dataset", "name": "stay", "version": "1.0", "sha256": "cd" * 32}
    assert audit._words(adopted) == "data set   stay 1.0 adopted, cdcdcdcdcdcd"


def test_what_the_check_of_the_data_found_is_in_the_audit() -> None:
    taken = {
        "event": "data",
        "name": "heart.csv",
        "rows": 303,
        "complaints": [],
        "found": [],
        "notes": ["tabs"],
    }
    wrong = {**taken, "found": ["heart.csv: line 2, column sex: not one of 0, 1"]}
    assert audit._words(taken) == "data       heart.csv is taken with 303 rows; tabs"
    assert (
        audit._words(wrong)
        == "data       heart.csv is refused: heart.csv: line 2, column sex: not one of 0, 1"
    )


def test_what_changed_since_the_approved_version_is_shown(stand: Stand) -> None:
    new = job(b"print()\nsend(rows)\n", purpose="to see more")
    stand.jobs = [{"code": job_code.checksum(new), "name": "cohort", "answer": "waiting"}]
    stand.jobs.append({"code": CODE, "name": "cohort", "answer": "approved"})
    stand.held[f"record/requests/{job_code.checksum(new)}.zip"] = new
    shown = stand.house.look(job_code.checksum(new))
    assert f"since {CODE[:12]}, which is approved:" in shown
    assert "+send(rows)" in shown
    assert any(line.startswith("+") and "to see more" in line for line in shown)


class TestDifference:
    def test_new_gone_and_binary_files_are_named(self) -> None:
        before = {"gone.py": b"x = 1\n", "same.py": b"s\n", "blob": b"\xff"}
        after = {"new.py": b"y = 2\n", "same.py": b"s\n", "blob": b"\xfe"}
        lines = list(difference(before, after))
        assert lines[0] == "blob: other content, which is no text"
        assert "-x = 1" in lines and "+y = 2" in lines
        assert not [line for line in lines if "same.py" in line]

    def test_it_is_bounded_and_harmless_to_a_terminal(self) -> None:
        after = {"new.py": b"\x1b[2J\n" * 10_000}
        lines = list(difference({}, after))
        assert len(lines) == MOST_LINES + 1
        assert "more than" in lines[-1]
        assert "\x1b" not in "".join(lines)

    def test_what_is_the_same_has_none(self) -> None:
        assert list(difference({"a": b"x"}, {"a": b"x"})) == []
