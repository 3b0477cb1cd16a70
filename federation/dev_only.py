"""What makes dev quick to rebuild and must not reach a stack with real data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from federation.problem import Problem
from federation.violations import violation

if TYPE_CHECKING:
    from federation.settings import Settings


@dataclass(frozen=True, kw_only=True)
class DevOnly:
    """One setting that `environments` may not have when `is_wrong` says so."""

    key: str
    is_wrong: Callable[[Any], bool]
    environments: tuple[str, ...]
    why: str
    fix: str


def only_dev_may(stack: str, draft: Settings) -> Iterator[Problem]:
    """A violation for each setting of `DEV_ONLY` that the draft's environment may not have."""
    for rule in DEV_ONLY:
        value = _at(draft, rule.key)
        if draft.environment in rule.environments and value is not None and rule.is_wrong(value):
            yield violation(
                key=f"fed:{rule.key}",
                value=value,
                why=f"{rule.why}; {draft.environment} may not do this",
                fix=rule.fix,
            )


def _at(draft: Settings, key: str) -> Any:
    value: Any = draft
    for part in key.split("."):
        value = getattr(value, _snake(part))
    return value


def _snake(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def _on(key: str, environments: tuple[str, ...], why: str, fix: str) -> DevOnly:
    """A switch that must not be on."""
    return DevOnly(
        key=key,
        is_wrong=lambda value: value is True,
        environments=environments,
        why=why,
        fix=fix,
    )


def _off(key: str, why: str) -> DevOnly:
    """A switch that must be on in prod."""
    return DevOnly(
        key=key,
        is_wrong=lambda value: value is False,
        environments=_PROD,
        why=why,
        fix=f"set {key.rsplit('.', 1)[1]}: true",
    )


_PROD: Final = ("prod",)
_CLOSED: Final = ("mvp", "prod")

DEV_ONLY: Final = (
    _on(
        "images.build",
        _CLOSED,
        "an image that nobody promoted would run on real data",
        "pin digests that ran in dev",
    ),
    _on(
        "registry.publicPush",
        _CLOSED,
        "the registry that hospitals run code from would be reachable from the internet",
        "set publicPush: false and promote images by import",
    ),
    DevOnly(
        key="machine.image.version",
        is_wrong=lambda version: version == "latest",
        environments=_CLOSED,
        why="each new VM could boot another system than the one that was tested",
        fix="pin a version",
    ),
    DevOnly(
        key="approval",
        is_wrong=lambda approval: approval == "auto",
        environments=_PROD,
        why="a hospital would be let in without anybody looking at its request",
        fix="set approval: manual",
    ),
    _off("protection.locks", "one wrong command could delete disks, vaults and hospital data"),
    _off("protection.protectData", "`pulumi destroy` would take the data along"),
    _off("encryption.customerManagedKeys", "a hospital could not shred its data by destroying its key"),
    _off("encryption.purgeProtection", "a deleted vault could be purged, and all data with its keys"),
    _off("machine.encryptionAtHost", "caches and temporary disks of the VMs would be stored in clear"),
    _off("storage.versioning", "an overwritten file of a hospital could not be brought back"),
    DevOnly(
        key="storage.softDeleteDays",
        is_wrong=lambda days: days < 7,
        environments=_PROD,
        why="a deleted file could not be brought back for a week",
        fix="set softDeleteDays to 7 or more",
    ),
    DevOnly(
        key="storage.centreSku",
        is_wrong=lambda sku: sku == "Standard_LRS",
        environments=_PROD,
        why="one failed data centre would take models and job history along",
        fix="use Standard_ZRS or Standard_GZRS",
    ),
    DevOnly(
        key="storage.hospitalSku",
        is_wrong=lambda sku: sku == "Standard_LRS",
        environments=_PROD,
        why="one failed data centre would take hospital data along",
        fix="use Standard_ZRS",
    ),
    _off("network.flowLogs", "nobody could show afterwards who connected to whom"),
    DevOnly(
        key="monitoring.retentionDays",
        is_wrong=lambda days: days < 90,
        environments=_PROD,
        why="an incident noticed after a month would leave no traces",
        fix="set retentionDays to 90 or more",
    ),
    _off("backup.enabled", "job history, models and the certificate authority would have no copy"),
)
