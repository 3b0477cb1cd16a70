"""The centre is asked through its door where that is open, else by run command; which way is said."""

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken
from container_server.centre.operators import ANSWERED, Operators

from automation.operate import centre as centres
from automation.operate import logs, people
from automation.operate.centre import CentreByBlobs
from automation.operate.people import PeoplesContainer
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError, RefusedError
from tests.unit.support.stack_outputs import stack_outputs
from tests.unit.support.workloads_fakes import FolderStore
from workloads.container_server.container_server import questions

ADA = base64.urlsafe_b64encode(json.dumps({"upn": "ada@example.org"}).encode()).decode().rstrip("=")


class SignedIn:
    def get_token(self, *scopes: str, **more: Any) -> AccessToken:
        return AccessToken(f"head.{ADA}.signature", 0)


class Wall:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.meanwhile: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.meanwhile()
        self.now += seconds


class Account:
    """The centre's storage account as HTTP, and its service that answers when somebody waits."""

    def __init__(self, folder: Path) -> None:
        self.stores = {name: FolderStore(folder / name) for name in ("questions", "answers")}
        self.refusal: str | None = None
        self.asked: list[Any] = []
        self.answer: Any = {"jobs": []}
        self.service = Operators(
            questions=self.stores["questions"],
            answers=self.stores["answers"],
            handlers=dict.fromkeys(ANSWERED, self._handle),
            clock=SimpleNamespace(now=centres.time.time, sleep=lambda _: None),
            memory=folder / "memory.json",
        )

    def serve(self) -> None:
        self.service.step()
        self.service.rest()

    def _handle(self, arguments: Any) -> Any:
        self.asked.append(dict(arguments))
        return self.answer

    def request(self, method: str, url: str, **more: Any) -> httpx.Response:
        container, _, blob = url.removeprefix("https://acc.blob.core.windows.net/").partition("/")
        store = self.stores[container]
        if self.refusal is not None:
            return httpx.Response(403, headers={"x-ms-error-code": self.refusal})
        if method == "PUT":
            store.write(blob, more["content"])
            return httpx.Response(201)
        if not (store.folder / blob).is_file():
            return httpx.Response(404, headers={"x-ms-error-code": "BlobNotFound"})
        if method == "DELETE":
            store.delete(blob)
            return httpx.Response(202)
        return httpx.Response(200, content=(store.folder / blob).read_bytes())


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(centres.time, "monotonic", lambda: wall.now)
    monkeypatch.setattr(centres.time, "sleep", wall.sleep)
    return wall


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wall: Wall) -> Account:
    account = Account(tmp_path)
    wall.meanwhile = lambda: void(account.serve())
    monkeypatch.setattr(people.httpx, "request", account.request)
    return account


def void(_: object) -> None:
    """A step says when to look next."""


def door() -> CentreByBlobs:
    questions, answers = (
        PeoplesContainer(account="acc", name=name, credential=SignedIn()) for name in ("questions", "answers")
    )
    return CentreByBlobs(questions, answers)


class TestThroughTheDoor:
    def test_a_question_has_its_answer(self, account: Account) -> None:
        assert door().ask(questions.ListJobs()) == {"jobs": []}
        assert account.stores["questions"].list() == []

    def test_it_is_asked_in_the_name_of_whoever_signed_in(self, account: Account) -> None:
        account.answer = {"id": "1"}
        door().ask(questions.Submit(job="heart", by="x"))
        assert account.asked[0]["by"] == "ada@example.org"

    def test_what_the_centre_refuses_is_refused(self, account: Account) -> None:
        with pytest.raises(QuestionError, match="restore is not answered here"):
            door().ask(questions.Restore(replace=True))

    def test_an_answer_cannot_speak_to_the_terminal(self, account: Account) -> None:
        account.answer = {"jobs": ["\x1b]0;owned\x07"]}
        assert "\x1b" not in door().ask(questions.ListJobs())["jobs"][0]

    @pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"exit": 0}', b'{"exit": "x", "error": "y"}'])
    def test_an_answer_that_is_none_is_said(self, account: Account, wall: Wall, content: bytes) -> None:
        def answer() -> None:
            for entry in account.stores["questions"].list():
                account.stores["answers"].write(entry.name, content)

        wall.meanwhile = answer
        with pytest.raises(FedError, match="the centre's answer is none"):
            door().ask(questions.ListJobs())

    def test_a_question_that_nobody_takes_is_taken_back(self, account: Account, wall: Wall) -> None:
        """The centre takes a blob away once it is done: one that is there may be what it is at."""
        wall.meanwhile = lambda: None
        with pytest.raises(FedError, match="taken back: nothing of it is done, unless the centre is at it"):
            door().ask(questions.Revoke(hospital="hungary"))
        assert account.stores["questions"].list() == []

    def test_one_that_was_taken_and_not_answered_may_be_done(self, account: Account, wall: Wall) -> None:
        store = account.stores["questions"]
        wall.meanwhile = lambda: void([store.delete(entry.name) for entry in store.list()])
        with pytest.raises(FedError, match="was taken, and may still be done"):
            door().ask(questions.Revoke(hospital="hungary"))


class TestWhichWay:
    OUTPUTS = stack_outputs("hungary", questions="/c/st/blobServices/default/containers/questions")

    def target(self) -> Any:
        return SimpleNamespace(name="dev", emulator=None, arm=lambda: None)

    @pytest.fixture(autouse=True)
    def door(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(CentreByBlobs, "at", classmethod(lambda cls, account: door()))

    def test_an_open_door_is_used(self, account: Account, capsys: pytest.CaptureFixture[str]) -> None:
        reached = centres.of(self.target(), self.OUTPUTS)
        assert isinstance(reached.centre, CentreByBlobs)
        assert reached.by() == "ada@example.org"
        assert "through its door" in capsys.readouterr().err

    @pytest.mark.parametrize("refusal", ["AuthorizationFailure", "AuthorizationPermissionMismatch"])
    def test_a_closed_one_is_said_and_run_command_used(
        self, account: Account, capsys: pytest.CaptureFixture[str], refusal: str
    ) -> None:
        account.refusal = refusal
        assert not isinstance(centres.of(self.target(), self.OUTPUTS).centre, CentreByBlobs)
        assert (
            f"by run command, for its door is closed here: acc/answers: {refusal}" in capsys.readouterr().err
        )

    def test_a_closed_one_is_the_end_where_run_command_gets_no_answer(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        account.refusal = "AuthorizationFailure"
        monkeypatch.setattr(centres.machines, "without_way_out", lambda stack: frozenset({"centre"}))
        with pytest.raises(RefusedError, match=r"(?s)centre has egress: none.*ask where its door is"):
            centres.of(self.target(), self.OUTPUTS)

    def test_a_stack_without_such_a_door_is_asked_by_run_command(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert not isinstance(centres.of(self.target(), stack_outputs("hungary")).centre, CentreByBlobs)
        assert capsys.readouterr().err == ""

    def test_an_account_is_enough(self, account: Account) -> None:
        assert isinstance(centres.reach("dev", On.AZURE, "acc").centre, CentreByBlobs)
        with pytest.raises(QuestionError, match="--on azure"):
            centres.reach("dev", On.EMULATOR, "acc")


class TestLogs:
    def test_the_centres_come_through_the_door(
        self, account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(CentreByBlobs, "at", classmethod(lambda cls, account: door()))
        account.answer = {"lines": ["new", "old"]}
        logs.show("dev", On.AZURE, "centre", "mlflow", follow=False, tail=2, account="acc")
        assert capsys.readouterr().out.endswith("}\nold\nnew\n")
        assert account.asked == [{"container": "mlflow", "tail": 2}]

    def test_a_hospitals_do_not(self) -> None:
        with pytest.raises(QuestionError, match="its own VM"):
            logs.show("dev", On.AZURE, "hungary", "fl-client", follow=False, account="acc")

    @pytest.fixture
    def of_fl_client(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """Show the log of a hospital's container from a VM whose `docker` is this script."""

        def show(script: str) -> None:
            docker = tmp_path / "docker"
            docker.write_text(f"#!/bin/sh\n{script}\n")
            docker.chmod(0o755)
            logs._on_azure(target, stack_outputs("hungary"), "hungary", "fl-client", logs._Wanted())

        def run(arm: Any, machine: str, command: list[str]) -> Any:
            path = f"{tmp_path}:/usr/bin:/bin"
            ended = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)
            return logs.machines.Ran(ended.returncode, ended.stdout, ended.stderr)

        target: Any = SimpleNamespace(name="dev", arm=lambda: None)
        monkeypatch.setattr(logs.machines, "run", run)
        return show

    def test_a_hospitals_have_what_went_to_either_stream(
        self, of_fl_client: Callable[[str], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        of_fl_client("echo $@; echo second >&2; echo third")
        assert capsys.readouterr().out == "logs --tail 40 fl-client\nsecond\nthird\n"

    def test_a_container_that_is_not_there_is_said(self, of_fl_client: Callable[[str], None]) -> None:
        with pytest.raises(QuestionError, match="hungary's VM has no log of fl-client: No such container"):
            of_fl_client("echo No such container: fl-client >&2; exit 1")
