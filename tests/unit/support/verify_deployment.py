"""A deployment as Azure would answer it, made by running the program under mocks: ids, outputs, states.

What the program asks for becomes ARM ids and outputs by the table of types; the few values
that Azure computes and verification reads are added here.
"""

import copy
import json
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from unittest import mock

from pulumi.runtime import mocks, rpc

from automation.verify.facts.resources import Deployment, read_export
from azure_types.types import find
from federation.intent import intent
from federation.parties import Federation, federation
from federation.settings import load
from federation.stack_file import load_stack
from federation.stated import Intent
from tests.unit.support import program_graph
from tests.unit.support.program_graph import ROOT, provider_name

Export = dict[str, Any]


class _Azure(program_graph._Answers):
    """Answers with Azure's ids and with what Azure adds."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        type_ = find(args.typ) if args.custom and args.typ.startswith("azure-native:") else None
        if type_ is None:
            return super().new_resource(args)
        subscription = self.subscriptions[provider_name(args.provider)]
        arm_id = type_.resource_id(subscription, args.inputs)
        body = {"id": arm_id, "name": arm_id.rsplit("/", 1)[-1], **type_.to_arm(args.inputs)}
        outputs = type_.to_outputs(copy.deepcopy(body)) | _computed(args.typ, arm_id, args.inputs)
        return arm_id, outputs | {"name": body["name"]}


def _computed(typ: str, arm_id: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    match typ.removeprefix("azure-native:"):
        case "authorization:RoleAssignment":
            return {"scope": inputs["scope"]}
        case "network:VirtualNetworkPeering":
            return {"peeringState": "Connected"}
        case "dataprotection:BackupVault":
            identity = {"type": "SystemAssigned", "principalId": str(uuid.uuid5(uuid.NAMESPACE_URL, arm_id))}
            return {"identity": identity}
        case _:
            return program_graph._computed(typ, arm_id, inputs)


class _Recorder(program_graph._Recorder):
    """Keeps what an export holds of each resource."""

    def __init__(self, answers: mocks.Mocks) -> None:
        super().__init__(answers)
        self.exported: list[dict[str, Any]] = []
        _Recorder.last = self

    last: "_Recorder"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        response = super().RegisterResource(request)
        self.exported.append(
            {
                "urn": response.urn,
                "type": request.type,
                "custom": request.custom,
                "id": response.id,
                "inputs": rpc.deserialize_properties(request.object),
                "outputs": rpc.deserialize_properties(response.object),
                "parent": request.parent,
                "provider": request.provider,
                "protect": request.protect,
                "propertyDependencies": {
                    name: list(found.urns) for name, found in request.propertyDependencies.items()
                },
            }
        )
        return response


@lru_cache
def _exported(stack: str, config: str | None) -> str:
    with (
        mock.patch.object(program_graph, "_Answers", _Azure),
        mock.patch.object(program_graph, "_Recorder", _Recorder),
    ):
        program_graph.record(stack, json.loads(config) if config else None)
    resources = _Recorder.last.exported
    return json.dumps({"version": 3, "deployment": {"manifest": {}, "resources": resources}})


def exported(stack: str, config: Mapping[str, Any] | None = None) -> Export:
    """Return a fresh copy of what ``pulumi stack export`` would print for a stack."""
    document: Export = json.loads(_exported(stack, json.dumps(config) if config else None))
    return document


def parties(stack: str, config: Mapping[str, Any] | None = None) -> Federation:
    """Return the parties of a stack."""
    return federation(load(stack, config) if config else load_stack(ROOT, stack))


def intended(stack: str) -> Intent:
    """Return a stack's statement of intent."""
    return intent(parties(stack))


def deployment(
    stack: str, *changes: Callable[[Export], None], config: Mapping[str, Any] | None = None
) -> Deployment:
    """Return a stack's deployment after changing its export."""
    document = exported(stack, config)
    for change in changes:
        change(document)
    return read_export(stack, document)
