"""The memory of the control plane: one SQLite file, one transaction a request.

A transaction holds everything that a request changes, side effects on other resources too, so a killed daemon
leaves either all of it or nothing. One connection and one lock: requests run one after the other, each well
under a millisecond. Commits are not flushed to the disk one by one (WAL, synchronous=NORMAL): a killed
process loses nothing, a machine that loses power may lose the last requests but never its consistency.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.arm import ids
from emulator.arm.messages import Json

VERSION = 1
KEPT_SECONDS = 90 * 24 * 3600.0
"""How long Azure keeps the activity log; a store forgets what is older when it is opened.

https://learn.microsoft.com/azure/azure-monitor/platform/activity-log
"""
FOLLOWED = 60.0
"""Seconds for which somebody who has asked for changes is taken to be there."""

SCHEMA = """
CREATE TABLE resources(
    key TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, parent TEXT NOT NULL, grp TEXT, sub TEXT,
    body TEXT NOT NULL, hidden TEXT NOT NULL, state TEXT NOT NULL, etag TEXT NOT NULL, created REAL NOT NULL,
    revision INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX resources_parent ON resources(parent, type);
CREATE INDEX resources_type ON resources(type, sub);
CREATE INDEX resources_group ON resources(grp);
CREATE INDEX resources_revision ON resources(revision);
CREATE TABLE links(source TEXT NOT NULL, path TEXT NOT NULL, target TEXT NOT NULL, via TEXT NOT NULL);
CREATE INDEX links_source ON links(source);
CREATE INDEX links_target ON links(target, path);
CREATE TABLE addresses(
    network TEXT NOT NULL, address INTEGER NOT NULL, subnet TEXT NOT NULL, owner TEXT NOT NULL,
    via TEXT NOT NULL, PRIMARY KEY(network, address)
) WITHOUT ROWID;
CREATE INDEX addresses_subnet ON addresses(subnet, address);
CREATE INDEX addresses_owner ON addresses(owner);
CREATE TABLE claims(space TEXT, name TEXT, owner TEXT NOT NULL, PRIMARY KEY(space, name)) WITHOUT ROWID;
CREATE INDEX claims_owner ON claims(owner);
CREATE TABLE remnants(key TEXT PRIMARY KEY, type TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE deletes(key TEXT PRIMARY KEY, id TEXT NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX deletes_revision ON deletes(revision);
CREATE TABLE subscriptions(id TEXT PRIMARY KEY, created REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE operations(
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL, due REAL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX operations_due ON operations(due) WHERE due IS NOT NULL;
CREATE TABLE busy(key TEXT NOT NULL, operation TEXT NOT NULL);
CREATE INDEX busy_key ON busy(key);
CREATE INDEX busy_operation ON busy(operation);
CREATE TABLE commands(operation TEXT PRIMARY KEY, vm TEXT NOT NULL, script TEXT NOT NULL, revision INTEGER);
CREATE TABLE vms(key TEXT PRIMARY KEY, id TEXT NOT NULL, health TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images(reference TEXT PRIMARY KEY, body TEXT NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES('revision', 0);
"""
EVENTS = """
CREATE TABLE IF NOT EXISTS events(
    id INTEGER PRIMARY KEY, at REAL NOT NULL, sub TEXT NOT NULL, resource TEXT NOT NULL,
    operation TEXT NOT NULL, caller TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_at ON events(at);
"""
"""Added to stores of any format: what is there without it can be read."""


@dataclass(slots=True)
class Row:
    """A stored resource.

    `body` is what Azure answers of it, without id, name, type, etag and what is computed from other
    resources. `hidden` is what Azure never answers: write-only properties, power state. `state` is the
    provisioningState.
    """

    id: str
    type: str
    body: Json
    hidden: Json = field(default_factory=dict)
    state: str = "Succeeded"
    etag: str = ""
    created: float = 0.0
    parent: str = ""
    revision: int = 0

    @property
    def key(self) -> str:
        """The id as it is compared."""
        return self.id.lower()

    @property
    def name(self) -> str:
        """The resource's own name."""
        return ids.name_of(self.id)

    def parent_id(self) -> str:
        """Return the id above in its own case."""
        return self.id[: len(self.parent)]

    @property
    def properties(self) -> Json:
        """The `properties` of the body, made when missing."""
        properties: Json = self.body.setdefault("properties", {})
        return properties

    @property
    def location(self) -> str | None:
        """The normalised region, None for what has none."""
        return self.body.get("location")


@dataclass(frozen=True, slots=True)
class Event:
    """A write that was accepted: when (seconds since 1970), of what, its name (``.../write``), and whose."""

    id: int
    at: float
    resource: str
    operation: str
    caller: str


@dataclass(frozen=True, slots=True)
class Operation:
    """Work that outlives its request: PUT, DELETE or the name of an action, on the resource `key`.

    `status` is InProgress, Succeeded or Failed; then `body` holds `output`, or `error` and its HTTP `status`.
    """

    kind: str
    key: str
    status: str
    body: Json
    due: float | None


_COLUMNS = "id, type, body, hidden, state, etag, created, parent, revision"


def _row(values: tuple[Any, ...]) -> Row:
    identifier, type_, body, hidden, *rest = values
    return Row(identifier, type_, json.loads(body), json.loads(hidden), *rest)


class Transaction:
    """Reads and writes of one request. Ids are given in any case."""

    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        self._run = connection.execute
        self.now = now
        self._made = 0
        self._revision: int | None = None

    # Resources

    def get(self, identifier: str) -> Row | None:
        """Return a resource."""
        found = self._run(
            f"SELECT {_COLUMNS} FROM resources WHERE key=?",  # noqa: S608
            (identifier.lower(),),
        ).fetchone()
        return _row(found) if found else None

    def exists(self, identifier: str) -> bool:
        """Say whether a resource exists."""
        found = self._run("SELECT 1 FROM resources WHERE key=?", (identifier.lower(),)).fetchone()
        return found is not None

    def _select(self, condition: str, *values: object) -> list[Row]:
        found = self._run(f"SELECT {_COLUMNS} FROM resources WHERE {condition}", values)  # noqa: S608
        return [_row(values) for values in found]

    def children(self, parent: str, type_: str | None = None) -> list[Row]:
        """Return what hangs directly on a resource or scope, oldest first."""
        if type_ is None:
            return self._select("parent=? ORDER BY created, key", parent.lower())
        return self._select("parent=? AND type=? ORDER BY created, key", parent.lower(), type_)

    def below(self, scope: str) -> list[Row]:
        """Return everything whose id begins with a scope, the scope itself left out, deepest last."""
        key = scope.lower().rstrip("/")
        return self._select("key>? AND key<? ORDER BY key", key + "/", key + "0")

    def of_type(self, type_: str, subscription: str | None = None) -> list[Row]:
        """Return the resources of a type, in one subscription or in all."""
        if subscription is None:
            return self._select("type=? ORDER BY created, key", type_)
        return self._select("type=? AND sub=? ORDER BY created, key", type_, subscription.lower())

    def in_group(self, group: str, type_: str | None = None) -> list[Row]:
        """Return the resources of a group (given by its id), oldest first."""
        if type_ is None:
            return self._select("grp=? ORDER BY created, key", group.lower())
        return self._select("grp=? AND type=? ORDER BY created, key", group.lower(), type_)

    def in_subscription(self, subscription: str) -> list[Row]:
        """Return every resource of a subscription, oldest first."""
        return self._select("sub=? ORDER BY created, key", subscription.lower())

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Undo what is written meanwhile when it raises, and nothing of what was written before."""
        self._next()  # the revision of this transaction stays
        self._run("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self._run("ROLLBACK TO attempt")
            raise
        finally:
            self._run("RELEASE attempt")

    def count(self) -> int:
        """Return how many resources there are."""
        found: int = self._run("SELECT count(*) FROM resources").fetchone()[0]
        return found

    def put(self, row: Row) -> None:
        """Write a resource, new or known."""
        key = row.key
        row.created = row.created or self._moment()
        row.revision = self._next()
        self._run(
            "INSERT OR REPLACE INTO resources VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                key, row.id, row.type, row.parent.lower(), (ids.group_id(row.id) or "").lower() or None,
                ids.subscription_of(row.id), json.dumps(row.body, separators=(",", ":")),
                json.dumps(row.hidden, separators=(",", ":")), row.state, row.etag, row.created, row.revision,
            ),
        )  # fmt: skip
        self._run("DELETE FROM deletes WHERE key=?", (key,))

    def touch(self, identifier: str) -> None:
        """Announce a resource as changed because what it shows of others has changed."""
        self._run("UPDATE resources SET revision=? WHERE key=?", (self._next(), identifier.lower()))

    def delete(self, row: Row) -> None:
        """Remove one resource with its links, addresses and claims, announcing it and what it pointed at."""
        key = row.key
        for _, target, _ in self.links_from(key):
            self.touch(target)
        self._run("DELETE FROM links WHERE source=?", (key,))
        self._run("DELETE FROM addresses WHERE owner=?", (key,))
        self._run("DELETE FROM claims WHERE owner=?", (key,))
        self._run("DELETE FROM vms WHERE key=?", (key,))
        self._run("DELETE FROM resources WHERE key=?", (key,))
        self._run("INSERT OR REPLACE INTO deletes VALUES(?,?,?)", (key, row.id, self._next()))

    # Links: who points at whom

    def link(self, source: str, links: list[tuple[str, str, str]]) -> None:
        """Replace what a resource points at: (property path, target id, id of the part that points)."""
        key = source.lower()
        new = {(path, target.lower(), via) for path, target, via in links}
        old = {(path, target, via) for path, target, via in self.links_from(key)}
        if new == old:
            return
        for _, target, _ in new ^ old:
            self.touch(target)
        self._run("DELETE FROM links WHERE source=?", (key,))
        for path, target, via in sorted(new):
            self._run("INSERT INTO links VALUES(?,?,?,?)", (key, path, target, via))

    def add_link(self, source: str, path: str, target: str, via: str) -> None:
        """Add one link to those that a resource's properties make."""
        self._run("INSERT INTO links VALUES(?,?,?,?)", (source.lower(), path, target.lower(), via))
        self.touch(target)

    def links_from(self, source: str) -> list[tuple[str, str, str]]:
        """Return (property path, target key, id of the part that points) of a resource."""
        return self._run("SELECT path, target, via FROM links WHERE source=?", (source.lower(),)).fetchall()

    def links_to(self, target: str, path: str | None = None) -> list[tuple[str, str, str]]:
        """Return (source key, property path, id of the part that points) of those that point at a
        resource."""
        if path is None:
            return self._run(
                "SELECT source, path, via FROM links WHERE target=? ORDER BY rowid", (target.lower(),)
            ).fetchall()
        return self._run(
            "SELECT source, path, via FROM links WHERE target=? AND path=? ORDER BY rowid",
            (target.lower(), path),
        ).fetchall()

    # Private addresses, unique in a virtual network

    def addresses(self, subnet: str) -> list[tuple[int, str, str]]:
        """Return (address, owner key, ip configuration id) of the addresses taken in a subnet, ascending."""
        return self._run(
            "SELECT address, owner, via FROM addresses WHERE subnet=? ORDER BY address", (subnet.lower(),)
        ).fetchall()

    def address_holder(self, network: str, address: int) -> tuple[str, str] | None:
        """Return (owner key, ip configuration id) of whoever holds an address of a virtual network."""
        holder: tuple[str, str] | None = self._run(
            "SELECT owner, via FROM addresses WHERE network=? AND address=?", (network.lower(), address)
        ).fetchone()
        return holder

    def hold_address(self, network: str, subnet: str, address: int, *, owner: str, via: str) -> None:
        """Give an address of a subnet to an ip configuration of a resource."""
        self._run(
            "INSERT INTO addresses VALUES(?,?,?,?,?)",
            (network.lower(), address, subnet.lower(), owner.lower(), via),
        )
        self.touch(subnet)

    def free_addresses(self, owner: str) -> None:
        """Give back every address of a resource."""
        for (subnet,) in self._run(
            "SELECT DISTINCT subnet FROM addresses WHERE owner=?", (owner.lower(),)
        ).fetchall():
            self.touch(subnet)
        self._run("DELETE FROM addresses WHERE owner=?", (owner.lower(),))

    # Names that are unique beyond their resource group

    def claim(self, space: str, name: str, owner: str) -> str | None:
        """Take a name for a resource; return the key of the one that has it already."""
        holder = self.claimed(space, name)
        if holder is not None and holder != owner.lower():
            return holder
        self._run("INSERT OR REPLACE INTO claims VALUES(?,?,?)", (space, name.lower(), owner.lower()))
        return None

    def claimed(self, space: str, name: str) -> str | None:
        """Return the key of the resource that has a name."""
        found = self._run(
            "SELECT owner FROM claims WHERE space=? AND name=?", (space, name.lower())
        ).fetchone()
        return found[0] if found else None

    # Soft-deleted resources

    def keep_remnant(self, key: str, type_: str, body: Json) -> None:
        """Remember a soft-deleted resource under a key of its type's choice."""
        self._run("INSERT OR REPLACE INTO remnants VALUES(?,?,?)", (key.lower(), type_, json.dumps(body)))

    def remnant(self, key: str) -> Json | None:
        """Return what is remembered of a soft-deleted resource."""
        found = self._run("SELECT body FROM remnants WHERE key=?", (key.lower(),)).fetchone()
        return json.loads(found[0]) if found else None

    def remnants(self, type_: str) -> list[Json]:
        """Return the soft-deleted resources of a type."""
        found = self._run("SELECT body FROM remnants WHERE type=? ORDER BY key", (type_,))
        return [json.loads(body) for (body,) in found]

    def drop_remnant(self, key: str) -> None:
        """Forget a soft-deleted resource."""
        self._run("DELETE FROM remnants WHERE key=?", (key.lower(),))

    # Subscriptions

    def subscriptions(self) -> list[str]:
        """Return the ids of the known subscriptions, oldest first."""
        return [found[0] for found in self._run("SELECT id FROM subscriptions ORDER BY created, id")]

    def has_subscription(self, subscription: str) -> bool:
        """Say whether a subscription is known."""
        found = self._run("SELECT 1 FROM subscriptions WHERE id=?", (subscription.lower(),)).fetchone()
        return found is not None

    def add_subscription(self, subscription: str) -> None:
        """Register a subscription; a known one stays as it is."""
        self._run("INSERT OR IGNORE INTO subscriptions VALUES(?,?)", (subscription.lower(), self.now))

    # Operations that outlive their request

    def add_operation(self, operation: str, kind: str, key: str, due: float | None) -> None:
        """Begin an operation on a resource; a `due` of None waits for somebody to end it."""
        self._run(
            "INSERT INTO operations VALUES(?,?,?,?,?,?)",
            (operation, kind, key.lower(), "InProgress", due, "{}"),
        )

    def operation(self, operation: str) -> Operation | None:
        """Return an operation by its id."""
        found = self._run(
            "SELECT kind, key, status, body, due FROM operations WHERE id=?", (operation,)
        ).fetchone()
        if found is None:
            return None
        kind, key, status, body, due = found
        return Operation(kind, key, status, json.loads(body), due)

    def due_operations(self) -> list[tuple[str, str, str]]:
        """Return (operation, kind, resource key) of what should have ended by now."""
        return self._run(
            "SELECT id, kind, key FROM operations WHERE due<=? ORDER BY due, id", (self.now,)
        ).fetchall()

    def next_due(self) -> float | None:
        """Return when the next operation ends."""
        due: float | None = self._run("SELECT min(due) FROM operations WHERE due IS NOT NULL").fetchone()[0]
        return due

    def hold_result(self, operation: str, due: float, body: Json) -> None:
        """Keep what an operation came to until it ends at `due`."""
        self._run("UPDATE operations SET due=?, body=? WHERE id=?", (due, json.dumps(body), operation))

    def end_operation(self, operation: str, status: str, more: Json | None = None) -> None:
        """End an operation as Succeeded or Failed and free what it held."""
        self._run(
            "UPDATE operations SET status=?, due=NULL, body=? WHERE id=?",
            (status, json.dumps(more or {}), operation),
        )
        self._run("DELETE FROM busy WHERE operation=?", (operation,))

    def occupy(self, keys: frozenset[str], operation: str) -> None:
        """Let an operation hold resources, so that a second writer is refused."""
        for key in sorted(keys):
            self._run("INSERT INTO busy VALUES(?,?)", (key.lower(), operation))

    def occupied(self, keys: frozenset[str]) -> str | None:
        """Return the operation that holds one of these resources."""
        for key in sorted(keys):
            found = self._run("SELECT operation FROM busy WHERE key=?", (key.lower(),)).fetchone()
            if found:
                operation: str = found[0]
                return operation
        return None

    # The activity log

    def add_event(self, resource: str, operation: str, caller: str) -> None:
        """Log a write."""
        subscription = ids.subscription_of(resource) or ""
        self._run(
            "INSERT INTO events(at, sub, resource, operation, caller) VALUES(?,?,?,?,?)",
            (self.now, subscription, resource, operation, caller),
        )

    def events(self, subscription: str, first: float, last: float) -> list[Event]:
        """Return what was logged in a subscription between two times, the newest first."""
        found = self._run(
            "SELECT id, at, resource, operation, caller FROM events WHERE sub=? AND at BETWEEN ? AND ? "
            "ORDER BY id DESC",
            (subscription.lower(), first, last),
        )
        return [Event(*values) for values in found]

    # What the datacentre reads and writes

    @property
    def revision(self) -> int:
        """The revision of the last committed change, or of this transaction once it has changed something."""
        if self._revision is not None:
            return self._revision
        revision: int = self._run("SELECT value FROM meta WHERE name='revision'").fetchone()[0]
        return revision

    def _moment(self) -> float:
        """Return when something new is made: in one transaction one after the other, so that lists keep
        the order in which they were written.
        """
        moment = self.now + self._made / 1e6
        self._made += 1
        return moment

    def _next(self) -> int:
        if self._revision is None:
            self._revision = self.revision + 1
            self._run("UPDATE meta SET value=? WHERE name='revision'", (self._revision,))
        return self._revision

    def changed_since(self, revision: int) -> list[Row]:
        """Return the resources written or touched after a revision."""
        return self._select("revision>? ORDER BY revision, created, key", revision)

    def deleted_since(self, revision: int) -> list[str]:
        """Return the ids removed after a revision."""
        found = self._run("SELECT id FROM deletes WHERE revision>? ORDER BY revision, key", (revision,))
        return [identifier for (identifier,) in found]

    def add_command(self, operation: str, vm: str, script: list[str]) -> None:
        """Queue a script for a machine."""
        self._run("INSERT INTO commands VALUES(?,?,?,?)", (operation, vm, json.dumps(script), self._next()))

    def commands(self) -> list[tuple[str, str, list[str]]]:
        """Return (operation, machine's id, script) of the scripts that have no answer yet."""
        found = self._run("SELECT operation, vm, script FROM commands ORDER BY revision, operation")
        return [(operation, vm, json.loads(script)) for operation, vm, script in found]

    def drop_command(self, operation: str) -> bool:
        """Take a script off the queue; False when it is not on it."""
        return self._run("DELETE FROM commands WHERE operation=?", (operation,)).rowcount > 0

    def set_health(self, vm: Row, health: Json) -> None:
        """Store what the datacentre says of a machine."""
        self._run("INSERT OR REPLACE INTO vms VALUES(?,?,?)", (vm.key, vm.id, json.dumps(health)))

    def health(self, vm: str) -> Json | None:
        """Return what the datacentre last said of a machine."""
        found = self._run("SELECT health FROM vms WHERE key=?", (vm.lower(),)).fetchone()
        return json.loads(found[0]) if found else None

    def put_image(self, reference: str, body: Json) -> None:
        """Store an image that was pushed to a registry, by its full reference."""
        self._run("INSERT OR REPLACE INTO images VALUES(?,?,?)", (reference, json.dumps(body), self._next()))

    def images_since(self, revision: int) -> list[Json]:
        """Return the images pushed after a revision."""
        found = self._run(
            "SELECT body FROM images WHERE revision>? ORDER BY revision, reference", (revision,)
        )
        return [json.loads(body) for (body,) in found]


class Store:
    """The SQLite file, and the event that tells waiters of a new revision."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._lock = threading.RLock()
        self._changed = threading.Condition()
        self.closed = False
        self._opened = time.monotonic()
        self._followed = float("-inf")
        run = self._connection.execute
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        run("PRAGMA temp_store=MEMORY")
        found = run("PRAGMA user_version").fetchone()[0]
        if found == 0:
            self._connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
        elif found != VERSION:
            raise RuntimeError(
                f"{file} was written by another version of the emulator (format {found}, this one writes "
                f"{VERSION}): what it deployed cannot be read. Run `fed down` with the version that made it, "
                "or remove the file and everything that it deployed is gone."
            )
        self._connection.executescript(EVENTS)
        run("DELETE FROM events WHERE at<?", (time.time() - KEPT_SECONDS,))
        self._revision = run("SELECT value FROM meta WHERE name='revision'").fetchone()[0]

    @contextmanager
    def transaction(self, now: float | None = None) -> Iterator[Transaction]:
        """Open a transaction: kept when the block ends, undone when it raises."""
        with self._lock:
            run = self._connection.execute
            run("BEGIN")
            tx = Transaction(self._connection, time.time() if now is None else now)
            try:
                yield tx
            except BaseException:
                run("ROLLBACK")
                raise
            revision = tx.revision
            run("COMMIT")
        if revision != self._revision:
            with self._changed:
                self._revision = revision
                self._changed.notify_all()

    def next_due(self) -> float | None:
        """Return when the next operation ends."""
        with self._lock:
            return Transaction(self._connection, 0.0).next_due()

    def is_followed(self) -> bool:
        """Say whether somebody has waited for changes within the last minute, or does so now."""
        return time.monotonic() - self._followed < FOLLOWED

    def is_forsaken(self) -> bool:
        """Say whether nobody has waited for changes for a minute, though there was one to begin."""
        return time.monotonic() - max(self._opened, self._followed) >= FOLLOWED

    def wait_beyond(self, revision: int, seconds: float) -> bool:
        """Wait until something newer than a revision is committed; False when the time is over."""
        self._followed = time.monotonic() + seconds
        with self._changed:
            return self._changed.wait_for(lambda: self.closed or self._revision > revision, seconds)

    def close(self) -> None:
        """Close the file and wake those who wait."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
        with self._lock:
            self._connection.close()
