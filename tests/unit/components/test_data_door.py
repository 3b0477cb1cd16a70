"""A hospital's door: its people reach its own account, and nothing else opens; each protection broken."""

import base64
import copy
import datetime as dt
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar

import pytest

from automation.delivery.intent_difference import difference, intended
from automation.verify.access import posture
from automation.verify.check import Verification, verify
from automation.verify.facts.finding import Kind
from automation.verify.facts.resources import Deployment, Resource, read_export
from automation.verify.observed import own_networks, packets
from emulator.datacentre.probe import Probe, Target
from federation.intent import intent
from federation.settings import load
from federation.violations import SettingsError
from policies import storage
from tests.unit.federation.test_settings import GALLERY
from tests.unit.support import door_settings as door
from tests.unit.support.door_settings import (
    ADDRESS,
    CLEVELAND,
    DESKS,
    HOUSE,
    NETWORK,
    OFFICE,
    PEOPLE,
    TODAY,
    TOMORROW,
    UPLOADERS,
    YESTERDAY,
)
from tests.unit.support.program_graph import Graph, record
from tests.unit.support.verify_deployment import exported, parties
from tests.unit.support.verify_mutations import (
    ACCOUNT,
    CONTRIBUTOR,
    ENDPOINT,
    LINK,
    PEERING,
    READER,
    RECORD,
    ROLE,
    VNET,
    ZONE,
    Change,
    add,
    both,
    entry,
    id_of,
    outputs,
    put,
    remove,
)

BOTH = {"cleveland": door.door(), "hungary": door.window()}
OPEN, MISSING, WEAK = Kind.OPEN, Kind.MISSING, Kind.WEAKENED
ELSEWHERE = DESKS.replace(CLEVELAND, "20000000-0000-4000-8000-000000000002")
OURS = f"/subscriptions/{CLEVELAND}/resourceGroups/rg-fed-dev-cleveland-compute/providers/Microsoft.Network"


class TestSettings:
    @pytest.mark.parametrize(
        ("entry", "key", "why", "fix"),
        [
            (door.door() | door.window(), "door", "one way in", "endpoint with subnetId"),
            ({"people": PEOPLE}, "door", "one way in", "window with address and until"),
            (door.door(address=None), "door.endpoint.address", "a free address", "add it"),
            (door.door(address="8.8.8.8"), "door.endpoint.address", "no private address", "10.50.3.20"),
            (door.door(address="10.50.3.0/24"), "door.endpoint.address", "one address", "without a range"),
            (
                door.door(address="10.10.2.9"),
                "door.endpoint.address",
                "range of hungary",
                "outside 10.10.2.0/27",
            ),
            (door.door(subnetId=HOUSE), "door.endpoint.subnetId", "could not find the subnet", "az network"),
            (
                door.door(subnetId=ELSEWHERE),
                "door.endpoint.subnetId",
                "another subscription",
                "of your own hub",
            ),
            (
                door.door(subnetId=f"{OURS}/virtualNetworks/vnet-fed-dev-cleveland/subnets/x"),
                "door.endpoint.subnetId",
                "nobody enters that network",
                "made without it",
            ),
            (door.door(zoneId=HOUSE), "door.endpoint.zoneId", "not a zone privatelink.blob", "leave it out"),
            ({"endpoint": door.door()["endpoint"]}, "door.people", "uploads data", "add it"),
            (door.door() | {"officers": PEOPLE}, "door.officers", "approve the code", "a group of their own"),
            (door.window(address="10.1.1.1"), "door.window.address", "nobody on the internet", "ifconfig.me"),
            (door.window(address="100.64.1.1"), "door.window.address", "nobody on the internet", "ifconfig"),
            (door.window(address=f"{OFFICE}/31"), "door.window.address", "one address", "without a range"),
        ],
    )
    def test_a_mistake_is_refused_with_its_consequence_and_fix(
        self, entry: dict[str, Any], key: str, why: str, fix: str
    ) -> None:
        with pytest.raises(SettingsError) as caught:
            load("dev", door.config("dev", {"cleveland": entry}))
        (found,) = caught.value.violations
        assert found.where == f"fed:hospitals.cleveland.{key}"
        assert why in found.why
        assert fix in found.fix

    def test_two_hospitals_have_groups_of_their_own(self) -> None:
        with pytest.raises(SettingsError, match="its people would get in at both"):
            load(
                "dev",
                door.config("dev", {"cleveland": door.door(), "hungary": door.window() | {"people": PEOPLE}}),
            )

    def test_prod_wants_to_know_why_a_window_is_open(self) -> None:
        with pytest.raises(SettingsError, match=r"door\.window\.reason[\s\S]*nobody explains"):
            load("prod", door.config("prod", {"hungary": door.window()}))
        load("prod", door.config("prod", {"hungary": door.window(reason="the spoke is ready in March")}))

    def test_the_windows_own_tag_is_taken(self) -> None:
        with pytest.raises(SettingsError, match=r"fed:tags\.WindowUntil"):
            load("dev", door.config() | {"fed:tags": {"WindowUntil": "2099-01-01"}})


class TestIntent:
    def test_a_door_and_a_window_are_all_that_it_adds(self) -> None:
        before = intended("dev", load("dev", door.config()))
        allowed, no_longer = difference(before, intended("dev", load("dev", door.config("dev", BOTH))))
        assert no_longer == []
        assert {(line.who, line.may) for line in allowed} == {
            ("cleveland's own network", f"reach cleveland/storage at {ADDRESS}"),
            (f"internet/{OFFICE}", f"reach hungary/storage until {TOMORROW}"),
            ("cleveland's people", "be Storage Blob Data Contributor of cleveland/data"),
            ("cleveland's officers", "be Storage Blob Data Contributor of cleveland/policy"),
            ("cleveland's officers", "be Storage Blob Data Reader of cleveland/record"),
            ("hungary's people", "be Storage Blob Data Contributor of hungary/data"),
            *((f"{name}'s people", f"be Storage Blob Data Reader of {name}/scores") for name in BOTH),
        }

    def test_a_hospital_that_leaves_has_none(self) -> None:
        config = door.config("dev", BOTH)
        for name in BOTH:
            config["fed:hospitals"][name]["retired"] = "leaving"
        meant = intent(parties("dev", config))
        assert (meant.doors, meant.windows) == ((), ())


@cache
def graph(until: dt.date = TODAY, zone: str | None = None) -> Graph:
    return record(
        "dev", door.config("dev", {"cleveland": door.door(zoneId=zone), "hungary": door.window(until)})
    )


OVER = (YESTERDAY, door.ZONE)


class TestProgram:
    def test_a_door_adds_its_group_one_endpoint_one_zone_and_roles(self, dev: Graph) -> None:
        before = {r.name for r in dev.azure()}
        assert {r.name for r in graph().azure() if r.name not in before} == {
            "rg-fed-dev-cleveland-door",
            "pep-fed-dev-cleveland-door",
            "zonegroup-fed-dev-cleveland-door",
            "zone-fed-dev-cleveland-door",
            "link-fed-dev-cleveland-door",
            "role-fed-dev-cleveland-data-cleveland-people-storage-blob-data-contributor",
            "role-fed-dev-cleveland-scores-cleveland-people-storage-blob-data-reader",
            "role-fed-dev-cleveland-policy-cleveland-officers-storage-blob-data-contributor",
            "role-fed-dev-cleveland-record-cleveland-officers-storage-blob-data-reader",
            "role-fed-dev-hungary-data-hungary-people-storage-blob-data-contributor",
            "role-fed-dev-hungary-scores-hungary-people-storage-blob-data-reader",
            "alert-fed-dev-hungary-window",
        }

    def test_the_endpoint_waits_for_the_first_one_of_its_account(self) -> None:
        """https://github.com/Azure/bicep-registry-modules/issues/6001"""
        endpoint, first = graph().named("pep-fed-dev-cleveland-door"), "pep-fed-dev-cleveland-storage"
        assert graph().named(first).urn in graph().behind(endpoint)
        assert endpoint.inputs["subnet"] == {"id": DESKS}
        assert endpoint.inputs["resourceGroupName"] == "rg-fed-dev-cleveland-door"

    def test_a_hospitals_own_zone_gets_the_record_and_no_link(self) -> None:
        """A network is linked to one zone of a name: https://github.com/MicrosoftDocs/azure-aks-docs/issues/212"""
        found = graph(*OVER)
        assert not any(r.name.endswith("cleveland-door") for r in found.of(f"azure-native:{ZONE}"))
        group = found.named("zonegroup-fed-dev-cleveland-door")
        assert group.inputs["privateDnsZoneConfigs"] == [{"name": "blob", "privateDnsZoneId": door.ZONE}]

    def test_the_account_of_a_door_stays_closed(self) -> None:
        account = graph().named("st-fed-dev-cleveland-data")
        assert account.inputs["publicNetworkAccess"] == "Disabled"
        assert account.inputs["networkRuleSet"]["ipRules"] == []

    @pytest.mark.parametrize("is_open", [True, False])
    def test_a_window_lets_one_address_in_and_closes_after_its_day(self, is_open: bool) -> None:
        account = (graph() if is_open else graph(*OVER)).named("st-fed-dev-hungary-data").inputs
        rules = account["networkRuleSet"]
        assert (account["publicNetworkAccess"], account["tags"].get("windowUntil")) == (
            ("Enabled", TODAY.isoformat()) if is_open else ("Disabled", None)
        )
        assert [rule["iPAddressOrRange"] for rule in rules["ipRules"]] == ([OFFICE] if is_open else [])
        assert (rules["defaultAction"], account["allowSharedKeyAccess"]) == ("Deny", False)

    def test_whoever_still_gets_in_after_the_day_raises_an_alert(self) -> None:
        """The alert stays when the window is over: it watches a program that nobody ran."""
        for until, seen in ((TODAY, graph()), (YESTERDAY, graph(*OVER))):
            query = seen.named("alert-fed-dev-hungary-window").inputs["criteria"]
            assert f'"{OFFICE}"' in str(query)
            assert f"datetime({until + dt.timedelta(days=1)})" in str(query)


def deployed(stack: str = "dev", *changes: Change, **doors: dict[str, Any]) -> Deployment:
    document = exported(stack, door.config(stack, doors or BOTH))
    for change in changes:
        change(document)
    return read_export(stack, document)


def found(*changes: Change, today: dt.date = TODAY, **doors: dict[str, Any]) -> list[Any]:
    federation = parties("dev", door.config("dev", doors or BOTH))
    return list(verify(deployed("dev", *changes, **doors), federation, today).findings)


def stray(target: Callable[[Any], str], subnet: str, owner: str = "cleveland") -> Change:
    """Return a change that puts an endpoint of something into a network, as a stranger would."""

    def change(export: Any) -> None:
        own = entry(export, VNET, f"-{owner}")
        arm_id = f"{own['id'].split('/providers/')[0]}/providers/Microsoft.Network/privateEndpoints/stray"
        connection = {"name": "c", "privateLinkServiceId": target(export), "groupIds": ["blob"]}
        props = {
            "subnet": {"id": subnet},
            "ipConfigurations": [{"memberName": "blob", "privateIPAddress": "10.50.3.99"}],
            "privateLinkServiceConnections": [connection],
            "tags": own["outputs"]["tags"],
        }
        add(ENDPOINT, arm_id, props)(export)

    return change


def peered(export: Any) -> None:
    """Join cleveland's own network with its network of the federation."""
    own = entry(export, VNET, "-cleveland")
    props = {"remoteVirtualNetwork": {"id": own["id"]}, "peeringState": "Connected"}
    add(PEERING, f"{HOUSE}/virtualNetworkPeerings/stray", props)(export)


def linked_inside(export: Any) -> None:
    """Ask the door's zone in the federation's network, too."""
    zone, vnet = entry(export, ZONE, "cleveland-door"), entry(export, VNET, "-cleveland")
    add(LINK, f"{zone['id']}/virtualNetworkLinks/stray", {"virtualNetwork": {"id": vnet["id"]}})(export)


def named_elsewhere(export: Any) -> None:
    """Let the account's name lead to another address in cleveland's own network."""
    zone, account = entry(export, ZONE, "cleveland-door"), entry(export, ACCOUNT, "cleveland-data")
    name = account["outputs"]["name"]
    add(RECORD, f"{zone['id']}/A/{name}", {"aRecords": [{"ipv4Address": "10.50.3.99"}]})(export)


def widened_people(export: Any) -> None:
    """Move the role of cleveland's people from its data to the whole account."""
    role = entry(export, ROLE, "data-cleveland-people")
    role["outputs"]["scope"] = entry(export, ACCOUNT, "cleveland-data")["id"]
    role["propertyDependencies"] = {}


def rescoped(word: str, container: str) -> Change:
    def change(export: Any) -> None:
        outputs(export, ROLE, word)["scope"] = entry(export, "storage:BlobContainer", container)["id"]

    return change


CENTRES = id_of(ACCOUNT, "centre-data")
HUNGARYS = id_of(ACCOUNT, "hungary-data")
OWN = id_of(ACCOUNT, "cleveland-data")
FRONT = "hungary-data"
TO_DOOR = "privateLinkServiceConnections.0.privateLinkServiceId"
BREAKS: dict[str, tuple[Change, Kind, str]] = {
    "its endpoint is gone": (remove(ENDPOINT, "cleveland-door"), MISSING, "people cannot reach its account"),
    "it leads to another hospital's account": (
        lambda export: put(ENDPOINT, "cleveland-door", TO_DOOR, HUNGARYS(export))(export),
        OPEN,
        "cleveland's door leads to .*hun",
    ),
    "it leads to the centre's account": (
        lambda export: put(ENDPOINT, "cleveland-door", TO_DOOR, CENTRES(export))(export),
        OPEN,
        "cleveland's door leads to .*centre",
    ),
    "it is at another address": (
        put(ENDPOINT, "cleveland-door", "ipConfigurations.0.privateIPAddress", "10.50.3.99"),
        OPEN,
        "at 10.50.3.99 to a network that is not of this stack",
    ),
    "it is in another subnet": (
        put(ENDPOINT, "cleveland-door", "subnet", {"id": DESKS.replace("desks", "guests")}),
        OPEN,
        "to a network that is not of this stack",
    ),
    "the centre's account has an endpoint there": (
        stray(CENTRES, DESKS),
        OPEN,
        "opens .*centre.* at 10.50.3.99",
    ),
    "its account has a second endpoint there": (stray(OWN, DESKS), OPEN, "opens .*clevel.* at 10.50.3.99"),
    "another hospital has an endpoint there": (
        stray(HUNGARYS, DESKS, "hungary"),
        OPEN,
        "opens .*hungary.* at 10.50.3.99",
    ),
    "its network is peered with the federation's": (peered, OPEN, "cleveland's door is peered"),
    "its zone is asked in the federation's network": (
        linked_inside,
        OPEN,
        f"^cleveland resolves .* to {ADDRESS}",
    ),
    "its name leads elsewhere": (named_elsewhere, OPEN, "cleveland's own network resolves .* to 10.50.3.99"),
    "its zone is linked to nothing": (
        remove(LINK, "cleveland-door"),
        MISSING,
        "cleveland's own network does not resolve",
    ),
    "its people have the whole account": (
        widened_people,
        OPEN,
        "cleveland's people may .* policy of cleveland",
    ),
    "its people have another hospital's data": (
        rescoped("data-cleveland-people", "hungary-data"),
        OPEN,
        "cleveland's people may .* data of hungary",
    ),
    "its people answer jobs": (
        rescoped("data-cleveland-people", "cleveland-policy"),
        OPEN,
        "cleveland's people may .* policy of cleveland",
    ),
    "its officers write the record": (
        lambda export: put(
            ROLE,
            "record-cleveland-officers",
            "roleDefinitionId",
            outputs(export, ROLE, "record-cleveland-officers")["roleDefinitionId"].replace(
                READER, CONTRIBUTOR
            ),
        )(export),
        OPEN,
        "cleveland's officers may delete, write record",
    ),
    "a stranger has the role of its people": (
        put(ROLE, "data-cleveland-people", "principalId", UPLOADERS.replace("3", "4")),
        OPEN,
        "unknown principal .* may .* data of cleveland",
    ),
    "a window is for everybody": (
        put(ACCOUNT, FRONT, "networkRuleSet.defaultAction", "Allow"),
        OPEN,
        "everyone can open Tcp 443",
    ),
    "a window is for another address": (
        put(ACCOUNT, FRONT, "networkRuleSet.ipRules.0.iPAddressOrRange", "198.51.100.8"),
        OPEN,
        "198.51.100.8 can open",
    ),
    "a window is for one address more": (
        put(
            ACCOUNT,
            FRONT,
            "networkRuleSet.ipRules",
            [{"iPAddressOrRange": OFFICE}, {"iPAddressOrRange": "198.51.100.8"}],
        ),
        OPEN,
        f"{OFFICE}, 198.51.100.8 can open",
    ),
    "a window is in an account that has none": (
        both(
            put(ACCOUNT, "va-long-beach-data", "publicNetworkAccess", "Enabled"),
            put(ACCOUNT, "va-long-beach-data", "networkRuleSet.ipRules", [{"iPAddressOrRange": OFFICE}]),
        ),
        OPEN,
        "of va-long-beach",
    ),
    "a window takes keys": (
        put(ACCOUNT, FRONT, "allowSharedKeyAccess", True),
        WEAK,
        "",
    ),
    "a window does not say until when": (put(ACCOUNT, FRONT, "tags.windowUntil", None), WEAK, ""),
    "a window says that it is open for ever": (put(ACCOUNT, FRONT, "tags.windowUntil", "never"), WEAK, ""),
    "a window is shut": (
        put(ACCOUNT, FRONT, "publicNetworkAccess", "Disabled"),
        MISSING,
        f"hungary's people cannot reach its account from {OFFICE}",
    ),
}


class TestVerification:
    @pytest.mark.parametrize("stack", ["dev", "prod"])
    def test_what_the_program_makes_is_what_is_intended(self, stack: str) -> None:
        doors = {"cleveland": door.door(), "hungary": door.window(reason="the spoke is ready in March")}
        federation = parties(stack, door.config(stack, doors))
        seen = verify(deployed(stack, **doors), federation, TODAY)
        assert [str(finding) for finding in seen.findings] == []
        cells = {(c.principal, c.target.resource): set(c.computed) for c in seen.access.cells}
        assert cells["cleveland's people", "data"] == {"list", "read", "write", "delete"}
        assert cells["cleveland's people", "scores"] == {"list", "read"}
        assert {where for who, where in cells if who == "cleveland's people"} == {"data", "scores"}

    def test_a_zone_of_the_hospitals_own_is_enough(self) -> None:
        assert found(cleveland=door.door(zoneId=door.ZONE)) == []
        lost = remove("network:PrivateDnsZoneGroup", "cleveland-door")
        (missing,) = found(lost, cleveland=door.door(zoneId=door.ZONE))
        assert (missing.kind, "no zone group of" in missing.where) == (MISSING, True)

    @pytest.mark.parametrize("name", BREAKS)
    def test_a_break_is_found(self, name: str) -> None:
        change, kind, what = BREAKS[name]
        named = [f for f in found(change) if f.kind is kind and re.search(what, f.what)]
        assert named, "\n".join(map(str, found(change))) or "nothing was found"

    def test_a_window_past_its_day_is_found(self) -> None:
        (over,) = [f for f in found(today=TOMORROW + dt.timedelta(days=1)) if f.kind is OPEN]
        assert f"{OFFICE} can open Tcp 443 at the storage" in over.what
        assert f"until {TOMORROW}" in over.where


def asked_by_blobs(entry: dict[str, Any]) -> tuple[Any, str | None]:
    """What the centre's VM is told of operators, and the container that the stack's outputs name."""
    graph = record("dev", door.config("dev", {"centre": entry}))
    machine = graph.named("vm-fed-dev-centre")
    where = graph.outputs["centre"].get("questions")
    told = json.loads(base64.b64decode(machine.inputs["userData"]))
    return told.get("operators"), where and where.rsplit("/", 1)[-1]


class TestTheCentre:
    DOOR: ClassVar = {"centre": door.centre()}

    def test_researchers_send_jobs_and_read_results_and_nothing_else(self) -> None:
        before = intended("dev", load("dev", door.config()))
        allowed, _ = difference(before, intended("dev", load("dev", door.config("dev", self.DOOR))))
        assert {(line.who, line.may) for line in allowed} == {
            ("centre's own network", f"reach centre/storage at {door.CENTRES_ADDRESS}"),
            ("centre's researchers", "be Storage Blob Data Contributor of centre/inbox"),
            ("centre's researchers", "be Storage Blob Data Reader of centre/results"),
        }
        assert found(**self.DOOR) == []

    def test_operators_ask_the_centre_and_read_its_answers_and_nothing_else(self) -> None:
        before = intended("dev", load("dev", door.config("dev", self.DOOR)))
        operated = {"centre": door.operated()}
        allowed, _ = difference(before, intended("dev", load("dev", door.config("dev", operated))))
        assert {(line.who, line.may) for line in allowed} == {
            ("centre's machine", "be Storage Blob Data Contributor of centre/questions"),
            ("centre's machine", "be Storage Blob Data Contributor of centre/answers"),
            ("centre's operators", "be Storage Blob Data Contributor of centre/questions"),
            ("centre's operators", "be Storage Blob Data Reader of centre/answers"),
        }
        assert found(**operated) == []

    def test_the_centres_vm_is_told_and_the_stack_says_where(self) -> None:
        assert asked_by_blobs(door.operated()) == (True, "questions")
        assert asked_by_blobs(door.centre()) == (None, None)

    def test_with_operators_the_centre_needs_no_way_out(self) -> None:
        config = door.config("dev", {"centre": door.operated()})
        config["fed:centre"]["egress"] = "none"
        config["fed:machine"]["image"] = {"galleryImageId": GALLERY}
        assert not parties("dev", config).centre.has_way_out
        del config["fed:centre"]["door"]["operators"]
        with pytest.raises(SettingsError, match=r"name fed:centre\.door\.operators"):
            load("dev", config)

    @pytest.mark.parametrize(
        ("change", "what"),
        [
            (
                rescoped("questions-centre-operators", "centre-server"),
                "centre's operators may .* server of centre",
            ),
            (
                rescoped("answers-centre-operators", "client-cleveland"),
                "centre's operators may .* client-cleveland of centre",
            ),
        ],
    )
    def test_operators_who_can_more_are_found(self, change: Change, what: str) -> None:
        seen = found(change, centre=door.operated())
        assert [f for f in seen if f.kind is OPEN and re.search(what, f.what)], "\n".join(map(str, seen))

    @pytest.mark.parametrize(
        ("change", "what"),
        [
            (
                lambda export: put(ENDPOINT, "centre-door", TO_DOOR, HUNGARYS(export))(export),
                "centre's door leads to .*hun",
            ),
            (
                rescoped("inbox-centre-researchers", "centre-server"),
                "centre's researchers may .* server of centre",
            ),
            (stray(OWN, door.CAMPUS), "opens .*clevel.* at 10.50.3.99"),
        ],
    )
    def test_a_break_is_found(self, change: Change, what: str) -> None:
        named = [f for f in found(change, **self.DOOR) if f.kind is OPEN and re.search(what, f.what)]
        assert named, "\n".join(map(str, found(change, **self.DOOR)))

    @pytest.mark.parametrize(
        ("entry", "key", "why"),
        [
            (door.centre(subnetId=DESKS), "endpoint.subnetId", "another subscription"),
            (door.centre(address="10.10.0.9"), "endpoint.address", "the range of centre"),
            (door.centre() | {"people": PEOPLE}, "people", "at both"),
            (door.centre() | {"operators": PEOPLE}, "people", "at both"),
            (door.centre() | {"operators": door.RESEARCHERS}, "operators", "decide which hospitals"),
            (door.centre() | door.window(), "window", "no such setting"),
        ],
    )
    def test_a_mistake_is_refused(self, entry: dict[str, Any], key: str, why: str) -> None:
        with pytest.raises(SettingsError, match=rf"door\.{key}: .*\n.*{why}"):
            load("dev", door.config("dev", {"cleveland": door.door(), "centre": entry}))


class Packets:
    """Lets through what the graph of a deployment allows, and changes of that."""

    def __init__(self, seen: Verification, **changes: bool) -> None:
        self._cells = {
            (c.source.address_text, c.destination.address_text): c.computed for c in seen.matrix.cells
        }
        self._changes = changes
        self._sources = {name: spot.address_text for name, spot in packets._sources(seen)}

    def probe(self, sources: Sequence[str], targets: Sequence[Target], seconds: float) -> list[Probe]:
        return [
            Probe(
                source=source,
                address=target.address,
                port=target.port,
                protocol=target.protocol,
                outcome="",
                passed=self._passes(source, target),
                rule="",
            )
            for source in sources
            for target in targets
        ]

    def _passes(self, source: str, target: Target) -> bool:
        if target.protocol != "tcp":
            return False
        if source == f"subnet:{DESKS}":
            expected = target.address == ADDRESS  # on every port: nothing of ours filters there
            return self._changes.get(target.address, expected) if target.port == 443 else expected
        allowed = self._cells.get((self._sources[source], target.address.replace(packets.SOMEWHERE, "")), ())
        return any(low <= target.port <= high for low, high in allowed)


class TestPackets:
    @pytest.mark.parametrize(
        ("changes", "differences"),
        [
            ({}, []),
            (
                {ADDRESS: False},
                [(MISSING, f"cleveland/own network .* to cleveland/door .{ADDRESS}., Tcp 443")],
            ),
            ({"10.10.1.4": True}, [(OPEN, "cleveland/own network .* to cleveland/machine .*, Tcp 443")]),
            ({"10.10.0.68": True}, [(OPEN, "cleveland/own network .* to centre/storage .*, Tcp 443")]),
        ],
    )
    def test_a_desk_reaches_the_door_and_nothing_else(
        self, changes: dict[str, bool], differences: list[tuple[Kind, str]]
    ) -> None:
        seen = verify(deployed(), parties("dev", door.config("dev", BOTH)), TODAY)
        measured = packets.measure(seen, Packets(seen, **changes))
        assert [
            (f.kind, bool(re.search(what, f.what)))
            for f, (_, what) in zip(measured.findings, differences, strict=True)
        ] == [(kind, True) for kind, _ in differences]


class TestPolicies:
    def test_a_window_past_its_day_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(storage, "today", lambda: TOMORROW)
        assert posture.check(deployed(), parties("dev", door.config("dev", BOTH))) == []
        monkeypatch.setattr(storage, "today", lambda: TOMORROW + dt.timedelta(days=1))
        (refused,) = posture.check(deployed(), parties("dev", door.config("dev", BOTH)))
        assert refused.rule == "storage-closed"
        assert f"its window ended on {TOMORROW}" in refused.where

    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            (stray(OWN, DESKS.replace("desks", "guests")), "endpoint-placed"),
            (stray(CENTRES, DESKS), "endpoint-placed"),
            (rescoped("data-cleveland-people", "cleveland-record"), "role-for-machines"),
            (put(ACCOUNT, FRONT, "networkRuleSet.ipRules.0.iPAddressOrRange", "0.0.0.0/0"), "storage-closed"),
            (put(ACCOUNT, FRONT, "tags.party", "centre"), "storage-closed"),
        ],
    )
    def test_what_a_door_must_not_be_is_refused(self, change: Change, rule: str) -> None:
        assert rule in {
            finding.rule
            for finding in posture.check(deployed("dev", change), parties("dev", door.config("dev", BOTH)))
        }


class TestTheHospitalsOwnNetwork:
    """What is read from Resource Manager of a network that the program did not make."""

    def left(self, *more: Resource) -> set[str]:
        vnet = resource("network:VirtualNetwork", HOUSE, subnets=[{"networkSecurityGroup": {"id": GROUP}}])
        peering = resource(
            "network:VirtualNetworkPeering",
            f"{HOUSE}/virtualNetworkPeerings/to-hub",
            remoteVirtualNetwork={"id": f"{NETWORK}/virtualNetworks/hub"},
        )
        everything = [vnet, resource("network:NetworkSecurityGroup", GROUP), peering, *more]
        meant = intent(parties("dev", door.config("dev", BOTH)))
        return {r.name for r in own_networks.without({r.key: r for r in everything}, meant).values()}

    def test_it_is_no_stranger_with_its_machines_groups_and_peerings(self) -> None:
        nic = resource(
            "network:NetworkInterface",
            f"{NETWORK}/networkInterfaces/nic-desk",
            ipConfigurations=[{"subnet": {"id": DESKS}}],
        )
        machine = resource(
            "compute:VirtualMachine", VM_ID, networkProfile={"networkInterfaces": [{"id": nic.id}]}
        )
        disk = resource("compute:Disk", VM_ID.replace("virtualMachines", "disks"), managedBy=VM_ID)
        assert self.left(nic, machine, disk) == set()

    def test_what_reaches_into_the_stack_stays_one(self) -> None:
        ours = resource("network:VirtualNetwork", f"{OURS}/virtualNetworks/ours", urn="urn")
        account = resource("storage:StorageAccount", ACCOUNT_ID, urn="urn")
        endpoint = resource(
            "network:PrivateEndpoint",
            f"{NETWORK}/privateEndpoints/stray",
            subnet={"id": DESKS},
            privateLinkServiceConnections=[{"privateLinkServiceId": account.id}],
        )
        joined = resource(
            "network:VirtualNetworkPeering",
            f"{HOUSE}/virtualNetworkPeerings/to-ours",
            remoteVirtualNetwork={"id": ours.id},
        )
        foreign = resource("network:VirtualNetwork", f"{NETWORK}/virtualNetworks/other")
        assert self.left(ours, account, endpoint, joined, foreign) == {
            "ours",
            "stclev",
            "stray",
            "to-ours",
            "other",
        }


GROUP = f"{NETWORK}/networkSecurityGroups/nsg-house"
VM_ID = f"/subscriptions/{CLEVELAND}/resourceGroups/rg-house/providers/Microsoft.Compute/virtualMachines/desk"
ACCOUNT_ID = OURS.replace("Microsoft.Network", "Microsoft.Storage/storageAccounts/stclev")


def resource(kind: str, arm_id: str, urn: str = "", **props: Any) -> Resource:
    return Resource(type=f"azure-native:{kind}", id=arm_id, urn=urn, props=copy.deepcopy(props))
