"""`fed verify`: whether a deployment is exactly as isolated as its settings say."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from automation.ui.lazily import lazily
from automation.ui.options import Json, On, OwnAccount, Stack, StackOption, Where, stack_name
from automation.ui.outcome import Code, QuestionError, RefusedError

with lazily():
    from automation.stacks import target as targets
    from automation.ui import console
    from automation.verify import run, sources
    from automation.verify.facts import resources
    from automation.verify.observed import consent
    from automation.verify.report import document, html, terminal
    from automation.verify.report import picture as pictures
    from federation import parties, stack_file

PANEL = "Look"

Report = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Also write a report (HTML).")]
Picture = Annotated[
    Path | None, typer.Option("--picture", metavar="FILE", help="Also write the picture (SVG).")
]
State = Annotated[
    Path | None, typer.Option("--state", metavar="FILE", help="Judge this `pulumi stack export` alone.")
]
Live = Annotated[bool, typer.Option("--live/--no-live", help="Also read what exists now.")]
Packets = Annotated[
    bool | None, typer.Option("--packets/--no-packets", help="Also open real connections (emulator).")
]
Inside = Annotated[
    bool | None,
    typer.Option("--inside/--no-inside", help="Also try data and names from the VMs (emulator's default)."),
]


Counted = Annotated[
    Path | None,
    typer.Option("--counted", metavar="FILE", help="What the centre says: its ./fed verify --json."),
]


def command(  # noqa: PLR0917 typer makes options of them
    stack: Stack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
    report: Report = None,
    picture: Picture = None,
    state: State = None,
    live: Live = True,
    packets: Packets = None,
    inside: Inside = None,
    party: Annotated[
        str | None, typer.Option("--party", "-p", metavar="NAME", help="A hospital, as one of its officers.")
    ] = None,
    account: OwnAccount = None,
    counted: Counted = None,
    as_json: Json = False,
) -> None:
    """Compare what is deployed with what the settings intend: ports, data, names; a difference exits 1.

    At a hospital's door, with --party and --account: its record alone, whether all that left was approved.
    """
    if party or account or counted:
        _at_the_door(stack_name(stack, stack_option), on, party, account, counted, as_json=as_json)
        return
    if packets and on is On.AZURE:
        raise QuestionError("packets can be opened on the emulator only: on Azure use --inside, or neither")
    emulated = on is On.EMULATOR
    outcome = _outcome(
        stack_name(stack, stack_option),
        on,
        state,
        live=live,
        packets=emulated if packets is None else packets,
        inside=emulated if inside is None else inside,
    )
    for file, text in ((report, html.report), (picture, lambda found: pictures.picture(found.shown))):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text(outcome), encoding="utf-8")
    if as_json:
        console.show_json(document.document(outcome))
    else:
        console.show(terminal.tables(outcome))
    if not outcome.holds:
        raise typer.Exit(Code.NO)


def _at_the_door(
    name: str, on: On, party: str | None, account: str | None, counted: Path | None, *, as_json: bool
) -> None:
    """Look as an officer does, who needs no state of the stack."""
    if on is not On.AZURE or party is None or account is None:
        raise QuestionError(
            "--party, --account and --counted go together with --on azure, for a hospital's officer; on the"
            " emulator ./fed verify compares both sides by itself"
        )
    found = consent.of_officer(name, party, account, counted)
    if as_json:
        console.show_json({"findings": [asdict(one) for one in found.findings], "unseen": list(found.unseen)})
    else:
        console.show(terminal.of_officer(found, party))
    if found.findings:
        raise typer.Exit(Code.NO)


def _outcome(name: str, on: On, state: Path | None, *, live: bool, packets: bool, inside: bool) -> Any:
    try:
        if state is not None:
            return run.run(
                name,
                _read(state),
                parties.federation(stack_file.load_stack(targets.ROOT, name)),
                run.Sources(),
            )
        target = targets.open_target(name, on)
        if target.settings is None:
            raise QuestionError(f"there is no stack file for {name}: nothing says what is intended")
        deployed = target.existing_stack()
        export = deployed.export_stack() if deployed else None
        document = {"deployment": export.deployment if export else None}
        where = sources.sources(target, live=live, packets=packets, inside=inside)
        return run.run(name, document, parties.federation(target.settings), where)
    except resources.VerifyError as unanswered:
        raise RefusedError(str(unanswered)) from unanswered


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise QuestionError(
            f"{file} is no state to be verified: {error}. Write one: pulumi stack export --file {file}"
        ) from error
    if not isinstance(found, dict):
        raise QuestionError(
            f"{file} holds no exported state: write one with pulumi stack export --file {file}"
        )
    return found
