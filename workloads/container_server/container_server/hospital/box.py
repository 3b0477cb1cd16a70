"""Starts and ends the box of a job, on the client's word: a container without network that forgets all.

The client leaves an order in its own folder; this service, which alone may use the engine, follows it and
says so in the folder that the client reads. An order names a job, its box by the digest of its image, and the
columns that its manifest names, and nothing else: which containers there are, of which image and with which
mounts, says the VM's compose file.
"""

import os
import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from fed_site.house_rules import HouseRules
from fed_site.manifest import BASE

from container_server.cadence import Cadence
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.engine import MIB, Engine, EngineUnreachableError, Limits, Running
from container_server.files import read_json, write_json
from container_server.foreign import ForeignFolder
from container_server.hospital.box_input import Agreed, BoxInput, NoInputError
from container_server.hospital.consent import ANSWERS
from container_server.log import say

BOX, CLIENT = "fl-box", "fl-client"
"""Containers of the VM's compose file; a box with libraries is BOX, a hyphen and its name."""
ORDER = "box.json"
"""Below the client's folder: `{"number": N, "job": id or null, "box": name, "data": {file: [columns]}}`."""
DONE = "box.json"
"""In the folder that the client reads: `{"number": N, "problem": text}`."""
ORDER_LIMIT = 128 * 1024
"""A job's manifest, which names the columns, has half of it at most."""
LOOK_SECONDS = 0.1
CLIENT_LOOK_SECONDS = 2.0
_JOB = re.compile(r"[0-9a-f-]{36}")


@dataclass(frozen=True)
class Order:
    """A box for a job, or none (`job` is None)."""

    number: int
    job: str | None
    box: str = BASE
    data: Agreed = field(default_factory=dict)


@final
@dataclass(frozen=True, kw_only=True)
class Width:
    """How much this machine has."""

    memory_mb: int
    cpus: int

    @classmethod
    def own(cls) -> "Width":
        """Of this one, whose container sees all of it."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(memory_mb=memory // MIB, cpus=os.cpu_count() or 1)


@final
class BoxKeeper:
    """Keeps at most one box running: that of the newest order, while its client runs.

    `images` are `name@sha256:...` of the boxes with libraries that the VM's own orders name.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        work: Path,
        answers: Path,
        box_input: BoxInput,
        images: Sequence[str] = (),
        machine: Width | None = None,
    ):
        self._containers = {BASE: BOX} | {image: f"{BOX}-{image.partition('@')[0]}" for image in images}
        self._engine = engine
        self._clock = clock
        self._input = box_input
        self._answers = answers / ANSWERS
        self._machine = machine or Width.own()
        self._work = ForeignFolder(work)
        self._done = answers / DONE
        said: Any = read_json(self._done) or {}
        self._followed: int | None = said.get("number")
        """Number of the order that was followed last; None before the first."""
        self._running = True
        """Whether there may be a box; at first that of a job that runs while this service restarts."""
        self._next_look = 0.0
        self._look = Chore("box", Cadence(clock, 0.0, longest_pause=5.0), self._step)

    def turn(self) -> float:
        """Look once, do what is needed; seconds until the next time."""
        self._look.run()
        return LOOK_SECONDS

    def _step(self) -> None:
        self._follow(self._order())
        self._look_after_the_client()

    def _order(self) -> Order:
        """The newest order; that of no box where there is none, or none that can be read."""
        content: Any = self._work.json(ORDER, ORDER_LIMIT)
        if not isinstance(content, dict) or type(content.get("number")) is not int:
            return Order(0, None)
        job = content.get("job")
        known = job if isinstance(job, str) and _JOB.fullmatch(job) else None
        return Order(content["number"], known, str(content.get("box")), _columns(content.get("data")))

    def _follow(self, order: Order) -> None:
        if order.number == self._followed:
            return
        self._end()
        problem = self._start(order) if order.job else ""
        if problem:
            self._end()  # it may have started in part
        self._running = order.job is not None and not problem
        write_json(self._done, {"number": order.number, "problem": problem}, 0o644)
        self._followed = order.number
        if order.job:
            say("box started" if self._running else "no box", job=order.job, problem=problem)

    def _start(self, order: Order) -> str:
        container = self._containers.get(order.box)
        if container is None:
            return f"the orders of this machine have no box {order.box[:100]}"
        try:
            self._engine.limit(container, house_limits(self._answers, self._machine)[0])
            self._input.fill(order.data)
            self._engine.start(container)
        except (EngineUnreachableError, NoInputError) as error:
            return str(error)[:300]
        except Exception as error:  # whatever it is: the client waits for a word, and its author for a reason
            say("the box does not start", job=order.job, trace=traceback.format_exception(error)[-3:])
            return f"the box does not start ({type(error).__name__}): see container-server's log"
        return ""

    def _end(self) -> None:
        for container in self._containers.values():
            if self._engine.state(container).running in (Running.RUNNING, Running.RESTARTING):
                self._engine.stop(container, seconds=0)
        self._input.clear()

    def _look_after_the_client(self) -> None:
        """A client that has died takes its box along."""
        if not self._running or self._clock.now() < self._next_look:
            return
        self._next_look = self._clock.now() + CLIENT_LOOK_SECONDS
        if self._engine.state(CLIENT).running is not Running.RUNNING:
            self._end()
            self._running = False
            say("box ended: its client does not run")


def house_limits(answers: Path, machine: Width) -> tuple[Limits, float]:
    """What the officers let a box use, as far as the machine goes; seconds for one answer."""
    said: Any = read_json(answers) or {}
    rules = HouseRules.read(said.get("rules", {})).limits
    limits = Limits(
        memory_mb=min(rules.memory_mb, machine.memory_mb),
        cpus=None if rules.cpus is None else min(rules.cpus, machine.cpus),
        processes=rules.processes,
        scratch_mb=min(rules.scratch_mb, rules.memory_mb, machine.memory_mb),
    )
    return limits, float(rules.seconds)


def _columns(given: Any) -> Agreed:
    """File -> columns of an order; of none but texts."""
    if not isinstance(given, dict):
        return {}
    return {
        str(file): [name for name in names if isinstance(name, str)]
        for file, names in given.items()
        if isinstance(names, list)
    }
