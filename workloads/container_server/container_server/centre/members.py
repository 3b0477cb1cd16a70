"""What the centre knows of each hospital: whether it is a member, and its last request for a certificate.

The two are apart: a member asks again (for a renewal, or because its disk was lost), and stays a member while
a person has not answered yet. One file on the data disk; the loop and the operator's commands change it under
one lock. The server's `allowed.json` is always derived from it.
"""

import dataclasses
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from container_server.errors import ContainerServerError
from container_server.files import read_json, write_json

CENTRE = "centre"
"""The party that is no hospital."""

Status = Literal["new", "approved", "revoked", "returned"]
"""`returned`: it had left and came back where a person approves, and no person has said yes again."""
Verdict = Literal["approved", "waiting", "refused"]


class UnknownHospitalError(ContainerServerError):
    """A name that is no member's."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """The last request for a certificate that was looked at, and what the centre says to it."""

    request_id: str
    sha256: str
    """Of the archive, so that each is looked at once."""
    answer: Verdict
    reason: str = ""
    since: float
    """Unix time at which the hospital began to wait, also when it asked again meanwhile."""
    told: bool = False
    """Whether the hospital was told."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Something that waits for a person, and since when (Unix time)."""

    what: Literal["enrolment", "renewal", "return"]
    since: float


@dataclass(frozen=True)
class Member:
    """One hospital. `granted`: an operator said yes to the request that waits, or to the first one."""

    status: Status = "new"
    reason: str = ""
    """Why it is revoked."""
    since: float = 0.0
    """Unix time since when `status` is that; of `returned` and `revoked`."""
    request: Request | None = None
    serial: str = ""
    valid_until: str = ""
    root: str = ""
    """Fingerprint of the root that signed its certificate; empty for the federation's first."""
    asked_under: str = ""
    """Fingerprint of the root under which it was asked to renew."""
    granted: bool = False
    left: bool = False
    """No longer in the list of members."""
    generation: int = 0
    """Of the desired state last written."""
    renew: int = 0
    owed: bool = True
    """Whether its desired state is still to be written."""
    images: Mapping[str, Any] | None = None
    """That it is its turn to run other images: `mark` of the set and `attempt` (images.py)."""
    rows: Mapping[str, int] | None = None
    """File -> patients that its container server counted, as it reported last; None where it counted none."""

    @property
    def admitted(self) -> bool:
        """Whether the server lets its client register."""
        return bool(self.serial) and self.status == "approved" and not self.left

    @property
    def ends(self) -> float | None:
        """Unix time at which its certificate ends; None while it has none."""
        return _unix(self.valid_until) if self.serial else None

    def next_renewal(self, now: float) -> int:
        """The number by which it is asked to renew; a hospital does so for a higher one than it saw.

        Also above that of an earlier life of this VM, of which a backup was put back: the minutes since 1970.
        """
        return max(self.renew + 1, int(now // 60))

    @property
    def waiting(self) -> Waiting | None:
        """What of it waits for a person."""
        if self.left:
            return None
        if self.request and self.request.answer == "waiting":
            return Waiting(what="renewal" if self.admitted else "enrolment", since=self.request.since)
        return Waiting(what="return", since=self.since) if self.status == "returned" else None

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Member":
        """From the file, also from that of version 0.1, where a request had no fields of its own, and from a
        later one, whose fields are not known here: an upgrade that fails goes back to this one.
        """
        fields = {field.name for field in dataclasses.fields(cls)} | {"request_sha256", "request_id"}
        known = {name: value for name, value in content.items() if name in fields}
        request = known.pop("request", None)
        digest, request_id = known.pop("request_sha256", ""), known.pop("request_id", "")
        if digest:
            answer = known["status"] if known["status"] in ("waiting", "refused") else "approved"
            request = {"request_id": request_id, "sha256": digest, "answer": answer, "since": 0.0}
        if known.get("status") in ("waiting", "refused"):
            known["status"] = "new"
        if isinstance(known.get("rows"), int):
            known["rows"] = None  # of all files together, before a job's own counted: until the next report
        return cls(**known, request=Request(**request) if request else None)


class Members:
    """All hospitals ever seen, by name."""

    def __init__(self, file: Path, allowed: Path):
        self._file = file
        self._allowed = allowed
        self._lock = threading.RLock()
        self._administrator = ""
        stored = read_json(file) or {}
        self._members = {name: Member.read(content) for name, content in stored.items()}
        self._save()

    def all(self) -> Mapping[str, Member]:
        """A copy of the present state."""
        with self._lock:
            return dict(self._members)

    def get(self, hospital: str) -> Member:
        """One hospital. Raises UnknownHospitalError naming those there are."""
        with self._lock:
            if hospital not in self._members:
                known = ", ".join(sorted(self._members)) or "none"
                raise UnknownHospitalError(
                    f"{hospital!r} is no hospital of this federation; there are: {known}"
                )
            return self._members[hospital]

    def change(self, hospital: str, **changes: object) -> Member:
        """Set fields of one hospital."""
        with self._lock:
            self._members[hospital] = replace(self._members[hospital], **changes)  # type: ignore[arg-type]
            self._save()
            return self._members[hospital]

    def compare(self, listed: Iterable[str]) -> tuple[list[str], list[str]]:
        """Compare the list of members with what is known: who came (or came back), and who left."""
        with self._lock:
            present = {name for name, member in self._members.items() if not member.left}
            return sorted(set(listed) - present), sorted(present - set(listed))

    def take_in(self, hospital: str, *, manual: bool, now: float) -> bool:
        """Take in a hospital that came; return whether it came back.

        Its container is a new, empty one, so its desired state is to be written. One that comes back is
        admitted with the certificate it has; where approval is manual, a person must say so again. One that
        was revoked as it left is to ask again, also with the disk it had, and its certificate stays refused.
        """
        with self._lock:
            known = self._members.get(hospital)
            member = replace(known or Member(), left=False, owed=True, granted=False)
            if member.status == "revoked":
                renew = member.next_renewal(now)
                member = replace(member, status="new", serial="", request=None, reason="", renew=renew)
            if known and manual:
                member = replace(member, status="returned", since=now)
            self._members[hospital] = member
            self._save()
            return known is not None

    def let_go(self, hospital: str) -> None:
        """Take note that a hospital left."""
        self.change(hospital, left=True)

    def approve(self, hospital: str, now: float) -> Member:
        """An operator's yes: what it asked for is signed; one that was cut off or came back is let in again.

        It is let in with the certificate that it has, unless that has ended. A yes to a hospital that has
        neither a certificate nor asked for one counts for its first request.
        """
        with self._lock:
            member = self.get(hospital)
            asks = member.request is not None and member.request.answer != "approved"
            usable = member.ends is not None and member.ends > now
            if member.status == "approved" and usable and not asks:
                return member
            return self.change(
                hospital,
                status="approved" if member.serial else "new",
                reason="",
                granted=asks or not usable,
                request=None if asks else member.request,
                owed=member.owed or member.status == "revoked",
            )

    def revoke(self, hospital: str, reason: str, now: float) -> Member:
        """An operator's no: cut off, and refused until approved again."""
        with self._lock:
            self.get(hospital)
            return self.change(hospital, status="revoked", granted=False, reason=reason, since=now, owed=True)

    def admit_administrator(self, serial: str) -> None:
        """Have the server take the administrator's certificate with this serial, and no other."""
        with self._lock:
            if serial != self._administrator:
                self._administrator = serial
                self._save()

    def _save(self) -> None:
        write_json(self._file, {name: asdict(member) for name, member in self._members.items()})
        sites = {name: member.serial for name, member in self._members.items() if member.admitted}
        rows = {name: member.rows for name, member in self._members.items() if member.rows is not None}
        administrator = {"administrator": self._administrator}
        write_json(self._allowed, {"sites": sites, "rows": rows, **administrator})


def _unix(text: str) -> float | None:
    """The Unix time that a certificate's end stands for; a text without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
