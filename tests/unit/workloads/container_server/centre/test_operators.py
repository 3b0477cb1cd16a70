"""Operators ask the centre by blobs: what it answers, and what nobody gets done by writing there."""

import json
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from container_server import control, fedctl
from container_server.centre.operators import (
    ANSWERED,
    GOOD_FOR_SECONDS,
    KEPT_SECONDS,
    QUESTION_LIMIT,
    SIGNED,
    Operators,
)
from container_server.storage import StorageUnreachableError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.support.workloads_fakes import FakeClock, FolderStore
from tests.unit.support.workloads_world import World

NOW = 1_790_000_000.0


class Desk:
    """Whoever may write into `questions`, and what answers there, with handlers that take notes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock(NOW)
        self.questions = FolderStore(folder / "questions")
        self.answers = FolderStore(folder / "answers")
        self.done: list[tuple[str, dict[str, Any]]] = []
        self.centre = self.new_centre()

    def new_centre(self) -> Operators:
        def note(command: str) -> control.Handler:
            def handle(arguments: Any) -> dict[str, Any]:
                self.done.append((command, {key: value for key, value in arguments.items() if value}))
                return {"command": command}

            return handle

        return Operators(
            questions=self.questions,
            answers=self.answers,
            handlers={command: note(command) for command in (*ANSWERED, "restore", "backup")},
            clock=self.clock,
            memory=self.folder / "questions.json",
        )

    def put(self, *words: Any, **changes: Any) -> str:
        mark = str(uuid.uuid4())
        question = {"schema": "fed/question/1", "id": mark, "asked": self.clock.now(), "by": "ada"}
        content = json.dumps({**question, "words": words, **changes}).encode()
        self.questions.write(f"{mark}.json", content)
        return mark

    def answer(self, mark: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "answers" / f"{mark}.json").read_text())
        return found

    def ask(self, *words: Any, **changes: Any) -> dict[str, Any]:
        mark = self.put(*words, **changes)
        self.turn()
        return self.answer(mark)

    def turn(self, centre: Operators | None = None) -> None:
        """Let it look, and answer what does not go first."""
        (centre or self.centre).step()
        (centre or self.centre).rest()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class TestAnswers:
    def test_a_question_is_answered_once_and_taken_away(self, desk: Desk) -> None:
        said = desk.ask("revoke", "hungary", "--reason", "left")
        assert (said["exit"], said["answer"]) == (0, {"command": "revoke"})
        assert desk.done == [("revoke", {"hospital": "hungary", "reason": "left"})]
        assert desk.questions.list() == []
        desk.turn()
        assert len(desk.done) == 1

    @pytest.mark.parametrize("command", SIGNED)
    def test_it_is_done_in_the_name_of_whoever_asks(self, desk: Desk, command: str) -> None:
        words = {
            "submit": ["--job", "heart"],
            "retire": ["heart", "1", "--why", "old"],
            "abort": ["1a"],
            "resume": ["1a"],
        }
        more = words.get(command, ["heart", "1"])
        desk.ask(command, *more, "--by", "somebody else")
        assert desk.done[0][1]["by"] == "ada"

    def test_what_the_centre_refuses_is_the_answer(self, desk: Desk) -> None:
        desk.centre._handlers["abort"] = lambda _: 1 / 0
        said = desk.ask("abort", "1")
        assert (said["exit"], said["error"]) == (3, "ZeroDivisionError: division by zero")

    def test_a_long_answer_is_cut(self, desk: Desk) -> None:
        desk.centre._handlers["jobs"] = lambda _: {"jobs": [{"reason": "x" * 1000}] * 1000}
        said = desk.ask("jobs")
        assert said["answer"]["cut"] and len(json.dumps(said)) < 250_000

    def test_old_answers_go(self, desk: Desk) -> None:
        desk.ask("jobs")
        desk.clock.sleep(KEPT_SECONDS + 1)
        desk.turn()
        assert desk.answers.list() == []
        assert json.loads((desk.folder / "questions.json").read_text()) == {}

    def test_every_command_of_the_centre_is_answered_or_left_to_root(self) -> None:
        (commands,) = (one for one in fedctl.parser()._actions if one.dest == "command")
        assert set(commands.choices or ()) - set(ANSWERED) == {"review", "backup", "restore"}

    def test_each_that_keeps_a_name_is_told_one(self) -> None:
        (commands,) = (one for one in fedctl.parser()._actions if one.dest == "command")
        known: Any = commands.choices
        named = {name for name, one in known.items() if any(arg.dest == "by" for arg in one._actions)}
        assert named == set(SIGNED)


class TestWhatGoesFirst:
    @pytest.mark.parametrize("words", [["revoke", "hungary"], ["abort", "1a"], ["retire", "heart", "1"]])
    def test_what_stops_something_waits_for_no_other_question(self, desk: Desk, words: list[str]) -> None:
        """In turn it waited for whatever was asked before, a job's submission or a slow log."""
        for _ in range(5):
            desk.put("jobs")
        more = ["--why", "old", "--by", "ada"] if words[0] == "retire" else []
        mark = desk.put(*words, *more)
        desk.centre.step()
        assert [command for command, _ in desk.done] == [words[0]]
        assert desk.answer(mark)["exit"] == 0
        desk.centre.rest()
        assert [command for command, _ in desk.done] == [words[0], *["jobs"] * 5]

    def test_it_waits_for_none_that_is_being_answered(self, desk: Desk) -> None:
        began, end = threading.Event(), threading.Event()

        def slow(_: Any) -> dict[str, Any]:
            began.set()
            assert end.wait(10)
            return {}

        desk.centre._handlers["logs"] = slow
        mark = desk.put("logs", "mlflow")
        desk.centre.step()
        busy = threading.Thread(target=desk.centre.rest)
        busy.start()
        try:
            assert began.wait(10)
            stop = desk.put("revoke", "hungary")
            desk.centre.step()
            assert desk.answer(stop)["exit"] == 0
        finally:
            end.set()
            busy.join(10)
        assert desk.answer(mark)["exit"] == 0
        desk.turn()
        assert [command for command, _ in desk.done] == ["revoke"], "and each was done once"

    @pytest.mark.parametrize(
        ("before", "stop"),
        [
            (["approve", "hungary"], ["revoke", "hungary"]),
            (["resume", "1a2b3c"], ["abort", "1a"]),
            (
                ["promote", "heart", "1", "--by", "ada"],
                ["retire", "heart", "1", "--why", "old", "--by", "ada"],
            ),
        ],
    )
    def test_what_waited_with_it_about_the_same_does_not_undo_it(
        self, desk: Desk, before: list[str], stop: list[str]
    ) -> None:
        first, other = desk.put(*before), desk.put("approve", "cleveland")
        desk.put(*stop)
        desk.turn()
        assert [command for command, _ in desk.done] == [stop[0], "approve"]
        assert desk.answer(first)["exit"] == 2
        assert f"while {' '.join(stop)} was asked" in desk.answer(first)["error"]
        assert desk.answer(other)["exit"] == 0

    def test_what_is_asked_after_it_counts(self, desk: Desk) -> None:
        desk.ask("revoke", "hungary")
        assert desk.ask("approve", "hungary")["exit"] == 0


class TestOnce:
    def test_a_question_that_cannot_be_taken_away_is_not_done_again(self, desk: Desk) -> None:
        mark = desk.put("revoke", "hungary")
        content = (desk.folder / "questions" / f"{mark}.json").read_bytes()
        desk.turn()
        for centre in (desk.centre, desk.new_centre()):  # the same service, and one that was restarted
            desk.questions.write(f"{mark}.json", content)
            desk.turn(centre)
        assert len(desk.done) == 1
        assert desk.answer(mark)["exit"] == 0

    def test_an_answer_that_could_not_be_written_is_written_later(self, desk: Desk) -> None:
        mark = desk.put("revoke", "hungary")
        desk.answers.failure = StorageUnreachableError("no way")
        desk.turn()
        assert [chore.trouble for chore in desk.centre.chores] == ["no way"]
        desk.answers.failure = None
        desk.clock.sleep(10)
        desk.turn()
        assert (desk.answer(mark)["exit"], len(desk.done)) == (0, 1)

    def test_one_that_was_killed_says_that_it_does_not_know(self, desk: Desk) -> None:
        def killed(_: Any) -> Any:
            raise SystemExit

        desk.centre._handlers["revoke"] = killed
        mark = desk.put("revoke", "hungary")
        with pytest.raises(SystemExit):
            desk.turn()
        desk.turn(desk.new_centre())
        assert (desk.answer(mark)["exit"], desk.done) == (3, [])
        assert "look whether it was done" in desk.answer(mark)["error"]

    def test_one_bad_question_holds_up_no_other(self, desk: Desk) -> None:
        desk.questions.write("00000000-0000-0000-0000-000000000000.json", b"\xff")
        assert desk.ask("jobs")["exit"] == 0


class TestHostile:
    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"asked": NOW - GOOD_FOR_SECONDS - 1}, "ask again"),
            ({"asked": NOW + GOOD_FOR_SECONDS + 1}, "look at that clock"),
            ({"id": "0" * 8 + "-0000-0000-0000-" + "0" * 12}, "not the name of its blob"),
            ({"by": ""}, "by"),
            ({"by": "a\x1b[31m"}, "by"),
            ({"by": "x" * 201}, "by"),
            ({"words": []}, "words"),
            ({"words": "status"}, "words"),
            ({"words": ["x"] * 65}, "words"),
            ({"words": ["status\n"]}, "words"),
            ({"words": [1]}, "words"),
            ({"more": 1}, "more"),
            ({"schema": "fed/question/2"}, "schema"),
        ],
    )
    def test_what_is_no_question_of_now_is_refused(
        self, desk: Desk, changes: dict[str, Any], why: str
    ) -> None:
        said = desk.ask("jobs", **changes)
        assert (said["exit"], desk.done, desk.questions.list()) == (2, [], [])
        assert why in said["error"]

    @pytest.mark.parametrize(
        "words",
        [
            ["restore", "--replace"],
            ["backup", "--now", "--to", "age1theirs"],
            ["shell"],
            ["--help"],
            ["status", "--help"],
            ["job"],
            ["submit", "--job", "heart", "--rounds", "many"],
            ["submit", "--job", "heart", "--param", "x"],
            ["rotate", "everything"],
        ],
    )
    def test_what_only_root_may_or_nobody_can_is_refused(
        self, desk: Desk, words: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = desk.ask(*words)
        assert (said["exit"], desk.done) == (2, [])
        assert "usage" not in capsys.readouterr().out

    def test_a_large_blob_is_not_read(self, desk: Desk) -> None:
        assert "at most" in desk.ask("jobs", more="x" * QUESTION_LIMIT)["error"]

    @pytest.mark.parametrize("name", ["../x.json", "x", "a/b.json", "00.json"])
    def test_what_has_no_name_of_a_question_is_taken_away(self, desk: Desk, name: str) -> None:
        desk.questions.write(name.replace("../", "..-"), b"{}")
        desk.turn()
        assert (desk.questions.list(), desk.answers.list(), desk.done) == ([], [], [])

    @settings(max_examples=200, deadline=None)
    @given(content=st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
    def test_whatever_is_written_there_is_answered_and_does_nothing(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes
    ) -> None:
        desk = Desk(tmp_path_factory.mktemp("desk"))
        mark = str(uuid.uuid4())
        desk.questions.write(f"{mark}.json", content)
        desk.turn()
        assert (desk.answer(mark)["exit"], desk.done) == (2, [])


class TestTheCentre:
    def ask(self, world: World, *words: str) -> dict[str, Any]:
        mark = str(uuid.uuid4())
        question = {"schema": "fed/question/1", "id": mark, "asked": world.clock.now(), "by": "ada"}
        world.store("questions").write(f"{mark}.json", json.dumps({**question, "words": words}).encode())
        world.turn(5)
        world.centre.answer()
        world.centre.answer_rest()
        found: dict[str, Any] = json.loads((world.folder / "blobs/answers" / f"{mark}.json").read_text())
        return found

    def test_an_operator_approves_a_hospital_and_reads_a_log(self, tmp_path: Path) -> None:
        world = World(tmp_path, approval="manual")
        world.operators = True
        world.turn(30)
        assert self.ask(world, "approve", "cleveland")["answer"]["granted"]
        assert self.ask(world, "requests")["answer"]["requests"]["cleveland"]["status"] == "approved"
        world.server.said["mlflow"] = ["one", "two", "three"]
        assert self.ask(world, "logs", "mlflow", "--tail", "2")["answer"]["lines"] == ["three", "two"]
        assert "there are: container-server" in self.ask(world, "logs", "fl-client")["error"]

    def test_without_operators_nobody_looks_there(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.turn(10)
        world.centre.answer()
        world.centre.answer_rest()
        assert not world.store("questions").calls

    def test_trouble_is_in_the_status(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.operators = True
        world.turn(10)
        world.store("questions").failure = StorageUnreachableError("no role yet")
        world.centre.answer()
        world.centre.answer_rest()
        told = world.centre.commands.status({})["troubles"]
        assert [(one["what"], one["reason"]) for one in told] == [("operators' questions", "no role yet")]
