"""Backups of the parties' VMs, and putting one back. The private key is used here, and goes nowhere else.

A VM that waits for an archive has a key pair of its own. The archive's header is fetched, opened with the
private key, and sent back encrypted to the VM's: what the archive holds is never on this machine.
"""

import base64
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from automation.operate import machines
from automation.stacks.arm import Arm
from automation.stacks.target import Target
from automation.ui.console import say
from automation.ui.outcome import FedError, QuestionError, RefusedError
from federation.outputs import Outputs
from workloads.container_server.container_server import age, questions
from workloads.container_server.container_server.age import AgeError
from workloads.container_server.container_server.question import A, Question

MUTE: Final = (
    "its archives are made by themselves, and nobody can ask for one, or put one back.\n"
    "Fix: set egress: nat or firewall in its entry for that time, and ./fed up"
)
"""What to do about a VM without a way out (docs/adr/0018)."""
_PAUSE: Final = 1.0
_MADE_WITHIN: Final = 900.0
_WAITS_WITHIN: Final = 180.0
"""Seconds until a service that was ended has started again and waits."""


def new_key(file: Path) -> str:
    """Write a new private key to a new file, readable by its owner alone; return its public half.

    Raises QuestionError where there is such a file: what it opens would be lost.
    """
    identity = age.new_identity()
    recipient = age.recipient_of(identity)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise QuestionError(f"{file} is there already, and is not replaced: name another file") from None
    with os.fdopen(descriptor, "w") as stream:
        stream.write(f"# public key: {recipient}\n{identity}\n")
    return recipient


def read_key(file: Path) -> str:
    """Return the private key in a file, also in one that `age-keygen` wrote.

    Raises QuestionError where there is none.
    """
    try:
        lines = [line for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]
        age.recipient_of(lines[0])
    except (OSError, UnicodeDecodeError, IndexError, AgeError) as error:
        raise QuestionError(f"{file} holds no private key, AGE-SECRET-KEY-1...: {error}") from error
    return lines[0]


@final
@dataclass(frozen=True, kw_only=True)
class Protected:
    """One party's VM, asked about its backups."""

    arm: Arm
    machine: str
    party: str

    @classmethod
    def of(cls, target: Target, outputs: Outputs[str], party: str) -> "Protected":
        """Return a party's VM. Raises QuestionError for a party that the stack does not have, RefusedError
        for one without a way out.
        """
        machine = machines.of(outputs, party)
        machines.refuse_mute(target.name, party, MUTE)
        return cls(arm=target.arm(), machine=machine, party=party)

    def made(self) -> dict[str, Any]:
        """Return what was backed up last, and for whom: ``{recipient, last: {name, made, size, ...}?}``.

        Raises FedError, as every method here, when the VM does not answer, and RefusedError or QuestionError
        with its words.
        """
        return self._ask(questions.Backup())

    def make(self, to: str | None = None) -> dict[str, Any]:
        """Have an archive made now, for `to` or for the key that the stack names; return what was made."""
        before = (self.made()["last"] or {}).get("made", 0.0)
        self._ask(questions.Backup(now=True, to=to))
        return self._until(lambda: self._made_after(before, to), _MADE_WITHIN, "made no archive")

    def standing(self, question: questions.Restore = questions.Restore()) -> dict[str, Any]:  # noqa: B008 frozen
        """Return ``{archives, waits, restored?, recipient?, failed?}``."""
        return self._ask(question)

    def give_up(self) -> None:
        """Have the service end and wait for an archive to replace what is there."""
        self._ask(questions.Restore(replace=True))

    def go_on_without(self) -> None:
        """Have a VM that waits begin without an archive. Raises QuestionError where it does not wait."""
        self._ask(questions.Restore(without=True))

    def put_back(self, name: str | None, identity: str) -> dict[str, Any]:
        """Have the newest archive, or that name, put back; return what was: ``{name, made, digest, ...}``.

        Raises RefusedError for a key that does not open it, or an archive that is not this VM's.
        """
        waiting = self._until(self._waiting, _WAITS_WITHIN, "does not wait for an archive")
        name = name or next(iter(waiting["archives"]), None)
        if name is None:
            raise RefusedError(f"{self.party} has no archive")
        header = base64.b64decode(self.standing(questions.Restore(header=name))["header"])
        try:
            opened = age.rewrap(header, identity, waiting["recipient"])
        except AgeError as error:
            raise RefusedError(f"{name} of {self.party}: {error}") from error
        self.standing(questions.Restore(take=name, opened=base64.b64encode(opened).decode()))
        return self._until(lambda: self._put_back(waiting["restored"]), _MADE_WITHIN, "put nothing back")

    def _waiting(self) -> dict[str, Any] | None:
        """None while it is on its way there. Raises RefusedError for one that works and was told nothing."""
        standing = self._patiently()
        if standing and not standing["waits"]:
            raise RefusedError(
                f"{self.party} has its state and does not wait for an archive\n"
                "Fix: --replace, which gives up what is there"
            )
        return standing if standing and "recipient" in standing else None

    def _made_after(self, before: float, to: str | None) -> dict[str, Any] | None:
        """Return what was made since for that key: the VM makes others by itself, for the stack's."""
        last: dict[str, Any] | None = self.made()["last"]
        return last if last and last["made"] > before and to in (None, last["recipient"]) else None

    def _put_back(self, before: Any) -> dict[str, Any] | None:
        standing = self._patiently()
        if standing and standing.get("failed"):
            raise RefusedError(f"{self.party}: {standing['failed']}")
        done: dict[str, Any] | None = standing["restored"] if standing else None
        return done if done != before and standing and not standing["waits"] else None

    def _patiently(self) -> dict[str, Any] | None:
        """None while the service is between its end and its beginning."""
        try:
            return self.standing()
        except FedError:
            return None

    def _until(self, look: Callable[[], dict[str, Any] | None], within: float, what: str) -> dict[str, Any]:
        until = time.monotonic() + within
        while (found := look()) is None:
            if time.monotonic() > until:
                fix = f"Fix: ./fed logs {self.party} container-server"
                raise FedError(f"{self.party} {what} within {within:.0f} seconds\n{fix}")
            time.sleep(_PAUSE)
        return found

    def _ask(self, question: Question[A]) -> A:
        return machines.fedctl(self.arm, self.machine, self.party, question)


@final
@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """How one party's restore went. Times are in seconds."""

    party: str
    size: int
    files: int
    backup_seconds: float
    restore_seconds: float
    """From the moment at which the VM was told to give up its state until it had that of the archive."""


def rehearse(parties: Sequence[Protected]) -> Iterator[Rehearsed]:
    """Back up each party for a key of this moment, give up what is on its disk, put it back and compare.

    Raises RefusedError where what was put back differs from what was backed up.
    """
    identity = age.new_identity()
    for one in parties:
        say(f"{one.party}: backing up")
        began = time.monotonic()
        made = one.make(age.recipient_of(identity))
        given_up = time.monotonic()
        say(f"{one.party}: giving up what is on its disk, and putting it back")
        one.give_up()
        back = one.put_back(made["name"], identity)
        if back["digest"] != made["digest"]:
            raise RefusedError(
                f"{one.party}: {made['files']} files backed up, {back['files']} put back: they differ"
            )
        yield Rehearsed(
            party=one.party,
            size=made["size"],
            files=made["files"],
            backup_seconds=given_up - began,
            restore_seconds=time.monotonic() - given_up,
        )
