"""`fed restore`: a backup is put back onto a VM whose disk is new, or whose state is lost."""

from pathlib import Path
from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, InStack, On, Where, Yes
from automation.ui.outcome import QuestionError

with lazily():
    from automation.operate import recover
    from automation.stacks import deploy
    from automation.stacks import target as targets
    from automation.ui import console

PANEL = "Work"


def command(
    party: Annotated[
        str | None, typer.Option("--party", "-p", metavar="NAME", help="centre or a hospital.")
    ] = None,
    *,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The private key; it stays on this machine.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Such as 20270131.age; else the newest.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give up what is on a VM that works for the archive.")
    ] = False,
    without: Annotated[
        bool, typer.Option("--without", help="Have a VM that waits go on without an archive.")
    ] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="On the emulator: back up every party, put it back, compare.")
    ] = False,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    yes: Yes = False,
) -> None:
    """Put a backup back. A VM whose disk is new waits for that, if its party has one."""
    if rehearse:
        _rehearse(stack, on, party)
        return
    if party is None or (key is None) == (not without):
        raise QuestionError(
            "name a party, and --key FILE or --without: ./fed restore --party NAME --key FILE"
        )
    target = targets.open_deployed(stack, on)
    one = recover.Protected.of(target, deploy.outputs(target), party)
    if without or key is None:
        one.go_on_without()
        console.say(f"{party} goes on without an archive")
        return
    identity = recover.read_key(key)
    if replace and not yes:
        console.confirm(
            f"Give up what {party}'s VM has now?",
            unasked=f"nobody is here to ask: say --yes to give up what {party}'s VM has now",
            declined="nothing was changed",
        )
    if replace:
        one.give_up()
    back = one.put_back(name, identity)
    console.say(f"{party}: {back['name']} is put back, {back['files']} files. How it is doing: ./fed status")


def _rehearse(stack: str, on: On, party: str | None) -> None:
    if on is not On.EMULATOR:
        raise QuestionError("a rehearsal gives up what the VMs have: it is for the emulator alone")
    target = targets.open_deployed(stack, on)
    outputs = deploy.outputs(target)
    parties = [
        recover.Protected.of(target, outputs, name) for name in ([party] if party else outputs.parties)
    ]
    for done in recover.rehearse(parties):
        typer.echo(
            f"{done.party}: {done.files} files, {done.size:,} bytes; "
            f"backed up in {done.backup_seconds:.1f} s, put back in {done.restore_seconds:.1f} s, the same"
        )
