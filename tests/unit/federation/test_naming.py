"""Every name is one that Azure takes, whatever a hospital is called."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.naming import (
    RULES,
    SUFFIX_LENGTH,
    UNIQUE_RULES,
    Names,
    client_container,
    role_assignment_name,
    unique_name,
)
from federation.values import HOSPITAL_NAME_LENGTH

stacks = st.sampled_from(["dev", "mvp", "prod"])
hospitals = st.from_regex(r"[a-z](-?[a-z0-9])*", fullmatch=True).filter(
    lambda name: len(name) <= HOSPITAL_NAME_LENGTH
)
suffixes = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=SUFFIX_LENGTH, max_size=SUFFIX_LENGTH)
#: The longest part of each kind that the program uses.
PARTS = (
    "",
    "endpoints",
    "storage-availability",
    "nsg-endpoints",
    "compute",
    "encryption",
    "registry",
    "180-days",
)

# From https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules, written down
# again.
LIMITS = {"pep": 64, "dcr": 64, "log": 63, "vm": 64, "vnet": 64, "budget": 63, "rg": 90, "bvault": 50}


class TestNames:
    @given(stack=stacks, party=hospitals, kind=st.sampled_from(sorted(RULES)), part=st.sampled_from(PARTS))
    def test_are_within_azures_limits(self, stack: str, party: str, kind: str, part: str) -> None:
        if kind in {"bvault"} and part:
            return  # one a party, without parts
        name = Names(stack=stack, party=party).of(kind, part)
        assert name.startswith(f"{kind}-fed-{stack}-{party}")
        assert len(name) <= LIMITS.get(kind, 80)
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*[a-z0-9]", name)

    def test_beyond_the_limit_are_refused_here_and_not_by_azure(self) -> None:
        with pytest.raises(ValueError, match="no name Azure takes"):
            Names(stack="prod", party="x" * 60).of("pep")

    @given(stack=stacks, one=hospitals, other=hospitals)
    def test_of_two_parties_differ(self, stack: str, one: str, other: str) -> None:
        names = [Names(stack=stack, party=party).of("vnet") for party in (one, other)]
        assert (one == other) == (names[0] == names[1])


class TestUniqueNames:
    @given(stack=stacks, party=hospitals, suffix=suffixes)
    def test_are_letters_and_digits_within_the_limits(self, stack: str, party: str, suffix: str) -> None:
        for kind, longest in {"st": 24, "kv": 24, "cr": 50}.items():
            name = unique_name(kind, stack, party, suffix, "data" if kind == "st" else "")
            assert re.fullmatch(r"[a-z][a-z0-9]{2,}", name)
            assert len(name) <= longest
            assert name.endswith(suffix)

    @given(stack=stacks, party=hospitals, suffix=suffixes)
    def test_of_one_partys_accounts_differ(self, stack: str, party: str, suffix: str) -> None:
        assert unique_name("st", stack, party, suffix, "data") != unique_name(
            "st", stack, party, suffix, "logs"
        )

    @given(stack=stacks, one=hospitals, other=hospitals, suffixes=st.tuples(suffixes, suffixes))
    def test_of_two_parties_differ_with_their_suffixes(
        self, stack: str, one: str, other: str, suffixes: tuple[str, str]
    ) -> None:
        if suffixes[0] == suffixes[1]:
            return
        for kind in UNIQUE_RULES:
            assert unique_name(kind, stack, one, suffixes[0]) != unique_name(kind, stack, other, suffixes[1])

    def test_a_suffix_that_azure_would_refuse_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no name Azure takes"):
            unique_name("st", "dev", "cleveland", "ABCDEF", "data")


class TestOtherNames:
    @given(hospitals)
    def test_the_shared_container_is_a_valid_one(self, hospital: str) -> None:
        name = client_container(hospital)
        assert 3 <= len(name) <= 63
        assert re.fullmatch(r"[a-z0-9](-?[a-z0-9])*", name)

    @given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
    def test_a_role_assignment_is_called_by_the_same_guid_in_every_run(self, words: list[str]) -> None:
        name = role_assignment_name(*words)
        assert uuid.UUID(name).version == 5
        assert name == role_assignment_name(*words)
        assert name != role_assignment_name(*words, "another")
