"""Everything in its party's subscription and region, with its tags, and of a type that can be checked."""

from collections import defaultdict
from collections.abc import Iterator

from policies.planned import Planned, at
from policies.rule import Fault, stack_rule
from policies.vocabulary import KNOWN_TYPES, REQUIRED_TAGS, TAGGED_TYPES
from pulumi_wire.values import UNKNOWN

AZURE = "azure-native:"


def _azure(resources: list[Planned]) -> Iterator[Planned]:
    yield from (r for r in resources if r.type.startswith(AZURE))


@stack_rule(
    "explicit-provider",
    why="a resource with the default provider lands in whatever subscription the operator's login points at.",
    fix="pass the party's provider from federation.providers.",
)
def providers_are_explicit(resources: list[Planned]) -> Iterator[Fault]:
    """Every Azure resource is made with an explicit provider of one subscription."""
    for resource in _azure(resources):
        if resource.subscription is None:
            yield Fault(urn=resource.urn, what="its provider names no subscription")


@stack_rule(
    "party-subscription",
    why="a resource of one party inside another's subscription belongs to whoever owns that subscription.",
    fix="make it with its own party's provider (the component's own provider; nothing merged).",
)
def parties_keep_to_their_subscription(resources: list[Planned]) -> Iterator[Fault]:
    """Each party's resources are in one subscription, and each subscription holds one party's."""
    seen: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    placed = [(r, r.party, r.subscription) for r in _azure(resources)]
    for _, party, subscription in placed:
        if party and subscription:
            seen[subscription][party] += 1
    owner = {subscription: max(counts, key=lambda p: counts[p]) for subscription, counts in seen.items()}
    homes: dict[str, str] = {}
    for subscription, party in owner.items():
        if seen[subscription][party] > seen.get(homes.get(party, ""), {}).get(party, 0):
            homes[party] = subscription
    for resource, party, subscription in placed:
        if party and subscription and (owner[subscription] != party or homes.get(party) != subscription):
            yield Fault(
                urn=resource.urn,
                what=f"it belongs to {party} (subscription {homes.get(party, 'unknown')}) but is made in "
                f"{subscription} of {owner[subscription]}",
            )


@stack_rule(
    "one-region",
    why="data placed in another region may leave the jurisdiction its hospital is bound to.",
    fix="leave location to the party's settings.",
)
def parties_keep_to_their_region(resources: list[Planned]) -> Iterator[Fault]:
    """All resources of a subscription are in the region of its resource groups (or global)."""
    regions: dict[str | None, set[str]] = defaultdict(set)
    for group in resources:
        if group.type == "azure-native:resources:ResourceGroup":
            regions[group.subscription].add(_region(group) or "")
    for resource in _azure(resources):
        region, allowed = _region(resource), regions[resource.subscription]
        if region and region != "global" and allowed and region not in allowed:
            yield Fault(
                urn=resource.urn, what=f"it is in {region}, its party's groups are in {', '.join(allowed)}"
            )


def _region(resource: Planned) -> str | None:
    found = at(resource.props, "location")
    return found.lower().replace(" ", "") if isinstance(found, str) else None


@stack_rule(
    "known-types",
    why="./fed verify proves isolation from the types it understands; a gateway, firewall or load "
    "balancer it does "
    "not know could open what it reports as closed.",
    fix="do without the resource, or teach automation/verify its effect and mark its type as verified in "
    "azure_types/overrides.py.",
)
def types_are_known(resources: list[Planned]) -> Iterator[Fault]:
    """Only resource types that verification understands are used."""
    for resource in _azure(resources):
        if resource.type not in KNOWN_TYPES:
            yield Fault(urn=resource.urn, what=f"{resource.type} is not a type of this platform")


@stack_rule(
    "tags",
    why="cost, ownership and these very rules go by tags.",
    fix="pass the party's tags from federation.tags.",
)
def taggable_resources_have_tags(resources: list[Planned]) -> Iterator[Fault]:
    """Every resource that can carry tags carries the platform's."""
    for resource in _azure(resources):
        tags = at(resource.props, "tags")
        if resource.type not in TAGGED_TYPES or tags is UNKNOWN:
            continue
        missing = [t for t in REQUIRED_TAGS if not at(tags, t)]
        if missing:
            yield Fault(urn=resource.urn, what=f"it lacks the tags {', '.join(missing)}")
