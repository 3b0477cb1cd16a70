"""Who may do what: azure-native:authorization, :managedidentity and :resources."""

from emulator.plugins.azure_native.layout import Layout, flat, plain
from emulator.plugins.azure_native.shape import Name, Shape, group_path

GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
IDENTITY = plain({"userAssignedIdentities": Layout(ids=True)}, computed=("principalId", "tenantId"))
"""Identities of a resource: a list of ids in inputs, a map with their client ids in ARM and in outputs."""

SHAPES = (
    Shape(
        pulumi_type="azure-native:authorization:ManagementLockByScope",
        path="/{scope}/providers/Microsoft.Authorization/locks/{lockName}",
        version="2020-05-01",
        inputs="level notes owners",
        layout=flat("id", "name", "type", "systemData"),
        name=Name(pattern=r"[A-Za-z0-9._()-]*[A-Za-z0-9_()-]", maximum=90),
        required="level",
    ),
    Shape(
        pulumi_type="azure-native:authorization:RoleAssignment",
        path="/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        version="2022-04-01",
        inputs="condition conditionVersion delegatedManagedIdentityResourceId description principalId "
        "principalType roleDefinitionId",
        layout=flat("id", "name", "type"),
        name=Name(pattern=GUID, minimum=36, maximum=36),
        required="principalId roleDefinitionId",
        replaces="principalId",
        defaults={"principalType": "User"},
        autoname="guid",
    ),
    Shape(
        pulumi_type="azure-native:managedidentity:UserAssignedIdentity",
        path=group_path("Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}"),
        version="2023-01-31",
        inputs="location tags",
        layout=flat("id", "name", "type", "systemData", "location", "tags"),
        name=Name(pattern=r"[A-Za-z0-9][A-Za-z0-9_-]+", minimum=3, maximum=128),
        replaces="location",
    ),
    Shape(
        pulumi_type="azure-native:managedidentity:FederatedIdentityCredential",
        path=group_path(
            "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}"
            "/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}"
        ),
        version="2023-01-31",
        inputs="audiences issuer subject",
        layout=flat("id", "name", "type", "systemData"),
        name=Name(pattern=r"[A-Za-z0-9][A-Za-z0-9_-]+", minimum=3, maximum=120),
        required="audiences issuer subject",
    ),
    Shape(
        pulumi_type="azure-native:resources:ResourceGroup",
        path="/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}",
        version="2024-03-01",
        inputs="location managedBy tags",
        layout=plain(),
        name=Name(pattern=r"[-\w._()]*[-\w_()]", maximum=90),
        replaces="location",
    ),
)
