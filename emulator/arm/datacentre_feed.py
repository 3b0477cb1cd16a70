"""What the datacentre asks of the control plane, below ``/emulator/``: none of this exists on Azure.

====== ============================== ========================================================================
GET    /emulator/changes              ?since=<revision>&wait=<seconds>: what changed; since=0 is everything
POST   /emulator/commands/<operation> {exitCode, stdout, stderr}: the answer to a queued runCommand
PUT    /emulator/vms/<vm id>          any JSON object: how a machine is doing (the id is URL-encoded)
GET    /emulator/vms                  ``{"value": [{"id", "health"}, ...]}``
PUT    /emulator/images/<reference>   any JSON object: an image that was pushed (the reference is URL-encoded)
GET    /emulator/images               ``{"value": [...]}``
====== ============================== ========================================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import unquote

from emulator.arm.compute.way_out import has_way_out
from emulator.arm.context import Context
from emulator.arm.errors import ArmError, bad_request, not_found
from emulator.arm.messages import Json, Request, Response
from emulator.arm.operations import LONGEST_COMMAND, SHORTEST_COMMAND
from emulator.arm.store import Row, Store, Transaction
from emulator.arm.writes import render

LONGEST_WAIT = 60.0
"""Seconds that a request for changes may wait."""
SHORTEST_WAIT = 0.01
"""Seconds between two looks at operations that are due."""


Open = Callable[[], AbstractContextManager[Context]]
"""Opens a transaction."""
Settle = Callable[[], float | None]
"""Ends operations whose time is over; returns the seconds until the next one's, None without one."""


def answer(store: Store, request: Request, open_: Open, settle: Settle) -> Response:
    """Answer a request of the datacentre."""
    _, area, *rest = request.path.strip("/").split("/", 2)
    name = unquote(rest[0]) if rest else None
    if (request.method, area, name) == ("GET", "changes", None):
        return _changes(store, request, open_, settle)
    with open_() as context:
        match request.method, area:
            case "GET", "vms" if name is None:
                return Response(status=200, body={"value": _machines(context.tx)})
            case "PUT", "vms" if name is not None:
                context.tx.set_health(_machine(context.tx, name), request.body or {})
                context.tx.touch(name)
                return Response(status=204)
            case "POST", "commands" if name is not None:
                return _answer_command(context, name, request.body or {})
            case "PUT", "images" if name is not None:
                context.tx.put_image(name, request.body or {})
                return Response(status=204)
            case "GET", "images" if name is None:
                return Response(status=200, body={"value": context.tx.images_since(0)})
    raise not_found("NotFound", f"The emulator has no {request.method} {request.path}.")


def _changes(store: Store, request: Request, open_: Open, settle: Settle) -> Response:
    since, wait = int(_number(request, "since", int)), _number(request, "wait", float)
    _wait(store, since, min(wait, LONGEST_WAIT), settle)
    with open_() as context:
        tx = context.tx
        return Response(
            status=200,
            body={
                "revision": tx.revision,
                "upserts": [_upsert(context, row) for row in tx.changed_since(since)],
                "deletes": tx.deleted_since(since) if since else [],
                "images": tx.images_since(since),
                "commands": [
                    {"operation": operation, "vm": vm, "script": script}
                    for operation, vm, script in tx.commands()
                ],
            },
        )


def _wait(store: Store, since: int, seconds: float, settle: Settle) -> None:
    """Wait for something newer than a revision, ending operations in their time."""
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        due = settle()
        if store.wait_beyond(since, left if due is None else max(SHORTEST_WAIT, min(left, due))):
            break
    if store.closed:
        raise ArmError(503, "ServerShuttingDown", "The emulator is shutting down.")


def _number(request: Request, name: str, kind: type[int] | type[float]) -> float:
    text = request.query.get(name, "0")
    try:
        return kind(text)
    except ValueError as wrong:
        raise bad_request("BadRequest", f"{name}={text!r} is not a number.") from wrong


def _upsert(context: Context, row: Row) -> Json:
    body = render(context, row)
    if row.hidden:
        body["emulator"] = {path.rsplit(".", 1)[-1]: value for path, value in row.hidden.items()}
    return {"id": row.id, "type": row.type, "body": body}


def _machine(tx: Transaction, identifier: str) -> Row:
    row = tx.get(identifier)
    if row is None or row.type != "Microsoft.Compute/virtualMachines":
        raise not_found("ResourceNotFound", f"There is no virtual machine '{identifier}'.")
    return row


def _machines(tx: Transaction) -> list[Json]:
    machines = tx.of_type("Microsoft.Compute/virtualMachines")
    return [{"id": row.id, "health": tx.health(row.key)} for row in machines]


def _answer_command(context: Context, operation: str, result: Json) -> Response:
    if not context.tx.drop_command(operation):
        raise not_found("OperationNotFound", f"No command '{operation}' waits for an answer.")
    found = context.tx.operation(operation)
    machine = context.tx.get(found.key) if found else None
    if found is None or machine is None or not has_way_out(context.tx, machine):
        return Response(status=204)  # the script ran, and its answer never gets to Azure
    text = f"Enable succeeded: \n[stdout]\n{result.get('stdout', '')}\n[stderr]\n{result.get('stderr', '')}"
    status = {
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Provisioning succeeded",
    }
    output = {"value": [status | {"message": text}]}
    began = (found.due or 0) - LONGEST_COMMAND
    ready = began + context.latency.seconds(SHORTEST_COMMAND)
    if ready > context.tx.now:
        context.tx.hold_result(operation, ready, {"output": output})
    else:
        context.tx.end_operation(operation, "Succeeded", {"output": output})
    return Response(status=204)
