"""What the centre knows of each hospital: its request, the decision, the serial it may register with.

One file on the data disk; the loop and the operator's commands change it under one lock. The server's
`allowed.json` is always derived from it.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from container_server.errors import ContainerServerError
from container_server.files import read_json, write_json

CENTRE = "centre"
"""The party that is no hospital."""

Status = Literal["new", "waiting", "approved", "refused", "revoked"]


class UnknownHospitalError(ContainerServerError):
    """A name that is no member's."""


@dataclass(frozen=True)
class Member:
    """One hospital. `granted`: an operator said yes to the request that waits, or to the next one."""

    status: Status = "new"
    request_id: str = ""
    request_sha256: str = ""
    """Of the last request looked at, so that each is looked at once."""
    reason: str = ""
    serial: str = ""
    valid_until: str = ""
    granted: bool = False
    left: bool = False
    """No longer in the list of members."""
    generation: int = 0
    """Of the desired state last written."""
    renew: int = 0

    @property
    def admitted(self) -> bool:
        """Whether the server lets its client register."""
        return bool(self.serial) and self.status == "approved" and not self.left


class Members:
    """All hospitals ever seen, by name."""

    def __init__(self, file: Path, allowed: Path):
        self._file = file
        self._allowed = allowed
        self._lock = threading.RLock()
        stored = read_json(file) or {}
        self._members = {name: Member(**content) for name, content in stored.items()}
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

    def take_in(self, hospital: str, *, manual: bool) -> bool:
        """Take in a hospital that came; say whether it came back.

        Its container is a new, empty one, so its desired state is to be written. One that comes back is
        admitted with the certificate it has; where approval is manual, a person must say so again. One that
        was revoked as it left asks anew, and the certificate it had stays refused.
        """
        with self._lock:
            known = self._members.get(hospital)
            member = replace(known or Member(), left=False, generation=0)
            if known and manual:
                member = replace(member, status="revoked", granted=False, reason="it had left and came back")
            elif member.status == "revoked":
                member = replace(member, status="new", serial="", request_sha256="", granted=False, reason="")
            self._members[hospital] = member
            self._save()
            return known is not None

    def let_go(self, hospital: str) -> None:
        """Take note that a hospital left."""
        self.change(hospital, left=True)

    def approve(self, hospital: str) -> Member:
        """An operator's yes: the waiting request is signed, a revoked hospital may enrol again."""
        with self._lock:
            member = self.get(hospital)
            if member.status == "approved":
                return member
            if member.status == "revoked" and member.serial:
                return self.change(hospital, status="approved", reason="")  # with the certificate it has
            return self.change(hospital, granted=True, status="new", request_sha256="", reason="")

    def revoke(self, hospital: str, reason: str) -> Member:
        """An operator's no: cut off, and refused until approved again."""
        with self._lock:
            self.get(hospital)
            return self.change(hospital, status="revoked", granted=False, reason=reason)

    def locked(self, action: Callable[[], None]) -> None:
        """Run something while nobody else changes members."""
        with self._lock:
            action()

    def _save(self) -> None:
        write_json(self._file, {name: asdict(member) for name, member in self._members.items()})
        sites = {name: member.serial for name, member in self._members.items() if member.admitted}
        write_json(self._allowed, {"sites": sites})
