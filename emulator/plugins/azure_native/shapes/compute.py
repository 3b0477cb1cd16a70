"""Machines: azure-native:compute."""

from emulator.plugins.azure_native.layout import flat, plain
from emulator.plugins.azure_native.shape import Name, Shape, group_path
from emulator.plugins.azure_native.shapes.identity import IDENTITY

_OWN = ("id", "name", "type", "systemData", "location", "tags", "managedBy", "managedByExtended")
_DISK_NAME = Name(pattern=r"[A-Za-z0-9_.-]+", maximum=80)
_ADDRESS = flat("name", members={"publicIPAddressConfiguration": flat("name", "sku", "tags")})

SHAPES = (
    Shape(
        pulumi_type="azure-native:compute:Disk",
        path=group_path("Microsoft.Compute/disks/{diskName}"),
        version="2024-03-02",
        inputs="location tags extendedLocation sku zones burstingEnabled completionPercent creationData "
        "dataAccessAuthMode diskAccessId diskIOPSReadOnly diskIOPSReadWrite diskMBpsReadOnly "
        "diskMBpsReadWrite diskSizeGB encryption encryptionSettingsCollection hyperVGeneration "
        "maxShares networkAccessPolicy optimizedForFrequentAttach osType publicNetworkAccess "
        "purchasePlan securityProfile supportedCapabilities supportsHibernation tier",
        layout=flat(
            *_OWN,
            "extendedLocation",
            "sku",
            "zones",
            members={
                "creationData": plain(computed=("sourceUniqueId",)),
                "sku": plain(computed=("tier",)),
            },
        ),
        name=_DISK_NAME,
        required="creationData",
        replaces="location",
    ),
    Shape(
        pulumi_type="azure-native:compute:DiskEncryptionSet",
        path=group_path("Microsoft.Compute/diskEncryptionSets/{diskEncryptionSetName}"),
        version="2024-03-02",
        inputs="location tags identity activeKey encryptionType federatedClientId "
        "rotationToLatestKeyVersionEnabled",
        layout=flat(*_OWN, "identity", members={"identity": IDENTITY}),
        name=_DISK_NAME,
        replaces="location",
    ),
    Shape(
        pulumi_type="azure-native:compute:VirtualMachine",
        path=group_path("Microsoft.Compute/virtualMachines/{vmName}"),
        version="2024-11-01",
        inputs="location tags extendedLocation identity placement plan zones additionalCapabilities "
        "applicationProfile availabilitySet billingProfile capacityReservation diagnosticsProfile "
        "evictionPolicy extensionsTimeBudget hardwareProfile host hostGroup licenseType "
        "networkProfile osProfile platformFaultDomain priority proximityPlacementGroup "
        "scheduledEventsPolicy scheduledEventsProfile securityProfile storageProfile userData "
        "virtualMachineScaleSet",
        layout=flat(
            *_OWN,
            "etag",
            "extendedLocation",
            "identity",
            "placement",
            "plan",
            "resources",
            "zones",
            members={
                "identity": IDENTITY,
                "networkProfile": plain(
                    {
                        "networkInterfaceConfigurations": flat(
                            "name", "tags", members={"ipConfigurations": _ADDRESS}
                        ),
                        "networkInterfaces": flat("id"),
                    }
                ),
                "osProfile": plain(
                    filled=("allowExtensionOperations", "requireGuestProvisionSignal", "secrets")
                ),
                "resources": flat(*_OWN),
                "storageProfile": plain(
                    {
                        "dataDisks": plain(
                            computed=("diskIOPSReadWrite", "diskMBpsReadWrite"),
                            filled=("managedDisk", "name"),
                        ),
                        "imageReference": plain(computed=("exactVersion",)),
                        "osDisk": plain(filled=("diskSizeGB", "managedDisk", "name", "osType")),
                    }
                ),
            },
        ),
        name=Name(pattern=r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", maximum=64),
        replaces="location",
    ),
    Shape(
        pulumi_type="azure-native:compute:VirtualMachineExtension",
        path=group_path("Microsoft.Compute/virtualMachines/{vmName}/extensions/{vmExtensionName}"),
        version="2024-11-01",
        inputs="location tags autoUpgradeMinorVersion enableAutomaticUpgrade forceUpdateTag instanceView "
        "protectedSettings protectedSettingsFromKeyVault provisionAfterExtensions publisher settings "
        "suppressFailures "
        "type typeHandlerVersion",
        layout=flat(
            "id", "name", "location", "tags", "systemData"
        ),  # `type` is the extension's, in properties
        name=Name(pattern=r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?", maximum=64),
        replaces="location",
        autoname="same",
    ),
)
