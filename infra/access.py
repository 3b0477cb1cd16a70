"""Who may deploy one environment: an identity that reads and one that writes, each for one GitHub
environment.

`<environment>-plan` previews pull requests; `<environment>` deploys, from main and with the approval that the
GitHub environment asks for. A token of GitHub's is worth something here only when its subject is exactly that
environment of that repository. There is no secret to leak, and none to rotate.

It does not create the GitHub environments: see `./fed bootstrap`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, managedidentity

from azure_types.roles import definition_id
from federation.naming import PROJECT, role_assignment_name
from infra.rights import Part, identity_name, rights
from infra.roles import CONDITION_VERSION
from infra.settings import DeliverySettings
from infra.state import Store

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "api://AzureADTokenExchange"


@dataclass(frozen=True, kw_only=True)
class AccessArgs:
    """What one environment's access is made from; `providers` by subscription id."""

    settings: DeliverySettings
    environment: str
    subscriptions: Mapping[str, str]
    store: Store
    providers: Mapping[str, pulumi.ProviderResource]


@dataclass(frozen=True)
class _Where:
    """A scope for roles: what to call it, its id, and the subscription whose provider assigns there."""

    name: str
    scope: pulumi.Input[str]
    subscription: str


class EnvironmentAccess(pulumi.ComponentResource):
    """The two identities of one environment with all their roles."""

    def __init__(self, name: str, args: AccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{PROJECT}:delivery:EnvironmentAccess", name, None, opts)
        self._args = args
        self._names: dict[managedidentity.UserAssignedIdentity, str] = {}
        environment, settings = args.environment, args.settings
        self.plan = self._identity("plan")
        self.up = self._identity("up")

        state = _Where(
            f"state of {environment}", args.store.containers[environment].id, settings.subscription_id
        )
        self._role(self.plan, "Storage Blob Data Reader", state)
        self._role(self.up, "Storage Blob Data Contributor", state)

        released = _Where("released images", args.store.registry.id, settings.subscription_id)
        self._role(self.up, "Contributor" if environment == "dev" else "Reader", released)

        # `./fed verify` compares who holds rights on the subscriptions with who these two are.
        for identity in (self.plan, self.up):
            self._role(
                self.up, "Reader", _Where(self._names[identity], identity.id, settings.subscription_id)
            )

        for right in rights(environment, args.subscriptions):
            self._role(
                self.plan if right.part == "plan" else self.up,
                right.role,
                _Where(right.where, f"/subscriptions/{right.subscription}", right.subscription),
                limit=right.limited_for if right.condition else None,
            )
        self.register_outputs({"plan": self.plan.client_id, "up": self.up.client_id})

    def _identity(self, part: Part) -> managedidentity.UserAssignedIdentity:
        settings, store = self._args.settings, self._args.store
        name = identity_name(self._args.environment, part)
        github_environment = name.removeprefix(f"id-{PROJECT}-")
        identity = managedidentity.UserAssignedIdentity(
            name,
            resource_name_=name,
            resource_group_name=store.group.name,
            location=settings.location,
            tags={"project": PROJECT, "environment": "delivery", "party": "centre", "managedBy": "pulumi"},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._names[identity] = name
        managedidentity.FederatedIdentityCredential(
            f"{name}-github",
            federated_identity_credential_resource_name="github",
            resource_name_=identity.name,
            resource_group_name=store.group.name,
            issuer=ISSUER,
            subject=f"{settings.subject_prefix}:environment:{github_environment}",
            audiences=[AUDIENCE],
            opts=pulumi.ResourceOptions(parent=self),
        )
        return identity

    def _role(
        self,
        principal: managedidentity.UserAssignedIdentity,
        role: str,
        where: _Where,
        *,
        limit: Callable[[str], str | None] | None = None,
    ) -> None:
        who = self._names[principal]
        authorization.RoleAssignment(
            f"{who}: {role} on {where.name}",
            role_assignment_name=role_assignment_name("delivery", who, role, where.name),
            scope=where.scope,
            principal_id=principal.principal_id,
            principal_type="ServicePrincipal",
            role_definition_id=definition_id(where.subscription, role),
            condition=principal.principal_id.apply(limit) if limit else None,
            condition_version=CONDITION_VERSION if limit else None,
            opts=pulumi.ResourceOptions(parent=self, provider=self._args.providers[where.subscription]),
        )
