"""Microsoft.ContainerRegistry: registries."""

from __future__ import annotations

from emulator.arm.catalogue import Names, ResourceType, Unique
from emulator.arm.context import Write
from emulator.arm.errors import ArmError, bad_request, conflict
from emulator.arm.key_vault import key_at, may_wrap
from emulator.arm.messages import Json
from emulator.arm.network.private_links import (
    connection_type,
    connections,
    disconnect_endpoints,
    render_connections,
)
from emulator.arm.store import Row, Transaction
from emulator.arm.times import stamp

REGISTRY = "Microsoft.ContainerRegistry/registries"
VERSIONS = ("2023-01-01-preview", "2025-11-01", "2025-04-01", "2023-07-01")
_SPACE = "registry"
_TIERS = ("Basic", "Standard", "Premium")
_PREMIUM_POLICIES = ("retentionPolicy", "trustPolicy", "quarantinePolicy")
"""Policies whose status `enabled` only a Premium registry takes."""


def _taken(write: Write, _: str) -> ArmError:
    return conflict(
        "AlreadyInUse",
        f"The registry DNS name {write.id.name.lower()}.azurecr.io is already in use. You can check if "
        "the name is already claimed using following API: "
        "https://docs.microsoft.com/en-us/rest/api/containerregistry/registries/checknameavailability",
    )


def _check_sku(write: Write) -> None:
    name = write.body["sku"]["name"]
    if name not in _TIERS:
        raise bad_request("SkuNotSupported", f"The sku '{name}' is none of {', '.join(_TIERS)}.")
    write.body["sku"] = {"name": name, "tier": name}
    if name == "Premium":
        return
    wanted = _premium_features(write.properties)
    if wanted:
        raise bad_request(
            "FeatureNotSupported",
            f"{', '.join(wanted)} of registry {write.id.name}: only the Premium sku supports this.",
        )
    if write.tx.children(write.id.key, connection_type(REGISTRY)):
        raise bad_request(
            "SkuDowngradeNotAllowed",
            f"Registry {write.id.name} has private endpoints: it cannot leave the Premium sku.",
        )


def _premium_features(properties: Json) -> list[str]:
    policies = properties.get("policies") or {}
    found = [name for name in _PREMIUM_POLICIES if (policies.get(name) or {}).get("status") == "enabled"]
    if properties.get("publicNetworkAccess") == "Disabled":
        found.append("publicNetworkAccess")
    if properties.get("dataEndpointEnabled"):
        found.append("dataEndpointEnabled")
    if (properties.get("encryption") or {}).get("status") == "enabled":
        found.append("encryption")
    if (properties.get("networkRuleSet") or {}).get("defaultAction") == "Deny":
        found.append("networkRuleSet")
    return found


def _check_policies(write: Write) -> None:
    policies, properties = write.properties["policies"], write.properties
    on = {name for name, policy in policies.items() if policy.get("status") == "enabled"}
    if {"softDeletePolicy", "retentionPolicy"} <= on:
        raise bad_request(
            "PolicyConflict", "The soft delete and the retention policy of a registry exclude each other."
        )
    if "exportPolicy" not in on and properties["publicNetworkAccess"] != "Disabled":
        raise bad_request(
            "ExportPolicyInvalid",
            "The export policy can be disabled only while public network access is disabled.",
        )


def _check_encryption(write: Write) -> None:
    encryption = write.properties.get("encryption") or {}
    before = (write.before("properties.encryption") or {}).get("status", "disabled")
    if write.old is not None and encryption.get("status", "disabled") != before:
        raise bad_request(
            "CMKUpdateNotAllowed",
            "Encryption with a customer-managed key is set when a registry is created and cannot be changed.",
        )
    if encryption.get("status") != "enabled":
        write.properties["encryption"] = {"status": "disabled"}
        return
    wanted = encryption.get("keyVaultProperties") or {}
    key = key_at(write.tx, str(wanted.get("keyIdentifier", "")))
    if key is None:
        raise bad_request(
            "KeyVaultKeyNotFound", f"The key '{wanted.get('keyIdentifier')}' of the registry was not found."
        )
    principal = _principal(write, str(wanted.get("identity", "")))
    if principal is None:
        raise bad_request(
            "CMKIdentityNotFound",
            f"The client id '{wanted.get('identity')}' is not one of the registry's identities.",
        )
    if not may_wrap(write.tx, key, principal):
        raise bad_request(
            "KeyVaultAccessDenied",
            f"The registry's identity may not wrap and unwrap with {key.properties['keyUri']}: it needs the "
            "role Key Vault Crypto Service Encryption User there.",
        )
    wanted["versionedKeyIdentifier"] = key.properties["keyUriWithVersion"]
    wanted["keyRotationEnabled"] = True


def _principal(write: Write, client_id: str) -> str | None:
    assigned = (write.body.get("identity") or {}).get("userAssignedIdentities") or {}
    return next(
        (
            str(identity["principalId"])
            for identity in assigned.values()
            if identity and str(identity["clientId"]).lower() == client_id.lower()
        ),
        None,
    )


def _complete(write: Write) -> None:
    name = write.id.name.lower()
    write.settle("properties.loginServer", f"{name}.azurecr.io")
    write.settle("properties.creationDate", stamp(write.tx.now))
    private = write.tx.children(write.id.key, connection_type(REGISTRY))
    write.properties["dataEndpointEnabled"] = bool(write.properties.get("dataEndpointEnabled") or private)
    write.properties["dataEndpointHostNames"] = (
        [f"{name}.{write.body['location']}.data.azurecr.io"]
        if write.properties["dataEndpointEnabled"]
        else []
    )


def _render(tx: Transaction, row: Row, answer: Json) -> None:
    if row.body["sku"]["name"] == "Premium":
        render_connections(tx, row, answer)
    else:
        answer["properties"]["privateEndpointConnections"] = []


def registry_of(tx: Transaction, login_server: str) -> Row | None:
    """Return the registry behind a login server such as ``name.azurecr.io``."""
    owner = tx.claimed(_SPACE, login_server.lower().removesuffix(".azurecr.io"))
    return tx.get(owner) if owner else None


TYPES = (
    ResourceType(
        name=REGISTRY,
        versions=VERSIONS,
        names=Names(
            pattern=r"[A-Za-z0-9]+",
            minimum=5,
            maximum=50,
            unique=Unique(space=_SPACE, taken=_taken),
            error=lambda name: bad_request(
                "InvalidResourceName",
                f"The registry name '{name}' is invalid: 5 to 50 letters and digits.",
            ),
        ),
        identity=True,
        required=("sku.name",),
        defaults={
            "properties": {
                "adminUserEnabled": False,
                "anonymousPullEnabled": False,
                "networkRuleBypassOptions": "AzureServices",
                "publicNetworkAccess": "Enabled",
                "zoneRedundancy": "Disabled",
                "policies": {
                    "quarantinePolicy": {"status": "disabled"},
                    "trustPolicy": {"type": "Notary", "status": "disabled"},
                    "retentionPolicy": {"days": 7, "status": "disabled"},
                    "exportPolicy": {"status": "enabled"},
                    "azureADAuthenticationAsArmPolicy": {"status": "enabled"},
                    "softDeletePolicy": {"retentionDays": 7, "status": "disabled"},
                },
            }
        },
        check=(_check_sku, _check_policies, _check_encryption, _complete),
        gone=(disconnect_endpoints,),
        render=_render,
        seconds=(24, 10),
    ),
    connections(REGISTRY, VERSIONS),
)
