"""How a resource is written, deleted and answered: the part that is the same for every type.

The order of checks is Azure's, once the front door has let a request in: name, body, location, tags,
identities, fixed properties, references, then the rules of the type, then the write with its side effects.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.arm import ids, regions
from emulator.arm.catalogue import (
    WEAK_ETAG,
    Catalogue,
    Place,
    Reference,
    ResourceType,
    complete,
    same_value,
    take_at,
    value_at,
    values_at,
)
from emulator.arm.errors import ArmError, bad_request, conflict, not_found
from emulator.arm.identities import assign_identities
from emulator.arm.ids import ResourceId
from emulator.arm.latency import Latency
from emulator.arm.messages import Json
from emulator.arm.schema import SCHEMA
from emulator.arm.store import Row, Transaction
from emulator.arm.tokens import Caller

RETRY_AFTER = "10"
"""Seconds after which Azure asks a client to try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every step of one request shares: its transaction, its caller, the catalogue."""

    tx: Transaction
    caller: Caller
    catalogue: Catalogue
    query: Mapping[str, str] = field(default_factory=dict)
    """The query of the request."""
    latency: Latency = field(default_factory=Latency)
    """How long writes take."""
    fabric_listens: bool = False
    """Whether a fabric follows the changes and can run what machines are asked to run."""

    def type_of(self, row: Row) -> ResourceType:
        """Return the catalogue's entry of a resource."""
        return self.catalogue[row.type]


@dataclass(slots=True, kw_only=True)
class Write:
    """One PUT of a resource, from its body to its row."""

    context: Context
    type: ResourceType
    id: ResourceId
    old: Row | None
    body: Json
    hidden: Json = field(default_factory=dict)
    inline: bool = False
    """Whether it is a part of its parent's PUT."""
    lists: dict[str, list[Json]] = field(default_factory=dict)
    """The inline children of the body, by property."""
    row: Row = field(init=False)
    """What is stored: there once the checks are done, for the rules that run `after`."""

    @property
    def tx(self) -> Transaction:
        """The transaction."""
        return self.context.tx

    @property
    def properties(self) -> Json:
        """The `properties` of the new body."""
        properties: Json = self.body.setdefault("properties", {})
        return properties

    def get(self, path: str) -> Any:
        """Return a value of the new body."""
        return value_at(self.body, path)

    def before(self, path: str) -> Any:
        """Return a value of the body before this write."""
        return value_at(self.old.body, path) if self.old else None

    def settle(self, path: str, value: Any) -> Any:
        """Set a computed property once: the old value stays, else `value` becomes it."""
        old = self.before(path)
        value = value if old is None else old
        *above, last = path.split(".")
        at = self.body
        for segment in above:
            at = at.setdefault(segment, {})
        at[last] = value
        return value

    def parent(self) -> Row:
        """Return the parent resource (its existence has been checked)."""
        row = self.tx.get(self.id.parent)
        if row is None:
            raise missing_parent(self.type, self.id)
        return row

    def target(self, path: str) -> Row | None:
        """Return the resource that a property names (its existence has been checked)."""
        identifier = self.get(path)
        return self.tx.get(identifier) if isinstance(identifier, str) else None


@dataclass(slots=True, kw_only=True)
class Deletion:
    """One resource on its way out; `with_parent` when its parent goes as well."""

    context: Context
    type: ResourceType
    row: Row
    with_parent: bool = False

    @property
    def tx(self) -> Transaction:
        """The transaction."""
        return self.context.tx


def put(context: Context, type_: ResourceType, id_: ResourceId, body: Json, *, inline: bool = False) -> Row:
    """Create or replace a resource; return its row. Raises ArmError with Azure's refusal."""
    old = context.tx.get(id_.key)
    if old is None and not type_.creatable:
        raise missing_resource(id_.path)
    if old is None and not type_.names.fits(id_.name):
        raise _bad_name(type_, id_.name)
    checked = SCHEMA.check(type_, body) if type_.schema else copy.deepcopy(body)
    write = Write(context=context, type=type_, id=id_, old=old, body=checked, inline=inline)
    _drop_answers(write)
    _place(write)
    _check_tags(write)
    write.body = complete(write.body, type_.defaults)
    for property_ in type_.inline:
        write.lists[property_] = write.properties.pop(property_, None) or []
    if type_.identity:
        assign_identities(write)
    _hide(write)
    _keep_fixed(write)
    _require(write)
    links = _follow_references(write)
    _claim_name(write)
    for rule in type_.check:
        rule(write)
    row = Row(
        id=old.id if old else canonical_id(context, type_, id_),
        type=type_.name,
        body=write.body,
        hidden=write.hidden,
        etag=new_etag(type_.etag) if type_.etag else "",
        created=old.created if old else 0.0,
        parent=id_.parent,
    )
    write.row = row
    context.tx.put(row)
    context.tx.link(row.key, links)
    for property_, child_type in type_.inline.items():
        _put_inline(context, row, context.catalogue[child_type], write.lists[property_])
    for rule in type_.after:
        rule(write)
    return row


def new_etag(shape: str = WEAK_ETAG) -> str:
    """Return a new etag."""
    return shape.format(uuid.uuid4())


def canonical_id(context: Context, type_: ResourceType, id_: ResourceId) -> str:
    """Return the id of a new resource: what is above it in its own case, the type in Azure's case."""
    above = context.tx.get(id_.parent) if id_.parent else None
    parent = above.id if above else _canonical_scope(id_.parent)
    if type_.key == "microsoft.resources/resourcegroups":
        return f"{parent}/resourceGroups/{id_.name}"
    last = type_.name.rsplit("/", 1)[-1]
    if len(id_.types) == 1:
        return f"{parent}/providers/{type_.namespace}/{last}/{id_.name}"
    return f"{parent}/{last}/{id_.name}"


def _canonical_scope(scope: str) -> str:
    parts = scope.split("/")
    if len(parts) > 1 and parts[1].lower() == "subscriptions":
        parts[1] = "subscriptions"
    if len(parts) > 2:
        parts[2] = parts[2].lower()
    if len(parts) > 3 and parts[3].lower() == "resourcegroups":
        parts[3] = "resourceGroups"
    return "/".join(parts)


def _put_inline(context: Context, parent: Row, type_: ResourceType, elements: list[Json]) -> None:
    last = type_.name.rsplit("/", 1)[-1]
    named = {str(element.get("name", "")).lower() for element in elements}
    for child in context.tx.children(parent.key, type_.name):
        if child.name.lower() not in named:
            delete(context, child)
    for element in elements:
        path = f"{parent.id}/{last}/{element.get('name') or ''}"
        id_ = ids.parse(path)
        if id_ is None or id_.is_collection:
            raise bad_request("InvalidRequestFormat", f"Each element of {last} of {parent.id} needs a name.")
        put(context, type_, id_, element, inline=True)


# Checks, in their order


def _bad_name(type_: ResourceType, name: str) -> ArmError:
    if type_.names.error is not None:
        return type_.names.error(name)
    return bad_request(
        "InvalidResourceName",
        f"Resource name {name} is invalid. A name of type '{type_.name}' has {type_.names.minimum} to "
        f"{type_.names.maximum} characters and matches '{type_.names.pattern}'.",
    )


def _drop_answers(write: Write) -> None:
    for name in ("id", "name", "type", "etag", "systemData"):
        write.body.pop(name, None)  # of bodies without a property list
    if not isinstance(write.body.get("properties"), dict):
        write.body.pop("properties", None)
    for name in ("provisioningState", *write.type.read_only):
        write.properties.pop(name, None)


def _place(write: Write) -> None:
    type_, body = write.type, write.body
    if type_.place is Place.NONE:
        body.pop("location", None)
        return
    location = body.get("location") or (write.old.location if write.old else None)
    if not isinstance(location, str) or not location.strip():
        raise bad_request("LocationRequired", "The location property is required for this definition.")
    location = regions.normalise(location)
    allowed = {
        Place.REGION: regions.REGIONS,
        Place.GLOBAL: ("global",),
        Place.ANY: ("global", *regions.REGIONS),
    }[type_.place]
    if location not in allowed:
        raise bad_request(
            "LocationNotAvailableForResourceType",
            f"The provided location '{body.get('location')}' is not available for resource type "
            f"'{type_.name}'. "
            f"List of available regions for the resource type is '{','.join(allowed)}'.",
        )
    if write.old and write.old.location not in {None, location}:
        if type_.key == "microsoft.resources/resourcegroups":
            raise conflict(
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{location}'. The Resource group already exists in "
                "location "
                f"'{write.old.location}'.",
            )
        raise conflict(
            "InvalidResourceLocation",
            f"The resource '{write.id.name}' already exists in location '{write.old.location}' in resource "
            "group "
            f"'{write.id.group}'. A resource with the same name cannot be created in location '{location}'. "
            "Please select a new resource name.",
        )
    body["location"] = location


def _check_tags(write: Write) -> None:
    tags = write.body.get("tags")
    if not write.type.tags or tags is None:
        return
    longest = 128 if write.type.namespace == "Microsoft.Storage" else 512
    if len(tags) > 50:
        raise bad_request("TooManyTags", f"The resource has {len(tags)} tags; the limit is 50.")
    for name, value in tags.items():
        if not name or len(name) > longest or any(letter in "<>%&\\?/" for letter in name):
            raise bad_request(
                "InvalidTagName",
                f"The tag name '{name}' is invalid: up to {longest} characters, none of '<>%&\\?/'.",
            )
        if len(value) > 256:
            raise bad_request("InvalidTagValueLength", f"The value of tag '{name}' exceeds 256 characters.")


def _hide(write: Write) -> None:
    before = write.old.hidden if write.old else {}
    write.hidden = dict(before)
    for path in write.type.write_only:
        value = take_at(write.body, path)
        if value is not None:
            write.hidden[path] = value


def _keep_fixed(write: Write) -> None:
    if write.old is None:
        return
    for fixed in write.type.fixed:
        old, new = write.before(fixed.path), write.get(fixed.path)
        if new is None:
            if old is not None:
                write.settle(fixed.path, old)
        elif not _repeats(old, new):
            raise fixed.error(fixed.path.removeprefix("properties."))


def _repeats(old: Any, new: Any) -> bool:
    """Say whether a value repeats what is there; a new object may leave out what Azure has filled in."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(_repeats(old.get(name), value) for name, value in new.items() if value is not None)
    return same_value(old, new)


def _require(write: Write) -> None:
    for path in write.type.required:
        if write.get(path) in (None, "", [], {}):
            raise missing_value(write.type, path)


def missing_value(type_: ResourceType, path: str) -> ArmError:
    """Return the provider's refusal of a body without a property that it needs."""
    code = {"microsoft.network": "InvalidRequestFormat", "microsoft.compute": "InvalidParameter"}.get(
        type_.namespace.lower(), "BadRequest"
    )
    return bad_request(code, f"Required parameter '{path}' is missing (null).", target=path)


def _follow_references(write: Write) -> list[tuple[str, str, str]]:
    links = []
    for reference in write.type.references:
        for exact, value in values_at(write.body, reference.path):
            target = check_reference(write.context, write, reference, exact, value)
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


def check_reference(context: Context, write: Write, reference: Reference, exact: str, value: Any) -> Row:
    """Return the resource that a property names, or raise what the provider says when it may not."""
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
        raise linked_authorization_failed(context, write.type, write.id, wanted, reference.action)
    found = context.tx.get(wanted.key)
    apart = found is not None and (
        (reference.local and home_of(context.tx, found) != home_of_write(write))
        or (reference.same_subscription and wanted.subscription != write.id.subscription)
    )
    if found is None or apart:
        own = write.old.id if write.old else canonical_id(context, write.type, write.id)
        raise (reference.error or _default_reference_error(write.type))(value, own)
    if found.state != "Succeeded" and write.type.namespace in {"Microsoft.Network", "Microsoft.Compute"}:
        raise _not_ready(found, write)
    return found


def _not_ready(found: Row, write: Write) -> ArmError:
    """Return the network provider's refusal to use what is itself being written."""
    verb = "Delete" if found.state == "Deleting" else "Put"
    kind = found.type.rsplit("/", 1)[-1].removesuffix("s")
    return ArmError(
        429,
        "RetryableError",
        "A retryable error occurred.",
        details=[
            {
                "code": "ReferencedResourceNotProvisioned",
                "message": f"Cannot proceed with operation because resource {found.id} used by resource "
                f"{write.id.path} is not in Succeeded state. Resource is in {found.state} state and the last "
                "operation that updated/is updating the resource is "
                f"{verb}{kind[:1].upper()}{kind[1:]}Operation.",
            }
        ],
        headers={"retry-after": RETRY_AFTER},
    )


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


def missing_resource(wanted: str, own: str = "") -> ArmError:
    """Return ARM's answer for a resource that is not there."""
    parsed = ids.parse(wanted)
    if parsed is None:
        return not_found("ResourceNotFound", f"The Resource '{wanted}' was not found.")
    if parsed.key.count("/") == 4:
        return not_found("ResourceGroupNotFound", f"Resource group '{parsed.name}' could not be found.")
    names = "/".join(parsed.names)
    return not_found(
        "ResourceNotFound",
        f"The Resource '{parsed.type}/{names}' under resource group '{parsed.group}' was not found. For more "
        "details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def missing_parent(type_: ResourceType, id_: ResourceId) -> ArmError:
    """Return ARM's refusal of a child without its parent."""
    return not_found(
        "ParentResourceNotFound",
        f"Failed to perform 'write' on resource(s) of type '{type_.kind}', because the parent resource "
        f"'{id_.parent}' could not be found.",
    )


def linked_authorization_failed(
    context: Context, type_: ResourceType, id_: ResourceId, wanted: ResourceId, action: str = "join/action"
) -> ArmError:
    """Return the refusal of a caller who has rights on a resource but not on one that it names."""
    caller = context.caller
    return ArmError(
        403,
        "LinkedAuthorizationFailed",
        f"The client '{caller.client_id}' with object id '{caller.object_id}' has permission to perform "
        "action "
        f"'{type_.name}/write' on scope '{id_.path}'; however, it does not have permission to perform action "
        f"'{wanted.type}/{action}' on the linked scope(s) '{wanted.path}' or the linked scope(s) are "
        "invalid.",
    )


def _claim_name(write: Write) -> None:
    unique = write.type.names.unique
    if unique is None or write.old is not None:
        return
    holder = write.tx.claim(unique.space, write.id.name, write.id.key)
    if holder is not None:
        raise unique.taken(write, holder)


# Deletion


def delete(context: Context, row: Row, *, with_parent: bool = False) -> None:
    """Remove a resource and everything below it, or raise why it must stay."""
    deletion = Deletion(context=context, type=context.type_of(row), row=row, with_parent=with_parent)
    if not with_parent:
        for rule in deletion.type.keep:
            rule(deletion)
    _remove(deletion)


def remove(context: Context, row: Row) -> None:
    """Remove what another resource made, whatever its own rules say."""
    _remove(Deletion(context=context, type=context.type_of(row), row=row, with_parent=True))


def _remove(deletion: Deletion) -> None:
    for rule in deletion.type.gone:
        rule(deletion)
    for child in reversed(deletion.tx.below(deletion.row.id)):
        if deletion.tx.exists(child.key):
            remove(deletion.context, child)
    deletion.tx.delete(deletion.row)


# Answers


def render(context: Context, row: Row) -> Json:
    """Return the body that a GET of a resource answers."""
    type_ = context.type_of(row)
    answer: Json = {"id": row.id, "name": row.name, "type": type_.name}
    if type_.etag:
        answer["etag"] = row.etag
    answer.update(row.body)
    properties = answer["properties"] = dict(row.properties)
    if type_.provisioning:
        properties["provisioningState"] = row.state
    for property_, child in type_.inline.items():
        properties[property_] = [
            render(context, child_row)
            for child_row in context.tx.children(row.key, context.catalogue[child].name)
        ]
    if type_.render is not None:
        type_.render(context.tx, row, answer)
    return answer


def sources(tx: Transaction, target: Row, path: str, type_: str) -> Iterator[str]:
    """Yield the canonical ids of the resources of a type that name another in a property."""
    for key, _, _ in tx.links_to(target.key, path):
        row = tx.get(key)
        if row is not None and row.type == type_:
            yield row.id
