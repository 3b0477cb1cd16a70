"""Microsoft.ContainerRegistry: registries."""

from __future__ import annotations

from dataclasses import replace

from azure_types.types import BY_ARM_TYPE
from emulator.arm import answers
from emulator.arm.catalogue import Unique, described
from emulator.arm.context import Context, Deletion, Write
from emulator.arm.errors import ArmError, bad_request, conflict
from emulator.arm.image_import import NAMES, REGISTRY, import_image
from emulator.arm.key_vault import closed_to, key_at, may_wrap
from emulator.arm.messages import Json, Request, Response
from emulator.arm.network.private_links import (
    answer_link_resources,
    connection_type,
    connections,
    disconnect_endpoints,
    render_connections,
)
from emulator.arm.store import Row, Transaction
from emulator.arm.times import stamp

_TIERS = {"Basic": (10, 2), "Standard": (100, 10), "Premium": (500, 500)}
"""Tier -> (GiB of storage that are included, webhooks).

https://learn.microsoft.com/azure/container-registry/container-registry-skus
"""
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
    if closed_to(write.tx, key, trusted=False):
        # A registry is a trusted service through its system-assigned identity only, which it cannot have
        # before it is made: https://github.com/MicrosoftDocs/azure-docs/issues/61015
        raise ArmError(
            403,
            "KeyVaultAccessDenied",
            f"The registry cannot reach {key.properties['keyUri']}: Client address is not authorized and "
            "caller is not a trusted service.",
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
    """Premium registries alone have rules about networks (26 recorded, as
    Test_ContainerRegistry_Registry_20230701_CRUD, 2025).
    """
    if row.body["sku"]["name"] == "Premium":
        answer["properties"].setdefault("networkRuleSet", {"defaultAction": "Allow", "ipRules": []})
        render_connections(tx, row, answer)
    else:
        answer["properties"]["privateEndpointConnections"] = []


def check_name(context: Context, request: Request) -> Response:
    """Answer checkNameAvailability."""
    name = str((request.body or {}).get("name", ""))
    answer: Json = {"nameAvailable": True}
    if not BY_ARM_TYPE[REGISTRY].name.fits(name):
        answer = {"nameAvailable": False, "reason": "Invalid", "message": f"The name '{name}' is invalid."}
    elif context.tx.claimed(NAMES, name) is not None:
        message = f"The registry {name} is already in use."
        answer = {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
    return Response(status=200, body=answer)


def _usages(context: Context, row: Row, _: Request) -> Response:
    """Answer how much of its tier a registry uses."""
    room, hooks = _TIERS[row.body["sku"]["name"]]
    size = context.images.size(str(row.properties["loginServer"]))
    found = [
        {"name": "Size", "limit": room * 1024**3, "currentValue": size, "unit": "Bytes"},
        {"name": "Webhooks", "limit": hooks, "currentValue": 0, "unit": "Count"},
    ]
    return Response(status=200, body={"value": found})


def _forget_images(deletion: Deletion) -> None:
    deletion.context.images.forget_registry(str(deletion.row.properties["loginServer"]))


TYPES = (
    replace(
        described(
            REGISTRY,
            unique=Unique(space=NAMES, taken=_taken),
            error=lambda name: bad_request(
                "InvalidResourceName",
                f"The registry name '{name}' is invalid: 5 to 50 letters and digits.",
            ),
        ),
        answers=answers.REGISTRY,
        patch=("tags", "sku", "identity", "location", "properties"),
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
        gone=(disconnect_endpoints, _forget_images),
        render=_render,
        views={"listUsages": _usages, "privateLinkResources": answer_link_resources},
        actions={"importImage": import_image},
    ),
    connections(REGISTRY, answers.REGISTRY_CONNECTION),
)

ACTIONS = {"Microsoft.ContainerRegistry/checkNameAvailability": check_name}
"""POSTs of the provider on a subscription."""
