"""The statement of intent says who may reach whom, and the security rules allow exactly that."""

from ipaddress import ip_address, ip_network
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.intent import intent
from federation.parties import Federation, federation
from federation.security_rules import SecurityRule, security_rules
from federation.settings import load
from federation.stated import Flow, Intent
from tests.unit.support.program_graph import stack_config

INTERNET_HOST = "93.184.216.34"
PORTS = (22, 53, 80, 443, 3389, 8002, 8443)


def built(hospitals: int = 3, egress: str = "nat", *, dashboards: bool = False) -> tuple[Federation, Intent]:
    config = stack_config("dev")
    config["fed:network"]["egress"] = egress
    config["fed:centre"]["egress"] = "nat"
    if egress == "firewall":
        config["fed:network"]["firewall"] = "10.200.0.4"
    if egress == "none":
        config["fed:machine"]["image"] = {
            "galleryImageId": "/subscriptions/20000000-0000-4000-8000-000000000000/resourceGroups/g/providers"
            "/Microsoft.Compute/galleries/g/images/i"
        }
    config["fed:hospitals"] = {
        f"hospital-{number}": {
            "subscriptionId": f"90000000-0000-4000-8000-{number:012d}",
            "addressSpace": f"10.20.{number}.0/27",
        }
        for number in range(hospitals)
    }
    if dashboards:
        for number, entry in enumerate([config["fed:centre"], *config["fed:hospitals"].values()]):
            entry["dashboard"] = {
                "workspace": f"91000000-0000-4000-8000-{number:012d}",
                "readers": f"92000000-0000-4000-8000-{number:012d}",
            }
    parties = federation(load("dev", config))
    return parties, intent(parties)


def subnets_of(parties: Federation) -> dict[tuple[str, str], str]:
    """(party, subnet) -> its range."""
    centre = parties.centre
    found = {
        (centre.name, "server"): str(centre.plan.server_subnet),
        (centre.name, "endpoints"): str(centre.plan.endpoint_subnet),
    }
    if centre.gateway:
        found[centre.name, "gateway"] = str(centre.plan.gateway_subnet)
    return found | {(h.name, "workload"): str(h.plan.workload_subnet) for h in parties.hospitals}


def hosts_of(parties: Federation) -> list[str]:
    """Every address of the plan, an intruder in each subnet, and somebody on the internet."""
    plan = parties.centre.plan
    known = [plan.server, plan.storage, plan.registry, plan.registry_data]
    known += [address for h in parties.hospitals for address in (h.plan.machine, h.plan.storage)]
    intruders = [ip_network(prefix)[20] for prefix in subnets_of(parties).values()]
    return [*map(str, (*known, *intruders)), INTERNET_HOST]


def contains(prefix: str, address: str) -> bool:
    if prefix == "*":
        return True
    if prefix == "Internet":
        return not ip_address(address).is_private
    return ip_address(address) in ip_network(prefix)


def decides(
    rules: tuple[SecurityRule, ...], direction: str, source: str, destination: str, port: int
) -> bool:
    """What Azure does with a new TCP connection: the matching rule of the lowest priority decides."""
    for rule in sorted((r for r in rules if r.direction == direction), key=lambda rule: rule.priority):
        if (
            rule.protocol in {"Tcp", "*"}
            and any(contains(prefix, source) for prefix in rule.sources)
            and any(contains(prefix, destination) for prefix in rule.destinations)
            and any(ports in {"*", str(port)} for ports in rule.ports)
        ):
            return rule.access == "Allow"
    raise AssertionError(
        "the last rule must decide everything: Azure's defaults open peered networks to each other"
    )


def intended(flow: Flow, source: str, destination: str, port: int) -> bool:
    return (
        flow.enforced_by == "nsg"
        and flow.protocol == "Tcp"
        and contains(flow.source.prefix, source)
        and contains(flow.destination.prefix, destination)
        and port in flow.ports
    )


class TestSecurityRules:
    @pytest.mark.parametrize(
        ("egress", "dashboards"),
        [("nat", False), ("firewall", False), ("none", False), ("none", True)],
        ids=str,
    )
    def test_allow_exactly_what_is_intended(self, egress: str, dashboards: bool) -> None:
        """Every pair of addresses, intruders included, on every port that matters, by both ends' rules."""
        parties, allowed = built(egress=egress, dashboards=dashboards)
        groups = {place: security_rules(allowed, *place) for place in subnets_of(parties)}
        ranges = {place: ip_network(prefix) for place, prefix in subnets_of(parties).items()}

        def rules_at(address: str) -> tuple[SecurityRule, ...] | None:
            return next(
                (groups[place] for place, space in ranges.items() if ip_address(address) in space), None
            )

        opened = 0
        for source, destination, port in product(hosts_of(parties), hosts_of(parties), PORTS):
            leaving, entering = rules_at(source), rules_at(destination)
            passes = (leaving is None or decides(leaving, "Outbound", source, destination, port)) and (
                entering is None or decides(entering, "Inbound", source, destination, port)
            )
            if leaving is None and entering is None:
                continue
            wanted = any(intended(flow, source, destination, port) for flow in allowed.flows)
            assert passes == wanted, (source, destination, port)
            opened += wanted
        assert opened == 3 + 3 * 5 + (2 if egress == "none" else 8) + (1 if dashboards else 0)

    @given(st.integers(0, 12))
    def test_have_names_and_priorities_that_azure_takes(self, hospitals: int) -> None:
        parties, allowed = built(hospitals)
        for place in subnets_of(parties):
            rules = security_rules(allowed, *place)
            assert len({rule.name for rule in rules}) == len(rules)
            assert len({(rule.direction, rule.priority) for rule in rules}) == len(rules)
            assert all(100 <= rule.priority <= 4096 and len(rule.description) <= 140 for rule in rules)

    def test_are_as_many_with_hundreds_of_hospitals(self) -> None:
        """Azure takes 1,000 rules a group: one rule names all hospitals, not one rule each."""
        _, few = built(2)
        _, many = built(200)
        assert len(security_rules(few, "centre", "server")) == len(security_rules(many, "centre", "server"))


class TestFlows:
    def test_hospitals_never_reach_each_other(self) -> None:
        _, allowed = built()
        between = [
            (flow.source.party, flow.destination.party)
            for flow in allowed.flows
            if {flow.source.party, flow.destination.party} <= {"hospital-0", "hospital-1", "hospital-2"}
        ]
        assert between
        assert all(source == destination for source, destination in between)

    def test_nobody_opens_a_connection_to_a_hospital(self) -> None:
        _, allowed = built()
        into = [flow for flow in allowed.flows if flow.destination.party.startswith("hospital")]
        assert {(flow.source.party, flow.destination.part) for flow in into} == {
            (f"hospital-{number}", "storage") for number in range(3)
        }
        assert all(flow.source.party == flow.destination.party for flow in into)

    def test_nobody_enters_from_the_internet(self) -> None:
        _, allowed = built()
        assert {flow.source.party for flow in allowed.flows} == {
            "centre",
            "hospital-0",
            "hospital-1",
            "hospital-2",
        }

    def test_nobody_leaves_without_egress(self) -> None:
        _, allowed = built(egress="none")
        leaving = {flow.source.party for flow in allowed.flows if flow.destination.party == "internet"}
        assert leaving == {"centre"}

    def test_power_bi_reaches_the_centres_storage_and_nothing_else(self) -> None:
        parties, allowed = built(dashboards=True)
        (flow,) = [flow for flow in allowed.flows if flow.source.part == "gateway"]
        assert (flow.destination.party, flow.destination.part, flow.ports) == ("centre", "storage", (443,))
        assert flow.source.prefix == str(parties.centre.plan.gateway_subnet)
        assert not [flow for flow in allowed.flows if flow.destination.part == "gateway"]

    def test_without_a_dashboard_there_is_no_gateway(self) -> None:
        parties, allowed = built()
        assert not parties.centre.gateway
        assert not [flow for flow in allowed.flows if flow.source.part == "gateway"]

    def test_each_says_why(self) -> None:
        _, allowed = built()
        assert all(len(flow.why) > 10 for flow in allowed.flows)


class TestGrants:
    def test_only_a_hospital_reads_its_own_data_and_it_cannot_change_them(self) -> None:
        _, allowed = built()
        on_data = [grant for grant in allowed.grants if grant.resource == "data"]
        assert len(on_data) == 3
        assert all(grant.principal == grant.owner for grant in on_data)
        assert {grant.role for grant in on_data} == {"Storage Blob Data Reader"}

    def test_a_hospitals_machine_reads_its_officers_answers_and_cannot_write_them(self) -> None:
        _, allowed = built()
        on_policy = [grant for grant in allowed.grants if grant.resource == "policy"]
        assert len(on_policy) == 3
        assert all(grant.principal == grant.owner for grant in on_policy)
        assert {grant.role for grant in on_policy} == {"Storage Blob Data Reader"}

    def test_nobody_elses_machine_writes_a_hospitals_record(self) -> None:
        _, allowed = built()
        assert all(g.principal == g.owner for g in allowed.grants if g.resource == "record")

    def test_a_hospital_shares_a_container_with_the_centre_alone(self) -> None:
        _, allowed = built()
        for number in range(3):
            users = {g.principal for g in allowed.grants if g.resource == f"client-hospital-{number}"}
            assert users == {"centre", f"hospital-{number}"}

    def test_nobody_but_the_centre_touches_its_own_container(self) -> None:
        _, allowed = built()
        assert {g.principal for g in allowed.grants if g.resource == "server"} == {"centre"}

    def test_the_readers_of_a_dashboard_read_their_own_container_alone(self) -> None:
        parties, allowed = built(dashboards=True)
        found = [(g.principal, g.owner, g.resource, g.role) for g in allowed.grants if g.group]
        assert found == [
            ("centre", "centre", "server", "Storage Blob Data Reader"),
            *((h.name, "centre", f"client-{h.name}", "Storage Blob Data Reader") for h in parties.hospitals),
        ]


class TestResolutions:
    def test_a_hospital_resolves_its_own_storage_and_the_centre_and_no_other_hospital(self) -> None:
        _, allowed = built()
        for number in range(3):
            names = allowed.resolutions_of(f"hospital-{number}")
            assert {(name.owner, name.service) for name in names} == {
                (f"hospital-{number}", "blob"),
                ("centre", "blob"),
                ("centre", "registry"),
                ("centre", "registry_data"),
                ("centre", "fl"),
            }

    def test_every_name_leads_to_an_address_that_a_flow_allows(self) -> None:
        _, allowed = built()
        for name in allowed.resolutions:
            if (name.viewer, name.service) == ("centre", "fl"):
                continue  # the server itself
            assert any(
                flow.source.party == name.viewer and flow.destination.prefix == f"{name.address}/32"
                for flow in allowed.flows
            ), name
