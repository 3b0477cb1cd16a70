"""What keeps a deployment accountable and recoverable: logs, locks, protection, budget, backup."""

from collections.abc import Iterator

from policies.compute import DISK
from policies.network import HUB, VNET
from policies.planned import Planned, at
from policies.rule import Fault, Level, demand, rule, stack_rule
from policies.storage import VAULT, accounts_with_containers
from pulumi_wire.values import UNKNOWN

DIAGNOSTIC = "azure-native:monitor:DiagnosticSetting"
FLOW_LOG = "azure-native:network:FlowLog"
LOCK = "azure-native:authorization:ManagementLockByScope"
BUDGET = "azure-native:consumption:Budget"
WORKSPACE = "azure-native:operationalinsights:Workspace"
GROUP = "azure-native:resources:ResourceGroup"

WATCHED = {
    "azure-native:storage:StorageAccount": "blob reads and writes",
    "azure-native:keyvault:Vault": "uses of its keys",
    "azure-native:containerregistry:Registry": "pulls and pushes",
    "azure-native:network:NetworkSecurityGroup": "rule hits",
}
"""Types whose use must be logged, and what would go unseen otherwise."""


def _precious(resources: list[Planned]) -> Iterator[Planned]:
    """Yield what holds something that cannot be made again."""
    holders = accounts_with_containers(resources)
    for resource in resources:
        if resource.urn in holders or resource.type in (VAULT, DISK):
            yield resource


@stack_rule(
    "diagnostics",
    why="what is not logged cannot be investigated.",
    fix="add a DiagnosticSetting for it (for storage on its blob service) to the party's workspace.",
)
def use_is_logged(resources: list[Planned]) -> Iterator[Fault]:
    """Storage, vault, registry and security groups send their logs to a workspace."""
    watched = [r for r in resources if r.type in WATCHED]
    logged = {
        resource.urn
        for setting in resources
        if setting.type == DIAGNOSTIC
        for resource in setting.refers_to("resourceUri", watched)
    }
    for resource in watched:
        if resource.urn not in logged:
            yield Fault(urn=resource.urn, what=f"no diagnostic setting: {WATCHED[resource.type]} go unseen")


@stack_rule(
    "flow-logs",
    environments=("prod",),
    why="flow logs are the record of who talked to whom that an auditor asks for first.",
    fix="add a FlowLog whose targetResourceId is the virtual network.",
)
def networks_log_their_flows(resources: list[Planned]) -> Iterator[Fault]:
    """In prod every network records its flows."""
    logs = [r for r in resources if r.type == FLOW_LOG]
    for vnet in (r for r in resources if r.type == "azure-native:network:VirtualNetwork"):
        if not any(vnet in log.refers_to("targetResourceId", [vnet]) for log in logs):
            yield Fault(urn=vnet.urn, what="it has no flow log")


@stack_rule(
    "prod-lock",
    environments=("prod",),
    why="one wrong command could delete a hospital's data or the federation's results.",
    fix="add a CanNotDelete lock on the resource group.",
)
def groups_are_locked(resources: list[Planned]) -> Iterator[Fault]:
    """In prod every resource group that holds data is locked against deletion."""
    locks = [r for r in resources if r.type == LOCK and at(r.props, "level") in ("CanNotDelete", "ReadOnly")]
    bare = [
        resource
        for resource in _precious(resources)
        if not any(
            lock.refers_to(
                "scope", [resource, *(g for g in resources if g.type == GROUP and _is_in(resource, g))]
            )
            for lock in locks
        )
    ]
    # A hospital that leaves keeps its data and loses its network. For that one deployment its locks and the
    # centre's are lifted, because nothing below a lock can be deleted (docs/adr/0094).
    connected = {r.subscription for r in resources if r.type == VNET}
    someone_leaves = any(r.subscription not in connected for r in bare)
    for resource in bare:
        excused = someone_leaves and (resource.subscription not in connected or resource.party == HUB)
        if not excused:
            yield Fault(urn=resource.urn, what="neither it nor its resource group is locked")


def _is_in(resource: Planned, group: Planned) -> bool:
    if resource.id and group.id:
        return group.has_id(resource.id)
    return group.urn in resource.refers.get("resourceGroupName", ())


@stack_rule(
    "prod-protect",
    environments=("prod",),
    why="without protection a rename in the program deletes and recreates it, empty.",
    fix="create it with ResourceOptions(protect=True) in prod.",
)
def precious_things_are_protected(resources: list[Planned]) -> Iterator[Fault]:
    """In prod Pulumi itself refuses to delete or replace what holds data."""
    # A hospital's disk holds only its kit, and must go when the hospital leaves: a lock alone guards it.
    precious = (r for r in _precious(resources) if r.type != DISK or r.party == HUB)
    for resource in (r for r in precious if not r.protect):
        yield Fault(urn=resource.urn, what="it is not protected")


@stack_rule(
    "budget",
    level=Level.ADVISORY,
    why="a stolen identity or a mistake shows on the bill first.",
    fix="add a monthly Budget with a notification to the subscription.",
)
def subscriptions_have_a_budget(resources: list[Planned]) -> Iterator[Fault]:
    """Every subscription has a budget."""
    watched = {r.subscription for r in resources if r.type == BUDGET}
    groups = {r.subscription: r for r in resources if r.type == GROUP}
    for subscription, group in groups.items():
        if subscription not in watched:
            yield Fault(urn=group.urn, what=f"subscription {subscription} has no budget")


@rule(
    "log-retention",
    WORKSPACE,
    level=Level.ADVISORY,
    environments=("prod",),
    why="intrusions are often found months later.",
    fix="set retentionInDays to 90 or more.",
)
def logs_are_kept(workspace: Planned) -> Iterator[str]:
    """In prod logs are kept for at least 90 days."""
    days = at(workspace.props, "retentionInDays")
    if days is not UNKNOWN and not (isinstance(days, int | float) and days >= 90):
        yield f"retentionInDays is {days}, it should be 90 or more"


@rule(
    "lock-blocks-deletion",
    LOCK,
    why="a ReadOnly lock also blocks what the platform must do, such as reading keys' metadata or "
    "starting a VM.",
    fix="use level CanNotDelete.",
)
def locks_block_deletion_only(lock: Planned) -> Iterator[str]:
    """A lock blocks deletion, and nothing else."""
    yield from demand(lock.props, "level", "CanNotDelete")
