"""The centre as operators ask it: through its door, or by Azure's run command on its VM.

Through the door a question is a blob in the container `questions`, its answer one in `answers`, and who may
ask is who has a role on them (docs/adr/0019). Run command is root on the VM, takes 20 seconds at least, one
at a time. What is asked and answered is the same.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from azure import identity

from automation.operate import machines, person
from automation.operate.machines import Centre
from automation.operate.people import PeoplesContainer
from automation.stacks import deploy
from automation.stacks.target import Target, open_deployed
from automation.ui.console import say
from automation.ui.options import On
from automation.ui.outcome import Code, FedError, QuestionError
from federation.naming import ANSWERS_CONTAINER, QUESTIONS_CONTAINER
from federation.outputs import Outputs
from federation.parties import CENTRE
from workloads.container_server.container_server.question import A, Question

ANSWER_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 0.5


class CentreByBlobs(Centre):
    """The centre's container server, asked through the centre's door."""

    def __init__(self, questions: PeoplesContainer, answers: PeoplesContainer) -> None:
        self._questions = questions
        self._answers = answers

    @classmethod
    def at(cls, account: str) -> CentreByBlobs:
        """Return the centre with this storage account, asked by whoever is signed in (az login)."""
        credential = identity.DefaultAzureCredential()
        questions, answers = (
            PeoplesContainer(account=account, name=name, credential=credential)
            for name in (QUESTIONS_CONTAINER, ANSWERS_CONTAINER)
        )
        return cls(questions, answers)

    def closed(self) -> str | None:
        """Return why the door is closed to this machine or to whoever is signed in; None where it is open."""
        try:
            self._answers.find(_blob(str(uuid.uuid4())))
        except FedError as closed:
            return str(closed).splitlines()[0]
        return None

    def by(self) -> str:
        """Return the name of whoever asks, as they are signed in."""
        return self._questions.who()

    def ask(self, question: Question[A]) -> A:
        """Return the answer to a question; raises as `Centre.ask`."""
        mark = str(uuid.uuid4())
        asked = {"schema": "fed/question/1", "id": mark, "asked": time.time(), "by": self.by()[:200]}
        self._questions.put(_blob(mark), json.dumps({**asked, "words": question.words()}).encode())
        return machines.answer(_ran(self._awaited(mark)), "the centre", question)

    def _awaited(self, mark: str) -> bytes:
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until:
            if (found := self._answers.find(_blob(mark))) is not None:
                return found
            time.sleep(_PAUSE_SECONDS)
        undone = self._questions.take_back(_blob(mark))
        raise FedError(
            f"the centre did not answer question {mark[:8]} within {ANSWER_SECONDS:.0f} s: "
            + (
                "it is taken back: nothing of it is done, unless the centre is at it now"
                if undone
                else "it was taken, and may still be done"
            )
            + "\nFix: look whether the centre's VM runs (./fed status --no-health), and before you ask again"
            " whether it was done"
        )


def _ran(content: bytes) -> machines.Ran:
    """Return an answer as `fedctl` would have printed it; raise FedError for what is none."""
    try:
        found = json.loads(content)
        said = found["answer"] if found["exit"] == Code.DONE else {"error": found["error"]}
        return machines.Ran(int(found["exit"]), json.dumps(said), "")
    except (ValueError, KeyError, TypeError) as error:
        raise FedError(f"the centre's answer is none: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Reached:
    """The centre, and in whose name it is asked."""

    centre: Centre
    by: Callable[[], str]


def reach(stack: str, on: On, account: str | None = None) -> Reached:
    """Return the centre of a stack; with `account` through its door alone, without asking for the stack.

    Raises QuestionError for an account on the emulator, RefusedError where nothing is deployed, and as `of`.
    """
    if account is None:
        return of(target := open_deployed(stack, on), deploy.outputs(target))
    if on is not On.AZURE:
        raise QuestionError("--account goes with --on azure: the emulator knows its centre's account")
    through = CentreByBlobs.at(account)
    return Reached(centre=through, by=through.by)


def of(target: Target, outputs: Outputs[str]) -> Reached:
    """Return the centre of a deployed stack: through its door where that is open, and say which way.

    Raises RefusedError where the door is closed and run command gets no answer from the centre's VM.
    """
    by_command = Reached(centre=Centre.of(target.arm(), outputs), by=lambda: person.of(target))
    if outputs.centre.questions is None or target.emulator:
        return by_command
    through = CentreByBlobs.at(outputs.centre.storage_account.rpartition("/")[2])
    if (why := through.closed()) is None:
        say("asking the centre through its door")
        return Reached(centre=through, by=through.by)
    machines.refuse_mute(target.name, CENTRE, f"ask where its door is, signed in as an operator. Here: {why}")
    say(f"asking the centre by run command, for its door is closed here: {why}")
    return by_command


def _blob(mark: str) -> str:
    return f"{mark}.json"
