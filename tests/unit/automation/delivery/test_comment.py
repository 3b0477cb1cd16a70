"""What a reviewer reads: each party's changes, losses in bold, no value of any property, also when it
failed.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation.delivery.comment import comment, summary
from automation.delivery.intent_difference import difference, intended
from automation.hospitals.stack_file import StackFile
from automation.stacks import plan as plans
from automation.stacks.plan import Change, Plan
from clone import paths

ROOT = paths.REPOSITORY
PARTIES = ("centre", "cleveland", "va-long-beach", "va")
VALUE = "what-nobody-may-read"


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:dev::fed::{kind}::{name}"


def step(op: str, kind: str, name: str, party: str | None = None, **more: Any) -> dict[str, Any]:
    """One step as `pulumi preview --json` writes it."""
    provider = urn("pulumi:providers:azure-native", f"azure-fed-dev-{party}") + "::id" if party else ""
    full = f"fed:components:HospitalTenant${kind}"
    state = {
        "urn": urn(full, name),
        "custom": True,
        "type": kind,
        "provider": provider,
        "inputs": {"customData": VALUE},
        "sourcePosition": "project:///home/someone/fed/components/x.py#7",
    }
    where = "oldState" if op == "delete" else "newState"
    return {"op": op, "urn": urn(full, name), where: state, **more}


def preview(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    providers = [
        {
            "op": "same",
            "urn": urn("pulumi:providers:azure-native", f"azure-fed-dev-{party}"),
            "newState": {"custom": True},
        }
        for party in PARTIES
    ]
    return {"config": {}, "steps": [*providers, *steps], **more}


VM, VNET, RANDOM = (
    "azure-native:compute:VirtualMachine",
    "azure-native:network:VirtualNetwork",
    "random:index:RandomString",
)

CHANGED = preview(
    step("same", VNET, "vnet-fed-dev-centre", "centre"),
    step("same", VNET, "vnet-fed-dev-va", "va"),
    step("create", VNET, "vnet-fed-dev-cleveland", "cleveland"),
    step(
        "update",
        VNET,
        "vnet-fed-dev-va-long-beach",
        "va-long-beach",
        detailedDiff={"tags.who|x": {"kind": "add"}},
    ),
    step("create-replacement", VM, "vm-fed-dev-centre", "centre", replaceReasons=["osProfile.customData"]),
    step("replace", VM, "vm-fed-dev-centre", "centre"),
    step("delete-replaced", VM, "vm-fed-dev-centre", "centre"),
    step("delete", VNET, "vnet-fed-dev-old-va-long-beach", "va-long-beach"),
    step("create", RANDOM, "suffix-fed-dev-va-long-beach"),
)


UNCHANGED = {"centre": 1, "va": 1, "cleveland": 0}


def read(document: dict[str, Any]) -> Plan:
    return plans.read("dev", "emulator", document, unchanged=UNCHANGED)


def failed(*messages: str) -> Plan:
    return Plan(stack="dev", target="emulator", errors=messages)


def test_each_change_is_its_partys_whose_provider_makes_it() -> None:
    assert {(change.kind, change.name): change.party for change in read(CHANGED).changes} == {
        ("create", "vnet-fed-dev-cleveland"): "cleveland",
        ("update", "vnet-fed-dev-va-long-beach"): "va-long-beach",
        ("replace", "vm-fed-dev-centre"): "centre",
        ("delete", "vnet-fed-dev-old-va-long-beach"): "va-long-beach",
        ("create", "suffix-fed-dev-va-long-beach"): "va-long-beach",
    }


def test_the_peerings_two_halves_belong_to_the_parties_that_make_them() -> None:
    kind = "azure-native:network:VirtualNetworkPeering"
    found = read(
        preview(
            step("create", kind, "peer-fed-dev-cleveland", "centre"),
            step("create", kind, "peer-fed-dev-centre", "cleveland"),
        )
    )
    assert [change.party for change in found.changes] == ["centre", "cleveland"]


def test_nothing_but_names_is_kept() -> None:
    kept = read(CHANGED).model_dump_json()
    assert VALUE not in kept
    assert "/home/someone" not in kept


def test_a_plan_survives_its_file() -> None:
    found = read(CHANGED)
    assert Plan.model_validate_json(found.model_dump_json()) == found


def test_two_plans_of_the_same_change_do_not_differ_whatever_the_order() -> None:
    again = preview(*reversed(CHANGED["steps"][len(PARTIES) :]))
    assert read(CHANGED).differences(read(again)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (step("delete", VNET, "vnet-fed-dev-centre", "centre"), "only now: delete"),
        (
            step("update", VNET, "vnet-fed-dev-va", "va", diffReasons=["addressSpace"]),
            "vnet-fed-dev-va (addressSpace)",
        ),
    ],
)
def test_a_plan_that_changed_after_approval_differs(changed: dict[str, Any], said: str) -> None:
    (found,) = read(CHANGED).differences(read(preview(*CHANGED["steps"][len(PARTIES) :], changed)))
    assert said in found


def test_another_property_of_the_same_resource_differs_too() -> None:
    one = read(preview(step("update", VNET, "vnet-fed-dev-va", "va", diffReasons=["tags"])))
    other = read(preview(step("update", VNET, "vnet-fed-dev-va", "va", diffReasons=["addressSpace"])))
    assert len(one.differences(other)) == 2


def test_losses_stand_out_and_unchanged_parties_share_a_row() -> None:
    text = summary(read(CHANGED))
    assert "### dev: 2 to create, 1 to update, 1 **to replace**, 1 **to delete**" in text
    lost = "- **replace** `vm-fed-dev-centre` (VirtualMachine, centre)"
    assert f"{lost} because `osProfile` cannot change in place" in text
    assert "- **delete** `vnet-fed-dev-old-va-long-beach` (VirtualNetwork, va-long-beach)" in text
    assert "| centre |  |  | **1** |  | 1 |" in text
    assert "| cleveland (new) | 1 |  |  |  |  |" in text
    assert "| va | | | | | 1 |" in text


def test_a_hospital_that_leaves_is_said_to_leave() -> None:
    text = summary(read(preview(step("delete", VNET, "vnet-fed-dev-cleveland", "cleveland"))))
    assert "| cleveland (leaves) |  |  |  | **1** |  |" in text


def test_no_change_is_one_line() -> None:
    text = summary(read(preview(step("same", VNET, "vnet-fed-dev-va", "va"))))
    assert "### dev: no change" in text
    assert "|" not in text


def test_a_failed_preview_says_why_without_colours_and_once() -> None:
    message = "<{%fg 1%}>error: Pulumi.dev.yaml: 1 setting is wrong<{%reset%}>\n"
    document = preview(diagnostics=[{"severity": "error", "message": message}] * 2)
    text = comment(["dev"], [read(document)], {}, {})
    assert "### dev: failed" in text
    assert text.count("error: Pulumi.dev.yaml: 1 setting is wrong") == 1
    assert "<{%" not in text


def test_a_preview_that_never_began_says_what_the_command_said() -> None:
    text = summary(failed("no Azure login"))
    assert "```text\nno Azure login\n```" in text


def test_a_stack_without_a_plan_is_not_left_out() -> None:
    text = comment(["dev", "prod"], [read(CHANGED)], {}, {})
    assert "### prod\n\n**No plan.**" in text


def test_a_change_that_reaches_no_stack_says_so() -> None:
    assert "reaches no deployment" in comment([], [], {}, {})


def test_azures_preview_is_shown_before_the_rehearsal() -> None:
    azure = read(preview()).model_copy(update={"target": "azure"})
    broken = failed("the emulator refused it")
    text = comment(["dev"], [broken, azure], {}, {})
    assert "Previewed against Azure" in text
    assert "**The rehearsal failed:** the emulator refused it" in text


def test_a_warning_of_the_policies_is_shown() -> None:
    document = preview(diagnostics=[{"severity": "warning", "message": "warning: [advisory] no backup"}])
    assert "> warning: [advisory] no backup" in summary(read(document))


def test_what_a_new_hospital_may_do_is_listed_with_reasons(tmp_path: Path) -> None:
    file = StackFile(ROOT / "Pulumi.dev.yaml")
    before = intended("dev", file.settings())
    subscription = "20000000-0000-4000-8000-00000000cafe"
    file.add_hospital("switzerland", {"subscriptionId": subscription, "addressSpace": "10.10.9.0/27"})
    after = intended("dev", file.settings())

    added, removed = difference(before, after)
    assert removed == []
    assert {line.who.split("/")[0].split("'")[0] for line in added} == {"switzerland", "centre"}
    text = comment(["dev"], [read(CHANGED)], {"dev": (before, after)}, {"dev": []})
    assert (
        "| newly allowed | switzerland/machine (10.10.9.4/32) | open TCP 8002 to centre/server (10.10.0.4/32)"
        in text
    )
    assert "what the settings intend, no more and no less" in text
    assert comment(["dev"], [read(CHANGED)], {"dev": (after, before)}, {}).count("| no longer |") == len(
        added
    )
    assert "unchanged" in comment(["dev"], [read(CHANGED)], {"dev": (before, before)}, {})


def test_a_difference_from_the_intent_is_shown() -> None:
    text = comment(["dev"], [read(CHANGED)], {}, {"dev": ["hungary reaches cleveland on 22"]})
    assert "finds a difference from the intent" in text
    assert "- hungary reaches cleveland on 22" in text


@given(st.text(max_size=60))
def test_no_text_of_others_can_break_the_table_or_call_anyone(text: str) -> None:
    failing = Plan(stack="dev", target="azure", errors=(text or "x",), warnings=(text,))
    shown = comment(["dev"], [failing], {}, {"dev": [f"a {text}"]})
    finding = shown.rsplit("\n- ", 1)[-1].split("\n", 1)[0]
    assert "<" not in finding.replace("&lt;", "")
    assert "@" not in finding
    assert shown.count("```") == 2


def test_many_changes_are_cut_and_counted() -> None:
    many = tuple(
        Change(party="centre", kind="create", type="a:b:C", name=f"n{number}", urn=str(number))
        for number in range(500)
    )
    text = summary(Plan(stack="dev", target="azure", changes=many))
    assert "350 more are in the run's plan file" in text
    assert len(text) < 60_000


def test_what_is_kept_is_json_that_a_reader_knows() -> None:
    kept = json.loads(read(CHANGED).model_dump_json())
    assert set(kept) == {"stack", "target", "changes", "unchanged", "errors", "warnings"}
    assert set(kept["changes"][0]) == {"party", "kind", "type", "name", "urn", "properties"}
