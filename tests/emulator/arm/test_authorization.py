"""Identities, role assignments and locks: the rules that Azure would enforce."""

import uuid
from typing import Any

import pytest

from azure_types.roles import BUILT_IN
from tests.emulator.arm.test_answers import Clock, clock, slow
from tests.emulator.arm_client import GROUP, SUBSCRIPTION, Arm, said

__all__ = ["clock", "slow"]
"""Fixtures that pytest finds here by their names."""

IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-one"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
ROLES = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"


def assignment() -> str:
    return f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"


@pytest.fixture
def principal(arm: Arm) -> str:
    return str(arm.put(IDENTITY, {"location": "westeurope"})["properties"]["principalId"])


def grant(principal: str, role: str = READER, **more: Any) -> dict[str, Any]:
    return {"properties": {"principalId": principal, "roleDefinitionId": f"{ROLES}/{role}", **more}}


class TestRoleAssignments:
    def test_answer_has_full_ids_and_the_scope(self, arm: Arm, principal: str) -> None:
        made = arm.put(assignment(), grant(principal, principalType="ServicePrincipal"))["properties"]
        assert made["scope"] == GROUP
        assert made["roleDefinitionId"] == f"{ROLES}/{READER}"

    def test_same_grant_under_another_name_is_refused(self, arm: Arm, principal: str) -> None:
        arm.put(assignment(), grant(principal))
        assert arm.refusal(assignment(), grant(principal)).startswith("RoleAssignmentExists: ")

    def test_principal_and_role_must_exist(self, arm: Arm, principal: str) -> None:
        assert arm.refusal(assignment(), grant(str(uuid.uuid4()))).startswith("PrincipalNotFound: ")
        wrong = grant(principal, role=str(uuid.uuid4()))
        assert arm.refusal(assignment(), wrong).startswith("RoleDefinitionDoesNotExist: ")

    def test_a_principal_of_a_named_kind_is_taken_on_trust(self, arm: Arm) -> None:
        """learn.microsoft.com/azure/role-based-access-control/role-assignments-template, new principals."""
        body = grant(str(uuid.uuid4()), principalType="ServicePrincipal")
        assert arm("PUT", assignment(), body).status == 201

    def test_a_new_identity_is_not_found_at_once(self, slow: Arm, clock: Clock) -> None:
        """Test_Authorization_RoleAssignment_OnResourceGroup_CRUD, 2025: 400, then 201."""
        principal = slow.put(IDENTITY, {"location": "westeurope"})["properties"]["principalId"]
        assert slow.refusal(assignment(), grant(principal)).startswith("PrincipalNotFound: ")
        slow.put(assignment(), grant(principal, principalType="ServicePrincipal"))
        clock.now += 20
        other = grant(principal, role=BUILT_IN["Contributor"])
        assert slow("PUT", assignment(), other).status == 201

    def test_managed_identity_is_no_user(self, arm: Arm, principal: str) -> None:
        error = arm.refusal(assignment(), grant(principal, principalType="User"))
        assert error.startswith("UnmatchedPrincipalType: ")

    def test_assignment_keeps_its_principal(self, arm: Arm, principal: str) -> None:
        path = assignment()
        arm.put(path, grant(principal))
        other = arm.put(IDENTITY + "2", {"location": "westeurope"})["properties"]["principalId"]
        assert arm.refusal(path, grant(other)).startswith("RoleAssignmentUpdateNotPermitted: ")

    def test_scope_must_exist(self, arm: Arm, principal: str) -> None:
        nowhere = assignment().replace(
            "/providers/", "/providers/Microsoft.Network/virtualNetworks/v/providers/"
        )
        assert arm("PUT", nowhere, grant(principal)).status == 404

    def test_roles_are_found_by_name(self, arm: Arm) -> None:
        found = arm.get(ROLES, **{"$filter": "roleName eq 'Reader'"})["value"]
        assert [role["name"] for role in found] == [READER]


class TestLocks:
    def test_access_below_a_locked_scope_cannot_be_revoked_until_the_lock_goes(
        self, arm: Arm, principal: str
    ) -> None:
        """A lock on a group holds the role assignments below it, too, with 409 ScopeLocked:
        https://github.com/hashicorp/terraform-provider-azurerm/issues/11770.
        """
        lock, given = f"{GROUP}/providers/Microsoft.Authorization/locks/keep", assignment()
        arm.put(given, grant(principal))
        arm.put(lock, {"properties": {"level": "CanNotDelete"}})
        refused = arm("DELETE", given)
        assert (refused.status, said(refused).partition(":")[0]) == (409, "ScopeLocked")
        arm.delete(lock)
        arm.delete(given)

    def test_locked_scope_keeps_what_is_below_until_the_lock_goes(self, arm: Arm, principal: str) -> None:
        del principal
        lock = f"{GROUP}/providers/Microsoft.Authorization/locks/keep"
        arm.put(lock, {"properties": {"level": "CanNotDelete"}})
        assert said(arm("DELETE", IDENTITY)).startswith("ScopeLocked: ")
        arm.delete(lock)
        arm.delete(IDENTITY)


def test_no_policy_is_assigned_and_a_question_without_a_resource_is_refused(arm: Arm) -> None:
    """https://learn.microsoft.com/rest/api/policy/policy-restrictions/check-at-subscription-scope"""
    path = f"{GROUP.rsplit('/', 2)[0]}/providers/Microsoft.PolicyInsights/checkPolicyRestrictions"
    answer = arm("POST", path, {"resourceDetails": {"resourceContent": {"type": "Microsoft.Network/x"}}})
    assert answer.body == {"fieldRestrictions": [], "contentEvaluationResult": {"policyEvaluations": []}}
    assert arm("POST", path, {"resourceDetails": {}}).status == 400
