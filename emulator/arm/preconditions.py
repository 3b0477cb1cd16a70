"""If-Match and If-None-Match.

Recorded for record sets: test_crudRecordSet_aRecord_expectCrudSuccessful (azure-cli, 2020).
https://learn.microsoft.com/azure/dns/dns-zones-records#etags
"""

from __future__ import annotations

from emulator.arm.catalogue import ResourceType
from emulator.arm.errors import ArmError
from emulator.arm.messages import Request
from emulator.arm.store import Row


def check_preconditions(request: Request, row: Row | None, type_: ResourceType) -> None:
    """Refuse a write whose sender expects another state (412); types without etags take any."""
    if not type_.etag:
        return
    name = request.path.rstrip("/").rsplit("/", 1)[-1]
    if request.headers.get("if-none-match") == "*" and row is not None:
        raise _failed(type_, name, "exists already and hence cannot be created again")
    expected = request.headers.get("if-match")
    if expected is None or (expected == "*" and row is not None):
        return
    if row is None or _plain(expected) != _plain(row.etag):
        raise _failed(type_, name, "has been modified (etag mismatch)")


def _plain(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _failed(type_: ResourceType, name: str, why: str) -> ArmError:
    what = "Record set" if type_.kind.rpartition("/")[2].isupper() else "resource"
    return ArmError(412, "PreconditionFailed", f"The {what} {name} {why}.")
