"""Shows what containers say, from the fabric or through Resource Manager."""

import codecs

from automation.operate import machines
from automation.operate.emulated import running_fabric
from automation.stacks import deploy
from automation.stacks.target import open_deployed
from automation.ui.console import write
from automation.ui.options import On
from automation.ui.outcome import QuestionError
from automation.ui.plain import plain

LINES = "40"


def show(stack: str, on: On, party: str, container: str, *, follow: bool) -> None:
    """Write a container's log to standard output, as plain text: a job at a hospital writes into it, too.

    Raises QuestionError for a party that the stack does not have, RefusedError when nothing runs.
    """
    target = open_deployed(stack, on)
    outputs = deploy.outputs(target)
    machine = machines.of(outputs, party)
    if target.emulator is None:
        if follow:
            raise QuestionError("--follow needs the emulator: Azure's run command only answers when it ends")
        machines.refuse_mute(
            stack, party, "its logs stay on its VM. What it reports to the centre: ./fed status"
        )
        write(machines.run(target.arm(), machine, ["docker", "logs", "--tail", LINES, container]).stdout)
        return
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for piece in running_fabric(target).logs(machines.vm_name(outputs, party), container, follow=follow):
        write(plain(decoder.decode(piece)))
