"""What is behind private endpoints, and whether accounts, registries and vaults have a public front."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import Deployment, Resource, key_of
from automation.verify.reach.network import Topology
from federation.stated import Window

PROOF = "graph"

_KINDS = {
    "storage:StorageAccount": "storage",
    "containerregistry:Registry": "registry",
    "keyvault:Vault": "vault",
}


@dataclass(frozen=True, kw_only=True)
class Meant:
    """The settings that open a front: a registry that takes pushes, and hospitals' windows as of `today`."""

    public_push: bool
    windows: tuple[Window, ...]
    today: dt.date


@dataclass(frozen=True, kw_only=True)
class Front:
    """The public front of one service: who on the internet gets an answer there, and who is meant to.

    `window` is the one that its owner's settings have, open or over.
    """

    owner: str
    service: str
    name: str
    open_to: tuple[str, ...]
    intended: bool
    cause: str
    window: Window | None = None


@dataclass(frozen=True, kw_only=True)
class Services:
    """All fronts, and the differences."""

    fronts: tuple[Front, ...]
    findings: tuple[Finding, ...]


def compute(
    deployment: Deployment,
    topology: Topology,
    parties: Mapping[str, str],
    meant: Meant,
) -> Services:
    """Look at every service of a deployment. ``parties`` maps subscription ids (lower case) to names."""
    fronts = tuple(
        _front(resource, kind, parties, meant)
        for token, kind in _KINDS.items()
        for resource in deployment.of(token)
    )
    return Services(
        fronts=fronts,
        findings=(
            *(_opened(f) for f in fronts if f.open_to and not f.intended),
            *(_shut(w) for w in meant.windows if w.is_open(meant.today) and not _is_there(w, fronts)),
            *_misled(deployment, topology),
        ),
    )


def _front(resource: Resource, kind: str, parties: Mapping[str, str], meant: Meant) -> Front:
    inside = "properties." if kind == "vault" else ""
    rules = {"storage": "networkRuleSet", "registry": "networkRuleSet", "vault": "properties.networkAcls"}[
        kind
    ]
    access = resource.at(f"{inside}publicNetworkAccess") or "Enabled"
    action = resource.at(f"{rules}.defaultAction") or "Allow"
    cause = f"{resource.name}: publicNetworkAccess {access}, {rules}.defaultAction {action}"
    owner = parties.get(resource.subscription, f"unknown subscription {resource.subscription}")
    open_to = () if str(access).lower() == "disabled" else _admitted(resource, rules, str(action))
    window = next((w for w in meant.windows if kind == "storage" and w.owner == owner), None)
    through = window is not None and window.is_open(meant.today) and open_to == (str(window.address),)
    return Front(
        owner=owner,
        service=kind,
        name=resource.name,
        open_to=open_to,
        intended=through or (kind == "registry" and meant.public_push),
        cause=cause,
        window=window,
    )


def _is_there(window: Window, fronts: Sequence[Front]) -> bool:
    return any(front.window is window and str(window.address) in front.open_to for front in fronts)


def _admitted(resource: Resource, rules: str, action: str) -> tuple[str, ...]:
    if action != "Deny":
        return ("everyone",)
    addresses: Sequence[str] = [
        str(rule.get("iPAddressOrRange") or rule.get("value")) for rule in resource.each(f"{rules}.ipRules")
    ]
    networks = [
        str(rule.get("virtualNetworkResourceId") or rule.get("id"))
        for rule in resource.each(f"{rules}.virtualNetworkRules")
    ]
    return (*addresses, *networks)


def _opened(front: Front) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule="public-front",
        what=f"{', '.join(front.open_to)} can open Tcp 443 at the {front.service} {front.name} "
        f"of {front.owner}, past every network here",
        where=front.cause if front.window is None else f"{front.cause}; {_words(front.window)}",
        why="only its roles then stand between the internet and what it holds",
        fix="set publicNetworkAccess Disabled, default action Deny, no exceptions (./fed up --refresh)",
    )


def _shut(window: Window) -> Finding:
    return Finding(
        kind=Kind.MISSING,
        proof=PROOF,
        rule="public-front",
        what=f"{window.owner}'s people cannot reach its account from {window.address}",
        where=_words(window),
        why="the hospital cannot upload its data",
        fix="open the window from the program (./fed up --refresh), or take it out of the settings",
    )


def _words(window: Window) -> str:
    return f"the window of the settings is for {window.address} until {window.until}"


def _misled(deployment: Deployment, topology: Topology) -> Iterator[Finding]:
    """Yield the endpoints that lead to something else than their own party's service."""
    for endpoint in {i.id: i for i in topology.interfaces if i.is_endpoint}.values():
        target = deployment.find(endpoint.target)
        if target is not None and target.subscription == key_of(endpoint.id).split("/")[2]:
            continue
        where = "nothing of this stack" if target is None else "another party's resource"
        yield Finding(
            kind=Kind.OPEN,
            proof=PROOF,
            rule="endpoint-target",
            what=f"{endpoint.name} leads to {where}: {endpoint.target}",
            where=f"{endpoint.name}: privateLinkServiceConnections",
            why="what a machine writes to that private address lands in a stranger's account",
            fix="delete the endpoint and make it again from the program (./fed up --refresh)",
        )
