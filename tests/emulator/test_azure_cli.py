"""azure-cli of today, unchanged, against the emulator: what people type on Azure works here.

It runs in an environment of its own (azure_cli/requirements.txt), as Checkov does, and in one process for all
commands of a test (azure_cli/many.py).
"""

import hashlib
import json
import os
import re
import shlex
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
from tests.emulator.arm import test_clients as clients
from tests.emulator.arm_client import GROUP, SUBSCRIPTION, Arm
from tests.emulator.arm_server import KEY, SUBSCRIPTION_ID, Server

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent / "azure_cli"
LOCK = HERE / "requirements.txt"
PATIENCE = 300
"""Seconds for making the environment."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, Latency(0.0))
    arm = Arm(running.plane)
    arm.put(GROUP, {"location": "westeurope", "tags": {"party": "centre"}})
    clients.deploy(arm)
    yield running
    running.close()


@pytest.fixture
def az(server: Server, tmp_path: Path) -> "Iterator[Az]":
    """azure-cli, in a shell with the variables that `fed env` gives."""
    folder = tmp_path / "azure-cli"
    folder.mkdir()
    shell = azure_cli.prepare(
        folder, arm=server.url, authority=server.authority, key=KEY, subscriptions=[SUBSCRIPTION_ID]
    )
    running = Az(shell)
    yield running
    running.close()


def installed() -> Path:
    """Return the Python of the pinned environment, made on first use; its stamp is written last."""
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
    return folder / "bin" / "python"


class Az:
    """A process of azure-cli that runs one command after the other."""

    def __init__(self, shell: dict[str, str]) -> None:
        dropped = {"PYTHONPATH", "VIRTUAL_ENV"}
        self._process = subprocess.Popen(
            [str(installed()), str(HERE / "many.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if name not in dropped} | shell,
        )

    def run(self, command: str) -> dict[str, Any]:
        """Return status, answer and what was said of a command as it is typed after `az`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([*shlex.split(command), "--output", "json"]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def __call__(self, command: str) -> Any:
        """Return what a command that succeeds answers."""
        done = self.run(command)
        assert done["status"] == 0, f"az {command}: {done['said'][-2000:]}"
        return json.loads(done["answer"]) if done["answer"].strip() else None

    def close(self) -> None:
        self._process.communicate(timeout=PATIENCE)


def names(found: Any) -> list[str]:
    return sorted(one["name"] for one in found)


def test_az_reads_and_changes_a_deployment(az: Az) -> None:
    assert az("account show")["id"] == SUBSCRIPTION_ID
    assert names(az("group list --tag party=centre")) == ["rg"]
    assert names(az("network nsg rule list -g rg --nsg-name nsg")) == ["fl"]
    (half,) = az("network vnet peering list -g rg --vnet-name hub")
    assert half["peeringState"] == "Connected"
    routes = az("network nic show-effective-route-table -g rg -n nic")["value"]
    assert "VNetPeering" in {one["nextHopType"] for one in routes}
    made = az("storage account create -g rg -n stnew --sku Standard_LRS")
    assert made["provisioningState"] == "Succeeded"
    az("vm deallocate -g rg -n vm")
    assert az("vm list -d")[0]["powerState"] == "VM deallocated"
    az("network vnet peering delete -g rg --vnet-name spoke -n hub")
    (half,) = az("network vnet peering list -g rg --vnet-name hub")
    assert half["peeringState"] == "Disconnected"
    last = az("monitor activity-log list -g rg")[0]
    assert last["operationName"]["value"] == "Microsoft.Network/virtualNetworks/virtualNetworkPeerings/delete"
    refused = az.run("group delete -n rg-none --yes")
    assert "ResourceGroupNotFound" in refused["said"]


def listed() -> list[tuple[str, str]]:
    """The commands of commands.txt, each with the code by which Azure refuses it, empty for none."""
    found = []
    for line in (HERE / "commands.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            code, command = re.fullmatch(r"(?:\[(\w+)\] )?(.+)", line).groups(default="")  # type: ignore[union-attr]
            for name, value in {"rg": GROUP, "sub": SUBSCRIPTION, "here": str(HERE)}.items():
                command = command.replace(f"{{{name}}}", value)
            found.append((code, command))
    return found


@pytest.mark.long
def test_every_command_of_the_list_is_answered_as_azure_does(az: Az) -> None:
    wrong = []
    for code, command in listed():
        done = az.run(command)
        if (done["status"] != 0) != bool(code) or code not in done["said"]:
            wrong.append(f"az {command}: {code or 'to succeed'}, not {done['status']}: {done['said'][-400:]}")
    assert not wrong, "\n".join(wrong)


PAGES = (ROOT / "README.md", *sorted(set((ROOT / "docs").glob("*.md")) - {ROOT / "docs" / "emulator.md"}))
"""Where people are told to type something; the emulator's page names what is not there."""
ELSEWHERE = {
    "account alias create": "Microsoft's billing; no subscription is made here",
    "acr login": "Docker's store of credentials",
    "ad group show": "Microsoft Graph",
    "dataprotection": "an extension of azure-cli, of another publisher",
    "login": "the shell of `fed env` is signed in",
    "vm run-command": "no machine runs in these tests; tests/e2e has them",
    "storage blob": "names of accounts lead nowhere outside the emulated networks",
}
"""Words of commands that the emulator does not answer -> why (docs/emulator.md)."""
VALUES = {
    "--resource-group": "rg",
    "--vnet-name": "hub",
    "--subnet": "server",
    "--nsg-name": "nsg",
    "--workspace-name": "logs",
    "--subscription": SUBSCRIPTION_ID,
    "--private-connection-resource-id": f"{GROUP}/providers/Microsoft.Storage/storageAccounts/sthub",
}
NAMES = {
    "group delete": "rg-door",
    "network vnet peering delete": "spoke",
    "storage account check-name": "stfree0001",
    "acr check-name": "crfree0001",
    "vm deallocate": "vm",
}
"""Words of a command -> the resource that it is tried on."""
SHORT = {
    "group delete": "--yes",
    "network vnet subnet show": "--resource-group rg --vnet-name hub --name server",
    "monitor log-analytics workspace delete": "--resource-group rg --workspace-name logs --yes",
}
"""Words of commands that a page shortens -> what belongs after them."""


class TestDocumentation:
    """Each `az` line of our own pages."""

    def lines(self) -> set[str]:
        text = "\n".join(page.read_text() for page in PAGES).replace("\\\n", " ")
        text = re.sub(r"(`az [^`\n]*)\n *([^`\n]*`)", r"\1 \2", text)
        found = re.findall(r"(?:^ *|`|[:#] )az ([a-z][^`\n]+)", text, re.M)
        return {" ".join(line.split("   #")[0].split()) for line in found}

    def words(self, line: str) -> str:
        return " ".join(shlex.split(line.replace("...", ""))).partition(" -")[0]

    def elsewhere(self, line: str) -> bool:
        return any(self.words(line).startswith(known) for known in ELSEWHERE)

    def concrete(self, line: str) -> str:
        """Return a line with what it is tried on where the page has a placeholder."""
        words = self.words(line)
        values = VALUES | ({"--name": NAMES[words]} if words in NAMES else {})
        for option, value in values.items():
            line = re.sub(rf"{option} (?:[^ <]*<[^>]+>)+[^ ]*", f"{option} {value}", line)
        return f"{line.replace('...', '')} {SHORT.get(words, '')}"

    def test_is_found(self) -> None:
        lines = self.lines()
        assert any(line.startswith("network vnet peering delete") for line in lines)
        assert {"vm list", "login --tenant <your tenant>"} <= lines
        assert all(any(known in line for line in lines) for known in ELSEWHERE)

    def test_names_nothing_that_is_not_tried(self) -> None:
        for line in self.lines():
            assert self.elsewhere(line) or "<" not in self.concrete(line), line

    @pytest.mark.long
    def test_works_as_the_page_says(self, az: Az) -> None:
        az("monitor log-analytics workspace create --resource-group rg --workspace-name logs")
        az("group create --name rg-door --location westeurope")
        tried = [self.concrete(line) for line in sorted(self.lines()) if not self.elsewhere(line)]
        assert len(tried) > 8
        for command in tried:
            az(command.replace("--output table", ""))


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
