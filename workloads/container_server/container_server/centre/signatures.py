"""What the root signed: looked at before anybody gets it, and kept in a record that only grows.

NVFlare's `cert approve` writes whatever certificate it makes of a request. What was asked for is known here,
so what it made is compared with that: a certificate that could sign others, of another name or role, of a
weak key, or for longer, goes nowhere.
"""

import json
import os
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from container_server.certificates import Certificate
from container_server.clock import Clock
from container_server.errors import ContainerServerError

Role = Literal["client", "server", "lead"]
"""As NVFlare writes it into the subject (nvflare/tool/cert/cert_commands.py, UNSTRUCTURED_NAME)."""
SLACK = timedelta(hours=1)
"""A certificate begins a little before now."""
SHORTEST_RSA = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class UnexpectedCertificateError(ContainerServerError):
    """A certificate that nobody asked for; it was signed, and is handed to nobody."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the root was asked to sign."""

    name: str
    role: Role
    days: int


@final
class Signatures:
    """The record in `file`: a line of JSON a signature."""

    def __init__(self, file: Path, clock: Clock):
        self._file = file
        self._clock = clock

    def take(self, archive: Path, asked: Asked, root: Certificate) -> Certificate:
        """The certificate in an archive that `root` is to have signed, put on record whatever it is.

        Raises UnexpectedCertificateError for another one than was asked for; the archive is gone then.
        """
        with zipfile.ZipFile(archive) as opened:
            made = Certificate.read(opened.read(f"{asked.name}.crt"))
        wrong = faults(made, asked, root)
        self._note(made, asked, root, wrong)
        if wrong:
            archive.unlink()
            raise UnexpectedCertificateError(f"signed for {asked.name} and set aside: {'; '.join(wrong)}")
        return made

    def _note(self, made: Certificate, asked: Asked, root: Certificate, wrong: list[str]) -> None:
        line = {
            "time": datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds"),
            "name": made.name,
            "role": asked.role,
            "serial": made.serial,
            "until": made.valid_until.isoformat(),
            "root": root.fingerprint,
            "wrong": wrong,
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a") as record:
            record.write(json.dumps(line) + "\n")
            record.flush()
            os.fsync(record.fileno())


def faults(made: Certificate, asked: Asked, root: Certificate) -> list[str]:
    """How a certificate differs from what was asked for; empty when it does not."""
    found = []
    if made.name != asked.name:
        found.append(f"it is for {made.name[:80]!r}")
    if (role := _role(made.x509)) != asked.role:
        found.append(f"its role is {role[:40]!r}, not {asked.role!r}")
    if _may_sign(made.x509):
        found.append("it could sign other certificates")
    if made.valid_until - made.valid_from > timedelta(days=asked.days) + SLACK:
        found.append(f"it is valid for longer than {asked.days} days")
    if not _is_strong(made.x509):
        found.append("its key is of no kind that is taken here")
    if not made.issued_by(root):
        found.append("another root signed it")
    return found


def _role(certificate: x509.Certificate) -> str:
    stated = certificate.subject.get_attributes_for_oid(x509.NameOID.UNSTRUCTURED_NAME)
    return str(stated[0].value) if len(stated) == 1 else ""


def _may_sign(certificate: x509.Certificate) -> bool:
    """Also true where the certificate does not say: some take that for yes."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return True
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return constraints.ca
    return constraints.ca or usage.key_cert_sign or usage.crl_sign


def _is_strong(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= SHORTEST_RSA
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)
