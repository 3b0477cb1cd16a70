"""Peerings: two halves, one in each network, that only carry traffic while both stand.

The first half is Initiated, the second makes both Connected; when one goes, the other is Disconnected until
it is itself written again (Initiated) or deleted.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from emulator.arm import answers
from emulator.arm.catalogue import (
    WEAK_ETAG,
    Fixed,
    Reference,
    described,
    value_at,
)
from emulator.arm.context import Deletion, Write, new_etag
from emulator.arm.errors import ArmError, bad_request, not_found
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Json
from emulator.arm.network import addresses
from emulator.arm.network.common import bad_name, network_key
from emulator.arm.network.virtual_networks import PEERING, VIRTUAL_NETWORK, space
from emulator.arm.references import not_provisioned
from emulator.arm.store import Row, Transaction

REMOTE = "properties.remoteVirtualNetwork.id"


def reverse(tx: Transaction, local: str, remote: str) -> Row | None:
    """Return the other half: the peering in the remote network that names the local one."""
    for source, _, _ in tx.links_to(local, REMOTE):
        if source.startswith(remote.lower() + "/"):
            return tx.get(source)
    return None


def _check_pair(write: Write) -> None:
    network, remote = write.parent(), write.target(REMOTE)
    if remote is None:
        return
    own = f"{network.id}/virtualNetworkPeerings/{write.id.name}"
    if remote.key == network.key:
        raise bad_request(
            "InvalidRemoteVirtualNetwork",
            f"Peering {own} cannot reference its own parent virtual network {network.id}.",
        )
    for source, _, via in write.tx.links_to(remote.key, REMOTE):
        if source != write.id.key and source.startswith(network.key + "/"):
            raise bad_request(
                "AnotherPeeringAlreadyReferencesRemoteVnet",
                f"Peering {via} already references remote virtual network {remote.id}. Cannot add another "
                "peering "
                f"{own} referencing the same remote virtual network.",
            )
    _check_overlap(write, own, network, remote)
    other = reverse(write.tx, network.key, remote.key)
    if other is not None and other.properties["peeringState"] == "Disconnected":
        raise bad_request(
            "RemotePeeringIsDisconnected",
            f"Cannot create or update peering {own} because remote peering {other.id} referencing parent "
            "virtual "
            "network is in Disconnected state. Update or re-create the remote peering to get it back to "
            "Initiated "
            "state. Peering gets Disconnected when remote vnet or remote peering is deleted and re-created.",
        )
    if write.properties.get("useRemoteGateways"):
        raise bad_request(
            "RemoteVnetHasNoGateways",
            f"Peering {own} cannot have UseRemoteGateways flag set to true because remote virtual network "
            f"{remote.id} referenced by the peering does not have any gateways.",
        )


def _check_overlap(write: Write, own: str, network: Row, remote: Row) -> None:
    shared = _shared(space(network), space(remote))
    if shared:
        raise bad_request(
            "VnetAddressSpacesOverlap",
            f"Cannot create or update peering {own}. Virtual networks {network.id} and {remote.id} cannot "
            "be peered "
            f"because their address spaces overlap. Overlapping address prefixes: {', '.join(shared)}",
        )
    for here, there in ((network, remote), (remote, network)):
        for peering in write.tx.children(here.key, PEERING):
            third = peering.properties["remoteVirtualNetwork"]["id"]
            if third.lower() == there.key:
                continue
            remembered = peering.properties["remoteAddressSpace"]["addressPrefixes"]
            shared = _shared(
                space(there), [addresses.parse_prefix(prefix, peering.id) for prefix in remembered]
            )
            if shared:
                raise bad_request(
                    "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet",
                    f"Cannot create or update peering {own}. Virtual network {there.id} cannot be peered "
                    "with "
                    f"{here.id} because its address space overlaps with that of {third}, already peered with "
                    f"{here.id} by {peering.id}. Overlapping address prefixes: {', '.join(shared)}",
                )


def _shared(one: list[addresses.Network], other: list[addresses.Network]) -> list[str]:
    return [str(prefix) for first in one for second in other if addresses.overlap(first, second)
            for prefix in (first, second)]  # fmt: skip


def _connect(write: Write) -> None:
    network, remote = write.parent(), write.target(REMOTE)
    if remote is None:
        return
    properties = write.properties
    write.settle("properties.resourceGuid", str(uuid.uuid4()))
    properties["remoteAddressSpace"] = {
        "addressPrefixes": list(remote.properties["addressSpace"]["addressPrefixes"])
    }
    properties.pop("remoteVirtualNetworkAddressSpace", None)
    properties.pop("peeringSyncLevel", None)
    other = reverse(write.tx, network.key, remote.key)
    if other is None:
        properties["peeringState"] = "Initiated"
        return
    properties["peeringState"] = "Connected"
    if other.properties["peeringState"] != "Connected":
        other.properties["peeringState"] = "Connected"
        other.etag = new_etag()
        write.tx.put(other)


def _stamp_network(write: Write) -> None:
    if not write.inline:
        network = write.parent()
        network.etag = new_etag()
        write.tx.put(network)


def _disconnect(deletion: Deletion) -> None:
    remote = deletion.row.properties["remoteVirtualNetwork"]["id"]
    other = reverse(deletion.tx, deletion.row.parent, remote)
    if other is not None:
        other.properties["peeringState"] = "Disconnected"
        other.etag = new_etag()
        deletion.tx.put(other)
    network = deletion.tx.get(deletion.row.parent)
    if network is not None and not deletion.with_parent:
        network.etag = new_etag()
        deletion.tx.put(network)


def _render(tx: Transaction, row: Row, answer: Json) -> None:
    properties = answer["properties"]
    remote = tx.get(properties["remoteVirtualNetwork"]["id"])
    network = tx.get(row.parent)
    remembered = properties["remoteAddressSpace"]
    current = remote.properties["addressSpace"] if remote else remembered
    properties["remoteVirtualNetworkAddressSpace"] = {"addressPrefixes": current["addressPrefixes"]}
    local_behind = remote is not None and current["addressPrefixes"] != remembered["addressPrefixes"]
    other = reverse(tx, row.parent, remote.key) if remote else None
    remote_behind = other is None or (
        network is not None
        and other.properties["remoteAddressSpace"]["addressPrefixes"]
        != network.properties["addressSpace"]["addressPrefixes"]
    )
    if properties["peeringState"] == "Initiated":
        remote_behind = True  # 5 of 5 recorded halves
    properties["peeringSyncLevel"] = {
        (False, False): "FullyInSync",
        (True, False): "LocalNotInSync",
        (False, True): "RemoteNotInSync",
        (True, True): "LocalAndRemoteNotInSync",
    }[(local_behind, remote_behind)]


def _both_networks(key: str, body: Json) -> frozenset[str]:
    remote = value_at(body, REMOTE)
    return frozenset({network_key(key), network_key(remote) if isinstance(remote, str) else network_key(key)})


def _missing(id_: ResourceId) -> ArmError:
    return not_found("NotFound", f"Resource {id_.path} not found.", details=[])


def _own_network(key: str, _: Json) -> frozenset[str]:
    return frozenset({network_key(key)})


def _busy_remote(remote: Row, write: Write) -> ArmError:
    """Azure does not ask to try again: peerings must wait for their remote network (docs/adr/0007).

    Recorded: Test_Network_v1api20240301_CreationAndDeletion, 2025-07-15; terraform-provider-azurerm #2605,
    pulumi-azure-native #4340.
    """
    return bad_request("ReferencedResourceNotProvisioned", not_provisioned(remote, write), details=[])


TYPES = (
    replace(
        described(PEERING, error=bad_name),
        answers=answers.NETWORK,
        required=(REMOTE,),
        defaults={
            "properties": {
                "allowVirtualNetworkAccess": True,
                "allowForwardedTraffic": False,
                "allowGatewayTransit": False,
                "useRemoteGateways": False,
                "doNotVerifyRemoteGateways": False,
                "peerCompleteVnets": True,
            }
        },
        fixed=(
            Fixed(
                path=REMOTE,
                error=lambda _: bad_request(
                    "ChangingRemoteVirtualNetworkNotAllowed",
                    "The remote virtual network of a peering cannot be changed. Delete the peering and "
                    "create it "
                    "again.",
                ),
            ),
        ),
        references=(
            Reference(path=REMOTE, types=(VIRTUAL_NETWORK,), action="peer/action", busy=_busy_remote),
        ),
        check=(_check_pair, _connect),
        after=(_stamp_network,),
        gone=(_disconnect,),
        render=_render,
        holds=_both_networks,
        waits=_own_network,
        missing=_missing,
        etag=WEAK_ETAG,
        patch=(),
    ),
)
