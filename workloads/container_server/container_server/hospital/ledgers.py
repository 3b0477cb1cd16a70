"""What a hospital remembers of what left its patients does not go back with an archive.

Ledgers only grow. Of the one that was on the disk and that of the archive the one that holds more stays: else
a budget that is spent would be whole again, and what was answered could be asked once more. One that cannot
be read holds nothing.
"""

from fed_site.ledgers import BUDGET_FILE, RELEASED_FILE, RUNS_FILE

from container_server import strict_json
from container_server.foreign import ForeignFileError, ForeignFolder

LEDGERS = (BUDGET_FILE, RELEASED_FILE, RUNS_FILE)
ASIDE = "ledgers"
LARGEST = 1 << 29


def set_aside(work: ForeignFolder, own: ForeignFolder) -> None:
    """Copy those of the client's folder to ASIDE, before an archive replaces them."""
    own.remove(ASIDE)
    for name in LEDGERS:
        if (content := _read(work, name)) is not None:
            own.write(f"{ASIDE}/{name}", content)


def keep_what_holds_more(work: ForeignFolder, own: ForeignFolder) -> None:
    """Bring those back that hold more than the archive's."""
    for name in LEDGERS:
        before, now = _read(own, f"{ASIDE}/{name}"), _read(work, name)
        if before is not None and _extent(name, before) > _extent(name, now):
            work.write(name, before)
    own.remove(ASIDE)


def _read(folder: ForeignFolder, name: str) -> bytes | None:
    try:
        return folder.read(name, LARGEST)
    except ForeignFileError:
        return None


def _extent(name: str, content: bytes | None) -> float:
    """How much a ledger holds: what is spent, or its length."""
    try:
        known = strict_json.parse(content or b"")
        return float(known["spent"]) if name == BUDGET_FILE else len(content or b"")
    except (ValueError, KeyError, TypeError):
        return -1.0
