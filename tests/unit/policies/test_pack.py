"""The pack as the engine sees it: what it tells of its rules, how it judges, how it is configured."""

import dataclasses
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from automation.stacks.policy_pack import PACK
from policies.check import RULES
from policies.pack import Pack
from policies.planned import Planned
from pulumi_wire.values import UNKNOWN, encode
from tests.unit.support.verify_deployment import exported

Found = list[analyzer_pb2.AnalyzeDiagnostic]
State = dict[str, Any]

NO_KEYS = "storage-no-keys"
OWN_KEY = "storage-own-key"
SECRET = {
    "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",  # pragma: allowlist secret
    "value": True,
}
"""True, as a secret travels to a pack."""


def states(stack: str = "dev") -> list[State]:
    found: list[State] = exported(stack)["deployment"]["resources"]
    return found


def asked(state: State, providers: dict[str, State]) -> dict[str, Any]:
    """What the engine tells of a resource before it is made."""
    provider = providers.get(state.get("provider") or "", {})
    return {
        "type": state["type"],
        "urn": state["urn"],
        "name": state["urn"].rsplit("::", 1)[-1],
        "properties": encode(state.get("inputs") or {}),
        "options": analyzer_pb2.AnalyzerResourceOptions(protect=bool(state.get("protect"))),
        "provider": analyzer_pb2.AnalyzerProviderResource(properties=encode(provider.get("inputs", {}))),
    }


def judged(pack: Pack, change: Callable[[State], None] = lambda _: None) -> Found:
    """What a pack says of each resource of dev before it is made, once Cleveland's account is changed."""
    found: Found = []
    for _, one in _changed(change):
        found += pack.Analyze(analyzer_pb2.AnalyzeRequest(**one), None).diagnostics
    return found


def judged_together(pack: Pack, change: Callable[[State], None] = lambda _: None) -> Found:
    """What a pack says of dev as a whole, once Cleveland's account is changed."""
    resources = [
        analyzer_pb2.AnalyzerResource(
            **one,
            propertyDependencies={
                name: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns)
                for name, urns in (state.get("propertyDependencies") or {}).items()
            },
        )
        for state, one in _changed(change)
    ]
    return list(pack.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=resources), None).diagnostics)


def _changed(change: Callable[[State], None]) -> list[tuple[State, dict[str, Any]]]:
    found = states()
    providers = {f"{state['urn']}::{state.get('id')}": state for state in found}
    (account,) = [state for state in found if state["urn"].endswith("::st-fed-dev-cleveland-data")]
    change(account)
    return [(state, asked(state, providers)) for state in found]


class Refusing:
    """The context of a call; it only knows how to abort one."""

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise RuntimeError(f"{code.name}: {details}")


def configured(rule: str, level: analyzer_pb2.EnforcementLevel.ValueType, **properties: Any) -> Pack:
    pack = Pack()
    config = analyzer_pb2.PolicyConfig(enforcementLevel=level, properties=encode(properties))
    pack.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig={rule: config}), Refusing())
    return pack


def opens_to_keys(value: Any) -> Callable[[State], None]:
    return lambda account: account["inputs"].update(allowSharedKeyAccess=value)


def loses_its_log(account: State) -> None:
    account["urn"] += "-moved"


def test_every_rule_is_told_with_its_title_and_mend() -> None:
    pack = Pack().GetAnalyzerInfo(empty_pb2.Empty(), None)
    told = {policy.name: policy for policy in pack.policies}

    described = yaml.safe_load(Path(PACK, "PulumiPolicy.yaml").read_text())
    assert (pack.name, pack.version) == (described["name"], described["version"])
    assert pack.supportsConfig, "the engine would refuse every configuration"
    assert told.keys() == RULES.keys()
    for name, rule in RULES.items():
        kind = analyzer_pb2.POLICY_TYPE_STACK if rule.stack_wide else analyzer_pb2.POLICY_TYPE_RESOURCE
        level = analyzer_pb2.EnforcementLevel.Name(told[name].enforcementLevel).lower()
        assert (told[name].policy_type, level) == (kind, rule.level)
        assert (told[name].description, told[name].remediation_steps) == (rule.title, rule.fix)
        schema = MessageToDict(told[name].configSchema.properties)
        words = {"type": "array", "items": {"type": "string"}, "minItems": 1.0}
        of_some_stacks = {"environments": {**words, "default": [*(rule.environments or ())]}}
        assert schema == (of_some_stacks if rule.environments else {})


def test_the_program_breaks_no_rule() -> None:
    assert judged(Pack()) + judged_together(Pack()) == []


@pytest.mark.parametrize("value", [True, SECRET], ids=["plain", "secret"])
def test_a_broken_rule_is_told_with_resource_reason_and_mend(value: Any) -> None:
    (found,) = judged(Pack(), opens_to_keys(value))

    rule = RULES[NO_KEYS]
    assert (found.policyName, found.enforcementLevel) == (NO_KEYS, analyzer_pb2.MANDATORY)
    assert (found.policyPackName, found.description) == ("fed", rule.title)
    assert found.urn.endswith("::st-fed-dev-cleveland-data")
    first, where, why, fix = found.message.split("\n")
    assert first == rule.title
    assert where.startswith("st-fed-dev-cleveland-data: allowSharedKeyAccess is true")
    assert rule.why in why
    assert rule.fix in fix


def test_what_nobody_can_know_yet_breaks_nothing() -> None:
    assert judged(Pack(), opens_to_keys(UNKNOWN)) == []


def test_a_rule_about_the_stack_goes_by_what_depends_on_what() -> None:
    found = judged_together(Pack(), loses_its_log)

    assert {(one.policyName, one.urn.rsplit("::", 1)[-1]) for one in found} == {
        ("diagnostics", "st-fed-dev-cleveland-data-moved")
    }


@pytest.mark.parametrize("level", [analyzer_pb2.ADVISORY, analyzer_pb2.MANDATORY])
def test_the_configuration_says_how_severe_a_rule_is(level: analyzer_pb2.EnforcementLevel.ValueType) -> None:
    (found,) = judged(configured(NO_KEYS, level), opens_to_keys(value=True))

    assert found.enforcementLevel == level


def test_a_rule_that_the_configuration_disables_is_not_asked() -> None:
    assert judged(configured(NO_KEYS, analyzer_pb2.DISABLED), opens_to_keys(value=True)) == []


def test_the_configuration_says_which_stacks_a_rule_is_for() -> None:
    def broken(*environments: str) -> set[str]:
        pack = configured(OWN_KEY, analyzer_pb2.MANDATORY, environments=list(environments))
        return {one.policyName for one in judged(pack)}

    assert broken("dev") == {OWN_KEY}
    assert broken("prod") == set()


def test_the_configuration_replaces_the_stacks_that_a_rule_is_for_by_itself() -> None:
    unlocked = [state for state in states("prod") if not state["type"].endswith(":ManagementLockByScope")]
    request = analyzer_pb2.AnalyzeStackRequest(
        resources=[analyzer_pb2.AnalyzerResource(**asked(state, {})) for state in unlocked]
    )

    def broken(pack: Pack) -> set[str]:
        return {one.policyName for one in pack.AnalyzeStack(request, None).diagnostics}

    assert "prod-lock" in broken(Pack())
    assert "prod-lock" not in broken(configured("prod-lock", analyzer_pb2.MANDATORY, environments=["dev"]))


@pytest.mark.parametrize(
    ("rule", "properties", "named"),
    [
        ("storage-no-keyz", {}, "storage-no-keyz"),
        ("prod-lock", {"environment": ["dev"]}, "prod-lock.environment"),
        (NO_KEYS, {"environments": ["dev"]}, f"{NO_KEYS}.environments"),
    ],
)
def test_a_name_in_the_configuration_that_means_nothing_is_refused(
    rule: str, properties: dict[str, Any], named: str
) -> None:
    with pytest.raises(RuntimeError, match=f"INVALID_ARGUMENT: .* names {named}, which does not exist"):
        configured(rule, analyzer_pb2.ADVISORY, **properties)


def test_the_engines_word_for_all_rules_is_none_of_theirs() -> None:
    configured("all", analyzer_pb2.ADVISORY)


@pytest.mark.parametrize("defect", [KeyError("oh"), SystemExit(1)])
def test_a_rule_that_raises_ends_the_call_with_its_name(
    defect: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(_: Planned) -> Iterator[str]:
        raise defect
        yield ""

    monkeypatch.setitem(RULES, NO_KEYS, dataclasses.replace(RULES[NO_KEYS], check=check))

    with pytest.raises(RuntimeError, match=f"the rule {NO_KEYS} itself failed: {type(defect).__name__}"):
        judged(Pack())
    assert "Traceback" in capsys.readouterr().err


def test_what_is_protected_is_known_to_be() -> None:
    pack = configured("prod-protect", analyzer_pb2.MANDATORY, environments=["dev"])

    def named(found: Found) -> set[str]:
        return {one.urn.rsplit("::", 1)[-1] for one in found if one.policyName == "prod-protect"}

    assert "st-fed-dev-cleveland-data" in named(judged_together(pack))
    assert "st-fed-dev-cleveland-data" not in named(
        judged_together(pack, lambda account: account.update(protect=True))
    )


def test_a_pack_changes_no_resource() -> None:
    request = analyzer_pb2.AnalyzeRequest(properties=encode({"allowSharedKeyAccess": True}))
    assert Pack().Remediate(request, None) == analyzer_pb2.RemediateResponse()


def test_an_engine_reads_its_port_and_may_send_a_large_stack() -> None:
    large = analyzer_pb2.AnalyzeRequest(type="t", properties=encode({"text": "x" * 8_000_000}))
    with subprocess.Popen([sys.executable, PACK], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as pack:
        assert pack.stdout and pack.stderr
        try:
            with grpc.insecure_channel(f"127.0.0.1:{int(pack.stdout.readline())}") as channel:
                stub = analyzer_pb2_grpc.AnalyzerStub(channel)
                assert stub.GetPluginInfo(empty_pb2.Empty()).version
                assert not stub.Analyze(large).diagnostics
        finally:
            pack.send_signal(signal.SIGINT)
        assert (pack.wait(), pack.stderr.read()) == (-signal.SIGINT, b"")
