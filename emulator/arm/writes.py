"""How a resource is written, deleted and answered: the part that is the same for every type.

The order of checks is Azure's, once the front door has let a request in: location, name, body, tags,
identities, fixed properties, references, then the rules of the type, then the write with its side effects.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from emulator.arm import ids, schema
from emulator.arm.bodies import check_tags, drop_answers, hide, keep_fixed, place, require
from emulator.arm.catalogue import ResourceType, complete, take_at
from emulator.arm.context import Context, Deletion, Write, canonical_id, new_etag
from emulator.arm.errors import ArmError, bad_request
from emulator.arm.identities import assign_identities
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Json
from emulator.arm.references import follow_references
from emulator.arm.refusals import missing_resource
from emulator.arm.store import Row, Transaction


def put(context: Context, type_: ResourceType, id_: ResourceId, body: Json, *, inline: bool = False) -> Row:
    """Create or replace a resource; return its row. Raises ArmError with Azure's refusal."""
    old = context.tx.get(id_.key)
    if old is None and not type_.creatable:
        raise missing_resource(id_.path)
    write = Write(context=context, type=type_, id=id_, old=old, body=copy.deepcopy(body), inline=inline)
    place(write)
    if old is None and not type_.names.rule.fits(id_.name):
        raise _bad_name(type_, id_.name)
    for path in type_.read_only:
        take_at(write.body, f"properties.{path}")
    if type_.schema:
        write.body = schema.check(type_, write.body)
    drop_answers(write)
    check_tags(write)
    write.body = complete(write.body, type_.defaults)
    for property_ in type_.inline:
        given = write.properties.pop(property_, None)
        if given is not None or not _left_alone(write, property_):
            write.lists[property_] = given or []
    if type_.identity:
        assign_identities(write)
    hide(write)
    keep_fixed(write)
    require(write)
    links = follow_references(write)
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
    for property_, elements in write.lists.items():
        _put_inline(context, row, context.catalogue[type_.inline[property_]], elements)
    for rule in type_.after:
        rule(write)
    return row


def _left_alone(write: Write, property_: str) -> bool:
    since = write.type.kept.get(property_)
    return since is not None and write.context.query.get("api-version", write.type.versions[0]) >= since


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


def _bad_name(type_: ResourceType, name: str) -> ArmError:
    if type_.names.error is not None:
        return type_.names.error(name)
    return bad_request(
        "InvalidResourceName",
        f"Resource name {name} is invalid. A name of type '{type_.name}' has {type_.names.rule.minimum} to "
        f"{type_.names.rule.maximum} characters and matches '{type_.names.rule.pattern}'.",
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
