"""Which images this VM runs, and the change to those that the stack names.

The stack names digests in the VM's userData; `images.env` has those in force, as `IMAGE_NAME=digest`. A
change is ordered by `order.env`, which a unit of the VM follows: it pulls, makes the containers again, and
goes back where the new container server is not well (components/boot/templates/change-images). This service
decides whether and when, and has those before ordered where its client or server does not come back.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from container_server.clock import Clock
from container_server.files import read_json, write_bytes, write_json
from container_server.log import say

IN_FORCE, ORDER, OUTCOME = "images.env", "order.env", "outcome"
WELL_SECONDS = 300.0
"""Within which client or server is to be as well as before, once the new images are in force."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0
"""Seconds between two orders of the same, each pause twice the last: each order pulls images."""
Digests = Mapping[str, str]
"""Image -> `sha256:...`."""
State = Literal["current", "turn", "approval", "job", "changing", "back"]
"""`turn`, `approval` and `job` are what a change waits for; `back`: it failed, and those before run."""


@dataclass(frozen=True, kw_only=True)
class Go:
    """The order that it is this party's turn: which set of images, and the how-manyth try of it."""

    mark: str
    attempt: int

    @classmethod
    def of(cls, content: Mapping[str, Any] | None) -> "Go | None":
        """From its form in a message or a file."""
        return None if content is None else cls(mark=str(content["mark"]), attempt=int(content["attempt"]))


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far this VM is; `mark` is that of the set that the stack names."""

    state: State
    mark: str
    reason: str = ""

    def message(self) -> dict[str, str]:
        """As reports and answers have it."""
        return {"state": self.state, "mark": self.mark, "reason": self.reason[:300]}


def mark_of(digests: Digests) -> str:
    """A short name of a set of images: 12 hex digits."""
    lines = "".join(f"{image}={digest}\n" for image, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def variable(image: str) -> str:
    """The image's variable in `images.env` and the compose file."""
    return "IMAGE_" + image.upper().replace("-", "_")


@final
class Images:
    """`step()` goes on as far as it can; what is next follows from files, so that whoever is killed goes on.

    `named` gives what the stack names, `go` the order that it is this party's turn, `refusal` why these
    images (only those that change) may not run, `idle` whether no job runs, and `ill` what is wrong with
    client or server. `tell` adds to the party's record.
    """

    def __init__(
        self,
        *,
        folder: Path,
        memory: Path,
        clock: Clock,
        named: Callable[[], Digests | None],
        go: Callable[[], Go | None],
        refusal: Callable[[Digests], str],
        idle: Callable[[], AbstractContextManager[bool]],
        ill: Callable[[], str],
        tell: Callable[[str, Mapping[str, Any]], None],
    ):
        self._folder = folder
        self._memory = memory
        self._clock = clock
        self._named = named
        self._go = go
        self._refusal = refusal
        self._idle = idle
        self._ill = ill
        self._tell = tell
        remembered: dict[str, Any] = read_json(memory) or {}
        self._change: dict[str, Any] | None = remembered.get("change")
        self._back: dict[str, Any] | None = remembered.get("back")
        self.standing: Standing | None = None
        """None on a VM whose boot text or userData is older than this."""
        self.waiting: Digests = {}
        """What the stack names and does not run yet."""

    @property
    def in_force(self) -> dict[str, str]:
        """Variable -> digest of what runs; empty where nothing says so."""
        file = self._folder / IN_FORCE
        return dict(line.split("=", 1) for line in file.read_text().split()) if file.is_file() else {}

    def changes(self, named: Digests) -> dict[str, str]:
        """Those of the named images that this VM has, and runs of another digest."""
        known = self.in_force
        return {
            image: digest
            for image, digest in named.items()
            if variable(image) in known and known[variable(image)] != digest
        }

    def step(self) -> None:
        """Look, and do the next thing. Raises TransientError or RefusedInputError."""
        named = self._named()
        if named is None or not self.in_force:
            self.standing, self.waiting = None, {}
            return
        if self._change is not None:
            self._judge(self._change)
        self.standing, self.waiting = self._standing(named), self.changes(named)

    def _standing(self, named: Digests) -> Standing:
        mark = mark_of(named)
        if self._change is not None:
            return Standing(state="changing", mark=mark, reason=self._progress(self._change))
        changes = self.changes(named)
        if not changes:
            return Standing(state="current", mark=mark)
        go = self._go()
        if go is None or go.mark != mark:
            return Standing(state="turn", mark=mark, reason="other images wait for ./fed upgrade")
        if self._back and (self._back["mark"], self._back["attempt"]) == (mark, go.attempt):
            return Standing(state="back", mark=mark, reason=self._back["why"])
        if why := self._refusal(changes):
            return Standing(state="approval", mark=mark, reason=why)
        return self._begin(go, changes)

    def _begin(self, go: Go, changes: Digests) -> Standing:
        with self._idle() as idle:
            if not idle:
                return Standing(state="job", mark=go.mark, reason="other images wait for the end of a job")
            before = self.in_force
            after = {**before, **{variable(image): digest for image, digest in changes.items()}}
            known = {"mark": go.mark, "attempt": go.attempt, "well": not self._ill()}
            self._tell("images", {"images": dict(changes)})
            (self._folder / OUTCOME).unlink(missing_ok=True)
            self._note(change={**known, "before": before, "after": after, "ordered": False})
            self._order(after)
        say("other images ordered", images=dict(changes))
        return Standing(state="changing", mark=go.mark, reason="ordered")

    def _order(self, digests: Digests) -> None:
        """Last of a step: the unit that follows it may end this process at once."""
        now = self._clock.now()
        self._note(change={**(self._change or {}), "ordered": True, "since": None, "at": now})
        content = "".join(f"{name}={digests[name]}\n" for name in sorted(digests))
        write_bytes(self._folder / ORDER, content.encode())

    def _judge(self, change: dict[str, Any]) -> None:
        """What became of a change, once the unit has done its part."""
        if (self._folder / ORDER).exists():
            return
        target = change["before"] if "why" in change else change["after"]
        if self.in_force != target:
            outcome = self._folder / OUTCOME
            if change["ordered"] and outcome.is_file() and "why" not in change:
                self._went_back(change, outcome.read_text().strip()[:300])
            else:  # killed before the order was written, or the way back failed (nothing can be pulled)
                self._order_again(change, target)
        elif "why" in change:
            self._went_back(change, change["why"])
        else:
            self._look_after(change)

    def _order_again(self, change: dict[str, Any], target: Digests) -> None:
        tries = change.get("tries", 0)
        pause = min(FIRST_PAUSE * 2**tries, LONGEST_PAUSE) if change["ordered"] else 0.0
        if abs(self._clock.now() - change.get("at", 0.0)) >= pause:
            self._note(change={**change, "tries": tries + 1})
            self._order(target)

    def _progress(self, change: Mapping[str, Any]) -> str:
        outcome = self._folder / OUTCOME
        if "why" not in change or "tries" not in change or not outcome.is_file():
            return "its containers are made again"
        said = outcome.read_text().strip()
        return f"{change['why']}; the images before are not back after {change['tries']} more tries: {said}"

    def _look_after(self, change: dict[str, Any]) -> None:
        """Take the change as done when client or server are as well as before; go back when they are not."""
        ill, now = self._ill() if change["well"] else "", self._clock.now()
        if not ill:
            self._note(change=None, back=None)
            say("other images in force", mark=change["mark"])
        elif change["since"] is None:
            self._note(change={**change, "since": now})
        elif now - change["since"] > WELL_SECONDS:
            why = f"not well {WELL_SECONDS:.0f} s after the change: {ill}"
            self._note(change={**change, "why": why[:300]})
            self._order(change["before"])

    def _went_back(self, change: Mapping[str, Any], why: str) -> None:
        self._tell("images-back", {"why": why})
        self._note(change=None, back={"mark": change["mark"], "attempt": change["attempt"], "why": why})
        say("the images before are in force again", reason=why)

    def _note(self, *, change: dict[str, Any] | None, back: dict[str, Any] | None = None) -> None:
        self._change = change
        self._back = back if change is None else self._back
        write_json(self._memory, {"change": self._change, "back": self._back})
