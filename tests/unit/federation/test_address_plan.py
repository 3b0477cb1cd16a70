"""Addresses of different parties never meet, and each lies where Azure lets it lie."""

from dataclasses import fields
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from federation.address_plan import CENTRE_PREFIX, HOSPITAL_PREFIX, centre_plan, hospital_plan


def spaces(longest_prefix: int) -> st.SearchStrategy[IPv4Network]:
    return st.tuples(st.integers(0, 2**24 - 1), st.integers(16, longest_prefix)).map(
        lambda drawn: IPv4Network(((10 << 24) + drawn[0], drawn[1]), strict=False)
    )


def subnets(plan: Any) -> list[IPv4Network]:
    return [getattr(plan, field.name) for field in fields(plan) if field.name.endswith("_subnet")]


def addresses(plan: Any) -> list[IPv4Address]:
    found = [getattr(plan, field.name) for field in fields(plan)]
    return [value for value in found if isinstance(value, IPv4Address)]


plans = st.one_of(spaces(CENTRE_PREFIX).map(centre_plan), spaces(HOSPITAL_PREFIX).map(hospital_plan))


class TestOnePlan:
    @given(plans)
    def test_subnets_lie_in_the_space_and_apart(self, plan: Any) -> None:
        found = subnets(plan)
        assert all(subnet.subnet_of(plan.space) for subnet in found)
        assert not any(a.overlaps(b) for i, a in enumerate(found) for b in found[i + 1 :])

    @given(plans)
    def test_each_address_is_usable_and_used_once(self, plan: Any) -> None:
        """Azure keeps the first four addresses and the last of every subnet."""
        found = addresses(plan)
        assert len(set(found)) == len(found)
        for address in found:
            (subnet,) = [subnet for subnet in subnets(plan) if address in subnet]
            assert int(address) - int(subnet.network_address) >= 4
            assert address != subnet.broadcast_address

    def test_is_what_the_documentation_says(self) -> None:
        centre = centre_plan(IPv4Network("10.10.0.0/24"))
        assert [str(a) for a in (centre.server, centre.storage, centre.registry_data, centre.registry)] == [
            "10.10.0.4",
            "10.10.0.68",
            "10.10.0.69",
            "10.10.0.70",
        ]
        hospital = hospital_plan(IPv4Network("10.10.1.0/27"))
        assert [str(a) for a in (hospital.machine, hospital.storage)] == ["10.10.1.4", "10.10.1.5"]


class TestTwoPlans:
    @given(plans, plans)
    def test_share_no_address_when_their_spaces_are_apart(self, one: Any, other: Any) -> None:
        if one.space.overlaps(other.space):
            return
        assert not set(addresses(one)) & set(addresses(other))
        assert not any(a.overlaps(b) for a in subnets(one) for b in subnets(other))
