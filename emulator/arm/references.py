"""Properties that name other resources: does the named one exist, here, ready, and may the caller use it?"""

from __future__ import annotations

from typing import Any

from emulator.arm import ids
from emulator.arm.catalogue import Reference, ResourceType, value_at, values_at
from emulator.arm.context import Write, canonical_id
from emulator.arm.errors import ArmError, bad_request
from emulator.arm.refusals import linked_authorization_failed, missing_resource
from emulator.arm.store import Row, Transaction


def follow_references(write: Write) -> list[tuple[str, str, str]]:
    """Check what a body names; return its links: (property path, target key, id of the part that points)."""
    links = []
    for reference in write.type.references:
        for exact, value in values_at(write.body, reference.path):
            target = _check_reference(write, reference, exact, value)
            links.append((reference.path, target.key, _via(write, exact)))
    return links


def _via(write: Write, exact: str) -> str:
    """Return the id of the element of a list that points, as in .../ipConfigurations/primary."""
    own = write.old.id if write.old else canonical_id(write.context, write.type, write.id)
    head, bracket, _ = exact.partition("]")
    if not bracket:
        return own
    list_path, _, index = head.rpartition("[")
    element = value_at(write.body, list_path)[int(index)]
    name = element.get("name") if isinstance(element, dict) else None
    return f"{own}/{list_path.rsplit('.', 1)[-1]}/{name}" if name else own


def _check_reference(write: Write, reference: Reference, exact: str, value: Any) -> Row:
    """Return the resource that a property names, or raise what the provider says when it may not."""
    context = write.context
    wanted = ids.parse(value) if isinstance(value, str) and value.startswith("/") else None
    if wanted is None or wanted.is_collection:
        raise bad_request(
            "LinkedInvalidPropertyId",
            f"Property id '{value}' at path '{exact}' is invalid. Expect fully qualified resource Id that "
            "start "
            "with '/subscriptions/{subscriptionId}' or '/providers/{resourceProviderNamespace}/'.",
        )
    if reference.types and wanted.type.lower() not in {name.lower() for name in reference.types}:
        raise bad_request(
            "LinkedInvalidPropertyId",
            f"Property id '{value}' at path '{exact}' is invalid. Expect fully qualified resource Id of type "
            f"'{' or '.join(reference.types)}'.",
        )
    if not context.caller.may_use(wanted.subscription):
        raise linked_authorization_failed(
            context.caller, write.type, write.id, f"{wanted.type}/{reference.action}", wanted.path
        )
    found = context.tx.get(wanted.key)
    apart = found is not None and (
        (reference.local and home_of(context.tx, found) != home_of_write(write))
        or (reference.same_subscription and wanted.subscription != write.id.subscription)
    )
    if found is None or apart:
        own = write.old.id if write.old else canonical_id(context, write.type, write.id)
        raise (reference.error or _default_reference_error(write.type))(value, own)
    if reference.busy is not None:
        if found.state != "Succeeded" or context.tx.occupied(frozenset({found.key})) is not None:
            raise reference.busy(found, write)
    elif found.state != "Succeeded" and write.type.namespace in {"Microsoft.Network", "Microsoft.Compute"}:
        raise _not_ready(found, write)
    return found


def _not_ready(found: Row, write: Write) -> ArmError:
    """Return the network provider's refusal to use what is itself being written.

    Without Retry-After (15 of 15 recorded, as Test_Networking_NatGateway_20240301_CRUD, 2025).
    """
    detail = {"code": "ReferencedResourceNotProvisioned", "message": not_provisioned(found, write)}
    return ArmError(429, "RetryableError", "A retryable error occurred.", details=[detail])


def not_provisioned(found: Row, write: Write) -> str:
    """Return the network provider's words for what is itself being written."""
    state = "Updating" if found.state == "Succeeded" else found.state
    return (
        f"Cannot proceed with operation because resource {found.id} used by resource {write.id.path} is not "
        f"in Succeeded state. Resource is in {state} state and the last operation that updated/is updating "
        f"the resource is {operation_name(found.type, deleting=state == 'Deleting')}."
    )


def operation_name(type_: str, *, deleting: bool) -> str:
    """Return the name of the network provider's operation on a type (``PutVirtualNetworkOperation``)."""
    kind = type_.rsplit("/", 1)[-1].removesuffix("s")
    return f"{'Delete' if deleting else 'Put'}{kind[:1].upper()}{kind[1:]}Operation"


def home_of(tx: Transaction, row: Row) -> tuple[str | None, str | None]:
    """Return (subscription, region) of a resource; a child lives where its parent does."""
    location = row.location
    while location is None and "/" in row.type.partition("/")[2]:
        above = tx.get(row.parent)
        if above is None:
            break
        row, location = above, above.location
    return ids.subscription_of(row.id), location


def home_of_write(write: Write) -> tuple[str | None, str | None]:
    """Return (subscription, region) that a write lands in."""
    location = write.body.get("location")
    if location is None and len(write.id.types) > 1:
        return home_of(write.tx, write.parent())
    return write.id.subscription, location


def _default_reference_error(type_: ResourceType) -> Any:
    return (
        invalid_reference
        if type_.namespace in {"Microsoft.Network", "Microsoft.Compute"}
        else missing_resource
    )


def invalid_reference(wanted: str, own: str) -> ArmError:
    """Return the network provider's refusal of a reference to what is not there, or not here."""
    return bad_request(
        "InvalidResourceReference",
        f"Resource {wanted} referenced by resource {own} was not found. Please make sure that the referenced "
        "resource exists, and that both resources are in the same region.",
    )
