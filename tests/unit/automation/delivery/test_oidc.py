"""A job signs in with GitHub's token and nothing else; the token stays fresh; a cancelled job reaches its
command.
"""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from automation.delivery import oidc
from automation.ui.outcome import FedError
from clone import paths
from tests.unit.support.delivery_stub import Answers, Asked, Stub, serving

ROOT = paths.REPOSITORY


@pytest.fixture
def github_tokens() -> Iterator[Stub]:
    numbers = count(1)

    def answer(asked: Asked) -> Answers:
        if asked.headers.get("authorization") != "Bearer request" or asked.query["audience"] != oidc.AUDIENCE:
            return Answers(status=401)
        return Answers(body={"value": f"token-{next(numbers)}"})

    with serving(answer) as stub:
        yield stub


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, github_tokens: Stub) -> Path:
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "RUNNER_TEMP": str(tmp_path),
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{github_tokens.url}/token?v=1",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request",
        "AZURE_CLIENT_ID": "client",
        "AZURE_TENANT_ID": "tenant",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def test_the_command_finds_the_identity_where_each_client_looks(job: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    code = oidc.run(
        python(f"""
        import os, stat
        file = os.environ["AZURE_FEDERATED_TOKEN_FILE"]
        names = "ARM_USE_OIDC ARM_CLIENT_ID ARM_TENANT_ID AZURE_CLIENT_ID AZURE_TOKEN_CREDENTIALS"
        words = [os.environ[name] for name in names.split()]
        words += [open(file).read(), oct(stat.S_IMODE(os.stat(file).st_mode))]
        open({str(seen)!r}, "w").write(" ".join(words))
        raise SystemExit(7)
        """)
    )
    assert code == 7
    assert seen.read_text() == "true client tenant client WorkloadIdentityCredential token-1 0o600"


def test_nothing_of_the_token_is_left_behind(job: Path) -> None:
    oidc.run(python("pass"))
    assert list(job.iterdir()) == []


def test_the_token_is_kept_fresh_while_the_command_runs(job: Path) -> None:
    code = oidc.run(
        python("""
        import os, time
        until = time.monotonic() + 10
        while open(os.environ["AZURE_FEDERATED_TOKEN_FILE"]).read() in {"token-1", "token-2"}:
            assert time.monotonic() < until
            time.sleep(0.01)
        """),
        refresh_seconds=0.02,
    )
    assert code == 0


def test_a_job_without_a_token_says_which_permission_is_missing(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL")
    with pytest.raises(FedError, match=r"id-token: write.*fork"):
        oidc.run(python("raise SystemExit('must not run')"))


def test_a_job_without_an_identity_says_where_it_is_set(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_CLIENT_ID")
    with pytest.raises(FedError, match=r"AZURE_CLIENT_ID not set.*fed bootstrap"):
        oidc.run(python("raise SystemExit('must not run')"))


def test_a_refusal_of_githubs_stops_before_the_command(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong")
    with pytest.raises(FedError, match=r"401"):
        oidc.run(python("raise SystemExit('must not run')"))


@pytest.mark.parametrize("inside", ["\r", "\n", " ", "\u00e9"])
def test_a_request_token_that_cannot_be_sent_is_refused_and_not_shown(
    job: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", f"hidden{inside}hidden")
    with pytest.raises(FedError, match="ACTIONS_ID_TOKEN_REQUEST_TOKEN holds a character") as refusal:
        oidc.run(python("raise SystemExit('must not run')"))
    assert "hidden" not in str(refusal.value)


def test_what_stands_around_the_request_token_is_not_sent(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request\r\n")
    assert oidc.fetch(os.environ) == "token-1"


@pytest.mark.parametrize(
    "answers",
    [
        Answers(body=["x"]),
        Answers(body="x"),
        Answers(body={"value": None}),
        Answers(body={"value": ""}),
        Answers(body={"value": "two\nlines"}),
        Answers(body={}),
        Answers(raw=b"<html>"),
        Answers(raw=b""),
    ],
    ids=str,
)
def test_an_answer_without_a_token_stops_before_the_command(
    job: Path, monkeypatch: pytest.MonkeyPatch, answers: Answers
) -> None:
    with serving(lambda _: answers) as stub:
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", stub.url)
        with pytest.raises(FedError, match=r"no token for this job"):
            oidc.run(python("raise SystemExit('must not run')"))


@pytest.mark.parametrize("url", ["http://[x", "no address", "http://a\x01b"])
def test_an_address_that_is_none_is_told(job: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", url)
    with pytest.raises(FedError, match=r"no token for this job"):
        oidc.run(python("raise SystemExit('must not run')"))


def test_a_folder_for_the_token_that_is_not_there_is_named(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_TEMP", str(job / "nowhere"))
    with pytest.raises(FedError, match=r"nowhere \(No such file or directory\).*RUNNER_TEMP"):
        oidc.run(python("raise SystemExit('must not run')"))


def test_on_a_laptop_the_command_runs_under_the_users_own_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert oidc.run(python("import os; raise SystemExit('ARM_USE_OIDC' in os.environ)")) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job_reaches_the_command_once_and_waits_for_it(
    job: Path, tmp_path: Path, number: signal.Signals
) -> None:
    seen, ready = tmp_path / "seen", tmp_path / "ready"
    inner = textwrap.dedent(f"""
        import signal, time
        got = []
        signal.signal({int(number)}, lambda *_: got.append(1))
        open({str(ready)!r}, "w").close()
        while not got:
            time.sleep(0.01)
        time.sleep(0.2)
        open({str(seen)!r}, "w").write(str(len(got)))
        raise SystemExit(5)
        """)
    command = [sys.executable, "-c", inner]
    outer = f"from automation.delivery import oidc; raise SystemExit(oidc.run({command!r}))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", outer], cwd=ROOT, env=environment)
    until = time.monotonic() + 20
    while not ready.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(timeout=20) == 5
    assert seen.read_text() == "1"
