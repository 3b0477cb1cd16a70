"""The centre's half of enrolment: reads each hospital's request, decides, answers; states root and desired
state.
"""

import hashlib
import threading
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from container_server.cadence import Cadence
from container_server.centre.approval import (
    CertificateRequest,
    RequestRefusedError,
    examine,
    stated_request_id,
)
from container_server.centre.authority import Authority
from container_server.centre.members import Member, Members, Request, Verdict
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
    ROOTS,
    SIGNED,
    InvalidMessageError,
    decode,
    encode,
)
from container_server.notices import SILENT_SECONDS
from container_server.storage import Blob, BlobStore

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
    opened: float
    """When this service began to look at it."""
    expected_since: float
    """When a request was last to be expected: since the channel was opened, or an operator said something."""
    renewing: str | None = None
    """The request that another is expected to replace."""
    request_etag: str | None = None
    report_etag: str | None = None
    root_written: str = ""
    """Fingerprint of the root that was stated in it."""
    report_awaited: bool = False
    """Whether a job waits for what this hospital says."""
    images_awaited: bool = False
    """Whether this hospital was told to run other images."""
    report: dict[str, Any] = field(default_factory=dict)
    reported: float = 0.0
    """When the last report came, by this VM's clock."""
    refusals: dict[str, str] = field(default_factory=dict)
    """Why the present report or request cannot be read."""

    @property
    def trouble(self) -> str:
        """What is wrong with this container; empty when nothing is."""
        return "; ".join(filter(None, [self.greeting.trouble, self.reading.trouble, *self.refusals.values()]))

    def refuse(self, what: str, reason: str) -> None:
        """Set aside what cannot be read: it is not looked at again, and named until a readable one comes."""
        if self.refusals.get(what) != reason:
            say("set aside", what=what, owner=self.greeting.owner, reason=reason)
        self.refusals[what] = reason


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
        self._telling = threading.Lock()
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
                opened=self._clock.now(),
                expected_since=self._clock.now(),
            )
        return self._channels[hospital]

    def reports(self) -> dict[str, dict[str, Any]]:
        """What each hospital whose client may register reported last; empty where it has not."""
        admitted = [name for name, member in self._members.all().items() if member.admitted]
        return {name: self.channel(name).report for name in admitted}

    def silent(self) -> list[str]:
        """Hospitals whose client may register, and that have not reported for an hour."""
        now = self._clock.now()
        admitted = [name for name, member in self._members.all().items() if member.admitted]
        channels = {name: self.channel(name) for name in sorted(admitted)}
        heard = {name: max(channel.reported, channel.opened) for name, channel in channels.items()}
        return [name for name, moment in heard.items() if now - moment > SILENT_SECONDS]

    def reopen(self, hospital: str) -> None:
        """Start again with a hospital that came, or came back: its container went with it and is empty."""
        self._channels.pop(hospital, None)

    def step(self) -> bool:
        """Look where it is due. True while somebody is waiting for a quick answer."""
        present = {name: member for name, member in self._members.all().items() if not member.left}
        waiting = False
        for name, member in present.items():
            channel = self.channel(name)
            awaited = self._is_awaited(member, channel)
            waiting = waiting or awaited
            unstated = channel.root_written != self._authority.fingerprint
            if awaited or unstated or member.owed or _untold(member):
                channel.greeting.run()
            if channel.report_awaited or channel.images_awaited or channel.report.get("state") != "running":
                channel.reading.run()
        if self._slow.due():
            self._slow.succeeded()
            self._next_of_slow_round(sorted(present))
        return waiting

    def expect(self, hospital: str) -> None:
        """Look fast at a hospital that an operator's word concerns: it may ask, or waits for an answer."""
        channel, member = self.channel(hospital), self._members.get(hospital)
        channel.expected_since = self._clock.now()
        channel.renewing = member.request.request_id if member.request else None
        channel.greeting.cadence.at_once()

    def await_report(self, hospitals: Container[str]) -> None:
        """Look fast at the reports of these hospitals from now on, and of no others."""
        for name in list(self._channels):
            self._channels[name].report_awaited = name in hospitals

    def await_images(self, hospital: str) -> None:
        """Look fast at the reports of a hospital that runs other images, until it has them."""
        self.channel(hospital).images_awaited = True

    def tell(self, hospital: str) -> None:
        """Write what its client should do, with a higher number than before. Raises TransientError."""
        with self._telling:
            member = self._members.get(hospital)
            # Also above that of an earlier life of this VM whose disk is lost: hospitals refuse a lower one.
            generation = max(member.generation + 1, int(self._clock.now()))
            content = {"generation": generation, **_desired(member)}
            self.channel(hospital).store.write(DESIRED, encode("desired", content))
            changed = _desired(self._members.get(hospital)) != _desired(member)
            self._members.change(hospital, generation=generation, owed=changed)

    def _is_awaited(self, member: Member, channel: Channel) -> bool:
        lately = self._clock.now() - channel.expected_since < FAST_FOR_SECONDS
        newcomer = member.request is None and not member.serial
        renewing = member.request is not None and member.request.request_id == channel.renewing
        return lately and (newcomer or renewing or member.granted)

    def _greet(self, name: str) -> None:
        """Root and desired state to a newcomer, and an answer to its request."""
        channel = self.channel(name)
        self._state_root(channel)
        member = self._members.get(name)
        if member.owed:
            self.tell(name)
        if member.request and not member.request.told:
            self._say(name, member.request)
        self._look_at_request(name, channel)

    def _state_root(self, channel: Channel) -> None:
        """The root that signs, once what proves it is there: before anybody is asked to renew under it."""
        fingerprint = self._authority.fingerprint
        if channel.root_written != fingerprint:
            project = {"project": self._config.project}
            channel.store.write(ROOTS, encode("roots", {**project, **self._authority.roots.history}))
            channel.store.write(ROOT, encode("root", {**project, "fingerprint": fingerprint}))
            channel.root_written = fingerprint

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
                channel.report, channel.reported = report, self._clock.now()
                channel.refusals.pop("report", None)
                said = report.get("images") or {}
                if said.get("state") in ("current", "back", "approval"):
                    channel.images_awaited = False
                self._note_patients(name, report)
        except RefusedInputError as error:
            channel.refuse("report", str(error))

    def _note_patients(self, name: str, report: Mapping[str, Any]) -> None:
        """The server refuses answers of a hospital that speak of more patients than a job's files have."""
        counted = {file: known["rows"] for file, known in report["data"].items()}
        rows = {file: number for file, number in counted.items() if number is not None} or None
        if self._members.get(name).rows != rows:
            self._members.change(name, rows=rows)

    def _look_at_request(self, name: str, channel: Channel) -> None:
        looked_at = self._members.get(name).request is not None
        try:
            # One that an operator wants looked at again is read though it is the same.
            found = channel.store.read(REQUEST, channel.request_etag if looked_at else None)
        except RefusedInputError as error:
            channel.refuse("request", str(error))
            return
        if isinstance(found, Blob):
            channel.refusals.pop("request", None)
            channel.request_etag = found.etag
            self._answer(name, channel, found.content)

    def _answer(self, name: str, channel: Channel, archive: bytes) -> None:
        digest = hashlib.sha256(archive).hexdigest()
        member = self._members.get(name)
        if member.request and digest == member.request.sha256:
            return
        asked = _Asked(name, stated_request_id(archive), digest)
        try:
            request = examine(archive, name, self._config.project, organisation(name))
        except RequestRefusedError as error:
            # An operator's yes was for something else, and is used up.
            self._decide(asked, "refused", str(error), granted=False)
            return
        if member.status == "revoked":
            self._decide(asked, "refused", f"revoked: {member.reason}; an operator must approve it again")
        elif self._config.approval == "auto" or member.granted:
            self._sign(asked, request, channel)
        else:
            self._decide(asked, "waiting", f"a person must approve it: ./fed hospital approve {name}")

    def _sign(self, asked: "_Asked", request: CertificateRequest, channel: Channel) -> None:
        signed = self._authority.sign(request)
        channel.store.write(SIGNED, signed.archive)
        # Allowed before the hospital can know: its client must not be refused on its first try.
        certificate = {"serial": signed.serial, "valid_until": signed.valid_until, "root": signed.root}
        self._decide(asked, "approved", status="approved", granted=False, **certificate)

    def _decide(self, asked: "_Asked", answer: Verdict, reason: str = "", **changes: object) -> None:
        """Remember the answer, then give it: whoever is killed in between gives it later, and signs once."""
        before = self._members.get(asked.hospital).request
        request = Request(
            request_id=asked.request_id,
            sha256=asked.sha256,
            answer=answer,
            reason=reason[:500],
            since=before.since if before and before.answer == answer == "waiting" else self._clock.now(),
        )
        self._members.change(asked.hospital, request=request, **changes)
        say(answer, hospital=asked.hospital, reason=reason, **changes)
        self._say(asked.hospital, request)

    def _say(self, name: str, request: Request) -> None:
        content = {
            "request_id": request.request_id,
            "decision": request.answer,
            "reason": request.reason,
        }
        self.channel(name).store.write(DECISION, encode("decision", content))
        if self._members.get(name).request == request:
            self._members.change(name, request=replace(request, told=True))


def _untold(member: Member) -> bool:
    return member.request is not None and not member.request.told


def _desired(member: Member) -> dict[str, Any]:
    """What its client should do, by what the centre knows."""
    stopped = member.status == "revoked"
    reason = f"revoked by the centre: {member.reason}" if stopped else ""
    return {
        "client": "stopped" if stopped else "running",
        "renew": member.renew,
        "reason": reason[:500],
        **({"images": dict(member.images)} if member.images else {}),
    }


@dataclass(frozen=True)
class _Asked:
    """A request that is being looked at."""

    hospital: str
    request_id: str
    sha256: str
