"""Shows what containers say, from the datacentre or through Resource Manager."""

import codecs

from automation.operate import centre as centres
from automation.operate import machines
from automation.operate.emulated import running_datacentre
from automation.operate.machines import Centre
from automation.stacks import deploy
from automation.stacks.target import Target, open_deployed
from automation.ui.console import write
from automation.ui.options import On
from automation.ui.outcome import QuestionError
from automation.ui.plain import plain
from federation.outputs import Outputs
from federation.parties import CENTRE
from workloads.container_server.container_server import questions

LINES = 40
"""On Azure, where a run command carries 4 KB."""
_BOTH_STREAMS = 'docker logs --tail "$0" "$1" 2>&1'
"""In the order in which the container wrote them."""


def show(
    stack: str,
    on: On,
    party: str,
    container: str,
    *,
    follow: bool,
    tail: int | None = None,
    account: str | None = None,
) -> None:
    """Write a container's log to standard output, as plain text: a job at a hospital writes into it, too.

    Raises QuestionError for a party or container that the stack does not have, RefusedError when nothing
    runs.
    """
    if follow and tail:
        raise QuestionError("--follow shows all that was said before, too: leave --tail out")
    if follow and on is On.AZURE:
        raise QuestionError("--follow needs the emulator: on Azure a question has one answer")
    if account is not None:
        if party != CENTRE:
            raise QuestionError(f"--account names the centre's account: {party}'s logs are on its own VM")
        _told(centres.reach(stack, on, account).centre, container, tail)
        return
    target = open_deployed(stack, on)
    outputs = deploy.outputs(target)
    machines.of(outputs, party)
    if target.emulator is None:
        _on_azure(target, outputs, party, container, tail)
        return
    said = running_datacentre(target).logs(machines.vm_name(outputs, party), container, follow=follow)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = (plain(decoder.decode(piece)) for piece in said)
    for piece in [_last("".join(text), tail)] if tail else text:
        write(piece)


def _on_azure(target: Target, outputs: Outputs[str], party: str, container: str, tail: int | None) -> None:
    """Ask the centre for its containers' logs, a hospital's VM itself."""
    if party == CENTRE:
        _told(centres.of(target, outputs).centre, container, tail)
        return
    machines.refuse_mute(
        target.name, party, "its logs stay on its VM. What it reports to the centre: ./fed status"
    )
    words = ["sh", "-c", _BOTH_STREAMS, str(tail or LINES), container]
    said = machines.run(target.arm(), machines.of(outputs, party), words)
    if said.code:
        raise QuestionError(f"{party}'s VM has no log of {container}: {said.stdout.strip()[-300:]}")
    write(said.stdout)


def _told(centre: Centre, container: str, tail: int | None) -> None:
    lines = centre.ask(questions.Logs(container=container, tail=tail or LINES))["lines"]
    write("".join(f"{line}\n" for line in reversed(lines)))


def _last(text: str, lines: int) -> str:
    return "".join(text.splitlines(keepends=True)[-lines:])
