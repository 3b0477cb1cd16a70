"""What statistics left this hospital, of which version of its data: no two of them give a patient away.

Two exact answers, before and after one patient joined, are that patient's record (a centre got one with two
runs of the platform's own statistics). So a question is answered once for a version of what it is about: the
values of one column, read in one way (own_statistics.py), of which a patient has one. Values of which fewer
than `changed` differ from a version of which something left get that version's answers, and new questions
none. Each by itself: a column that changes for many patients is no reason to answer again for the others, in
which only the one who joined would show.

What is remembered are answers, and of the values keyed checksums with how often each is there: no row, though
the key is next to them, so whoever reads the ledger can try which values a column has.
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
"""Beyond, nothing new leaves until a person looks: so many real changes of ten values take years."""
_DIGITS: Final = 16
"""Of a checksum in hex; 64 bits tell the values of one hospital apart."""


@final
class Release:
    """What may be answered of one version of some values."""

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
        new: dict[str, Any] = {"salt": secrets.token_hex(16), "values": {}}
        self._content = _read(path) if path.exists() else new
        self._values: dict[str, list[dict[str, Any]]] = self._content.setdefault("values", {})
        self._of_rows: list[dict[str, Any]] = self._content.get("versions", [])
        """Of releases up to 0.3, which compared whole rows."""

    def of(
        self, file: str, name: str, values: Iterable[str], rows: Callable[[], Iterable[str]] = tuple
    ) -> Release:
        """What may be answered of these values, which have that name; `rows` are their file's.

        Where a ledger of before knows the file, its answers go on: they hold for rows that differ too little,
        and become the values' first version where none does.
        """
        own = Counter(self._checksum(f"{file}\0{name}\0{value}") for value in values)
        versions = self._values.setdefault(f"{file} {name}", [])
        distances = [_distance(own, Counter(version["values"])) for version in versions]
        nearest = min(range(len(versions)), key=distances.__getitem__, default=None)
        if nearest is not None and distances[nearest] < self._changed:
            return Release(versions[nearest]["answers"], open_=distances[nearest] == 0)
        answers, differ = ({}, 0) if versions else self._before(rows)
        if differ:
            return Release(answers, open_=False)
        if len(versions) >= MOST_VERSIONS:
            return Release({}, open_=False)
        versions.append({"values": dict(sorted(own.items())), "answers": dict(answers)})
        return Release(versions[-1]["answers"], open_=True)

    def _before(self, rows: Callable[[], Iterable[str]]) -> tuple[dict[str, Any], int]:
        """The answers of the nearest version of rows, and by how many rows it differs; none: by too many."""
        if not self._of_rows:
            return {}, 0
        own = Counter(self._checksum(row) for row in rows())
        distances = [_distance(own, Counter(version["rows"])) for version in self._of_rows]
        nearest = min(range(len(distances)), key=distances.__getitem__)
        if distances[nearest] >= self._changed:
            return {}, 0
        return self._of_rows[nearest]["answers"], distances[nearest]

    def save(self) -> None:
        """Remember what was answered, before it leaves."""
        new = self._path.with_name(self._path.name + ".new")
        new.write_text(json.dumps(self._content))
        os.replace(new, self._path)  # noqa: PTH105 - atomic: a killed client must not lose what it let out

    def _checksum(self, text: str) -> str:
        keyed = hashlib.blake2b(text.encode(), key=bytes.fromhex(self._content["salt"]))
        return keyed.hexdigest()[:_DIGITS]


def _read(path: Path) -> dict[str, Any]:
    content: Any = json.loads(path.read_text())
    values = content.get("values", {}) if isinstance(content, dict) else None
    if not isinstance(values, dict) or not isinstance(content.get("salt"), str):
        raise ValueError(f"{path.name} is no ledger of releases")
    return dict(content)


def _distance(one: Counter[str], other: Counter[str]) -> int:
    """Values by which two versions differ; one that was altered counts once."""
    return max((one - other).total(), (other - one).total())
