"""What a request for a certificate must be, before the root signs it. Pure.

NVFlare's `cert approve` signs whatever kind the archive asks for: another hospital's name, a project lead,
the server itself. The container a request came through can be written by one identity only, so it proves
who asks; the request must ask for exactly that hospital's client.
"""

import io
import json
import re
import zipfile
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from container_server.certificates import common_name
from container_server.errors import RefusedInputError

_IDENTIFIER = re.compile(r"[A-Za-z0-9]{1,64}")
MOST_BYTES = 64 * 1024
"""Of the archive, and of each file in it (real ones: 2 KB)."""


class RequestRefusedError(RefusedInputError):
    """A request that must not be signed; the message goes back to the hospital."""


@dataclass(frozen=True)
class CertificateRequest:
    """A request that asks for what its sender may have."""

    hospital: str
    request_id: str
    archive: bytes


def examine(archive: bytes, hospital: str, project: str, organisation: str) -> CertificateRequest:
    """The request, if it asks for `hospital`'s client in `project` and nothing else.

    Raises RequestRefusedError saying what is wrong.
    """
    files = _files(archive, hospital)
    try:
        asked = json.loads(files["request.json"])
    except (ValueError, RecursionError) as error:
        raise RequestRefusedError(f"request.json is not JSON: {error}") from error
    if not isinstance(asked, dict):
        raise RequestRefusedError("request.json is not an object")
    _compare(asked, hospital, project, organisation)
    _check_signing_request(files[f"{hospital}.csr"], hospital)
    request_id = asked.get("request_id")
    if not isinstance(request_id, str) or not _IDENTIFIER.fullmatch(request_id):
        raise RequestRefusedError("request_id is not a plain identifier")
    return CertificateRequest(hospital, request_id, archive)


def stated_request_id(archive: bytes) -> str:
    """The id a request gives itself, so that a refusal can name it; `unreadable` where there is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive[:MOST_BYTES])) as opened:
            entry = opened.getinfo("request.json")
            stated = json.loads(opened.read(entry))["request_id"] if entry.file_size <= MOST_BYTES else None
    except Exception:  # whatever a hostile archive provokes, the answer is the same
        return "unreadable"
    return stated if isinstance(stated, str) and _IDENTIFIER.fullmatch(stated) else "unreadable"


def _files(archive: bytes, hospital: str) -> dict[str, bytes]:
    if len(archive) > MOST_BYTES:
        raise RequestRefusedError(f"the archive has {len(archive)} bytes, at most {MOST_BYTES} are expected")
    expected = {"request.json", "site.yaml", f"{hospital}.csr"}
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            names = [entry.filename for entry in opened.infolist()]
            if set(names) != expected or len(names) != len(expected):
                held = ", ".join(sorted(names))[:200]
                raise RequestRefusedError(f"the archive holds {held}, may hold {', '.join(sorted(expected))}")
            if any(entry.file_size > MOST_BYTES for entry in opened.infolist()):
                raise RequestRefusedError("a file in the archive is too large")
            return {name: opened.read(name) for name in names}
    except RequestRefusedError:
        raise
    except Exception as error:  # each way of packing raises its own (zlib.error, LZMAError, ...)
        raise RequestRefusedError(f"not a readable archive: {_cause(error)}") from error


def _compare(asked: dict[str, Any], hospital: str, project: str, organisation: str) -> None:
    expected = {
        "project": project,
        "name": hospital,
        "org": organisation,
        "kind": "site",
        "cert_type": "client",
        "cert_role": None,
    }
    wrong = [
        f"{key} is {asked.get(key)!r}, may be {value!r}"
        for key, value in expected.items()
        if asked.get(key) != value
    ]
    if wrong:
        raise RequestRefusedError(f"asked through {hospital}'s container: " + "; ".join(wrong)[:400])


def _check_signing_request(pem: bytes, hospital: str) -> None:
    try:
        request = x509.load_pem_x509_csr(pem)
        signed, name = request.is_signature_valid, common_name(request.subject)
    except Exception as error:  # not only ValueError: an unknown curve is UnsupportedAlgorithm
        raise RequestRefusedError(f"the signing request cannot be read: {_cause(error)}") from error
    if not signed:
        raise RequestRefusedError("the signing request is not signed by its own key")
    if name != hospital:
        raise RequestRefusedError(f"the signing request is for {name[:80]!r}, may be {hospital!r}")


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
