"""Who may hold a role on a whole subscription: the deploying identities to the letter, people who run it."""

import dataclasses
from typing import Any

import pytest

from automation.verify.access.operators import Judgement, judge
from automation.verify.facts.resources import Resource, key_of
from automation.verify.report.controls import CONTROLS
from azure_types.roles import BUILT_IN
from clone import paths
from federation.parties import federation
from federation.stack_file import load_stack
from infra.rights import Right, rights

ROOT = paths.REPOSITORY
PARTIES = {party.name: party.subscription_id for party in federation(load_stack(ROOT, "dev")).parties}
NAMES = {subscription: name for name, subscription in PARTIES.items()}
EXPECTED = list(rights("dev", PARTIES))
PRINCIPALS = {
    "id-fed-dev": "d0000000-0000-4000-8000-00000000000a",
    "id-fed-dev-plan": "d0000000-0000-4000-8000-00000000000b",
}
SOMEBODY = "deadbeef-0000-4000-8000-000000000000"
CENTRE = f"/subscriptions/{PARTIES['centre']}"
BLOB_OWNER = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
VAULT_ADMINISTRATOR = "00482a5a-887f-4fb3-b363-3b7fe8e74483"


def assignment(name: str, guid: str, *, scope: str = CENTRE, **props: Any) -> Resource:
    return Resource(
        type="azure-native:authorization:RoleAssignment",
        id=f"{scope.rstrip('/')}/providers/Microsoft.Authorization/roleAssignments/{name}",
        urn="",
        props={
            "principalType": "ServicePrincipal",
            "roleDefinitionId": f"{scope}/providers/Microsoft.Authorization/roleDefinitions/{guid}",
            "scope": scope,
            **props,
        },
    )


def given(right: Right) -> Resource:
    """What Azure answers once bootstrap has given a right."""
    condition = right.limited_for(PRINCIPALS[right.identity])
    limits = {"condition": condition, "conditionVersion": "2.0"} if condition else {}
    return assignment(
        right.assignment,
        BUILT_IN[right.role],
        scope=f"/subscriptions/{right.subscription}",
        principalId=PRINCIPALS[right.identity],
        **limits,
    )


def changed(resource: Resource, **props: Any) -> Resource:
    return dataclasses.replace(resource, props={**resource.props, **props})


def look(*resources: Resource) -> Judgement:
    return judge(resources, EXPECTED, PRINCIPALS.get, NAMES)


def right_of(role: str) -> Right:
    return next(right for right in EXPECTED if right.role == role and right.where == "dev centre")


GRANTOR = right_of("Role Based Access Control Administrator")
CONTRIBUTOR = right_of("Contributor")


def test_what_bootstrap_gives_is_expected_and_listed() -> None:
    everything = [given(right) for right in EXPECTED]
    found = look(*everything)

    assert len(everything) == 3 * len(PARTIES)
    assert found.findings == {}
    assert found.accepted == {one.key for one in everything}
    everywhere = ", ".join(PARTIES)
    assert found.operators == (
        f"id-fed-dev: Contributor on {everywhere}",
        f"id-fed-dev: Role Based Access Control Administrator on {everywhere}",
        f"id-fed-dev-plan: Reader on {everywhere}",
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (changed(given(GRANTOR), condition=None), "it has no condition"),
        (changed(given(GRANTOR), condition=str(GRANTOR.condition)[:-1]), "its condition is "),
        (changed(given(GRANTOR), condition=GRANTOR.limited_for(SOMEBODY)), "its condition is "),
        (changed(given(GRANTOR), conditionVersion="1.0"), "conditionVersion is 1.0"),
        (changed(given(CONTRIBUTOR), condition=GRANTOR.condition), "its condition is "),
        (changed(given(CONTRIBUTOR), principalId=SOMEBODY), f"its principal is {SOMEBODY}"),
        (changed(given(CONTRIBUTOR), principalId=PRINCIPALS["id-fed-dev-plan"]), "its principal is"),
        (changed(given(CONTRIBUTOR), roleDefinitionId=f"{CENTRE}/x/{OWNER}"), "its role is Owner"),
        (changed(given(CONTRIBUTOR), scope=f"/subscriptions/{PARTIES['hungary']}"), "its scope is"),
        (changed(given(CONTRIBUTOR), principalId=SOMEBODY, principalType="User"), "its principal is"),
    ],
)  # fmt: skip
def test_an_assignment_that_differs_in_one_thing_is_found(found: Resource, said: str) -> None:
    ((key, finding),) = look(found).findings.items()

    assert key == found.key
    assert found.name in finding.where
    assert said in finding.where
    assert "./fed bootstrap" in finding.fix
    assert look(found).accepted == frozenset()


def test_a_copy_for_another_principal_is_found() -> None:
    copy = assignment(SOMEBODY, BUILT_IN["Contributor"], principalId=SOMEBODY)
    again = assignment(SOMEBODY, OWNER, principalId=PRINCIPALS["id-fed-dev"])

    for one in (copy, again):
        (finding,) = look(*map(given, EXPECTED), one).findings.values()
        assert SOMEBODY in finding.where
        assert "delete the role assignment" in finding.fix


def test_an_identity_that_is_not_there_holds_nothing() -> None:
    found = judge([given(CONTRIBUTOR)], EXPECTED, lambda _: None, NAMES)

    assert "there is no identity id-fed-dev" in found.findings[given(CONTRIBUTOR).key].where


def test_nobody_is_asked_about_identities_that_nothing_is_named_after() -> None:
    def refuse(name: str) -> str:
        raise AssertionError(f"{name} was asked for")

    stranger = assignment(SOMEBODY, OWNER, principalId=SOMEBODY, principalType="User")
    assert judge([stranger], EXPECTED, refuse, NAMES).findings == {}


@pytest.mark.parametrize("kind", ["User", "Group"])
@pytest.mark.parametrize("role", ["Owner", "Contributor", "Reader"])
@pytest.mark.parametrize("scope", [CENTRE, "/providers/Microsoft.Management/managementGroups/root", "/"])
def test_people_who_run_a_subscription_are_listed(kind: str, role: str, scope: str) -> None:
    guid = {"Owner": OWNER, **BUILT_IN}[role]
    person = assignment(SOMEBODY, guid, scope=scope, principalId=SOMEBODY, principalType=kind)
    found = look(person)

    where = "centre" if scope == CENTRE else key_of(scope)
    assert found.findings == {}
    assert found.operators == (f"{kind.lower()} {SOMEBODY}: {role} on {where}",)


@pytest.mark.parametrize("kind", ["User", "Group", "ServicePrincipal"])
@pytest.mark.parametrize(
    "guid",
    [
        BUILT_IN["Storage Blob Data Reader"],
        BUILT_IN["Storage Blob Data Contributor"],
        BLOB_OWNER,
        VAULT_ADMINISTRATOR,
    ],
)
def test_a_role_that_opens_data_is_nobodys(kind: str, guid: str) -> None:
    found = look(assignment(SOMEBODY, guid, principalId=SOMEBODY, principalType=kind))

    assert found.operators == ()
    (finding,) = found.findings.values()
    assert SOMEBODY in finding.what


def test_narrower_roles_and_the_programs_own_are_left_to_the_other_proofs() -> None:
    narrow = assignment(SOMEBODY, OWNER, scope=f"{CENTRE}/resourceGroups/rg", principalId=SOMEBODY)
    own = dataclasses.replace(assignment(SOMEBODY, OWNER, principalId=SOMEBODY), urn="urn:pulumi:dev::x")

    assert look(narrow, own).findings == {}


def test_a_difference_belongs_to_a_promise() -> None:
    (finding,) = look(assignment(SOMEBODY, OWNER, principalId=SOMEBODY)).findings.values()

    assert [control.name for control in CONTROLS if control.broken_by([finding])] == ["Least privilege"]
