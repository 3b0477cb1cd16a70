"""`fed audit`: what asked to run at a hospital, what it answered, and what left."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, Json, On, OwnAccount, Where

with lazily():
    from automation.operate import consent, counted
    from automation.ui import console
    from federation import parties

PANEL = "Look"
MOST_JOBS = 200
"""Of the centre's."""


def command(
    party: Annotated[str, typer.Option("--party", "-p", metavar="NAME", help="The hospital, or centre.")],
    stack: Annotated[str, typer.Option("--stack", "-s", metavar="STACK")] = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: OwnAccount = None,
    as_json: Json = False,
) -> None:
    """Show a hospital's record: jobs that asked, its answers, each release.

    On Azure: behind the hospital's door, as one of its officers (az login), with --account. With --party
    centre: who asked for what, where it ran and whose answers counted.
    """
    if party == parties.CENTRE:
        _of_the_centre(stack, on, as_json=as_json)
        return
    found = consent.record_of(stack, on, party, account)
    if as_json:
        console.show_json(found)
        return
    for entry in found:
        typer.echo(f"{entry['time'][:15]}  {_words(entry)}")
    if not found:
        typer.echo(f"{party}: nothing has asked to run yet")


def _of_the_centre(stack: str, on: On, *, as_json: bool) -> None:
    rows = counted.of(stack, on, MOST_JOBS)
    if as_json:
        console.show_json(rows)
        return
    for row in reversed(rows):
        typer.echo(counted.words(row))
    if not rows:
        typer.echo("no job was sent to a hospital yet")


def _words(entry: dict[str, Any]) -> str:
    return _SAID.get(entry["event"], _asked)(entry)


def _released(entry: dict[str, Any]) -> str:
    metrics = ", ".join(f"{name} {value:g}" for name, value in sorted(entry["metrics"].items()))
    where = f"{entry['job_id'][:8]} {entry['task']}" + _round(entry)
    spent = f"epsilon {entry['epsilon']:g} of all so far" if "epsilon" in entry else ""
    told = [f"{entry['kind']}, {entry['numbers']} numbers", metrics, spent]
    return f"released   {where}: {'; '.join(part for part in told if part)}"


def _kept_back(entry: dict[str, Any]) -> str:
    return f"kept back  {entry['job_id'][:8]} {entry['task']}{_round(entry)}: {entry['refused']}"


def refusals(entry: dict[str, Any]) -> list[str]:
    """Return why the VM does not take a file, by an entry of the event `data`; nothing for one it takes."""
    return [*entry["complaints"], *entry["found"]]


def checked(entry: dict[str, Any]) -> str:
    """Return what the VM made of a file, by an entry of the event `data`."""
    if wrong := refusals(entry):
        return f"{entry['name']} is refused: {'; '.join(wrong)}"
    rows = "" if entry["rows"] is None else f" with {entry['rows']} rows"
    return f"{entry['name']} is taken{rows}" + "".join(f"; {one}" for one in entry["notes"])


def _scored(entry: dict[str, Any]) -> str:
    without = f", {entry['without_score']} without a score" if entry["without_score"] else ""
    model = f"{entry['model']} version {entry['version']}, code {entry['code'][:12]}"
    return f"scored     {entry['table']} by the model {model}: {entry['rows']} rows{without}; nothing left"


def _asked(entry: dict[str, Any]) -> str:
    return f"asked      {entry['job_id'][:8]} {entry['name']}, code {entry['code'][:12]}: {entry['answer']}"


def _round(entry: dict[str, Any]) -> str:
    return "" if entry["round"] is None else f" round {entry['round']}"


_SAID: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "released": _released,
    "started": lambda entry: f"started    {entry['job_id'][:8]}, code {entry['started'][:12]}",
    "refused": _kept_back,
    "answers": lambda entry: f"answers    {len(entry['approved'])} approved, {len(entry['refused'])} refused",
    "airlock": lambda entry: f"airlock    {json.dumps(entry['policy'], sort_keys=True)}",
    "data": lambda entry: f"data       {checked(entry)}",
    "dataset": lambda entry: f"data set   {entry['name']} {entry['version']} adopted, {entry['sha256'][:12]}",
    "scored": _scored,
}
