"""Rotating a key of the centre: it says what that interrupts, a person agrees, and it goes on by itself."""

from typing import Literal

from automation.operate.machines import Centre
from automation.ui.console import confirm, say
from workloads.container_server.container_server import questions

What = Literal["root", "lead", "server"]


def rotate(centre: Centre, what: What, *, now: bool, finish: bool, yes: bool) -> None:
    """Have the centre rotate a key.

    Raises:
        QuestionError: when the rotation cannot begin, or nobody is here to ask.
        RefusedError: when the person declines.
        FedError: when the centre cannot be asked.
    """
    planned = centre.ask(questions.Rotate(what=what, now=now, finish=finish))
    say(f"rotating {what}: {planned['interrupts']}")
    for hospital, why in sorted(planned.get("left_behind", {}).items()):
        say(f"{hospital} is left behind: {why}")
    if not yes:
        confirm(
            f"Rotate {what}?",
            unasked=f"nobody is here to ask: say --yes to rotate {what}",
            declined="nothing was changed",
        )
    centre.ask(questions.Rotate(what=what, now=now, finish=finish, yes=True))
    done = "done" if what == "lead" else "begun; it goes on by itself"
    say(f"rotation of {what}: {done}. To see it: ./fed status")
