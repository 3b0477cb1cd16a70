"""What is made of the engine's events: whose resource, what happened to it, what was said."""

from typing import Any

import pytest
from pulumi.automation.events import EngineEvent

from automation.stacks.events import Record
from automation.stacks.urns import SHARED, party_of
from automation.stacks.view import sentence

PROVIDER = "urn:pulumi:dev::fed::pulumi:providers:azure-native::azure-fed-dev-{}::0b7c"
RANDOM = "urn:pulumi:dev::fed::pulumi:providers:random::random-fed-dev::0b7c"
HOSPITALS = ("va", "va-long-beach")


def urn(name: str, type_: str = "fed:components:HospitalTenant$azure-native:network:VirtualNetwork") -> str:
    return f"urn:pulumi:dev::fed::{type_}::{name}"


class TestParty:
    def test_is_that_of_the_provider_whatever_the_name_says(self) -> None:
        assert party_of("dev", urn("peer-fed-dev-va"), PROVIDER.format("centre"), HOSPITALS) == "centre"

    def test_is_that_of_a_hospital_that_left_the_settings(self) -> None:
        assert party_of("dev", urn("vnet-fed-dev-gone"), PROVIDER.format("gone"), ()) == "gone"

    @pytest.mark.parametrize(
        ("name", "party"),
        [
            ("suffix-fed-dev-va-long-beach-st", "va-long-beach"),
            ("suffix-fed-dev-va-st", "va"),
            ("suffix-fed-dev-vault", SHARED),
            ("image-fed-dev-centre-mlflow", "centre"),
            ("anything", SHARED),
        ],
    )
    def test_without_a_party_s_provider_is_that_of_the_name(self, name: str, party: str) -> None:
        assert party_of("dev", urn(name), RANDOM, HOSPITALS) == party


class TestRecord:
    def test_counts_what_was_done_by_party_and_leaves_out_components_and_providers(self) -> None:
        record = recorded(
            step("resourcePreEvent", "create", "vnet-fed-dev-va"),
            step("resOutputsEvent", "create", "vnet-fed-dev-va"),
            step("resourcePreEvent", "update", "nsg-fed-dev-va"),
            step("resourcePreEvent", "create", "hospital-fed-dev-va", custom=False),
            step("resOutputsEvent", "same", "azure-fed-dev-va", type_="pulumi:providers:azure-native"),
        )
        ((party, share),) = record.parties()
        assert party == "va"
        assert share.count() == {"created": 1}
        assert share.running() == [urn("nsg-fed-dev-va")]

    def test_keeps_when_each_change_began_and_ended(self) -> None:
        record = recorded(
            step("resourcePreEvent", "create", "vnet-fed-dev-va"),
            step("resourcePreEvent", "same", "nsg-fed-dev-va"),
            step("resOutputsEvent", "same", "nsg-fed-dev-va"),
            step("resOutputsEvent", "create", "vnet-fed-dev-va"),
        )
        assert record.changed() == {urn("vnet-fed-dev-va"): "created"}
        began, ended = record.times[urn("vnet-fed-dev-va")]
        inner_began, inner_ended = record.times[urn("nsg-fed-dev-va")]
        assert began <= inner_began <= inner_ended <= ended

    def test_counts_a_replacement_once(self) -> None:
        record = recorded(
            *(
                step("resOutputsEvent", op, "vm-fed-dev-va")
                for op in ("create-replacement", "replace", "delete-replaced")
            )
        )
        assert record.totals() == {"replaced": 1}
        assert sentence(record).startswith("1 replaced in ")

    def test_tells_errors_with_the_resource_and_not_that_the_update_failed(self) -> None:
        record = recorded(
            diagnostic("error: update failed", urn("fed-dev", "pulumi:pulumi:Stack")),
            diagnostic("<{%fg 1%}>error: <{%reset%}>Code=Conflict", urn("vnet-fed-dev-va")),
        )
        assert record.errors() == ["vnet-fed-dev-va (azure-native:network:VirtualNetwork): Code=Conflict"]

    def test_tells_what_the_program_said_when_nothing_else_went_wrong(self) -> None:
        record = recorded(diagnostic("error: Pulumi.dev.yaml: 1 setting is wrong", ""))
        assert record.errors() == ["Pulumi.dev.yaml: 1 setting is wrong"]

    def test_keeps_each_warning_once_and_leaves_out_where_plugins_come_from(self) -> None:
        plugin = "warning: using pulumi-resource-random from $PATH at /somewhere"
        record = recorded(
            *(diagnostic(plugin, "", severity="warning") for _ in range(2)),
            *(diagnostic("warning: old", "", severity="warning") for _ in range(2)),
        )
        assert record.warnings() == ["old"]


def recorded(*events: dict[str, Any]) -> Record:
    record = Record("dev", HOSPITALS)
    for event in events:
        record.add(EngineEvent.from_json({"sequence": 1, "timestamp": 0, **event}))
    return record


def step(
    event: str,
    operation: str,
    name: str,
    *,
    custom: bool = True,
    type_: str = "fed:components:HospitalTenant$azure-native:network:VirtualNetwork",
) -> dict[str, Any]:
    state = {
        "type": type_,
        "urn": urn(name, type_),
        "custom": custom,
        "id": "",
        "parent": "",
        "inputs": {},
        "outputs": {},
        "provider": PROVIDER.format("va"),
    }
    metadata = {
        "op": operation,
        "urn": urn(name, type_),
        "type": type_,
        "provider": "",
        "old": None,
        "new": state,
    }
    return {event: {"metadata": metadata}}


def diagnostic(message: str, about: str, severity: str = "error") -> dict[str, Any]:
    return {"diagnosticEvent": {"message": message, "color": "never", "severity": severity, "urn": about}}
