"""The blobs of the centre's containers `inbox` and `results`: where jobs go in, and what came of them.

On the emulator as the owner of the account sees them, by a way of their own; on Azure (`people.py`) as
whoever is signed in, from a network in which the account's name leads to its private endpoint.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from automation.operate import machines
from automation.ui.outcome import FedError, QuestionError
from federation.outputs import Outputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulator.datacentre.control import Fabric

_READ = """
import base64, json, os, sys
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import ContainerClient
identity = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
container = ContainerClient(os.environ["FED_HUB_STORAGE"], sys.argv[1], credential=identity)
names = list(container.list_blob_names(name_starts_with=sys.argv[2]))
found = {name: base64.b64encode(container.download_blob(name).readall()).decode() for name in names}
print(json.dumps(found))
"""


class Blobs(Protocol):
    """A container, as somebody who may write to it sees it."""

    def upload(self, blob: str, content: bytes) -> bool:
        """Write a blob; say whether it was written or had this content already."""

    def read(self, prefix: str) -> Mapping[str, bytes]:
        """Return the blobs whose names begin so, each with its content."""


@dataclass(frozen=True, kw_only=True)
class EmulatedBlobs:
    """A container of a centre that runs on the emulator."""

    fabric: Fabric
    outputs: Outputs[str]
    container: str

    def upload(self, blob: str, content: bytes) -> bool:
        """Write a blob; say whether it was written or had this content already."""
        container = f"{self.outputs.centre.storage_account}/blobServices/default/containers/{self.container}"
        return self.fabric.upload(container, blob, content)

    def read(self, prefix: str) -> Mapping[str, bytes]:
        """Return the blobs whose names begin so, each with its content; raise FedError where none can be."""
        machine = machines.vm_name(self.outputs, "centre")
        ran = self.fabric.exec(
            machine, ["python3", "-c", _READ, self.container, prefix], container="container-server"
        )
        if ran.code != 0:
            raise FedError(f"the centre's account cannot be read: {ran.stderr[-300:]}")
        return {name: base64.b64decode(content) for name, content in json.loads(ran.stdout).items()}


def write_folder(blobs: Blobs, prefix: str, folder: Path) -> list[str]:
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
