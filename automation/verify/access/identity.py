"""Who may read, write or delete what, computed from role assignments and compared with the intended grants.

A cell is one principal and one container (or the registry). A role counts for everything below its scope, so
a role on an account, a group or a subscription shows in every cell that it reaches. A condition counts only
where it is the program's own one, which limits the readers of a dashboard to its tables.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from automation.verify.access.roles import (
    BLOB_CONTRIBUTOR,
    BLOB_READER,
    BY_NAME,
    CRYPTO_USER,
    DISK_READER,
    READ_TABLES,
    RESTORE_OPERATOR,
    ROLES,
    SNAPSHOT_CONTRIBUTOR,
    Role,
    role_guid,
)
from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import Deployment, Resource, key_of
from federation.curated import CURATED_ONLY
from federation.stated import Intent

PROOF = "identity"
REGISTRY = "registry"

_ENCRYPTED = {"storage:StorageAccount", "compute:DiskEncryptionSet"}
_SUPPORT = {
    CRYPTO_USER: _ENCRYPTED,
    BLOB_CONTRIBUTOR: {"network:FlowLog"},
    DISK_READER: {"dataprotection:BackupVault"},
    SNAPSHOT_CONTRIBUTOR: {"dataprotection:BackupVault"},
    RESTORE_OPERATOR: {"dataprotection:BackupVault"},
}
"""Roles that a service needs, and the types whose identity may hold them, within their own subscription."""
_VM = "compute:VirtualMachine"


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A managed identity: whose, and which types of resource use it."""

    id: str
    name: str
    party: str
    subscription: str
    used_by: frozenset[str]

    @property
    def is_machine(self) -> bool:
        """Whether a VM runs with it."""
        return _VM in self.used_by


@dataclass(frozen=True, kw_only=True)
class Target:
    """A container, or a registry."""

    owner: str
    resource: str
    id: str
    account: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one principal may do with one target: by intent, and by its roles (with their assignments)."""

    principal: str
    target: Target
    intended: frozenset[str]
    computed: frozenset[str]
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Access:
    """All cells in which anything is intended or possible, and the differences."""

    principals: tuple[Principal, ...]
    targets: tuple[Target, ...]
    cells: tuple[Cell, ...]
    findings: tuple[Finding, ...] = field(default_factory=tuple)


def compute(deployment: Deployment, intent: Intent, parties: Mapping[str, str]) -> Access:
    """Compute who may do what. ``parties`` maps subscription ids (lower case) to names."""
    return _Computation(deployment, intent, parties).run()


class _Computation:
    def __init__(self, deployment: Deployment, intent: Intent, parties: Mapping[str, str]) -> None:
        self._all = deployment
        self._intent = intent
        self._parties = parties
        self._principals = {p.id: p for p in self._read_principals()}
        self._groups = {g.group.lower(): g.who for g in intent.grants if g.group}
        self._targets = tuple(self._read_targets())
        self._held: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._others: list[Finding] = []

    def run(self) -> Access:
        for assignment in self._all.of("authorization:RoleAssignment"):
            self._assign(assignment)
        cells = tuple(self._cells())
        return Access(
            principals=tuple(self._principals.values()),
            targets=self._targets,
            cells=cells,
            findings=(*self._others, *self._attachments(), *self._differences(cells)),
        )

    def _party(self, subscription: str) -> str:
        return self._parties.get(subscription, f"unknown subscription {subscription}")

    def _read_principals(self) -> Iterator[Principal]:
        users: dict[str, set[str]] = defaultdict(set)
        for resource in self._all.resources:
            for arm_id in resource.at("identity.userAssignedIdentities") or ():
                users[key_of(arm_id)].add(resource.type.removeprefix("azure-native:"))
        for identity in self._all.of("managedidentity:UserAssignedIdentity"):
            yield Principal(
                id=str(identity.at("principalId")).lower(),
                name=identity.name,
                party=self._party(identity.subscription),
                subscription=identity.subscription,
                used_by=frozenset(users[identity.key]),
            )
        for resource in self._all.resources:
            if own := resource.at("identity.principalId"):
                yield Principal(
                    id=str(own).lower(),
                    name=resource.name,
                    party=self._party(resource.subscription),
                    subscription=resource.subscription,
                    used_by=frozenset({resource.type.removeprefix("azure-native:")}),
                )

    def _read_targets(self) -> Iterator[Target]:
        for container in self._all.of("storage:BlobContainer"):
            yield Target(
                owner=self._party(container.subscription),
                resource=container.name,
                id=container.key,
                account=container.key.split("/blobservices/")[0].rsplit("/", 1)[-1],
            )
        for registry in self._all.of("containerregistry:Registry"):
            yield Target(
                owner=self._party(registry.subscription),
                resource=REGISTRY,
                id=registry.key,
                account=registry.name,
            )

    def _assign(self, assignment: Resource) -> None:
        guid = role_guid(assignment)
        scope, role = key_of(str(assignment.at("scope"))), ROLES.get(guid)
        holder = str(assignment.at("principalId")).lower()
        label = f"role assignment {assignment.name} ({role.name if role else guid} on {scope})"
        if role is None:
            self._others.append(_unknown_role(label, self._name(holder)))
            return
        opens = False
        for target in (t for t in self._targets if _within(t.id, scope)):
            actions = role.images if target.resource == REGISTRY else role.blobs
            if assignment.at("condition") == CURATED_ONLY and role.name == BLOB_READER:
                actions = frozenset({READ_TABLES})
            opens = opens or bool(actions)
            for action in actions:
                self._held[holder, target.id][action].add(label)
        if not opens and not self._is_support(role, holder, scope):
            self._others.append(_beyond_intent(label, self._name(holder), scope))

    def _is_support(self, role: Role, holder: str, scope: str) -> bool:
        principal, users = self._principals.get(holder), _SUPPORT.get(role.name, set())
        return (
            principal is not None
            and bool(principal.used_by)
            and principal.used_by <= users
            and scope.startswith(f"/subscriptions/{principal.subscription}/")
        )

    def _name(self, holder: str) -> str:
        principal = self._principals.get(holder)
        if principal is None:
            return self._groups.get(holder, f"unknown principal {holder}")
        return (
            f"{principal.party}'s machine"
            if principal.is_machine
            else f"{principal.party}'s {principal.name}"
        )

    def _cells(self) -> Iterator[Cell]:
        intended: dict[tuple[str, str, str], frozenset[str]] = defaultdict(frozenset)
        for grant in self._intent.grants:
            role = BY_NAME[grant.role]
            actions = frozenset({READ_TABLES}) if grant.tables_only else role.blobs | role.images
            intended[grant.who, grant.owner, grant.resource] |= actions
        holders = {p.id: self._name(p.id) for p in self._principals.values() if p.is_machine}
        holders |= {holder: self._name(holder) for holder, _ in self._held}
        for holder, name in holders.items():
            for target in self._targets:
                held = self._held.get((holder, target.id), {})
                meant = intended.pop((name, target.owner, target.resource), frozenset())
                if held or meant:
                    yield Cell(
                        principal=name,
                        target=target,
                        intended=meant,
                        computed=frozenset(held),
                        causes=tuple(sorted({c for a, cs in held.items() if a not in meant for c in cs})),
                    )
        for (name, owner, resource), meant in intended.items():
            found = [t for t in self._targets if (t.owner, t.resource) == (owner, resource)]
            target = found[0] if found else Target(owner=owner, resource=resource, id="", account="")
            yield Cell(principal=name, target=target, intended=meant, computed=frozenset())

    def _differences(self, cells: tuple[Cell, ...]) -> Iterator[Finding]:
        for cell in cells:
            what = f"{cell.target.resource} of {cell.target.owner}"
            if extra := cell.computed - cell.intended:
                yield Finding(
                    kind=Kind.OPEN,
                    proof=PROOF,
                    rule="grants",
                    what=f"{cell.principal} may {_words(extra)} {what}",
                    where="; ".join(cell.causes),
                    why="nobody intended this access; networks do not stop what a role allows",
                    fix="delete the role assignment, or narrow its scope to the one container it is for",
                )
            if lacking := cell.intended - cell.computed:
                yield Finding(
                    kind=Kind.MISSING,
                    proof=PROOF,
                    rule="grants",
                    what=f"{cell.principal} may not {_words(lacking)} {what}",
                    where=self._why_missing(cell, what),
                    why="the federation needs this access",
                    fix="restore the role assignment from the program (./fed up --refresh)",
                )

    def _why_missing(self, cell: Cell, what: str) -> str:
        if not cell.target.id:
            return f"there is no {what}"
        known = {*self._groups.values(), *(self._name(p.id) for p in self._principals.values())}
        if cell.principal not in known:
            return f"{cell.principal} runs with no identity of its own"
        return "no role assignment gives it"

    def _attachments(self) -> Iterator[Finding]:
        identities = {i.key: i for i in self._all.of("managedidentity:UserAssignedIdentity")}
        users: dict[str, list[str]] = defaultdict(list)
        for machine in self._all.of(_VM):
            for arm_id in machine.at("identity.userAssignedIdentities") or ():
                users[key_of(arm_id)].append(machine.name)
                identity = identities.get(key_of(arm_id))
                if identity is None or identity.subscription != machine.subscription:
                    yield _foreign_identity(machine.name, arm_id)
        for key, machines in users.items():
            others = {t for p in self._principals.values() if p.name.lower() == key.rsplit("/", 1)[-1]
                      and f"/{p.subscription}/" in key for t in p.used_by - {_VM}}  # fmt: skip
            if len(machines) > 1 or others:
                yield _shared_identity(key, sorted({*machines, *others}))


def _within(target: str, scope: str) -> bool:
    return target == scope or target.startswith(scope.rstrip("/") + "/")


def _words(actions: frozenset[str]) -> str:
    return ", ".join(sorted(actions))


def _unknown_role(label: str, holder: str) -> Finding:
    return Finding(
        kind=Kind.UNKNOWN,
        proof=PROOF,
        rule="known-roles",
        what=f"{holder} has a role whose effect is not known here",
        where=label,
        why="it may allow anything",
        fix="delete the role assignment, or describe the role in automation/verify/access/roles.py",
    )


def _beyond_intent(label: str, holder: str, scope: str) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule="grants",
        what=f"{holder} has a role on {scope}",
        where=label,
        why="the statement of intent knows no such access",
        fix="delete the role assignment",
    )


def _foreign_identity(machine: str, arm_id: str) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule="own-identity",
        what=f"{machine} runs with an identity of another party: {arm_id}",
        where=f"{machine}: identity.userAssignedIdentities",
        why="the machine can do everything that identity may do",
        fix="detach it; a machine has its own party's identity only",
    )


def _shared_identity(key: str, users: list[str]) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule="own-identity",
        what=f"one identity serves {', '.join(users)}",
        where=f"{key}: attached more than once",
        why="each of them can do what any of them may do",
        fix="give every machine and every service an identity of its own",
    )
