"""`fed upgrade`: who has its turn when, and what ends it."""

import base64
import json
from typing import Any

import pytest

from automation.operate import upgrade
from automation.operate.machines import Centre
from automation.operate.upgrade import Wanted
from automation.stacks.arm import Answer
from automation.ui.outcome import FedError, QuestionError
from workloads.container_server.container_server.questions import Upgrade

TURNS = [
    Wanted(party=name, images={"fl-client": f"sha256:{'1' * 64}"}) for name in ("centre", "basel", "bern")
]
MARK = TURNS[0].mark


class Asked(Centre):
    """A centre whose parties say what `said` has for them, one after the other, the last one for ever."""

    def __init__(self, **said: list[Any]) -> None:
        self.asked: list[Upgrade] = []
        self.said = said

    def status(self) -> dict[str, Any]:
        row = {"registered": True, "state": "running", "client": "running"}
        return {"containers": {"fl-server": "running"}, "hospitals": {"basel": dict(row), "bern": dict(row)}}

    def ask(self, question: Any) -> Any:
        self.asked.append(question)
        if question.mark:
            return {}
        states = self.said.get(question.party, ["current"])
        state = states.pop(0) if len(states) > 1 else states[0]
        if isinstance(state, Exception):
            raise state
        return {"mark": MARK, "state": state, "reason": f"because {state}"}

    @property
    def turns(self) -> list[str]:
        return [question.party for question in self.asked if question.mark]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "PAUSE_SECONDS", 0.0)


def test_each_is_well_before_the_next_ones_turn() -> None:
    centre = Asked(
        centre=["turn", "job", FedError("it is made again"), "changing", "current"],
        basel=["changing", "current"],
    )
    assert upgrade.upgrade(centre, TURNS, patience=60) == []
    assert centre.turns == ["centre", "basel", "bern"]
    first = centre.asked.index(Upgrade(party="basel", mark=MARK))
    assert centre.asked[:first].count(Upgrade(party="centre")) == 5


def test_one_that_went_back_ends_it() -> None:
    centre = Asked(basel=["changing", "back"])
    with pytest.raises(FedError, match="basel went back to the images before: because back"):
        upgrade.upgrade(centre, TURNS, patience=60)
    assert centre.turns == ["centre", "basel"]


def test_one_whose_officers_are_asked_holds_up_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    centre = Asked(basel=["approval"])
    assert upgrade.upgrade(centre, TURNS, patience=60) == ["basel"]
    assert centre.turns == ["centre", "basel", "bern"]
    assert "basel waits: because approval" in capsys.readouterr().err


def test_one_that_takes_too_long_ends_it() -> None:
    with pytest.raises(FedError, match=r"basel does not run the images of the stack yet \(because job\)"):
        upgrade.upgrade(Asked(basel=["job"]), TURNS, patience=0.01)


def test_a_partys_words_are_shown_as_they_are() -> None:
    centre = Asked(basel=[FedError("no disk [/dev/sdc]"), "current"])
    assert upgrade.upgrade(centre, TURNS, patience=60) == []


def test_one_that_has_left_meanwhile_is_not_waited_for() -> None:
    centre = Asked(basel=["changing", QuestionError("basel is no hospital of this federation")])
    with pytest.raises(QuestionError, match="basel is no hospital"):
        upgrade.upgrade(centre, TURNS, patience=1)


def test_what_is_refused_beforehand_changes_nothing() -> None:
    class Refusing(Asked):
        def ask(self, question: Any) -> Any:
            raise QuestionError("a server of NVFlare 3.0 is known to work with clients of 2.9.0")

    with pytest.raises(QuestionError, match="NVFlare"):
        upgrade.upgrade(Refusing(), TURNS, patience=60)


def test_a_hospital_that_is_not_back_at_the_new_server_is_waited_for() -> None:
    class Slow(Asked):
        looks = 0

        def status(self) -> dict[str, Any]:
            answer = super().status()
            self.looks += 1
            answer["hospitals"]["basel"]["registered"] = self.looks in (1, 5)
            return answer

    centre = Slow()
    upgrade.upgrade(centre, TURNS[:1], patience=60)
    assert centre.looks == 5


class TestWanted:
    def arm(self, user_data: str) -> Any:
        class Arm:
            def get(self, path: str, version: str, **query: str) -> Answer:
                assert query == {"$expand": "userData"}
                return Answer(status=200, body={"properties": {"userData": user_data}})

        return Arm()

    def test_it_is_what_the_vm_is_told(self) -> None:
        told = base64.b64encode(json.dumps({"images": TURNS[0].images}).encode()).decode()
        assert upgrade._named(self.arm(told), "vm", "basel") == TURNS[0].images

    @pytest.mark.parametrize("told", ["", "e30="])
    def test_a_vm_of_before_is_named(self, told: str) -> None:
        with pytest.raises(FedError, match="basel's VM is of an older release"):
            upgrade._named(self.arm(told), "vm", "basel")
