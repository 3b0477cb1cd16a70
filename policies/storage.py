"""Storage, registry and vault: closed to the internet, identities instead of keys, encrypted, recoverable."""

import datetime as dt
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

from federation.naming import RECORD_CONTAINER
from federation.tags import WINDOW_TAG
from policies.addresses import is_internal
from policies.network import HUB, PRIVATE_ENDPOINT, VNET
from policies.planned import Planned, at, each
from policies.rule import Fault, Level, demand, demand_empty, demand_set, rule, stack_rule
from pulumi_wire.values import UNKNOWN

ACCOUNT = "azure-native:storage:StorageAccount"
BLOB_SERVICE = "azure-native:storage:BlobServiceProperties"
CONTAINER = "azure-native:storage:BlobContainer"
LIFECYCLE = "azure-native:storage:ManagementPolicy"
REGISTRY = "azure-native:containerregistry:Registry"
VAULT = "azure-native:keyvault:Vault"
KEY = "azure-native:keyvault:Key"
WORKSPACE = "azure-native:operationalinsights:Workspace"


@rule(
    "storage-closed",
    ACCOUNT,
    why="an account with a public front lets anyone on the internet try for a hospital's data.",
    fix="set publicNetworkAccess Disabled and networkRuleSet.defaultAction Deny without exceptions; "
    "what must get in uses the private endpoint, or a window of the settings until its day.",
)
def storage_is_closed(account: Planned) -> Iterator[str]:
    """A storage account is reachable through its private endpoint only, but for a hospital's window."""
    yield from demand(account.props, "networkRuleSet.defaultAction", "Deny")
    yield from demand(account.props, "networkRuleSet.bypass", "AzureServices", "None")
    yield from demand_empty(account.props, "networkRuleSet.virtualNetworkRules")
    yield from demand_empty(account.props, "networkRuleSet.resourceAccessRules")
    until = at(account.props, f"tags.{WINDOW_TAG}")
    if until is UNKNOWN:
        return
    if until is None:
        yield from demand(account.props, "publicNetworkAccess", "Disabled")
        yield from demand_empty(account.props, "networkRuleSet.ipRules")
    else:
        yield from demand(account.props, "publicNetworkAccess", "Disabled", "Enabled")
        yield from _window(account, str(until))


def _window(account: Planned, until: str) -> Iterator[str]:
    """Yield what is wrong with the window of an account: one address, of a hospital's, until its day."""
    if account.party == HUB:
        yield "the centre's account has a window: windows are for hospitals"
    try:
        over = dt.date.fromisoformat(until) < today()
    except ValueError:
        yield f"tag {WINDOW_TAG} is {until}, it must be a day such as 2027-01-31"
    else:
        if over:
            yield f"its window ended on {until}"
    rules = list(each(account.props, "networkRuleSet.ipRules"))
    if len(rules) > 1:
        yield f"its window lets in {len(rules)} addresses, it must be one"
    for address in (at(entry, "iPAddressOrRange") for entry in rules):
        if isinstance(address, str) and not _is_one_public_address(address):
            yield f"its window lets in {address}, it must be one public address"


def _is_one_public_address(text: str) -> bool:
    try:
        return not is_internal(IPv4Address(text))
    except AddressValueError:
        return False


def today() -> dt.date:
    """Return the day (UTC) by which windows are judged."""
    return dt.datetime.now(tz=dt.UTC).date()


@rule(
    "storage-no-keys",
    ACCOUNT,
    why="whoever holds an account key or a local user's password opens every container, and no log says who.",
    fix="set allowSharedKeyAccess, isLocalUserEnabled and isSftpEnabled to false; give identities roles.",
)
def storage_has_no_keys(account: Planned) -> Iterator[str]:
    """A storage account accepts Entra identities only."""
    yield from demand(account.props, "allowSharedKeyAccess", False)
    yield from demand(account.props, "isLocalUserEnabled", False)
    yield from demand(account.props, "isSftpEnabled", False, None)


@rule(
    "storage-no-anonymous",
    ACCOUNT,
    CONTAINER,
    why="an anonymous container is readable by anyone who learns its name.",
    fix="set allowBlobPublicAccess false on the account and publicAccess None on the container.",
)
def storage_is_not_anonymous(resource: Planned) -> Iterator[str]:
    """No blob is readable without an identity."""
    if resource.type == ACCOUNT:
        yield from demand(resource.props, "allowBlobPublicAccess", False)
    else:
        yield from demand(resource.props, "publicAccess", "None", None)


@rule(
    "storage-no-copy-out",
    ACCOUNT,
    why="replication or copies to another tenant carry data away without a single packet through the "
    "networks.",
    fix="set allowCrossTenantReplication false and allowedCopyScope AAD or PrivateLink.",
)
def storage_copies_stay_in_the_tenant(account: Planned) -> Iterator[str]:
    """Azure itself may not copy the account's data to another tenant."""
    yield from demand(account.props, "allowCrossTenantReplication", False)
    yield from demand(account.props, "allowedCopyScope", "AAD", "PrivateLink")


@rule(
    "storage-tls",
    ACCOUNT,
    why="older protocols can be read or altered on the way.",
    fix="set minimumTlsVersion TLS1_2 and enableHttpsTrafficOnly true.",
)
def storage_speaks_tls(account: Planned) -> Iterator[str]:
    """A storage account speaks TLS 1.2 or newer only."""
    yield from demand(account.props, "minimumTlsVersion", "TLS1_2", "TLS1_3")
    yield from demand(account.props, "enableHttpsTrafficOnly", True)


@rule(
    "storage-own-key",
    ACCOUNT,
    environments=("mvp", "prod"),
    why="with its own key a hospital can make its data unreadable for good, whatever copies exist.",
    fix="set encryption.keySource Microsoft.Keyvault with the party's own key and identity.",
)
def storage_uses_the_partys_key(account: Planned) -> Iterator[str]:
    """In mvp and prod a storage account is encrypted with its party's own key."""
    yield from demand(account.props, "encryption.keySource", "Microsoft.Keyvault")
    yield from demand_set(account.props, "encryption.keyVaultProperties")


@rule(
    "storage-doubly-encrypted",
    ACCOUNT,
    level=Level.ADVISORY,
    environments=("mvp", "prod"),
    why="a second layer of encryption below the service holds if one of the two is broken; it cannot "
    "be added later.",
    fix="set encryption.requireInfrastructureEncryption true when the account is made.",
)
def storage_is_doubly_encrypted(account: Planned) -> Iterator[str]:
    """In mvp and prod a storage account encrypts twice."""
    yield from demand(account.props, "encryption.requireInfrastructureEncryption", True)


@rule(
    "blob-recoverable",
    BLOB_SERVICE,
    environments=("mvp", "prod"),
    why="a mistake or an intruder with a role could delete data or results at once.",
    fix="enable isVersioningEnabled, deleteRetentionPolicy and containerDeleteRetentionPolicy (7 "
    "days or more).",
)
def blobs_are_recoverable(service: Planned) -> Iterator[str]:
    """In mvp and prod deleted or overwritten blobs can be brought back for at least a week."""
    yield from demand(service.props, "isVersioningEnabled", True)
    for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        yield from demand(service.props, f"{policy}.enabled", True)
        days = at(service.props, f"{policy}.days")
        if isinstance(days, int | float) and days < 7:
            yield f"{policy}.days is {days:g}, it must be 7 or more"


@rule(
    "registry-identities",
    REGISTRY,
    why="an admin password or anonymous pulls would let anyone read the images, and whoever can push "
    "decides what "
    "runs in every hospital.",
    fix="set adminUserEnabled and anonymousPullEnabled to false and use the Premium sku (private endpoint).",
)
def registry_uses_identities(registry: Planned) -> Iterator[str]:
    """The registry accepts Entra identities only."""
    yield from demand(registry.props, "adminUserEnabled", False)
    yield from demand(registry.props, "anonymousPullEnabled", False, None)
    yield from demand(registry.props, "sku.name", "Premium")


@rule(
    "registry-closed",
    REGISTRY,
    environments=("mvp", "prod"),
    why="only dev takes pushes from outside; elsewhere images arrive by import, and a public front "
    "would be one more "
    "way in.",
    fix="set publicNetworkAccess Disabled and networkRuleSet.defaultAction Deny.",
)
def registry_is_closed(registry: Planned) -> Iterator[str]:
    """In mvp and prod the registry is reachable through its private endpoint only."""
    yield from demand(registry.props, "publicNetworkAccess", "Disabled")
    yield from demand(registry.props, "networkRuleSet.defaultAction", "Deny")
    yield from demand_empty(registry.props, "networkRuleSet.ipRules")


@rule(
    "vault-closed",
    VAULT,
    why="the vault holds the key to the party's data.",
    fix="set publicNetworkAccess Disabled, networkAcls.defaultAction Deny, enableRbacAuthorization "
    "true and leave "
    "accessPolicies empty.",
)
def vault_is_closed(vault: Planned) -> Iterator[str]:
    """A key vault is closed to networks and uses roles instead of access policies."""
    yield from demand(vault.props, "properties.publicNetworkAccess", "Disabled", "disabled")
    yield from demand(vault.props, "properties.networkAcls.defaultAction", "Deny")
    yield from demand(vault.props, "properties.networkAcls.bypass", "AzureServices", "None")
    yield from demand_empty(vault.props, "properties.networkAcls.ipRules")
    yield from demand_empty(vault.props, "properties.networkAcls.virtualNetworkRules")
    yield from demand(vault.props, "properties.enableRbacAuthorization", True)
    yield from demand_empty(vault.props, "properties.accessPolicies")


@rule(
    "vault-purge-protection",
    VAULT,
    environments=("prod",),
    why="without it an administrator, or whoever stole that account, can destroy the key and with it "
    "all data at once.",
    fix="set enablePurgeProtection true (it cannot be switched off again).",
)
def vault_cannot_be_purged(vault: Planned) -> Iterator[str]:
    """In prod a deleted vault cannot be purged before its retention ends."""
    yield from demand(vault.props, "properties.enablePurgeProtection", True)


@rule(
    "key-strength",
    KEY,
    why="everything a party stores hangs on this key.",
    fix="use kty RSA or RSA-HSM with keySize 3072 or more.",
)
def key_is_strong(key: Planned) -> Iterator[str]:
    """A customer-managed key is RSA of at least 3072 bits."""
    asked = (
        at(key.props, "properties") or key.props
    )  # nested in what is asked for, flat in what Azure answers
    yield from demand(asked, "kty", "RSA", "RSA-HSM")
    size = at(asked, "keySize")
    if size is not UNKNOWN and not (isinstance(size, int | float) and size >= 3072):
        yield f"keySize is {size}, it must be 3072 or more"


@rule(
    "logs-identities",
    WORKSPACE,
    why="with a workspace key anyone could write false logs.",
    fix="set features.disableLocalAuth true.",
)
def workspace_uses_identities(workspace: Planned) -> Iterator[str]:
    """A log workspace accepts Entra identities only."""
    yield from demand(workspace.props, "features.disableLocalAuth", True)


@stack_rule(
    "storage-survives-a-zone",
    level=Level.ADVISORY,
    environments=("prod",),
    why="with LRS the loss of one data centre loses the data.",
    fix="use sku Standard_ZRS or Standard_GZRS.",
)
def storage_survives_a_zone(resources: list[Planned]) -> Iterator[Fault]:
    """In prod a storage account that holds containers survives the loss of a zone."""
    holders = accounts_with_containers(resources)
    for account in (r for r in resources if r.urn in holders):
        for what in demand(account.props, "sku.name", "Standard_ZRS", "Standard_GZRS", "Standard_RAGZRS"):
            yield Fault(urn=account.urn, what=what)


@stack_rule(
    "storage-has-endpoint",
    why="a closed account without a private endpoint is reachable by nobody, and the tempting cure "
    "is to open it.",
    fix="add a private endpoint for the blob service in the party's network.",
)
def accounts_have_an_endpoint(resources: list[Planned]) -> Iterator[Fault]:
    """Every storage account that holds containers has a private endpoint, where its party has a network."""
    accounts = [r for r in resources if r.type == ACCOUNT]
    served = {
        account.urn
        for endpoint in resources
        if endpoint.type == PRIVATE_ENDPOINT
        for account in endpoint.refers_to("privateLinkServiceConnections[].privateLinkServiceId", accounts)
    }
    holders = accounts_with_containers(resources)
    connected = {r.subscription for r in resources if r.type == VNET}
    for account in (a for a in accounts if a.subscription in connected):
        if account.urn in holders and account.urn not in served:
            yield Fault(urn=account.urn, what="it has no private endpoint")


@stack_rule(
    "record-keeps-versions",
    environments=("mvp", "prod"),
    why="a hospital's VM writes the record of what jobs asked and what left: what it wrote over must still "
    "be there for the hospital's officers.",
    fix="give the lifecycle rule that deletes versions a prefixMatch that leaves out 'record/'.",
)
def record_keeps_its_versions(resources: list[Planned]) -> Iterator[Fault]:
    """In mvp and prod no lifecycle rule deletes versions of a hospital's record."""
    accounts = accounts_with_containers(resources, RECORD_CONTAINER)
    for lifecycle in (r for r in resources if r.type == LIFECYCLE):
        of_a_record = any(
            account.urn in lifecycle.refers.get("accountName", ()) or account.has_id(lifecycle.id or "")
            for account in resources
            if account.urn in accounts
        )
        for deleting in each(lifecycle.props, "policy.rules") if of_a_record else ():
            prefixes = list(each(deleting, "definition.filters.prefixMatch")) or [""]
            reaches = any(f"{RECORD_CONTAINER}/".startswith(prefix) for prefix in prefixes)
            if at(deleting, "definition.actions.version.delete") and reaches:
                yield Fault(urn=lifecycle.urn, what=f"its rule {at(deleting, 'name')} ends them")


@stack_rule(
    "endpoint-placed",
    why="whoever is in the network of an endpoint can reach what it leads to.",
    fix="put the endpoint into the party's own network; a party may have one door, to its own account.",
)
def endpoints_are_in_the_partys_network(resources: list[Planned]) -> Iterator[Fault]:
    """An endpoint outside the networks of the stack is a party's one door to its own account."""
    vnets = [r for r in resources if r.type == VNET]
    holders = accounts_with_containers(resources)
    accounts = [r for r in resources if r.urn in holders]
    doors: set[str | None] = set()
    for endpoint in (r for r in resources if r.type == PRIVATE_ENDPOINT):
        subnet = at(endpoint.props, "subnet.id")
        if endpoint.refers_to("subnet.id", vnets) or not isinstance(subnet, str):
            continue
        targets = endpoint.refers_to("privateLinkServiceConnections[].privateLinkServiceId", accounts)
        if [target.subscription for target in targets] != [endpoint.subscription]:
            yield Fault(
                urn=endpoint.urn, what="outside the stack's networks it leads to no account of its party"
            )
        elif endpoint.subscription in doors:
            yield Fault(urn=endpoint.urn, what=f"{endpoint.party} has another door")
        doors.add(endpoint.subscription)


def accounts_with_containers(resources: list[Planned], name: str = "") -> set[str]:
    """Return the URNs of the accounts in which the program makes containers (with names that end so)."""
    accounts = [r for r in resources if r.type == ACCOUNT]
    return {
        account.urn
        for container in resources
        if container.type == CONTAINER and container.name.endswith(name)
        for account in accounts
        if account.urn in container.refers.get("accountName", ())
        or (container.id and account.has_id(container.id))
    }
