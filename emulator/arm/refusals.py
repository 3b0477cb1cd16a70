"""Refusals that several providers word alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.arm import ids
from emulator.arm.errors import ArmError, bad_request, not_found
from emulator.arm.ids import ResourceId

if TYPE_CHECKING:
    from emulator.arm.catalogue import ResourceType
    from emulator.arm.tokens import Caller


def missing_resource(wanted: str, own: str = "") -> ArmError:
    """Return ARM's answer for a resource that is not there."""
    parsed = ids.parse(wanted)
    if parsed is None:
        return not_found("ResourceNotFound", f"The Resource '{wanted}' was not found.")
    if parsed.key.count("/") == 4:
        return not_found("ResourceGroupNotFound", f"Resource group '{parsed.name}' could not be found.")
    pairs = "/".join(f"{type_}/{name}" for type_, name in zip(parsed.types, parsed.names, strict=False))
    return not_found(
        "ResourceNotFound",
        f"The Resource '{parsed.namespace}/{pairs}' under resource group '{parsed.group}' was not found. For "
        "more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def missing_parent(type_: ResourceType, id_: ResourceId, verb: str = "write") -> ArmError:
    """Return ARM's refusal of a child without its parent."""
    return not_found(
        "ParentResourceNotFound",
        f"Failed to perform '{verb}' on resource(s) of type '{type_.kind}', because the parent resource "
        f"'{id_.parent}' could not be found.",
    )


def missing_by_id(id_: ResourceId) -> ArmError:
    """Return how providers without words of ARM's say that a resource is not there."""
    return not_found("NotFound", f"Resource '{id_.path}' was not found.")


def missing_value(type_: ResourceType, path: str) -> ArmError:
    """Return the provider's refusal of a body without a property that it needs."""
    code = {"microsoft.network": "InvalidRequestFormat", "microsoft.compute": "InvalidParameter"}.get(
        type_.namespace.lower(), "BadRequest"
    )
    return bad_request(code, f"Required parameter '{path}' is missing (null).", target=path)


def linked_authorization_failed(
    caller: Caller, type_: ResourceType, id_: ResourceId, right: str, wanted: str
) -> ArmError:
    """Return the refusal of a caller who has rights on a resource but not the one needed on what it names."""
    return ArmError(
        403,
        "LinkedAuthorizationFailed",
        f"The client '{caller.client_id}' with object id '{caller.object_id}' has permission to perform "
        f"action '{type_.name}/write' on scope '{id_.path}'; however, it does not have permission to "
        f"perform action '{right}' on the linked scope(s) '{wanted}' or the linked scope(s) are invalid.",
    )
