"""Who may do what: few roles, on the smallest scope, for machines, and for groups that read a dashboard."""

from collections.abc import Iterator

from federation.curated import CURATED_ONLY
from policies.planned import Planned, at
from policies.rule import Fault, demand, rule, stack_rule
from policies.storage import accounts_with_containers
from pulumi_wire.values import UNKNOWN

ASSIGNMENT = "azure-native:authorization:RoleAssignment"
DEFINITION = "azure-native:authorization:RoleDefinition"
FEDERATED = "azure-native:managedidentity:FederatedIdentityCredential"
IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"
CONTAINER = "azure-native:storage:BlobContainer"
REGISTRY = "azure-native:containerregistry:Registry"

BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"

SCOPES = {
    BLOB_READER: ("blobservices/default/containers",),
    BLOB_CONTRIBUTOR: ("blobservices/default/containers", "storageaccounts"),
    ACR_PULL: ("registries",),
    "e147488a-f6f5-4113-8e2d-b22465e65bf6": ("vaults", "vaults/keys"),
    "3e5e47e6-65f7-47ef-90b5-e5dd4d455f24": ("disks", "resourcegroups"),
    "7efff54f-a5b4-42b5-a1c5-5411624893ce": ("resourcegroups",),
    "b50d9833-a0cb-478e-945f-707fcc997c13": ("resourcegroups",),
    "3913510d-42f4-4e42-8a64-420c390055eb": ("datacollectionrules",),
}
"""The roles this platform gives, and what each may be scoped to.

Storage Blob Data Reader and Contributor, AcrPull, Key Vault Crypto Service Encryption User, Disk Backup
Reader, Disk Snapshot Contributor, Disk Restore Operator, Monitoring Metrics Publisher.
"""


@rule(
    "role-narrow",
    ASSIGNMENT,
    why="a role on an account, a resource group or a subscription reaches every container in it, the other "
    "hospitals' among them.",
    fix="scope the assignment to the one container, registry or key it is for, and use one of the "
    "known roles.",
)
def roles_are_narrow(assignment: Planned) -> Iterator[str]:
    """A role is one of the known ones, given on a single container, registry or key."""
    definition, scope = at(assignment.props, "roleDefinitionId"), at(assignment.props, "scope")
    role = definition.lower().rsplit("/", 1)[-1] if isinstance(definition, str) else definition
    if role is not UNKNOWN and role not in SCOPES:
        yield f"role {role} is not among the roles this platform gives"
    elif isinstance(role, str) and isinstance(scope, str) and _kind(scope) not in SCOPES[role]:
        yield f"role {role} is given on {scope}"


def _kind(scope: str) -> str:
    """Return the type path of an ARM id without its provider, e.g. ``storageaccounts``."""
    steps = scope.lower().strip("/").split("/")
    if "providers" not in steps:
        return "resourcegroups" if "resourcegroups" in steps else "subscriptions"
    kinds = steps[len(steps) - steps[::-1].index("providers") + 1 :: 2]
    return "blobservices/default/containers" if kinds[-1] == "containers" else "/".join(kinds)


@rule(
    "role-for-machines",
    ASSIGNMENT,
    why="a person's access belongs in the directory, with approval and expiry, not in a stack.",
    fix="set principalType ServicePrincipal (it also spares the first deployment a replication error); a "
    "group may be Storage Blob Data Reader, limited to a dashboard's tables by a condition.",
)
def roles_go_to_machines(assignment: Planned) -> Iterator[str]:
    """A role is given to a managed identity, or lets a group read the tables of a dashboard."""
    if at(assignment.props, "principalType") != "Group":
        yield from demand(assignment.props, "principalType", "ServicePrincipal")
        return
    role, condition = at(assignment.props, "roleDefinitionId"), at(assignment.props, "condition")
    if role is not UNKNOWN and not str(role).lower().endswith(BLOB_READER):
        yield f"a group is given {role}, it may be a reader of blobs only"
    if condition is not UNKNOWN and condition != CURATED_ONLY:
        yield "a group may read the whole container: condition does not limit it to its tables"


@stack_rule(
    "role-never-on-data-account",
    why="a role on the whole account opens every container in it: a hospital would read what is another's.",
    fix="give the role on the one container; only flow logs write to a whole account, which holds nothing "
    "else.",
)
def data_accounts_are_not_shared(resources: list[Planned]) -> Iterator[Fault]:
    """No role is given on a whole storage account that holds containers."""
    holders = accounts_with_containers(resources)
    accounts = [r for r in resources if r.urn in holders]
    containers = {r.urn for r in resources if r.type == CONTAINER}
    for assignment in (r for r in resources if r.type == ASSIGNMENT):
        scope = at(assignment.props, "scope")
        narrow = isinstance(scope, str) and _kind(scope) != "storageaccounts"
        if narrow or not containers.isdisjoint(assignment.refers.get("scope", ())):
            continue
        for account in assignment.refers_to("scope", accounts):
            yield Fault(urn=assignment.urn, what=f"it is given on the whole account {account.name}")


@stack_rule(
    "role-own-cells",
    why="a hospital's identity with a role on another's container could read or replace what is "
    "meant for it.",
    fix="give a hospital's identity roles on client-<hospital> and on its own data container only.",
)
def hospitals_keep_to_their_cells(resources: list[Planned]) -> Iterator[Fault]:
    """A hospital's identity has roles on its own containers only."""
    identities = [r for r in resources if r.type == IDENTITY]
    containers = [r for r in resources if r.type == CONTAINER]
    owners = {r.subscription: r.party for r in identities}
    for assignment in (r for r in resources if r.type == ASSIGNMENT):
        holders = {i.party for i in identities if _is_principal(i, assignment)}
        for container in assignment.refers_to("scope", containers):
            owner = owners.get(container.subscription)
            for holder in holders - {owner}:
                if not _is_shared_with(container, holder):
                    yield Fault(
                        urn=assignment.urn, what=f"{holder} gets a role on {container.name} of {owner}"
                    )


def _is_shared_with(container: Planned, hospital: str | None) -> bool:
    """Say whether a container is the one between the centre and a hospital.

    A preview's outputs lack the Azure name of what is yet to be made; Pulumi's name ends with it.
    """
    for known in (at(container.props, "containerName"), at(container.props, "name")):
        if isinstance(known, str):
            return known == f"client-{hospital}"
    return container.name.endswith(f"-client-{hospital}")


def _is_principal(identity: Planned, assignment: Planned) -> bool:
    known, asked = at(identity.props, "principalId"), at(assignment.props, "principalId")
    if isinstance(known, str) and isinstance(asked, str):
        return known.lower() == asked.lower()
    return identity.urn in assignment.refers.get("principalId", ())


@rule(
    "no-custom-role",
    DEFINITION,
    FEDERATED,
    why="a role of our own making, or an outside party trusted to be one of our machines, is beyond "
    "what the checks "
    "here understand.",
    fix="use Azure's built-in roles; federate the deployer outside this program.",
)
def no_new_roles_or_trusts(resource: Planned) -> Iterator[str]:
    """The program makes no roles and trusts no outside issuer."""
    yield f"{resource.type.rsplit(':', 1)[-1]} is not used on this platform"
