"""What a stack file says, as frozen models: the only reader of a stack's configuration.

Every mistake is refused before anything is planned, all of them at once (`SettingsError`). The models hold
what a person writes; what follows from it for one party (addresses, effective size) is in `parties.py`.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from federation import rules
from federation.draft import examine
from federation.problem import Problem
from federation.values import (
    AdminName,
    AgeRecipient,
    Appliance,
    BlobZoneId,
    BoxName,
    Cidr,
    ConnectionId,
    Day,
    Digest,
    DoorZoneId,
    Email,
    Fingerprint,
    FirstOfMonth,
    GalleryImage,
    GroupId,
    Guid,
    HospitalName,
    ImageVersion,
    PrivateAddress,
    PublicAddress,
    Region,
    RegistryZoneId,
    SmallestCell,
    SshPublicKey,
    SubnetId,
    TagName,
    TagValue,
    VmSizeName,
    WorkspaceId,
)
from federation.violations import SettingsError

NAMESPACE = "fed"

Environment = Literal["dev", "mvp", "prod"]
Egress = Literal["nat", "none", "firewall"]
Dns = Literal["own", "existing"]
DiskSku = Literal["StandardSSD_LRS", "StandardSSD_ZRS", "Premium_LRS", "Premium_ZRS"]
StorageSku = Literal["Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_GZRS", "Standard_RAGZRS"]


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys; keys are written in camelCase."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class Admin(Section):
    """The Linux administrator of every VM. Nobody logs in over SSH; Azure wants a key all the same."""

    username: AdminName = Field(default="fedadmin", description="the administrator's user name")
    ssh_public_key: SshPublicKey = Field(
        description="the public key of the administrator", examples=["ssh-ed25519 AAAA... nobody"]
    )


class Image(Section):
    """What VMs boot: Canonical's Ubuntu 24.04 in one version, or an image of your own with Docker inside.

    Without a way to archives it must bring what `start-docker` (components/boot) would install: Docker, its
    Compose plugin, nftables, and azure-vm-utils for VM sizes with NVMe disks.
    """

    version: ImageVersion = Field(default="latest", description="the version of Ubuntu 24.04")
    gallery_image_id: GalleryImage | None = Field(
        default=None, description="an image of a compute gallery instead"
    )


class Machine(Section):
    """How every VM is built; `size` may differ per party."""

    size: VmSizeName = Field(description="the size of the VMs", examples=["Standard_B2s_v2"])
    image: Image = Image()
    os_disk_gib: int = Field(default=32, ge=30, le=2048, description="the size of the system disk in GiB")
    data_disk_gib: int = Field(default=32, ge=4, le=32767, description="the size of the data disk in GiB")
    disk_sku: DiskSku = Field(default="StandardSSD_LRS", description="the kind of the disks")
    encryption_at_host: bool = Field(
        default=False, description="whether hosts encrypt caches and temporary disks"
    )
    zone: int | None = Field(
        default=None, ge=1, le=3, description="the availability zone of VMs, disks and NAT"
    )


class Zones(Section):
    """Your organisation's own private DNS zones, in whatever subscription, linked by it to each network."""

    blob: BlobZoneId = Field(
        description="your zone of storage accounts", examples=["the id of privatelink.blob.core.windows.net"]
    )
    registry: RegistryZoneId = Field(
        description="your zone of registries", examples=["the id of privatelink.azurecr.io"]
    )


class Network(Section):
    """What every party's network has besides its VNet."""

    egress: Egress = Field(description="how VMs reach package archives", examples=["nat"])
    firewall: Appliance | None = Field(
        default=None, description="the address of your own firewall, for `egress: firewall`"
    )
    dns: Dns = Field(default="own", description="whose private DNS zones name accounts and the registry")
    zones: Zones | None = Field(
        default=None,
        description="the zones for `dns: existing`; your policy writes the records when left out",
    )
    flow_logs: bool = Field(default=False, description="whether every flow of a VNet is recorded")
    flow_log_days: int = Field(default=30, ge=1, le=365, description="for how many days flows are kept")


class Storage(Section):
    """How data survives mistakes and failures."""

    centre_sku: StorageSku = Field(
        description="the redundancy of the centre's account", examples=["Standard_LRS"]
    )
    hospital_sku: StorageSku = Field(
        description="the redundancy of the hospitals' accounts", examples=["Standard_LRS"]
    )
    versioning: bool = Field(default=False, description="whether overwritten blobs are kept as versions")
    version_days: int = Field(
        default=90, ge=1, le=3650, description="for how many days old versions are kept"
    )
    soft_delete_days: int = Field(
        default=0, ge=0, le=365, description="for how many days deleted blobs come back; 0 is off"
    )


class Encryption(Section):
    """Keys of each party's own, in its own vault, with which it can shred its data."""

    customer_managed_keys: bool = Field(default=False, description="whether disks and storage use own keys")
    purge_protection: bool = Field(
        default=False, description="whether a deleted vault stays recoverable whatever happens"
    )
    hsm: bool = Field(default=False, description="whether keys live in a hardware security module")
    soft_delete_days: int = Field(
        default=7, ge=7, le=90, description="for how many days a deleted vault stays recoverable"
    )


class Registry(Section):
    """The centre's container registry."""

    public_push: bool = Field(
        default=False, description="whether images may be pushed from outside the centre's VNet"
    )


class Images(Section):
    """Where images come from: built here and pushed, or promoted and pinned."""

    build: bool = Field(default=False, description="whether images are built from this repository and pushed")
    digests: Mapping[str, Digest] = Field(
        default_factory=dict, description="the pinned images: those of VM_IMAGES, and box-<name> of each box"
    )
    boxes: tuple[BoxName, ...] = Field(
        default=(), description="the boxes with libraries that jobs may run in, besides the client's own"
    )

    @property
    def exist(self) -> bool:
        """Whether there can be such images: the repository's own mvp and prod pin zeros until one is
        promoted, so that no container of theirs ever runs.
        """
        pinned = self.digests.values() if self.digests else ()
        return self.build or any(set(digest.removeprefix("sha256:")) != {"0"} for digest in pinned)


class Monitoring(Section):
    """What each party keeps about its own machines, in its own workspace."""

    retention_days: int = Field(default=30, ge=30, le=730, description="for how many days logs are kept")
    daily_quota_gb: float | None = Field(
        default=None, gt=0, le=4000, description="how many GB of logs a day are taken at most"
    )
    storage_reads: bool = Field(default=False, description="whether every read of a blob is logged")


class Notices(Section):
    """Who hears of what at the centre: its contacts where nobody is named. A hospital's contacts hear all."""

    jobs: tuple[Email, ...] | None = Field(
        default=None, min_length=1, description="who hears that a job ended or failed"
    )
    approvals: tuple[Email, ...] | None = Field(
        default=None, min_length=1, description="who hears that a hospital waits for a person"
    )
    certificates: tuple[Email, ...] | None = Field(
        default=None, min_length=1, description="who hears that a certificate ends within 30 days"
    )
    machines: tuple[Email, ...] | None = Field(
        default=None, min_length=1, description="who hears of silent hospitals and full disks"
    )


class Protection(Section):
    """What stands between a mistake and lost data."""

    locks: bool = Field(default=False, description="whether Azure refuses to delete what holds data")
    protect_data: bool = Field(default=False, description="whether Pulumi refuses to delete what holds data")


class Backup(Section):
    """Archives of what cannot be made again, encrypted to a key that is not in Azure (docs/adr/0056).

    And daily snapshots of the centre's data disk, next to it in its group: Azure copies no disk into a vault.
    They help against a mistake on the disk, not against whoever may delete in the centre's subscription.
    """

    recipient: AgeRecipient | None = Field(
        default=None, description="the public key to which the centre's archives are encrypted"
    )
    enabled: bool = Field(
        default=False, description="whether the centre's data disk is snapshotted every day, in its own group"
    )
    retention_days: int = Field(default=7, ge=1, le=180, description="for how many days snapshots are kept")


class Privacy(Section):
    """What the dashboards may show of few patients. A hospital's own policy decides what leaves it at all."""

    smallest_cell: SmallestCell = Field(
        default=10, description="the fewest patients that a number may stand for"
    )


class Jobs(Section):
    """How the jobs of the centre are put before the hospitals."""

    request_days: int = Field(
        default=14, ge=1, le=365, description="for how many days a job waits for the hospitals' answers"
    )


class Budgets(Section):
    """Monthly amounts in the subscription's currency; the contacts hear of 80 % spent and 100 % forecast."""

    centre: float = Field(gt=0, description="what the centre may cost a month", examples=["300"])
    hospital: float = Field(gt=0, description="what a hospital may cost a month", examples=["150"])
    start_date: FirstOfMonth | None = Field(
        default=None, description="the first month; the month of the first deployment when left out"
    )
    end_date: Day | None = Field(
        default=None, description="when the budgets end; ten years later when left out"
    )


class Dashboard(Section):
    """One audience's Power BI dashboard (docs/dashboards.md). Where nobody has one, nothing is published."""

    workspace: WorkspaceId = Field(
        description="the Power BI workspace of this audience", examples=["<36-character id>"]
    )
    readers: GroupId = Field(
        description="the Entra group as whose member the refresh signs in", examples=["<36-character id>"]
    )
    connection: ConnectionId | None = Field(
        default=None,
        description="the connection through the VNet data gateway; left out until somebody has made it",
    )


class Window(Section):
    """One address of the internet that a hospital's account answers until a day, that day included (UTC)."""

    address: PublicAddress = Field(
        description="the public address that is let in", examples=["<the address of your office>"]
    )
    until: Day = Field(description="the last day on which it is open", examples=['"2027-01-31"'])
    reason: str | None = Field(default=None, min_length=10, description="why it is open; prod wants to know")


class Endpoint(Section):
    """An address of a subnet, of a network of the party's own, at which its account answers as well."""

    subnet_id: SubnetId = Field(description="the subnet", examples=["the id of a subnet of yours"])
    address: PrivateAddress = Field(description="a free address of that subnet", examples=["10.50.3.20"])
    zone_id: DoorZoneId | None = Field(
        default=None,
        description="the party's own zone for it; made, and linked to that network, when left out",
    )


class Door(Section):
    """How a hospital's people reach its account: by an endpoint in a network of its own, or by a window."""

    people: GroupId = Field(description="the Entra group that uploads data", examples=["<36-character id>"])
    officers: GroupId | None = Field(default=None, description="the Entra group that answers jobs")
    endpoint: Endpoint | None = Field(default=None, description="for a hospital with a network")
    window: Window | None = Field(default=None, description="for a hospital without one")


class CentreDoor(Section):
    """How people reach the centre's account: by an endpoint in a network of the centre's own."""

    people: GroupId = Field(
        description="the Entra group that sends jobs and reads results", examples=["<36-character id>"]
    )
    operators: GroupId | None = Field(
        default=None,
        description="the Entra group that asks the centre by blobs: status, jobs, approvals, revocations",
    )
    endpoint: Endpoint


class Centre(Section):
    """The research centre's own subscription and network."""

    subscription_id: Guid = Field(description="the centre's subscription", examples=["<36-character id>"])
    address_space: Cidr = Field(
        description="the centre's VNet, /24 or larger, for life", examples=["10.10.0.0/24"]
    )
    fl_port: int = Field(
        default=8002, ge=1024, le=65535, description="the one port that hospitals connect to"
    )
    vm_size: VmSizeName | None = Field(default=None, description="the size of the centre's VM")
    egress: Egress | None = Field(default=None, description="how the centre's VM reaches package archives")
    firewall: Appliance | None = Field(default=None, description="the address of the centre's firewall")
    dashboard: Dashboard | None = Field(default=None, description="the centre's Power BI dashboard")
    door: CentreDoor | None = Field(default=None, description="how people reach the centre's account")


class Hospital(Section):
    """One hospital. Adding an entry is all that onboarding needs."""

    subscription_id: Guid = Field(description="the hospital's subscription", examples=["<36-character id>"])
    address_space: Cidr = Field(
        description="the hospital's VNet, /27 or larger, for life", examples=["10.10.1.0/27"]
    )
    retired: Literal["leaving", "left"] | None = Field(
        default=None,
        description="whether only its data are kept: `leaving` lifts the lock on them, `left` puts it back",
    )
    tenant_id: Guid | None = Field(default=None, description="the hospital's Entra tenant")
    location: Region | None = Field(default=None, description="the hospital's Azure region")
    vm_size: VmSizeName | None = Field(default=None, description="the size of the hospital's VM")
    egress: Egress | None = Field(default=None, description="how the hospital's VM reaches package archives")
    firewall: Appliance | None = Field(default=None, description="the address of the hospital's firewall")
    storage_sku: StorageSku | None = Field(
        default=None, description="the redundancy of the hospital's account"
    )
    monthly_budget: float | None = Field(
        default=None, gt=0, description="what this hospital may cost a month"
    )
    contacts: tuple[Email, ...] | None = Field(
        default=None, min_length=1, description="who gets this hospital's alerts"
    )
    root_fingerprint: Fingerprint | None = Field(
        default=None, description="the root certificate that this hospital trusts, checked by itself"
    )
    dashboard: Dashboard | None = Field(default=None, description="the hospital's Power BI dashboard")
    door: Door | None = Field(default=None, description="how the hospital's people reach its account")
    backup_recipient: AgeRecipient | None = Field(
        default=None, description="the public key to which this hospital's archives are encrypted"
    )


class Settings(Section):
    """Everything that differs between stacks."""

    environment: Environment = Field(description="which rules apply", examples=["dev"])
    tenant_id: Guid = Field(description="the Entra tenant of every party", examples=["<36-character id>"])
    location: Region = Field(description="the Azure region", examples=["westeurope"])
    approval: Literal["auto", "manual"] = Field(
        description="whether the centre's operator approves each enrolment", examples=["manual"]
    )
    contacts: tuple[Email, ...] = Field(
        min_length=1, description="who gets alerts and budgets", examples=["[operations@example.org]"]
    )
    tags: Mapping[TagName, TagValue] = Field(default_factory=dict, description="your own tags")
    admin: Admin
    machine: Machine
    network: Network
    storage: Storage
    encryption: Encryption = Encryption()
    registry: Registry = Registry()
    images: Images
    monitoring: Monitoring = Monitoring()
    notices: Notices = Notices()
    protection: Protection = Protection()
    backup: Backup = Backup()
    privacy: Privacy = Privacy()
    jobs: Jobs = Jobs()
    budgets: Budgets
    centre: Centre
    hospitals: Mapping[HospitalName, Hospital] = Field(default_factory=dict)


def load(stack: str, config: Mapping[str, Any], *, source: str | None = None) -> Settings:
    """Return the settings of `stack` from its `fed:` keys, groups as mappings or as Pulumi's JSON text.

    Raises:
        SettingsError: with every violation; its message names `source` (the stack's file when left out).
    """
    raw = {
        key.removeprefix(f"{NAMESPACE}:"): _decoded(value)
        for key, value in config.items()
        if key.startswith(f"{NAMESPACE}:")
    }
    found: list[Problem] = []
    draft = examine(Settings, raw, f"{NAMESPACE}:", found)
    found.extend(rules.check(stack, draft))
    if found:
        raise SettingsError(source or f"Pulumi.{stack}.yaml", found)
    return Settings.model_validate(raw)


def _decoded(value: Any) -> Any:
    """Pulumi hands groups to a program as JSON text."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value
