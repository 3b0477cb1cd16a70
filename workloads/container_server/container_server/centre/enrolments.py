"""The centre's half of enrolment: reads each hospital's request, decides, answers; states root and desired
state.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from container_server.cadence import Cadence
from container_server.centre.approval import (
    CertificateRequest,
    RequestRefusedError,
    examine,
    stated_request_id,
)
from container_server.centre.authority import Authority
from container_server.centre.members import Member, Members
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.config import Config
from container_server.errors import RefusedInputError
from container_server.hospital.enrolment import organisation
from container_server.log import say
from container_server.messages import (
    DECISION,
    DESIRED,
    REPORT,
    REQUEST,
    ROOT,
    SIGNED,
    InvalidMessageError,
    decode,
    encode,
)
from container_server.storage import Blob, BlobStore, Unread

FAST_SECONDS = 0.5
"""Between two looks at a hospital that has no certificate yet."""
REPORT_SECONDS = 2.0
"""Between two looks at the report of a hospital that is not running."""
ROUND_SECONDS = 1.0
"""Between two requests of the slow round over all hospitals: one request a second, however many they are."""
FAST_FOR_SECONDS = 600.0
"""How long a newcomer is looked at fast."""


@dataclass
class Channel:
    """One hospital's container, and what was last seen in it."""

    store: BlobStore
    greeting: Chore
    """Root, desired state, and an answer to its request."""
    reading: Chore
    """Its report."""
    expected_since: float
    """When a request was last to be expected: since the channel was opened, or a renewal asked for."""
    renewing: str | None = None
    """The request that a renewal asked for is to replace."""
    request_etag: str | None = None
    report_etag: str | None = None
    root_written: bool = False
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def trouble(self) -> str:
        """What is wrong with this container; empty when nothing is."""
        return self.greeting.trouble or self.reading.trouble


class Enrolments:
    """All hospitals' channels. `step()` does what is due now."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        members: Members,
        authority: Authority,
        open_channel: Callable[[str], BlobStore],
    ):
        self._config = config
        self._clock = clock
        self._members = members
        self._authority = authority
        self._open = open_channel
        self._channels: dict[str, Channel] = {}
        self._slow_round: list[tuple[str, str]] = []
        self._slow = Cadence(clock, ROUND_SECONDS)

    def channel(self, hospital: str) -> Channel:
        """A hospital's channel, opened on first use."""
        if hospital not in self._channels:
            fast = Cadence(self._clock, FAST_SECONDS, longest_pause=30.0)
            slow = Cadence(self._clock, REPORT_SECONDS)
            self._channels[hospital] = Channel(
                store=self._open(hospital),
                greeting=Chore("request", fast, lambda: self._greet(hospital), hospital),
                reading=Chore("report", slow, lambda: self._look_at_report(hospital), hospital),
                expected_since=self._clock.now(),
            )
        return self._channels[hospital]

    def reopen(self, hospital: str) -> None:
        """Begin anew with a hospital that came, or came back: its container went with it and is empty."""
        self._channels.pop(hospital, None)

    def step(self) -> bool:
        """Look where it is due. True while somebody is waiting for a quick answer."""
        present = {name: member for name, member in self._members.all().items() if not member.left}
        waiting = False
        for name, member in present.items():
            channel = self.channel(name)
            awaited = self._is_awaited(member, channel)
            waiting = waiting or awaited
            if awaited or not channel.root_written or not member.generation:
                channel.greeting.run()
            if channel.report.get("state") != "running":
                channel.reading.run()
        if self._slow.due():
            self._slow.succeeded()
            self._next_of_slow_round(sorted(present))
        return waiting

    def _greet(self, name: str) -> None:
        """Root and desired state to a newcomer, and an answer to its request."""
        channel = self.channel(name)
        if not channel.root_written:
            root = {"project": self._config.project, "fingerprint": self._authority.fingerprint}
            channel.store.write(ROOT, encode("root", root))
            channel.root_written = True
        if self._members.get(name).generation == 0:
            self.write_desired(name, "running")
        self._look_at_request(name, channel)

    def _is_awaited(self, member: Member, channel: Channel) -> bool:
        lately = self._clock.now() - channel.expected_since < FAST_FOR_SECONDS
        wanted = member.status == "new" or member.request_id == channel.renewing
        return (wanted and lately) or (member.granted and member.status != "approved")

    def write_desired(self, hospital: str, client: str, reason: str = "", renew: bool = False) -> None:
        """Tell a hospital what its client should do; the generation rises. Raises TransientError."""
        member = self._members.get(hospital)
        # Also above that of an earlier life of this VM whose disk is lost: hospitals refuse a lower one.
        generation = max(member.generation + 1, int(self._clock.now()))
        asked = member.renew + int(renew)
        content = {"generation": generation, "client": client, "renew": asked, "reason": reason}
        self.channel(hospital).store.write(DESIRED, encode("desired", content))
        self._members.change(hospital, generation=generation, renew=asked)
        if renew:
            channel = self.channel(hospital)
            channel.renewing, channel.expected_since = member.request_id, self._clock.now()

    def _next_of_slow_round(self, names: list[str]) -> None:
        self._slow_round = [look for look in self._slow_round if look[0] in names]
        if not self._slow_round:
            self._slow_round = [(name, what) for name in names for what in ("request", "report")]
        if self._slow_round:
            name, what = self._slow_round.pop(0)
            channel = self.channel(name)
            (channel.greeting if what == "request" else channel.reading).attempt()

    def _look_at_report(self, name: str) -> None:
        channel = self.channel(name)
        try:
            found = channel.store.read(REPORT, channel.report_etag)
            if isinstance(found, Blob):
                channel.report_etag = found.etag
                report = decode("report", found.content)
                if report["hospital"] != name:
                    raise InvalidMessageError(f"report: is of {report['hospital']!r}")
                channel.report = report
        except RefusedInputError as error:
            say("report refused", hospital=name, reason=str(error))

    def _look_at_request(self, name: str, channel: Channel) -> None:
        try:
            found = channel.store.read(REQUEST, channel.request_etag)
        except RefusedInputError as error:
            say("request refused", hospital=name, reason=str(error))
            return
        if found is Unread.UNCHANGED and self._members.get(name).request_sha256:
            return
        if found is Unread.UNCHANGED:  # an operator wants it looked at again
            found = channel.store.read(REQUEST)
        if isinstance(found, Blob):
            channel.request_etag = found.etag
            self._answer(name, channel, found.content)

    def _answer(self, name: str, channel: Channel, archive: bytes) -> None:
        digest = hashlib.sha256(archive).hexdigest()
        member = self._members.get(name)
        if digest == member.request_sha256:
            return
        answer = _Answer(name, channel, digest, stated_request_id(archive))
        try:
            request = examine(archive, name, self._config.project, organisation(name))
        except RequestRefusedError as error:
            self._decide(answer, "refused", str(error))
            return
        if member.status == "revoked":
            reason = f"revoked: {member.reason}; an operator must approve it again"
            self._decide(answer, "refused", reason, status="revoked")
        elif self._config.approval == "auto" or member.granted:
            self._sign(answer, request)
        else:
            self._decide(answer, "waiting", f"a person at the centre must approve: fedctl approve {name}")

    def _sign(self, answer: "_Answer", request: CertificateRequest) -> None:
        signed = self._authority.sign(request)
        answer.channel.store.write(SIGNED, signed.archive)
        # Allowed before the hospital can know: its client must not be refused on its first try.
        self._members.change(
            answer.hospital,
            status="approved",
            serial=signed.serial,
            valid_until=signed.valid_until,
            granted=False,
        )
        self._decide(answer, "approved")
        say("approved", hospital=answer.hospital, serial=signed.serial, valid_until=signed.valid_until)

    def _decide(self, answer: "_Answer", decision: str, reason: str = "", status: str | None = None) -> None:
        """Write the decision and remember it; `status` is the member's, where it is not the decision's
        name.
        """
        name, reason = answer.hospital, reason[:500]
        content = {"request_id": answer.request_id, "decision": decision, "reason": reason}
        answer.channel.store.write(DECISION, encode("decision", content))
        changes = {"request_sha256": answer.digest, "request_id": answer.request_id, "reason": reason}
        # A refused or waiting request does not take away the certificate a hospital already has.
        if decision == "approved" or not self._members.get(name).admitted:
            changes["status"] = status or decision
        self._members.change(name, **changes)
        if decision != "approved":
            say(decision, hospital=name, reason=reason)


@dataclass(frozen=True)
class _Answer:
    """To whom and to what a decision answers."""

    hospital: str
    channel: Channel
    digest: str
    request_id: str
