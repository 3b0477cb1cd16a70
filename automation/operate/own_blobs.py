"""Blobs as a party's own VM reads them, with its own identity, on the emulator."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

from automation.operate import machines
from automation.ui.outcome import FedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulator.datacentre.control import Datacentre
    from federation.outputs import Outputs

HUB: Final = "FED_HUB_STORAGE"
OWN: Final = "FED_OWN_STORAGE"
"""Accounts by the names of the variables in which a container server has their addresses."""
_READ = """
import base64, json, os, sys
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import ContainerClient
identity = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
container = ContainerClient(os.environ[sys.argv[1]], sys.argv[2], credential=identity)
found = {}
for prefix, most in json.loads(sys.argv[3]).items():
    for name in sorted(container.list_blob_names(name_starts_with=prefix))[-most:]:
        found[name] = base64.b64encode(container.download_blob(name).readall()).decode()
print(json.dumps(found))
"""


def read(
    datacentre: Datacentre,
    outputs: Outputs[str],
    party: str,
    *,
    account: str,
    container: str,
    wanted: Mapping[str, int],
) -> dict[str, bytes]:
    """Return blobs by name: of each prefix in `wanted` so many, the last by name; 0: all.

    Raises FedError where the account cannot be read.
    """
    words = ["python3", "-c", _READ, account, container, json.dumps(dict(wanted))]
    ran = datacentre.exec(machines.vm_name(outputs, party), words, container="container-server")
    if ran.code != 0:
        raise FedError(f"{party}'s VM cannot read its container {container}: {ran.stderr[-300:]}")
    return {name: base64.b64decode(content) for name, content in json.loads(ran.stdout).items()}
