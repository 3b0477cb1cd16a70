"""Shows what containers say, from the datacentre or through Resource Manager."""

import codecs

from automation.operate import machines
from automation.operate.emulated import running_datacentre
from automation.stacks import deploy
from automation.stacks.target import open_deployed
from automation.ui.console import write
from automation.ui.options import On
from automation.ui.outcome import QuestionError
from automation.ui.plain import plain

LINES = 40
"""On Azure, where a run command carries 4 KB."""


def show(stack: str, on: On, party: str, container: str, *, follow: bool, tail: int | None = None) -> None:
    """Write a container's log to standard output, as plain text: a job at a hospital writes into it, too.

    Raises QuestionError for a party or container that the stack does not have, RefusedError when nothing
    runs.
    """
    if follow and tail:
        raise QuestionError("--follow shows all that was said before, too: leave --tail out")
    target = open_deployed(stack, on)
    outputs = deploy.outputs(target)
    machine = machines.of(outputs, party)
    if target.emulator is None:
        if follow:
            raise QuestionError("--follow needs the emulator: Azure's run command only answers when it ends")
        machines.refuse_mute(
            stack, party, "its logs stay on its VM. What it reports to the centre: ./fed status"
        )
        words = ["docker", "logs", "--tail", str(tail or LINES), container]
        write(machines.run(target.arm(), machine, words).stdout)
        return
    said = running_datacentre(target).logs(machines.vm_name(outputs, party), container, follow=follow)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = (plain(decoder.decode(piece)) for piece in said)
    for piece in [_last("".join(text), tail)] if tail else text:
        write(piece)


def _last(text: str, lines: int) -> str:
    return "".join(text.splitlines(keepends=True)[-lines:])
