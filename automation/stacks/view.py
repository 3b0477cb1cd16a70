"""Shows an operation of the engine while it runs: a line a party on a terminal, else a line now and then."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from automation.stacks.events import Record, Share
from automation.stacks.urns import name_of
from automation.ui.console import say, stderr

HEARTBEAT = 10.0
_SHOWN = ("created", "imported", "updated", "replaced", "deleted", "refreshed", "read")


@contextmanager
def shown(record: Record, doing: str) -> Iterator[None]:
    """Show `record` while the block runs; `doing` is such as ``deploying dev``. Writes to standard error."""
    if stderr.is_terminal:
        with Live(get_renderable=lambda: _table(record, doing), console=stderr, transient=True):
            yield
        return
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT):
            say(f"{doing}: {_so_far(record)}")

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()


def sentence(record: Record) -> str:
    """Return what an operation did: ``231 created, 2 updated, 5 unchanged in 3.9 s``."""
    totals = record.totals()
    parts = [f"{totals[word]} {word}" for word in (*_SHOWN, "unchanged") if totals[word]]
    return f"{', '.join(parts) or 'nothing'} in {record.seconds():.1f} s"


def _so_far(record: Record) -> str:
    shares = [share for _, share in record.parties()]
    done, known = sum(len(share.ended) for share in shares), sum(len(share.started) for share in shares)
    waiting = record.waiting()
    more = f", {waiting} waiting until Azure knows a role" if waiting else ""
    return f"{done} of {known} resources known so far{more}, {record.seconds():.0f} s"


def _table(record: Record, doing: str) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for party, share in record.parties():
        table.add_row(f"  {party}", f"{len(share.ended)}/{len(share.started)}", _changes(share), _now(share))
    table.add_row(Text(f"  {doing}", style="bold"), f"{record.seconds():.0f} s")
    if waiting := record.waiting():
        table.add_row(Text(f"  {waiting} waiting until Azure knows a role", style="dim"))
    return table


def _changes(share: Share) -> str:
    count = share.count()
    return ", ".join(f"{count[word]} {word}" for word in _SHOWN if count[word])


def _now(share: Share) -> Text:
    if share.failed:
        return Text(f"failed: {name_of(next(iter(share.failed)))}", style="red")
    running = share.running()
    return Text(name_of(running[0]) if running else "", style="dim")
