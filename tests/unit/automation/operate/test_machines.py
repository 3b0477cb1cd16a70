"""Commands on VMs: one at a time, in turn, and told plainly when the VM is gone."""

import json
import unicodedata
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from automation.operate import logs, machines, training
from automation.operate.consent import House
from automation.stacks.arm import Answer, Arm
from automation.ui.options import On
from automation.ui.outcome import FedError, RefusedError
from automation.ui.plain import plain
from federation.settings import load
from tests.unit.federation.test_settings import GALLERY
from tests.unit.support.program_graph import stack_config
from workloads.container_server.container_server import questions

BUSY = Answer(status=409, body={"error": {"code": "Conflict", "message": "in progress"}})
SAID = "Enable succeeded:\n[stdout]\nhello\nfed-exit:0\n[stderr]\n"
DONE = Answer(status=200, body={"value": [{"message": SAID}]})


class Azure(Arm):
    """Gives prepared answers, the last one forever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def post(self, path: str, version: str, body: Mapping[str, Any]) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "_PAUSE_SECONDS", 0)


def test_a_busy_vm_is_waited_for() -> None:
    assert machines.run(Azure(BUSY, BUSY, DONE), "/vms/one", ["true"]) == machines.Ran(0, "hello", "")


def test_a_question_leaves_the_vm_to_others_for_longer_than_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run command takes 20 seconds at least, and one VM runs one at a time."""
    moments, pauses = iter([0.0, 20.0, 70.0, 70.1, 99.0, 99.0]), list[float]()
    monkeypatch.setattr(training.time, "monotonic", lambda: next(moments))
    monkeypatch.setattr(training.time, "sleep", pauses.append)
    states = iter(["running", "running", "finished"])
    centre: Any = SimpleNamespace(ask=lambda *_: {"state": next(states)})
    assert [answer["state"] for answer in training.follow(centre, "id", print)] == [
        "running",
        "running",
        "finished",
    ]
    assert pauses == [30.0, training.POLL_SECONDS]


def test_a_hospital_without_a_way_out_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/adr/0018: neither for its logs nor for what asked to run there."""
    config = stack_config("dev")
    config["fed:hospitals"]["hungary"]["egress"] = "none"
    config["fed:machine"]["image"] = {"galleryImageId": GALLERY}
    monkeypatch.setattr(machines, "load_stack", lambda *_: load("dev", config))
    target: Any = SimpleNamespace(emulator=None, name="dev", arm=lambda: Azure(DONE))
    monkeypatch.setattr(logs, "open_deployed", lambda *_, **__: target)
    parties = {name: SimpleNamespace(vm=f"/vms/{name}") for name in ("centre", "cleveland", "hungary")}
    monkeypatch.setattr(logs.deploy, "outputs", lambda _: SimpleNamespace(parties=parties))
    logs.show("dev", On.AZURE, "cleveland", "fl-client", follow=False)
    with pytest.raises(RefusedError, match="hungary has egress: none"):
        logs.show("dev", On.AZURE, "hungary", "fl-client", follow=False)
    outputs: Any = SimpleNamespace(parties=parties)
    with pytest.raises(RefusedError, match=r"hungary has egress: none[\s\S]*container `record`"):
        House(target=target, name="hungary", outputs=outputs).review()
    with pytest.raises(FedError, match="cleveland's container server does not answer"):
        House(target=target, name="cleveland", outputs=outputs).review()


def test_a_vm_that_stays_busy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "BUSY_SECONDS", 0)
    with pytest.raises(FedError, match="one does not take commands: Conflict: in progress"):
        machines.run(Azure(BUSY), "/vms/one", ["true"])


def test_a_vm_that_is_gone_is_told() -> None:
    with pytest.raises(FedError, match="one is not there"):
        machines.run(Azure(Answer(status=404, body={})), "/vms/one", ["true"])


HOSTILE = "ok\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj.exe\r"


def test_no_answer_of_a_vm_can_speak_to_the_terminal() -> None:
    said = json.dumps({"hospitals": {HOSTILE: {"reason": [HOSTILE, 3, None]}}})
    for printed in (said, said.replace("\\u001b", "\x1b")):  # escaped in the JSON, and bare
        azure = Azure(
            Answer(
                status=200,
                body={"value": [{"message": f"[stdout]\n{printed}\nfed-exit:0\n[stderr]\n{HOSTILE}"}]},
            )
        )
        assert not controls(as_text(machines.Centre(azure, "/vms/one").ask(questions.Status())))
        assert not controls(machines.run(azure, "/vms/one", ["true"]).stderr)


def test_text_stays_as_it_is() -> None:
    text = "degraded: 3 % of Zürich's rows\n\tΔ 日本 🙂"
    assert plain(text) == text


def controls(text: str) -> list[str]:
    return [mark for mark in text if mark not in "\n\t" and unicodedata.category(mark) in {"Cc", "Cf"}]


def as_text(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False)
