"""What statistics left this hospital, of which version of its data: no two of them give a patient away.

Two exact answers, before and after one patient joined, are that patient's record (a centre got one with two
runs of the platform's own statistics). So a question is answered once for a version of the data. Data that
differ by fewer than `changed` rows (added, removed, altered) from a version of which something left get that
version's answers, and new questions none. What is remembered are answers and keyed checksums of rows, no row.
"""

import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, final

MOST_VERSIONS: Final = 200
"""Beyond, nothing new leaves until a person looks: so many real changes of ten rows take years."""
_DIGITS: Final = 16
"""Of a row's checksum in hex; 64 bits tell the rows of one hospital apart."""


@final
class Release:
    """What may be answered of one version of the data."""

    def __init__(self, answers: dict[str, Any], *, open_: bool):
        self.answers = answers
        self._open = open_

    def answer(self, question: str, count: Callable[[], Any], detail: Any = None) -> Any:
        """The answer of before, or the one that `count` gives now; None where it stays at the hospital.

        A question is asked with one `detail` only (a histogram's range and cells): patients between two grids
        are few.
        """
        if question not in self.answers and self._open:
            self.answers[question] = {"detail": detail, "value": count()}
        known = self.answers.get(question)
        return known["value"] if known and known["detail"] == detail else None


@final
class Releases:
    """The ledger, in a file of the hospital's. Raises ValueError or OSError for one that is damaged."""

    def __init__(self, path: Path, changed: int):
        self._path = path
        self._changed = changed
        self._content: dict[str, Any] = {"salt": secrets.token_hex(16), "versions": []}
        if path.exists():
            self._content = json.loads(path.read_text())

    def of(self, rows: Iterable[str]) -> Release:
        """What may be answered of data with these rows."""
        own = Counter(self._checksum(row) for row in rows)
        versions = self._content["versions"]
        distances = [_distance(own, Counter(version["rows"])) for version in versions]
        nearest = min(range(len(versions)), key=distances.__getitem__, default=None)
        if nearest is not None and distances[nearest] < self._changed:
            return Release(versions[nearest]["answers"], open_=distances[nearest] == 0)
        if len(versions) >= MOST_VERSIONS:
            return Release({}, open_=False)
        version: dict[str, Any] = {"rows": sorted(own.elements()), "answers": {}}
        versions.append(version)
        return Release(version["answers"], open_=True)

    def save(self) -> None:
        """Remember what was answered, before it leaves."""
        new = self._path.with_name(self._path.name + ".new")
        new.write_text(json.dumps(self._content))
        os.replace(new, self._path)  # noqa: PTH105 - atomic: a killed client must not lose what it let out

    def _checksum(self, row: str) -> str:
        keyed = hashlib.blake2b(row.encode(), key=bytes.fromhex(self._content["salt"]))
        return keyed.hexdigest()[:_DIGITS]


def _distance(one: Counter[str], other: Counter[str]) -> int:
    """Rows by which two versions differ; one that was altered counts once."""
    return max((one - other).total(), (other - one).total())
