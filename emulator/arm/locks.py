"""Management locks: what they refuse."""

from __future__ import annotations

from emulator.arm import ids
from emulator.arm.context import Context
from emulator.arm.errors import conflict
from emulator.arm.grants import scopes_above
from emulator.arm.store import Row

LOCK = "Microsoft.Authorization/locks"


def refuse_locked(context: Context, path: str, method: str) -> None:
    """Raise ScopeLocked when a lock on a scope, above it or (for a deletion) below it forbids a request.

    CanNotDelete forbids DELETE, ReadOnly forbids every write. Locks themselves are written and deleted
    freely.
    """
    parsed = ids.parse(path)
    if parsed is not None and parsed.type.lower() == LOCK.lower():
        return
    locks = [lock for scope in scopes_above(path) for lock in context.tx.children(scope, LOCK)]
    if method == "DELETE":
        locks += [lock for lock in context.tx.below(path) if lock.type == LOCK]
    binding = [lock for lock in locks if method == "DELETE" or lock.properties["level"] == "ReadOnly"]
    if binding:
        scopes = ", ".join(dict.fromkeys(f"'{_scope(lock)}'" for lock in binding))
        verb = "delete" if method == "DELETE" else "write"
        raise conflict(
            "ScopeLocked",
            f"The scope '{path}' cannot perform {verb} operation because following scope(s) are locked: "
            f"{scopes}. "
            "Please remove the lock and try again.",
        )


def _scope(lock: Row) -> str:
    return lock.id.rsplit("/providers/", 1)[0]
