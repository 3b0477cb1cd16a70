"""Virtual machines: what they are made of, their power, and commands run in them.

What the datacentre alone sees is next to the body: `power` (running, stopped, deallocated), `boot` (one more
with every start), and what the machine boots from, which Azure never answers.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

from emulator.arm import answers, ids
from emulator.arm.catalogue import Fixed, Reference, complete, described
from emulator.arm.compute.capacity import sizes
from emulator.arm.compute.common import (
    DISK,
    ENCRYPTION_SET,
    EXTENSION,
    MACHINE,
    invalid,
    not_allowed,
    not_changeable,
)
from emulator.arm.compute.disks import machine_with, os_disk
from emulator.arm.compute.encryption_sets import refuse_without_key
from emulator.arm.compute.images import IMAGES, LATEST, is_published
from emulator.arm.compute.logins import CUSTOM_DATA, USER_DATA, check_data, check_login, check_patching
from emulator.arm.compute.power import run_command, turn, view
from emulator.arm.context import Context, Deletion, Write
from emulator.arm.errors import bad_request, conflict, not_found
from emulator.arm.messages import Json, Request, Response
from emulator.arm.network.common import network_key
from emulator.arm.network.interface_links import OF_MACHINE, endpoint_of, machine_of, subnets_of
from emulator.arm.store import Row, Transaction
from emulator.arm.times import stamp
from emulator.arm.writes import remove

INTERFACE = "Microsoft.Network/networkInterfaces"
SIZE = "properties.hardwareProfile.vmSize"
OF_DATA_DISK = "properties.storageProfile.dataDisks[].managedDisk.id"
OF_ENCRYPTION_SET = "properties.storageProfile.osDisk.managedDisk.diskEncryptionSet.id"
GALLERIES = "microsoft.compute/galleries/"
PROFILE: Json = {
    "secrets": [],
    "allowExtensionOperations": True,
    "requireGuestProvisionSignal": True,
    "linuxConfiguration": {
        "disablePasswordAuthentication": False,
        "provisionVMAgent": True,
        "patchSettings": {"patchMode": "ImageDefault", "assessmentMode": "ImageDefault"},
    },
}
PREMIUM = re.compile(r"Standard_[A-Z]+\d+[a-z]*s")
"""Sizes that take premium disks: the letter s.
https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions"""
SIZES = re.compile(r"Standard_(B\d+[a-z]*s_v2|[DE]\d+[a-z]*_v[2-6]|A\d+m?_v2|F\d+[a-z]*_v2)")
"""The size families known here."""
NO_TRUSTED_LAUNCH = re.compile(r"Standard_(A\d+m?_v2|[DE]\d+s?_v[23]|D\d+pl?s_v5)")
ARM_SIZE = re.compile(r"Standard_[A-Z]+\d+p[a-z]*_v\d")
"""Sizes with Arm processors."""


def _check_size(write: Write) -> None:
    size = str(write.get(SIZE))
    if SIZES.fullmatch(size) is None:
        raise invalid(f"The value {size} provided for the VM size is not valid.", "vmSize")
    security = write.properties.get("securityProfile") or {}
    if security.get("securityType") == "TrustedLaunch" and NO_TRUSTED_LAUNCH.fullmatch(size):
        raise bad_request("BadRequest", f"The VM size '{size}' does not support Trusted Launch.")


def _check_image(write: Write) -> None:
    image = write.get("properties.storageProfile.imageReference") or {}
    if write.old is not None:
        exact = write.before("properties.storageProfile.imageReference.exactVersion")
        write.properties["storageProfile"]["imageReference"] = image | (
            {"exactVersion": exact} if exact else {}
        )
        return
    if image.get("id"):
        # Galleries are not modelled: their images are taken on trust.
        parsed = ids.parse(str(image["id"]))
        if parsed is None or not parsed.type.lower().startswith(GALLERIES):
            raise invalid(f"The image '{image['id']}' is not an image of a gallery.", "imageReference.id")
        return
    publisher, offer, sku = (str(image.get(name, "")) for name in ("publisher", "offer", "sku"))
    found = IMAGES.get(publisher.lower(), {}).get(offer.lower(), {}).get(sku.lower())
    version = str(image.get("version"))
    if found is None or (version != "latest" and not is_published(version, write.tx.now)):
        raise not_found(
            "PlatformImageNotFound",
            f"The platform image '{publisher}:{offer}:{sku}:{image.get('version')}' is not available. Verify "
            "that all fields in the storage profile are correct.",
        )
    _check_fit(write, *found)
    image["exactVersion"] = LATEST if version == "latest" else version


def _check_fit(write: Write, architecture: str, generation: str) -> None:
    size = str(write.get(SIZE))
    has = "Arm64" if ARM_SIZE.fullmatch(size) else "x64"
    if has != architecture:
        raise bad_request(
            "BadRequest",
            f"Cannot create a VM of size '{size}' because this VM size only supports a CPU Architecture of "
            f"'{has}', but an image or disk with CPU Architecture '{architecture}' was given. Please check "
            "that the CPU Architecture of the image or disk is compatible with that of the VM size.",
        )
    if generation == "V1" and write.get("properties.securityProfile.securityType"):
        raise bad_request(
            "BadRequest",
            "The selected image is not supported for virtual machines with Trusted Launch or Confidential "
            "security type: it is of generation 1.",
        )


def _check_interfaces(write: Write) -> None:
    interfaces = write.properties["networkProfile"]["networkInterfaces"]
    for one in interfaces:
        one.setdefault("properties", {})
    primaries = [one for one in interfaces if one["properties"].get("primary")]
    if len(interfaces) == 1 and not primaries:
        interfaces[0]["properties"]["primary"] = True
    elif len(primaries) != 1:
        raise invalid("A VM needs exactly one primary network interface.", "networkProfile")
    networks: set[str] = set()
    for one in interfaces:
        owner = machine_of(write.tx, str(one["id"]).lower())
        if owner is not None and owner.key != write.id.key:
            raise bad_request(
                "NicInUse",
                f"Network Interface {one['id']} is used by existing resource {owner.id}.",
            )
        row = write.tx.get(str(one["id"]))
        if row is not None and endpoint_of(write.tx, row.key) is not None:
            raise bad_request(
                "NicInUseWithPrivateEndpoint",
                f"Network interface {row.id} cannot be used by a VM because it belongs to a private "
                "endpoint.",
            )
        networks |= {network_key(subnet) for subnet in subnets_of(row)} if row is not None else set()
    if len(networks) > 1:
        raise bad_request(
            "SubnetsNotInSameVnet",
            f"The network interfaces of VM {write.id.path} are in more than one virtual network: "
            f"{', '.join(sorted(networks))}.",
        )
    _check_stopped(write, interfaces)


def _check_stopped(write: Write, interfaces: list[Json]) -> None:
    """Interfaces come and go only while the machine is deallocated."""
    before = {
        str(one["id"]).lower() for one in write.before("properties.networkProfile.networkInterfaces") or []
    }
    now = {str(one["id"]).lower() for one in interfaces}
    if write.old is not None and before != now and write.old.hidden.get("power") != "deallocated":
        raise conflict(
            "AddingOrDeletingNetworkInterfacesOnARunningVirtualMachine",
            "Secondary network interfaces cannot be added or deleted from a running virtual machine "
            f"{write.id.name}. Please stop and deallocate it.",
        )


def _check_data_disks(write: Write) -> None:
    disks = write.get("properties.storageProfile.dataDisks") or []
    luns = [disk["lun"] for disk in disks]
    if len(set(luns)) != len(luns):
        raise invalid(f"The luns of the data disks are not all different: {luns}.", "dataDisks.lun")
    for disk in disks:
        if disk["createOption"] != "Attach":
            raise invalid(
                f"Data disk lun {disk['lun']} is not attached: the emulator knows createOption Attach only; "
                "make the disk a resource of its own.",
                "dataDisks.createOption",
            )
        row = write.tx.get(str((disk.get("managedDisk") or {}).get("id", "")))
        if row is None:
            raise invalid(f"Data disk lun {disk['lun']} names no disk.", "dataDisks.managedDisk.id")
        owner = machine_with(write.tx, row.key)
        if owner is not None and owner.key != write.id.key:
            raise not_allowed(f"Disk {row.id} is already attached to VM {owner.id}.")
        if sorted(row.body.get("zones") or []) != sorted(write.body.get("zones") or []):
            raise bad_request(
                "BadRequest",
                f"Disk {row.id} cannot be attached to the VM because it is not in the zone of the VM.",
            )
        disk["name"] = row.name
        disk.setdefault("caching", "None")
        disk["diskSizeGB"] = row.properties.get("diskSizeGB")
        disk["toBeDetached"] = False


def _name_os_disk(write: Write) -> None:
    disk: Json = write.properties["storageProfile"].setdefault("osDisk", {})
    disk.setdefault("createOption", "FromImage")
    before = write.before("properties.storageProfile.osDisk") or {}
    disk.setdefault("osType", "Linux")
    disk.setdefault("caching", "ReadWrite")
    disk.setdefault("deleteOption", "Detach")
    disk["name"] = disk.get("name") or before.get("name") or f"{write.id.name}_OsDisk_1_{uuid.uuid4().hex}"
    if before and disk["name"] != before["name"]:
        raise not_changeable("osDisk.name")
    disk["diskSizeGB"] = disk.get("diskSizeGB") or before.get("diskSizeGB") or 30
    managed = disk.setdefault("managedDisk", {})
    premium = PREMIUM.match(str(write.get(SIZE))) is not None
    managed.setdefault("storageAccountType", "Premium_LRS" if premium else "Standard_LRS")
    managed["id"] = f"{ids.group_id(write.id.path)}/providers/{DISK}/{disk['name']}"


def _check_os_encryption(write: Write) -> None:
    encryption_set = write.get(OF_ENCRYPTION_SET)
    if encryption_set and write.before(OF_ENCRYPTION_SET) != encryption_set:
        refuse_without_key(write.tx, encryption_set)


def _fill_in_profile(write: Write) -> None:
    """Say of the system what Azure assumes (23 of 23 recorded, as Test_Compute_VM_20220301_CRUD, 2024)."""
    write.properties["storageProfile"].setdefault("dataDisks", [])
    profile = write.properties.get("osProfile")
    if profile is not None:
        write.properties["osProfile"] = complete(profile, PROFILE)


def _complete(write: Write) -> None:
    write.settle("properties.vmId", str(uuid.uuid4()))
    write.settle("properties.timeCreated", stamp(write.tx.now))
    if write.old is None:
        write.hidden |= {"power": "running", "boot": 1}
    elif write.before(SIZE) != write.get(SIZE) and write.hidden["power"] == "running":
        write.hidden["boot"] = int(write.hidden["boot"]) + 1  # another size is another boot


def _make_os_disk(write: Write) -> None:
    group = ids.group_id(write.row.id)
    disk = write.row.properties["storageProfile"]["osDisk"]
    row = write.tx.get(disk["managedDisk"]["id"])
    if row is None and group is not None:
        os_disk(
            write.tx,
            group=group,
            machine=write.row.key,
            location=write.body["location"],
            body=disk,
            zones=write.body.get("zones") or [],
        )
    elif row is not None:
        write.tx.add_link(write.row.key, "os-disk", row.key, write.row.id)


def _take_along(deletion: Deletion) -> None:
    """Disks and interfaces with deleteOption Delete go with their machine, the others stay."""
    properties, tx = deletion.row.properties, deletion.tx
    profile = properties["storageProfile"]
    parts = [
        (disk["managedDisk"]["id"], disk.get("deleteOption"))
        for disk in (profile["osDisk"], *(profile.get("dataDisks") or []))
    ]
    parts += [
        (one["id"], (one.get("properties") or {}).get("deleteOption"))
        for one in properties["networkProfile"]["networkInterfaces"]
    ]
    for identifier, option in parts:
        row = tx.get(identifier)
        if option == "Delete" and row is not None:
            tx.link(
                deletion.row.key, [link for link in tx.links_from(deletion.row.key) if link[1] != row.key]
            )
            remove(deletion.context, row)


def _render(tx: Transaction, row: Row, answer: Json) -> None:
    extensions = tx.children(row.key, EXTENSION)
    if extensions:
        answer["resources"] = [{"id": one.id, "name": one.name, "type": one.type} for one in extensions]


def _expand(context: Context, row: Row, answer: Json, what: str) -> None:
    wanted = {part.strip().lower() for part in what.split(",")}
    if "instanceview" in wanted:
        answer["properties"]["instanceView"] = view(context.tx, row)
    if "userdata" in wanted and USER_DATA in row.hidden:
        answer["properties"]["userData"] = row.hidden[USER_DATA]


def _answer_view(context: Context, row: Row, request: Request) -> Response:
    del request
    return Response(status=200, body=view(context.tx, row))


TYPES = (
    replace(
        described(MACHINE),
        answers=answers.MACHINE,
        required=(
            "properties.hardwareProfile.vmSize",
            "properties.storageProfile",
            "properties.networkProfile.networkInterfaces",
        ),
        write_only=(CUSTOM_DATA, USER_DATA, "properties.osProfile.adminPassword"),
        fixed=(
            Fixed(path="zones", error=not_changeable),
            Fixed(path="properties.storageProfile.imageReference", error=not_changeable),
            Fixed(path="properties.osProfile.computerName", error=not_changeable),
            Fixed(path="properties.osProfile.adminUsername", error=not_changeable),
            Fixed(path="properties.osProfile.linuxConfiguration.ssh", error=not_changeable),
            Fixed(path="properties.securityProfile.securityType", error=not_changeable),
        ),
        references=(
            Reference(path=OF_MACHINE, types=(INTERFACE,), local=True),
            Reference(path=OF_DATA_DISK, types=(DISK,), local=True),
            Reference(
                path=OF_ENCRYPTION_SET,
                types=(ENCRYPTION_SET,),
                local=True,
            ),
        ),
        check=(
            _check_size,
            _check_image,
            check_data,
            check_login,
            check_patching,
            _check_interfaces,
            _check_data_disks,
            _name_os_disk,
            _check_os_encryption,
            _fill_in_profile,
            _complete,
        ),
        after=(_make_os_disk,),
        gone=(_take_along,),
        render=_render,
        expand=_expand,
        views={"instanceView": _answer_view, "vmSizes": sizes},
        actions={
            "start": turn("running", boots=True),
            "restart": turn("running", boots=True),
            "redeploy": turn("running", boots=True),
            "powerOff": turn("stopped", boots=False),
            "deallocate": turn("deallocated", boots=False),
            "runCommand": run_command,
        },
        patch=("tags", "identity", "properties"),
    ),
)
