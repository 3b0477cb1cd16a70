"""The commands that let a repository deploy: who may, from where, and that GitHub can read them."""

import json
import re
import shlex

from automation.delivery import github_setup
from clone import paths
from infra import settings

COMMANDS = list(
    github_setup.commands(settings.read(paths.REPOSITORY), {"dev": "1", "dev-plan": "2", "prod": "3"})
)


def rules(environment: str) -> dict[str, object]:
    """What an environment is made with, once a person has filled in the team."""
    (line,) = [line for line in COMMANDS if f"environments/{environment} " in line and " PUT " in line]
    found: dict[str, object] = json.loads(shlex.split(line.replace(github_setup.RELEASE_TEAM, "42"))[-1])
    return found


def test_only_the_main_branch_deploys_whatever_protects_branches() -> None:
    for environment in ("dev", "prod"):
        named = {"protected_branches": False, "custom_branch_policies": True}
        assert rules(environment)["deployment_branch_policy"] == named
        assert [
            line
            for line in COMMANDS
            if re.search(
                rf"POST \S+/environments/{environment}/deployment-branch-policies -f name=main", line
            )
        ]
    assert rules("dev-plan")["deployment_branch_policy"] is None


def test_a_release_waits_for_somebody_else_of_the_team() -> None:
    assert rules("prod")["reviewers"] == [{"type": "Team", "id": 42}]
    assert rules("prod")["prevent_self_review"] is True
