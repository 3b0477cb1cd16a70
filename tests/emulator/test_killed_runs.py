"""A run that is killed at any request of a federation's life: the next one goes on, and all is as intended.

As `fed` does after a kill (docs/adr/0043): what no state knows of is taken away, the rest is looked at again,
and deployed. The state is what it was before the run, because the engine saves it at its end only.
"""

from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from automation.stacks.arm import Answer
from automation.stacks.recovery import half_made
from emulator.arm.messages import Request, Response
from tests.emulator.arm.test_faults import Phase, World, life
from tests.emulator.arm_client import Arm
from tests.emulator.small_engine import Goal

__all__ = ["life"]
SEED = 58


class Killed(BaseException):
    """The engine is gone."""


class Mortal:
    """A world whose runs can be killed at a request: before it is answered, or after it was done."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "emulator").mkdir()
        self.world = World(folder / "emulator", front=self._front)
        self._folder, self._left, self._done = folder, -1, False
        monkeypatch.setattr(half_made, "of_emulator", lambda emulator: self)

    def _front(self, request: Request) -> Response:
        self._left -= 1
        if self._left == 0 and not self._done:
            raise Killed
        answer = self.world.plane.handle(request)
        if self._left == 0:
            raise Killed
        return answer

    def requests(self, wanted: list[Goal]) -> int:
        """Return how many requests a run asks that nobody kills."""
        self._left = 0
        assert not self.world.engine.up(wanted)
        return -self._left

    def killed(self, wanted: list[Goal], moment: int, *, done: bool) -> None:
        """Begin a run and kill it at a request; its state is lost."""
        engine = self.world.engine
        before = dict(engine.state)
        self._left, self._done = moment, done
        with pytest.raises(Killed):
            engine.up(wanted)
        self._left = 0
        engine.state = before

    def recovered(self, wanted: list[Goal]) -> None:
        """Run again, as `fed` does after a kill."""
        emulator: Any = SimpleNamespace(home=self._folder)
        left = half_made.roll_back(emulator, self._stack())
        self.world.engine.refresh()
        assert not self.world.engine.up(wanted)
        half_made.clear(emulator, self._stack(), left)

    def _stack(self) -> Any:
        known = [{"id": kept.id} for kept in self.world.engine.state.values()]
        state = SimpleNamespace(deployment={"resources": known})
        return SimpleNamespace(name="dev", export_stack=lambda: state)

    def delete(self, path: str, version: str) -> Answer:
        """Delete a resource as `automation.stacks.arm` does."""
        answer = Arm(self.world.plane)("DELETE", path)
        return Answer(status=answer.status, body=answer.body or {})


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("moments", [3, pytest.param(40, marks=pytest.mark.long)], ids=["some", "many"])
def test_the_next_run_goes_on(
    life: list[Phase], moments: int, done: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mortal, chance = Mortal(tmp_path, monkeypatch), Random(f"{SEED} {done}")  # noqa: S311
    counts = [mortal.requests(phase.wanted) for phase in life]
    for _ in range(moments):
        for phase, count in zip(life, counts, strict=True):
            moment = chance.randint(1, count)
            mortal.killed(phase.wanted, moment, done=done)
            mortal.recovered(phase.wanted)
            assert not mortal.world.engine.pending(phase.wanted)
            found = mortal.world.inventory()
            assert found == phase.leaves, (phase.name, moment, found - phase.leaves, phase.leaves - found)
