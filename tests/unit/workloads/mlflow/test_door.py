"""MLflow is reached by whoever is signed in, for what their role is for, and by nobody else."""

import asyncio
import base64
import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from container_server.centre.sign_in import SignIn
from tracking import door, start
from tracking.accounts import Accounts
from tracking.rights import KEEPER, PERSON, SERVER, may

from clone import paths
from tests.unit.support.workloads_fakes import FakeClock
from tests.unit.support.workloads_world import config_of

NOW = 1_790_000_000.0
IMAGE = paths.REPOSITORY / "workloads" / "mlflow"
READS = "/api/2.0/mlflow/experiments/get"
WRITES = "/api/2.0/mlflow/runs/log-batch"
PROMOTES = "/api/2.0/mlflow/registered-models/alias"


def sha256(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class Centre:
    """The container server's accounts, and MLflow behind its door."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(NOW)
        self.config = config_of("centre", folder)
        self.signs = SignIn(self.config, self.clock)
        self.signs.step()
        self.file = self.config.sign_in / "accounts.json"
        self.seen: list[dict[str, Any]] = []
        self.door = door.Door(self._mlflow, Accounts(self.file), self.clock.now)

    async def _mlflow(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(dict(scope))
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})

    def ask(
        self, method: str, path: str, *authorization: str, kind: str = "http"
    ) -> tuple[int, dict[str, str]]:
        """Return the status and the headers of the answer."""
        sent: list[Any] = []
        headers = [(b"authorization", one.encode()) for one in authorization]
        scope = {"type": kind, "method": method, "path": path, "headers": headers}

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        asyncio.run(self.door(scope, receive, send))
        first = sent[0]
        found = {name.decode(): value.decode() for name, value in first.get("headers", [])}
        return first.get("status", first.get("code")), found

    def status(self, method: str, path: str, *authorization: str) -> int:
        return self.ask(method, path, *authorization)[0]

    def person(self, name: str = "anna", word: str = "secret") -> str:
        self.signs.sign_in({"name": name, "sha256": sha256(word)})
        return basic(name, word)

    @property
    def server(self) -> str:
        return "Bearer " + (self.config.tracking / "password").read_text()


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    return Centre(tmp_path)


class TestWhoIsSignedIn:
    @pytest.mark.parametrize(
        "path", ["/", READS, "/static-files/main.js", "/version", "/health/", "/graphql"]
    )
    def test_nothing_is_said_to_whoever_is_not(self, centre: Centre, path: str) -> None:
        status, headers = centre.ask("GET", path)
        assert (status, centre.seen) == (401, [])
        assert headers["www-authenticate"].startswith("Basic ")

    def test_the_health_check_needs_no_account_and_tells_nothing_else(self, centre: Centre) -> None:
        assert centre.status("GET", "/health") == 200
        assert centre.status("POST", "/health") == 401

    @pytest.mark.parametrize(
        "said",
        [
            basic("anna", "wrong"),
            basic("bert", "secret"),
            basic("", "secret"),
            basic("anna", ""),
            "Basic secret",
            "Basic \u00e4",
            "Bearer wrong",
            "Bearer ",
            "Digest secret",
            "",
        ],
    )
    def test_another_name_or_password_is_none(self, centre: Centre, said: str) -> None:
        centre.person()
        assert centre.status("GET", READS, said) == 401

    def test_a_request_that_names_two_accounts_has_none(self, centre: Centre) -> None:
        one = centre.person()
        assert centre.status("GET", READS, one) == 200
        assert centre.status("GET", READS, one, one) == 401

    def test_a_persons_time_ends(self, centre: Centre) -> None:
        one = centre.person()
        centre.clock.sleep(12 * 3600 - 1)
        assert centre.status("GET", READS, one) == 200
        centre.clock.sleep(1)
        assert centre.status("GET", READS, one) == 401

    def test_a_person_who_signs_in_again_has_one_password(self, centre: Centre) -> None:
        before, now = centre.person(word="old"), centre.person(word="new")
        assert [centre.status("GET", READS, one) for one in (before, now)] == [401, 200]

    @pytest.mark.parametrize("content", [None, "", "[]", '{"schema": "fed/accounts/2", "accounts": {}}'])
    def test_without_a_file_of_accounts_nobody_is(self, centre: Centre, content: str | None) -> None:
        one = centre.person()
        assert centre.status("GET", READS, one) == 200
        centre.file.unlink()
        if content is not None:
            centre.file.write_text(content)
        assert centre.status("GET", READS, one) == 401

    def test_an_account_of_an_unknown_role_may_do_nothing(self, centre: Centre) -> None:
        row = {"role": "owner", "sha256": sha256("secret"), "until": None}
        centre.file.write_text(json.dumps({"schema": "fed/accounts/1", "accounts": {"anna": row}}))
        assert centre.status("GET", READS, basic("anna", "secret")) == 403

    def test_mlflow_never_sees_a_password(self, centre: Centre) -> None:
        centre.ask("GET", READS, centre.person())
        assert centre.seen[0]["headers"] == []

    def test_no_other_kind_of_connection_is_let_through(self, centre: Centre) -> None:
        assert centre.ask("GET", READS, centre.person(), kind="websocket") == (1008, {})
        assert centre.seen == []


class TestRights:
    def test_a_person_reads_and_searches_and_the_platform_writes(self, centre: Centre) -> None:
        one = centre.person()
        assert centre.status("GET", READS, one) == 200
        assert centre.status("POST", "/ajax-api/2.0/mlflow/runs/search", one) == 200
        assert centre.status("POST", WRITES, one) == 403
        assert centre.status("POST", WRITES, centre.server) == 200

    @pytest.mark.parametrize("role", [PERSON, SERVER])
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", PROMOTES),
            ("DELETE", PROMOTES),
            ("POST", "/api/2.0/mlflow/model-versions/set-tag"),
            ("DELETE", "/api/2.0/mlflow/registered-models/delete"),
            ("POST", "/api/2.0/mlflow/runs/delete"),
        ],
    )
    def test_only_the_container_server_says_which_version_people_use(
        self, role: str, method: str, path: str
    ) -> None:
        assert not may(role, method, path)

    def test_the_container_server_may_do_what_it_does(self, centre: Centre) -> None:
        own = f"Bearer {centre.signs.password}"
        assert centre.status("POST", PROMOTES, own) == 200
        assert centre.status("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/a/card.md", own) == 200
        assert centre.status("POST", WRITES, own) == 403

    @pytest.mark.parametrize("role", [PERSON, SERVER, KEEPER])
    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
    @pytest.mark.parametrize(
        "path",
        [
            "/ajax-api/3.0/mlflow/assistant/message",
            "/ajax-api/3.0/mlflow/assistant/config",
            "/ajax-api/2.0/mlflow/gateway-proxy",
            "/gateway/x/mlflow/invocations",
            "/api/2.0/mlflow/webhooks",
            "/api/3.0/mlflow/workspaces",
            "/ajax-api/3.0/jobs/",
            "/v1/traces",
            "/api/2.0/mlflow//runs/search",
        ],
    )
    def test_nobody_reaches_what_starts_programs_or_calls_out(
        self, role: str, method: str, path: str
    ) -> None:
        assert not may(role, method, path)

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_a_persons_posts_are_searches(self, method: str) -> None:
        for path in (
            "experiments/create",
            "runs/create",
            "logged-models",
            "registered-models/create",
            "traces",
        ):
            assert not may(PERSON, method, f"/api/2.0/mlflow/{path}")
            assert not may(PERSON, method, f"/ajax-api/2.0/mlflow/{path}")
        assert not may(PERSON, method, "/api/2.0/mlflow-artifacts/artifacts/1/a/model/model.json")
        assert may(PERSON, "POST", "/api/2.0/mlflow/experiments/search")

    def test_they_were_read_off_the_version_that_runs(self) -> None:
        """Another version has other routes: read them again, then change this line."""
        assert "\nmlflow==3.17.2\n" in (IMAGE / "requirements.in").read_text()


class TestServed:
    def test_mlflow_serves_the_door_and_not_its_own_app(self) -> None:
        words = start.command({"FED_ARTIFACTS": "x"})
        served = words[words.index("--app-name") + 1]
        (found,) = [
            point
            for one in metadata.distributions(path=[str(IMAGE)])
            for point in one.entry_points
            if point.group == "mlflow.app"
        ]
        assert (found.name, found.value) == (served, "tracking.door:app")
        assert callable(getattr(door, found.value.partition(":")[2]))

    def test_the_image_has_it(self) -> None:
        (folder,) = IMAGE.glob("*.dist-info")
        assert f"COPY mlflow/{folder.name} /app/{folder.name}\n" in (IMAGE / "Dockerfile").read_text()

    def test_the_file_of_accounts_is_where_the_container_server_writes_it(self) -> None:
        written = config_of("centre", Path("/var/lib/fed")).sign_in / "accounts.json"
        assert written == door.FILE
