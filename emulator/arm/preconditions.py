"""If-Match and If-None-Match, which the network provider and private DNS know; others ignore them.

Recorded for record sets: test_crudRecordSet_aRecord_expectCrudSuccessful (azure-cli, 2020).
https://learn.microsoft.com/azure/dns/dns-zones-records#etags
The network provider's refusal: kubernetes-sigs/cloud-provider-azure pkg/retry/etag.go.
"""

from __future__ import annotations

from emulator.arm.catalogue import PLAIN_ETAG, ResourceType
from emulator.arm.errors import ArmError
from emulator.arm.messages import Request
from emulator.arm.store import Row


def check_preconditions(request: Request, row: Row | None, type_: ResourceType) -> None:
    """Refuse a write whose sender expects another state (412)."""
    if not type_.etag or type_.namespace != "Microsoft.Network":
        return
    name = request.path.rstrip("/").rsplit("/", 1)[-1]
    if request.headers.get("if-none-match") == "*" and row is not None:
        raise _failed(type_, name, "exists already and hence cannot be created again")
    expected = request.headers.get("if-match")
    if expected is None or (expected == "*" and row is not None):
        return
    if row is None or _plain(expected) != _plain(row.etag):
        if row is None or type_.etag == PLAIN_ETAG:
            raise _failed(type_, name, "has been modified (etag mismatch)")
        raise _mismatch(expected, row)


def _plain(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _failed(type_: ResourceType, name: str, why: str) -> ArmError:
    what = "Record set" if type_.kind.rpartition("/")[2].isupper() else "resource"
    return ArmError(412, "PreconditionFailed", f"The {what} {name} {why}.")


def _mismatch(expected: str, row: Row) -> ArmError:
    message = (
        f"Etag provided in if-match header {expected} does not match etag {row.etag} of resource {row.id}."
    )
    detail = {"code": "PreconditionFailedEtagMismatch", "message": message}
    return ArmError(412, "PreconditionFailed", f"Precondition failed. {message}", details=[detail])
