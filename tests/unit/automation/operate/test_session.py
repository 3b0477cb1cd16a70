"""What the end of a stack says of its jobs, and in whose name jobs are submitted."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest

from automation.operate import person, session
from automation.operate.machines import Centre
from automation.ui.outcome import FedError, RefusedError

JOB = {"id": "0123456789", "job": "heart", "round": 4, "rounds": 10, "submitted": 1}
ON_AZURE: Any = SimpleNamespace(emulator=None, arm=lambda: None)


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    centre = SimpleNamespace(centre=SimpleNamespace(vm="/vms/centre", questions=None))
    monkeypatch.setattr(session.deploy, "outputs", lambda _: centre)


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("state", "named"), [("running", True), ("waiting", True), ("queued", True), ("finished", False)]
)
def test_a_job_that_would_end_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str, named: bool
) -> None:
    monkeypatch.setattr(Centre, "ask", lambda self, question: {"jobs": [{**JOB, "state": state}]})
    session.name_running_jobs(ON_AZURE)
    said = capsys.readouterr().err
    assert ("heart 01234567" in said and "it ends with the stack" in said) == named


@pytest.mark.usefixtures("deployed")
def test_a_centre_that_does_not_answer_is_said_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(self: Centre, question: object) -> dict[str, Any]:
        raise FedError("vm-fed-dev-centre does not take commands")

    monkeypatch.setattr(Centre, "ask", silent)
    session.name_running_jobs(ON_AZURE)
    assert "whether a job runs cannot be known: vm-fed-dev-centre" in capsys.readouterr().err


def test_where_nothing_is_deployed_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(_: object) -> None:
        raise RefusedError("dev is not deployed")

    monkeypatch.setattr(session.deploy, "outputs", absent)
    session.name_running_jobs(ON_AZURE)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"upn": "ada@example.org", "oid": "1"}, "ada@example.org"),
        ({"appid": "app", "oid": "1"}, "app"),
        ({}, "unknown"),
    ],
)
def test_who_asks_on_azure_is_who_signed_in(claims: dict[str, str], named: str) -> None:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    arm = SimpleNamespace(token=lambda: f"head.{payload}.signature")
    target: Any = SimpleNamespace(emulator=None, arm=lambda: arm)
    assert person.of(target) == named


def test_who_asks_on_the_emulator_is_this_machines_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    target: Any = SimpleNamespace(emulator=object())
    assert person.of(target) == "ada (on this machine)"
