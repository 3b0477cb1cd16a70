"""The same resources as Resource Manager answers them now, and whatever else the subscriptions hold.

What decides about access is listed, so that a resource that nobody's program made is seen; the rest of the
state is asked for by id. Works on Azure and on the emulator: only the client differs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Protocol

from automation.stacks.arm import Answer
from automation.verify.access import operators
from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import AZURE, Deployment, Resource, VerifyError, checksum, key_of
from automation.verify.observed import own_networks
from azure_types.azure_type import AzureType
from azure_types.types import find
from federation.intent import intent
from federation.parties import Federation
from federation.stated import Intent
from infra.rights import Right

PROOF = "live"
_READERS = 8
_INDEX_VERSION = "2021-04-01"

LISTED: Final = (
    "network:VirtualNetwork",
    "network:NetworkSecurityGroup",
    "network:NetworkInterface",
    "network:NatGateway",
    "network:PublicIPAddress",
    "network:PrivateEndpoint",
    "privatedns:PrivateZone",
    "storage:StorageAccount",
    "containerregistry:Registry",
    "keyvault:Vault",
    "compute:VirtualMachine",
    "compute:Disk",
    "managedidentity:UserAssignedIdentity",
    "authorization:RoleAssignment",
    "authorization:ManagementLockByScope",
)
"""Types that every subscription is asked for as a whole."""

CHILDREN: Final = {
    "network:VirtualNetwork": (("network:VirtualNetworkPeering", "virtualNetworkPeerings"),),
    "network:PrivateEndpoint": (("network:PrivateDnsZoneGroup", "privateDnsZoneGroups"),),
    "privatedns:PrivateZone": (
        ("privatedns:VirtualNetworkLink", "virtualNetworkLinks"),
        ("privatedns:PrivateRecordSet", "A"),
    ),
    "storage:StorageAccount": (("storage:BlobContainer", "blobServices/default/containers"),),
    "compute:VirtualMachine": (("compute:VirtualMachineExtension", "extensions"),),
}
"""Types that are listed below each resource of another type."""

_AZURES_OWN: Final = {"microsoft.network/networkwatchers"}
"""Types that Azure makes by itself and that open nothing."""
_SNAPSHOT: Final = "microsoft.compute/snapshots"


@dataclass(frozen=True, kw_only=True)
class Deployers:
    """The identities that deploy: their rights, and the ARM id of each by its name."""

    rights: Sequence[Right]
    identity_id: Callable[[str], str]


class Client(Protocol):
    """Resource Manager, as one identity sees it."""

    def get(self, path: str, version: str) -> Answer:
        """GET one resource or list."""


def read(
    client: Client, state: Deployment, federation: Federation, deployers: Deployers | None = None
) -> Deployment:
    """Read what exists now in the subscriptions of a federation.

    ``deployers`` are the identities that deploy; None where nobody says who they are.
    Raises VerifyError when Resource Manager refuses to show something: an answer with gaps proves nothing.
    """
    reader = _Reader(client, state)
    subscriptions = [party.subscription_id for party in federation.parties]
    with ThreadPoolExecutor(_READERS) as pool:
        found = list(_all(pool, reader.listed, [(s, t) for s in subscriptions for t in LISTED]))
        below = [(r, t, path) for r in found for t, path in CHILDREN.get(r.type.removeprefix(AZURE), ())]
        found += _all(pool, reader.children, below)
        seen = {r.key for r in found}
        found += _all(pool, reader.known, [r for r in state.resources if not reader.is_listed(r)])
        found += _all(pool, reader.others, [(s, seen | reader.interfaces) for s in subscriptions])
    everything = {r.key: r for r in found}
    resources = {k: r for k, r in sorted(everything.items()) if not _is_azures(r, everything)}
    resources = own_networks.without(resources, intent(federation))
    over = operators.judge(
        list(resources.values()),
        deployers.rights if deployers else (),
        lambda name: reader.principal(deployers.identity_id(name)) if deployers else None,
        {party.subscription_id.lower(): party.name for party in federation.parties},
    )
    resources = {k: r for k, r in resources.items() if k not in over.accepted}
    return Deployment(
        stack=state.stack,
        source="Resource Manager",
        checksum=checksum([[r.id, r.props] for r in resources.values()]),
        resources=tuple(resources.values()),
        live=True,
        operators=over.operators,
        misgiven=over.findings,
    )


def drift(state: Deployment, live: Deployment, meant: Intent) -> list[Finding]:
    """Return what exists and is not in the state, and what the state says and is not there."""
    strangers = [r for r in live.resources if _is_strange(r) and r.key not in live.misgiven]
    return [
        *live.misgiven.values(),
        *(_stranger(r) for r in strangers if not _is_policys(r, state, meant)),
        *(_gone(r) for r in state.resources if r.key not in live.by_key),
    ]


class _Reader:
    def __init__(self, client: Client, state: Deployment) -> None:
        self._client = client
        self._state = state
        self.interfaces: set[str] = set()
        self._listed = {AZURE + t for t in (*LISTED, *(t for ts in CHILDREN.values() for t, _ in ts))}

    def is_listed(self, resource: Resource) -> bool:
        """Say whether a resource's type is listed, so that it need not be asked for."""
        return resource.type in self._listed

    def listed(self, subscription: str, token: str) -> Iterator[Resource]:
        """Yield the resources of a type in a subscription."""
        type_ = _type(token)
        kind = type_.path.split("/providers/")[1].rsplit("/", 1)[0]
        path = f"/subscriptions/{subscription}/providers/{kind}"
        yield from self._members(path, type_)

    def children(self, parent: Resource, token: str, path: str) -> Iterator[Resource]:
        """Yield the resources of a type below another."""
        yield from self._members(f"{parent.id}/{path}", _type(token))

    def known(self, resource: Resource) -> Iterator[Resource]:
        """Yield a resource of the state if it still exists."""
        type_ = find(resource.type)
        if type_ is None:
            yield resource  # nothing here reads its properties: it stays as the state has it
            return
        body = self._get(resource.id, type_.version)
        if body is not None:
            yield self._resource(type_, body, resource.id)

    def others(self, subscription: str, seen: set[str]) -> Iterator[Resource]:
        """Yield what the subscription's own index has beyond the types that are listed."""
        for entry in self._list(f"/subscriptions/{subscription}/resources", _INDEX_VERSION):
            key, kind = key_of(entry["id"]), str(entry["type"])
            if key not in seen and key not in self._state.by_key and kind.lower() not in _AZURES_OWN:
                yield Resource(type=AZURE + kind, id=entry["id"], urn="", props=entry)

    def principal(self, identity_id: str) -> str | None:
        """Return the principal id of a managed identity, None where there is none."""
        body = self._get(identity_id, _type("managedidentity:UserAssignedIdentity").version)
        return str(body["properties"]["principalId"]) if body else None

    def _members(self, path: str, type_: AzureType) -> Iterator[Resource]:
        for body in self._list(path, type_.version):
            if (body.get("properties") or {}).get("privateEndpoint"):
                self.interfaces.add(key_of(body["id"]))  # goes with its endpoint, which is read instead
            else:
                yield self._resource(type_, body, body["id"])

    def _resource(self, type_: AzureType, body: Mapping[str, Any], arm_id: str) -> Resource:
        known = self._state.find(arm_id)
        return Resource(
            type=type_.pulumi_type,
            id=arm_id,
            urn=known.urn if known else "",
            props={**(type_.parse(arm_id) or {}), **type_.to_outputs(dict(body))},
            inputs=known.inputs if known else {},
            protect=known.protect if known else False,
        )

    def _list(self, path: str, version: str) -> Sequence[dict[str, Any]]:
        body = self._get(path, version)
        return list(body.get("value", [])) if body else []

    def _get(self, path: str, version: str) -> Mapping[str, Any] | None:
        answer = self._client.get(path, version)
        if answer.status == 404:
            return None
        if answer.status >= 400:
            raise VerifyError(
                f"Resource Manager does not show {path}: {answer.error}. What it hides could be open, so "
                "nothing is proven. Sign in as someone who may read each party's subscription and the "
                "deploying identities (role Reader), or look at the state alone: --no-live"
            )
        return answer.body


def _all(
    pool: ThreadPoolExecutor, ask: Callable[..., Iterator[Resource]], questions: Sequence[Any]
) -> Iterator[Resource]:
    def answer(question: Any) -> list[Resource]:
        return list(ask(*question) if isinstance(question, tuple) else ask(question))

    for found in pool.map(answer, questions):
        yield from found


def _type(token: str) -> AzureType:
    found = find(AZURE + token)
    if found is None:
        raise VerifyError(f"{token} has no row in azure_types/overrides.py: it cannot be read")
    return found


def _is_azures(resource: Resource, everything: Mapping[str, Resource]) -> bool:
    """Say whether Azure itself made a resource as part of one that the state knows.

    A VM brings its system disk, which cannot be configured, and backups bring snapshots.
    """
    kind = resource.type.removeprefix(AZURE)
    if kind == "compute:Disk":
        owner = everything.get(key_of(str(resource.at("managedBy"))))
        system = owner.at("storageProfile.osDisk.name") if owner and owner.urn else None
        return system == resource.name
    return kind.lower() == _SNAPSHOT and any(
        r.type == f"{AZURE}dataprotection:BackupVault" and r.subscription == resource.subscription
        for r in everything.values()
    )


def _is_strange(resource: Resource) -> bool:
    """Say whether neither the program nor the zone group of an endpoint, which writes records, made it."""
    return not resource.urn and "created by private endpoint" not in str(resource.at("metadata.creator"))


def _is_policys(resource: Resource, state: Deployment, meant: Intent) -> bool:
    """Say whether it is what a policy of the organisation makes to name an endpoint (docs/adr/0017)."""
    endpoint = state.find(resource.id.rsplit("/", 2)[0])
    return (
        meant.zones == () and resource.type == f"{AZURE}network:PrivateDnsZoneGroup" and endpoint is not None
    )


def _stranger(resource: Resource) -> Finding:
    return Finding(
        kind=Kind.UNKNOWN,
        proof=PROOF,
        rule="drift",
        what=f"{resource.id} exists and is not the program's",
        where=f"{resource.name}: made behind the program's back",
        why="nobody reviewed it, and ./fed up leaves it alone",
        fix="delete it, or add it to the program and import it",
    )


def _gone(resource: Resource) -> Finding:
    return Finding(
        kind=Kind.MISSING,
        proof=PROOF,
        rule="drift",
        what=f"{resource.id} is in the state and does not exist",
        where=f"{resource.name}: deleted behind the program's back",
        why="what it protected or allowed is gone",
        fix="./fed up --refresh makes it again",
    )
