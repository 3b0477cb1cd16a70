"""Managed disks."""

from __future__ import annotations

import uuid
from dataclasses import replace

from emulator.arm import answers
from emulator.arm.catalogue import Fixed, Reference, described
from emulator.arm.compute.common import DISK, ENCRYPTION_SET, MACHINE, invalid, not_allowed, not_changeable
from emulator.arm.compute.encryption_sets import refuse_without_key
from emulator.arm.context import Deletion, Write
from emulator.arm.errors import ArmError, bad_request, not_found
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Json
from emulator.arm.store import Row, Transaction
from emulator.arm.times import stamp

GIB = 1024**3
SKUS = frozenset(
    {
        "Standard_LRS", "StandardSSD_LRS", "StandardSSD_ZRS", "Premium_LRS", "Premium_ZRS", "PremiumV2_LRS",
        "UltraSSD_LRS",
    }
)  # fmt: skip
OF_DISK = ("properties.storageProfile.dataDisks[].managedDisk.id", "os-disk")
"""How a machine points at its disks."""


def machine_with(tx: Transaction, disk: str) -> Row | None:
    """Return the machine that a disk is attached to."""
    for source, path, _ in tx.links_to(disk):
        row = tx.get(source)
        if path in OF_DISK and row is not None and row.type == MACHINE:
            return row
    return None


def _check_size(write: Write) -> None:
    size, before = write.properties.get("diskSizeGB"), write.before("properties.diskSizeGB")
    source = write.properties["creationData"]["createOption"]
    if size is None:
        if before is None and source == "Empty":
            raise invalid("Required parameter 'diskSizeGB' is missing (null).", "diskSizeGB")
        return
    if before is not None and size < before:
        raise bad_request(
            "ResizeDiskError", f"Cannot shrink disk {write.id.name} from {before} to {size} GB."
        )
    if not 1 <= size <= 32767:
        raise invalid(
            f"The size of disk {write.id.name} is not between 1 and 32767 GB: {size}.", "diskSizeGB"
        )
    write.properties["diskSizeBytes"] = size * GIB


def _check_sku(write: Write) -> None:
    name = (write.body.get("sku") or {}).get("name", "Standard_LRS")
    if name not in SKUS:
        raise invalid(f"The disk sku '{name}' is none of {', '.join(sorted(SKUS))}.", "sku.name")
    write.body["sku"] = disk_sku(name)


def disk_sku(name: str) -> Json:
    """Return the `sku` that is answered for a kind of disk."""
    return {"name": name, "tier": name.partition("_")[0].removesuffix("SSD").removesuffix("V2")}


def _check_encryption(write: Write) -> None:
    encryption = write.properties.setdefault("encryption", {"type": "EncryptionAtRestWithPlatformKey"})
    named = encryption.get("diskEncryptionSetId")
    if "CustomerKey" in str(encryption.get("type")) and not named:
        raise invalid("Encryption with a customer key needs a disk encryption set.", "encryption")
    found = write.tx.get(named) if named else None
    if found is None:
        return
    if found.location != write.body["location"]:
        raise invalid(f"Disk encryption set {found.id} is in '{found.location}', not where the disk is.")
    if named != write.before("properties.encryption.diskEncryptionSetId"):
        refuse_without_key(write.tx, found.id)


def _check_access(write: Write) -> None:
    if write.properties["networkAccessPolicy"] == "AllowPrivate" and not write.properties.get("diskAccessId"):
        raise invalid("networkAccessPolicy AllowPrivate needs a diskAccessId.", "networkAccessPolicy")


def _complete(write: Write) -> None:
    write.settle("properties.timeCreated", stamp(write.tx.now))
    write.settle("properties.uniqueId", str(uuid.uuid4()))


def _render(tx: Transaction, row: Row, answer: Json) -> None:
    machine = machine_with(tx, row.key)
    answer["properties"]["diskState"] = "Attached" if machine else "Unattached"
    if machine is not None:
        answer["managedBy"] = machine.id


def _keep_attached(deletion: Deletion) -> None:
    machine = machine_with(deletion.tx, deletion.row.key)
    if machine is not None:
        raise not_allowed(f"Disk {deletion.row.name} is attached to VM {machine.id}.")


def _encryption_of(managed: Json) -> Json:
    named = (managed.get("diskEncryptionSet") or {}).get("id")
    if named is None:
        return {"type": "EncryptionAtRestWithPlatformKey"}
    return {"type": "EncryptionAtRestWithCustomerKey", "diskEncryptionSetId": named}


def os_disk(tx: Transaction, *, group: str, machine: str, location: str, body: Json, zones: list[str]) -> Row:
    """Make the disk that a machine boots from; `body` is osDisk of its storage profile."""
    row = Row(
        id=f"{group}/providers/{DISK}/{body['name']}",
        type=DISK,
        body={
            "location": location,
            "sku": disk_sku(body["managedDisk"]["storageAccountType"]),
            "properties": {
                "osType": "Linux",
                "hyperVGeneration": "V2",
                "creationData": {"createOption": "FromImage"},
                "diskSizeGB": body["diskSizeGB"],
                "diskSizeBytes": body["diskSizeGB"] * GIB,
                "timeCreated": stamp(tx.now),
                "uniqueId": str(uuid.uuid4()),
                "encryption": _encryption_of(body["managedDisk"]),
                "networkAccessPolicy": "AllowAll",
                "publicNetworkAccess": "Enabled",
            },
        }
        | ({"zones": zones} if zones else {}),
        parent=group,
    )
    tx.put(row)
    tx.add_link(machine, "os-disk", row.key, machine)
    return row


def _missing(id_: ResourceId) -> ArmError:
    return not_found("NotFound", f"Disk {id_.name} is not found.")


TYPES = (
    replace(
        described(DISK),
        answers=answers.DISK,
        patch=("tags", "sku", "zones", "properties"),
        defaults={"properties": {"networkAccessPolicy": "AllowAll", "publicNetworkAccess": "Enabled"}},
        fixed=(
            Fixed(path="properties.creationData", error=not_changeable),
            Fixed(path="properties.osType", error=not_changeable),
            Fixed(path="zones", error=not_changeable),
        ),
        references=(
            Reference(
                path="properties.encryption.diskEncryptionSetId",
                types=(ENCRYPTION_SET,),
                same_subscription=True,
            ),
        ),
        check=(_check_size, _check_sku, _check_encryption, _check_access, _complete),
        keep=(_keep_attached,),
        missing=_missing,
        render=_render,
    ),
)
