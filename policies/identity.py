"""Who may do what: few roles, on the smallest scope, for machines, and for groups that read a dashboard."""

from collections.abc import Iterator

from azure_types.roles import BUILT_IN
from federation.curated import CURATED_ONLY
from federation.naming import (
    ANSWERS_CONTAINER,
    DATA_CONTAINER,
    INBOX_CONTAINER,
    POLICY_CONTAINER,
    QUESTIONS_CONTAINER,
    RECORD_CONTAINER,
    RESULTS_CONTAINER,
    SCORES_CONTAINER,
)
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

BLOB_READER = BUILT_IN["Storage Blob Data Reader"]
BLOB_CONTRIBUTOR = BUILT_IN["Storage Blob Data Contributor"]

FOR_PEOPLE = {
    BLOB_CONTRIBUTOR: {DATA_CONTAINER, POLICY_CONTAINER, INBOX_CONTAINER, QUESTIONS_CONTAINER},
    BLOB_READER: {RECORD_CONTAINER, RESULTS_CONTAINER, SCORES_CONTAINER, ANSWERS_CONTAINER},
}
"""What groups get without a condition, on which containers: a party's people on their own (its door)."""

SCOPES = {
    BLOB_READER: ("blobservices/default/containers",),
    BUILT_IN["Storage Blob Data Contributor"]: ("blobservices/default/containers", "storageaccounts"),
    BUILT_IN["AcrPull"]: ("registries",),
    BUILT_IN["Key Vault Crypto Service Encryption User"]: ("vaults", "vaults/keys"),
    BUILT_IN["Disk Backup Reader"]: ("disks", "resourcegroups"),
    BUILT_IN["Disk Snapshot Contributor"]: ("resourcegroups",),
    BUILT_IN["Disk Restore Operator"]: ("resourcegroups",),
    BUILT_IN["Monitoring Metrics Publisher"]: ("datacollectionrules",),
}
"""The roles this platform gives, and what each may be scoped to."""


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
    "group may be Storage Blob Data Reader, limited to a dashboard's tables by a condition, or what a "
    "hospital's door gives its people on its own containers.",
)
def roles_go_to_machines(assignment: Planned) -> Iterator[str]:
    """A role is given to a managed identity, or to a group for a dashboard or a hospital's door."""
    if at(assignment.props, "principalType") != "Group":
        yield from demand(assignment.props, "principalType", "ServicePrincipal")
        return
    role, condition = at(assignment.props, "roleDefinitionId"), at(assignment.props, "condition")
    scope = at(assignment.props, "scope")
    guid = str(role).lower().rsplit("/", 1)[-1]
    if role is UNKNOWN or condition is UNKNOWN or (guid == BLOB_READER and condition == CURATED_ONLY):
        return
    if condition is not None:
        yield "a group's role has a condition that is not the one of a dashboard"
    elif guid not in FOR_PEOPLE:
        yield f"a group is given {role}, it may read or write blobs only"
    elif isinstance(scope, str) and _container(scope) not in FOR_PEOPLE[guid]:
        yield f"a group is given {role} on the whole of {_container(scope)}, which nobody's people need"


def _container(scope: str) -> str:
    return scope.rstrip("/").rsplit("/", 1)[-1]


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
