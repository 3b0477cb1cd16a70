"""Docker gets a token of an Entra identity for Azure registries, and nothing for any other."""

import io
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken

from automation.delivery import docker_credentials as helper


class Credential:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(f"entra for {' '.join(scopes)}", 0)


def test_a_token_is_exchanged_at_the_registry_that_docker_asks_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}

    def post(url: str, data: dict[str, str], **_: Any) -> httpx.Response:
        asked.update(url=url, data=data)
        return httpx.Response(200, json={"refresh_token": "three hours"}, request=httpx.Request("POST", url))

    monkeypatch.setattr(httpx, "post", post)
    assert helper.main(["get"], io.StringIO("crfeddevabc.azurecr.io\n"), Credential()) == 0
    assert asked["url"] == "https://crfeddevabc.azurecr.io/oauth2/exchange"
    assert "entra for https://containerregistry.azure.net/.default" in asked["data"].values()
    assert json.loads(capsys.readouterr().out) == {
        "ServerURL": "crfeddevabc.azurecr.io",
        "Username": "00000000-0000-0000-0000-000000000000",
        "Secret": "three hours",
    }


@pytest.mark.parametrize("server", ["docker.io", "azurecr.io.example.org", "https://ghcr.io/v2/", ""])
def test_no_other_server_ever_sees_the_token(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(httpx, "post", lambda *_, **__: pytest.fail("a token was sent"))
    assert helper.main(["get"], io.StringIO(server), Credential()) == 1
    assert capsys.readouterr().out.strip() == helper.NOT_FOUND


def test_a_registry_that_does_not_know_who_pushes_yet_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [401, 403, 200]
    pauses: list[float] = []

    def post(url: str, **_: Any) -> httpx.Response:
        token = {"refresh_token": "three hours"}
        return httpx.Response(answers.pop(0), json=token, request=httpx.Request("POST", url))

    monkeypatch.setattr(httpx, "post", post)
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert helper.main(["get"], io.StringIO("cr.azurecr.io"), Credential()) == 0
    assert pauses == [helper.PAUSE_SECONDS] * 2
    assert '"three hours"' in capsys.readouterr().out


def test_a_refusal_of_the_registry_that_lasts_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(helper, "PATIENCE_SECONDS", -1.0)

    def post(url: str, **_: Any) -> httpx.Response:
        return httpx.Response(401, request=httpx.Request("POST", url))

    monkeypatch.setattr(httpx, "post", post)
    assert helper.main(["get"], io.StringIO("cr.azurecr.io"), Credential()) == 1
    assert "401" in capsys.readouterr().err


def test_docker_finds_the_helper_by_its_configuration(tmp_path: Path) -> None:
    environment = helper.install(tmp_path)
    store = json.loads((tmp_path / "config.json").read_text())["credsStore"]
    asked = subprocess.run(
        [f"docker-credential-{store}", "list"], env=environment, capture_output=True, text=True, check=True
    )
    assert asked.stdout == "{}\n"
