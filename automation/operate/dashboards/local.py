"""What `fed dashboards` does: a page for each party, made from what that party may read."""

import webbrowser
from pathlib import Path

from automation.operate import consent, record
from automation.operate.dashboards import curated
from automation.operate.enter import PORTS
from automation.operate.sign_in import LIST
from automation.stacks import deploy
from automation.stacks.target import open_deployed
from automation.ui.console import say, show_json
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError, RefusedError
from clone import paths
from dashboards.local.cube import TablesError
from dashboards.local.render import render
from federation.parties import CENTRE
from federation.values import PARTY_NAME


def make(
    stack: str,
    on: On,
    *,
    parties: tuple[str, ...],
    source: str | None,
    account: str | None = None,
    folder: Path | None,
    as_json: bool,
) -> list[Path]:
    """Write the pages and return them. A hospital's has its record: on the emulator always, on Azure where
    its own storage account is named.

    Raises QuestionError for a party that the stack does not have, RefusedError where there are no tables yet.
    """
    where = folder or paths.home() / "dashboards" / stack
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise QuestionError(f"the pages cannot be written to {where}: {refused.strerror}") from refused
    files, cards = (_given(source, parties), {}) if source else _deployed(stack, on, parties)
    pages = []
    for party, tables in files.items():
        here = party == CENTRE and on is On.EMULATOR
        link = f"http://127.0.0.1:{PORTS['mlflow']}/{LIST}" if here else None
        try:
            linked = _write_cards(where, party, cards.get(party, {}))
            told = _record(stack, on, party, source, account)
            page = render(tables, party, mlflow=link, record=told, cards=linked)
        except TablesError as wrong:
            raise FedError(f"{party}'s tables are not of this version: {wrong}. Run a job again") from wrong
        path = where / f"{party}.html"
        path.write_text(page, encoding="utf-8")
        pages.append(path)
    if as_json:
        show_json({"stack": stack, "on": on, "pages": {path.stem: str(path) for path in pages}})
    else:
        for path in pages:
            print(path)
    return pages


_NO_SCRIPTS = (
    b'<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
    b" style-src 'unsafe-inline'; form-action 'none'\">"
)
"""Comes before a card: somebody else wrote it, and it is opened from this machine's disk."""


def _write_cards(folder: Path, party: str, cards: curated.Files) -> dict[str, str]:
    """Write a party's model cards next to its page; return their titles, each with its address there."""
    found = {}
    for name, content in sorted(cards.items()):
        path = folder / f"{party}-{Path(name).name}"
        path.write_bytes(_NO_SCRIPTS + content)
        found[f"Card of {path.stem.partition('-card-')[2]}"] = path.name
    return found


def _record(
    stack: str, on: On, party: str, source: str | None, account: str | None
) -> list[record.Entry] | None:
    """Return what a hospital's page says of what left; None where it has to be without."""
    readable = source is None if on is On.EMULATOR else account is not None
    return consent.record_of(stack, on, party, account) if readable and party != CENTRE else None


def open_in_browser(pages: list[Path]) -> None:
    """Open pages in the browser; where there is none, say where they lie."""
    for path in pages:
        if not webbrowser.open(path.as_uri()):
            say(f"no browser was found; open {path} in one")


def _deployed(
    stack: str, on: On, parties: tuple[str, ...]
) -> tuple[dict[str, curated.Files], dict[str, curated.Files]]:
    """Return each party's tables, and its model cards."""
    target = open_deployed(stack, on)
    outputs = deploy.outputs(target)
    known = tuple(outputs.parties)
    if unknown := [party for party in parties if party not in known]:
        raise QuestionError(f"{', '.join(unknown)} is no party of {stack}: it has {', '.join(known)}")
    wanted = parties or known
    found: dict[str, curated.Files] = {}
    cards: dict[str, curated.Files] = {}
    for party in wanted:
        try:
            found[party], cards[party] = curated.of_target(target, outputs, party)
        except RefusedError as none_yet:
            if parties or party == CENTRE:
                raise
            say(str(none_yet))
    return found, cards


def _given(source: str, parties: tuple[str, ...]) -> dict[str, curated.Files]:
    if len(parties) != 1:
        raise QuestionError("--from holds the tables of one party: say whose with --party NAME")
    party = parties[0]
    if not PARTY_NAME.fullmatch(party):
        raise QuestionError(f"--party {party}, with --from: no party has such a name")
    if source.startswith("https://"):
        return {party: curated.of_url(source.rstrip("/"), party)}
    if not Path(source).is_dir():
        raise QuestionError(f"--from {source}: neither a folder nor the https:// address of a container")
    return {party: curated.of_folder(Path(source), party)}
