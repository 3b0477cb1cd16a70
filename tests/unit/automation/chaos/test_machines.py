"""Whom a fault of a running federation strikes, and when that federation counts as recovered."""

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest

from automation.chaos import machines
from automation.chaos.own_clone import Ended, OwnClone
from automation.chaos.running import Kept, Running
from automation.ui.outcome import FedError

CONTAINER = "/usr/bin/python3 -I -S /c/emulator/datacentre/machine/container.py /run/fed/{vm}/{name}.json "
BEFORE = Kept(finished=frozenset({"a"}))


def named(victim: str, command: str, party: str = "centre") -> bool:
    return bool(re.search(machines.PROCESSES[victim].format(party=party), command))


@pytest.mark.parametrize(
    ("victim", "name"),
    [
        ("container server", "container-server"),
        ("fl-server", "fl-server"),
        ("fl-client", "fl-client"),
        ("box", "fl-box-torch"),
        ("MLflow", "mlflow"),
    ],
)
def test_a_container_is_known_by_its_own_name_alone(victim: str, name: str) -> None:
    command = CONTAINER.format(vm="1a2b3c4d", name=name)
    assert [one for one in machines.PROCESSES if named(one, command)] == [victim]


def test_a_machine_is_known_by_its_party() -> None:
    command = 'sh -c hostname "$0"; while :; do sleep 3600 & wait; done vm-fed-dev-hungary '
    assert named("machine's first process", command, "hungary")
    assert not named("machine's first process", command, "centre")


def test_one_of_several_alike_is_struck_and_not_all(monkeypatch: pytest.MonkeyPatch) -> None:
    running = {
        pid: CONTAINER.format(vm=vm, name="fl-client")
        for pid, vm in enumerate(("one", "one", "two"), start=10)
    }
    struck: list[str] = []
    monkeypatch.setattr(machines, "kill", lambda _, words: struck.append(words) or [words])
    monkeypatch.setattr(Running, "processes", lambda _: running)
    with machines.STRIKES["kill fl-client"](Fake(), "kill fl-client", chance()) as blow:
        assert blow()
    (words,) = struck
    assert len([command for command in running.values() if words in command]) in {1, 2}


def chance() -> Random:
    return Random(1)  # noqa: S311 no secret


class Fake(Running):
    """A federation whose commands end as the test says; `wrong` is what is not well, look by look."""

    def __init__(self, *ends: int, wrong: Sequence[Sequence[str]] = (), jobs: str = "a") -> None:
        self.clone = FakeClone(*ends)
        self._looks, self._jobs, self.is_well = list(wrong), jobs, True

    def heal(self, seconds: float = 0.0) -> list[str]:
        return list(self._looks.pop(0)) if self._looks else []

    def jobs(self) -> list[Mapping[str, Any]]:
        return [{"id": job, "job": "heart", "state": "finished", "round": 6} for job in self._jobs]

    def _open_runs(self) -> list[str]:
        return []


class FakeClone(OwnClone):
    """Commands that end with these codes, one after the other, then with 0."""

    def __init__(self, *codes: int) -> None:
        self.codes, self.said = list(codes), list[Sequence[str]]()

    def run(self, *arguments: str) -> Ended:
        self.said.append(arguments)
        code = self.codes.pop(0) if self.codes else 0
        return Ended(code=code, output="", errors=f"{arguments[0]} ended with {code}", seconds=0.0)


def ended(code: int | None) -> Ended:
    return Ended(code=code, output="", errors="the server stopped", seconds=1.0)


def test_what_heals_by_itself_needs_no_second_run() -> None:
    found = Fake().recovered("kill box", ended(0), BEFORE)
    assert (found.runs, found.held) == (1, True)


def test_a_job_that_finished_counts_though_its_model_fails_the_gates() -> None:
    refused = Ended(code=1, output='{"state": "finished"}', errors="it fails its gates", seconds=1.0)
    assert Fake().recovered("kill box", refused, BEFORE).runs == 1
    failed = Ended(code=1, output='{"state": "failed"}', errors="the server stopped", seconds=1.0)
    assert Fake().recovered("kill box", failed, BEFORE).runs == 2


def test_a_training_that_failed_is_run_again_after_an_up() -> None:
    federation = Fake()
    found = federation.recovered("kill keeper", ended(3), BEFORE)
    assert (found.runs, found.held, found.said) == (2, True, "the server stopped")
    assert [words[0] for words in federation.clone.said] == ["up", "train"]  # type: ignore[attr-defined]


def test_what_is_not_well_after_three_runs_did_not_hold() -> None:
    federation = Fake(wrong=[["centre/mlflow is restarting"]] * 3)
    found = federation.recovered("kill MLflow", ended(0), BEFORE)
    assert (found.runs, found.held, federation.is_well) == (None, False, False)
    assert "centre/mlflow is restarting" in found.said


def test_a_finished_job_that_is_gone_is_a_loss() -> None:
    found = Fake(jobs="b").recovered("kill fl-server", ended(0), BEFORE)
    assert list(found.lost) == ["job a"]
    assert not found.held


def test_a_second_command_that_fails_while_one_trains_did_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    federation = Fake(3)
    with (
        machines.STRIKES["up and train"](federation, "up and train", chance()) as blow,
        pytest.raises(FedError, match="fed up while another trains: up ended with 3"),
    ):
        blow()
    with machines.STRIKES["train and train"](federation, "train and train", chance()) as blow:
        assert blow()
