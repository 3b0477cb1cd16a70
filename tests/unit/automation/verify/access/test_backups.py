"""A backup that Azure accepted and never makes is a difference; an exported state proves nothing."""

import pytest

from automation.verify.access import backups
from automation.verify.facts.resources import Deployment, Resource

INSTANCE = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.DataProtection/backupVaults/v/backupInstances/d"
)


def deployment(state: str | None, *, live: bool = True) -> Deployment:
    properties = {"currentProtectionState": state, "protectionErrorDetails": {"code": "UserErrorMissing"}}
    instance = Resource(
        type="azure-native:dataprotection:BackupInstance",
        id=INSTANCE,
        urn="",
        props={"properties": properties},
        inputs={},
        refers={},
        protect=False,
    )
    return Deployment(stack="prod", source="test", checksum="", resources=(instance,), live=live)


@pytest.mark.parametrize("state", ["ProtectionError", "ConfiguringProtection", "ProtectionStopped", None])
def test_what_is_not_configured_is_missing(state: str | None) -> None:
    """Azure, 2024-08-15: azure-service-operator's Test_DataProtection_BackupInstance_20231101_CRUD."""
    (finding,) = backups.check(deployment(state))
    assert finding.kind == "missing"
    assert f"{state}, UserErrorMissing" in finding.where


def test_what_is_configured_holds() -> None:
    assert not list(backups.check(deployment("ProtectionConfigured")))


def test_a_state_of_the_past_is_not_judged() -> None:
    assert not list(backups.check(deployment("ProtectionError", live=False)))
