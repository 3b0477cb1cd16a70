"""One verification from end to end: state, Resource Manager, packets, identities, names, as far as asked."""

import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from automation.verify.check import Verification, verify
from automation.verify.facts.finding import Finding, Look
from automation.verify.facts.resources import read_export
from automation.verify.observed import live, packets, pulls
from automation.verify.observed.probes import Inside
from federation.parties import Federation

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where to look besides the state; None where nobody looks.

    ``client`` is Resource Manager, ``prober`` opens connections, ``inside`` acts from within the machines,
    ``consent`` compares hospitals' records with the centre's jobs, ``running`` the images that run with
    those that were ordered. ``deployers`` are who may deploy.
    """

    client: live.Client | None = None
    deployers: live.Deployers | None = None
    prober: packets.Prober | None = None
    inside: Callable[[Verification], Inside] | None = None
    consent: Callable[[], Look] | None = None
    running: Callable[[], Look] | None = None
    unseen: tuple[str, ...] = ()
    """What nobody looks at this way, and how it is seen."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Everything that was found, when, and how long each proof took (seconds)."""

    date: dt.datetime
    state: Verification
    now: Verification | None
    packets: packets.Packets | None
    inside: Inside | None
    findings: tuple[Finding, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
    """What nobody looked at, and who can."""
    counted: Sequence[Mapping[str, Any]] = ()
    """What the centre says of its jobs, for hospitals' officers to compare."""

    @property
    def holds(self) -> bool:
        """Whether the deployment is what was intended, in both directions."""
        return not self.findings

    @property
    def shown(self) -> Verification:
        """What to show: what exists now if that was read, else the state."""
        return self.now or self.state


def run(stack: str, export: Mapping[str, Any], federation: Federation, sources: Sources) -> Outcome:
    """Verify a stack.

    Args:
        stack: its name.
        export: what ``pulumi stack export`` prints.
        federation: the parties that its settings describe.
        sources: where to look besides the state.

    Raises VerifyError when there is nothing to verify or something may not be seen.
    """
    seconds: dict[str, float] = {}

    def timed(proof: str, ask: Callable[[], T]) -> T:
        start = time.monotonic()
        answer = ask()
        seconds[proof] = time.monotonic() - start
        return answer

    state = timed("state", lambda: verify(read_export(stack, export), federation))
    findings = dict.fromkeys(state.findings)
    now = None
    if sources.client is not None:
        client = sources.client
        now = timed(
            "live",
            lambda: verify(live.read(client, state.deployment, federation, sources.deployers), federation),
        )
        findings |= dict.fromkeys(_news(state, now))
        findings |= dict.fromkeys(live.drift(state.deployment, now.deployment, state.intent))
        findings |= dict.fromkeys(pulls.check(client, now.deployment))
    seen = now or state
    sent = None
    if sources.prober is not None:
        prober = sources.prober
        sent = timed("packets", lambda: packets.measure(seen, prober))
        findings |= dict.fromkeys(sent.findings)
    inside = None
    if sources.inside is not None:
        look = sources.inside
        inside = timed("inside", lambda: look(seen))
        findings |= dict.fromkeys(inside.findings)
    consent = timed("consent", sources.consent) if sources.consent is not None else Look(findings=())
    findings |= dict.fromkeys(consent.findings)
    running = timed("images", sources.running) if sources.running is not None else Look(findings=())
    findings |= dict.fromkeys(running.findings)
    return Outcome(
        date=dt.datetime.now(tz=dt.UTC),
        state=state,
        now=now,
        packets=sent,
        inside=inside,
        findings=tuple(findings),
        seconds=seconds,
        unseen=(*sources.unseen, *consent.unseen, *running.unseen),
        counted=consent.counted,
    )


def _news(state: Verification, now: Verification) -> list[Finding]:
    """Return what is wrong now and not in the state: it was changed behind the program's back."""
    known = {(f.kind, f.rule, f.where) for f in state.findings}
    return [
        dataclasses.replace(f, what=f"behind the program's back: {f.what}")
        for f in now.findings
        if (f.kind, f.rule, f.where) not in known
    ]
