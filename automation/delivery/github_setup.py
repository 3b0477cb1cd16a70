"""The commands that let a repository on GitHub deploy: environments, their rules and their variables.

They are printed, not run: an environment's rules decide who may deploy, so a person sets them and sees what
they say.
"""

import json
import shlex
from collections.abc import Iterator, Mapping

from infra.settings import DeliverySettings

BRANCH = "main"
"""The only branch that may deploy."""
RELEASE_TEAM = "<id of your release team: gh api orgs/<owner>/teams/<team> --jq .id>"


def commands(settings: DeliverySettings, client_ids: Mapping[str, str]) -> Iterator[str]:
    """Shell commands for `gh`, in the order in which to run them.

    Args:
        settings: of the delivery stack.
        client_ids: GitHub environment -> client id of its identity.
    """
    repository = shlex.quote(settings.repository)
    set_variable = f"gh variable set --repo {repository}"
    yield f"{set_variable} AZURE_TENANT_ID --body {settings.tenant_id}"
    for environment, client_id in client_ids.items():
        stack = environment.removesuffix("-plan")
        rules = json.dumps(_rules(environment))
        url = f"repos/{settings.repository}/environments/{environment}"
        rules = rules.replace(json.dumps(RELEASE_TEAM), RELEASE_TEAM)  # GitHub wants a number there
        yield f"gh api --method PUT {shlex.quote(url)} --input - <<< {shlex.quote(rules)}"
        if not environment.endswith("-plan"):
            policies = shlex.quote(f"{url}/deployment-branch-policies")
            yield f"gh api --method POST {policies} -f name={BRANCH}"
        for name, value in (
            ("AZURE_CLIENT_ID", client_id),
            ("PULUMI_BACKEND_URL", settings.backend_url(stack)),
        ):
            yield f"{set_variable} {name} --env {environment} --body {shlex.quote(value)}"


def _rules(environment: str) -> dict[str, object]:
    if environment.endswith("-plan"):
        return {"deployment_branch_policy": None}
    # "protected_branches" would let every branch deploy where branches are protected by rulesets alone.
    named = {"protected_branches": False, "custom_branch_policies": True}
    if environment == "dev":
        return {"deployment_branch_policy": named}
    reviewers = [{"type": "Team", "id": RELEASE_TEAM}]
    return {"deployment_branch_policy": named, "reviewers": reviewers, "prevent_self_review": True}
