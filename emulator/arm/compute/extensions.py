"""Extensions of virtual machines."""

from __future__ import annotations

from dataclasses import replace

from emulator.arm import answers
from emulator.arm.catalogue import Fixed, described
from emulator.arm.compute.common import EXTENSION, invalid, not_allowed, not_changeable
from emulator.arm.context import Write
from emulator.arm.errors import not_found

KNOWN = frozenset(
    {
        ("microsoft.azure.monitor", "azuremonitorlinuxagent"),
        ("microsoft.azure.activedirectory", "aadsshloginforlinux"),
        ("microsoft.azure.extensions", "customscript"),
        ("microsoft.azure.networkwatcher", "networkwatcheragentlinux"),
        ("microsoft.managedservices", "applicationhealthlinux"),
        ("microsoft.ostcextensions", "vmaccessforlinux"),
    }
)
"""Publisher and type of the extensions known here.
https://learn.microsoft.com/azure/virtual-machines/extensions/features-linux"""


def _check_kind(write: Write) -> None:
    publisher, kind = write.properties["publisher"], write.properties["type"]
    if (publisher.lower(), kind.lower()) not in KNOWN:
        raise not_found(
            "ArtifactNotFound",
            f"The artifact VMImage with publisher '{publisher}' and type '{kind}' was not found in location "
            f"'{write.body['location']}'.",
        )
    for other in write.tx.children(write.id.parent, EXTENSION):
        same = str(other.properties["type"]).lower() == kind.lower()
        if same and other.key != write.id.key:
            raise invalid(
                f"Multiple VMExtensions per handler not supported for OS type 'Linux'. VMExtension "
                f"'{write.id.name}' with handler '{publisher}.{kind}' already added or specified in input."
            )


def _check_machine(write: Write) -> None:
    machine = write.parent()
    if machine.location != write.body["location"]:
        raise invalid(f"Extension {write.id.name} is not in the location of its VM, '{machine.location}'.")
    if machine.hidden.get("power") != "running":
        raise not_allowed(f"Cannot modify extensions in the VM when the VM is not running: {machine.id}.")


def _check_upgrade(write: Write) -> None:
    if write.properties.get("enableAutomaticUpgrade") and not write.properties.get("autoUpgradeMinorVersion"):
        raise invalid("enableAutomaticUpgrade needs autoUpgradeMinorVersion.", "enableAutomaticUpgrade")


TYPES = (
    replace(
        described(EXTENSION),
        answers=answers.MACHINE,
        patch=("tags", "properties"),
        required=("properties.publisher", "properties.type", "properties.typeHandlerVersion"),
        write_only=("properties.protectedSettings",),
        defaults={"properties": {"autoUpgradeMinorVersion": False}},
        fixed=(
            Fixed(path="properties.publisher", error=not_changeable),
            Fixed(path="properties.type", error=not_changeable),
        ),
        check=(_check_kind, _check_machine, _check_upgrade),
    ),
)
