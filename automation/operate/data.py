"""Hospitals' data: what each container `data` holds, and how a file gets there.

On Azure only a hospital's own people can look into its account or write to it, through its door
(`people.py`). On the emulator a hospital without a door has a way of its own, too.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from automation.operate import data_sets, own_blobs
from automation.stacks import demonstration
from automation.ui.outcome import QuestionError, RefusedError
from federation.naming import SCORE_FOLDER as SCORE
from federation.naming import SCORES_CONTAINER
from federation.outputs import Outputs
from workloads.data.fed_data.check import Checked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulator.datacentre.control import Datacentre


class Container(Protocol):
    """A container `data`, as somebody who may write to it sees it."""

    def blobs(self) -> dict[str, str]:
        """Return the blobs, each with its MD5 in base64."""

    def upload(self, blob: str, content: bytes) -> bool:
        """Write a blob; say whether it was written or had this content already."""


@dataclass(frozen=True, kw_only=True)
class OwnersContainer:
    """A container (its ARM id) of the emulator, as the owner of its account sees it by a way of their own."""

    datacentre: Datacentre
    id: str

    def blobs(self) -> dict[str, str]:
        """Return the blobs, each with its MD5 in base64."""
        return self.datacentre.blobs(self.id)

    def upload(self, blob: str, content: bytes) -> bool:
        """Write a blob; say whether it was written or had this content already."""
        return self.datacentre.upload(self.id, blob, content)


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """What `seed` found, as names of hospitals: each is in one of the three, or has the demonstration."""

    uploaded: tuple[str, ...]
    own: tuple[str, ...]
    """They keep data that this program did not make."""
    empty: tuple[str, ...]
    """Nothing is there, and there is no demonstration data of that name."""


def container_of(outputs: Outputs[str], hospital: str) -> str:
    """Return the ARM id of a hospital's container `data`; raise QuestionError for an unknown hospital."""
    if hospital not in outputs.hospitals:
        known = ", ".join(outputs.hospitals)
        raise QuestionError(f"there is no hospital {hospital!r}: the stack has {known}")
    return f"{outputs.hospitals[hospital].storage_account}/blobServices/default/containers/data"


def seed(datacentre: Datacentre, outputs: Outputs[str]) -> Seeded:
    """Upload the public demonstration data to the containers that are empty; touch nothing else."""
    held = {name: datacentre.blobs(container_of(outputs, name)) for name in outputs.hospitals}
    uploaded = tuple(name for name in held if not held[name] and demonstration.files(name))
    for name in uploaded:
        for blob, content in demonstration.files(name).items():
            datacentre.upload(container_of(outputs, name), blob, content)
    return Seeded(
        uploaded=uploaded,
        own=tuple(name for name in held if demonstration.foreign(name, held[name])),
        empty=tuple(name for name in held if not held[name] and name not in uploaded),
    )


def put(container: Container, file: Path) -> tuple[Checked, bool]:
    """Check a file, then upload it into a container `data` under its own name.

    Returns what was found and whether the container changed. Raises RefusedError for a file that the
    hospital's VM would refuse.
    """
    checked = data_sets.check_for_upload(file)
    if checked.complaints:
        raise RefusedError(
            f"{file} was not uploaded: the hospital's VM would not take it\n  "
            + "\n  ".join(checked.complaints)
            + f"\nFix: correct the file, then ./fed dataset check {file}"
        )
    return checked, container.upload(file.name, _content(file))


def ask_scores(container: Container, file: Path) -> bool:
    """Upload a table that a model is to be asked about; say whether the container changed.

    Its form is the model's, so the hospital's VM judges it: row by row, in its answer.
    """
    if file.suffix != ".csv":
        raise QuestionError(f"{file.name} is no .csv file\nFix: name it MODEL.csv, after the model")
    return container.upload(f"{SCORE}{file.name}", _content(file))


@dataclass(frozen=True, kw_only=True)
class OwnScores:
    """A hospital's container `scores` on the emulator, as its VM sees it, which writes it."""

    datacentre: Datacentre
    outputs: Outputs[str]
    hospital: str

    def read(self, prefix: str) -> Mapping[str, bytes]:
        """Return the blobs whose names begin so, each with its content; raise FedError where none can be."""
        return own_blobs.read(
            self.datacentre,
            self.outputs,
            self.hospital,
            account=own_blobs.OWN,
            container=SCORES_CONTAINER,
            wanted={prefix: 0},
        )


def listing(container: Container) -> dict[str, str]:
    """Return the blobs of a container `data`, each with its MD5 in hexadecimal digits."""
    return {name: base64.b64decode(md5).hex() for name, md5 in sorted(container.blobs().items())}


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise QuestionError(f"{file} cannot be read: {error.strerror}") from error
