"""The ResourceProvider protocol of the Pulumi engine, for any `Package`."""

import json
import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from emulator.plugins.diff import Change
from emulator.plugins.package import CancelledError, InitError, Package, ProviderError, Resource
from pulumi_wire.values import Properties, decode, encode

log = logging.getLogger(__name__)

Method = Callable[["Service", Any, grpc.ServicerContext], Any]


def answered(method: Method) -> Method:
    """Turn exceptions into gRPC errors: refusals as they are, defects with a pointer to the log."""

    @wraps(method)
    def call(self: "Service", request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except InitError as failure:
            _abort_init_failed(context, failure)
        except CancelledError as end:
            context.abort(grpc.StatusCode.CANCELLED, str(end))
        except ProviderError as refusal:
            context.abort(grpc.StatusCode.UNKNOWN, str(refusal))
        except Exception as defect:
            urn = getattr(request, "urn", "") or getattr(request, "tok", "")
            log.exception("%s of %s in %s", method.__name__, urn, self.package.name)
            context.abort(
                grpc.StatusCode.INTERNAL,
                f"the emulated {self.package.name} provider broke in {method.__name__} of {urn}: "
                f"{type(defect).__name__}: {defect}. This is a defect of the emulator; its log says more.",
            )

    return call


def _abort_init_failed(context: grpc.ServicerContext, failure: InitError) -> NoReturn:
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=failure.resource_id,
            properties=encode(failure.outputs),
            inputs=encode(failure.inputs),
            reasons=[str(failure)],
        )
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(failure), details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(failure))
    raise AssertionError("abort always raises")


class Service(provider_pb2_grpc.ResourceProviderServicer):
    """One provider instance of one engine."""

    def __init__(self, package: Package) -> None:
        self.package = package

    @answered
    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Agree on the protocol: no secrets and no resource references, like the real azure-native."""
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False,
            accept_resources=False,
            accept_outputs=False,
            supports_autonaming_configuration=True,
        )

    @answered
    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Name the version of the real provider that is imitated."""
        return plugin_pb2.PluginInfo(version=self.package.version)

    @answered
    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answer the least that is a schema: programs bring the SDK, and nothing here generates code."""
        return provider_pb2.GetSchemaResponse(
            schema=json.dumps({"name": self.package.name, "version": self.package.version})
        )

    @answered
    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Judge the arguments of the provider; those it does not know pass."""
        failures = self.package.check_config(_configuration(decode(request.news)))
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(failures))

    @answered
    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answer that nothing changed, as azure-native does: a new subscription replaces no resource."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    @answered
    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take the arguments of the provider."""
        self.package.configure(_configuration(decode(request.args)))
        return provider_pb2.ConfigureResponse(supportsPreview=True, supports_autonaming_configuration=True)

    @answered
    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Complete and judge the inputs of a resource."""
        checked = self.package.check(
            _resource(request), decode(request.olds), decode(request.news), request.randomSeed
        )
        return provider_pb2.CheckResponse(
            inputs=encode(checked.inputs), failures=_failures(list(checked.failures))
        )

    @answered
    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Compare the inputs of the last deployment with those of the program."""
        found = self.package.diff(
            _resource(request),
            decode(request.old_inputs),
            decode(request.olds),
            decode(request.news),
        )
        kinds = provider_pb2.DiffResponse
        return provider_pb2.DiffResponse(
            changes=kinds.DIFF_SOME if found.changes else kinds.DIFF_NONE,
            diffs=sorted({change.top for change in found.changes}),
            replaces=sorted(found.replaces),
            deleteBeforeReplace=bool(found.replaces) and found.delete_first,
            hasDetailedDiff=True,
            detailedDiff={change.path: _property_diff(change, found.replaces) for change in found.changes},
        )

    @answered
    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Make a resource, or foretell its outputs."""
        created, outputs = self.package.create(
            _resource(request), decode(request.properties), preview=request.preview
        )
        return provider_pb2.CreateResponse(id=created, properties=encode(outputs))

    @answered
    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Change a resource, or foretell its outputs."""
        outputs = self.package.update(
            _resource(request),
            decode(request.old_inputs),
            decode(request.olds),
            decode(request.news),
            preview=request.preview,
        )
        return provider_pb2.UpdateResponse(properties=encode(outputs))

    @answered
    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Remove a resource."""
        self.package.delete(_resource(request), decode(request.old_inputs), decode(request.properties))
        return empty_pb2.Empty()

    @answered
    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Look at a resource, for refresh or import."""
        found = self.package.read(_resource(request), decode(request.inputs), decode(request.properties))
        return provider_pb2.ReadResponse(
            id=found.id, properties=encode(found.outputs), inputs=encode(found.inputs)
        )

    @answered
    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answer a function."""
        answer = self.package.invoke(request.tok, decode(request.args))
        return provider_pb2.InvokeResponse(**{"return": encode(answer)})

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Let calls that wait end soon."""
        self.package.cancel()
        return empty_pb2.Empty()


def _resource(request: Any) -> Resource:
    token = request.type or request.urn.split("::")[2].rpartition("$")[2]
    name = request.name or request.urn.split("::", 3)[3]
    return Resource(urn=request.urn, token=token, name=name, id=getattr(request, "id", ""))


def _configuration(arguments: Properties) -> Properties:
    """Return provider arguments with their types: all but strings travel as JSON text."""
    return {name: _argument(value) for name, value in arguments.items()}


def _argument(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"{", "[", "t", "f"}:
        try:
            parsed = json.loads(value)
        except ValueError:
            return value
        return value if isinstance(parsed, str) else parsed
    return value


def _failures(failures: Any) -> list[Any]:
    return [
        provider_pb2.CheckFailure(property=failure.property, reason=failure.reason) for failure in failures
    ]


def _property_diff(change: Change, replaces: frozenset[str]) -> Any:
    kinds = provider_pb2.PropertyDiff
    plain = {"add": kinds.ADD, "delete": kinds.DELETE, "update": kinds.UPDATE}
    replacing = {"add": kinds.ADD_REPLACE, "delete": kinds.DELETE_REPLACE, "update": kinds.UPDATE_REPLACE}
    return provider_pb2.PropertyDiff(
        kind=(replacing if change.top in replaces else plain)[change.kind], inputDiff=True
    )
