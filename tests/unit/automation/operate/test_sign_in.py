"""A person is signed in to MLflow with a password that nobody but them is told."""

import hashlib
from typing import Any

import httpx
import pytest

from automation.operate import sign_in
from automation.operate.sign_in import SignedIn
from automation.ui.outcome import FedError
from workloads.container_server.container_server.questions import SignIn

ACCOUNT = SignedIn(name="anna", until=0.0, password="secret")  # noqa: S106 of a test
AT = "http://127.0.0.1:5000"


class Centre:
    asked: SignIn

    def ask(self, question: SignIn) -> dict[str, Any]:
        self.asked = question
        return {"name": question.name, "until": 43_200}


def test_the_centre_is_told_the_checksum_of_a_password_that_is_another_each_time() -> None:
    centre = Centre()
    first, second = (sign_in.sign_in(centre, "anna") for _ in range(2))  # type: ignore[arg-type]
    assert first.password != second.password and len(first.password) >= 40
    assert centre.asked.words() == (
        "sign-in",
        "anna",
        "--sha256",
        hashlib.sha256(second.password.encode()).hexdigest(),
    )
    assert second.password not in repr(second)


@pytest.mark.parametrize(
    ("person", "name"),
    [
        ("root (on this machine)", "root"),
        ("Anna.Meier@Centre.example", "anna.meier@centre.example"),
        ("Zo\u00eb", "zo-"),
        ("(x)", "x-"),
        ("", "person"),
        ("...", "person"),
    ],
)
def test_an_account_is_named_after_its_person(person: str, name: str) -> None:
    assert sign_in.account_name(person) == name


class TestPage:
    def answered(self, monkeypatch: pytest.MonkeyPatch, status: int, body: Any) -> None:
        def get(address: str, **arguments: Any) -> httpx.Response:
            assert arguments["auth"] == ("anna", "secret")
            return httpx.Response(status, json=body, request=httpx.Request("GET", address))

        monkeypatch.setattr(sign_in.httpx, "get", get)

    def test_it_is_that_of_the_runs_of_what_changed_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answered(monkeypatch, 200, {"experiments": [{"experiment_id": "7"}]})
        page = f"{AT}/#/experiments/7/runs?workflowType=machine_learning"
        assert sign_in.newest_runs(AT, ACCOUNT) == page

    def test_without_a_run_it_is_the_list_of_experiments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answered(monkeypatch, 200, {})
        assert sign_in.newest_runs(AT, ACCOUNT) == f"{AT}/{sign_in.LIST}"

    def test_an_account_that_mlflow_does_not_take_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answered(monkeypatch, 401, {})
        with pytest.raises(FedError, match=r"does not answer anna: .*401"):
            sign_in.newest_runs(AT, ACCOUNT)
