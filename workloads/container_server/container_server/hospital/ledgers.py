"""What a hospital remembers of what left its patients goes back with no archive and no lost disk.

Ledgers only grow. Of two the one that holds more stays: else a budget that is spent would be whole again, and
what was answered could be asked once more. One that cannot be read holds nothing.
"""

import hashlib
import threading
from pathlib import Path
from typing import Final, final

from fed_site.ledgers import BUDGET_FILE, KEPT_FILE, RELEASED_FILE, RUNS_FILE

from container_server import strict_json
from container_server.cadence import Cadence
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.errors import RefusedInputError
from container_server.files import write_json
from container_server.foreign import ForeignFileError, ForeignFolder
from container_server.log import say
from container_server.storage import Blob, BlobStore

LEDGERS = (BUDGET_FILE, RELEASED_FILE, RUNS_FILE)
ASIDE = "ledgers"
BLOBS: Final = "ledgers/"
"""Where they are in the container `record`."""
LARGEST = 1 << 29
LOOK_SECONDS: Final = 0.05
"""An answer waits for its ledger's copy."""


@final
class KeptLedgers:
    """Copies each ledger to the hospital's own account as it changes, and brings them back to a new disk.

    The client lets nothing out that its ledgers tell of until `answers` says that their content is in the
    account (fed_site/kept.py).
    """

    def __init__(self, *, record: BlobStore, work: Path, answers: Path, clock: Clock):
        self._record = record
        self._work = ForeignFolder(work)
        self._said = answers / KEPT_FILE
        self._one_at_a_time = threading.Lock()
        self._recovered = False
        self._kept: dict[str, bytes] = {}
        """What the account has."""
        self._seen: dict[str, object] = {}
        self._look = Chore("ledgers", Cadence(clock, 0.0, longest_pause=5.0), self._copy)

    @property
    def trouble(self) -> str:
        """Why the account does not have them; empty when it does."""
        return self._look.trouble

    def turn(self) -> float:
        """Look once, copy what changed; seconds until the next time."""
        self._look.run()
        return LOOK_SECONDS

    def recover(self) -> None:
        """Have what the account knows on the disk, before a client starts: once. May raise TransientError."""
        with self._one_at_a_time:
            if not self._recovered:
                for name in LEDGERS:
                    self._recover(name)
                self._say()
                self._recovered = True

    def _recover(self, name: str) -> None:
        found = self._record.read(BLOBS + name, limit=LARGEST)
        if not isinstance(found, Blob):
            return
        self._kept[name] = found.content
        if _extent(name, found.content) > _extent(name, _read(self._work, name)):
            self._work.write(name, found.content)
            say("a ledger is brought back from the hospital's account", ledger=name)

    def _copy(self) -> None:
        self.recover()
        for name in LEDGERS:
            stamp = self._work.stamp(name)
            if stamp is not None and stamp != self._seen.get(name):
                self._copy_one(name)
                self._seen[name] = stamp

    def _copy_one(self, name: str) -> None:
        content = self._work.read(name, LARGEST)
        before = self._kept.get(name)
        if content is None or content == before:
            return
        if _extent(name, content) < _extent(name, before):
            raise RefusedInputError(f"{name} holds less than before: nothing that it tells of leaves")
        self._record.write(BLOBS + name, content)
        self._kept[name] = content
        self._say()

    def _say(self) -> None:
        write_json(
            self._said,
            {name: hashlib.sha256(content).hexdigest() for name, content in self._kept.items()},
            0o644,
        )


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
