"""Microsoft.Resources: subscriptions, resource groups, providers, and the lists that span types.

A subscription is a placeholder: it exists from the first write in it, and its resource providers are
registered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from azure_types.types import BY_ARM_TYPE
from emulator.arm import answers, ids, regions
from emulator.arm.catalogue import Fixed, described, listed
from emulator.arm.context import Context
from emulator.arm.errors import ArmError, bad_request, conflict, not_found
from emulator.arm.filters import chosen
from emulator.arm.messages import Json, Request, Response
from emulator.arm.pages import page
from emulator.arm.store import Row
from emulator.arm.times import stamp
from emulator.arm.tokens import TENANT_ID
from emulator.arm.writes import delete, render

RESOURCE_GROUP = "Microsoft.Resources/resourceGroups"
WITHOUT_TYPES = ("Microsoft.PowerPlatform",)
"""Providers of which nothing is made here: a subnet is delegated to one of their services.

https://learn.microsoft.com/data-integration/vnet/create-data-gateways
"""
FEATURES = (("Microsoft.Compute", "EncryptionAtHost"),)
"""Provider and name of the preview features that the federation may need; all are registered."""
DEPLOYMENTS = "Microsoft.Resources/deployments"


def _groups(context: Context, path: ids.ResourceId, request: Request) -> list[Row]:
    rows = context.tx.of_type(RESOURCE_GROUP, path.subscription)
    return chosen(rows, request.query.get("$filter", ""))


def _deployments(context: Context, path: ids.ResourceId, _: Request) -> list[Row]:
    """Return the deployments of a group; wider scopes have none (docs/adr/0029)."""
    if path.group is None:
        return []
    if not context.tx.exists(path.scope):
        raise not_found("ResourceGroupNotFound", f"Resource group '{path.group}' could not be found.")
    rows = context.tx.in_group(ids.group_id(path.path) or "", DEPLOYMENTS)
    own = [{"id": row.id, "name": row.name, "type": DEPLOYMENTS} for row in rows]
    return [replace(row, body=head | row.body) for row, head in zip(rows, own, strict=True)]


TYPES = (
    listed(DEPLOYMENTS, BY_ARM_TYPE[RESOURCE_GROUP].versions, _deployments),
    replace(
        described(
            RESOURCE_GROUP,
            error=lambda name: bad_request(
                "InvalidResourceGroup",
                f"The provided resource group name '{name}' has these invalid characters or ends in a "
                "period. The "
                "name can only be a letter, digit, '-', '.', '(', ')' or '_', up to 90 characters.",
            ),
        ),
        answers=answers.GROUP,
        fixed=(
            Fixed(
                path="managedBy",
                error=lambda _: conflict(
                    "ResourceGroupManagedByMismatch", "The managedBy of a resource group cannot be changed."
                ),
            ),
        ),
        patch=("tags", "properties"),
        listing=_groups,
        paged=True,
    ),
)


def delete_group(context: Context, group: Row) -> None:
    """Delete what is in a group in the order that its dependencies allow, then the group.

    Raises ResourceGroupDeletionBlocked when something outside the group still uses what is inside: the group
    then stays, with what could not go.
    """
    while True:
        refusals: list[tuple[Row, ArmError]] = []
        went = False
        for row in reversed(context.tx.children(group.key)):
            if not context.tx.exists(row.key):
                continue
            try:
                delete(context, row)
                went = True
            except ArmError as refusal:
                refusals.append((row, refusal))
        if not refusals:
            break
        if not went:
            raise conflict_of_group(group, refusals)
    delete(context, group)


def conflict_of_group(group: Row, refusals: list[tuple[Row, ArmError]]) -> ArmError:
    """Return why a group could not be deleted."""
    held = ", ".join(row.id for row, _ in refusals)
    return ArmError(
        409,
        "ResourceGroupDeletionBlocked",
        f"Deletion of resource group '{group.name}' failed as resources with identifiers '{held}' could not "
        "be "
        "deleted. The provisioning state of the resource group will be rolled back. The tracking Id is "
        f"'{group.etag or group.name}'. Please check audit logs for more details.",
        details=[
            {"code": refusal.code, "target": row.id, "message": refusal.message} for row, refusal in refusals
        ],
    )


# Subscriptions


def subscription_body(subscription: str) -> Json:
    """Return what a GET of a subscription answers."""
    return {
        "id": f"/subscriptions/{subscription}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription,
        "tenantId": TENANT_ID,
        "displayName": f"Placeholder {subscription}",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def check_subscription(context: Context, subscription: str, *, writing: bool) -> None:
    """Refuse what is no GUID; a write makes a new placeholder subscription known, a read does not."""
    if ids.GUID.fullmatch(subscription) is None:
        raise bad_request(
            "InvalidSubscriptionId",
            f"The provided subscription identifier '{subscription}' is malformed or invalid.",
        )
    if writing:
        context.tx.add_subscription(subscription)
    elif not context.tx.has_subscription(subscription):
        raise not_found("SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def answer_subscription(context: Context, request: Request) -> Response | None:
    """Answer what is asked of subscriptions, providers and lists over all types; None for anything else."""
    parts = [part.lower() for part in request.path.strip("/").split("/")]
    if request.method == "GET" and parts == ["tenants"]:
        return _list([{"id": f"/tenants/{TENANT_ID}", "tenantId": TENANT_ID, "displayName": "Emulator"}])
    if parts[0] != "subscriptions":
        return None
    if len(parts) == 1 and request.method == "GET":
        return _list([subscription_body(known) for known in context.tx.subscriptions()])
    found: Json | list[Json] | None = None
    match request.method, *parts[2:]:
        case ("GET", "resources") | ("GET", "resourcegroups", _, "resources"):
            return page(request, _resources(context, request, parts))
        case ["GET"]:
            found = subscription_body(parts[1])
        case "GET", "locations":
            found = [_location(parts[1], name) for name in regions.REGIONS]
        case "GET", "tagnames":
            found = _tag_names(context, parts[1])
        case _, "providers", *rest:
            found = _answer_providers(context, parts[1], request.method, rest)
    if found is None:
        return None
    return _list(found) if isinstance(found, list) else Response(status=200, body=found)


def _answer_providers(
    context: Context, subscription: str, method: str, parts: list[str]
) -> Json | list[Json] | None:
    """Answer what is asked of providers and their preview features; None for anything else."""
    match method, *parts:
        case ["GET"]:
            return [_provider(context, subscription, name) for name in _namespaces(context)]
        case ("GET", namespace) | ("POST", namespace, "register"):
            return _provider(context, subscription, _known(context, namespace))
        case "GET", "microsoft.features", "features":
            return [_feature(subscription, *feature) for feature in FEATURES]
        case "GET", "microsoft.features", "providers", namespace, "features", feature:
            return _feature(subscription, namespace, feature)
        case "POST", "microsoft.features", "providers", namespace, "features", feature, "register":
            return _feature(subscription, namespace, feature)
    return None


def _tag_names(context: Context, subscription: str) -> list[Json]:
    """Return the names and values of tags in use, with how many resources have each.

    https://learn.microsoft.com/rest/api/resources/tags/list
    """
    used: dict[str, dict[str, int]] = {}
    for row in context.tx.in_subscription(subscription):
        for name, value in (row.body.get("tags") or {}).items():
            values = used.setdefault(name, {})
            values[value] = values.get(value, 0) + 1
    return [_tag_name(subscription, name, values) for name, values in sorted(used.items())]


def _tag_name(subscription: str, name: str, values: dict[str, int]) -> Json:
    above = f"/subscriptions/{subscription}/tagNames/{name}"
    return {
        "id": above,
        "tagName": name,
        "count": {"type": "Total", "value": sum(values.values())},
        "values": [
            {
                "id": f"{above}/tagValues/{value}",
                "tagValue": value,
                "count": {"type": "Total", "value": count},
            }
            for value, count in sorted(values.items())
        ],
    }


def _list(values: list[Json]) -> Response:
    return Response(status=200, body={"value": values})


def _location(subscription: str, name: str) -> Json:
    display = regions.DISPLAY_NAMES[name]
    return {
        "id": f"/subscriptions/{subscription}/locations/{name}",
        "name": name,
        "type": "Region",
        "displayName": display,
        "regionalDisplayName": display,
        "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
    }


def _namespaces(context: Context) -> list[str]:
    return sorted({*(type_.namespace for type_ in context.catalogue), *WITHOUT_TYPES})


def _known(context: Context, namespace: str) -> str:
    for known in _namespaces(context):
        if known.lower() == namespace.lower():
            return known
    raise not_found(
        "InvalidResourceNamespace",
        f"The resource namespace '{namespace}' is invalid. The emulator has no type of this provider; add "
        "it in "
        f"{context.catalogue.source(namespace)}.",
    )


def _provider(context: Context, subscription: str, namespace: str) -> Json:
    return {
        "id": f"/subscriptions/{subscription}/providers/{namespace}",
        "namespace": namespace,
        "registrationState": "Registered",
        "registrationPolicy": "RegistrationRequired",
        "resourceTypes": [
            {
                "resourceType": type_.kind,
                "apiVersions": list(type_.versions),
                "locations": list(regions.DISPLAY_NAMES.values()),
            }
            for type_ in context.catalogue
            if type_.namespace == namespace
        ],
    }


def _feature(subscription: str, namespace: str, feature: str) -> Json:
    path = (
        f"/subscriptions/{subscription}/providers/Microsoft.Features/providers/{namespace}/features/{feature}"
    )
    return {
        "id": path,
        "name": f"{namespace}/{feature}",
        "type": "Microsoft.Features/providers/features",
        "properties": {"state": "Registered"},
    }


# Lists over all types


EXPANDED: dict[str, Callable[[Row], str]] = {
    "createdTime": lambda row: stamp(row.created),
    "provisioningState": lambda row: row.state,
}
"""What $expand adds (changedTime is not noted here): https://learn.microsoft.com/rest/api/resources/resources/list."""


def _resources(context: Context, request: Request, parts: list[str]) -> list[Json]:
    """Return the tracked resources of a subscription or group, without their properties, as ARM's own index
    lists them.
    """
    shown = []
    wanted = [name.strip().lower() for name in request.query.get("$expand", "").split(",")]
    rows = _rows(context, *parts[1:])
    for row in chosen(rows, request.query.get("$filter", "")):
        if row.type == RESOURCE_GROUP or not context.type_of(row).tags:
            continue
        body = render(context, row)
        kept = ("id", "name", "type", "location", "tags", "sku", "kind", "identity", "zones", "managedBy")
        entry = {name: body[name] for name in kept if name in body}
        shown.append(entry | {name: read(row) for name, read in EXPANDED.items() if name.lower() in wanted})
    return shown


def _rows(context: Context, subscription: str, *parts: str) -> list[Row]:
    if len(parts) == 1:
        return context.tx.in_subscription(subscription)
    group = context.tx.get(f"/subscriptions/{subscription}/resourceGroups/{parts[1]}")
    if group is None:
        raise not_found("ResourceGroupNotFound", f"Resource group '{parts[1]}' could not be found.")
    return context.tx.in_group(group.key)
