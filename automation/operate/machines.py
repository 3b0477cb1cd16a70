"""Runs commands on VMs through Resource Manager's run command: no inbound path, audited, by rights on the VM.

https://learn.microsoft.com/azure/virtual-machines/linux/run-command. The same on the emulator.
"""

import json
import re
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from automation.stacks.arm import Answer, Arm
from automation.ui.outcome import Code, FedError, QuestionError, RefusedError
from automation.ui.plain import plain, plain_document
from clone import paths
from federation.outputs import Outputs
from federation.parties import federation
from federation.stack_file import load_stack
from workloads.container_server.container_server import questions
from workloads.container_server.container_server.question import A, Question

COMPUTE = "2024-11-01"
BUSY_SECONDS = 120.0
"""How long to wait while a VM runs somebody else's command: it takes one at a time."""
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
"""Between attempts, each pause twice the last: Azure counts what it refuses, too."""
_PARTS = re.compile(r"\[stdout\]\n(?P<stdout>.*)\n\[stderr\]\n(?P<stderr>.*)", re.DOTALL)
_EXIT = re.compile(r"\n?fed-exit:(\d+)\s*$")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a script answered, as plain text; Azure keeps the last 4 KB of each stream."""

    code: int
    stdout: str
    stderr: str


class Answered(Protocol):
    """What a command answered, whoever ran it."""

    @property
    def code(self) -> int:
        """The exit code."""

    @property
    def stdout(self) -> str:
        """What it wrote."""

    @property
    def stderr(self) -> str:
        """What it complained of."""


def of(outputs: Outputs[str], party: str) -> str:
    """Return the ARM id of a party's VM; raise QuestionError for a party that the stack does not have."""
    if party not in outputs.parties:
        raise QuestionError(f"{party} is no party of this stack: it has {', '.join(outputs.parties)}")
    return outputs.parties[party].vm


def vm_name(outputs: Outputs[str], party: str) -> str:
    """Return the name of a party's VM, by which the emulator knows it; raises as `of`."""
    return of(outputs, party).rsplit("/", 1)[-1]


def without_way_out(stack: str) -> frozenset[str]:
    """Return the parties whose VM Azure's run command gets no answer from, for 90 minutes (docs/adr/0016)."""
    whole = federation(load_stack(paths.REPOSITORY, stack))
    return frozenset(party.name for party in whole.parties if party.egress == "none")


def refuse_mute(stack: str, party: str, instead: str) -> None:
    """Raise RefusedError with what to do instead for a party whose VM run command gets no answer from."""
    if party in without_way_out(stack):
        raise RefusedError(
            f"{party} has egress: none, and Azure's run command gets no answer out of a VM without a way "
            f"out: {instead}"
        )


def run(arm: Arm, machine: str, command: list[str]) -> Ran:
    """Run a command as root on a VM (an ARM id). Raises FedError when the VM does not take it."""
    # Azure tells the script's output and not its exit code, so the script says it itself.
    script = [shlex.join(command), "printf '\\nfed-exit:%s\\n' $?"]
    answer = _in_turn(arm, machine, {"commandId": "RunShellScript", "script": script})
    name = machine.rsplit("/", 1)[-1]
    if answer.status == 404:
        raise FedError(
            f"{name} is not there: the stack was taken down or changed meanwhile. What is there: ./fed status"
        )
    if answer.is_error:
        raise FedError(f"{name} does not take commands: {answer.error}")
    # The result itself, or within the status of the operation that was followed.
    result = (
        answer.body.get("value") or answer.body.get("properties", {}).get("output", {}).get("value") or []
    )
    message = plain("\n".join(str(status.get("message", "")) for status in result))
    found = _PARTS.search(message)
    if found is None:
        raise FedError(f"{name} answered a run command without output: {message[-300:]!r}")
    stdout = found["stdout"]
    code = _EXIT.search(stdout)
    if code is None:
        said = (found["stderr"] or stdout).strip()[-500:]
        raise FedError(f"{name}: the command did not end: {said or 'no output'}")
    return Ran(int(code[1]), stdout[: code.start()], found["stderr"])


def _in_turn(arm: Arm, machine: str, body: Mapping[str, Any]) -> Answer:
    """Give a VM a command as soon as it has done what it is doing."""
    until, pause = time.monotonic() + BUSY_SECONDS, _PAUSE_SECONDS
    while True:
        answer = arm.post(f"{machine}/runCommand", COMPUTE, body)
        if (answer.body.get("error") or {}).get("code") != "Conflict" or time.monotonic() > until:
            return answer
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def fedctl(arm: Arm, machine: str, who: str, question: Question[A]) -> A:
    """Return what the container server of a VM (an ARM id, of `who`) answers to a question.

    Raises RefusedError, QuestionError or FedError with the container server's words.
    """
    return answer(
        run(arm, machine, ["docker", "exec", "container-server", "fedctl", *question.words()]), who, question
    )


def answer(ran: Answered, who: str, question: Question[A]) -> A:
    """Return what `fedctl` answered at `who` to a question; raises as `fedctl`."""
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    if not lines:
        said = (ran.stderr or ran.stdout).strip()
        raise FedError(f"{who}'s container server does not answer: {said[-500:] or 'no output'}")
    found: Any = plain_document(json.loads(lines[-1]))
    if ran.code == Code.DONE:
        answered: A = found
        return answered
    error = {Code.NO: RefusedError, Code.WRONG: QuestionError}.get(Code(min(ran.code, 3)), FedError)
    raise error(str(found.get("error", ran.stderr)))


class Centre:
    """The centre's container server, asked with its `fedctl`."""

    def __init__(self, arm: Arm, machine: str) -> None:
        self._arm = arm
        self._machine = machine

    @classmethod
    def of(cls, arm: Arm, outputs: Outputs[str]) -> "Centre":
        """Return the centre of a stack with these outputs."""
        return cls(arm, outputs.centre.vm)

    def status(self) -> dict[str, Any]:
        """Return the answer to `fedctl status` with all hospitals, however many; raises as `ask` does."""
        answer = self.ask(questions.Status())
        part = answer
        while part.pop("cut", False) and part["hospitals"]:
            part = self.ask(questions.Status(after=max(part["hospitals"])))
            answer["hospitals"] |= part["hospitals"]
        return answer

    def ask(self, question: Question[A]) -> A:
        """Return the answer to a question.

        Raises RefusedError, QuestionError or FedError with the container server's words.
        """
        return fedctl(self._arm, self._machine, "the centre", question)
