"""A hospital that leaves takes everything with it but its data, which keep their identity and lose their
way in.
"""

import re
from typing import Any

import pytest

from automation.hospitals.preflight import namespaces
from azure_types.types import find
from federation.notices import OF_HOSPITAL
from federation.parties import federation
from federation.stack_file import load_stack
from tests.unit.support.program_graph import ROOT, Graph, Recorded, record, stack_config

LEAVER = "hungary"
DATA_TYPES = (
    "azure-native:storage:StorageAccount",
    "azure-native:storage:BlobContainer",
    "azure-native:keyvault:Vault",
    "azure-native:keyvault:Key",
)


def with_leaver(stack: str, retired: str) -> dict[str, Any]:
    config = stack_config(stack)
    config["fed:hospitals"][LEAVER]["retired"] = retired
    return config


@pytest.fixture(scope="module")
def graphs() -> tuple[Graph, Graph, Graph]:
    """(before, leaving, left), in the stack that has keys, locks and all."""
    stack = "prod"
    return (
        record(stack),
        record(stack, with_leaver(stack, "leaving")),
        record(stack, with_leaver(stack, "left")),
    )


def of_leaver(graph: Graph) -> dict[str, Recorded]:
    return {
        urn: one for urn, one in graph.resources.items() if one.custom and one.provider.endswith(f"-{LEAVER}")
    }


def test_what_holds_the_data_is_neither_replaced_nor_changed(graphs: tuple[Graph, Graph, Graph]) -> None:
    before, _, left = graphs
    kept = {
        urn: one for urn, one in of_leaver(before).items() if one.typ in DATA_TYPES and "data" in one.name
    }
    assert {one.typ for one in kept.values()} >= {DATA_TYPES[0], DATA_TYPES[1]}
    for urn, one in kept.items():
        assert left.resources[urn].comparable == one.comparable


def test_the_record_of_who_touched_the_data_stays(graphs: tuple[Graph, Graph, Graph]) -> None:
    """Flow logs in their account, reads in the workspace: both below a lock and protected."""
    for graph in graphs:
        kept = of_leaver(graph).values()
        (workspace,) = (one for one in kept if one.typ.endswith(":Workspace"))
        (records,) = (one for one in kept if one.typ.endswith(":StorageAccount") and "logs" in one.name)
        assert workspace.protect and records.protect
        (group,) = (one for one in kept if one.typ.endswith(":ResourceGroup") and "data" in one.name)
        assert records.inputs["resourceGroupName"] == group.inputs["resourceGroupName"]
        services = [one for one in kept if one.typ.endswith(":BlobServiceProperties")]
        assert len(services) == 2
        assert all(one.inputs["deleteRetentionPolicy"]["enabled"] for one in services)


def test_nobody_is_told_of_a_machine_that_is_gone(graphs: tuple[Graph, Graph, Graph]) -> None:
    def alerts(graph: Graph) -> set[str]:
        of_alerts = [one for one in of_leaver(graph).values() if one.name.startswith("alert-")]
        return {one.name.rpartition(f"-{LEAVER}-")[2] for one in of_alerts}

    before, leaving, left = (alerts(graph) for graph in graphs)
    notices = {f"notice-{kind}" for kind in OF_HOSPITAL}
    assert before - leaving == before - left == {"agent", "vm-availability", *notices}
    assert "storage-availability" in left


def test_nothing_is_made_by_leaving(graphs: tuple[Graph, Graph, Graph]) -> None:
    before, leaving, left = graphs
    assert set(left.resources) <= set(before.resources)
    assert set(leaving.resources) <= set(left.resources)


def test_nothing_can_reach_what_stays(graphs: tuple[Graph, Graph, Graph]) -> None:
    left = of_leaver(graphs[2])
    types = {one.typ.rsplit(":", 1)[-1] for one in left.values()}
    gone = {
        "VirtualMachine",
        "VirtualNetwork",
        "VirtualNetworkPeering",
        "PrivateEndpoint",
        "NetworkInterface",
        "NatGateway",
    }
    assert not types & gone
    roles = [one for one in left.values() if one.typ.endswith(":RoleAssignment")]
    assert all("encryption" in one.name for one in roles), "only the key's own identity keeps a role"


def test_nobody_else_changes_but_the_centre_and_what_it_held_for_the_leaver(
    graphs: tuple[Graph, Graph, Graph],
) -> None:
    before, _, left = graphs
    for urn, one in before.resources.items():
        if not one.typ.startswith("azure-native:") or urn in of_leaver(before):
            continue
        about_leaver = LEAVER in one.name
        if about_leaver:
            assert urn not in left.resources, one.name
        elif left.resources[urn].comparable != one.comparable:
            told = ("VirtualMachine", "NetworkSecurityGroup")
            assert one.provider.endswith("-centre") and one.typ.endswith(told), one.name


def test_the_lock_is_lifted_to_leave_and_put_back_afterwards(graphs: tuple[Graph, Graph, Graph]) -> None:
    def locks(graph: Graph, party: str) -> set[str]:
        all_locks = graph.of("azure-native:authorization:ManagementLockByScope")
        return {one.name for one in all_locks if one.provider.endswith(f"-{party}")}

    before, leaving, left = (locks(graph, LEAVER) for graph in graphs)
    assert leaving == set()
    assert left == {name for name in before if name.endswith(("-data", "-workspace"))}
    assert len(left) == 2
    before, leaving, left = (locks(graph, "centre") for graph in graphs)
    assert leaving == set()
    assert left == before != set()
    before, leaving, left = (locks(graph, "cleveland") for graph in graphs)
    assert left == leaving == before != set()


def test_nothing_that_goes_is_protected(graphs: tuple[Graph, Graph, Graph]) -> None:
    before, leaving, _ = graphs
    gone = set(before.resources) - set(leaving.resources)
    assert [before.resources[urn].name for urn in gone if before.resources[urn].protect] == []


def test_who_has_left_is_no_member(graphs: tuple[Graph, Graph, Graph]) -> None:
    before, leaving, left = graphs
    assert LEAVER in before.outputs["hospitals"]
    assert LEAVER not in leaving.outputs["hospitals"]
    assert LEAVER not in left.outputs["hospitals"]


def test_preflight_looks_at_every_resource_provider_that_the_program_uses(
    graphs: tuple[Graph, Graph, Graph],
) -> None:
    whole = federation(load_stack(ROOT, "prod"))
    for party in whole.parties:
        used = set()
        for one in graphs[0].azure():
            type_ = find(one.typ)
            if type_ and one.provider.endswith(f"-{party.name}"):
                used.update(re.findall(r"/providers/(Microsoft\.\w+)/", type_.path))
                for subnet in one.inputs.get("subnets", ()):
                    used.update(each["serviceName"].split("/")[0] for each in subnet.get("delegations") or ())
        assert used == set(namespaces(whole.settings, party)), party.name
