"""Isolation of a running federation: proven by graph, Resource Manager and packets, and able to fail.

One deployment; each break is made behind the engine's back, as an intruder with rights on Azure would make
it, must be found with its culprit named, and is undone again.
"""

import copy
import ipaddress
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from automation.operate import machines
from automation.stacks.arm import Arm, Endpoint
from automation.ui.outcome import FedError
from automation.verify.observed import probes
from automation.verify.run import Outcome, Sources, run
from azure_types.types import find
from emulator.arm.messages import Json
from emulator.control import Emulator
from emulator.credential import EmulatorCredential
from emulator.datacentre.control import Datacentre
from federation.naming import HOSPITAL_CONTAINERS
from federation.parties import Federation, federation
from federation.stack_file import load_stack
from policies.compute import SECRET
from tests.e2e import running_federation
from tests.e2e.own_clone import PATIENCE, Clone, wait_until
from tests.resource_manager import ask

NETWORK = "2024-05-01"


@dataclass
class Deployed:
    """A running federation of a centre and two hospitals, and every way to look at it."""

    clone: Clone
    emulator: Emulator
    datacentre: Datacentre
    arm: Arm
    export: dict[str, Any]
    parties: Federation

    def verify(self, *, packets: bool = False, inside: bool = False) -> Outcome:
        return run(
            "dev",
            self.export,
            self.parties,
            Sources(
                client=self.arm,
                prober=self.datacentre if packets else None,
                inside=(lambda seen: probes.look(seen, partial(machines.run, self.arm))) if inside else None,
            ),
        )

    def find(self, kind: str, word: str) -> dict[str, Any]:
        """Return the one resource of a type in the state whose name contains a word."""
        (found,) = [
            r
            for r in self.export["deployment"]["resources"]
            if r["type"].startswith("azure-native:")
            and r["type"].endswith(f":{kind}")
            and word in r["urn"].rsplit("::", 1)[-1]
        ]
        return dict(found)

    def id(self, kind: str, word: str) -> str:
        return str(self.find(kind, word)["id"])

    def get(self, arm_id: str, version: str) -> Json:
        answer = ask(self.emulator, "GET", arm_id, api_version=version)
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body

    def put(self, arm_id: str, version: str, body: Json) -> None:
        answer = ask(self.emulator, "PUT", arm_id, api_version=version, body=body)
        assert answer.status_code in {200, 201, 202}, answer.text

    def delete(self, arm_id: str, version: str) -> None:
        answer = ask(self.emulator, "DELETE", arm_id, api_version=version)
        assert answer.status_code in {200, 202, 204}, answer.text

    def edit(self, kind: str, word: str, change: Callable[[Json], None]) -> Callable[[], None]:
        """Change the body of a resource and return what undoes it."""
        found = self.find(kind, word)
        type_ = find(found["type"])
        assert type_ is not None
        before = self.get(found["id"], type_.version)
        after = copy.deepcopy(before)
        change(after)
        self.put(found["id"], type_.version, after)
        return lambda: self.put(found["id"], type_.version, before)

    def add(self, arm_id: str, version: str, body: Json) -> Callable[[], None]:
        self.put(arm_id, version, body)
        return lambda: self.delete(arm_id, version)


@pytest.fixture(scope="module")
def deployed(federation_of_two: running_federation.Federation) -> Iterator[Deployed]:
    clone, datacentre = federation_of_two.clone, federation_of_two.datacentre
    emulator = clone.emulator()
    endpoint = Endpoint(
        url=emulator.record.arm,
        credential=EmulatorCredential(emulator.home),
        verify=emulator.ssl_context(),
    )
    found = Deployed(
        clone=clone,
        emulator=emulator,
        datacentre=datacentre,
        arm=Arm(endpoint),
        export=json.loads(clone.shell("pulumi stack export -s dev").stdout),
        parties=federation(load_stack(clone.root, "dev")),
    )
    yield found
    assert found.verify().holds, "a test left something behind"


Break = Callable[[Deployed], Callable[[], None]]


def rule(**changes: Any) -> Json:
    return {
        "name": "stranger",
        "properties": {
            "access": "Allow",
            "protocol": "Tcp",
            "priority": 4000,
            "sourcePortRange": "*",
            "sourceAddressPrefix": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": "22",
            **changes,
        },
    }


def _without_denial(deployed: Deployed) -> Callable[[], None]:
    def change(body: Json) -> None:
        rules = body["properties"]["securityRules"]
        rules[:] = [r for r in rules if r["name"] != "deny-outbound-everything-else"]

    return deployed.edit("NetworkSecurityGroup", "cleveland-workload", change)


def _ssh_to_a_hospital(deployed: Deployed) -> Callable[[], None]:
    def opened(**changes: Any) -> Callable[[Json], None]:
        return lambda body: body["properties"]["securityRules"].append(rule(**changes))

    undo = [
        deployed.edit("NetworkSecurityGroup", "centre-server", opened(direction="Outbound")),
        deployed.edit("NetworkSecurityGroup", "cleveland-workload", opened(direction="Inbound")),
    ]
    return lambda: [each() for each in undo] and None  # type: ignore[return-value]


def _peered_hospitals(deployed: Deployed) -> Callable[[], None]:
    ids = {h: deployed.id("VirtualNetwork", f"vnet-fed-dev-{h}") for h in ("cleveland", "hungary")}
    undo = []
    for here, there in (("cleveland", "hungary"), ("hungary", "cleveland")):
        body = {
            "properties": {
                "remoteVirtualNetwork": {"id": ids[there]},
                "allowVirtualNetworkAccess": True,
                "allowForwardedTraffic": False,
                "allowGatewayTransit": False,
                "useRemoteGateways": False,
            }
        }
        peering = f"{ids[here]}/virtualNetworkPeerings/stranger-{there}"
        undo.append(deployed.add(peering, NETWORK, body))
    return lambda: [each() for each in undo] and None  # type: ignore[return-value]


def _put(kind: str, word: str, path: str, value: Any) -> Break:
    def change(body: Json) -> None:
        *above, last = path.split(".")
        here: Any = body["properties"]
        for step in above:
            here = here[int(step)] if isinstance(here, list) else here.setdefault(step, {})
        here[last] = value

    return lambda deployed: deployed.edit(kind, word, change)


def _opened_account(deployed: Deployed) -> Callable[[], None]:
    def change(body: Json) -> None:
        body["properties"]["publicNetworkAccess"] = "Enabled"
        body["properties"]["networkAcls"]["defaultAction"] = "Allow"

    return deployed.edit("StorageAccount", "cleveland-data", change)


def _wide_role(deployed: Deployed) -> Callable[[], None]:
    account = deployed.id("StorageAccount", "centre-data")
    principal = deployed.find("UserAssignedIdentity", "cleveland-vm")["outputs"]["principalId"]
    reader = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    body = {
        "properties": {
            "principalId": principal,
            "principalType": "ServicePrincipal",
            "roleDefinitionId": f"{account.split('/resourceGroups/')[0]}/providers/Microsoft.Authorization/"
            f"roleDefinitions/{reader}",
        }
    }
    name = f"{account}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000bad"
    return deployed.add(name, "2022-04-01", body)


def _foreign_link(deployed: Deployed) -> Callable[[], None]:
    zone = deployed.id("PrivateZone", "hungary-internal").rsplit("/", 1)[0] + "/evil.example"
    vnet = deployed.id("VirtualNetwork", "vnet-fed-dev-cleveland")
    undo = [
        deployed.add(zone, "2024-06-01", {"location": "global"}),
        deployed.add(
            f"{zone}/virtualNetworkLinks/stranger",
            "2024-06-01",
            {
                "location": "global",
                "properties": {"virtualNetwork": {"id": vnet}, "registrationEnabled": False},
            },
        ),
    ]
    return lambda: [each() for each in reversed(undo)] and None  # type: ignore[return-value]


def _public_address(deployed: Deployed) -> Callable[[], None]:
    nic = deployed.id("NetworkInterface", "cleveland-vm")
    address = nic.replace("networkInterfaces/nic", "publicIPAddresses/pip")
    made = deployed.add(
        address,
        NETWORK,
        {
            "location": "westeurope",
            "sku": {"name": "Standard"},
            "properties": {"publicIPAllocationMethod": "Static"},
        },
    )
    attached = _put(
        "NetworkInterface", "cleveland-vm", "ipConfigurations.0.properties.publicIPAddress", {"id": address}
    )
    undo = attached(deployed)

    def both() -> None:
        undo()
        made()

    return both


def _moved_record(deployed: Deployed) -> Callable[[], None]:
    return _put("PrivateRecordSet", "cleveland-centre-blob", "aRecords", [{"ipv4Address": "10.10.1.4"}])(
        deployed
    )


def _moved_interface(deployed: Deployed) -> Callable[[], None]:
    """Give hungary's VM another address while it is off, as whoever wants to go unseen would."""
    machine = deployed.id("VirtualMachine", "hungary")
    deployed.arm.post(f"{machine}/deallocate", "2024-11-01", {})
    path = "ipConfigurations.0.properties.privateIPAddress"
    put_back = _put("NetworkInterface", "hungary-vm", path, "10.10.2.20")(deployed)

    def undo() -> None:
        put_back()
        deployed.arm.post(f"{machine}/start", "2024-11-01", {})
        wait_until(lambda: _takes_commands(deployed, "hungary"), "the VM's return")

    return undo


def _takes_commands(deployed: Deployed, party: str) -> bool:
    try:
        return machines.run(deployed.arm, deployed.id("VirtualMachine", party), ["hostname", "-I"]).code == 0
    except FedError:
        return False


def _no_log(deployed: Deployed) -> Callable[[], None]:
    found = deployed.find("DiagnosticSetting", "cleveland-data")
    type_ = find(found["type"])
    assert type_ is not None
    before = deployed.get(found["id"], type_.version)
    deployed.delete(found["id"], type_.version)
    return lambda: deployed.put(found["id"], type_.version, before)


BREAKS: list[tuple[str, Break, str, str]] = [
    (
        "a denial is deleted",
        _without_denial,
        "open",
        "nsg-fed-dev-cleveland-workload: Azure's default rule AllowInternetOutBound",
    ),
    ("two hospitals are peered", _peered_hospitals, "weakened", "it joins cleveland with hungary"),
    (
        "a peering forwards",
        _put("VirtualNetworkPeering", "peer-fed-dev-cleveland-centre", "allowForwardedTraffic", True),
        "weakened",
        "peer-fed-dev-cleveland-centre: allowForwardedTraffic",
    ),
    (
        "a VM forwards",
        _put("NetworkInterface", "centre-vm", "enableIPForwarding", True),
        "weakened",
        "nic-fed-dev-centre-vm: enableIPForwarding",
    ),
    ("an account is opened", _opened_account, "open", r"stfeddevclevel\w+: publicNetworkAccess Enabled"),
    (
        "shared keys are enabled",
        _put("StorageAccount", "hungary-data", "allowSharedKeyAccess", True),
        "weakened",
        "st-fed-dev-hungary-data: allowSharedKeyAccess is true",
    ),
    (
        "anonymous blobs are allowed",
        _put("StorageAccount", "cleveland-data", "allowBlobPublicAccess", True),
        "weakened",
        "st-fed-dev-cleveland-data: allowBlobPublicAccess is true",
    ),
    (
        "a role is widened to the account",
        _wide_role,
        "open",
        "role assignment 00000000-.*Storage Blob Data Reader",
    ),
    ("a foreign zone is linked", _foreign_link, "open", "virtual network link .*/evil.example/"),
    (
        "a public address is added",
        _public_address,
        "weakened",
        "nic-fed-dev-cleveland-vm: ipConfiguration private has a publicIPAddress",
    ),
    ("a record is changed", _moved_record, "open", r"record st\w+ in .*privatelink.blob"),
    (
        "an interface moves",
        _moved_interface,
        "missing",
        "nothing has the address of hungary/machine",
    ),
    ("a log is switched off", _no_log, "missing", "deleted behind the program's back"),
]


def named(outcome: Outcome, kind: str, culprit: str) -> list[str]:
    return [str(f) for f in outcome.findings if f.kind == kind and re.search(culprit, f.where)]


def test_what_runs_is_exactly_what_is_intended(deployed: Deployed) -> None:
    outcome = deployed.verify(packets=True, inside=True)

    assert [str(f) for f in outcome.findings] == []
    assert outcome.packets is not None
    assert outcome.inside is not None
    assert all(one.agrees for one in (*outcome.inside.access, *outcome.inside.names))
    assert {(t.viewer, t.target) for t in outcome.inside.access if t.measured} == {
        ("centre", "server of centre"),
        *(("centre", f"client-{h} of centre") for h in ("cleveland", "hungary")),
        *((h, f"client-{h} of centre") for h in ("cleveland", "hungary")),
        *(("centre", f"{container} of centre") for container in ("backup", "inbox", "results")),
        *((h, f"{own} of {h}") for h in ("cleveland", "hungary") for own in HOSPITAL_CONTAINERS),
    }
    assert all(attempt.agrees for attempt in outcome.packets.attempts)
    assert {(a.source.name, a.destination.name, a.port) for a in outcome.packets.attempts if a.measured} == {
        *((f"{h}/machine", "centre/server", 8002) for h in ("cleveland", "hungary")),
        *(
            (f"{h}/machine", f"centre/{part}", 443)
            for h in ("cleveland", "hungary")
            for part in ("storage", "registry", "registry-data")
        ),
        *((f"{h}/machine", f"{h}/storage", 443) for h in ("cleveland", "hungary")),
        *(("centre/server", f"centre/{part}", 443) for part in ("storage", "registry", "registry-data")),
        *(
            (who, "internet/any", port)
            for who in ("centre/server", "cleveland/machine", "hungary/machine")
            for port in (80, 443)
        ),
    }
    assert outcome.seconds["packets"] < 10


@pytest.mark.parametrize(("change", "kind", "culprit"), [b[1:] for b in BREAKS], ids=[b[0] for b in BREAKS])
def test_a_break_behind_the_engines_back_is_found(
    deployed: Deployed, change: Break, kind: str, culprit: str
) -> None:
    undo = change(deployed)
    try:
        outcome = deployed.verify()
        assert named(outcome, kind, culprit), "\n".join(map(str, outcome.findings)) or "nothing was found"
        assert all("behind the program's back" in f.what or f.proof == "live" for f in outcome.findings)
    finally:
        undo()


def test_an_open_port_is_measured_too(deployed: Deployed) -> None:
    undo = _ssh_to_a_hospital(deployed)
    try:
        deadline = time.monotonic() + PATIENCE
        found: list[str] = []
        while not found and time.monotonic() < deadline:  # the networks follow Resource Manager by themselves
            outcome = deployed.verify(packets=True)
            found = [f.what for f in outcome.findings if f.proof == "packets" and f.kind == "open"]
        assert any("from centre/server (10.10.0.4) to" in what and "Tcp 22" in what for what in found), found
        assert named(outcome, "open", "centre-server: rule stranger .*cleveland-workload: rule stranger")
    finally:
        undo()


def _moved_to_the_endpoints(deployed: Deployed) -> Callable[[], None]:
    """Move the interface of the centre's VM, which runs, into the subnet of the private endpoints."""
    subnets = deployed.find("VirtualNetwork", "-centre")["outputs"]["subnets"]
    (target,) = [subnet for subnet in subnets if subnet["name"].endswith("-endpoints")]
    address = str(ipaddress.ip_network(target["addressPrefix"])[-20])

    def change(body: Json) -> None:
        configuration = body["properties"]["ipConfigurations"][0]["properties"]
        configuration.update(subnet={"id": target["id"]}, privateIPAddress=address)

    return deployed.edit("NetworkInterface", "centre-vm", change)


def test_a_live_machine_that_moves_to_another_subnet_is_seen_by_graph_and_packets(
    deployed: Deployed,
) -> None:
    undo = _moved_to_the_endpoints(deployed)
    try:
        outcome = deployed.verify(packets=True)
        assert named(outcome, "missing", "nothing has the address of centre/server")
        assert any(
            f.proof == "packets" and re.search("from cleveland/machine .* to centre/server .* 8002", f.what)
            for f in outcome.findings
        ), "\n".join(map(str, outcome.findings))
    finally:
        undo()
        wait_until(lambda: _takes_commands(deployed, "centre"), "the VM's return")


def test_a_role_that_is_too_wide_is_used_too(deployed: Deployed) -> None:
    undo = _wide_role(deployed)
    try:
        outcome = deployed.verify(inside=True)
    finally:
        undo()

    used = {f.what for f in outcome.findings if f.proof == "inside"}
    assert "cleveland's machine could read client-hungary of centre" in used
    assert "cleveland's machine could list server of centre" in used
    assert not any("write" in what or "hungary's machine" in what for what in used)


def test_the_command_says_yes_and_no_and_writes_its_report(deployed: Deployed) -> None:
    clone = deployed.clone
    yes = clone.fed("verify", "--report", "out/report.html", "--picture", "out/picture.svg")
    report = (clone.root / "out" / "report.html").read_text()

    assert "dev is exactly what its settings intend" in yes.stdout
    assert "<strong>Yes.</strong>" in report
    assert (clone.root / "out" / "picture.svg").read_text().strip() in report

    undo = _opened_account(deployed)
    try:
        no = clone.fed("verify", "--no-packets", "--no-inside", "--json", code=1)
    finally:
        undo()
    found = json.loads(no.stdout)
    assert found["holds"] is False
    assert {c["name"] for c in found["controls"] if not c["holds"]} == {"No public front"}


def test_the_real_state_holds_no_secret(deployed: Deployed) -> None:
    state = json.dumps(deployed.export)

    assert '"ciphertext"' not in state  # what the engine writes in the place of a secret
    assert not SECRET.search(state)


def test_a_bad_pull_request_is_stopped_with_reason_and_mend(deployed: Deployed) -> None:
    file = deployed.clone.root / "federation" / "security_rules.py"
    before = file.read_text()
    opened = before.replace("sources=_distinct(flow.source.prefix for flow in members)", 'sources=("*",)')
    assert opened != before
    file.write_text(opened)
    try:
        told = deployed.clone.fed("preview", code=1).stderr
        said = deployed.clone.shell("pulumi preview -s dev --policy-pack policies", code=1).stdout
    finally:
        file.write_text(before)

    assert "fed: this breaks a rule that every federation keeps:\nnsg-inbound-named: " in told
    assert (
        "  - nsg-fed-dev-centre-server (network:NetworkSecurityGroup of centre): "
        "inbound rule allow-inbound-federated-learning allows *\n"
    ) in told
    assert told.endswith("Nothing was deployed.\n")
    assert re.search(r"\[mandatory\] +nsg-inbound-named .*nsg-fed-dev-centre-server", said)
    assert "inbound rule allow-inbound-federated-learning allows *" in said
    for text in (told, said):
        assert "Why it matters: whoever is not named must not be able to open a connection" in text
        assert "Fix: name the source as address prefixes of one party" in text
