"""What an operator asked to be rotated, step by step, each of which may be done again after a kill.

A server has a new kit with one restart, between jobs unless the operator wants it at once. A root hands over:

    the next root is made -> the server runs with a kit of it and still trusts the old one
        -> it signs hospitals, each is asked to renew -> all have, or the operator ends it
        -> the server trusts the new root alone -> the old root's key is deleted
"""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from container_server.centre.authority import Authority
from container_server.centre.members import Members
from container_server.clock import Clock
from container_server.errors import ContainerServerError
from container_server.files import read_json, write_json
from container_server.log import say


class RotationRefusedError(ContainerServerError):
    """A rotation that cannot begin, or cannot be ended."""


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What was asked and is not done. `now`: also while a job runs. `finish`: whoever is left behind."""

    server: bool = False
    root: bool = False
    now: bool = False
    finish: bool = False


class Rotation:
    """Remembers, in `memory`, what was asked. `step()` goes on as far as possible now."""

    def __init__(self, authority: Authority, members: Members, clock: Clock, memory: Path):
        self._authority = authority
        self._members = members
        self._clock = clock
        self._memory = memory
        self._asked = _Asked(**(read_json(memory) or {}))
        self._changing = threading.Lock()

    @property
    def server_is_asked(self) -> bool:
        """Whether the server is to have a new kit though the one it has is good."""
        return self._asked.server

    @property
    def now(self) -> bool:
        """Whether the server is to be restarted though a job runs."""
        return self._asked.now

    def ask_for_server(self, *, now: bool) -> None:
        """Have the server get a new key and certificate."""
        self._change(server=True, now=now)

    def ask_for_root(self, *, now: bool) -> None:
        """Have the next root take over. Raises RotationRefusedError while one does."""
        if self._asked.root or self._authority.roots.handing_over:
            raise RotationRefusedError("a root hands over already: ./fed status says how far it is")
        self._change(root=True, now=now)

    def finish(self, *, now: bool) -> None:
        """Withdraw the old root whoever has not moved. Raises RotationRefusedError when there is none to."""
        roots = self._authority.roots
        if not (roots.handing_over and roots.told):
            raise RotationRefusedError("no old root can be withdrawn: no hospital was asked to move yet")
        self._change(finish=True, now=now)

    def server_is_new(self) -> None:
        """Take note that the server runs with a kit that was made since it was asked for."""
        if self._asked.server or self._asked.now:
            self._change(server=False, now=False)

    def left_behind(self, reports: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Members that do not run with a certificate of the root that signs -> what they wait for."""
        found = {}
        for name, member in self._members.all().items():
            if not member.admitted:
                continue
            if not self._authority.roots.has_signed(member.root):
                waits = member.waiting is not None
                found[name] = "a person must approve its renewal" if waits else "it has not asked yet"
            elif (reports.get(name, {}).get("certificate") or {}).get("serial") != member.serial:
                found[name] = "it has not said that it runs with its new certificate"
        return found

    def step(self, reports: Mapping[str, Mapping[str, Any]]) -> None:
        """Go on. `reports` holds what each member said last. Raises NvflareError."""
        roots = self._authority.roots
        if not roots.made:
            return
        if self._asked.root:
            if not roots.handing_over:
                self._authority.add_root()
            self._change(root=False)
        if roots.handing_over and not roots.told and self._server_has_moved():
            roots.sign_with_newest()
            say("the next root signs hospitals", fingerprint=roots.fingerprint)
        self._have_members_renew()
        if roots.handing_over and roots.told and self._may_withdraw(reports):
            roots.trust_newest()
            self._change(finish=False)
        if roots.has_old_keys and self._server_has_moved():
            roots.forget_old_keys()
            say("old root withdrawn: its key is deleted", root=roots.fingerprint)

    def words(self, reports: Mapping[str, Mapping[str, Any]]) -> str:
        """What is under way; empty when nothing is."""
        roots = self._authority.roots
        if self._asked.root or (roots.handing_over and not roots.told):
            return "a new root: the server restarts with a certificate of it when no job runs"
        if roots.handing_over:
            behind = self.left_behind(reports)
            waits = "; ".join(f"{name}: {why}" for name, why in sorted(behind.items()))
            return f"a new root: {len(behind)} hospitals still have a certificate of the old one ({waits})"
        if roots.has_old_keys:
            return "the old root is withdrawn as the server restarts, when no job runs"
        return "a new certificate for the server, when no job runs" if self._asked.server else ""

    def _server_has_moved(self) -> bool:
        return self._authority.server_kit_is_of_newest_root() and not self._authority.restart_due

    def _may_withdraw(self, reports: Mapping[str, Mapping[str, Any]]) -> bool:
        behind = self.left_behind(reports)
        if behind and self._asked.finish:
            say("old root withdrawn before all have moved", left_behind=behind)
        return not behind or self._asked.finish

    def _have_members_renew(self) -> None:
        """Once each, also those who come back with a certificate of a root that is gone."""
        roots = self._authority.roots
        for name, member in self._members.all().items():
            old = member.admitted and not roots.has_signed(member.root)
            if old and member.asked_under != roots.fingerprint:
                renew = member.next_renewal(self._clock.now())
                self._members.change(name, owed=True, renew=renew, asked_under=roots.fingerprint)
                say("asked to renew under the root that signs now", hospital=name)

    def _change(self, **asked: bool) -> None:
        """A command and the loop may change it at once: neither undoes what the other did."""
        with self._changing:
            new = replace(self._asked, **asked)
            write_json(self._memory, asdict(new))
            self._asked = new
