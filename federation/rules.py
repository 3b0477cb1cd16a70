"""What must fit together in a stack's settings. What only dev may do is in `dev_only.py`.

Each rule is a generator over a draft (`draft.py`) in which a value that was already refused is None: a rule
says nothing about what it cannot read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, Final

from federation.address_plan import CENTRE_PREFIX, HOSPITAL_PREFIX
from federation.azure_facts import (
    PEERINGS_PER_NETWORK,
    REGIONS,
    TAGS_OF_A_ZONE,
    VM_SIZES,
    offers_redundancy,
)
from federation.dev_only import only_dev_may
from federation.door_rules import DOOR_RULES
from federation.problem import Problem
from federation.tags import OWN_TAGS, WINDOW_TAG
from federation.values import PRIVATE_RANGES, VM_IMAGES
from federation.violations import NOT_SET, violation
from federation.zone_rules import ZONE_RULES

if TYPE_CHECKING:
    from federation.settings import Centre, Hospital, Settings

STACKS: Final = ("dev", "mvp", "prod")

Rule = Callable[[str, "Settings"], Iterator[Problem]]


def check(stack: str, draft: Settings) -> Iterator[Problem]:
    """Every violation of a rule, in the order of `RULES`."""
    for rule in RULES:
        yield from rule(stack, draft)


def stack_is_the_environment(stack: str, draft: Settings) -> Iterator[Problem]:
    """A stack deploys the file that carries its own name."""
    if draft.environment is not None and draft.environment != stack:
        yield violation(
            key="fed:environment",
            value=draft.environment,
            why=f"the stack is called {stack}: it would be deployed under the rules and names of "
            f"{draft.environment}, over whatever {draft.environment} runs",
            fix=f"select the stack {draft.environment}, or write environment: {stack} into its file",
        )


def ranges_are_large_enough(stack: str, draft: Settings) -> Iterator[Problem]:
    """The address plan needs /24 at the centre and /27 at a hospital."""
    for name, party in _parties(draft):
        limit = CENTRE_PREFIX if name == "centre" else HOSPITAL_PREFIX
        space = party.address_space
        if space is not None and space.prefixlen > limit:
            yield violation(
                key=f"{_key(name)}.addressSpace",
                value=str(space),
                why="the subnets of the address plan do not fit into it",
                fix=f"give it a /{limit} or larger, for example {space.supernet(new_prefix=limit)}",
            )


def ranges_do_not_overlap(stack: str, draft: Settings) -> Iterator[Problem]:
    """Peered networks must not share an address, and neither must two hospitals of one hub."""
    spaces = [
        (name, party.address_space) for name, party in _parties(draft) if party.address_space is not None
    ]
    by_start = sorted(spaces, key=lambda item: (item[1].network_address, item[1].prefixlen))
    widest: tuple[str, IPv4Network] | None = None
    for name, space in by_start:
        if widest and space.overlaps(widest[1]):
            yield violation(
                key=f"{_key(name)}.addressSpace",
                value=str(space),
                why=f"it overlaps with {widest[1]} of {widest[0]}: Azure would refuse the peering, "
                "and the centre could not tell whose packets these are",
                fix=f"give {name} a range of its own, for example "
                f"{_free_range(space, [s for _, s in spaces])}",
            )
        if widest is None or space.broadcast_address > widest[1].broadcast_address:
            widest = (name, space)


def subscriptions_are_their_own(stack: str, draft: Settings) -> Iterator[Problem]:
    """One subscription a party: it is the wall between them."""
    owners: dict[str, str] = {}
    for name, party in _parties(draft):
        subscription = party.subscription_id
        if subscription is None:
            continue
        if subscription in owners:
            yield violation(
                key=f"{_key(name)}.subscriptionId",
                value=subscription,
                why=f"{owners[subscription]} has the same subscription: whoever administers it "
                "could reach the data of both, and their budgets and quotas would mix",
                fix=f"give {name} a subscription of its own",
            )
        owners.setdefault(subscription, name)


def dashboards_are_their_own(stack: str, draft: Settings) -> Iterator[Problem]:
    """One workspace, group and connection an audience: each is a way to what one party may see."""
    consequences = {
        "workspace": "whoever may open one dashboard could open the other",
        "readers": "one sign-in would read the tables of both",
        "connection": "one sign-in would refresh both, so it would have to read the tables of both",
    }
    owners: dict[tuple[str, str], str] = {}
    for name, party in _parties(draft):
        for field, why in consequences.items():
            value = getattr(party.dashboard, field, None)
            if value is None:
                continue
            owner = owners.setdefault((field, value), name)
            if owner != name:
                yield violation(
                    key=f"{_key(name)}.dashboard.{field}",
                    value=value,
                    why=f"{owner} has the same: {why}",
                    fix=f"give {name} one of its own",
                )


def hospitals_are_in_the_tenant(stack: str, draft: Settings) -> Iterator[Problem]:
    """One Entra tenant in this version (docs/adr/0006)."""
    for name, hospital in draft.hospitals.items():
        if None in (hospital.tenant_id, draft.tenant_id) or hospital.tenant_id == draft.tenant_id:
            continue
        yield violation(
            key=f"{_key(name)}.tenantId",
            value=hospital.tenant_id,
            why="a managed identity is known in its own tenant alone: the hospital's VM could "
            "neither read its container at the centre nor pull images",
            fix=f"use a subscription of tenant {draft.tenant_id}; several tenants are not supported",
        )


def hospitals_fit_on_the_hub(stack: str, draft: Settings) -> Iterator[Problem]:
    """Azure's limit of peerings per VNet."""
    count = len(draft.hospitals)
    if count > PEERINGS_PER_NETWORK:
        yield violation(
            key="fed:hospitals",
            value=f"{count} hospitals",
            why=f"Azure allows {PEERINGS_PER_NETWORK} peerings per VNet: the others could not be connected",
            fix=f"keep at most {PEERINGS_PER_NETWORK} hospitals in one federation",
        )


def machines_support_what_is_asked(stack: str, draft: Settings) -> Iterator[Problem]:
    """Trusted Launch always; encryption at host, premium disks and zones where set."""
    machine = draft.machine
    sizes: list[tuple[str, str | None]] = [("fed:machine.size", machine.size)]
    sizes += [(f"{_key(name)}.vmSize", party.vm_size) for name, party in _parties(draft)]
    for key, name in sizes:
        if name is None:
            continue
        size = VM_SIZES[name]
        lacks = [
            what
            for what, missing in (
                ("x64 images, which every image of this repository is", size.architecture != "x64"),
                ("Trusted Launch, which every VM uses", not size.trusted_launch),
                (
                    "encryption at host (fed:machine.encryptionAtHost)",
                    bool(machine.encryption_at_host) and not size.encryption_at_host,
                ),
                (
                    f"{machine.disk_sku} disks (fed:machine.diskSku)",
                    str(machine.disk_sku).startswith("Premium") and not size.premium_disks,
                ),
            )
            if missing
        ]
        if lacks:
            yield violation(
                key=key,
                value=name,
                why=f"this size does not support {'; nor '.join(lacks)}: Azure would refuse the VM",
                fix="choose a size that does, for example Standard_B2s_v2 or Standard_D2s_v5",
            )


def zones_exist(stack: str, draft: Settings) -> Iterator[Problem]:
    """Zones and zone-redundant disks or storage need a region that has them."""
    machine = draft.machine
    everywhere = [
        ("fed:machine.zone", machine.zone is not None),
        ("fed:machine.diskSku", str(machine.disk_sku).endswith("_ZRS")),
    ]
    needs: dict[tuple[str, str], list[str]] = {}
    for key, region, (sku_key, sku) in _accounts(draft):
        if region is not None and not REGIONS[region]:
            wants = [*everywhere, (sku_key, "ZRS" in str(sku))]
            needs.setdefault((key, region), []).extend(want for want, wanted in wants if wanted)
    for (key, region), needing in needs.items():
        if needing:
            yield violation(
                key=key,
                value=region,
                why="the region has no availability zones, which "
                f"{' and '.join(dict.fromkeys(needing))} need: Azure would refuse these resources",
                fix="choose a region with zones, for example westeurope, or settings without zones",
            )


def accounts_are_offered_where_they_are(stack: str, draft: Settings) -> Iterator[Problem]:
    """Copies in another region are not offered everywhere: some have no pair, some no zones for it."""
    for _, region, (key, sku) in _accounts(draft):
        if None in (region, sku) or not REGIONS[region] or offers_redundancy(region, sku):
            continue
        yield violation(
            key=key,
            value=sku,
            why=f"{region} does not offer it: Azure would refuse the storage account "
            "(RedundancyConfigurationNotAvailableInRegion)",
            fix="use Standard_ZRS, whose copies stay in the region, or another region",
        )


def hospitals_keep_several_copies(stack: str, draft: Settings) -> Iterator[Problem]:
    """A hospital's own choice is held to the same rule as the stack's (`dev_only.py`)."""
    for name, hospital in draft.hospitals.items():
        if draft.environment == "prod" and hospital.storage_sku == "Standard_LRS":
            yield violation(
                key=f"{_key(name)}.storageSku",
                value=hospital.storage_sku,
                why="one failed data centre would take the hospital's data along",
                fix="use Standard_ZRS, or leave storageSku out",
            )


def zonal_disks_fit_the_zone(stack: str, draft: Settings) -> Iterator[Problem]:
    """A zone-redundant disk belongs to no zone."""
    if draft.machine.zone is not None and str(draft.machine.disk_sku).endswith("_ZRS"):
        yield violation(
            key="fed:machine.diskSku",
            value=draft.machine.disk_sku,
            why="a zone-redundant disk cannot be pinned to fed:machine.zone: Azure would refuse it",
            fix="use Premium_LRS with a zone, or leave the zone out",
        )


def closed_networks_need_own_images(stack: str, draft: Settings) -> Iterator[Problem]:
    """Ubuntu's own image gets Docker from the package archive."""
    if draft.machine.image.gallery_image_id is not None:
        return
    switches: list[tuple[str, str | None]] = [("fed:network.egress", draft.network.egress)]
    switches += [(f"{_key(name)}.egress", party.egress) for name, party in _parties(draft)]
    for key, egress in switches:
        if egress == "none":
            yield violation(
                key=key,
                value=egress,
                why="Ubuntu's image has no Docker and gets it from the package archive at first "
                "boot: without a way out the VM would come up with nothing running in it, and say that it "
                "succeeded",
                fix="set egress: nat, or give fed:machine.image.galleryImageId an image with Docker inside",
            )


def firewalls_are_named(stack: str, draft: Settings) -> Iterator[Problem]:
    """A route needs its next hop, and a next hop a route to it."""
    for name, party in _parties(draft):
        egress = party.egress or draft.network.egress
        if egress == "firewall" and party.firewall is None and draft.network.firewall is None:
            yield violation(
                key=f"{_key(name)}.firewall",
                value=NOT_SET,
                why=f"egress of {name} is firewall: nobody could tell where its packets should go",
                fix="write the firewall's private address there, or as fed:network.firewall for everybody",
            )
        elif party.firewall is not None and egress is not None and egress != "firewall":
            yield violation(
                key=f"{_key(name)}.firewall",
                value=str(party.firewall),
                why=f"egress of {name} is {egress}: its packets would pass this firewall by",
                fix=f"write egress: firewall next to it, or take it out of {name}",
            )


def firewalls_are_outside(stack: str, draft: Settings) -> Iterator[Problem]:
    """This program puts nothing that forwards into a party's network."""
    named = [("fed:network.firewall", draft.network.firewall)]
    named += [(f"{_key(name)}.firewall", party.firewall) for name, party in _parties(draft)]
    spaces = [party.address_space for _, party in _parties(draft) if party.address_space is not None]
    for key, address in named:
        if address is not None and any(address in space for space in spaces):
            yield violation(
                key=key,
                value=str(address),
                why="it is in the range of a party, where nothing forwards: every packet would be lost",
                fix="write the address of the firewall in your own hub network",
            )


def operators_get_answers_from_the_centre(stack: str, draft: Settings) -> Iterator[Problem]:
    """Run command returns nothing without a way to Azure on 443; where the centre's door has operators, they
    ask by blobs.

    https://learn.microsoft.com/azure/virtual-machines/linux/run-command
    """
    key, egress = "fed:centre.egress", draft.centre.egress
    if egress is None:
        key, egress = "fed:network.egress", draft.network.egress
    if egress == "none" and not (draft.centre.door and draft.centre.door.operators):
        yield violation(
            key=key,
            value=egress,
            why="Azure's run command gets no answer out of a VM without a way out: status, jobs, "
            "train, approving and removing hospitals would wait for 90 minutes and fail",
            fix="set fed:centre.egress: nat, or name fed:centre.door.operators, who ask by blobs; hospitals "
            "may keep none, and then say nothing to ./fed logs",
        )


def image_has_one_source(stack: str, draft: Settings) -> Iterator[Problem]:
    """Workload images are either built here or pinned by digest."""
    images, registry = draft.images, draft.registry
    if images.build and images.digests:
        yield violation(
            key="fed:images.digests",
            value="(set)",
            why="images.build is true as well: nobody could tell which image runs",
            fix="keep one of the two",
        )
    if images.build is False and images.digests == {}:
        yield violation(
            key="fed:images.digests",
            value=NOT_SET,
            why="nothing is built and nothing is pinned: the VMs would have no image to run",
            fix="pin the digests (`./fed images promote` writes them), or set images.build: true in dev",
        )
    if images.digests and images.boxes is not None:
        needed = {*VM_IMAGES, *(f"box-{box}" for box in images.boxes)}
        if wrong := sorted(needed ^ set(images.digests)):
            yield violation(
                key="fed:images.digests",
                value=", ".join(sorted(images.digests)),
                why=f"{', '.join(wrong)}: an image without a digest could not be pulled, and one that nobody "
                "runs would be forgotten",
                fix=f"pin exactly {', '.join(sorted(needed))}: those of the VMs, and one for each of "
                "fed:images.boxes",
            )
    if images.build and registry.public_push is False:
        yield violation(
            key="fed:registry.publicPush",
            value=False,
            why="images.build is true, and a closed registry takes no push from outside its VNet",
            fix="set registry.publicPush: true (dev only), or pin digests",
        )


def keys_can_be_recovered(stack: str, draft: Settings) -> Iterator[Problem]:
    """Azure takes a customer-managed key from a purge-protected vault only."""
    encryption = draft.encryption
    if encryption.customer_managed_keys and encryption.purge_protection is False:
        yield violation(
            key="fed:encryption.purgeProtection",
            value=False,
            why="Azure refuses keys of a vault that can be purged (KeyVaultPolicyError): the "
            "storage account could not be created",
            fix="set purgeProtection: true; vault names carry a random suffix, so a kept name blocks nothing",
        )
    if encryption.hsm and encryption.customer_managed_keys is False:
        yield violation(
            key="fed:encryption.hsm",
            value=True,
            why="there is no key to keep in it, because customerManagedKeys is false",
            fix="set customerManagedKeys: true or remove hsm",
        )


def budgets_end_after_they_start(stack: str, draft: Settings) -> Iterator[Problem]:
    """Azure refuses a period that ends before it starts."""
    start, end = draft.budgets.start_date, draft.budgets.end_date
    if start is not None and end is not None and end <= start:
        yield violation(
            key="fed:budgets.endDate",
            value=str(end),
            why=f"the budget would end before it starts ({start}): Azure would refuse it",
            fix="write a later endDate, or leave it out",
        )


def tags_are_free(stack: str, draft: Settings) -> Iterator[Problem]:
    """The platform's own tags say whose a resource is."""
    for name in draft.tags or {}:
        if name.lower() in {*OWN_TAGS, WINDOW_TAG.lower()}:
            yield violation(
                key=f"fed:tags.{name}",
                value=draft.tags[name],
                why="the platform sets this tag itself: costs and policies are told apart by it",
                fix="use another name",
            )


def tags_fit_on_a_dns_zone(stack: str, draft: Settings) -> Iterator[Problem]:
    """Of all that is tagged, private DNS zones take the fewest; names differ by more than case."""
    names = list(draft.tags or {})
    most = TAGS_OF_A_ZONE - len(OWN_TAGS)
    if len(names) > most:
        yield violation(
            key="fed:tags",
            value=f"{len(names)} tags",
            why=f"a private DNS zone has {TAGS_OF_A_ZONE} at most, and {len(OWN_TAGS)} are the "
            "platform's own: Azure would refuse it in the middle of the deployment",
            fix=f"keep at most {most}",
        )
    first: dict[str, str] = {}
    for name in names:
        same = first.setdefault(name.lower(), name)
        if same != name:
            yield violation(
                key=f"fed:tags.{name}",
                value=draft.tags[name],
                why=f"Azure takes it and {same} for one tag: only one of the values would be kept",
                fix="keep one of the two",
            )


RULES: Final[tuple[Rule, ...]] = (
    stack_is_the_environment,
    ranges_are_large_enough,
    ranges_do_not_overlap,
    subscriptions_are_their_own,
    dashboards_are_their_own,
    hospitals_are_in_the_tenant,
    hospitals_fit_on_the_hub,
    machines_support_what_is_asked,
    zones_exist,
    accounts_are_offered_where_they_are,
    hospitals_keep_several_copies,
    zonal_disks_fit_the_zone,
    closed_networks_need_own_images,
    firewalls_are_named,
    firewalls_are_outside,
    operators_get_answers_from_the_centre,
    image_has_one_source,
    keys_can_be_recovered,
    budgets_end_after_they_start,
    tags_are_free,
    tags_fit_on_a_dns_zone,
    *DOOR_RULES,
    *ZONE_RULES,
    only_dev_may,
)


def _parties(draft: Settings) -> Iterator[tuple[str, Centre | Hospital]]:
    """The centre and the hospitals; one that calls itself centre was refused for its name already."""
    yield "centre", draft.centre
    yield from ((name, hospital) for name, hospital in draft.hospitals.items() if name != "centre")


def _accounts(draft: Settings) -> Iterator[tuple[str, Any, tuple[str, Any]]]:
    """Each party's storage account: the key and value of its region, and those of its SKU."""
    yield "fed:location", draft.location, ("fed:storage.centreSku", draft.storage.centre_sku)
    for name, hospital in draft.hospitals.items():
        key = f"{_key(name)}.location" if hospital.location else "fed:location"
        own = (f"{_key(name)}.storageSku", hospital.storage_sku)
        sku = own if hospital.storage_sku else ("fed:storage.hospitalSku", draft.storage.hospital_sku)
        yield key, hospital.location or draft.location, sku


def _key(party: str) -> str:
    return "fed:centre" if party == "centre" else f"fed:hospitals.{party}"


def _free_range(wanted: IPv4Network, taken: list[IPv4Network]) -> str:
    """The first range of the wanted size behind every taken one of the same private block, for the fix."""
    block = next(private for private in PRIVATE_RANGES if wanted.subnet_of(private))
    last = max(int(space.broadcast_address) for space in taken if space.subnet_of(block))
    start = -(-(last + 1) // wanted.num_addresses) * wanted.num_addresses
    if start + wanted.num_addresses - 1 > int(block.broadcast_address):
        return f"a free /{wanted.prefixlen} of another private block"
    return str(IPv4Network((start, wanted.prefixlen)))
