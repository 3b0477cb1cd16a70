"""The front door of the emulated Azure Resource Manager.

`ControlPlane.handle` takes one request to its answer: who calls, where to, is it there, is it locked; then
the provider's own rules (writes.py and the modules of the catalogue). Checks run in Azure's order, because a
client sees the first that fails. Requests run one at a time in one transaction each; any thread may call.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from emulator.arm import absent, activity, datacentre_feed, ids, resources, sign_in
from emulator.arm.api_versions import check_version
from emulator.arm.catalogue import Catalogue, Level, ResourceType, merge
from emulator.arm.context import Context, Deletion
from emulator.arm.deployments import VALIDATE, answer_deployment, answer_validation
from emulator.arm.errors import ArmError, bad_request, not_found
from emulator.arm.ids import ResourceId
from emulator.arm.latency import Latency
from emulator.arm.locks import refuse_locked
from emulator.arm.messages import Json, Request, Response
from emulator.arm.operations import (
    answer_deletion,
    answer_operation,
    answer_write,
    refuse_second_writer,
    settle,
)
from emulator.arm.pages import page
from emulator.arm.preconditions import check_preconditions
from emulator.arm.refusals import missing_parent, missing_resource
from emulator.arm.store import Row, Store
from emulator.arm.tags import TAGS, answer_tags
from emulator.arm.tokens import Caller, Verifier, issue
from emulator.arm.types import CATALOGUE
from emulator.arm.writes import delete, put, render
from emulator.snapshots import Snapshots

_LOG = logging.getLogger(__name__)

OPERATION_SEGMENTS = frozenset({"operations", "operationresults", "operationstatuses"})
"""Path segments before the id of an operation."""


class ControlPlane:
    """An emulated Azure Resource Manager over one store.

    The images that registries hold are in the folder ``images`` next to the store (emulator/snapshots.py).
    `key` signs and verifies bearer tokens; `latency` says how long writes take (default:
    FED_EMULATOR_LATENCY); `clock` returns seconds since 1970.
    """

    def __init__(
        self,
        store: Path,
        key: bytes,
        *,
        latency: Latency | None = None,
        clock: Callable[[], float] = time.time,
        catalogue: Catalogue = CATALOGUE,
    ) -> None:
        self.store = Store(store)
        self._images = Snapshots(store.with_name("images"))
        self._key = key
        self._verify = Verifier(key)
        self._latency = Latency.from_environment() if latency is None else latency
        self._clock = clock
        self._catalogue = catalogue

    def issue_token(self, caller: Caller | None = None) -> tuple[str, int]:
        """Return a bearer token (the deployer's by default) and when it expires, in seconds since 1970."""
        return issue(self._key, caller=caller)

    def close(self) -> None:
        """Close the store; requests that wait for changes are answered."""
        self.store.close()

    def handle(self, request: Request) -> Response:
        """Answer a request; refusals are answers too, this never raises ArmError."""
        mark = str(uuid.uuid4())
        try:
            answer = self._answer(request)
        except ArmError as refusal:
            answer = Response(
                status=refusal.status,
                headers=refusal.headers,
                body=_error_body(request, refusal, self._catalogue),
            )
        except Exception:
            _LOG.exception("%s %s failed", request.method, request.path)
            message = f"The emulator failed on {request.method} {request.path}. Its log has the cause."
            answer = Response(status=500, body={"error": {"code": "InternalServerError", "message": message}})
        headers = {"x-ms-request-id": mark, "x-ms-correlation-request-id": mark} | dict(answer.headers)
        return Response(status=answer.status, headers=headers, body=answer.body)

    def _answer(self, request: Request) -> Response:
        found = sign_in.answer(self._key, request)
        if found is not None:
            return found
        caller = self._verify(request.headers.get("authorization"))
        self._settle()
        if request.path.lower().startswith("/emulator/"):
            return datacentre_feed.answer(
                self.store, request, partial(self.context, caller, {}), self._settle
            )
        with self.context(caller, request.query) as context:
            answer = _FrontDoor(context, request).answer()
            activity.note(context, request)
            return answer

    @contextmanager
    def context(self, caller: Caller, query: Mapping[str, str]) -> Iterator[Context]:
        """Open a transaction for a caller; raises ArmError as what is done in it does."""
        with self.store.transaction(self._clock()) as tx:
            yield Context(
                tx=tx,
                caller=caller,
                catalogue=self._catalogue,
                query=query,
                latency=self._latency,
                images=self._images,
                datacentre_listens=self.store.is_followed(),
                datacentre_is_gone=self.store.is_forsaken(),
            )

    def _settle(self) -> float | None:
        """End the operations whose time is over; return the seconds until the next one's, None without
        one."""
        due = self.store.next_due()
        if due is not None and due <= self._clock():
            with self.context(Caller(), {}) as context:
                settle(context)
            due = self.store.next_due()
        return None if due is None else due - self._clock()


class _FrontDoor:
    """One request on its way through the checks."""

    def __init__(self, context: Context, request: Request) -> None:
        self._context = context
        self._tx = context.tx
        self._request = request

    def answer(self) -> Response:
        request = self._request
        if not request.query.get("api-version"):
            raise bad_request(
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        if request.body is not None and not isinstance(request.body, dict):
            raise bad_request(
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'an object is expected, not "
                f"{type(request.body).__name__}'.",
            )
        segments = request.path.strip("/").split("/")
        self._check_subscription(segments)
        if len(segments) > 1 and segments[-2].lower() in OPERATION_SEGMENTS:
            return answer_operation(self._context, request, segments[-2].lower(), segments[-1])
        special = resources.answer_subscription(self._context, request)
        if special is not None:
            return special
        path = ids.parse(request.path)
        if path is None:
            raise not_found("InvalidRequestUri", f"The request URI '{request.path}' names no resource.")
        return self._route(path)

    def _route(self, path: ResourceId) -> Response:
        request, type_ = self._request, self._context.catalogue.find(path.type)
        if path.type.lower() == TAGS.lower() and not path.is_collection:
            return answer_tags(self._context, path, request, self._ask)
        if type_ is None:
            return self._no_resource(path)
        check_version(type_, self._request.query["api-version"])
        self._check_rights(path, type_)
        self._check_group(path, type_)
        if path.is_collection:
            return self._collection(path, type_)
        if type_.name == resources.DEPLOYMENTS:
            refuse_locked(self._context, path.path, request.method)
            return answer_deployment(self._context, path, request, self._ask_at_once)
        if request.method not in type_.verbs:
            if type_.name.lower() in absent.NAMES:
                raise self._unknown_type(path)
            if request.method == "DELETE":
                self._refuse_orphan(path, type_, "delete")
            raise _not_allowed(request)
        if request.method in {"PUT", "PATCH", "DELETE"}:
            check_preconditions(self._request, self._tx.get(path.key), type_)
            refuse_locked(self._context, path.path, request.method)
        return {
            "GET": self._get,
            "HEAD": self._head,
            "PUT": self._put,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }[request.method](path, type_)

    def _no_resource(self, path: ResourceId) -> Response:
        """Answer what is asked of a resource, a deployment or a provider, and is no resource itself."""
        request, catalogue = self._request, self._context.catalogue
        if path.type.lower() == VALIDATE.lower():
            return answer_validation(self._context, path, request, self._ask_at_once)
        above = self._row_above(path)
        if above is not None and path.is_collection:
            return self._act(path, *above)
        self._refuse_action_on_nothing(path)
        action = catalogue.subscription_action(path.type)
        if action is not None and request.method == "POST":
            return action(self._context, request)
        raise self._unknown_type(path)

    def _collection(self, path: ResourceId, type_: ResourceType) -> Response:
        if self._request.method != "GET":
            raise _not_allowed(self._request)
        found = self._list(path, type_)
        if type_.paged:
            return page(self._request, found)
        return Response(status=200, body=found if type_.bare else {"value": found})

    def _ask(self, request: Request) -> Response:
        return _FrontDoor(self._context, request).answer()

    def _ask_at_once(self, request: Request) -> Response:
        """Ask for what is done when it is answered."""
        return _FrontDoor(replace(self._context, latency=Latency(), query=request.query), request).answer()

    # The door

    def _check_subscription(self, segments: list[str]) -> None:
        if segments[0].lower() == "subscriptions" and len(segments) > 1:
            writing = self._request.method == "PUT"
            resources.check_subscription(self._context, segments[1], writing=writing)

    def _check_rights(self, path: ResourceId, type_: ResourceType) -> None:
        if self._context.caller.may_use(path.subscription):
            return
        verb = {"GET": "read", "HEAD": "read", "DELETE": "delete", "POST": "action"}.get(
            self._request.method, "write"
        )
        caller = self._context.caller
        raise ArmError(
            403,
            "AuthorizationFailed",
            f"The client '{caller.client_id}' with object id '{caller.object_id}' does not have "
            "authorization to "
            f"perform action '{type_.name}/{verb}' over scope '{path.path}' or the scope is invalid. If "
            "access was "
            "recently granted, please refresh your credentials.",
        )

    def _check_group(self, path: ResourceId, type_: ResourceType) -> None:
        group_id = ids.group_id(path.path)
        if group_id is None or type_.name == resources.RESOURCE_GROUP:
            return
        group = self._tx.get(group_id)
        if group is None:
            raise not_found("ResourceGroupNotFound", f"Resource group '{path.group}' could not be found.")
        if group.state == "Deleting" and self._request.method not in {"GET", "HEAD"}:
            raise ArmError(
                409,
                "ResourceGroupBeingDeleted",
                f"The resource group '{group.name}' is in deprovisioning state and cannot perform this "
                "operation.",
            )

    def _unknown_type(self, path: ResourceId) -> ArmError:
        catalogue = self._context.catalogue
        code = (
            "InvalidResourceType" if catalogue.has_namespace(path.namespace) else "InvalidResourceNamespace"
        )
        return not_found(
            code,
            f"The resource type '{'/'.join(path.types)}' could not be found in the namespace "
            f"'{path.namespace}' for "
            f"api version '{self._request.query['api-version']}'. The emulator's catalogue does not have "
            "it: describe "
            f"it in {catalogue.source(path.namespace)}.",
        )

    # Reading

    def _find(self, path: ResourceId, type_: ResourceType) -> Row | None:
        return type_.virtual(self._context, path) if type_.virtual else self._tx.get(path.key)

    def _existing(self, path: ResourceId, type_: ResourceType) -> Row:
        row = self._find(path, type_)
        if row is None:
            self._refuse_orphan(path, type_, "read")
            raise type_.missing(path) if type_.missing else missing_resource(path.path)
        return row

    def _get(self, path: ResourceId, type_: ResourceType) -> Response:
        row = self._existing(path, type_)
        body = render(self._context, row)
        if type_.expand is not None and "$expand" in self._request.query:
            type_.expand(self._context, row, body, self._request.query["$expand"])
        headers = {"etag": row.etag} if type_.etag else {}
        return Response(status=200, headers=headers, body=body)

    def _head(self, path: ResourceId, type_: ResourceType) -> Response:
        return Response(status=204 if self._tx.exists(path.key) else 404)

    def _list(self, path: ResourceId, type_: ResourceType) -> list[Json]:
        if type_.listing is not None:
            rows = type_.listing(self._context, path, self._request)
        elif type_.level is Level.SCOPE:
            rows = self._tx.children(path.scope, type_.name)
        elif type_.level is Level.PARENT:
            self._refuse_orphan(path, type_, "read")
            rows = self._tx.children(path.parent, type_.name)
        elif path.group is not None:
            rows = self._tx.in_group(ids.group_id(path.path) or "", type_.name)
        else:
            rows = self._tx.of_type(type_.name, path.subscription)
        return [render(self._context, row) for row in rows]

    # Writing

    def _put(self, path: ResourceId, type_: ResourceType) -> Response:
        if self._request.body is None:
            raise bad_request(
                "InvalidRequestContent", "The request content was invalid and could not be deserialized: ''."
            )
        self._check_parent(path, type_)
        return self._write(path, type_, self._request.body, created=not self._tx.exists(path.key))

    def _check_parent(self, path: ResourceId, type_: ResourceType) -> None:
        if type_.level is Level.PARENT and not self._tx.exists(path.parent):
            raise missing_parent(type_, path)
        if type_.level is Level.SCOPE and ids.parse(path.scope) and not self._tx.exists(path.scope):
            raise missing_resource(path.scope)

    def _write(self, path: ResourceId, type_: ResourceType, body: Json, *, created: bool) -> Response:
        held = type_.holds(path.key, body)
        waits = held if type_.waits is None else type_.waits(path.key, body)
        refuse_second_writer(self._context, type_, waits, self._request)
        with _words_of(type_):
            row = put(self._context, type_, path, body)
        return answer_write(self._context, self._request, row, created=created, held=held)

    def _patch(self, path: ResourceId, type_: ResourceType) -> Response:
        row = self._existing(path, type_)
        change = dict(self._request.body or {})
        for name in change:
            if name not in type_.patch or (name == "tags" and not type_.tags):
                raise bad_request(
                    "InvalidRequestContent",
                    "The request content was invalid and could not be deserialized: 'A PATCH of "
                    f"'{type_.name}' may "
                    f"carry {', '.join(type_.patch) or 'nothing'}, not '{name}'.'.",
                )
        body = render(self._context, row)
        if "tags" in change:
            body["tags"] = change.pop("tags") or {}
        return self._write(path, type_, merge(body, change), created=False)

    def _delete(self, path: ResourceId, type_: ResourceType) -> Response:
        row = self._tx.get(path.key)
        if row is None:
            if type_.name == resources.RESOURCE_GROUP:
                raise not_found("ResourceGroupNotFound", f"Resource group '{path.name}' could not be found.")
            self._refuse_orphan(path, type_, "delete")
            return Response(status=204)
        if type_.name == resources.RESOURCE_GROUP:
            return self._delete_group(row, type_)
        held = type_.holds(path.key, row.body)
        refuse_second_writer(self._context, type_, held, self._request)
        waits = type_.answers.deleted == 202
        seconds = self._context.latency.seconds(type_.lasts.delete) if waits else 0.0
        if seconds > 0:
            self._rehearse(row)
            row.state = "Deleting"
            self._tx.put(row)
        answer = answer_deletion(self._context, self._request, row, seconds=seconds, held=held)
        if seconds == 0:
            with _words_of(type_):
                delete(self._context, row)
        return answer

    def _refuse_orphan(self, path: ResourceId, type_: ResourceType, verb: str) -> None:
        """Refuse to read or delete what would be below a resource that is not there itself."""
        above = ids.parse(path.parent)
        if type_.virtual or above is None or self._tx.exists(above.key):
            return
        if type_.parent_first and type_.level is Level.PARENT:
            raise missing_parent(type_, path, verb)
        raise missing_resource(path.parent)

    def _rehearse(self, row: Row) -> None:
        """Refuse now what would be refused when the deletion ends."""
        deletion = Deletion(context=self._context, type=self._context.type_of(row), row=row)
        for rule in deletion.type.keep:
            rule(deletion)

    def _delete_group(self, row: Row, type_: ResourceType) -> Response:
        row.state = "Deleting"
        self._tx.put(row)
        seconds = self._context.latency.seconds(type_.lasts.delete)
        answer = answer_deletion(self._context, self._request, row, seconds=seconds, held=frozenset())
        if seconds == 0:
            settle(self._context)
        return answer

    # Actions

    def _row_above(self, path: ResourceId) -> tuple[Row, ResourceType] | None:
        above = ids.parse(path.parent) if path.is_collection else None
        type_ = self._context.catalogue.find(above.type) if above else None
        if above is None or above.is_collection or type_ is None:
            return None
        row = self._find(above, type_)
        return (row, type_) if row is not None else None

    def _refuse_action_on_nothing(self, path: ResourceId) -> None:
        above = ids.parse(path.parent) if path.is_collection else None
        type_ = self._context.catalogue.find(above.type) if above else None
        if above is not None and type_ is not None and not above.is_collection:
            known = {name.lower() for name in (*type_.actions, *type_.views)}
            if path.types[-1].lower() in known:
                raise missing_resource(above.path)

    def _act(self, path: ResourceId, row: Row, type_: ResourceType) -> Response:
        request, name = self._request, path.types[-1].lower()
        table = {"POST": type_.actions, "GET": type_.views}.get(request.method, {})
        action = next((action for known, action in table.items() if known.lower() == name), None)
        if action is None:
            raise self._unknown_type(path)
        check_version(type_, self._request.query["api-version"])
        self._check_rights(path, type_)
        self._check_group(path, type_)
        if request.method == "POST":
            refuse_locked(self._context, path.parent, "POST")
        return action(self._context, row, request)


@contextmanager
def _words_of(type_: ResourceType) -> Iterator[None]:
    """Give refusals of the network provider the empty `details` that it answers and ARM itself does not."""
    try:
        yield
    except ArmError as refusal:
        if refusal.details is None and type_.namespace == "Microsoft.Network":
            refusal.details = []
        raise


def _not_allowed(request: Request) -> ArmError:
    """Azure's words: azurerm #3178 (a subnet), azure-sdk-for-python test_cli_mgmt_network_ip (ip_groups)."""
    return ArmError(
        405,
        "MethodNotAllowed",
        f"The requested resource does not support http method '{request.method}'.",
    )


def _error_body(request: Request, refusal: ArmError, catalogue: Catalogue) -> Json:
    path = ids.parse(request.path)
    if path is not None:
        type_ = catalogue.find(path.type)
        if type_ is not None and type_.flat_errors:
            return refusal.error()
    return {"error": refusal.error()}
