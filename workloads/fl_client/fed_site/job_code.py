"""The checksum of what a job would run at a hospital, from the archive that arrived. Pure.

Numbers in the client's configuration and in the manifest are left out (rounds, steps, means that scale a
model): a job that was approved may be run again with others. Everything else counts: each file of code, each
name and text, the manifest's purpose, columns and what leaves, and the fewest hospitals that it runs with: of
fewer, each could work out another's share. The server's configuration is left out, too, as no hospital reads
it; so is the manifest's author, whom nobody proves.
"""

import hashlib
import io
import json
import zipfile
from typing import Any

from .manifest import FILE as MANIFEST
from .manifest import Manifest, UnreadableManifestError

CLIENT = "config/config_fed_client.json"
SERVER = "config/config_fed_server.json"
SIGNATURES = (".__nvfl_sig.json", ".__nvfl_submitter.crt")
"""NVFlare's signature of a folder and who signed: new at each submission, checked by NVFlare itself."""
MOST_FILES = 500
MOST_BYTES = 20 * 1024 * 1024


class UnreadableJobError(ValueError):
    """An archive that is no job."""


def checksum(archive: bytes) -> str:
    """SHA-256 in hexadecimal. Raises UnreadableJobError for an archive that is damaged, too large, or
    ambiguous.
    """
    digest = hashlib.sha256()
    for name, content in sorted(own_files(archive).items()):
        counted = _shape(name, content) if name in (CLIENT, MANIFEST) else content
        digest.update(f"{name}\0{len(counted)}\0".encode())
        digest.update(counted)
    return digest.hexdigest()


def own_files(archive: bytes) -> dict[str, bytes]:
    """Those that count: name -> content. Raises UnreadableJobError."""
    return {
        name: content
        for name, content in files(archive).items()
        if name != SERVER and name.rpartition("/")[2] not in SIGNATURES
    }


def manifest(archive: bytes) -> Manifest:
    """What the job says of itself. Raises UnreadableJobError where there is no manifest in its form."""
    try:
        return Manifest.read(files(archive)[MANIFEST])
    except KeyError as error:
        raise UnreadableJobError(
            f"it has no {MANIFEST}, which says what it is for and what leaves"
        ) from error
    except UnreadableManifestError as error:
        raise UnreadableJobError(f"its manifest {error}") from error


def files(archive: bytes) -> dict[str, bytes]:
    """Name -> content. Raises UnreadableJobError."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            _check(entries)
            return {entry.filename: opened.read(entry) for entry in entries}
    except UnreadableJobError:
        raise
    except Exception as error:  # zipfile raises whatever a damaged archive makes it raise
        raise UnreadableJobError(f"the archive cannot be read: {type(error).__name__}") from error


def _check(entries: list[zipfile.ZipInfo]) -> None:
    names = {entry.filename for entry in entries}
    if len(names) != len(entries) or len({name.lower() for name in names}) != len(names):
        raise UnreadableJobError("a file is in the archive twice")
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise UnreadableJobError(f"more than {MOST_FILES} files or {MOST_BYTES} bytes")
    # Two names of one place: which content is unpacked last, and runs, no checksum would say.
    if any(not {"", ".", ".."}.isdisjoint(name.split("/")) or "\\" in name for name in names):
        raise UnreadableJobError("a file's name leads out of the archive, or to its place by another way")


def _shape(name: str, content: bytes) -> bytes:
    try:
        value = json.loads(content)
        if name == MANIFEST and isinstance(value, dict):
            value.pop("author", None)
            value["minimum_sites"] = str(value.get("minimum_sites"))
        return json.dumps(_without_numbers(value), sort_keys=True).encode()
    except (ValueError, RecursionError) as error:
        raise UnreadableJobError(f"{name} is not JSON") from error


def _without_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_numbers(entry) for entry in value]
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value
