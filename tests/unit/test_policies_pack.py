"""The pack as the engine sees it: what it tells of its rules, how it judges, how it is configured."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2
from verify_deployment import exported

from engine.wire import UNKNOWN, encode
from policies.check import RULES
from policies.pack import Pack

Found = list[analyzer_pb2.AnalyzeDiagnostic]
State = dict[str, Any]

NO_KEYS = "storage-no-keys"
OWN_KEY = "storage-own-key"
SECRET = {
    "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",  # pragma: allowlist secret
    "value": True,
}
"""True, as a secret travels to a pack."""


def states() -> list[State]:
    found: list[State] = exported("dev")["deployment"]["resources"]
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


def configured(rule: str, level: analyzer_pb2.EnforcementLevel.ValueType, **properties: Any) -> Pack:
    pack = Pack()
    config = analyzer_pb2.PolicyConfig(enforcementLevel=level, properties=encode(properties))
    pack.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig={rule: config}), None)
    return pack


def opens_to_keys(value: Any) -> Callable[[State], None]:
    return lambda account: account["inputs"].update(allowSharedKeyAccess=value)


def loses_its_log(account: State) -> None:
    account["urn"] += "-moved"


def test_every_rule_is_told_with_its_title_and_mend() -> None:
    told = {policy.name: policy for policy in Pack().GetAnalyzerInfo(empty_pb2.Empty(), None).policies}

    assert told.keys() == RULES.keys()
    for name, rule in RULES.items():
        kind = analyzer_pb2.POLICY_TYPE_STACK if rule.stack_wide else analyzer_pb2.POLICY_TYPE_RESOURCE
        level = analyzer_pb2.EnforcementLevel.Name(told[name].enforcementLevel).lower()
        assert (told[name].policy_type, level) == (kind, rule.level)
        assert (told[name].description, told[name].remediation_steps) == (rule.title, rule.mend)
        configurable = "environments" in told[name].configSchema.properties.fields
        assert configurable is (rule.environments is not None)


def test_the_program_breaks_no_rule() -> None:
    assert judged(Pack()) + judged_together(Pack()) == []


@pytest.mark.parametrize("value", [True, SECRET], ids=["plain", "secret"])
def test_a_broken_rule_is_told_with_resource_reason_and_mend(value: Any) -> None:
    (found,) = judged(Pack(), opens_to_keys(value))

    rule = RULES[NO_KEYS]
    assert (found.policyName, found.enforcementLevel) == (NO_KEYS, analyzer_pb2.MANDATORY)
    assert found.urn.endswith("::st-fed-dev-cleveland-data")
    first, where, why, mend = found.message.split("\n")
    assert first == rule.title
    assert where.startswith("st-fed-dev-cleveland-data: allowSharedKeyAccess is true")
    assert rule.why in why
    assert rule.mend in mend


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
    pack = configured(OWN_KEY, analyzer_pb2.MANDATORY, environments=["dev"])

    assert {one.policyName for one in judged(pack)} == {OWN_KEY}


def test_a_pack_changes_no_resource() -> None:
    assert Pack().Remediate(analyzer_pb2.AnalyzeRequest(), None) == analyzer_pb2.RemediateResponse()
