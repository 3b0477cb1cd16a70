"""Work that outlives its request: realistic durations, operation status, what happens at the end.

With latencies off (the default) a PUT or DELETE has ended when it is answered. With latencies on it is
answered at once as Azure does, the resource stays in an intermediate state for as long as Azure usually
takes, and what it occupies refuses a second writer meanwhile. Operations end when somebody looks after their
time: there is no timer, so that a killed daemon loses nothing.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from emulator.arm import ids
from emulator.arm.answers import RESULT_URL, STATUS_URL
from emulator.arm.catalogue import Level, ResourceType
from emulator.arm.context import Context
from emulator.arm.errors import ArmError, conflict, not_found
from emulator.arm.messages import Json, Request, Response
from emulator.arm.references import home_of, operation_name
from emulator.arm.resources import RESOURCE_GROUP, delete_group
from emulator.arm.store import Operation, Row
from emulator.arm.writes import delete, render

RETRY_SECONDS = 12
"""Seconds after which Azure asks to try again while a network is being written (11 to 14 recorded)."""
RUN_COMMAND = "runCommand"
"""The kind of operations that the datacentre ends."""
SHORTEST_COMMAND = 20.0
"""Seconds that a run command takes at least: https://learn.microsoft.com/azure/virtual-machines/linux/run-command."""
LONGEST_COMMAND = 5400.0
"""Seconds after which Azure gives up a run command."""


def refuse_second_writer(
    context: Context, type_: ResourceType, keys: frozenset[str], request: Request
) -> None:
    """Raise the provider's conflict when an operation in progress holds one of these resources."""
    operation = context.tx.occupied(keys)
    if operation is None:
        return
    found = context.tx.operation(operation)
    key = found.key if found else ""
    uri = operation_url(context, request, key, operation)
    if type_.namespace == "Microsoft.Storage":
        raise conflict(
            "StorageAccountOperationInProgress",
            "An operation is currently performing on this storage account that requires exclusive access.",
        )
    if type_.namespace == "Microsoft.Network" and _asks_to_retry(type_, request):
        raise _retry_later(context, operation, key)
    if type_.namespace == "Microsoft.Network":
        raise conflict(
            "AnotherOperationInProgress",
            "Another operation on this or dependent resource is in progress. To retrieve status of the "
            "operation "
            f"use uri: {uri}.",
        )
    raise conflict("Conflict", f"Another operation is in progress on {key}. Status: {uri}.")


def _asks_to_retry(type_: ResourceType, request: Request) -> bool:
    """Say whether a child of a busy network is answered 429 and not 409.

    Both are recorded as often: 429 in Test_Network_v1api20240301_CreationAndDeletion (api-version 2024-03-01,
    2025-07-15), 409 in Test_Networking_DnsResolver_CRUD (2020-11-01, 2025).
    """
    version = request.query.get("api-version", "")
    return type_.level is Level.PARENT and request.method == "PUT" and version >= "2024"


def _retry_later(context: Context, operation: str, key: str) -> ArmError:
    kind = ids.parse(key)
    name = operation_name(kind.type if kind else "", deleting=False)
    wait = context.latency.seconds(RETRY_SECONDS)
    pace = {"retry-after": str(round(wait))} if wait >= 1 else {"retry-after-ms": str(round(wait * 1000))}
    detail = {
        "code": "RetryableErrorDueToAnotherOperation",
        "message": f"Operation {name} ({operation}) is updating resource {key}. The call can be retried in "
        f"{round(wait)} seconds.",
    }
    return ArmError(429, "RetryableError", "A retryable error occurred.", details=[detail], headers=pace)


def begin(
    context: Context, row: Row, kind: str, *, seconds: float | None, keys: frozenset[str] = frozenset()
) -> str:
    """Start an operation on a resource that takes this long (None: until somebody ends it); return its id.

    `keys` are the resources that it occupies meanwhile.
    """
    operation = str(uuid.uuid4())
    due = None if seconds is None else context.tx.now + seconds
    context.tx.add_operation(operation, kind, row.key, due)
    context.tx.occupy(keys, operation)
    return operation


def answer_later(context: Context, row: Row, request: Request, output: Json) -> Response:
    """Answer a question that Azure answers by an operation: 202, and what it came to at its address."""
    operation = begin(context, row, "POST", seconds=0)
    context.tx.end_operation(operation, "Succeeded", {"output": output})
    return Response(status=202, headers=pending_headers(context, request, row.key, operation, wait=0.05))


def settle(context: Context) -> None:
    """End every operation whose time is over."""
    for operation, kind, key in context.tx.due_operations():
        row = context.tx.get(key)
        try:
            if kind == RUN_COMMAND:
                result = _answered(context, operation, key)
                context.tx.end_operation(operation, "Succeeded", result)
                continue
            if row is not None and kind == "PUT":
                _succeed(context, row)
            elif row is not None and kind == "DELETE":
                _remove(context, row)
        except ArmError as refusal:
            context.tx.end_operation(
                operation, "Failed", {"status": refusal.status, "error": refusal.error()}
            )
            if row is not None and kind != RUN_COMMAND:
                row.state = "Succeeded" if row.type == RESOURCE_GROUP else "Failed"
                context.tx.put(row)
        else:
            context.tx.end_operation(operation, "Succeeded")


def _answered(context: Context, operation: str, key: str) -> Json:
    """Return what the datacentre said of a script; raise when it said nothing in all that time."""
    found = context.tx.operation(operation)
    if found and "output" in found.body:
        return found.body
    context.tx.drop_command(operation)
    raise conflict(
        "VMExtensionProvisioningTimeout",
        f"Provisioning of VM extension RunCommandLinux has timed out on {key}: the script did not end.",
    )


def _remove(context: Context, row: Row) -> None:
    if row.type == RESOURCE_GROUP:
        delete_group(context, row)
    else:
        delete(context, row)


def _succeed(context: Context, row: Row) -> None:
    row.state = "Succeeded"
    context.tx.put(row)
    for child in inline_children(context, row):
        child.state = "Succeeded"
        context.tx.put(child)


def inline_children(context: Context, row: Row) -> list[Row]:
    """Return the resources that travel inside the body of another."""
    return [
        child
        for child_type in context.type_of(row).inline.values()
        for child in context.tx.children(row.key, context.catalogue[child_type].name)
    ]


# Where operations are asked for


def operation_url(
    context: Context, request: Request, key: str, operation: str, kind: str = "operations"
) -> str:
    """Return the absolute URL of an operation, in the shape of the network provider's."""
    scope = f"{request.endpoint}/subscriptions/{ids.subscription_of(key)}"
    path = ids.parse(key)
    type_ = context.catalogue.find(path.type) if path else None
    version = request.query.get("api-version", "2024-03-01")
    if type_ is None or type_.name == RESOURCE_GROUP:
        return f"{scope}/operationresults/{operation}?api-version={version}"
    region = _region(context, key)
    return f"{scope}/providers/{type_.namespace}/locations/{region}/{kind}/{operation}?api-version={version}"


def _region(context: Context, key: str) -> str:
    row = context.tx.get(key)
    region = home_of(context.tx, row)[1] if row else None
    return region or "global"


def pending_headers(
    context: Context,
    request: Request,
    key: str,
    operation: str,
    *,
    wait: float,
    urls: tuple[str, ...] = (STATUS_URL, RESULT_URL),
) -> dict[str, str]:
    """Return the headers of an accepted operation, `wait` seconds after which to ask for it.

    Asking more often is allowed. A wait is always given: clients that are told nothing wait for 10 to 30
    seconds, which no scale of FED_EMULATOR_LATENCY shortens.
    """
    headers = (
        {"retry-after": str(round(wait))}
        if wait >= 1
        else {"retry-after-ms": str(max(1, round(wait * 1000)))}
    )
    if STATUS_URL in urls:
        headers[STATUS_URL] = operation_url(context, request, key, operation)
        headers["azure-asyncnotification"] = "Enabled"
    if RESULT_URL in urls:
        headers[RESULT_URL] = operation_url(context, request, key, operation, "operationResults")
    return headers


# What an accepted write or deletion is answered


def answer_write(
    context: Context, request: Request, row: Row, *, created: bool, held: frozenset[str]
) -> Response:
    """Answer a write that was accepted; what goes on after the answer occupies `held`.

    A PATCH of tags alone is over when it is answered: Microsoft's clients (`update_tags`) do not wait for it.
    """
    type_ = context.type_of(row)
    how = type_.answers
    status, state = how.status(created=created), how.state(created=created)
    only_tags = request.method == "PATCH" and set(request.body or {}) == {"tags"}
    seconds = context.latency.seconds(type_.lasts.put) if state and not only_tags else 0.0
    headers: dict[str, str] = {"etag": row.etag} if type_.etag else {}
    if seconds > 0:
        for part in (row, *inline_children(context, row)):
            part.state = state
            context.tx.put(part)
    if seconds > 0 or status == 202:
        operation = begin(context, row, "PUT", seconds=seconds, keys=held)
        wait = min(context.latency.seconds(how.pace[0]), seconds)
        if how.written_urls:
            headers |= pending_headers(context, request, row.key, operation, wait=wait, urls=how.written_urls)
        _end_at_once(context, operation, seconds)
    body = None if how.bodiless(created=created) else render(context, row)
    if body is not None and created and how.placed:
        headers[RESULT_URL] = body["id"]
    return Response(status=status, headers=headers, body=body)


def answer_deletion(
    context: Context, request: Request, row: Row, *, seconds: float, held: frozenset[str]
) -> Response:
    """Answer a DELETE that was accepted and takes this long; a group is not gone before it is settled."""
    how = context.type_of(row).answers
    if how.deleted != 202:
        return Response(status=how.deleted, body=render(context, row) if how.deleted_body else None)
    operation = begin(context, row, "DELETE", seconds=seconds, keys=held)
    wait = min(context.latency.seconds(how.pace[1]), seconds)
    headers = pending_headers(context, request, row.key, operation, wait=wait, urls=how.deleted_urls)
    if row.type != RESOURCE_GROUP:
        _end_at_once(context, operation, seconds)
    return Response(status=202, headers=headers)


def _end_at_once(context: Context, operation: str, seconds: float) -> None:
    if seconds == 0:
        context.tx.end_operation(operation, "Succeeded")


# Where operations are asked for, and what they answer


def answer_operation(context: Context, request: Request, kind: str, operation: str) -> Response:
    """Answer a poll: `operations` with a status, `operationresults` with 202 until the work is done."""
    found = context.tx.operation(operation)
    if found is None:
        raise not_found("OperationNotFound", f"The operation '{operation}' was not found.")
    if found.kind == RUN_COMMAND and found.status == "InProgress" and context.datacentre_is_gone:
        found = _nobody_runs(context, operation, found)
    if kind == "operationresults":
        return _result(context, request, found)
    answer: Json = {"id": request.path, "name": operation, "status": found.status}
    if "error" in found.body:
        answer["error"] = found.body["error"]
    if found.status == "Succeeded" and "output" in found.body:
        answer["properties"] = {"output": found.body["output"]}
    headers = {"retry-after-ms": "200"} if found.status == "InProgress" else {}
    return Response(status=200, headers=headers, body=answer)


def silent_agent(machine: str) -> ArmError:
    """Return the refusal of a run command on a machine that nobody runs."""
    return conflict(
        "VMAgentStatusCommunicationError",
        f"VM '{machine}' has not reported status for VM agent or extensions. Verify that the OS is up "
        "and healthy. (On the emulator: no datacentre runs this machine; ./fed doctor says why.)",
    )


def _nobody_runs(context: Context, operation: str, command: Operation) -> Operation:
    """End a script whose datacentre was killed: whoever waits for it would wait for 90 minutes."""
    context.tx.drop_command(operation)
    refusal = silent_agent(command.key.rsplit("/", 1)[-1])
    body = {"status": refusal.status, "error": refusal.error()}
    context.tx.end_operation(operation, "Failed", body)
    return replace(command, status="Failed", body=body)


def _result(context: Context, request: Request, operation: Operation) -> Response:
    if operation.status == "InProgress":
        again = f"{request.endpoint}{request.path}?api-version={request.query['api-version']}"
        return Response(status=202, headers={"location": again, "retry-after-ms": "200"})
    if operation.status == "Failed":
        return Response(status=operation.body["status"], body={"error": operation.body["error"]})
    if "output" in operation.body:
        return Response(status=200, body=operation.body["output"])
    row = context.tx.get(operation.key)
    return Response(status=200, body=render(context, row)) if row else Response(status=200)
