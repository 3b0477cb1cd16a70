"""azure-cli of today, unchanged, against the emulator: what people type on Azure works here.

It runs in an environment of its own (azure_cli/requirements.txt), as Checkov does.
"""

import hashlib
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from clone import paths
from emulator import azure_cli
from emulator.arm import tokens
from emulator.arm.latency import Latency
from tests.emulator import test_arm_clients as clients
from tests.emulator.arm_client import GROUP, Arm
from tests.emulator.arm_server import KEY, SUBSCRIPTION_ID, Server

LOCK = Path(__file__).parent / "azure_cli" / "requirements.txt"
PATIENCE = 300
"""Seconds for one command, or for making the environment."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, Latency(0.0))
    arm = Arm(running.plane)
    arm.put(GROUP, {"location": "westeurope", "tags": {"party": "centre"}})
    clients.deploy(arm)
    yield running
    running.close()


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> dict[str, str]:
    """The variables that `fed env` gives a shell."""
    folder = tmp_path / "azure-cli"
    folder.mkdir()
    return azure_cli.prepare(
        folder, arm=server.url, authority=server.authority, key=KEY, subscriptions=[SUBSCRIPTION_ID]
    )


def installed() -> Path:
    """Return the `az` of the pinned environment, made on first use; its stamp is written last."""
    folder = paths.cache() / "azure-cli" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    stamp = folder / "complete"
    if not stamp.exists():
        uv = str(Path(sys.executable).parent / "uv")
        target = ("--python", str(folder / "bin" / "python"))
        for words in (
            ("venv", "--quiet", "--clear", "--python", sys.executable, str(folder)),
            ("pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", *target, str(LOCK)),
        ):
            subprocess.run([uv, *words], check=True, timeout=PATIENCE)
        stamp.touch()
    return folder / "bin" / "az"


def az(shell: dict[str, str], *words: str) -> Any:
    """Run a command and return its answer; a failure shows what azure-cli said."""
    dropped = {"PYTHONPATH", "VIRTUAL_ENV"}
    done = subprocess.run(
        [str(installed()), *words, "--output", "json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={name: value for name, value in os.environ.items() if name not in dropped} | shell,
    )
    assert done.returncode == 0, f"az {' '.join(words)}: {done.stderr[-2000:]}"
    return json.loads(done.stdout) if done.stdout.strip() else None


def names(found: Any) -> list[str]:
    return sorted(one["name"] for one in found)


def test_az_reads_and_changes_a_deployment(shell: dict[str, str]) -> None:
    assert az(shell, "account", "show")["id"] == SUBSCRIPTION_ID
    assert names(az(shell, "group", "list", "--tag", "party=centre")) == ["rg"]
    assert names(az(shell, "network", "vnet", "list", "-g", "rg")) == ["hub", "spoke"]
    rules = az(shell, "network", "nsg", "rule", "list", "-g", "rg", "--nsg-name", "nsg")
    assert names(rules) == ["fl"]
    peering = ("network", "vnet", "peering")
    (half,) = az(shell, *peering, "list", "-g", "rg", "--vnet-name", "hub")
    assert half["peeringState"] == "Connected"
    assert names(az(shell, "storage", "account", "list")) == ["sthub"]
    made = az(shell, "storage", "account", "create", "-g", "rg", "-n", "stnew", "--sku", "Standard_LRS")
    assert made["provisioningState"] == "Succeeded"
    az(shell, "disk", "create", "-g", "rg", "-n", "spare", "--size-gb", "4")
    assert az(shell, "vm", "show", "-d", "-g", "rg", "-n", "vm")["powerState"] == "VM running"
    az(shell, "vm", "deallocate", "-g", "rg", "-n", "vm")
    assert az(shell, "vm", "list", "-d")[0]["powerState"] == "VM deallocated"
    az(shell, *peering, "delete", "-g", "rg", "--vnet-name", "spoke", "-n", "hub")
    (half,) = az(shell, *peering, "list", "-g", "rg", "--vnet-name", "hub")
    assert half["peeringState"] == "Disconnected"


class TestSignIn:
    def ask(self, server: Server, path: str, **more: Any) -> httpx.Response:
        context = ssl.create_default_context(cafile=str(server.authority))
        with httpx.Client(verify=context, trust_env=False) as client:
            return client.get(f"{server.url}{path}", **more)

    def test_the_endpoints_of_the_cloud_need_no_token(self, server: Server) -> None:
        for path in ("/metadata/endpoints", "//metadata/endpoints"):
            found = self.ask(server, f"{path}?api-version=2019-05-01")
            assert found.json()["resourceManager"] == server.url

    def test_a_token_is_for_who_knows_the_secret(self, server: Server) -> None:
        path = "/identity/token?resource=https://management.azure.com/&api-version=2019-08-01"
        right = {"x-identity-header": tokens.identity_secret(KEY)}
        bearer = self.ask(server, path, headers=right).json()["access_token"]
        listed = self.ask(
            server,
            "/subscriptions?api-version=2022-12-01",
            headers={"authorization": f"Bearer {bearer}"},
        )
        assert listed.status_code == 200
        for wrong in ({}, {"x-identity-header": "guess"}):
            assert self.ask(server, path, headers=wrong).status_code == 401
        assert self.ask(server, "/subscriptions?api-version=2022-12-01").status_code == 401


def test_the_shells_own_authorities_stay_trusted(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = tmp_path / "company.pem"
    company.write_text("# the company's\n")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(company))
    folder = tmp_path / "cli"
    folder.mkdir()
    told = azure_cli.prepare(
        folder, arm=server.url, authority=server.authority, key=KEY, subscriptions=[SUBSCRIPTION_ID]
    )
    bundle = Path(told["REQUESTS_CA_BUNDLE"]).read_text()
    assert bundle == company.read_text() + server.authority.read_text()
