"""`python -m container_server.curated`: this VM's own curated tables, read with its own identity.

Prints one JSON object, file name -> base64. At a hospital that is what is in
`client-<hospital>/curated/`: its identity may read no other container of the centre's.
"""

import base64
import json
import os
import sys

from azure.identity import ManagedIdentityCredential

from container_server.azure_storage import open_account
from container_server.config import Config, ConfigError
from container_server.errors import ContainerServerError
from container_server.storage import Blob, BlobStore

PREFIX = "curated/"
TABLE_LIMIT = 20 * 1024 * 1024
"""Bytes: a table of thousands of runs is smaller."""


def read(store: BlobStore) -> dict[str, bytes]:
    """File name -> content. Raises TransientError or BlobTooLargeError."""
    found = {}
    for entry in store.list(PREFIX):
        blob = store.read(entry.name, limit=TABLE_LIMIT)
        if isinstance(blob, Blob):
            found[entry.name.removeprefix(PREFIX)] = blob.content
    return found


def main() -> None:
    """Read and print."""
    try:
        config = Config.read(os.environ)
        container = "server" if config.role == "centre" else f"client-{config.party}"
        credential = ManagedIdentityCredential(client_id=config.client_id)
        tables = read(open_account(config.hub_storage, credential)(container))
    except (ConfigError, ContainerServerError) as error:
        sys.exit(f"curated tables: {error}")
    print(json.dumps({name: base64.b64encode(content).decode() for name, content in tables.items()}))


if __name__ == "__main__":
    main()
