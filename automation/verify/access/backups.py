"""Whether what should be backed up is: only the vault knows, and says so after it has accepted the backup.

Recorded on Azure: azure-service-operator's Test_DataProtection_BackupInstance_20231101_CRUD (2024-08-15).
"""

from collections.abc import Iterator
from typing import Final

from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import Deployment

PROOF: Final = "live"
CONFIGURED: Final = "ProtectionConfigured"


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield a finding for each backup that is not configured; a state of the past says nothing about it."""
    for instance in deployment.of("dataprotection:BackupInstance") if deployment.live else ():
        state = instance.at("properties.currentProtectionState")
        if state != CONFIGURED:
            error = instance.at("properties.protectionErrorDetails.code")
            yield Finding(
                kind=Kind.MISSING,
                proof=PROOF,
                rule="backup-configured",
                what=f"nothing is backed up by {instance.name}",
                where=f"{instance.name}: {state}" + (f", {error}" if error else ""),
                why="Azure accepts a backup and may fail it a minute later; snapshots that are missed cannot "
                "be made afterwards",
                fix="run ./fed up, which has the vault look again",
            )
