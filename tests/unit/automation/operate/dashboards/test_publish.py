"""Publishing, rehearsed with the real fabric-cicd: what would be sent to Power BI is recorded below it.

Power BI itself cannot be reached here; the answers are those of its documentation.
"""

import base64
import json
import re
import shutil
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import requests
from azure.core.credentials import AccessToken

from automation.commands import dashboards
from automation.operate.dashboards import publish
from automation.operate.dashboards.publish import Publication, publications
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError
from dashboards.powerbi import project
from federation.settings import Settings, load
from federation.stack_file import load_stack
from tests.unit.support.program_graph import ROOT, stack_config

STORAGE = "https://stfeddata.blob.core.windows.net/"
GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
STACKS = ("dev", "mvp", "prod")


class Credential:
    """Whoever publishes."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken("a-token", int(time.time()) + 3600)


@dataclass
class PowerBi:
    """Answers as Power BI would, and keeps what it was sent: (method, address, body)."""

    connections: dict[str, str] = field(default_factory=dict)
    refuses: str = ""
    sent: list[tuple[str, str, Any]] = field(default_factory=list)
    items: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    bound: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, url: str, headers: Any, json: Any = None, **_: Any) -> requests.Response:
        assert headers["Authorization"] == "Bearer a-token"
        self.sent.append((method, url, json))
        status, body = self._answer(method, url, json)
        answer = requests.Response()
        answer.status_code, answer.url = status, url
        answer.headers["Content-Type"] = "application/json"
        answer._content = globals()["json"].dumps(body).encode()
        return answer

    def web(self, method: str, url: str, **given: Any) -> httpx.Response:
        self.sent.append((method, url, given["json"]))
        status = 403 if self.refuses and self.refuses in url else 202
        return httpx.Response(status, text="", request=httpx.Request(method, url))

    def _answer(self, method: str, url: str, body: Any) -> tuple[int, Any]:
        if self.refuses and self.refuses in url:
            return 403, {"errorCode": "InsufficientPrivileges", "message": "no way"}
        workspace = (re.findall(rf"/workspaces/({GUID})", url) or [""])[0]
        mine = self.items.setdefault(workspace, [])
        match method, url.rpartition("/")[2].partition("?")[0]:
            case "GET", last if last == workspace:
                return 200, {"id": workspace, "displayName": "A workspace"}
            case "GET", "folders":
                return 200, {"value": []}
            case "GET", "items":
                return 200, {"value": mine}
            case "POST", "items":
                made = {
                    "id": f"{len(self.sent):08x}-0000-4000-8000-000000000000",
                    "type": body["type"],
                    "displayName": body["displayName"],
                    "description": "",
                }
                mine.append(made)
                return 201, made
            case "POST", "updateDefinition":
                return 200, {}
            case "GET", "connections" if not workspace:
                details = {"type": "AzureBlobs", "path": STORAGE}
                kind = "VirtualNetworkGateway"
                return 200, {
                    "value": [
                        {"id": one, "connectivityType": kind, "connectionDetails": details}
                        for one in self.connections
                    ]
                }
            case "GET", "connections":
                model = url.split("/")[-2]
                return 200, {"value": [{"id": self.bound.get(model), "connectionDetails": {}}]}
            case "POST", "bindConnection":
                self.bound[url.split("/")[-2]] = body["connectionBinding"]["id"]
                return 200, {}
        raise AssertionError(f"{method} {url} is not rehearsed")

    def texts(self, publication: Publication, kind: str) -> dict[str, str]:
        """Path -> text of an item that was sent."""
        (body,) = [
            body
            for method, url, body in self.sent
            if method == "POST" and url.endswith(f"{publication.dashboard.workspace}/items")
            and body["type"] == kind
        ]  # fmt: skip
        return {
            part["path"]: base64.b64decode(part["payload"]).decode() for part in body["definition"]["parts"]
        }


def settings(stack: str) -> Settings:
    """The stack's own settings; dev, which publishes nothing, with dashboards."""
    if stack != "dev":
        return load_stack(ROOT, stack)
    config = stack_config("dev")
    for number, entry in enumerate([config["fed:centre"], *config["fed:hospitals"].values()]):
        entry["dashboard"] = {
            kind: f"{digit}1000000-0000-4000-8000-{number:012d}"
            for digit, kind in ((1, "workspace"), (2, "readers"), (3, "connection"))
        }
    return load("dev", config)


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def power_bi(monkeypatch: pytest.MonkeyPatch) -> PowerBi:
    found = PowerBi()
    monkeypatch.setattr(requests, "request", found.request)
    monkeypatch.setattr("automation.operate.dashboards.publish.httpx.request", found.web)
    monkeypatch.setattr("fabric_cicd._common._fabric_endpoint.time.sleep", lambda seconds: None)
    for name in STACKS:
        for one in publications(settings(name), STORAGE):
            found.connections[str(one.dashboard.connection)] = one.party
    return found


def test_each_audience_gets_its_own_dashboard_in_its_own_workspace(stack: str, power_bi: PowerBi) -> None:
    found = publications(settings(stack), STORAGE)
    for one in found:
        publish.publish(one, stack, Credential())

    assert [one.party for one in found] == ["centre", "cleveland", "hungary", "va-long-beach"]
    assert len({one.dashboard.workspace for one in found}) == len(found)
    for one in found:
        kinds = [(item["type"], item["displayName"]) for item in power_bi.items[one.dashboard.workspace]]
        name = "Centre dashboard" if one.party == "centre" else "Hospital dashboard"
        assert kinds == [("SemanticModel", name), ("Report", name)]


def test_a_model_reads_its_partys_container_with_its_partys_connection(stack: str, power_bi: PowerBi) -> None:
    for one in publications(settings(stack), STORAGE):
        publish.publish(one, stack, Credential())
        parts = power_bi.texts(one, "SemanticModel")
        values = dict(
            re.findall(r'^expression (\w+) = "([^"]*)"', parts["definition/expressions.tmdl"], re.M)
        )
        assert values == {
            "StorageAccountUrl": STORAGE.rstrip("/"),
            "ContainerName": "server" if one.party == "centre" else f"client-{one.party}",
            "Party": one.party,
        }
        assert not any("<" in text for path, text in parts.items() if "expressions" in path)
        model = power_bi.items[one.dashboard.workspace][0]["id"]
        assert power_bi.bound[model] == one.dashboard.connection
        assert power_bi.connections[power_bi.bound[model]] == one.party


def test_a_report_shows_the_model_of_its_own_workspace(stack: str, power_bi: PowerBi) -> None:
    for one in publications(settings(stack), STORAGE):
        publish.publish(one, stack, Credential())
        reference = json.loads(power_bi.texts(one, "Report")["definition.pbir"])["datasetReference"]
        model, _ = power_bi.items[one.dashboard.workspace]
        assert reference["byConnection"]["pbiModelDatabaseName"] == model["id"]
        assert "byPath" not in reference


def test_everything_that_is_committed_is_sent(power_bi: PowerBi) -> None:
    (one,) = publications(settings("prod"), STORAGE)[:1]
    publish.publish(one, "prod", Credential())
    for kind in publish.ITEMS:
        prefix = f"Centre.{kind}/"
        committed = {path.removeprefix(prefix) for path in project.files("centre") if path.startswith(prefix)}
        assert set(power_bi.texts(one, kind)) == committed


def test_what_is_there_already_is_updated(power_bi: PowerBi) -> None:
    (one,) = publications(settings("mvp"), STORAGE)[:1]
    publish.publish(one, "mvp", Credential())
    power_bi.sent.clear()
    publish.publish(one, "mvp", Credential())

    changes = [url.rpartition("/")[2] for method, url, _ in power_bi.sent if method == "POST"]
    assert changes == [
        "updateDefinition?updateMetadata=True",
        "bindConnection",
        "updateDefinition?updateMetadata=True",
        "refreshes",
    ]
    assert len(power_bi.items[one.dashboard.workspace]) == 2


def test_it_is_refreshed_now_and_every_day(power_bi: PowerBi) -> None:
    (one,) = publications(settings("prod"), STORAGE)[:1]
    credential = Credential()
    publish.publish(one, "prod", credential)

    model = power_bi.items[one.dashboard.workspace][0]["id"]
    dataset = f"https://api.powerbi.com/v1.0/myorg/groups/{one.dashboard.workspace}/datasets/{model}"
    (schedule, now) = power_bi.sent[-2:]
    assert (schedule[0], schedule[1]) == ("PATCH", f"{dataset}/refreshSchedule")
    assert schedule[2]["value"]["enabled"] and len(schedule[2]["value"]["days"]) == 7
    assert (now[0], now[1]) == ("POST", f"{dataset}/refreshes")
    assert "https://analysis.windows.net/powerbi/api/.default" in credential.scopes


def test_without_a_connection_it_is_published_and_waits(power_bi: PowerBi) -> None:
    config = stack_config("mvp")
    del config["fed:centre"]["dashboard"]["connection"]
    (one,) = publications(load("mvp", config), STORAGE)[:1]
    publish.publish(one, "mvp", Credential())

    assert len(power_bi.items[one.dashboard.workspace]) == 2
    assert not power_bi.bound
    assert not any("refresh" in url for _, url, _ in power_bi.sent)


class TestWhatGoesWrongIsSaid:
    @pytest.mark.parametrize(
        ("where", "said"),
        [("/items", "calling GET on .*/items'. Message: no way"), ("/refreshes", "POST .*/refreshes: 403")],
    )
    def test_a_refusal(self, power_bi: PowerBi, where: str, said: str) -> None:
        power_bi.refuses = where
        (one,) = publications(settings("prod"), STORAGE)[:1]
        with pytest.raises(FedError, match=f"(?s)centre's dashboard .*{one.dashboard.workspace}.*{said}"):
            publish.publish(one, "prod", Credential())

    def test_a_connection_that_nobody_may_use(self, power_bi: PowerBi) -> None:
        """fabric-cicd only logs this, and the dashboard would stay empty."""
        (one,) = publications(settings("prod"), STORAGE)[:1]
        del power_bi.connections[str(one.dashboard.connection)]
        with pytest.raises(FedError, match=f"'{one.dashboard.connection}' not found"):
            publish.publish(one, "prod", Credential())

    def test_a_binding_that_did_not_happen(self, power_bi: PowerBi, monkeypatch: pytest.MonkeyPatch) -> None:
        (one,) = publications(settings("prod"), STORAGE)[:1]
        monkeypatch.setattr(power_bi, "bound", _Forgetful())
        with pytest.raises(FedError, match="is bound to None and not to"):
            publish.publish(one, "prod", Credential())

    def test_an_item_of_the_wrong_kind(
        self, power_bi: PowerBi, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        """fabric-cicd passes over what it does not know without a word."""
        shutil.copytree(project.folder("centre"), tmp_path / "centre")
        platform = tmp_path / "centre/Centre.Report/.platform"
        platform.write_text(platform.read_text().replace('"Report"', '"Notebook"'))
        monkeypatch.setattr(
            "automation.operate.dashboards.publish.project.folder", lambda audience: tmp_path / audience
        )
        (one,) = publications(settings("prod"), STORAGE)[:1]
        with pytest.raises(FedError, match="no Report was published"):
            publish.publish(one, "prod", Credential())


class _Forgetful(dict[str, str]):
    def __setitem__(self, key: str, value: str) -> None:
        pass


def test_a_hospital_that_has_left_gets_nothing() -> None:
    config = stack_config("prod")
    config["fed:hospitals"]["hungary"]["retired"] = "left"
    assert "hungary" not in [one.party for one in publications(load("prod", config), STORAGE)]


def test_dev_publishes_nothing_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    dashboards.publish("dev", on=On.AZURE)
    assert capsys.readouterr().out.startswith("dev publishes no dashboard")


def test_the_emulator_has_no_power_bi() -> None:
    with pytest.raises(QuestionError, match="fed dashboards --open"):
        dashboards.publish("prod", on=On.EMULATOR)
