"""A VM nobody logs in to: it boots from one text, and what must outlive it is on a disk of its own.

No public address, no password, Trusted Launch, its own identity. Everything that Azure cannot change on a
running VM replaces it; the data disk, the address and the identity stay. What runs inside is decided by
`components/boot`.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final, Literal, final

import pulumi
from pulumi_azure_native import compute, managedidentity, network

from components.boot import BootPlan, box_image, cloud_config, nvflare_version
from components.boot.plan import ROLE_IMAGES
from components.context import Context
from components.encryption import DiskKey
from components.identity import managed_identity
from components.machine_monitoring import MachineMonitoring, watch_machine
from components.monitoring import Monitoring
from components.private_dns import FL_HOST
from federation.azure_facts import VM_SIZES
from federation.parties import CentreParty, Party

#: Canonical's second-generation x64 image (https://documentation.ubuntu.com/azure).
UBUNTU: Final = {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server"}
#: Azure refuses to change these on a VM that exists (PropertyChangeNotAllowed).
FIXED_AT_CREATION: Final = (
    "osProfile.customData",
    "osProfile.adminUsername",
    "osProfile.computerName",
    "osProfile.linuxConfiguration.ssh",
    "storageProfile.imageReference",
    "storageProfile.osDisk.managedDisk",
    "securityProfile.uefiSettings",
    "zones",
)
#: Azure patches the images that it knows:
#: https://learn.microsoft.com/azure/virtual-machines/automatic-vm-guest-patching#supported-os-images
_PATCHED_BY_AZURE: Final = compute.LinuxPatchSettingsArgs(
    patch_mode=compute.LinuxVMGuestPatchMode.AUTOMATIC_BY_PLATFORM,
    assessment_mode=compute.LinuxPatchAssessmentMode.AUTOMATIC_BY_PLATFORM,
    automatic_by_platform_settings=compute.LinuxVMGuestPatchAutomaticByPlatformSettingsArgs(
        reboot_setting=compute.LinuxVMGuestPatchAutomaticByPlatformRebootSetting.IF_REQUIRED,
        bypass_platform_safety_checks_on_user_schedule=False,
    ),
)
#: An image of a gallery is patched by a new version of it.
_PATCHED_BY_ITS_MAKER: Final = compute.LinuxPatchSettingsArgs(
    patch_mode=compute.LinuxVMGuestPatchMode.IMAGE_DEFAULT,
    assessment_mode=compute.LinuxPatchAssessmentMode.IMAGE_DEFAULT,
)


@dataclass(frozen=True, kw_only=True)
class Boot:
    """What the VM boots from, as far as it is not the VM's own: where the centre is, and which images run."""

    role: Literal["centre", "hospital"]
    fl_address: IPv4Address
    fl_port: int
    hub_storage_url: pulumi.Output[str]
    own_storage_url: pulumi.Output[str] | None
    registry: pulumi.Output[str]
    images: Mapping[str, pulumi.Output[str]]
    root_fingerprint: str | None


@dataclass(frozen=True, kw_only=True)
class VirtualMachineArgs:
    """`members` are the hospitals that the centre's VM is told of; None at a hospital."""

    context: Context[Party]
    resource_group: pulumi.Input[str]
    interface: network.NetworkInterface
    boot: Boot
    members: Sequence[str] | None
    disk_key: DiskKey | None
    monitoring: Monitoring


@dataclass(frozen=True, kw_only=True)
class VirtualMachineResources:
    """The VM and what it is made of."""

    machine: compute.VirtualMachine
    data_disk: compute.Disk
    identity: managedidentity.UserAssignedIdentity
    monitoring: MachineMonitoring


@final
class VirtualMachine(pulumi.ComponentResource):
    """Identity, data disk, VM and what watches it."""

    def __init__(
        self, name: str, args: VirtualMachineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fed:components:VirtualMachine", name, None, opts)
        self._args = args
        identity = managed_identity(self, args.context, "vm", resource_group=args.resource_group)
        disk = self._data_disk()
        machine = self._machine(identity, disk)
        self.resources = VirtualMachineResources(
            machine=machine,
            data_disk=disk,
            identity=identity,
            monitoring=watch_machine(
                self,
                args.context,
                machine=machine,
                identity=identity,
                resource_group=args.resource_group,
                monitoring=args.monitoring,
            ),
        )
        self.id: pulumi.Output[str] = machine.id
        self.principal_id: pulumi.Output[str] = identity.principal_id
        self.register_outputs({"machineId": self.id})

    def _data_disk(self) -> compute.Disk:
        args, context = self._args, self._args.context
        machine = context.settings.machine
        return compute.Disk(
            context.names.of("disk", "data"),
            disk_name=context.names.of("disk", "data"),
            resource_group_name=args.resource_group,
            location=context.location,
            creation_data=compute.CreationDataArgs(create_option=compute.DiskCreateOption.EMPTY),
            disk_size_gb=machine.data_disk_gib,
            sku=compute.DiskSkuArgs(name=machine.disk_sku),
            encryption=(
                compute.EncryptionArgs(
                    type=compute.EncryptionType.ENCRYPTION_AT_REST_WITH_CUSTOMER_KEY,
                    disk_encryption_set_id=args.disk_key.set_id,
                )
                if args.disk_key
                else None
            ),
            network_access_policy=compute.NetworkAccessPolicy.DENY_ALL,
            public_network_access=compute.PublicNetworkAccess.DISABLED,
            zones=context.zones,
            tags=context.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=context.azure,
                depends_on=[args.disk_key.ready] if args.disk_key else None,
                hooks=args.disk_key.patient if args.disk_key else None,
                # A hospital's holds its kit, which ends when it leaves; Azure's lock is enough until then.
                protect=context.settings.protection.protect_data and args.boot.role == "centre",
            ),
        )

    def _machine(
        self,
        identity: managedidentity.UserAssignedIdentity,
        disk: compute.Disk,
    ) -> compute.VirtualMachine:
        args, context = self._args, self._args.context
        name = context.names.of("vm")
        return compute.VirtualMachine(
            name,
            vm_name=name,
            resource_group_name=args.resource_group,
            location=context.location,
            zones=context.zones,
            identity=compute.VirtualMachineIdentityArgs(
                type=compute.ResourceIdentityType.USER_ASSIGNED, user_assigned_identities=[identity.id]
            ),
            hardware_profile=compute.HardwareProfileArgs(vm_size=context.party.vm_size),
            security_profile=compute.SecurityProfileArgs(
                security_type=compute.SecurityTypes.TRUSTED_LAUNCH,
                uefi_settings=compute.UefiSettingsArgs(secure_boot_enabled=True, v_tpm_enabled=True),
                # Even false needs the feature to be registered.
                encryption_at_host=True if context.settings.machine.encryption_at_host else None,
            ),
            os_profile=self._os_profile(identity),
            user_data=self._user_data(),
            storage_profile=self._storage_profile(disk),
            network_profile=compute.NetworkProfileArgs(
                network_interfaces=[
                    compute.NetworkInterfaceReferenceArgs(
                        id=args.interface.id, primary=True, delete_option=compute.DeleteOptions.DETACH
                    )
                ]
            ),
            diagnostics_profile=compute.DiagnosticsProfileArgs(
                boot_diagnostics=compute.BootDiagnosticsArgs(enabled=True)
            ),
            tags=context.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=context.azure,
                hooks=args.disk_key.patient if args.disk_key else None,
                replace_on_changes=list(FIXED_AT_CREATION),
                # Name, interface and disk are taken until the old VM is gone.
                delete_before_replace=True,
            ),
        )

    def _os_profile(self, identity: managedidentity.UserAssignedIdentity) -> compute.OSProfileArgs:
        context = self._args.context
        admin = context.settings.admin
        return compute.OSProfileArgs(
            computer_name=context.names.of("vm"),
            admin_username=admin.username,
            custom_data=self._custom_data(identity),
            allow_extension_operations=True,
            linux_configuration=compute.LinuxConfigurationArgs(
                disable_password_authentication=True,
                provision_vm_agent=True,
                ssh=compute.SshConfigurationArgs(
                    public_keys=[
                        compute.SshPublicKeyArgs(
                            path=f"/home/{admin.username}/.ssh/authorized_keys", key_data=admin.ssh_public_key
                        )
                    ]
                ),
                patch_settings=(
                    _PATCHED_BY_ITS_MAKER
                    if context.settings.machine.image.gallery_image_id
                    else _PATCHED_BY_AZURE
                ),
            ),
        )

    def _storage_profile(self, disk: compute.Disk) -> compute.StorageProfileArgs:
        args, machine = self._args, self._args.context.settings.machine
        image = machine.image
        return compute.StorageProfileArgs(
            image_reference=(
                compute.ImageReferenceArgs(id=image.gallery_image_id)
                if image.gallery_image_id
                else compute.ImageReferenceArgs(**UBUNTU, version=image.version)
            ),
            os_disk=compute.OSDiskArgs(
                create_option=compute.DiskCreateOptionTypes.FROM_IMAGE,
                caching=compute.CachingTypes.READ_WRITE,
                delete_option=compute.DiskDeleteOptionTypes.DELETE,
                disk_size_gb=machine.os_disk_gib,
                managed_disk=compute.ManagedDiskParametersArgs(
                    storage_account_type=machine.disk_sku,
                    disk_encryption_set=(
                        compute.DiskEncryptionSetParametersArgs(id=args.disk_key.set_id)
                        if args.disk_key
                        else None
                    ),
                ),
            ),
            data_disks=[
                compute.DataDiskArgs(
                    lun=0,
                    create_option=compute.DiskCreateOptionTypes.ATTACH,
                    delete_option=compute.DiskDeleteOptionTypes.DETACH,
                    caching=compute.CachingTypes.NONE,
                    managed_disk=compute.ManagedDiskParametersArgs(id=disk.id),
                )
            ],
        )

    def _custom_data(self, identity: managedidentity.UserAssignedIdentity) -> pulumi.Output[str]:
        boot = self._args.boot
        return pulumi.Output.all(
            identity_client_id=identity.client_id,
            hub_storage_url=boot.hub_storage_url,
            own_storage_url=boot.own_storage_url,
            registry=boot.registry,
        ).apply(self._boot_text)

    def _user_data(self) -> pulumi.Output[str]:
        """Return what the VM reads from its metadata service. All of it changes without a new VM: the list of
        members, whether operators ask by blobs, backups' key, and the digests of its images, which the
        container server takes as an order (docs/adr/0057).
        """
        args, party, settings = self._args, self._args.context.party, self._args.context.settings
        images = [*sorted(ROLE_IMAGES[args.boot.role]), *map(box_image, settings.images.boxes)]
        told = {
            "hospitals": None if args.members is None else list(args.members),
            "operators": True if isinstance(party, CentreParty) and party.operators else None,
            "backup": party.backup_recipient,
            "nvflare": nvflare_version(),
        }
        digests = {image: args.boot.images[image].apply(_digest) for image in images}
        return pulumi.Output.all(**digests).apply(
            lambda known: _base64(json.dumps({**_given(told), "images": known}))
        )

    def _boot_text(self, known: dict[str, Any]) -> str:
        boot, context = self._args.boot, self._args.context
        plan = BootPlan(
            party=context.party.name,
            role=boot.role,
            environment=context.settings.environment,
            fl_host=FL_HOST,
            fl_address=str(boot.fl_address),
            fl_port=boot.fl_port,
            approval=context.settings.approval,
            request_days=context.settings.jobs.request_days,
            smallest_cell=context.settings.privacy.smallest_cell,
            root_fingerprint=boot.root_fingerprint,
            boxes=tuple(context.settings.images.boxes),
            gpus=VM_SIZES[context.party.vm_size].gpus if boot.role == "hospital" else 0,
            **known,
        )
        return _base64(cloud_config(plan))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _digest(reference: str) -> str:
    """`sha256:...` of `<login server>/<repository>@sha256:...`."""
    return reference.rpartition("@")[2]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
