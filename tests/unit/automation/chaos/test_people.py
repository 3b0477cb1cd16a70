"""When two people at once count as a fault that held."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from automation.chaos import people, run
from automation.chaos.life import Life, Step
from automation.chaos.own_clone import Ended, OwnClone
from automation.chaos.trial import Bounds, Trial

HELD = "fed: the stack dev is held by another run: process 7 of a on b, since now. Wait for it."


class FakeLife(Life):
    """Two commands end as the test says; what convergence is asked about is kept."""

    def __init__(self, clone: OwnClone, *ends: Ended) -> None:
        super().__init__(clone)
        self._ends = iter(ends)
        clone.edit = lambda change, stack="dev": None  # type: ignore[method-assign]
        clone.start = lambda *words: subprocess.Popen([sys.executable, "-c", ""], text=True)  # type: ignore[method-assign]
        clone.end = lambda process, since=None: next(self._ends)  # type: ignore[method-assign]

    def converged(self, fault: str, step: Step, first: Ended, moments: int, *, prove: bool) -> Trial:
        return Trial(fault=fault, during=step.name, moments=moments, runs=1 if first.code == 0 else 2)


def ended(code: int | None, errors: str = "") -> Ended:
    return Ended(code=code, output="", errors=errors, seconds=1.0)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnClone:
    monkeypatch.setattr("automation.chaos.own_clone.copy_repository", lambda root: root.mkdir())
    return OwnClone(tmp_path / "clone")


@pytest.fixture
def given(tmp_path: Path) -> Iterator[Bounds]:
    chance = Random(1)  # noqa: S311 no secret
    chance.uniform = lambda a, b: 0.0  # type: ignore[method-assign]
    yield Bounds(folder=tmp_path, until=0.0, chance=chance, faults=())


@pytest.mark.parametrize(
    ("ends", "runs", "held"),
    [
        ((ended(0), ended(3, HELD)), 1, True),
        ((ended(3, HELD), ended(0)), 1, True),
        ((ended(0), ended(0)), 1, True),
        ((ended(3, HELD), ended(3, HELD)), 2, True),
        ((ended(0), ended(3, "fed: this is a mistake in fed itself")), 1, False),
        ((ended(0), ended(None, "did not end within 300 s")), 1, False),
    ],
)
def test_who_is_refused_must_be_told_why(
    clone: OwnClone, given: Bounds, ends: Any, runs: int, held: bool
) -> None:
    (found,) = people.STRIKES["up and up"](FakeLife(clone, *ends), "up and up", given)
    assert (found.runs, found.held) == (runs, held)


def test_each_fault_has_one_name() -> None:
    assert len(set(run.NAMES)) == len(run.NAMES)
    assert set(people.NAMES) < set(run.NAMES)
