"""All that can be said about one deployment without touching it: computed proofs, and differences."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from automation.verify.access import backups, identity, posture
from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import Deployment
from automation.verify.names import dns, services
from automation.verify.reach import doors, matrix, network
from federation.intent import intent
from federation.parties import Federation
from federation.stated import Intent

_ORDER = [Kind.OPEN, Kind.UNKNOWN, Kind.WEAKENED, Kind.MISSING]


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What is meant, what is, and how they differ."""

    deployment: Deployment
    federation: Federation
    intent: Intent
    topology: network.Topology
    matrix: matrix.Matrix
    doors: doors.Doors
    services: services.Services
    access: identity.Access
    names: dns.Names
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether the deployment is what was intended, in both directions."""
        return not self.findings


def verify(deployment: Deployment, federation: Federation, today: dt.date | None = None) -> Verification:
    """Compare a deployment with the statement of intent of a federation, as of `today` (else: now, UTC)."""
    parties = subscriptions(federation)
    meant = intent(federation)
    topology = network.topology(deployment, parties)
    reach = matrix.compute(topology, meant)
    ways = doors.compute(deployment, topology, meant, parties)
    fronts = services.compute(
        deployment,
        topology,
        parties,
        services.Meant(
            public_push=federation.settings.registry.public_push,
            windows=meant.windows,
            today=today or dt.datetime.now(tz=dt.UTC).date(),
        ),
    )
    access = identity.compute(deployment, meant, parties)
    names = dns.compute(deployment, topology, meant, parties)
    findings = [
        *(_unreadable(*entry) for entry in topology.unreadable),
        *reach.findings,
        *ways.findings,
        *fronts.findings,
        *access.findings,
        *names.findings,
        *posture.check(deployment, federation),
        *backups.check(deployment),
    ]
    return Verification(
        deployment=deployment,
        federation=federation,
        intent=meant,
        topology=topology,
        matrix=reach,
        doors=ways,
        services=fronts,
        access=access,
        names=names,
        findings=tuple(sorted(findings, key=lambda f: _ORDER.index(f.kind))),
    )


def subscriptions(federation: Federation) -> Mapping[str, str]:
    """Return the names of the parties by subscription id, lower case."""
    return {party.subscription_id.lower(): party.name for party in federation.parties}


def _unreadable(resource: str, why: str) -> Finding:
    return Finding(
        kind=Kind.UNKNOWN,
        proof=matrix.PROOF,
        rule="readable",
        what=f"{resource} cannot be judged",
        where=f"{resource}: {why}",
        why="what it opens is not known, so nothing can be promised",
        fix="remove it, or teach automation/verify/reach/network.py its effect",
    )
