"""Serves the rules to the engine as a CrossGuard pack: Pulumi's analyzer protocol.

The pack's own configuration (``--policy-pack-config FILE``) is the only way to change a rule's severity:
``{"rule-name": {"enforcementLevel": "advisory"}}``, or to say which stacks an environment rule is for:
``{"prod-lock": {"environments": ["prod", "mvp"]}}``.

Pulumi's SDK for packs is not used: it unpacks each resource again for each rule (docs/adr/0082).
"""

import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from policies.check import RULES
from policies.planned import Planned
from policies.rule import Fault, Level, Rule
from pulumi_wire.values import decode

NAME: Final = "fed"
VERSION: Final = "0.1.0"  # as in PulumiPolicy.yaml

_LEVELS = {Level.MANDATORY: analyzer_pb2.MANDATORY, Level.ADVISORY: analyzer_pb2.ADVISORY}
_NO_LIMIT = [("grpc.max_receive_message_length", -1)]  # else 4 MB: a stack of a few dozen hospitals
_FOR_ALL = "all"  # the engine's own word


def serve() -> None:
    """Serve the pack to the engine that started this process and reads its port; until that ends it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a KeyboardInterrupt would land in the user's diagnostics
    server = grpc.server(ThreadPoolExecutor(), options=_NO_LIMIT)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Pack(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


class Pack(analyzer_pb2_grpc.AnalyzerServicer):
    """The analyzer that the engine asks; a rule that raises ends the call, and with it the deployment."""

    def __init__(self) -> None:
        self._config: dict[str, analyzer_pb2.PolicyConfig] = {}

    def GetAnalyzerInfo(self, request: Any, context: Any) -> analyzer_pb2.AnalyzerInfo:  # noqa: N802
        """Tell the rules, each a policy of its own name."""
        rules = [info(rule) for _, rule in sorted(RULES.items())]
        return analyzer_pb2.AnalyzerInfo(name=NAME, version=VERSION, supportsConfig=True, policies=rules)

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:  # noqa: N802
        """Tell the version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def Configure(  # noqa: N802
        self, request: analyzer_pb2.ConfigureAnalyzerRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Take the pack's own configuration; refuse names that mean nothing, which would change nothing.

        The engine has held values against the schemas of `info`.
        """
        config = dict(request.policyConfig)
        if unknown := sorted(_unknown(config)):
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"the policy pack's configuration names {', '.join(unknown)}, which does not exist, so it "
                f"would change nothing. Rules: {', '.join(sorted(RULES))}. Besides enforcementLevel, those "
                "that are for some stacks only have the property environments.",
            )
        self._config = config
        return empty_pb2.Empty()

    def ConfigureStack(self, request: Any, context: Any) -> analyzer_pb2.AnalyzerStackConfigureResponse:  # noqa: N802
        """Take what is known of the stack; the rules need none of it."""
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Remediate(self, request: Any, context: Any) -> analyzer_pb2.RemediateResponse:  # noqa: N802
        """Change nothing: a rule says what is wrong, and people fix it."""
        return analyzer_pb2.RemediateResponse()

    def Analyze(self, request: analyzer_pb2.AnalyzeRequest, context: Any) -> analyzer_pb2.AnalyzeResponse:  # noqa: N802
        """Hold one resource against the rules for its type."""
        rules = [rule for rule in RULES.values() if request.type in rule.types]
        resources = [planned(request)] if rules else []
        return self._answer(rules, resources, lambda rule: rule.faults(resources[0]))

    def AnalyzeStack(  # noqa: N802
        self, request: analyzer_pb2.AnalyzeStackRequest, context: Any
    ) -> analyzer_pb2.AnalyzeResponse:
        """Hold all resources together against the rules about the stack."""
        rules = [rule for rule in RULES.values() if rule.stack_wide]
        resources = [planned(resource) for resource in request.resources]
        return self._answer(rules, resources, lambda rule: rule.stack_faults(resources))

    def _answer(
        self, rules: Iterable[Rule], resources: list[Planned], faults: Callable[[Rule], Iterable[Fault]]
    ) -> analyzer_pb2.AnalyzeResponse:
        names = {resource.urn: resource.name for resource in resources}
        return analyzer_pb2.AnalyzeResponse(
            diagnostics=[
                self._violation(rule, names[fault.urn], fault)
                for rule in rules
                if resources and self._is_meant(rule, resources[0].environment)
                for fault in _found(rule, faults)
            ]
        )

    def _is_meant(self, rule: Rule, environment: str) -> bool:
        if self._level(rule) == analyzer_pb2.DISABLED:
            return False
        if rule.environments is None:
            return True
        return environment in (self._properties(rule).get("environments") or rule.environments)

    def _level(self, rule: Rule) -> analyzer_pb2.EnforcementLevel.ValueType:
        return self._config[rule.name].enforcementLevel if rule.name in self._config else _LEVELS[rule.level]

    def _properties(self, rule: Rule) -> dict[str, Any]:
        return decode(self._config[rule.name].properties) if rule.name in self._config else {}

    def _violation(self, rule: Rule, name: str, fault: Fault) -> analyzer_pb2.AnalyzeDiagnostic:
        return analyzer_pb2.AnalyzeDiagnostic(
            policyName=rule.name,
            policyPackName=NAME,
            policyPackVersion=VERSION,
            description=rule.title,
            message=f"{rule.title}\n{rule.message(name, fault.what)}",
            urn=fault.urn,
            enforcementLevel=self._level(rule),
        )


def _found(rule: Rule, faults: Callable[[Rule], Iterable[Fault]]) -> Iterator[Fault]:
    """Yield a rule's faults; a defect of the rule itself is named, and its traceback shown by the engine."""
    try:
        yield from faults(rule)
    except (Exception, SystemExit) as defect:  # gRPC would leave the engine waiting after a SystemExit
        traceback.print_exc()
        raise RuntimeError(
            f"the rule {rule.name} itself failed: {type(defect).__name__}: {defect}"
        ) from defect


def _unknown(config: Mapping[str, analyzer_pb2.PolicyConfig]) -> Iterator[str]:
    """Yield the rules and the properties of rules that a configuration names and that do not exist."""
    for name, given in config.items():
        rule = RULES.get(name)
        known = {"environments"} if rule and rule.environments is not None else set()
        if rule is None and name != _FOR_ALL:
            yield name
        elif rule:
            yield from (f"{name}.{key}" for key in given.properties.fields.keys() - known)


def info(rule: Rule) -> analyzer_pb2.PolicyInfo:
    """Describe a rule to the engine."""
    described = analyzer_pb2.PolicyInfo(
        name=rule.name,
        description=rule.title,
        enforcementLevel=_LEVELS[rule.level],
        remediation_steps=rule.fix,
        policy_type=analyzer_pb2.POLICY_TYPE_STACK if rule.stack_wide else analyzer_pb2.POLICY_TYPE_RESOURCE,
    )
    if rule.environments is not None:
        described.configSchema.properties.update(
            {
                "environments": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "default": [*rule.environments],
                }
            }
        )
    return described


def planned(sent: analyzer_pb2.AnalyzeRequest | analyzer_pb2.AnalyzerResource) -> Planned:
    """Read what the engine sent about one resource; what it depends on is told with the whole stack only."""
    depends = sent.propertyDependencies if isinstance(sent, analyzer_pb2.AnalyzerResource) else {}
    subscription = decode(sent.provider.properties).get("subscriptionId")
    return Planned(
        type=sent.type,
        name=sent.name,
        urn=sent.urn,
        props=decode(sent.properties),
        subscription=subscription if isinstance(subscription, str) else None,
        protect=sent.options.protect,
        refers={name: list(found.urns) for name, found in depends.items()},
    )
