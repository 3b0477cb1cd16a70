"""A job's manifest: what it says of itself to a hospital's officers and to the airlock. Pure.

The centre writes it (`fed_server/manifest.py`); its form is container_server/schemas/manifest.schema.json.
Here it is hostile until read: bounded, each text one printable line.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

FILE = "manifest.json"
"""In the archive of what a hospital gets."""
MOST_BYTES = 64 * 1024
MOST_NAMES = 500
LONGEST_NAME = 100
LONGEST_TEXT = 500
BASE = "base"
"""The box of the client's own image, which is there without being named."""
_BOX = re.compile(rf"{BASE}|[a-z][a-z0-9-]{{0,19}}@sha256:[0-9a-f]{{64}}")
_CELLS = re.compile(r"[1-9][0-9]{0,3}")
_STUDY = re.compile(r"[a-z][a-z0-9-]{0,39}|")
_SHAPE = re.compile(r"scalar|[1-9][0-9]{0,8}(?:x[1-9][0-9]{0,8}){0,7}")


class UnreadableManifestError(ValueError):
    """A manifest that is not in its form; the message completes "its manifest ..."."""


@final
@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Who asks, why, for which data, and what is to leave."""

    name: str
    title: str
    purpose: str
    author: str
    """As the centre states it: nobody proves it."""
    data: Mapping[str, tuple[str, ...]]
    """File -> columns that the job reads."""
    model: Mapping[str, str]
    """Array -> shape (`31`, `3x4`, `scalar`)."""
    metrics: tuple[str, ...]
    histograms: Mapping[str, int | None]
    """Histogram of scores -> how many cells it has; None where an older centre did not say."""
    statistics: tuple[str, ...]
    rounds: int
    answers: int
    """How many a hospital gives in this run: the airlock lets out no more."""
    minimum_sites: int
    workflow: str
    """How the server leads the rounds."""
    memory_mb: int = 0
    """What its box needs, at least; 0 for whatever it gets."""
    study: str = ""
    """Whose share of a hospital's privacy budget it uses; empty for none."""
    box: str = BASE
    """Where its code runs: BASE, or `name@sha256:<hex>` of the image with the libraries that it needs."""

    @classmethod
    def read(cls, content: bytes) -> "Manifest":
        """Raises UnreadableManifestError naming the key that is wrong."""
        if len(content) > MOST_BYTES:
            raise UnreadableManifestError(f"is larger than {MOST_BYTES} bytes")
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UnreadableManifestError("is not JSON") from error
        if not isinstance(found, dict) or not isinstance(leaves := found.get("leaves"), dict):
            raise UnreadableManifestError("does not say what leaves")
        simple: dict[str, Any] = {
            **{key: _text(key, found.get(key)) for key in ("name", "title", "purpose", "author", "workflow")},
            **{key: _names(key, leaves.get(key)) for key in ("metrics", "statistics")},
            **{key: _count(key, found.get(key)) for key in ("rounds", "answers", "minimum_sites")},
        }
        return cls(
            **simple,
            histograms=_histograms(leaves),
            memory_mb=_count("memory_mb", found.get("memory_mb", 0)),
            study=_study(found.get("study", "")),
            box=_box(found.get("box", BASE)),
            data={file: _names("data", columns) for file, columns in _table("data", found).items()},
            model={array: _shape(shape) for array, shape in _table("model", leaves).items()},
        )


def shape_in_words(shape: Sequence[int]) -> str:
    """As a manifest has it: `31`, `3x4`, `scalar`."""
    return "x".join(map(str, shape)) or "scalar"


def printable(text: str) -> str:
    """One line without control characters, cut."""
    kept = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * LONGEST_TEXT])
    return kept[:LONGEST_TEXT]


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UnreadableManifestError(f"has no text {key!r}")
    return printable(value)


def _table(key: str, holder: Mapping[str, Any]) -> dict[str, Any]:
    value = holder.get(key)
    if not isinstance(value, dict) or len(value) > MOST_NAMES:
        raise UnreadableManifestError(f"has no table {key!r}")
    return {printable(name)[:LONGEST_NAME]: entry for name, entry in value.items()}


def _names(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_NAMES:
        raise UnreadableManifestError(f"has no list {key!r}")
    if not all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in value):
        raise UnreadableManifestError(f"has something else than names in {key!r}")
    return tuple(printable(name) for name in value)


def _box(value: Any) -> str:
    if not isinstance(value, str) or not _BOX.fullmatch(value):
        raise UnreadableManifestError("has a box that is none")
    return value


def _histograms(leaves: Mapping[str, Any]) -> dict[str, int | None]:
    """A table of cells, as texts: they count in the checksum, as shapes do. Before 0.4: a list of names."""
    if isinstance(leaves.get("histograms"), list):
        return dict.fromkeys(_names("histograms", leaves["histograms"]))
    return {name: _cells(said) for name, said in _table("histograms", leaves).items()}


def _cells(said: Any) -> int:
    if not isinstance(said, str) or not _CELLS.fullmatch(said):
        raise UnreadableManifestError("has a histogram without a number of cells")
    return int(said)


def _study(value: Any) -> str:
    if not isinstance(value, str) or not _STUDY.fullmatch(value):
        raise UnreadableManifestError("has a study that is no name")
    return value


def _shape(value: Any) -> str:
    if not isinstance(value, str) or not _SHAPE.fullmatch(value):
        raise UnreadableManifestError("has a model with a shape that is none")
    return value


def _count(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000:
        raise UnreadableManifestError(f"has no whole number {key!r}")
    return value
