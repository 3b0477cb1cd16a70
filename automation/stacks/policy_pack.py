"""The rules of `policies/` for operations that start from Python: over a plan, and as a pack of the engine.

`broken_by` holds a preview against every rule in this process: a pack would cost another second. `PACK` goes
to ``Stack.up``, where the engine asks it again once values are known, before each resource is made.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pulumi.automation.events import PolicyEvent
from pulumi.runtime.rpc import UNKNOWN as UNKNOWN_IN_JSON

from automation.stacks.urns import name_of, party_of, type_of
from clone.paths import REPOSITORY
from federation.problem import words
from policies.check import RULES, broken
from policies.planned import Planned
from policies.rule import Level, Rule
from pulumi_wire.values import UNKNOWN

PACK: Final = str(REPOSITORY / "policies")
"""The folder of the pack."""

State = Mapping[str, Any]
"""A resource in the engine's JSON: urn, type, inputs, provider..."""

_PROVIDERS = "pulumi:providers:"


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A rule that a resource of a party breaks, and what is wrong with that resource."""

    rule: Rule
    level: Level
    urn: str
    party: str
    what: str

    @property
    def place(self) -> str:
        """The resource, its party and what is wrong with it."""
        kind = type_of(self.urn).removeprefix("azure-native:")
        return f"{name_of(self.urn)} ({kind} of {self.party}): {self.what}"


def told(violations: Iterable[Violation], level: Level) -> list[str]:
    """Return the rules of a level that are broken in words: where, why it matters, the fix."""
    broken_rules: dict[str, list[Violation]] = {}
    for violation in violations:
        if violation.level is level:
            broken_rules.setdefault(violation.rule.name, []).append(violation)
    return [_words(found[0].rule, found) for _, found in sorted(broken_rules.items())]


def _words(rule: Rule, violations: Iterable[Violation]) -> str:
    file = f"{rule.check.__module__.replace('.', '/')}.py"
    places = "".join(f"\n  - {place}" for place in sorted({violation.place for violation in violations}))
    return words(f"{rule.name}: {rule.title} ({file}){places}", why=rule.why, fix=rule.fix)


def refusal(violations: Iterable[Violation]) -> str:
    """Return what the mandatory rules that are broken say to a person; empty when there is none."""
    rules = told(violations, Level.MANDATORY)
    count = "a rule" if len(rules) == 1 else f"{len(rules)} rules"
    return "\n".join([f"this breaks {count} that every federation keeps:", *rules]) if rules else ""


def from_event(stack: str, event: PolicyEvent, hospitals: Iterable[str]) -> Violation:
    """Read what the engine says of a violation: the rule's title on a line, then `Rule.message`."""
    rule = RULES[event.policy_name]
    urn = event.resource_urn or ""
    message = re.sub(r"<\{%[^%]*%\}>", "", event.message).partition("\n")[2].strip()
    return Violation(
        rule=rule,
        level=Level.MANDATORY if event.enforcement_level == "mandatory" else Level.ADVISORY,
        urn=urn,
        party=party_of(stack, urn, "", hospitals),
        what=message.removeprefix(f"{name_of(urn)}: ").partition("\n")[0],
    )


def broken_by(
    stack: str, before: Iterable[State], preview: Mapping[str, Any], hospitals: Sequence[str]
) -> list[Violation]:
    """Hold what a stack would be after a preview against every rule.

    Args:
        stack: its name.
        before: the resources in its state; the preview's JSON leaves out what stays as it is.
        preview: the document of ``pulumi preview --json``.
        hospitals: the names in its settings.
    """
    states = _after(before, preview.get("steps") or ())
    providers = {state["urn"]: str(state.get("provider") or "") for state in states}
    return [
        Violation(
            rule=one.rule,
            level=one.rule.level,
            urn=one.fault.urn,
            party=party_of(stack, one.fault.urn, providers[one.fault.urn], hospitals),
            what=one.fault.what,
        )
        for one in broken(stack, _planned(states))
    ]


def _after(before: Iterable[State], steps: Iterable[Mapping[str, Any]]) -> list[State]:
    found = {state["urn"]: state for state in before if not state.get("delete")}
    for step in steps:
        if step["op"] == "delete":
            found.pop(step["urn"], None)
        elif step["op"] != "delete-replaced" and (new := step.get("newState")):
            found[step["urn"]] = new
    return list(found.values())


def _planned(states: Sequence[State]) -> list[Planned]:
    subscriptions = {
        state["urn"]: (state.get("inputs") or {}).get("subscriptionId")
        for state in states
        if state["type"].startswith(_PROVIDERS)
    }
    return [
        Planned(
            type=state["type"],
            name=name_of(state["urn"]),
            urn=state["urn"],
            props=_known(state.get("inputs") or {}),
            subscription=subscriptions.get(str(state.get("provider") or "").rpartition("::")[0]),
            protect=bool(state.get("protect")),
            refers=state.get("propertyDependencies") or {},
        )
        for state in states
        if state.get("custom") and not state["type"].startswith(_PROVIDERS)
    ]


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _known(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_known(inner) for inner in value]
    return UNKNOWN if value == UNKNOWN_IN_JSON else value
