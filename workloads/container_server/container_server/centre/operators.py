"""Operators' questions: `questions/<id>.json` is answered in `answers/<id>.json`, as `fedctl` would answer.

What stops something goes first, and waits for no other question: `step()` does it at once, and `rest()`, on a
thread of its own, answers all others in turn. A question about the same that waited with it is not done: what
was asked to stop would run again.

Who may ask is whoever has a role on the container `questions` (docs/adr/0019). What is in a question is
hostile all the same: it is small, it has a schema, and its words are read by `fedctl`'s own parser. Each is
done at most once, though its blob cannot be deleted or this service is killed meanwhile.
"""

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from container_server import fedctl
from container_server.cadence import Cadence
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.control import BROKEN, WRONG, Handler, WrongQuestionError, reply
from container_server.errors import ContainerServerError, RefusedInputError
from container_server.files import read_json, write_json
from container_server.log import say
from container_server.messages import decode, encode
from container_server.question import UnreadableQuestionError
from container_server.storage import Blob, BlobEntry, BlobStore

QUESTIONS_CONTAINER = "questions"
ANSWERS_CONTAINER = "answers"
ANSWERED: tuple[str, ...] = (
    "status",
    "submit",
    "check",
    "evaluate",
    "jobs",
    "counted",
    "job",
    "show",
    "abort",
    "resume",
    "requests",
    "approve",
    "revoke",
    "renew",
    "rotate",
    "upgrade",
    "logs",
    "models",
    "promote",
    "retire",
    "sign-in",
)
"""What operators may ask. Archives of the centre's state stay with who is root on its VM: `backup` names the
key that they are for, and `restore` gives up what is there."""
SIGNED = ("submit", "evaluate", "abort", "resume", "promote", "retire")
"""Commands that keep who asked."""
STOPS = ("abort", "retire", "revoke")
"""Commands that stop something: a job, a model, a hospital."""
GOOD_FOR_SECONDS = 600.0
"""How old a question may be, and how far the asker's clock may be from this one's."""
KEPT_SECONDS = 3600.0
"""How long an answer stays, and how long a question is remembered: longer than any is good for."""
QUESTION_LIMIT = 16 * 1024
ANSWER_LIMIT = 200 * 1024
"""Bytes."""
ERROR_LIMIT = 2000
LISTEN_SECONDS = 1.0
"""Between two looks while operators ask."""
REST_SECONDS = 3.0
"""Between two looks when nobody asked for `LIVELY_SECONDS`: Azure counts them."""
LIVELY_SECONDS = 120.0
_BLOB = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.json")


class Operators:
    """Looks for questions and answers them. `memory` is the file that remembers when each was taken."""

    def __init__(
        self,
        *,
        questions: BlobStore,
        answers: BlobStore,
        handlers: Mapping[str, Handler],
        clock: Clock,
        memory: Path,
    ):
        self._questions = questions
        self._answers = answers
        self._handlers = {name: handlers[name] for name in ANSWERED}
        self._clock = clock
        self._memory = memory
        self._taken: dict[str, float] = read_json(memory) or {}
        self._owed: dict[str, bytes] = {}
        """Answers to questions whose blobs are still there."""
        self._chores: dict[str, Chore] = {}
        self._contents: dict[str, bytes | str] = {}
        """What questions say that were read and not answered yet."""
        self._overruled: dict[str, str] = {}
        """Questions that waited as something was stopped which they are about -> what stopped it."""
        self._one_at_a_time = threading.Lock()
        """Holds what both threads change."""
        self._lively_until = 0.0

    @property
    def chores(self) -> Iterable[Chore]:
        """One for each question that is being answered."""
        return self._chores.values()

    def step(self) -> float:
        """Look what was asked, and do what stops something; the seconds until the next look.

        Raises TransientError when storage cannot be reached.
        """
        asked = self._questions.list("")
        self._chores = {entry.name: self._chore(entry) for entry in asked}
        for known in (self._contents, self._overruled):
            for gone in set(known) - self._chores.keys():
                known.pop(gone, None)
        for name, chore in self._chores.items():
            if self._stops(name):
                chore.run()
        self._forget()
        if asked:
            self._lively_until = self._clock.now() + LIVELY_SECONDS
        return LISTEN_SECONDS if self._clock.now() < self._lively_until else REST_SECONDS

    def rest(self) -> None:
        """Answer all others, each alone."""
        for name, chore in list(self._chores.items()):
            if not self._stops(name):
                chore.run()

    def _stops(self, blob: str) -> bool:
        """Whether a question stops something; one that cannot be read yet does not."""
        return self._said(blob)[:1] in {(command,) for command in STOPS}

    def _said(self, blob: str) -> tuple[str, ...]:
        """Return the words of a question that waits; nothing where it has none, or cannot be read now."""
        try:
            if blob not in self._contents and _BLOB.fullmatch(blob):
                self._contents[blob] = self._read(blob)
            content = self._contents.get(blob, "")
            return () if isinstance(content, str) else tuple(decode("question", content)["words"])
        except ContainerServerError:
            return ()

    def _chore(self, entry: BlobEntry) -> Chore:
        chore = self._chores.get(entry.name) or Chore(
            "question", Cadence(self._clock, interval=0.0), lambda: None, entry.name[:100]
        )
        chore.action = lambda: self._take(entry.name)
        return chore

    def _take(self, blob: str) -> None:
        """Answer one question and take it away; what cannot be one is taken away."""
        found = _BLOB.fullmatch(blob)
        if found is None:
            say("question", blob=blob[:100], taken=False, reason="that is no name of a question")
        else:
            self._answer(blob, found[1])
        self._questions.delete(blob)
        for known in (self._owed, self._contents, self._overruled):
            known.pop(blob, None)

    def _answer(self, blob: str, mark: str) -> None:
        """Write the answer to a question, which is done now if it is seen for the first time."""
        if blob not in self._owed:
            if (content := self._taken_now(blob, mark)) is not None:
                answer = self._done(blob, mark, content)
            elif self._answers.beginning(blob, 1) is None:
                answer = _wrong(BROKEN, "it was taken before, and is done once: look whether it was done")
            else:
                return
            self._owed[blob] = encode("answer", {"id": mark, **answer})
        self._answers.write(blob, self._owed[blob])

    def _taken_now(self, blob: str, mark: str) -> bytes | str | None:
        """What a question says that is taken for the first time, else None. Raises TransientError."""
        if mark in self._taken:
            return None
        content = self._contents.get(blob)
        content = self._read(blob) if content is None else content
        with self._one_at_a_time:
            if mark in self._taken:
                return None
            self._remember({**self._taken, mark: self._clock.now()})
        return content

    def _read(self, blob: str) -> bytes | str:
        """What it says, or why it was not read. Raises TransientError."""
        try:
            found = self._questions.read(blob, limit=QUESTION_LIMIT)
        except RefusedInputError as error:
            return str(error)
        return found.content if isinstance(found, Blob) else "it was taken away before it was read"

    def _done(self, blob: str, mark: str, content: bytes | str) -> dict[str, Any]:
        try:
            if isinstance(content, str):
                raise WrongQuestionError(content)
            question = self._checked(mark, content)
            command, arguments = _words(question)
            if by := self._overruled.get(blob):
                raise WrongQuestionError(f"it waited while {by} was asked, and is not done. Fix: ask again")
            if command in STOPS:
                self._overrule(blob, question["words"])
        except (ContainerServerError, UnreadableQuestionError) as error:
            say("question", id=mark, taken=False, reason=str(error)[:300])
            return _wrong(WRONG, str(error))
        say("question", id=mark, command=command, by=question["by"])
        return _bounded(reply(self._handlers, command, arguments))

    def _overrule(self, stop: str, words: Sequence[str]) -> None:
        """Have nothing that waits undo what is stopped now: those about the same are not done."""
        for blob in list(self._chores):
            if blob != stop and not self._stops(blob) and _same(words, self._said(blob)):
                self._overruled[blob] = " ".join(words)[:100]

    def _checked(self, mark: str, content: bytes) -> dict[str, Any]:
        """The question. Raises InvalidMessageError or WrongQuestionError."""
        question = decode("question", content)
        if question["id"] != mark:
            raise WrongQuestionError("its id is not the name of its blob")
        if abs(late := self._clock.now() - question["asked"]) > GOOD_FOR_SECONDS:
            raise WrongQuestionError(
                f"it was asked {late:.0f} s ago by the clock of whoever asked, and is good for"
                f" {GOOD_FOR_SECONDS:.0f} s. Fix: ask again; look at that clock"
            )
        return question

    def _remember(self, taken: dict[str, float]) -> None:
        write_json(self._memory, taken)
        self._taken = taken

    def _forget(self) -> None:
        """Take old answers away."""
        now = self._clock.now()
        old = [mark for mark, taken in self._taken.items() if abs(now - taken) > KEPT_SECONDS]
        for mark in old:
            self._answers.delete(f"{mark}.json")
        with self._one_at_a_time:
            if old:
                self._remember({mark: taken for mark, taken in self._taken.items() if mark not in old})


def _same(stop: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two questions may be about the same; ids of jobs are given by their beginnings."""
    one, two = (words[1] if len(words) > 1 else "" for words in (stop, other))
    if stop[0] == "abort" and one and two:
        return one.startswith(two) or two.startswith(one)
    return one == two != ""


def _words(question: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What is asked, in the name of whoever the question says. Raises as `fedctl.read`."""
    command, arguments = fedctl.read(question["words"], fedctl.Words)
    if command not in ANSWERED:
        raise WrongQuestionError(
            f"{command} is not answered here; what is: {', '.join(ANSWERED)}. Fix: ask by run command"
        )
    if command in SIGNED:
        arguments["by"] = question["by"]
    return command, arguments


def _bounded(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        return _wrong(int(answer["exit"]), str(answer["error"]))
    return {**answer, "answer": fedctl.shortened(answer["answer"], ANSWER_LIMIT)}


def _wrong(code: int, error: str) -> dict[str, Any]:
    return {"exit": code, "error": error[:ERROR_LIMIT]}
