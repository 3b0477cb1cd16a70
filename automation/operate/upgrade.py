"""Other images, one party at a time: the centre first, each well before the next one's turn.

`fed up` has written the digests into each VM's userData. A VM that has them still waits for its turn, which
the centre passes on; then it waits for its officers, for a job to end, changes, and says how that went. All
of it is in what the parties say: a run that is killed goes on as the next one.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from rich.markup import escape

from automation.operate import machines
from automation.operate.machines import Centre
from automation.stacks.arm import Arm
from automation.ui.console import say, stderr
from automation.ui.outcome import FedError, QuestionError
from federation.outputs import Outputs
from federation.parties import CENTRE
from workloads.container_server.container_server import questions

PAUSE_SECONDS: Final = 2.0
_WAITS_FOR_A_PERSON: Final = "approval"


@final
@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the stack names for a party's VM: image -> digest, and the short name of that set."""

    party: str
    images: Mapping[str, str]

    @property
    def mark(self) -> str:
        """As the VM's container server computes it (container_server/images.py)."""
        lines = "".join(f"{image}={digest}\n" for image, digest in sorted(self.images.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:12]


def wanted(arm: Arm, outputs: Outputs[str], party: str | None) -> list[Wanted]:
    """Return what each party's VM is to run, the centre first; of one party where it is named.

    Raises QuestionError for a party that the stack does not have, FedError for a VM without images.
    """
    if party is not None:
        machines.of(outputs, party)
    chosen = [party] if party is not None else [CENTRE, *sorted(outputs.hospitals)]
    return [Wanted(party=name, images=_named(arm, machines.of(outputs, name), name)) for name in chosen]


def _named(arm: Arm, machine: str, party: str) -> dict[str, str]:
    answer = arm.get(machine, machines.COMPUTE, **{"$expand": "userData"})
    if answer.is_error:
        raise FedError(f"{party}'s VM cannot be read: {answer.error}")
    content = base64.b64decode(str(answer.body["properties"].get("userData") or ""))
    images = json.loads(content or b"{}").get("images")
    if not images:
        raise FedError(f"{party}'s VM is of an older release\nFix: ./fed up, which replaces it once")
    return dict(images)


def upgrade(centre: Centre, parties: Sequence[Wanted], *, patience: float) -> list[str]:
    """Give each party its turn and wait until it runs what it is to run, and is well; return the names of
    those that wait for their officers.

    `patience` is how many seconds each may take, the end of a running job included. Raises FedError for one
    that went back or is not well in time: the parties after it keep what they run. Raises QuestionError
    where versions of NVFlare would meet that are not known to work together, or a party has left meanwhile.
    """
    waiting, whole = [], _registered(centre)
    for turn in parties:
        began = time.monotonic()
        if _one(centre, turn, whole, began + patience):
            say(f"{turn.party} runs the images of the stack, {time.monotonic() - began:.0f} s")
        else:
            waiting.append(turn.party)
    return waiting


def _one(centre: Centre, turn: Wanted, whole: Collection[str], until: float) -> bool:
    """Whether the party runs them now; False where its officers are asked."""
    _insist(lambda: centre.ask(questions.Upgrade(party=turn.party, mark=turn.mark)), until)
    with stderr.status(f"{turn.party}: its turn") as status:
        for state, reason in _standings(centre, turn, whole):
            if state == "well":
                return True
            if state == "back":
                raise FedError(
                    f"{turn.party} went back to the images before: {reason}\n"
                    f"Fix: ./fed logs {turn.party} container-server; then ./fed upgrade tries again"
                )
            if state == _WAITS_FOR_A_PERSON:
                say(
                    f"{turn.party} waits: {reason}; when they have approved, it changes by itself\n"
                    f"     Its officers: ./fed hospital review {turn.party}"
                )
                return False
            if time.monotonic() > until:
                raise FedError(
                    f"{turn.party} does not run the images of the stack yet ({reason or state})\n"
                    "Fix: ./fed status; the next ./fed upgrade goes on"
                )
            status.update(escape(f"{turn.party}: {reason or state}"))  # in the party's own words
    raise AssertionError("a party has no end of standings")


def _standings(centre: Centre, turn: Wanted, whole: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield what the party says, again and again: `well` when it runs them and takes part; the centre, when
    the hospitals of `whole` are registered at it again.
    """
    while True:
        try:
            said = centre.ask(questions.Upgrade(party=turn.party))
            state = "seen" if said["mark"] != turn.mark else str(said["state"])
            reason = str(said["reason"])
            if state == "current":
                ill = _ill(centre.status(), turn.party, whole)
                state, reason = ("well", "") if not ill else ("current", ill)
        except QuestionError:  # that party is not there any more, say: to wait would not help
            raise
        except FedError as changing:  # the centre's own container server is made again
            state, reason = "changing", str(changing)
        yield state, reason
        time.sleep(PAUSE_SECONDS)


def _registered(centre: Centre) -> frozenset[str]:
    """Return the hospitals that are registered now."""
    return frozenset(name for name, row in centre.status()["hospitals"].items() if row["registered"])


def _ill(status: Mapping[str, Any], party: str, whole: Collection[str]) -> str:
    """Why a party takes no part; empty when it does."""
    hospitals = status["hospitals"]
    if party != CENTRE:
        row = hospitals.get(party, {})
        return "" if row.get("registered") else str(row.get("reason") or "not registered yet")
    down = [name for name, words in status["containers"].items() if not words.startswith("running")]
    if down:
        return f"{', '.join(sorted(down))} does not run"
    behind = [name for name in sorted(whole) if not hospitals.get(name, {}).get("registered")]
    return f"{', '.join(behind)} not registered again yet" if behind else ""


def _insist(ask: Callable[[], object], until: float) -> None:
    """Ask the centre, which may just be made again; what it refuses is not asked again."""
    while True:
        try:
            ask()
        except QuestionError:
            raise
        except FedError:
            if time.monotonic() > until:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
