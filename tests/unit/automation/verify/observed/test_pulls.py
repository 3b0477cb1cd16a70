"""A registry that ignores AcrPull is found: Azure has a mode for that.

https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions
"""

from collections.abc import Mapping
from typing import Any

import pytest

from automation.stacks.arm import Answer
from automation.verify.facts.resources import AZURE, Deployment, Resource, VerifyError
from automation.verify.observed import pulls

ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/crfeddev"
LIVE = Deployment(
    stack="dev",
    source="Resource Manager",
    checksum="",
    resources=(Resource(type=f"{AZURE}containerregistry:Registry", id=ID, urn="", props={}),),
    live=True,
)


class Azure:
    """Answers the registry's own properties, in the version that was asked for."""

    def __init__(self, status: int = 200, **properties: str) -> None:
        self.body: Mapping[str, Any] = {"properties": properties}
        self.status = status

    def get(self, path: str, version: str) -> Answer:
        assert path == ID and version >= "2025-11-01"
        return Answer(status=self.status, body=dict(self.body))


def test_one_that_ignores_the_vms_role_is_found_with_the_command_that_helps() -> None:
    (found,) = pulls.check(Azure(roleAssignmentMode="AbacRepositoryPermissions"), LIVE)
    assert "ignores AcrPull" in found.where
    assert found.fix.startswith("az acr update --name crfeddev") and "mode rbac" in found.fix


@pytest.mark.parametrize("said", [{}, {"roleAssignmentMode": "LegacyRegistryPermissions"}])
def test_one_that_honours_it_or_says_nothing_is_fine(said: dict[str, str]) -> None:
    assert list(pulls.check(Azure(**said), LIVE)) == []


def test_one_that_is_hidden_is_not_taken_for_fine() -> None:
    with pytest.raises(VerifyError, match="does not show"):
        list(pulls.check(Azure(status=403), LIVE))
