"""Whether registries honour the role with which VMs pull, asked in a version of Azure's API that knows it.

A registry in the mode of repository permissions ignores AcrPull, and the rights of its own deployer on images
(https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions).
The program cannot state the mode (`components/registry.py`), and whoever may change the registry can.
"""

from collections.abc import Iterator
from typing import Final

from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import Deployment, VerifyError
from automation.verify.observed.live import Client

PROOF: Final = "live"
VERSION: Final = "2025-11-01"
#: The mode in which AcrPull counts, and that of every registry that says nothing.
LEGACY: Final = "LegacyRegistryPermissions"


def check(client: Client, live: Deployment) -> Iterator[Finding]:
    """Yield a finding for each registry that ignores AcrPull. Raises VerifyError when one is not shown."""
    for registry in live.of("containerregistry:Registry"):
        answer = client.get(registry.id, VERSION)
        if answer.status >= 400:
            raise VerifyError(f"Resource Manager does not show {registry.id}: {answer.error}")
        mode = (answer.body.get("properties") or {}).get("roleAssignmentMode", LEGACY)
        if mode != LEGACY:
            yield Finding(
                kind=Kind.MISSING,
                proof=PROOF,
                rule="pull-role",
                what=f"no machine may pull images from {registry.name}",
                where=f"{registry.name}: roleAssignmentMode {mode} ignores AcrPull",
                why="a VM that starts again has nothing to run",
                fix=f"az acr update --name {registry.name} --role-assignment-mode rbac",
            )
