"""Virtual machines and disks: no password, no stranger's image, encrypted, identities given by name."""

import base64
import binascii
import re
from collections.abc import Iterator

from policies.planned import Planned, at, each
from policies.rule import Level, demand, demand_empty, demand_set, rule
from pulumi_wire.values import UNKNOWN

VM = "azure-native:compute:VirtualMachine"
DISK = "azure-native:compute:Disk"
EXTENSION = "azure-native:compute:VirtualMachineExtension"

EXTENSIONS = {
    ("microsoft.azure.monitor", "azuremonitorlinuxagent"),
    ("microsoft.azure.activedirectory", "aadsshloginforlinux"),
}
"""Extensions (publisher, type) that may run as root on a VM: the log agent, and Entra login."""

SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|AccountKey=|SharedAccessKey=|[?&]sig=[A-Za-z0-9%]{20,}|"
    r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."
)
"""What a private key, a connection string, a SAS or a bearer token looks like."""


@rule(
    "vm-no-password",
    VM,
    why="a password can be guessed, shared and left in a state file.",
    fix="set linuxConfiguration.disablePasswordAuthentication true and remove adminPassword.",
)
def vm_has_no_password(vm: Planned) -> Iterator[str]:
    """A VM cannot be entered with a password."""
    yield from demand(vm.props, "osProfile.linuxConfiguration.disablePasswordAuthentication", True)
    if at(vm.props, "osProfile.adminPassword") is not None:
        yield "osProfile.adminPassword is set"


@rule(
    "vm-trusted-launch",
    VM,
    why="without a measured boot a changed kernel or boot loader goes unnoticed.",
    fix="set securityProfile.securityType TrustedLaunch with secureBootEnabled and vTpmEnabled true.",
)
def vm_boots_what_was_signed(vm: Planned) -> Iterator[str]:
    """A VM boots with Trusted Launch."""
    yield from demand(vm.props, "securityProfile.securityType", "TrustedLaunch", "ConfidentialVM")
    yield from demand(vm.props, "securityProfile.uefiSettings.secureBootEnabled", True)
    yield from demand(vm.props, "securityProfile.uefiSettings.vTpmEnabled", True)


@rule(
    "vm-encryption-at-host",
    VM,
    environments=("mvp", "prod"),
    why="otherwise the caches and temporary disks on the host hold data in clear.",
    fix="set securityProfile.encryptionAtHost true (register the feature in the subscription once).",
)
def vm_is_encrypted_at_host(vm: Planned) -> Iterator[str]:
    """In mvp and prod a VM's disks and caches are encrypted on the host."""
    yield from demand(vm.props, "securityProfile.encryptionAtHost", True)


@rule(
    "vm-own-identity",
    VM,
    why="a role given to a shared or anonymous identity is a role given to more machines than meant.",
    fix="give the VM exactly one user-assigned identity of its own party.",
)
def vm_has_its_own_identity(vm: Planned) -> Iterator[str]:
    """A VM has a user-assigned identity, and no more than one."""
    yield from demand(vm.props, "identity.type", "UserAssigned")
    identities = at(vm.props, "identity.userAssignedIdentities")
    if identities is not UNKNOWN and len(identities or ()) != 1:
        yield f"identity.userAssignedIdentities has {len(identities or ())} entries, it must have 1"


@rule(
    "vm-no-secret",
    VM,
    why="custom data stays readable on the machine and in the state forever.",
    fix="let the machine make its own key, or fetch what it needs with its managed identity.",
)
def vm_carries_no_secret(vm: Planned) -> Iterator[str]:
    """Custom data and user data hold no key, token or connection string."""
    for path in ("osProfile.customData", "userData"):
        value = at(vm.props, path)
        if isinstance(value, str) and SECRET.search(_decoded(value)):
            yield f"{path} contains what looks like a secret"


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return value


@rule(
    "vm-extensions-known",
    EXTENSION,
    why="an extension runs any code as root, past everything the containers are confined by.",
    fix="use only the log agent; what the VM must do belongs in its cloud-config.",
)
def extensions_are_known(extension: Planned) -> Iterator[str]:
    """Only known extensions run on a VM."""
    publisher, kind = at(extension.props, "publisher"), at(extension.props, "type")
    if UNKNOWN in (publisher, kind):
        return
    if (str(publisher).lower(), str(kind).lower()) not in EXTENSIONS:
        yield f"{publisher}/{kind} is not among the known extensions"
    yield from demand_empty(extension.props, "protectedSettings")


@rule(
    "disk-closed",
    DISK,
    why="a disk with network access can be exported as a file by anyone with a right on it.",
    fix="set networkAccessPolicy DenyAll and publicNetworkAccess Disabled.",
)
def disk_cannot_be_exported(disk: Planned) -> Iterator[str]:
    """A disk cannot be exported over the network."""
    yield from demand(disk.props, "networkAccessPolicy", "DenyAll")
    yield from demand(disk.props, "publicNetworkAccess", "Disabled")


@rule(
    "disk-own-key",
    DISK,
    environments=("mvp", "prod"),
    why="the disk holds the party's keys and kit; with the party's own key it can be made unreadable "
    "for good.",
    fix="set encryption.diskEncryptionSetId and type EncryptionAtRestWithCustomerKey.",
)
def disk_uses_the_partys_key(disk: Planned) -> Iterator[str]:
    """In mvp and prod a data disk is encrypted with its party's own key."""
    yield from demand_set(disk.props, "encryption.diskEncryptionSetId")
    yield from demand(disk.props, "encryption.type", "EncryptionAtRestWithCustomerKey")


@rule(
    "vm-image-pinned",
    VM,
    level=Level.ADVISORY,
    environments=("mvp", "prod"),
    why="'latest' makes two VMs of the same plan different machines.",
    fix="pin storageProfile.imageReference.version.",
)
def image_version_is_pinned(vm: Planned) -> Iterator[str]:
    """In mvp and prod the VM's image has a fixed version."""
    if at(vm.props, "storageProfile.imageReference.version") == "latest":
        yield "storageProfile.imageReference.version is latest"


@rule(
    "vm-image-publisher",
    VM,
    why="a marketplace image of an unknown publisher is unknown code in the middle of a hospital's network.",
    fix="use Canonical's ubuntu-24_04-lts, or an image of your own gallery.",
)
def image_comes_from_canonical(vm: Planned) -> Iterator[str]:
    """A VM boots Canonical's Ubuntu, or an image of a compute gallery."""
    image = at(vm.props, "storageProfile.imageReference.id")
    if isinstance(image, str):
        if "/galleries/" not in image.lower():
            yield f"storageProfile.imageReference.id is {image}, it must be in a compute gallery"
    elif image is None:
        yield from demand(vm.props, "storageProfile.imageReference.publisher", "Canonical")


@rule(
    "vm-disks-live-and-die",
    VM,
    why="the data disk must outlive its VM; an operating system disk left behind is a copy nobody "
    "looks after.",
    fix="set osDisk.deleteOption Delete, and deleteOption Detach on every data disk.",
)
def disks_outlive_their_vm(vm: Planned) -> Iterator[str]:
    """The data disk survives the VM, the operating system disk does not."""
    yield from demand(vm.props, "storageProfile.osDisk.deleteOption", "Delete")
    for disk in each(vm.props, "storageProfile.dataDisks"):
        yield from (f"data disk: {f}" for f in demand(disk, "deleteOption", "Detach"))
