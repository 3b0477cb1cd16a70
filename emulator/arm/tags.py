"""The tags of a resource as a resource of their own.

https://learn.microsoft.com/rest/api/resources/tags
"""

from __future__ import annotations

from collections.abc import Callable

from emulator.arm.context import Context
from emulator.arm.errors import ArmError, bad_request
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Json, Request, Response
from emulator.arm.refusals import missing_resource

TAGS = "Microsoft.Resources/tags"
Ask = Callable[[Request], Response]
"""Sends a request through the same door."""


def answer_tags(context: Context, path: ResourceId, request: Request, ask: Ask) -> Response:
    """Read, replace, merge or remove the tags of what `path` hangs on; raises ArmError."""
    row = context.tx.get(path.scope)
    if row is None:
        raise missing_resource(path.scope)
    type_ = context.type_of(row)
    if not type_.tags or "tags" not in type_.patch:
        raise bad_request("BadRequest", f"Resources of type '{type_.name}' take no tags.")
    before: dict[str, str] = row.body.get("tags") or {}
    after = _changed(before, request)
    if after != before:
        change = Request(
            method="PATCH",
            path=row.id,
            query={"api-version": type_.versions[0]},
            headers=request.headers,
            body={"tags": after},
        )
        ask(change)
    return Response(status=200, body=_body(path, after))


def _changed(before: dict[str, str], request: Request) -> dict[str, str]:
    body = request.body or {}
    given: dict[str, str] = (body.get("properties") or {}).get("tags") or {}
    operation = str(body.get("operation", "")).lower()
    match request.method, operation:
        case "GET", _:
            return before
        case "DELETE", _:
            return {}
        case ("PUT", _) | ("PATCH", "replace"):
            return given
        case "PATCH", "merge":
            return before | given
        case "PATCH", "delete":
            return {name: value for name, value in before.items() if given.get(name) != value}
    raise ArmError(400, "InvalidRequestContent", f"The operation '{operation}' on tags is unknown.")


def _body(path: ResourceId, tags: Json) -> Json:
    return {"id": path.path, "name": "default", "type": TAGS, "properties": {"tags": tags}}
