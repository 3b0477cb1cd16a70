"""Deployments of templates: each resource is sent through the front door, in order (docs/adr/0029).

https://learn.microsoft.com/rest/api/resources/deployments. What is made stays when a later resource is
refused, as on Azure.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulator.arm import ids
from emulator.arm.answers import STATUS_URL
from emulator.arm.context import Context
from emulator.arm.errors import ArmError, bad_request, not_found
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Json, Request, Response
from emulator.arm.operations import begin, pending_headers
from emulator.arm.resources import DEPLOYMENTS, subscription_body
from emulator.arm.store import Row
from emulator.arm.template import Function, Template, segments
from emulator.arm.times import stamp

VALIDATE = f"{DEPLOYMENTS}/validate"
Ask = Callable[[Request], Response]
"""Sends a request through the same door."""
FAILED = (
    "At least one resource deployment operation failed. Please list deployment operations for details. "
    "Please see https://aka.ms/arm-deployment-operations for usage details."
)


def answer_deployment(context: Context, path: ResourceId, request: Request, ask: Ask) -> Response:
    """Answer a request for a deployment in a group; raises ArmError."""
    if path.group is None:
        raise not_found(
            "InvalidResourceType",
            "The emulator deploys templates to resource groups alone, not to wider scopes.",
        )
    if not context.tx.exists(path.scope):
        raise not_found("ResourceGroupNotFound", f"Resource group '{path.group}' could not be found.")
    if request.method == "PUT":
        return _Deployment(context, path, request, ask).run()
    row = context.tx.get(path.key)
    if request.method == "HEAD":
        return Response(status=204 if row else 404)
    if request.method == "DELETE":
        if row is not None:
            context.tx.delete(row)
        return Response(status=204)
    if request.method != "GET":
        raise _not_allowed(request)
    if row is None:
        raise not_found("DeploymentNotFound", f"Deployment '{path.name}' could not be found.")
    return Response(status=200, body=_body(row))


def answer_validation(context: Context, path: ResourceId, request: Request, ask: Ask) -> Response:
    """Answer whether a template could be deployed: whether it can be read. `path` ends in ``/validate``."""
    above = ids.parse(path.parent)
    if request.method != "POST" or above is None:
        raise _not_allowed(request)
    path = above
    deployment = _Deployment(context, path, request, ask)
    made = [deployment.path_of(one) for one in deployment.template.resources()]
    properties = deployment.properties("Succeeded") | {"validatedResources": [{"id": one} for one in made]}
    return Response(status=200, body={"id": path.path, "name": path.name, "properties": properties})


def _not_allowed(request: Request) -> ArmError:
    return ArmError(
        405, "MethodNotAllowed", f"The requested resource does not support http method '{request.method}'."
    )


def _body(row: Row) -> Json:
    return {"id": row.id, "name": row.name, "type": DEPLOYMENTS} | row.body


@dataclass(frozen=True)
class _Deployment:
    """One deployment on its way."""

    context: Context
    path: ResourceId
    request: Request
    ask: Ask

    @property
    def asked(self) -> Json:
        found = (self.request.body or {}).get("properties")
        if not isinstance(found, dict) or not isinstance(found.get("template"), dict):
            raise bad_request(
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'properties.template is "
                "required; a templateLink is not emulated'.",
            )
        if str(found.get("mode", "")).lower() != "incremental":
            raise bad_request(
                "InvalidDeployment", f"The emulator deploys mode Incremental, not '{found.get('mode')}'."
            )
        return found

    @property
    def template(self) -> Template:
        functions: dict[str, Function] = {
            "resourceGroup": self._group,
            "subscription": lambda: subscription_body(self.path.subscription or ""),
            "resourceId": self._resource_id,
            "reference": self._reference,
        }
        given = self.asked.get("parameters") or {}
        return Template(body=self.asked["template"], given=given, functions=functions)

    def run(self) -> Response:
        template = self.template
        resources, new = template.resources(), not self.context.tx.exists(self.path.key)
        made: list[str] = []
        try:
            for one in resources:
                made.append(self._make(template, one))
            outputs = template.value(template.body.get("outputs") or {})
        except ArmError as refusal:
            return self._end(made, new=new, error=_failure(refusal))
        return self._end(made, new=new, outputs=outputs)

    def _make(self, template: Template, resource: Json) -> str:
        path = self.path_of(resource)
        request = Request(
            method="PUT",
            path=path,
            query={"api-version": template.value(resource["apiVersion"])},
            headers=self.request.headers,
            body=template.content(resource),
        )
        with self.context.tx.attempt():
            self.ask(request)
        return path

    def path_of(self, resource: Json) -> str:
        """Return the id that a resource of the template gets."""
        template = self.template
        scope = str(template.value(resource.get("scope") or ""))
        if scope and not scope.startswith("/"):
            type_, _, name = scope.partition("/")
            scope = f"{self._own(resource)}/providers/{type_}/{name}"
        return f"{scope or self._own(resource)}/providers/{segments(resource['type'], resource['name'])}"

    def _own(self, resource: Json) -> str:
        group = self.template.value(resource.get("resourceGroup") or self.path.group)
        return f"/subscriptions/{self.path.subscription}/resourceGroups/{group}"

    def _end(
        self, made: list[str], *, new: bool, outputs: Json | None = None, error: Json | None = None
    ) -> Response:
        state, context = "Failed" if error else "Succeeded", self.context
        properties = self.properties(state) | {"outputResources": [{"id": one} for one in made]}
        properties |= {"outputs": outputs} if outputs else {}
        properties |= {"error": error} if error else {}
        body = {"properties": properties}
        row = Row(id=self.path.path, type=DEPLOYMENTS, body=body, parent=self.path.scope)
        context.tx.put(row)
        operation = begin(context, row, "POST", seconds=0)
        context.tx.end_operation(operation, state, {"status": 409, "error": error} if error else {})
        urls = (STATUS_URL,)
        headers = pending_headers(context, self.request, row.key, operation, wait=0.05, urls=urls)
        accepted = _body(row) | {"properties": properties | {"provisioningState": "Accepted"}}
        return Response(status=201 if new else 200, headers=headers, body=accepted)

    def properties(self, state: str) -> Json:
        """Return what a deployment says of itself."""
        text = json.dumps(self.asked["template"], sort_keys=True)
        return {
            "templateHash": str(int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)),
            "parameters": self.template.shown_parameters(),
            "mode": "Incremental",
            "provisioningState": state,
            "timestamp": stamp(self.context.tx.now),
            "duration": "PT0S",
            "correlationId": str(uuid.uuid4()),
            "providers": [],
            "dependencies": [],
        }

    # Functions of templates

    def _group(self) -> Json:
        group = self.context.tx.get(self.path.scope)
        return {} if group is None else {"id": group.id, "name": group.name} | group.body

    def _resource_id(self, *words: str) -> str:
        at = next(index for index, word in enumerate(words) if "/" in word)
        scope = [self.path.subscription or "", self.path.group or ""]
        scope[2 - at :] = words[:at]
        return f"/subscriptions/{scope[0]}/resourceGroups/{scope[1]}/providers/" + segments(
            words[at], "/".join(words[at + 1 :])
        )

    def _reference(self, wanted: str, version: str = "", full: str = "") -> Any:
        path = wanted if wanted.startswith("/") else self._named(wanted)
        parsed = ids.parse(path)
        type_ = self.context.catalogue.find(parsed.type) if parsed else None
        if type_ is None:
            raise bad_request("InvalidTemplate", f"Unable to reference '{wanted}': its type is not emulated.")
        query = {"api-version": version or type_.versions[0]}
        found = self.ask(Request(method="GET", path=path, query=query, headers=self.request.headers)).body
        return found if full.lower() == "full" else found.get("properties", {})

    def _named(self, name: str) -> str:
        """Return the id of a resource of the template that is called by its name alone."""
        same = (
            one for one in self.template.resources() if name in {one["name"], f"{one['type']}/{one['name']}"}
        )
        found = next(same, None)
        if found is None:
            raise bad_request("InvalidTemplate", f"The resource '{name}' is not defined in the template.")
        return self.path_of(found)


def _failure(refusal: ArmError) -> Json:
    return {"code": "DeploymentFailed", "message": FAILED, "details": [refusal.error()]}
