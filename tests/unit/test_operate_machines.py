"""Commands on VMs: one at a time, in turn, and told plainly when the VM is gone."""

from collections.abc import Mapping
from typing import Any

import pytest

from automation.operate import machines
from automation.stacks.arm import Answer, Arm
from automation.ui.outcome import FedError

BUSY = Answer(status=409, body={"error": {"code": "Conflict", "message": "in progress"}})
SAID = "Enable succeeded:\n[stdout]\nhello\nfed-exit:0\n[stderr]\n"
DONE = Answer(status=200, body={"value": [{"message": SAID}]})


class Azure(Arm):
    """Gives prepared answers, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def post(self, path: str, version: str, body: Mapping[str, Any]) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "_PAUSE_SECONDS", 0)


def test_a_busy_vm_is_waited_for() -> None:
    assert machines.run(Azure(BUSY, BUSY, DONE), "/vms/one", ["true"]) == machines.Ran(0, "hello", "")


def test_a_vm_that_stays_busy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "BUSY_SECONDS", 0)
    with pytest.raises(FedError, match="one does not take commands: Conflict: in progress"):
        machines.run(Azure(BUSY), "/vms/one", ["true"])


def test_a_vm_that_is_gone_is_told() -> None:
    with pytest.raises(FedError, match="one is not there"):
        machines.run(Azure(Answer(status=404, body={})), "/vms/one", ["true"])
