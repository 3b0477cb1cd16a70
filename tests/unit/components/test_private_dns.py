"""`dns: existing`: an organisation's own zones name accounts and the registry, and the program makes none.

Landing zones deny zones called privatelink.* in spokes
(https://github.com/MicrosoftDocs/cloud-adoption-framework/issues/591) and have a policy write the records
(https://learn.microsoft.com/azure/cloud-adoption-framework/ready/azure-best-practices/private-link-and-dns-integration-at-scale).
"""

import copy
import dataclasses
from collections import defaultdict
from typing import Any

import pytest

from automation.delivery.intent_difference import difference, intended
from automation.hospitals import landing_zone, shared_zones
from automation.hospitals.shared_zones import ZoneAnswers
from automation.stacks.arm import Answer
from automation.verify.check import Verification, verify
from automation.verify.facts.resources import Deployment, Resource, read_export
from automation.verify.observed import live, own_networks, probes
from federation.intent import intent
from federation.settings import load
from federation.violations import SettingsError
from tests.unit.federation.test_settings import ZONES
from tests.unit.support import door_settings as door
from tests.unit.support.program_graph import record, stack_config
from tests.unit.support.verify_deployment import Export, deployment, exported, parties
from tests.unit.support.verify_mutations import entry

LINK, RECORD, ZONE = (
    f"azure-native:privatedns:{kind}" for kind in ("VirtualNetworkLink", "PrivateRecordSet", "PrivateZone")
)
GROUP = "azure-native:network:PrivateDnsZoneGroup"
ELSEWHERE = ZONES["blob"].replace("rg-dns", "rg-strangers")
POLICY: dict[str, str] = {}
"""Zones that the settings leave to a policy of the organisation."""


def config(zones: dict[str, str], doors: dict[str, Any] | None = None) -> dict[str, Any]:
    found = door.config("dev", doors)
    found["fed:network"] |= {"dns": "existing", **({"zones": zones} if zones else {})}
    return found


def inputs_by_type(zones: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in exported("dev", config(zones))["deployment"]["resources"]:
        found[one["type"]].append(one["inputs"])
    return found


def verified(zones: dict[str, str], there: Deployment) -> Verification:
    return verify(there, parties("dev", config(zones)))


class TestSettings:
    @pytest.mark.parametrize("zone", [None, ZONES["blob"]])
    def test_a_door_needs_a_zone_apart(self, zone: str | None) -> None:
        """Of two endpoints of an account, a zone has the record of one."""
        endpoint = door.door(zoneId=None)["endpoint"]
        hospital = config(ZONES, {"cleveland": door.door()})["fed:hospitals"]["cleveland"]
        subscription = hospital["subscriptionId"]
        zones = {name: value.replace(value.split("/")[2], subscription) for name, value in ZONES.items()}
        if zone is not None:
            endpoint["zoneId"] = zones["blob"]
        with pytest.raises(SettingsError) as caught:
            load("dev", config(zones, {"cleveland": door.door() | {"endpoint": endpoint}}))
        (found,) = caught.value.violations
        assert found.where == "fed:hospitals.cleveland.door.endpoint.zoneId"
        assert "only the network of the door" in found.fix

    def test_the_centres_door_needs_one_too(self) -> None:
        with pytest.raises(SettingsError) as caught:
            load("dev", config(ZONES, {"centre": door.centre()}))
        assert [one.where for one in caught.value.violations] == ["fed:centre.door.endpoint.zoneId"]

    def test_a_door_with_its_own_zone_and_a_window_are_fine(self) -> None:
        load("dev", config(ZONES, {"cleveland": door.door(zoneId=door.ZONE), "hungary": door.window()}))


class TestTheProgram:
    @pytest.mark.parametrize("zones", [ZONES, POLICY], ids=["named", "policy"])
    def test_makes_no_zone_but_its_own_for_the_server_and_writes_only_the_servers_name(
        self, zones: dict[str, str]
    ) -> None:
        made = inputs_by_type(zones)
        assert {zone["privateZoneName"] for zone in made[ZONE]} == {"federation.internal"}
        assert {link["privateZoneName"] for link in made[LINK]} == {"federation.internal"}
        assert {one["relativeRecordSetName"] for one in made[RECORD]} == {"fl"}

    def test_writes_each_endpoints_names_into_the_zones_that_are_named(self) -> None:
        found = [
            (group["privateEndpointName"], one["privateDnsZoneId"])
            for group in inputs_by_type(ZONES)[GROUP]
            for one in group["privateDnsZoneConfigs"]
        ]
        hospitals = sorted(stack_config("dev")["fed:hospitals"])
        assert sorted(found) == [
            ("pep-fed-dev-centre-registry", ZONES["registry"]),
            ("pep-fed-dev-centre-storage", ZONES["blob"]),
            *((f"pep-fed-dev-{name}-storage", ZONES["blob"]) for name in hospitals),
        ]

    def test_leaves_the_names_to_a_policy_and_still_writes_a_network_one_by_one(self) -> None:
        graph = record("dev", config(POLICY))
        assert graph.of(GROUP) == []
        registry = graph.named("pep-fed-dev-centre-registry")
        peering, *_ = graph.of("azure-native:network:VirtualNetworkPeering")
        assert graph.named("pep-fed-dev-centre-storage").urn in graph.behind(registry)
        assert registry.urn in graph.behind(peering)


class TestIntent:
    def test_only_the_servers_name_is_in_a_partys_own_zone(self) -> None:
        meant = intent(parties("dev", config(ZONES)))
        assert {one.service for one in meant.resolutions if one.kept_by == "party"} == {"fl"}
        assert meant.zones == (ZONES["blob"], ZONES["registry"])
        assert intent(parties("dev", config(POLICY))).zones == ()
        assert intent(parties("dev")).zones is None

    def test_a_pull_request_says_who_decides_about_names_from_now_on(self) -> None:
        before = intended("dev", load("dev", stack_config("dev")))
        (allowed,), gone = difference(before, intended("dev", load("dev", config(ZONES))))
        assert gone == [] and ZONES["registry"] in allowed.may and "DNS zones" in allowed.who


class TestVerify:
    @pytest.mark.parametrize("zones", [ZONES, POLICY], ids=["named", "policy"])
    def test_what_the_program_makes_is_what_is_meant(self, zones: dict[str, str]) -> None:
        assert verified(zones, deployment("dev", config=config(zones))).findings == ()

    def test_a_state_does_not_say_what_a_policy_wrote(self) -> None:
        answers = verified(POLICY, deployment("dev", config=config(POLICY))).names.answers
        assert {a.name for a in answers if a.computed is not None} == {"fl.federation.internal"}

    def test_a_name_in_a_strangers_zone_is_found_once_for_everybody(self) -> None:
        def lead_astray(export: Export) -> None:
            group = entry(export, "network:PrivateDnsZoneGroup", "cleveland")
            for part in ("inputs", "outputs"):
                group[part]["privateDnsZoneConfigs"][0]["privateDnsZoneId"] = ELSEWHERE

        (found,) = verified(ZONES, deployment("dev", lead_astray, config=config(ZONES))).findings
        assert found.kind == "missing" and "no zone of your organisation leads" in found.what

    def test_a_zone_of_the_same_name_in_a_party_is_found(self) -> None:
        found = verified(ZONES, deployment("dev")).findings
        assert {f.rule for f in found} == {"names"}
        assert any("cleveland asks privatelink.azurecr.io" in f.what for f in found)

    def as_live(self, *more: Resource) -> Deployment:
        there = read_export("dev", exported("dev", config(POLICY)))
        return dataclasses.replace(there, resources=(*there.resources, *more), live=True)

    def by_policy(self, zone: str = ELSEWHERE) -> Resource:
        """What the landing zones' policy makes: its zone group is called deployedByPolicy."""
        (endpoint,) = [
            r
            for r in deployment("dev", config=config(POLICY)).of("network:PrivateEndpoint")
            if "hungary" in r.name
        ]
        return Resource(
            type=GROUP,
            id=f"{endpoint.id}/privateDnsZoneGroups/deployedByPolicy",
            urn="",
            props={"privateDnsZoneConfigs": [{"name": "blob", "privateDnsZoneId": zone}]},
        )

    def test_what_a_policy_has_not_written_is_found_in_azure_and_what_it_wrote_is_taken(self) -> None:
        missing = {f.what.split()[6] for f in verified(POLICY, self.as_live()).findings}
        still = {f.what.split()[6] for f in verified(POLICY, self.as_live(self.by_policy())).findings}
        (written,) = missing - still
        assert written.endswith("privatelink.blob.core.windows.net")
        assert len(still) == 5  # two other hospitals, and three names of the centre's

    def test_its_zone_group_is_no_stranger_where_the_settings_leave_names_to_it(self) -> None:
        state, group = deployment("dev", config=config(POLICY)), self.by_policy()
        meant = {zones: intent(parties("dev", config(dict(zones)))) for zones in ((), tuple(ZONES.items()))}
        assert live.drift(state, self.as_live(group), meant[()]) == []
        (found,) = live.drift(state, self.as_live(group), meant[tuple(ZONES.items())])
        assert "deployedByPolicy" in found.what

    def test_the_organisations_zones_are_not_judged_wherever_they_are(self) -> None:
        """Also in a party's subscription, where everything is listed."""
        zone = Resource(type=ZONE, id=ZONES["blob"].upper(), urn="", props={})
        link = Resource(type=LINK, id=f"{ZONES['blob']}/virtualNetworkLinks/to-spoke", urn="", props={})
        other = Resource(type=ZONE, id=ELSEWHERE, urn="", props={})
        everything = {one.key: one for one in (zone, link, other)}
        meant = intent(parties("dev", config(ZONES)))
        assert list(own_networks.without(everything, meant)) == [other.key]


class TestFromWithin:
    def answered(self, **more: str) -> list[probes.Try]:
        """Cleveland's machine resolves what it should, and `more`."""
        found = verified(ZONES, deployment("dev", config=config(ZONES)))
        mine = {a.name: a.intended for a in found.names.answers if a.viewer == "cleveland"}
        said = {probes._public(a.name): sorted(mine.get(a.name, ())) for a in found.names.answers}
        hungarys = next(n for n in said if "hungar" in n)
        return list(probes._resolutions(found, "cleveland", {"names": said | {hungarys: [more["hungary"]]}}))

    def test_the_shared_zone_names_other_hospitals_accounts_too(self) -> None:
        assert all(one.agrees for one in self.answered(hungary="10.10.2.5"))

    def test_but_not_at_somebody_elses_address(self) -> None:
        (wrong,) = [one for one in self.answered(hungary="10.10.0.68") if not one.agrees]
        assert "hungar" in wrong.target


class TestPreflight:
    def test_a_policy_against_privatelink_zones_is_asked_only_where_they_are_made(self) -> None:
        def zones(found: dict[str, Any]) -> list[str]:
            whole = parties("dev", found)
            planned = landing_zone.planned(whole.settings, whole.centre)
            return [one["name"] for one in planned if one["type"].endswith("privateDnsZones")]

        assert zones(config(POLICY)) == ["federation.internal"]
        assert zones(copy.deepcopy(stack_config("dev"))) == ["privatelink.blob.core.windows.net"]

    @pytest.mark.parametrize(
        ("zone", "granted", "what"),
        [
            (
                Answer(status=404, body={"error": {"code": "ResourceNotFound", "message": "no"}}),
                "*",
                "the private",
            ),
            (
                Answer(status=403, body={"error": {"code": "AuthorizationFailed", "message": "no"}}),
                "*",
                "the private",
            ),
            (Answer(status=200, body={}), "*/read", "permission to name"),
            (Answer(status=200, body={}), shared_zones.JOIN, None),
        ],
    )
    def test_a_zone_that_would_stop_the_deployment_is_found(
        self, zone: Answer, granted: str, what: str | None
    ) -> None:
        permissions = Answer(status=200, body={"value": [{"actions": [granted], "notActions": []}]})
        answers = {ZONES["blob"]: ZoneAnswers(zone=zone, permissions=permissions)}
        found = [lack.what for lack in shared_zones.lacking(answers)]
        assert len(found) == (what is not None)
        assert all(str(what) in one and ZONES["blob"] in one for one in found)
