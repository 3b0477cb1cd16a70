"""All that the centre holds for one hospital: their shared container, and who may use it.

Made in the centre's subscription. Onboarding a hospital adds one of these and touches no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import pulumi
from pulumi_azure_native import authorization, storage

from components.central_node import CentralNode
from components.context import Context
from components.hospital_tenant import HospitalTenant
from components.private_storage import blob_container
from components.roles import grant_role
from federation.naming import client_container
from federation.parties import CentreParty


@dataclass(frozen=True, kw_only=True)
class MembershipArgs:
    """`context` is the centre's."""

    context: Context[CentreParty]
    centre: CentralNode
    hospital: HospitalTenant


@dataclass(frozen=True, kw_only=True)
class MembershipResources:
    """The container `client-<hospital>` and the role assignments, each by (who, resource)."""

    container: storage.BlobContainer
    roles: Mapping[tuple[str, str], authorization.RoleAssignment]


@final
class Membership(pulumi.ComponentResource):
    """One hospital's container at the centre, and the grants on it and on the registry."""

    def __init__(self, name: str, args: MembershipArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:Membership", name, None, opts)
        context, centre, hospital = args.context, args.centre, args.hospital
        container_name = client_container(hospital.name)
        container = blob_container(
            self,
            context,
            container_name,
            account=centre.resources.storage.resources.account,
            resource_group=centre.resources.group.name,
            protect=False,  # it ends with the membership; Azure's lock on the account is enough until then
        )
        principals = {
            centre.name: centre.resources.machine.principal_id,
            hospital.name: hospital.resources.machine.principal_id,
        }
        scopes = {container_name: container.id, "registry": centre.resources.registry.id}
        own = [
            grant
            for grant in context.intent.grants_to(centre.name, centre.name)
            if grant.resource == container_name
        ]
        self.resources = MembershipResources(
            container=container,
            roles={
                (grant.who, grant.resource): grant_role(
                    self,
                    context,
                    grant,
                    machine_id=principals[grant.principal],
                    scope=scopes[grant.resource],
                )
                for grant in (*own, *context.intent.grants_to(hospital.name, centre.name))
            },
        )
        self.register_outputs({"containerId": container.id})
