"""What a person is told in time: a line in the log that an alert finds, and the same in the status."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from container_server import notices
from container_server.notices import Notice, Notices
from fed_site.job_code import checksum

from tests.unit.support.job_archives import job
from tests.unit.support.workloads_fakes import FakeClock
from tests.unit.support.workloads_federation import DAY, Federation
from workloads.data import heart_data

SILENCE = Notice(code="hospital-silent", about="hungary", text="hungary has not reported for an hour")


class Disk(NamedTuple):
    total: int
    used: int
    free: int = 1 << 40


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Disk(100, 10))


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    def lines() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == "notice"]

    return lines


class TestNotices:
    def test_what_lasts_is_said_again_within_what_an_alert_looks_at(
        self, said: Callable[[], list[dict[str, Any]]]
    ) -> None:
        clock = FakeClock()
        told = Notices(clock)
        for _ in range(60):
            told.tell([SILENCE])
            clock.sleep(60)
        assert len(said()) == 6, "every ten minutes of an hour; the alert looks at fifteen"
        assert told.rows() == [
            {
                "code": "hospital-silent",
                "about": "hungary",
                "text": "hungary has not reported for an hour",
                "since": 1_800_000_000,
            }
        ]

    def test_what_is_over_is_gone_and_said_at_once_when_it_is_back(
        self, said: Callable[[], list[dict[str, Any]]]
    ) -> None:
        told = Notices(FakeClock())
        for present in ([SILENCE], [], [SILENCE]):
            told.tell(present)
        assert len(said()) == 2

    def test_a_disk_that_is_nearly_full(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        assert notices.disk_full(tmp_path / "not there yet") == []
        monkeypatch.setattr("shutil.disk_usage", lambda folder: Disk(100, 90))
        assert notices.disk_full(tmp_path)[0].code == "disk-full"


class TestCentre:
    @pytest.fixture
    def federation(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Federation:
        monkeypatch.setattr("os.fsync", lambda descriptor: None)
        federation = Federation(tmp_path, approval="manual")
        federation.turn(30, pause=3)
        return federation

    def codes(self, federation: Federation) -> set[tuple[str, str]]:
        federation.turn(90, pause=5)
        return {(row["code"], row["about"]) for row in federation.status()["notices"]}

    def approve(self, federation: Federation) -> None:
        for name in federation.members:
            federation.centre.commands.approve({"hospital": name})
        federation.turn(90, pause=5)

    def test_who_waits_for_a_person(self, federation: Federation) -> None:
        waiting = {("enrolment-waits", "cleveland"), ("enrolment-waits", "hungary")}
        assert self.codes(federation) == waiting
        self.approve(federation)
        assert self.codes(federation) == set()
        federation.clock.time += 61 * DAY
        assert {code for code, _ in self.codes(federation)} == {"renewal-waits"}

    def test_a_hospital_that_is_silent_for_an_hour(self, federation: Federation) -> None:
        self.approve(federation)
        federation.away["hungary"] = federation.houses.pop("hungary")
        federation.turn(3500, pause=50)
        assert self.codes(federation) == set()
        federation.turn(300, pause=10)
        assert self.codes(federation) == {("hospital-silent", "hungary")}

    def test_certificates_of_its_own_that_end(self, federation: Federation) -> None:
        self.approve(federation)
        federation.nvflare.refuse = RuntimeError("no space left")  # type: ignore[assignment]
        federation.clock.time += 340 * DAY
        found = self.codes(federation)
        assert {("certificate-ends", "server"), ("certificate-ends", "lead")} <= found

    @pytest.mark.parametrize(("nvflare", "code"), [("COMPLETED", "job-failed"), ("ABORTED", "job-ended")])
    def test_a_job_that_is_over_is_said_once(
        self, federation: Federation, nvflare: str, code: str, said: Callable[[], list[dict[str, Any]]]
    ) -> None:
        self.approve(federation)
        federation.begin_job()
        federation.end_job()
        status = federation.config.work / "jobs/00000001-0000-4000-8000-000000000000/status.json"
        status.write_text(json.dumps({"nvflare": f"FINISHED:{nvflare}", "reason": "x"}))
        said()
        federation.turn(30, pause=5)
        federation.boot()
        federation.turn(30, pause=5)
        assert [line["code"] for line in said()] == [code]


class TestHospital:
    def test_jobs_that_wait_data_that_are_refused_and_a_certificate_that_ends(
        self, tmp_path: Path, said: Callable[[], list[dict[str, Any]]]
    ) -> None:
        federation = Federation(tmp_path, ["cleveland"])
        federation.turn(60, pause=3)
        house = federation.houses["cleveland"]
        code = ask_to_run(house.config.work, federation.clock.now())
        federation.store("data-cleveland").write("heart.csv", heart_data.seed("cleveland")[:900] + b"x,y\n")
        federation.centre.commands.revoke({"hospital": "cleveland"})
        federation.clock.time += 61 * DAY
        said()
        federation.turn(180, pause=5)
        found = {(line["code"], line["about"]) for line in said()}
        assert {("certificate-ends", "cleveland"), ("job-waits", code[:12])} <= found
        assert ("data-refused", "cleveland") in found


def ask_to_run(work: Path, asked: float) -> str:
    """What the client leaves of a job that is not approved; its code."""
    archive = job()
    code = checksum(archive)
    (work / "requests").mkdir()
    description = {"job_id": "1", "name": "cohort", "submitter": "lead", "asked": asked}
    (work / f"requests/{code}.json").write_text(json.dumps(description))
    (work / f"requests/{code}.zip").write_bytes(archive)
    return code
