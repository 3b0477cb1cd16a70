"""What an operation of the engine has done so far, from the engine's own events."""

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from pulumi.automation.events import EngineEvent, StepEventMetadata

from automation.stacks.policy_pack import Violation, from_event
from automation.stacks.urns import is_counted, name_of, party_of, type_of

CHANGES = {
    "create": "created",
    "import": "imported",
    "update": "updated",
    "create-replacement": "replaced",
    "import-replacement": "replaced",
    "replace": "replaced",
    "delete": "deleted",
    "delete-replaced": "deleted",
    "read": "read",
    "refresh": "refreshed",
    "discard": "deleted",
    "same": "unchanged",
}
"""The engine's operations as a person calls them when they are done; a replacement counts when it is made."""

_UNCOUNTED = {"replace", "delete-replaced", "discard-replaced"}
_MARKUP = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
_TRIED_AGAIN = re.compile(r"retrying \w+ due to on-error hook request")
"""The engine's words when a resource waits for its role (components/role_propagation.py)."""
_FROM_PATH = re.compile(r"using pulumi-\S+ from \$PATH at ")


@dataclass
class Share:
    """What happened to one party's resources: URNs that were started and ended, and how."""

    started: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def count(self) -> Counter[str]:
        """Return how many resources were created, updated..., by the words of `CHANGES`."""
        return Counter(CHANGES.get(operation, operation) for operation in self.ended.values())

    def running(self) -> list[str]:
        """Return the resources under way, oldest first."""
        return [urn for urn in self.started if urn not in self.ended and urn not in self.failed]


@dataclass(frozen=True)
class Said:
    """A message of the engine, a provider or the program; `urn` is empty when it is about no resource."""

    severity: str
    urn: str
    text: str


class Record:
    """Collects the events of one operation; safe to read while the engine's threads add to it."""

    def __init__(self, stack: str, hospitals: tuple[str, ...]) -> None:
        self._stack, self._hospitals = stack, hospitals
        self._lock = threading.Lock()
        self.began = time.monotonic()
        self.shares: dict[str, Share] = {}
        self.said: list[Said] = []
        self.times: dict[str, list[float]] = {}
        self.tried_again: set[str] = set()
        self.violations: list[Violation] = []

    def add(self, event: EngineEvent) -> None:
        """Take one event."""
        with self._lock:
            if event.resource_pre_event:
                self._step(event.resource_pre_event.metadata, "started")
            elif event.res_outputs_event:
                self._step(event.res_outputs_event.metadata, "ended")
            elif event.res_op_failed_event:
                self._step(event.res_op_failed_event.metadata, "failed")
            elif event.policy_event:
                found = from_event(self._stack, event.policy_event, self._hospitals)
                if found not in self.violations:
                    self.violations.append(found)
            elif event.diagnostic_event and event.diagnostic_event.severity in {"warning", "error"}:
                seen = event.diagnostic_event
                text = _MARKUP.sub("", f"{seen.prefix or ''}{seen.message}").strip()
                if _TRIED_AGAIN.search(text):
                    self.tried_again.add(seen.urn or "")
                    return
                said = Said(seen.severity, seen.urn or "", re.sub(r"^(error|warning): ", "", text))
                if text and said not in self.said and not _FROM_PATH.match(said.text):
                    self.said.append(said)

    def _step(self, step: StepEventMetadata, phase: str) -> None:
        state = step.new or step.old
        operation = str(getattr(step.op, "value", step.op))
        if state is None or operation in _UNCOUNTED or not is_counted(step.urn, custom=bool(state.custom)):
            return
        party = party_of(self._stack, step.urn, state.provider or "", self._hospitals)
        share = self.shares.setdefault(party, Share())
        share.started.setdefault(step.urn, operation)
        since = time.monotonic() - self.began
        self.times.setdefault(step.urn, [since, since])[1] = since
        if phase == "ended":
            share.ended[step.urn] = operation
        elif phase == "failed":
            share.failed.add(step.urn)

    def waiting(self) -> int:
        """Return how many resources wait for their role: Azure refused them, and they are tried again."""
        with self._lock:
            over = {urn for share in self.shares.values() for urn in (*share.ended, *share.failed)}
            return len(self.tried_again - over)

    def parties(self) -> list[tuple[str, Share]]:
        """Return what happened party by party, the centre first."""
        with self._lock:
            return sorted(self.shares.items(), key=lambda item: (item[0] != "centre", item[0]))

    def totals(self) -> Counter[str]:
        """Return the counts of all parties together."""
        return sum((share.count() for _, share in self.parties()), Counter())

    def changed(self) -> dict[str, str]:
        """Return what was done to each resource (URN) that did not stay as it was."""
        return {
            urn: CHANGES.get(operation, operation)
            for _, share in self.parties()
            for urn, operation in share.ended.items()
            if operation not in {"same", "read", "refresh"}
        }

    def unchanged(self) -> dict[str, int]:
        """Return how many resources of each party stay as they are; a preview's JSON leaves them out."""
        return {party: share.count()["unchanged"] for party, share in self.parties()}

    def seconds(self) -> float:
        """Return how long it has taken so far."""
        return time.monotonic() - self.began

    def warnings(self) -> list[str]:
        """Return the warnings, each once."""
        return [_about(said) for said in self.said if said.severity == "warning"]

    def errors(self) -> list[str]:
        """Return what went wrong: per resource, or what the program itself said."""
        named = [said for said in self.said if said.severity == "error"]
        useful = [said for said in named if said.text not in {"update failed", "preview failed"}]
        return [_about(said) for said in useful or named]


def _about(said: Said) -> str:
    if not said.urn or type_of(said.urn) == "pulumi:pulumi:Stack":
        return said.text
    return f"{name_of(said.urn)} ({type_of(said.urn)}): {said.text}"
