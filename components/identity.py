"""A managed identity: what a machine or a service is called by when it asks for access."""

import pulumi
from pulumi_azure_native import managedidentity

from components.context import Context
from federation.parties import Party


def managed_identity(
    parent: pulumi.Resource, context: Context[Party], part: str, *, resource_group: pulumi.Input[str]
) -> managedidentity.UserAssignedIdentity:
    """Return an identity with the tags of its first day.

    While an identity is being updated, its ids are unknown to a preview, and with them all that cannot change
    without being made again: a new tag would announce every machine and role assignment replaced.
    """
    name = context.names.of("id", part)
    return managedidentity.UserAssignedIdentity(
        name,
        resource_name_=name,
        resource_group_name=resource_group,
        location=context.location,
        tags=context.tags,
        opts=pulumi.ResourceOptions(parent=parent, provider=context.azure, ignore_changes=["tags"]),
    )
