"""Runs the whole program under Pulumi's mocks and records the graph that it asks the engine for."""

import asyncio
import contextvars
import json
import runpy
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime import mocks, rpc, stack
from pulumi.runtime.config import set_all_config
from pulumi.runtime.settings import set_root_resource
from ruamel.yaml import YAML

from azure_types.types import find
from clone import paths

ROOT = paths.REPOSITORY


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One resource as the program registered it; `provider` is its provider's name, `id` what it was given.

    `properties_from` says of each input which resources (URNs) its value comes from.
    """

    urn: str
    typ: str
    name: str
    inputs: dict[str, Any]
    id: str
    custom: bool
    provider: str
    parent: str
    dependencies: frozenset[str]
    protect: bool
    delete_before_replace: bool
    replace_on_changes: tuple[str, ...]
    ignore_changes: tuple[str, ...]
    deleted_with: str
    error_hooks: tuple[str, ...]
    aliases: int
    properties_from: dict[str, frozenset[str]]

    @property
    def comparable(self) -> dict[str, Any]:
        """What a change of would make the engine touch the resource."""
        return {"typ": self.typ, "inputs": self.inputs, "provider": self.provider, "parent": self.parent}


@dataclass
class Graph:
    """Everything one run registered, by URN; `outputs` are the stack's."""

    resources: dict[str, Recorded] = field(default_factory=dict)
    completed: set[str] = field(default_factory=set)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, *types: str) -> list[Recorded]:
        return [resource for resource in self.resources.values() if resource.typ in types]

    def named(self, name: str) -> Recorded:
        (found,) = [resource for resource in self.resources.values() if resource.name == name]
        return found

    def azure(self) -> Iterator[Recorded]:
        return (r for r in self.resources.values() if r.typ.startswith("azure-native:"))

    def behind(self, resource: Recorded) -> set[str]:
        """Every URN that `resource` waits for, however far back."""
        seen: set[str] = set()
        ahead = list(resource.dependencies)
        while ahead:
            urn = ahead.pop()
            if urn not in seen:
                seen.add(urn)
                ahead.extend(self.resources[urn].dependencies if urn in self.resources else ())
        return seen


class _Answers(mocks.Mocks):
    """Answers what Azure would compute, as far as the program uses it."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, str] = {}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        raise AssertionError(f"the program asks for {args.token}: it must know everything from its settings")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if not args.custom:
            return None, {}
        if args.typ.startswith("pulumi:providers:"):
            self.subscriptions[args.name] = args.inputs.get("subscriptionId", "")
            return f"id-of-{args.name}", args.inputs
        type_ = find(args.typ)
        name = str(args.inputs.get(type_.name_input, args.name) if type_ else args.name)
        subscription = self.subscriptions[provider_name(args.provider)]
        group = args.inputs.get("resourceGroupName", "none")
        parent = args.inputs.get("scope") or args.inputs.get("resourceUri") or group
        resource_id = f"/subscriptions/{subscription}/{parent}/{args.typ}/{name}"
        return resource_id, {
            **args.inputs,
            **_identity(args.inputs),
            "name": name,
            **_computed(args.typ, resource_id, args.inputs),
        }


def _identity(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Azure answers the list of identities that it was given with a map."""
    given = inputs.get("identity", {}).get("userAssignedIdentities")
    return (
        {"identity": {**inputs["identity"], "userAssignedIdentities": {one: {} for one in given}}}
        if given
        else {}
    )


def _computed(typ: str, resource_id: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    def guid(what: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, what + resource_id))

    match typ:
        case "random:index/randomString:RandomString":
            return {"result": guid("suffix").replace("-", "")[:6]}
        case "azure-native:managedidentity:UserAssignedIdentity":
            return {"clientId": guid("client"), "principalId": guid("principal")}
        case "azure-native:dataprotection:BackupVault" | "azure-native:compute:DiskEncryptionSet":
            return {
                "identity": {"type": "SystemAssigned", "principalId": guid("principal"), "tenantId": guid("")}
            }
        case "azure-native:keyvault:Key":
            uri = f"https://{inputs['vaultName']}.vault.azure.net/keys/{inputs['keyName']}"
            return {"keyUri": uri, "keyUriWithVersion": f"{uri}/{guid('version').replace('-', '')}"}
        case "docker:index/image:Image":
            repository = inputs["imageName"].rsplit(":", 1)[0]
            return {"repoDigest": f"{repository}@sha256:{(guid('a') + guid('b')).replace('-', '')}"}
        case _:
            return {}


class _Recorder(mocks.MockMonitor):
    """The engine's end of the conversation."""

    def __init__(self, answers: mocks.Mocks) -> None:
        super().__init__(answers)
        self.graph = Graph()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self.graph.resources[response.urn] = Recorded(
                urn=response.urn,
                typ=request.type,
                name=request.name,
                inputs=rpc.deserialize_properties(request.object),
                id=response.id,
                custom=request.custom,
                provider=provider_name(request.provider),
                parent=request.parent,
                dependencies=frozenset(request.dependencies),
                protect=request.protect,
                delete_before_replace=request.deleteBeforeReplace,
                replace_on_changes=tuple(request.replaceOnChanges),
                ignore_changes=tuple(request.ignoreChanges),
                deleted_with=request.deletedWith,
                error_hooks=tuple(request.hooks.on_error),
                aliases=len(request.aliases),
                properties_from={
                    name: frozenset(known.urns) for name, known in request.propertyDependencies.items()
                },
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        self.graph.completed.add(request.urn)
        if "pulumi:pulumi:Stack" in request.urn:
            self.graph.outputs = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def provider_name(reference: str | None) -> str:
    """`<urn>::<id>` -> the provider's name; empty for what has none."""
    return reference.rsplit("::", 2)[1] if reference else ""


def stack_config(stack_name: str) -> dict[str, Any]:
    """The settings of a stack file, to change and run."""
    config: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / f"Pulumi.{stack_name}.yaml")["config"]
    return config


def record(
    stack_name: str,
    config: Mapping[str, Any] | None = None,
    *,
    into: Graph | None = None,
    answers: mocks.Mocks | None = None,
) -> Graph:
    """Runs the program as `stack_name` with these settings (those of its file when left out).

    What was registered before the program failed is left in `into`. `answers` are Azure's, invented ones when
    left out.
    """
    settings = stack_config(stack_name) if config is None else config
    result: list[Graph | BaseException] = []

    def run() -> None:
        try:
            result.append(_run(stack_name, settings, Graph() if into is None else into, answers))
        except BaseException as error:  # handed to the caller's thread
            result.append(error)

    # Pulumi's settings live in context variables: a thread with a fresh context shares none of them.
    thread = threading.Thread(target=contextvars.Context().run, args=(run,))
    thread.start()
    thread.join()
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


def _run(stack_name: str, settings: Mapping[str, Any], graph: Graph, answers: mocks.Mocks | None) -> Graph:
    recorder = _Recorder(answers or _Answers())
    recorder.graph = graph
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks.set_mocks(recorder.mocks, project="fed", stack=stack_name, preview=False, monitor=recorder)
    # set_mocks made a stack of its own, which has no program to run.
    set_root_resource(None)  # type: ignore[arg-type]
    set_all_config({key: _as_pulumi_hands_it_over(value) for key, value in settings.items()})

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    asyncio.get_event_loop().run_until_complete(stack.run_in_stack(program))
    return recorder.graph


def _as_pulumi_hands_it_over(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
