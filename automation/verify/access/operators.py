"""Rights over whole subscriptions, which nobody's program of a federation gives.

The deploying identities hold exactly those that `./fed bootstrap` gives (`infra/rights.py`): the same name,
principal, role, scope and condition. People hold roles that run a subscription; these are listed, because
nothing here can promise what they do with them. Everything else on a whole subscription is a difference: a
role that opens data, one whose effect is not known, a right of any other application.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from automation.verify.access.roles import ROLES, role_guid
from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import AZURE, Resource, key_of, subscription_of
from azure_types.roles import BUILT_IN
from infra.rights import Right
from infra.roles import CONDITION_VERSION

PROOF = "live"
ASSIGNMENT: Final = f"{AZURE}authorization:RoleAssignment"
_PEOPLE: Final = frozenset({"User", "Group"})

Principal = Callable[[str], str | None]
"""Returns the principal id of the deploying identity of a name; None where there is no such identity."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """``accepted`` and the keys of ``findings`` name assignments; ``operators`` are the accepted in words."""

    accepted: frozenset[str]
    operators: tuple[str, ...]
    findings: Mapping[str, Finding]


def judge(
    resources: Sequence[Resource],
    expected: Sequence[Right],
    principal: Principal,
    parties: Mapping[str, str],
) -> Judgement:
    """Judge who holds a role on a whole subscription or above it.

    Args:
        resources: what Resource Manager answered.
        expected: the rights of the deploying identities.
        principal: asked only about an identity that an assignment is named after.
        parties: subscription ids (lower case) to names.
    """
    named = {right.assignment: right for right in expected}
    known = cache(principal)
    held: dict[tuple[str, str], list[str]] = defaultdict(list)
    accepted, findings = set[str](), dict[str, Finding]()
    for assignment in resources:
        if assignment.type != ASSIGNMENT or assignment.urn or not _is_whole(_scope(assignment)):
            continue
        right = named.get(assignment.name.lower())
        if right is not None:
            if differences := list(_differences(assignment, right, known(right.identity))):
                findings[assignment.key] = _differs(assignment, right, differences)
                continue
            who = right.identity
        elif _is_a_persons(assignment):
            who = f"{str(assignment.at('principalType')).lower()} {assignment.at('principalId')}"
        else:
            findings[assignment.key] = _stranger(assignment)
            continue
        accepted.add(assignment.key)
        scope = _scope(assignment)
        held[who, _role(assignment)].append(parties.get(subscription_of(scope), scope))
    return Judgement(
        accepted=frozenset(accepted),
        operators=tuple(
            f"{who}: {role} on {', '.join(where)}" for (who, role), where in sorted(held.items())
        ),
        findings=findings,
    )


def _scope(assignment: Resource) -> str:
    return key_of(str(assignment.at("scope")))


def _is_whole(scope: str) -> bool:
    """Say whether a scope is a subscription, or what is above: a management group, the tenant."""
    return not subscription_of(scope) or scope.count("/") == 2


def _role(assignment: Resource) -> str:
    role = ROLES.get(role_guid(assignment))
    return role.name if role else f"role {role_guid(assignment)}"


def _is_a_persons(assignment: Resource) -> bool:
    role = ROLES.get(role_guid(assignment))
    return assignment.at("principalType") in _PEOPLE and role is not None and role.manages


def _differences(assignment: Resource, right: Right, principal: str | None) -> Iterator[str]:
    if principal is None:
        yield f"there is no identity {right.identity}"
    elif str(assignment.at("principalId")).lower() != principal.lower():
        yield f"its principal is {assignment.at('principalId')}, not {principal} ({right.identity})"
    if role_guid(assignment) != BUILT_IN[right.role]:
        yield f"its role is {_role(assignment)}, not {right.role}"
    if _scope(assignment) != key_of(f"/subscriptions/{right.subscription}"):
        yield f"its scope is {_scope(assignment)}, not /subscriptions/{right.subscription}"
    condition = assignment.at("condition") or None
    if condition != right.limited_for(principal or ""):
        yield (
            f"its condition is {condition}, not that of infra/roles.py"
            if condition
            else "it has no condition"
        )
    elif right.condition and assignment.at("conditionVersion") != CONDITION_VERSION:
        yield f"its conditionVersion is {assignment.at('conditionVersion')}, not {CONDITION_VERSION}"


def _label(assignment: Resource) -> str:
    return f"role assignment {assignment.name} ({_role(assignment)} on {_scope(assignment)})"


def _differs(assignment: Resource, right: Right, differences: Sequence[str]) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule="deployers",
        what=f"{right.identity} would hold {right.role} on {right.where}, and something else is there",
        where=f"{_label(assignment)}: {'; '.join(differences)}",
        why="a deploying identity may do no more than ./fed bootstrap gives it, and nobody else in its place",
        fix="find out who changed it (the subscription's activity log), delete it, and give it again as it "
        "should be: ./fed bootstrap --yes",
    )


def _stranger(assignment: Resource) -> Finding:
    who = f"{assignment.at('principalType') or 'principal'} {assignment.at('principalId')}"
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule="deployers",
        what=f"{who} holds {_role(assignment)} on {_scope(assignment)}",
        where=f"{_label(assignment)}: made behind the program's back",
        why="it reaches everything in there; on a whole subscription only the deploying identities of "
        "./fed bootstrap and the people who run it may hold roles, and none that opens data",
        fix="delete the role assignment, or give the role on what it is for; a role that only runs a "
        "subscription can be described in automation/verify/access/roles.py",
    )
