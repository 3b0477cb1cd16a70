"""Rules about several resources together, over the program's own plan and over plans that break them.

A preview knows no ids: there, what points at what is known from the engine's record of dependencies alone.
"""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from policies.check import broken
from policies.planned import Planned
from policies.rule import RULES
from pulumi_wire.values import UNKNOWN
from tests.unit.support.verify_deployment import exported

Entry = dict[str, Any]


def preview(stack: str, change: Callable[[list[Entry]], None] = lambda _: None) -> list[Planned]:
    """Return a stack's plan as the engine shows it in a preview: nothing that Azure answers is known."""
    entries = [e for e in exported(stack)["deployment"]["resources"] if e["custom"]]
    change(entries)
    subscriptions = {
        f"{e['urn']}::{e['id']}": e["inputs"].get("subscriptionId")
        for e in entries
        if e["type"].startswith("pulumi:providers:")
    }
    return [
        Planned(
            type=e["type"],
            name=e["urn"].rsplit("::", 1)[-1],
            urn=e["urn"],
            props=_unanswered(e["inputs"]),
            subscription=subscriptions.get(e.get("provider", "")),
            protect=e["protect"],
            refers=e["propertyDependencies"],
        )
        for e in entries
        if not e["type"].startswith("pulumi:providers:")
    ]


def _unanswered(value: Any, *, top: bool = True) -> Any:
    if isinstance(value, dict):
        return {
            k: UNKNOWN if top and k in ("name", "principalId", "clientId") else _unanswered(v, top=False)
            for k, v in value.items()
            if k != "containerName"
        }
    if isinstance(value, list):
        return [_unanswered(v, top=False) for v in value]
    is_id = isinstance(value, str) and re.match(r"/subscriptions/[^/]+/resourceGroups/", value, re.IGNORECASE)
    return UNKNOWN if is_id else value


def faults(rule: str, resources: list[Planned]) -> list[tuple[str, str]]:
    names = {r.urn: r.name for r in resources}
    return [(names[f.urn], f.what) for f in RULES[rule].stack_faults(resources)]


def entry(entries: list[Entry], kind: str, word: str) -> Entry:
    found = [e for e in entries if e["type"].endswith(f":{kind}") and word in e["urn"].rsplit("::", 1)[-1]]
    assert len(found) == 1, (kind, word, len(found))
    return found[0]


def also(entries: list[Entry], kind: str, word: str, name: str) -> Entry:
    """Add a copy of an entry under another name and return it."""
    new = copy.deepcopy(entry(entries, kind, word))
    new["urn"] = f"{new['urn'].rsplit('::', 1)[0]}::{name}"
    entries.append(new)
    return new


@pytest.mark.parametrize("stack", ["dev", "mvp", "prod"])
def test_the_program_breaks_no_rule(stack: str) -> None:
    found = [(one.rule.name, one.name, one.fault.what) for one in broken(stack, preview(stack))]

    assert found == []


def _peer_hospitals(entries: list[Entry]) -> None:
    half = also(entries, "VirtualNetworkPeering", "peer-fed-dev-cleveland-centre", "peer-bad")
    half["propertyDependencies"]["remoteVirtualNetwork"] = [
        entry(entries, "VirtualNetwork", "-hungary")["urn"]
    ]


def _lose_a_half(entries: list[Entry]) -> None:
    entries.remove(entry(entries, "VirtualNetworkPeering", "peer-fed-dev-centre-cleveland"))


def _foreign_zone(entries: list[Entry]) -> None:
    link = also(entries, "VirtualNetworkLink", "hungary-internal", "link-bad")
    link["propertyDependencies"]["virtualNetwork"] = [entry(entries, "VirtualNetwork", "-cleveland")["urn"]]


def _loose_address(entries: list[Entry]) -> None:
    also(entries, "PublicIPAddress", "cleveland", "pip-bad")


def _whole_account(entries: list[Entry]) -> None:
    role = also(entries, "RoleAssignment", "client-cleveland-cleveland", "role-bad")
    role["propertyDependencies"]["scope"] = [entry(entries, "StorageAccount", "centre-data")["urn"]]


def _others_cell(entries: list[Entry]) -> None:
    role = also(entries, "RoleAssignment", "client-cleveland-cleveland", "role-bad")
    role["propertyDependencies"]["scope"] = [entry(entries, "BlobContainer", "client-hungary")["urn"]]


def _wrong_provider(entries: list[Entry]) -> None:
    entry(entries, "StorageAccount", "cleveland-data")["provider"] = entry(
        entries, "StorageAccount", "hungary-data"
    )["provider"]


def _no_provider(entries: list[Entry]) -> None:
    entry(entries, "StorageAccount", "cleveland-data")["provider"] = ""


def _elsewhere(entries: list[Entry]) -> None:
    entry(entries, "StorageAccount", "cleveland-data")["inputs"]["location"] = "eastus"


def _gateway(entries: list[Entry]) -> None:
    also(entries, "VirtualNetwork", "-centre", "gateway")["type"] = (
        "azure-native:network:VirtualNetworkGateway"
    )


def _no_tags(entries: list[Entry]) -> None:
    del entry(entries, "StorageAccount", "cleveland-data")["inputs"]["tags"]["party"]


def _no_endpoint(entries: list[Entry]) -> None:
    entries.remove(entry(entries, "PrivateEndpoint", "cleveland-storage"))


def _open_elsewhere(entries: list[Entry]) -> None:
    for name in ("pep-door", "pep-bad"):  # a party may have one door
        stray = also(entries, "PrivateEndpoint", "centre-storage", name)
        stray["propertyDependencies"]["subnet"] = []
        stray["inputs"]["subnet"] = {"id": "/a/network/of/somebody/else"}


def _no_logs(entries: list[Entry]) -> None:
    entries.remove(entry(entries, "DiagnosticSetting", "cleveland-data"))


def _no_flow_log(entries: list[Entry]) -> None:
    entries.remove(entry(entries, "FlowLog", "hungary"))


def _no_lock(entries: list[Entry]) -> None:
    entries.remove(entry(entries, "ManagementLockByScope", "hungary-data"))


def _unprotected(entries: list[Entry]) -> None:
    entry(entries, "StorageAccount", "hungary-data")["protect"] = False


def _one_zone(entries: list[Entry]) -> None:
    entry(entries, "StorageAccount", "hungary-data")["inputs"]["sku"]["name"] = "Standard_LRS"


def _no_budget(entries: list[Entry]) -> None:
    entries.remove(entry(entries, "Budget", "hungary"))


def _end_versions_everywhere(entries: list[Entry]) -> None:
    lifecycle = entry(entries, "ManagementPolicy", "cleveland")
    del lifecycle["inputs"]["policy"]["rules"][0]["definition"]["filters"]["prefixMatch"]


BREAKS = [
    ("record-keeps-versions", "mvp", _end_versions_everywhere, "cleveland", "delete-old-versions ends them"),
    ("peering-hub-only", "dev", _peer_hospitals, "peer-bad", "it joins cleveland with hungary"),
    (
        "peering-hub-only",
        "dev",
        _lose_a_half,
        "peer-fed-dev-cleveland-centre",
        "the half of centre .* is missing",
    ),
    ("dns-own-network", "dev", _foreign_zone, "link-bad", "linked to the network of cleveland"),
    ("public-ip-only-for-nat", "dev", _loose_address, "pip-bad", "belongs to no NAT gateway"),
    ("role-never-on-data-account", "dev", _whole_account, "role-bad", "whole account st-fed-dev-centre-data"),
    (
        "role-own-cells",
        "dev",
        _others_cell,
        "role-bad",
        "cleveland gets a role on .*client-hungary of centre",
    ),
    (
        "party-subscription",
        "dev",
        _wrong_provider,
        "st-fed-dev-cleveland-data",
        "belongs to cleveland .*of hungary",
    ),
    ("explicit-provider", "dev", _no_provider, "st-fed-dev-cleveland-data", "names no subscription"),
    ("one-region", "dev", _elsewhere, "st-fed-dev-cleveland-data", "it is in eastus"),
    ("known-types", "dev", _gateway, "gateway", "VirtualNetworkGateway is not a type"),
    ("tags", "dev", _no_tags, "st-fed-dev-cleveland-data", "lacks the tags party"),
    ("storage-has-endpoint", "dev", _no_endpoint, "st-fed-dev-cleveland-data", "no private endpoint"),
    (
        "endpoint-placed",
        "dev",
        _open_elsewhere,
        "pep-bad",
        "has another door|leads to no account of its party",
    ),
    ("diagnostics", "dev", _no_logs, "st-fed-dev-cleveland-data", "no diagnostic setting"),
    ("flow-logs", "prod", _no_flow_log, "vnet-fed-prod-hungary", "no flow log"),
    (
        "prod-lock",
        "prod",
        _no_lock,
        "st-fed-prod-hungary-data",
        "neither it nor its resource group is locked",
    ),
    ("prod-protect", "prod", _unprotected, "st-fed-prod-hungary-data", "not protected"),
    ("storage-survives-a-zone", "prod", _one_zone, "st-fed-prod-hungary-data", "sku.name is Standard_LRS"),
    ("budget", "dev", _no_budget, "rg-fed-dev-hungary-", "has no budget"),
]


@pytest.mark.parametrize(("rule", "stack", "change", "culprit", "what"), BREAKS)
def test_a_broken_plan_is_stopped_and_the_culprit_named(
    rule: str, stack: str, change: Callable[[list[Entry]], None], culprit: str, what: str
) -> None:
    found = faults(rule, preview(stack, change))

    assert found
    assert any(culprit in name and re.search(what, text) for name, text in found), found


def test_locks_may_be_lifted_for_the_deployment_in_which_a_hospital_leaves() -> None:
    def leave(entries: list[Entry]) -> None:
        for kind, word in (("VirtualNetwork", "-hungary"), ("ManagementLockByScope", "hungary-data")):
            entries.remove(entry(entries, kind, word))
        for lock in [e for e in entries if "lock-fed-prod-centre" in e["urn"]]:
            entries.remove(lock)

    def leave_and_unlock_another(entries: list[Entry]) -> None:
        leave(entries)
        entries.remove(entry(entries, "ManagementLockByScope", "cleveland-data"))

    assert faults("prod-lock", preview("prod", leave)) == []
    bare = {name for name, _ in faults("prod-lock", preview("prod", leave_and_unlock_another))}
    assert bare == {"st-fed-prod-cleveland-data", "kv-fed-prod-cleveland"}


def test_every_rule_about_the_stack_is_broken_here_once() -> None:
    assert {rule for rule, *_ in BREAKS} == {name for name, rule in RULES.items() if rule.stack_wide}
