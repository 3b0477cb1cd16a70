"""Reads a party's curated tables from the one container that is its own, as that party.

On the emulator the party's own VM reads, with its own identity, in its own network; this machine only carries
the answer. On Azure the person who is logged in reads: a member of the party's readers, from a place that
reaches the storage account. No identity here could read another hospital's container.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import httpx

from automation.operate.emulated import running_datacentre
from automation.operate.machines import vm_name
from automation.stacks.target import Target
from automation.ui.outcome import FedError, RefusedError
from federation.curated import CURATED
from federation.naming import SERVER_CONTAINER, client_container
from federation.outputs import Outputs
from federation.parties import CENTRE
from workloads.curation.schema import TABLES

READ = ["python3", "-m", "container_server.curated"]
SCOPE = "https://storage.azure.com/.default"
VERSION = "2024-11-04"
NO_TABLES = "{party} has no tables yet: they are made when a job ends. To run one: ./fed train"

Files = dict[str, bytes]
"""Table -> its Parquet file."""


def of_target(target: Target, outputs: Outputs[str], party: str) -> tuple[Files, Files]:
    """Return the tables of a party of a deployed stack and, on the emulator, its model cards as pages.

    Raises RefusedError where there are no tables yet.
    """
    if target.emulator is None:
        container = SERVER_CONTAINER if party == CENTRE else client_container(party)
        return of_url(f"{outputs.centre.storage_url}/{container}", party), {}
    ran = running_datacentre(target).exec(vm_name(outputs, party), READ, container="container-server")
    if ran.code:
        raise FedError(f"{party}'s VM could not read its tables: {ran.stderr.strip()[-500:]}")
    try:
        found = {name: base64.b64decode(content) for name, content in json.loads(ran.stdout).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise FedError(f"{party}'s VM answered with something else than tables ({error})") from error
    return _tables(found, party), {name: page for name, page in found.items() if name.endswith(".html")}


def of_folder(folder: Path, party: str) -> Files:
    """Return the tables that lie in a folder. Raises RefusedError where there are none."""
    return _tables({path.name: path.read_bytes() for path in folder.glob("*.parquet")}, party)


def of_url(container: str, party: str) -> Files:
    """Return the tables in a blob container of Azure (its address), as the person who is logged in."""
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 slow, and only Azure needs it

    token = DefaultAzureCredential().get_token(SCOPE).token
    headers = {"Authorization": f"Bearer {token}", "x-ms-version": VERSION}
    found: Files = {}
    with httpx.Client(headers=headers, timeout=30) as client:
        for table in TABLES:
            name = f"{table}.parquet"
            try:
                answer = client.get(f"{container}/{CURATED}{quote(name)}")
            except httpx.TransportError as error:
                raise FedError(
                    f"{container} cannot be reached ({error}): it has a private endpoint only, so this must"
                    " run in a network that leads there"
                ) from error
            if answer.status_code == httpx.codes.NOT_FOUND:
                continue
            if answer.is_error:
                code = answer.headers.get("x-ms-error-code", answer.status_code)
                raise FedError(f"{container}: refused ({code}): only {party}'s readers may read it")
            found[name] = answer.content
    return _tables(found, party)


def _tables(files: Mapping[str, bytes], party: str) -> Files:
    # Next to the tables are the model cards (workloads/curation/cards.py).
    tables = {Path(name).stem: content for name, content in files.items() if name.endswith(".parquet")}
    if not tables:
        raise RefusedError(NO_TABLES.format(party=party))
    return tables
