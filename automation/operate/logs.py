"""Shows what containers say, from the fabric or through Resource Manager."""

import sys
from collections.abc import Mapping
from typing import Any

from automation import deploy
from automation.operate import machines
from automation.options import On
from automation.outcome import QuestionError, RefusedError
from automation.target import open_target
from emulator.fabric.control import Fabric
from federation.parties import CENTRE

LINES = "40"


def show(stack: str, on: On, party: str, container: str, *, follow: bool) -> None:
    """Write a container's log to standard output.

    Raises QuestionError for a party that the stack does not have, RefusedError when nothing runs.
    """
    target = open_target(stack, on, check=False)
    machine = _machine(deploy.outputs(target), party)
    if target.emulator is None:
        if follow:
            raise QuestionError("--follow needs the emulator: Azure's run command only answers when it ends")
        sys.stdout.write(
            machines.run(target.arm(), machine, ["docker", "logs", "--tail", LINES, container]).stdout
        )
        return
    fabric = Fabric.running(target.emulator)
    if fabric is None:
        raise RefusedError(f"no machine of {stack} runs. To start them: ./fed up {stack}")
    for piece in fabric.logs(machine.rsplit("/", 1)[-1], container, follow=follow):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def _machine(outputs: Mapping[str, Any], party: str) -> str:
    parties = {CENTRE: outputs[CENTRE], **outputs["hospitals"]}
    if party not in parties:
        raise QuestionError(f"{party} is no party of this stack: it has {', '.join(parties)}")
    return str(parties[party]["vm"])
