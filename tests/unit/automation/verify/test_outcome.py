"""What is measured against what was computed, and how the whole is told: tables, JSON, report, picture."""

import base64
import json
import re
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

import policies.check  # noqa: F401 fills RULES
from automation.operate.machines import Ran
from automation.verify.check import Verification, verify
from automation.verify.facts.finding import Kind
from automation.verify.facts.resources import VerifyError, read_export
from automation.verify.observed import live, packets, probes
from automation.verify.observed.packets import SOMEWHERE
from automation.verify.report.controls import CONTROLS
from automation.verify.report.document import document
from automation.verify.report.html import report
from automation.verify.report.picture import picture
from automation.verify.report.terminal import tables
from automation.verify.run import Outcome, Sources, run
from emulator.datacentre.probe import Probe, Target
from policies.rule import RULES
from tests.unit.support.verify_deployment import deployment, exported, parties
from tests.unit.support.verify_mutations import MUTATIONS, with_rule


def broken(name: str) -> dict[str, Any]:
    (mutation,) = [m for m in MUTATIONS if m.name == name]
    export = exported("dev")
    mutation.change(export)
    return export


class Honest:
    """A prober whose networks do what the graph says, but for one lie."""

    def __init__(self, verification: Verification, lie: tuple[str, str, int] | None = None) -> None:
        self._lie = lie
        self._open = {
            (
                str(c.source.address_text),
                str(c.destination.address_text) or SOMEWHERE,
                c.protocol.lower(),
                port,
            )
            for c in verification.matrix.cells
            for low, high in c.computed
            for port in range(low, min(high, low + 10) + 1)
        }
        self._machines = {
            m.name: i.address
            for m in verification.deployment.of("compute:VirtualMachine")
            for i in verification.topology.interfaces
            if i.id == m.at("networkProfile.networkInterfaces")[0]["id"]
        }

    def probe(self, sources: Sequence[str], targets: Sequence[Target], seconds: float) -> list[Probe]:
        return [self._one(source, target) for source in sources for target in targets]

    def _one(self, source: str, target: Target) -> Probe:
        address = str(self._machines.get(source, ""))
        passed = (address, target.address, target.protocol, target.port) in self._open
        if (source, target.address, target.port) == self._lie:
            passed = not passed
        return Probe(
            source=source,
            address=target.address,
            port=target.port,
            protocol=target.protocol,
            outcome="refused" if passed else "timeout",
            passed=passed,
            rule="nsg/rule",
        )


def measured(lie: tuple[str, str, int] | None = None) -> packets.Packets:
    found = verify(deployment("dev"), parties("dev"))
    return packets.measure(found, Honest(found, lie))


def test_packets_that_agree_give_no_finding() -> None:
    found = measured()

    assert found.findings == ()
    assert len(found.attempts) > 1000
    assert {a.source.name for a in found.attempts} >= {"centre/server", "cleveland/machine"}
    assert any(a.source.part.startswith("any other address") for a in found.attempts)


def test_a_packet_that_passes_against_the_intent_is_open() -> None:
    (finding,) = measured(("vm-fed-dev-centre", "10.10.1.4", 22)).findings

    assert finding.kind is Kind.OPEN
    assert (
        "a packet passed from centre/server (10.10.0.4) to cleveland/machine (10.10.1.4), Tcp 22"
        in finding.what
    )
    assert finding.where == "nsg/rule"


def test_a_packet_that_does_not_pass_as_intended_is_missing() -> None:
    (finding,) = measured(("vm-fed-dev-cleveland", "10.10.0.4", 8002)).findings

    assert finding.kind is Kind.MISSING
    assert "did not pass from cleveland/machine" in finding.what


class Machines:
    """VMs that answer the check from within as the intent wants, but for changes made to their answers."""

    def __init__(self, found: Verification, **changes: Any) -> None:
        self._found = found
        self._changes = changes

    def run(self, machine: str, command: list[str]) -> Ran:
        party = machine.split("/vm-fed-dev-")[1].split("/", maxsplit=1)[0]
        access: dict[str, dict[str, int]] = {}
        for target in self._found.access.targets:
            if target.resource != "registry":
                cell = next(
                    (
                        c
                        for c in self._found.access.cells
                        if c.target == target and c.principal == f"{party}'s machine"
                    ),
                    None,
                )
                meant = cell.intended if cell else frozenset()
                good = {"list": 200, "read": 200, "write": 201, "delete": 202}
                access[f"https://{target.account}.blob.core.windows.net/{target.resource}"] = {
                    action: status if action in meant else 403 for action, status in good.items()
                }
        names = {a.name.replace("privatelink.", ""): [] for a in self._found.names.answers}
        names |= {
            a.name.replace("privatelink.", ""): sorted(a.intended)
            for a in self._found.names.answers
            if a.viewer == party
        }
        change = self._changes.get(party.replace("-", "_"))
        if change:
            change(access, names)
        order = json.loads(base64.b64decode(command[-1]))
        packed = {
            "access": [list(access[url].values()) for url in order["containers"]],
            "names": [names[name] for name in order["names"]],
        }
        said = base64.b64encode(zlib.compress(json.dumps(packed).encode())).decode()
        return Ran(0, f"fed-verify:{said}\n", "")


def inside(**changes: Any) -> probes.Inside:
    found = verify(deployment("dev"), parties("dev"))
    return probes.look(found, Machines(found, **changes).run)


def test_machines_that_may_what_they_should_give_no_finding() -> None:
    found = inside()

    assert found.findings == ()
    assert len(found.access) == 4 * 22 * 4
    assert sum(t.measured for t in found.access) == (4 + 3) * 4 + 3 * 4 + 3 * (2 + 2 + 4 + 4 + 4)


def test_a_machine_that_reads_anothers_container_is_found() -> None:
    def change(access: dict[str, dict[str, int]], names: dict[str, list[str]]) -> None:
        (url,) = [u for u in access if u.endswith("/client-hungary")]
        access[url]["read"] = 404

    (finding,) = inside(cleveland=change).findings

    assert finding.kind is Kind.OPEN
    assert finding.what == "cleveland's machine could read client-hungary of centre"


def test_a_machine_that_resolves_a_foreign_endpoint_is_found() -> None:
    def change(access: dict[str, dict[str, int]], names: dict[str, list[str]]) -> None:
        (name,) = [n for n in names if n.startswith("stfeddevhungar")]
        names[name] = ["10.10.2.5"]

    (finding,) = inside(cleveland=change).findings

    assert "cleveland's machine resolves stfeddevhungar" in finding.what


def test_a_machine_that_does_not_answer_proves_nothing() -> None:
    found = verify(deployment("dev"), parties("dev"))

    with pytest.raises(VerifyError, match=r"did not run the check from within: no python3 here"):
        probes.look(found, lambda machine, command: Ran(127, "", "no python3 here"))


def outcome(export: dict[str, Any] | None = None) -> Outcome:
    return run("dev", export or exported("dev"), parties("dev"), Sources())


def test_the_document_is_json_and_says_yes() -> None:
    found = json.loads(json.dumps(document(outcome())))

    assert found["holds"] is True
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", found["read"]["state"]["checksum"])
    assert all(row["agrees"] for part in ("flows", "access", "names") for row in found[part])
    assert all(control["holds"] for control in found["controls"])


def test_every_finding_breaks_a_control() -> None:
    found = outcome(broken("a hospital may open SSH anywhere"))

    assert found.findings
    assert all(any(f.rule in c.rules for c in CONTROLS) for f in found.findings)


def test_every_check_and_policy_belongs_to_exactly_one_control() -> None:
    owned = [rule for control in CONTROLS for rule in control.rules]

    assert len(owned) == len(set(owned))
    assert set(RULES) <= set(owned)


def test_the_report_names_the_culprit_and_needs_nothing_from_outside() -> None:
    text = report(outcome(broken("a hospital may open SSH anywhere")))

    assert "<strong>No.</strong>" in text
    assert "nsg-fed-dev-cleveland-workload: rule stranger" in text
    assert "delete rule stranger from nsg-fed-dev-cleveland-workload" in text
    assert not re.search(r'(src|href)="', text)
    assert "<script" not in text


def test_a_name_cannot_smuggle_markup_into_the_report() -> None:
    export = exported("dev")
    with_rule("-cleveland-workload", name="<img src=x onerror=alert(1)>", direction="Outbound")(export)

    text = report(outcome(export))

    assert "<img" not in text
    assert "&lt;img" in text


def test_the_picture_is_one_drawing_and_red_only_where_something_is_open() -> None:
    good = picture(outcome().shown)
    bad = picture(outcome(broken("SSH is open from centre to hospital on both sides")).shown)

    ET.fromstring(good)  # noqa: S314 our own
    assert 'marker-end="url(#head-open)"' not in good
    assert bad.count('marker-end="url(#head-open)"') == 6
    assert "centre/server to cleveland/machine: Tcp 22" in bad


def test_the_table_shows_every_flow_and_the_verdict() -> None:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(tables(outcome()))
    text = console.export_text()

    assert "cleveland/machine (10.10.1.4)" in text
    assert "dev is exactly what its settings intend (state" in text


def test_an_empty_state_proves_nothing() -> None:
    with pytest.raises(VerifyError, match="nothing is deployed"):
        read_export("dev", {"deployment": {"resources": []}})


def test_the_checksum_follows_the_state_and_not_the_order_of_keys() -> None:
    one = exported("dev")
    turned = {"deployment": dict(reversed(one["deployment"].items()))}
    other = broken("shared keys are enabled")

    assert read_export("dev", one).checksum == read_export("dev", turned).checksum
    assert read_export("dev", one).checksum != read_export("dev", other).checksum


class Refusing:
    def get(self, path: str, version: str) -> Any:
        class Answer:
            status, error, body = 403, "AuthorizationFailed: no", {}

        return Answer()


def test_what_resource_manager_hides_is_not_called_closed() -> None:
    with pytest.raises(VerifyError, match=r"does not show .*nothing is proven"):
        live.read(Refusing(), deployment("dev"), parties("dev"))
