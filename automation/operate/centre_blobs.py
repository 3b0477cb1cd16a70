"""The blobs of the centre's containers `inbox` and `results`: where jobs go in, and what came of them.

On the emulator as the owner of the account sees them, by a way of their own; on Azure (`people.py`) as
whoever is signed in, from a network in which the account's name leads to its private endpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from automation.operate import own_blobs
from automation.ui.outcome import FedError, QuestionError
from federation.outputs import Outputs
from federation.parties import CENTRE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulator.datacentre.control import Datacentre


class Readable(Protocol):
    """A container, as somebody who may read it sees it."""

    def read(self, prefix: str) -> Mapping[str, bytes]:
        """Return the blobs whose names begin so, each with its content."""


class Blobs(Readable, Protocol):
    """A container, as somebody who may write to it sees it."""

    def upload(self, blob: str, content: bytes) -> bool:
        """Write a blob; say whether it was written or had this content already."""


@dataclass(frozen=True, kw_only=True)
class EmulatedBlobs:
    """A container of a centre that runs on the emulator."""

    datacentre: Datacentre
    outputs: Outputs[str]
    container: str

    def upload(self, blob: str, content: bytes) -> bool:
        """Write a blob; say whether it was written or had this content already."""
        container = f"{self.outputs.centre.storage_account}/blobServices/default/containers/{self.container}"
        return self.datacentre.upload(container, blob, content)

    def read(self, prefix: str) -> Mapping[str, bytes]:
        """Return the blobs whose names begin so, each with its content; raise FedError where none can be."""
        return own_blobs.read(
            self.datacentre,
            self.outputs,
            CENTRE,
            account=own_blobs.HUB,
            container=self.container,
            wanted={prefix: 0},
        )


def write_folder(blobs: Readable, prefix: str, folder: Path) -> list[str]:
    """Write the blobs below a prefix into a new folder; return their names below it.

    Raises QuestionError where the folder is there already, FedError for a name that leads out of it.
    """
    if folder.exists():
        raise QuestionError(f"{folder} is there already\nFix: name a new folder with --to")
    found = {name.removeprefix(prefix): content for name, content in blobs.read(prefix).items()}
    if strange := [name for name in found if ".." in name.split("/") or name.startswith("/")]:
        raise FedError(f"a file at the centre is called {strange[0]!r}, which leads out of {folder}")
    for name, content in found.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return sorted(found)
