"""Whether a disk is backed up: what its vault says, which Azure decides only after it has said Succeeded.

Recorded on Azure (azure-service-operator's Test_DataProtection_BackupInstance_20231101_CRUD, 2024-08-15): an
instance is accepted, is ConfiguringProtection for a minute, and ends as ProtectionConfigured or, for good, as
ProtectionError; a sync has the vault look again.
"""

import time
from dataclasses import dataclass
from typing import Final

from automation.stacks.arm import Arm
from automation.ui.console import say, warn
from automation.ui.outcome import FedError

VERSION: Final = "2025-01-01"
CONFIGURED: Final = "ProtectionConfigured"
_UNDER_WAY: Final = ("ConfiguringProtection", "UpdatingProtection")
_SECONDS: Final = 300
_PAUSE: Final = 5


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A backup instance: the state of its protection in Azure's words, and what is wrong with it."""

    name: str
    state: str
    error: str

    @property
    def configured(self) -> bool:
        """Whether the disk is backed up by its schedule."""
        return self.state == CONFIGURED


def read(arm: Arm, instance: str) -> Backup:
    """Return what the vault says of a backup instance (its id).

    Raises FedError when Resource Manager refuses to answer.
    """
    answer = arm.get(instance, VERSION)
    name = instance.rsplit("/", 1)[-1]
    if answer.status == 404:
        return Backup(name=name, state="missing", error="")
    if answer.is_error:
        raise FedError(f"Resource Manager refused to show {instance}: {answer.error}")
    properties = answer.body["properties"]
    error = properties.get("protectionErrorDetails") or {}
    return Backup(
        name=name,
        state=str(properties.get("currentProtectionState", "unknown")),
        error=f"{error['code']}: {error.get('message', '')}" if error else "",
    )


def settle(arm: Arm, instance: str) -> Backup:
    """Wait for the end of a configuration, at most `_SECONDS`; have a failed one tried again.

    Raises FedError when Resource Manager refuses to answer.
    """
    found = _decided(arm, instance)
    if found.state == "ProtectionError":
        say(f"the backup {found.name} has failed: {found.error}; its vault is asked to look again")
        answer = arm.post(f"{instance}/sync", VERSION, {"syncType": "Default"})
        if answer.is_error:
            raise FedError(f"Resource Manager refused to sync {instance}: {answer.error}")
        found = _decided(arm, instance)
    if not found.configured:
        warn(told(found))
    return found


def told(backup: Backup) -> str:
    """Return what a person must know of a backup that is not configured."""
    if backup.state in _UNDER_WAY:
        return f"the backup {backup.name} is still being configured. Fix: look again with ./fed status"
    why = f" ({backup.error})" if backup.error else ""
    return (
        f"nothing is backed up by {backup.name}: {backup.state}{why}. Snapshots that are missed cannot be "
        "made afterwards. Fix: run ./fed up again, which has its vault look again"
    )


def _decided(arm: Arm, instance: str) -> Backup:
    deadline = time.monotonic() + _SECONDS
    while (found := read(arm, instance)).state in _UNDER_WAY and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    return found
