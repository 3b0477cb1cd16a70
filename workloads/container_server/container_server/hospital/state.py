"""The hospital's state machine: from what is the case to a state, its reason, and the next thing to do. Pure.

    unenrolled --signed answer--> enrolled --kit and data right--> verified --server answers--> running
         ^                                                                                        |
         +---- a new certificate is asked for                 degraded <--- something is wrong <--+
    stopped: the centre or this hospital wants the client stopped

The state follows from the facts alone, so that a restart of the service, or of the VM, finds its way by
itself.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from container_server.engine import ContainerState, Running

HEARD_WITHIN_SECONDS = 30.0
"""A registered client hears from the server every 5 seconds."""
DEAF_SECONDS, DEAF_IN_A_JOB_SECONDS = 120.0, 600.0
"""After how long without an answer a client is started again. One whose registration the server cannot check
any more, because the server has another key, does not register again by itself (NVFlare 2.9). In a job it may
still join again when its network is back; one that was started again may not."""
GRACE_SECONDS = 60.0
"""How long a started client may take to register before that is a fault."""


class State(Enum):
    """What the report says."""

    UNENROLLED = "unenrolled"
    ENROLLED = "enrolled"
    VERIFIED = "verified"
    RUNNING = "running"
    DEGRADED = "degraded"
    STOPPED = "stopped"


class Action(Enum):
    """What to do next; one at a time."""

    NONE = "none"
    ENROL = "enrol"
    START = "start"
    STOP = "stop"
    RESTART = "restart"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is the case at one moment."""

    wanted: Literal["running", "stopped"]
    wanted_reason: str = ""
    enrolment: str | None = None
    """How far the enrolment is; None once a kit is assembled."""
    kit_faults: tuple[str, ...] = ()
    data_faults: tuple[str, ...] = ()
    data_notes: tuple[str, ...] = ()
    """What a person should know of data that were taken."""
    data_reading: str = ""
    """What of them is being read at this moment."""
    has_data: bool = False
    """Whether a checked copy of the data is ready (perhaps an older one, when there are faults)."""
    client: ContainerState
    heard_ago: float | None = None
    """Seconds since the server last answered the client; None when it never did since its start."""
    started_ago: float | None = None
    """Seconds since this service started the client; None when it did not, or stopped it since."""
    job_runs: bool = False
    """Whether a job ran here when the client last heard from the server."""
    restarts: int = 0
    """How often this service started it again since it last ran for long."""


@dataclass(frozen=True)
class Decision:
    """The state, why, and what to do."""

    state: State
    reason: str
    action: Action = Action.NONE


def decide(facts: Facts) -> Decision:
    """The decision for these facts."""
    alive = facts.client.running is Running.RUNNING
    if facts.wanted == "stopped":
        reason = facts.wanted_reason or "the centre wants it stopped"
        return Decision(State.STOPPED, reason, Action.STOP if alive else Action.NONE)
    if facts.enrolment is not None:
        # A client without a verified kit must not run; while a kit is renewed there still is one.
        return Decision(State.UNENROLLED, facts.enrolment, Action.STOP if alive else Action.ENROL)
    if facts.kit_faults:
        reason = "startup kit: " + "; ".join(facts.kit_faults)
        return Decision(State.DEGRADED, reason, Action.STOP if alive else Action.NONE)
    if not facts.has_data:
        reason = "data: " + ("; ".join(facts.data_faults) or facts.data_reading or "not looked at yet")
        state = State.DEGRADED if facts.data_faults else State.ENROLLED
        return Decision(state, reason, Action.STOP if alive else Action.NONE)
    return _of_running_client(facts) if alive else _of_stopped_client(facts)


def _of_stopped_client(facts: Facts) -> Decision:
    if facts.client.running is Running.ABSENT:
        return Decision(State.DEGRADED, "the engine has no container fl-client: has the VM finished to boot?")
    if facts.started_ago is not None:
        code = facts.client.exit_code
        how = "" if code is None else f" with exit code {code}"
        reason = f"the client ended{how} and is started again{_meaning(code)}"
        return Decision(State.DEGRADED, reason, Action.START)
    return Decision(State.VERIFIED, "kit and data are right; starting the client", Action.START)


def _of_running_client(facts: Facts) -> Decision:
    heard = facts.heard_ago is not None and facts.heard_ago < HEARD_WITHIN_SECONDS
    if heard and facts.data_faults:
        return Decision(
            State.DEGRADED, "running on the last good data; data: " + "; ".join(facts.data_faults)
        )
    if heard:
        return Decision(State.RUNNING, "; ".join(("registered at the server", *facts.data_notes)))
    if facts.restarts:
        return Decision(State.DEGRADED, f"the client keeps ending: started again {facts.restarts} times")
    if facts.heard_ago is None and facts.started_ago is not None and facts.started_ago < GRACE_SECONDS:
        return Decision(State.VERIFIED, "the client is starting")
    since = "never since its start" if facts.heard_ago is None else f"{facts.heard_ago:.0f} s ago"
    return Decision(
        State.DEGRADED,
        f"the client runs, but the server last answered it {since}: is the server up, the peering there, the"
        " certificate still approved?",
        Action.RESTART if _is_deaf(facts) else Action.NONE,
    )


def _is_deaf(facts: Facts) -> bool:
    """It was heard and is no more for long, or was never heard, for longer still, since it was started."""
    if facts.heard_ago is None:
        return facts.started_ago is not None and facts.started_ago > DEAF_IN_A_JOB_SECONDS
    return facts.heard_ago > (DEAF_IN_A_JOB_SECONDS if facts.job_runs else DEAF_SECONDS)


def _meaning(exit_code: int | None) -> str:
    return {
        78: ": it found no startup kit",
        101: ": it could not start or the server refused it (see its log)",
        137: ": it was killed (out of memory?)",
    }.get(exit_code or 0, "")
