"""The kinds of value a stack file may hold. Each refuses a wrong one with its consequence and fix.

Single values only; what must fit together is in `rules.py`.
"""

import base64
import binascii
import datetime as dt
import re
import struct
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from federation.azure_facts import BLOB_ZONE, REGIONS, REGISTRY_ZONE, RESERVED_ADMIN_NAMES, VM_SIZES

#: Longest hospital name: `pep-fed-prod-<name>-registry` and `dcr-fed-prod-<name>` stay below Azure's 64
#: characters, `client-<name>` below the 63 of a blob container, and names stay readable in a table.
HOSPITAL_NAME_LENGTH: Final = 24
PARTY_NAME: Final = re.compile(r"[a-z](-?[a-z0-9])*")
#: The parties' own words: a hospital of that name could not be told from the part of the platform it names.
RESERVED_PARTY_NAMES: Final = frozenset(
    {"centre", "server", "client", "data", "hospital", "federation", "global", "default", "mlflow"}
)
#: RFC 1918. Anything else may be somebody's address on the internet.
PRIVATE_RANGES: Final = tuple(IPv4Network(r) for r in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
#: Networks that Docker uses inside every VM: its default bridge and the client's bridge (components/boot).
CONTAINER_RANGES: Final = tuple(IPv4Network(r) for r in ("172.17.0.0/16", "172.30.0.0/24"))
#: NHS England hides 1 to 7, the Office for National Statistics asks for 10. workloads/curation refuses
#: less than 5 too.
SMALLEST_CELLS: Final = (5, 100)
#: Addresses behind a carrier's NAT (RFC 6598).
CARRIER_RANGE: Final = IPv4Network("100.64.0.0/10")
_ARM: Final = "/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers"
IMAGE_VERSION: Final = re.compile(r"latest|\d+\.\d+\.\d+")


def wrong(why: str, fix: str) -> PydanticCustomError:
    """Return a refusal that carries its own consequence and fix to the message of `SettingsError`."""
    context = {"why": why, "fix": fix}
    return PydanticCustomError("fed", "{consequence}", context)


def _cidr(value: Any) -> IPv4Network:
    text = str(value)
    if "/" not in text:
        raise wrong("a VNet needs a range, not one address", f"write it as CIDR, for example {text}/24")
    try:
        network = IPv4Network(text, strict=False)
    except ValueError:
        raise wrong(
            "Azure would refuse the VNet (InvalidAddressPrefixFormat)",
            "write an IPv4 range such as 10.1.1.0/24",
        ) from None
    if str(network) != text:
        raise wrong(
            "the address has host bits set: Azure would refuse the VNet (InvalidCIDRNotation), or deploy "
            "another range than the one you read here",
            f"write {network}",
        )
    if not any(network.subnet_of(private) for private in PRIVATE_RANGES):
        raise wrong(
            "it is not a private range: the VMs could no longer reach whoever has these addresses on the "
            "internet",
            "choose a range in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
        )
    for inner in CONTAINER_RANGES:
        if network.overlaps(inner):
            raise wrong(
                f"Docker uses {inner} inside every VM: containers could not reach these addresses",
                f"choose a range outside {inner}",
            )
    return network


def _one_address(value: Any, consequence: str, fix: str) -> IPv4Address:
    try:
        return IPv4Address(str(value))
    except AddressValueError:
        raise wrong(consequence, fix) from None


def _private(address: IPv4Address, consequence: str, fix: str) -> IPv4Address:
    if not any(address in private for private in PRIVATE_RANGES):
        raise wrong(consequence, fix)
    return address


def _address(value: Any) -> IPv4Address:
    return _one_address(
        value,
        "a door is one address, so that everybody can see who or what it is",
        "write one IPv4 address without a range, for example 10.50.3.20",
    )


def _private_address(value: Any) -> IPv4Address:
    return _private(
        _address(value),
        "it is no private address: no subnet of a network can have it",
        "write a free address of the subnet, for example 10.50.3.20",
    )


def _appliance(value: Any) -> IPv4Address:
    address = _one_address(
        value,
        "a route leads to one address: Azure would refuse it",
        "write the firewall's private IPv4 address, for example 10.200.0.4",
    )
    return _private(
        address,
        "it is not a private address: the next hop of a route is in a peered network",
        "write the firewall's private address, in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
    )


def _public_address(value: Any) -> IPv4Address:
    """Azure Storage takes public addresses only, and single ones without /32.

    https://learn.microsoft.com/azure/storage/common/storage-network-security-limitations
    """
    address = _address(value)
    unusable = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    if unusable or any(address in private for private in (*PRIVATE_RANGES, CARRIER_RANGE)):
        raise wrong(
            "nobody on the internet has this address: Azure would refuse it, or nobody could come through",
            "write the public address from which your people reach the internet, for example what "
            "https://ifconfig.me shows them",
        )
    return address


def _subnet_id(value: str) -> str:
    if not re.fullmatch(
        f"{_ARM}/Microsoft.Network/virtualNetworks/[^/]+/subnets/[^/]+", value, re.IGNORECASE
    ):
        raise wrong(
            "Azure could not find the subnet: the private endpoint would be refused",
            "copy it from `az network vnet subnet show --resource-group GROUP --vnet-name NETWORK --name "
            "SUBNET --query id`",
        )
    return value


def _zone_id(zone: str, consequence: str, otherwise: str = "") -> AfterValidator:
    """Return the id of a private DNS zone of one name; `otherwise` is the fix besides the right id."""

    def check(value: str) -> str:
        pattern = f"{_ARM}/Microsoft.Network/privateDnsZones/{re.escape(zone)}"
        if not re.fullmatch(pattern, value, re.IGNORECASE):
            raise wrong(
                f"it is not a zone {zone}: {consequence}",
                f"copy the id from `az network private-dns zone show --resource-group GROUP --name {zone} "
                f"--query id`{otherwise}",
            )
        return value

    return AfterValidator(check)


def _guid(why: str, fix: str) -> BeforeValidator:
    """Return a GUID of one kind, with what a wrong one would break and where the right one is."""

    def check(value: Any) -> str:
        try:
            return str(UUID(str(value)))
        except ValueError:
            raise wrong(why, fix) from None

    return BeforeValidator(check)


def _hospital_name(value: str) -> str:
    if len(value) > HOSPITAL_NAME_LENGTH:
        raise wrong(
            f"it has {len(value)} characters: names built from it would pass Azure's limits (private "
            "endpoints 64, blob containers 63, vaults 24)",
            f"use at most {HOSPITAL_NAME_LENGTH} characters",
        )
    if not PARTY_NAME.fullmatch(value):
        raise wrong(
            "it becomes part of blob container, DNS and certificate names: Azure or NVFlare would refuse "
            "them",
            "use lower-case letters and digits with single hyphens between them, a letter first, for "
            "example va-long-beach",
        )
    if value in RESERVED_PARTY_NAMES:
        raise wrong(
            "the platform uses this word for a part of itself: their resources would have the same names",
            "give the hospital a name of its own",
        )
    return value


def _email(value: str) -> str:
    if len(value) > 254 or not re.fullmatch(r"[^@\s,;<>]+@[A-Za-z0-9]([A-Za-z0-9-]*\.)+[A-Za-z]{2,}", value):
        raise wrong(
            "Azure would refuse the action group and the budget, or alerts would reach nobody",
            "write one address such as operations@example.org",
        )
    return value


def _region(value: str) -> str:
    region = value.lower().replace(" ", "")
    if region not in REGIONS:
        raise wrong(
            "this program knows no such Azure region: the first resource group would be refused",
            "use a name from `az account list-locations`, for example westeurope; a new region goes into "
            "federation/azure_facts.py",
        )
    return region


def _vm_size(value: str) -> str:
    if value not in VM_SIZES:
        usable = ", ".join(name for name, size in VM_SIZES.items() if size.usable)
        raise wrong(
            "the size is unknown: whether it supports Trusted Launch, encryption at host and these disks "
            "would show only when Azure refuses the VM",
            f"use one of {usable}; or add it to federation/azure_facts.py with what Azure documents",
        )
    return value


def _image_version(value: Any) -> str:
    text = str(value)
    if not IMAGE_VERSION.fullmatch(text):
        raise wrong(
            "Azure has no such image (PlatformImageNotFound)",
            "write `latest` or a version from `az vm image list --publisher Canonical --offer "
            "ubuntu-24_04-lts --sku server --all`, for example 24.04.202509170",
        )
    return text


def _digest(value: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", value):
        raise wrong(
            "images are pulled by digest alone: a tag can be moved to another image after the review",
            "write sha256: and 64 hexadecimal digits, as `./fed images` prints them",
        )
    return value


def _box_name(value: str) -> str:
    if not re.fullmatch(r"[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?", value) or value in ("base", "none"):
        raise wrong(
            "it becomes part of an image's and a container's name; base is the client's own image, which is "
            "there without being named, and none that of a job without code",
            "use at most 20 lower-case letters, digits and hyphens, a letter first: the name of a folder of "
            "workloads/boxes",
        )
    return value


def _fingerprint(value: str) -> str:
    if not re.fullmatch(r"SHA256:[0-9A-F]{2}(:[0-9A-F]{2}){31}", value):
        raise wrong(
            "the hospital would refuse every startup kit, because no root certificate can match it",
            "write SHA256: and 32 pairs of upper-case hexadecimal digits (SHA256:0A:1B:...), as `openssl "
            "x509 -fingerprint -sha256` prints them",
        )
    return value


def _age_recipient(value: str) -> str:
    if not re.fullmatch(r"age1[02-9ac-hj-np-z]{58}", value):
        raise wrong(
            "nothing would be backed up: an archive is encrypted to this key before it leaves the VM",
            "write the public half, age1..., that `./fed backup key FILE` prints",
        )
    return value


def _admin_name(value: str) -> str:
    if value in RESERVED_ADMIN_NAMES or not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", value):
        raise wrong(
            "Azure refuses this administrator name when the VM is created",
            "use a lower-case Linux user name that is not a common one, for example fedadmin",
        )
    return value


def _ssh_public_key(value: str) -> str:
    kind, bits = _ssh_key_kind(value)
    if kind == "ssh-rsa" and bits < 2048:
        raise wrong(f"the RSA key has {bits} bits: Azure refuses less than 2048", "make an ed25519 key")
    return value.strip()


def _ssh_key_kind(value: str) -> tuple[str, int]:
    if "PRIVATE KEY" in value:
        raise wrong(
            "this is a private key: it would be readable in the repository and in the stack's state",
            "remove it, make a new pair and write the line of the .pub file",
        )
    refused = wrong(
        "Azure accepts one OpenSSH public key, ssh-ed25519 or ssh-rsa, and refuses the VM otherwise",
        "write the one line of the .pub file that `ssh-keygen -t ed25519` makes",
    )
    words = value.split()
    if "\n" in value.strip() or len(words) < 2 or words[0] not in {"ssh-ed25519", "ssh-rsa"}:
        raise refused
    try:
        fields = _ssh_fields(base64.b64decode(words[1], validate=True))
    except (binascii.Error, struct.error, ValueError):
        raise refused from None
    sizes = {"ssh-ed25519": 2, "ssh-rsa": 3}
    if fields[0] != words[0].encode() or len(fields) != sizes[words[0]]:
        raise refused
    if words[0] == "ssh-ed25519" and len(fields[1]) != 32:
        raise refused
    return words[0], int.from_bytes(fields[-1]).bit_length()


def _ssh_fields(blob: bytes) -> list[bytes]:
    fields, at = [], 0
    while at < len(blob):
        (length,) = struct.unpack_from(">I", blob, at)
        if at + 4 + length > len(blob):
            raise ValueError("the key ends in the middle of a field")
        fields.append(blob[at + 4 : at + 4 + length])
        at += 4 + length
    if not fields:
        raise ValueError("the key is empty")
    return fields


def _first_of_month(value: Any) -> dt.date:
    day = _date(value)
    if day.day != 1:
        raise wrong(
            "Azure starts a monthly budget on the first of a month and refuses another day",
            f"write {day.replace(day=1)}",
        )
    return day


def _date(value: Any) -> dt.date:
    try:
        # YAML turns an unquoted date into a date or a time at midnight, depending on who reads it.
        return dt.date.fromisoformat(re.sub(r"[T ]00:00:00.*", "", str(value)))
    except ValueError:
        raise wrong(
            "Azure cannot read it as a day", 'write a day of the calendar such as "2027-01-01"'
        ) from None


def _tag_name(value: str) -> str:
    """Return the strictest of what is tagged: storage (128 characters) and private DNS zones (ASCII, no
    space).

    https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations
    """
    reserved = ("microsoft", "azure", "windows")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,127}", value) or value.lower().startswith(reserved):
        raise wrong(
            "Azure would refuse the private DNS zones, which have no tag with a space, a special character "
            f"or a digit in front, and keeps names that begin with {', '.join(reserved)} for itself",
            "begin with a letter and use at most 128 of A-Z a-z 0-9 _ . -, for example CostCentre",
        )
    return value


def _tag_value(value: str) -> str:
    if len(value) > 256:
        raise wrong("Azure refuses a tag's value of more than 256 characters", "shorten it")
    return value


def _smallest_cell(value: Any) -> int:
    fewest, most = SMALLEST_CELLS
    if isinstance(value, bool) or not isinstance(value, int) or not fewest <= value <= most:
        raise wrong(
            f"a number that stands for fewer than {fewest} patients may point at a person, and above {most} "
            "the dashboards of most hospitals would be empty",
            f"write a whole number from {fewest} to {most}; 10 is usual",
        )
    return value


def _gallery_image(value: str) -> str:
    segments = (
        r"/subscriptions/[0-9a-f-]{36}",
        r"/resourceGroups/[^/]+",
        r"/providers/Microsoft\.Compute/galleries/[^/]+",
        r"/images/[^/]+(/versions/[^/]+)?",
    )
    if not re.fullmatch("".join(segments), value):
        raise wrong(
            "Azure could not find the image (it must be an image of a compute gallery)",
            "write "
            "/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Compute/galleries/<gallery>/images/<image>/versions/<version>",
        )
    return value


Cidr = Annotated[IPv4Network, BeforeValidator(_cidr)]
Appliance = Annotated[IPv4Address, BeforeValidator(_appliance)]
Guid = Annotated[
    str,
    _guid(
        "Azure knows subscriptions and tenants by GUID alone: every call would fail",
        "copy the 36-character id from `az account list --output table`",
    ),
]
WorkspaceId = Annotated[
    str,
    _guid(
        "Power BI knows workspaces by GUID alone: nothing could be published",
        "copy what follows /groups/ in the workspace's address",
    ),
]
ConnectionId = Annotated[
    str,
    _guid(
        "Power BI knows connections by GUID alone: the dashboard would never be refreshed",
        "copy the connection's id from *Manage connections and gateways*, or leave it out until there is one",
    ),
]
GroupId = Annotated[
    str,
    _guid(
        "Azure knows groups by object id alone: nobody in it would get in",
        "copy it from `az ad group show --group NAME --query id`",
    ),
]
PrivateAddress = Annotated[IPv4Address, BeforeValidator(_private_address)]
PublicAddress = Annotated[IPv4Address, BeforeValidator(_public_address)]
SubnetId = Annotated[str, AfterValidator(_subnet_id)]
DoorZoneId = Annotated[
    str,
    _zone_id(
        BLOB_ZONE,
        "the account's name would not lead to the door",
        ", or leave it out: the program then makes the zone",
    ),
]
BlobZoneId = Annotated[str, _zone_id(BLOB_ZONE, "accounts would have no private name in it")]
RegistryZoneId = Annotated[str, _zone_id(REGISTRY_ZONE, "the registry would have no private name in it")]
SmallestCell = Annotated[int, BeforeValidator(_smallest_cell)]
HospitalName = Annotated[str, AfterValidator(_hospital_name)]
Email = Annotated[str, AfterValidator(_email)]
Region = Annotated[str, AfterValidator(_region)]
VmSizeName = Annotated[str, AfterValidator(_vm_size)]
ImageVersion = Annotated[str, BeforeValidator(_image_version)]
GalleryImage = Annotated[str, AfterValidator(_gallery_image)]
Digest = Annotated[str, AfterValidator(_digest)]
VM_IMAGES: Final = ("container-server", "fl-client", "fl-server", "mlflow")
"""The images that VMs run, besides boxes."""

BoxName = Annotated[str, AfterValidator(_box_name)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
AdminName = Annotated[str, AfterValidator(_admin_name)]
AgeRecipient = Annotated[str, AfterValidator(_age_recipient)]
SshPublicKey = Annotated[str, AfterValidator(_ssh_public_key)]
FirstOfMonth = Annotated[dt.date, BeforeValidator(_first_of_month)]
Day = Annotated[dt.date, BeforeValidator(_date)]
TagName = Annotated[str, AfterValidator(_tag_name)]
TagValue = Annotated[str, AfterValidator(_tag_value)]
