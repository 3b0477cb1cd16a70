"""A plan held against the rules without the engine's pack, and what people are told of a violation."""

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.automation import CommandError
from pulumi.automation._cmd import CommandResult
from pulumi.automation.events import EngineEvent

from automation.stacks import operation
from automation.stacks.events import Record
from automation.stacks.policy_pack import PACK, UNKNOWN_IN_JSON, Violation, broken_by, refusal, told
from automation.ui.outcome import FedError, RefusedError
from policies.check import RULES
from policies.rule import Level
from tests.unit.support.verify_deployment import exported

HOSPITALS = ("cleveland", "hungary", "va-long-beach")
State = dict[str, Any]


def states() -> list[State]:
    found: list[State] = exported("dev")["deployment"]["resources"]
    return found


def state(kind: str, word: str) -> State:
    (found,) = [
        s for s in states() if s["type"].endswith(f":{kind}") and word in s["urn"].rsplit("::", 1)[-1]
    ]
    return copy.deepcopy(found)


def step(op: str, resource: State) -> State:
    return {"op": op, "urn": resource["urn"], "newState": None if op == "delete" else resource}


def violations(*steps: State, before: list[State] | None = None) -> list[Violation]:
    return broken_by("dev", states() if before is None else before, {"steps": list(steps)}, HOSPITALS)


class TestAPlan:
    def test_that_changes_nothing_breaks_nothing(self) -> None:
        assert violations() == []

    def test_of_a_first_deployment_breaks_nothing(self) -> None:
        assert violations(*(step("create", each) for each in states()), before=[]) == []

    def test_is_held_against_the_rules_as_it_would_be_afterwards(self) -> None:
        group = state("NetworkSecurityGroup", "cleveland-workload")
        rule = next(r for r in group["inputs"]["securityRules"] if r["direction"] == "Inbound")
        rule.update(access="Allow", sourceAddressPrefix="*", destinationPortRange="22")
        rule.pop("sourceAddressPrefixes", None)

        assert {(v.rule.name, v.party) for v in violations(step("update", group))} >= {
            ("nsg-inbound-named", "cleveland")
        }
        assert violations(step("update", group), before=[group, *states()])
        assert violations(step("update", state("NetworkSecurityGroup", "cleveland-workload"))) == []

    def test_may_break_a_rule_by_what_it_deletes(self) -> None:
        (found,) = violations(step("delete", state("DiagnosticSetting", "cleveland-data")))

        assert found.rule.name == "diagnostics"
        assert found.place.startswith("st-fed-dev-cleveland-data (storage:StorageAccount of cleveland): ")

    def test_is_not_judged_by_what_nobody_can_know_yet(self) -> None:
        account = state("StorageAccount", "cleveland-data")
        account["inputs"]["allowSharedKeyAccess"] = UNKNOWN_IN_JSON

        assert violations(step("update", account)) == []

    def test_names_the_subscription_by_the_provider_that_the_plan_makes(self) -> None:
        account = state("StorageAccount", "cleveland-data")
        account["provider"] = state("StorageAccount", "hungary-data")["provider"]

        assert "party-subscription" in {v.rule.name for v in violations(step("update", account))}


def violation(rule: str, level: Level, party: str) -> Violation:
    urn = f"urn:pulumi:dev::fed::azure-native:storage:StorageAccount::st-fed-dev-{party}-data"
    return Violation(rule=RULES[rule], level=level, urn=urn, party=party, what="it is open")


class TestARefusal:
    def test_says_where_why_and_the_mend_once_for_each_rule(self) -> None:
        text = refusal(violation("storage-no-keys", Level.MANDATORY, party) for party in HOSPITALS)

        assert text.splitlines() == [
            "this breaks a rule that every federation keeps:",
            f"storage-no-keys: {RULES['storage-no-keys'].title} (policies/storage.py)",
            *(
                f"  - st-fed-dev-{party}-data (storage:StorageAccount of {party}): it is open"
                for party in HOSPITALS
            ),
            f"   Why it matters: {RULES['storage-no-keys'].why}",
            f"   Fix: {RULES['storage-no-keys'].fix}",
        ]
        assert (Path(PACK) / "storage.py").exists()

    def test_is_no_matter_of_advice(self) -> None:
        advice = [violation("budget", Level.ADVISORY, "hungary")]

        assert refusal(advice) == ""
        assert len(told(advice, Level.ADVISORY)) == 1


def event(rule: str, level: str) -> EngineEvent:
    urn = "urn:pulumi:dev::fed::azure-native:storage:StorageAccount::st-fed-dev-hungary-data"
    message = RULES[rule].message("st-fed-dev-hungary-data", "allowSharedKeyAccess is true")
    return EngineEvent.from_json(
        {
            "sequence": 1,
            "timestamp": 1,
            "policyEvent": {
                "message": f"<{{%reset%}}>{RULES[rule].title}\n{message}<{{%reset%}}>",
                "policyName": rule,
                "policyPackName": "fed",
                "enforcementLevel": level,
                "resourceUrn": urn,
            },
        }
    )


class TestAProtectedResource:
    def test_is_told_with_the_way_to_let_a_hospital_leave(self) -> None:
        target: Any = SimpleNamespace(
            name="prod", hospitals=HOSPITALS, engine=SimpleNamespace(interrupted=False)
        )
        urn = "urn:pulumi:prod::fed::azure-native:storage:BlobContainer::container-fed-prod-hungary-data"
        said = (
            f'Preview failed: resource "{urn}" cannot be deleted\nbecause it is protected. To unprotect the '
            "resource, either remove the `protect` flag from the resource in your Pulumi program"
        )

        def engine(on_event: Callable[[EngineEvent], None]) -> str:
            diagnostic = {"urn": urn, "message": said, "severity": "error", "color": "never"}
            on_event(EngineEvent.from_json({"sequence": 1, "timestamp": 1, "diagnosticEvent": diagnostic}))
            raise CommandError(CommandResult(stdout="", stderr="", code=1))

        with pytest.raises(FedError) as failure:
            operation.run(target, "previewing prod", engine)
        assert "container-fed-prod-hungary-data (azure-native:storage:BlobContainer): " in str(failure.value)
        assert "./fed hospital remove NAME, which keeps its data" in str(failure.value)
        assert "remove the `protect` flag" not in str(failure.value)


class TestThePackOfADeployment:
    def test_says_the_same_as_the_plan(self) -> None:
        record = Record("dev", HOSPITALS)
        for each in (event("storage-no-keys", "mandatory"), event("storage-no-keys", "mandatory")):
            record.add(each)

        (found,) = record.violations
        assert (found.party, found.what) == ("hungary", "allowSharedKeyAccess is true")
        assert "st-fed-dev-hungary-data (storage:StorageAccount of hungary): " in refusal(record.violations)

    @pytest.mark.parametrize("level", ["mandatory", "warning"])
    def test_ends_a_deployment_in_a_refusal_only_when_it_must(
        self, level: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        target: Any = SimpleNamespace(
            name="dev", hospitals=HOSPITALS, engine=SimpleNamespace(interrupted=False)
        )

        def engine(on_event: Callable[[EngineEvent], None]) -> str:
            on_event(event("storage-no-keys", level))
            if level == "mandatory":
                raise CommandError(CommandResult(stdout="", stderr="", code=1))
            return "done"

        if level == "mandatory":
            with pytest.raises(RefusedError, match=r"storage-no-keys.*\n.*\n.*\n.*\ndeploying dev stopped"):
                operation.run(target, "deploying dev", engine)
        else:
            assert operation.run(target, "deploying dev", engine)[0] == "done"
            assert "warning: storage-no-keys" in capsys.readouterr().err
