"""How a root of the federation hands over to the next: the old one signs the new one's key.

That certificate is the proof by which a hospital that trusts the old root takes the new one, and, sent along
with a certificate of the new root, what lets a party that still trusts the old one accept it (the
`newWithOld` of RFC 4210, section 4.4). NVFlare 2.9 checks peers against the first certificate of rootCA.pem
alone, so two roots in one file would not do; chains it takes, as gRPC does.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from container_server.certificates import Certificate
from container_server.errors import RefusedInputError


class UnprovenRootError(RefusedInputError):
    """A root that the one trusted so far did not sign for."""


def proof(new: Certificate, old: Certificate, key: CertificateIssuerPrivateKeyTypes) -> bytes:
    """The new root's key, signed with the old root's `key`, as PEM; valid as long as both roots are."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(new.x509.subject)
        .issuer_name(old.x509.subject)
        .public_key(new.x509.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(new.valid_from, old.valid_from))
        .not_valid_after(min(new.valid_until, old.valid_until))
    )
    for extension in new.x509.extensions:
        if not isinstance(extension.value, x509.AuthorityKeyIdentifier):
            builder = builder.add_extension(extension.value, extension.critical)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(old.x509.public_key())  # type: ignore[arg-type]
    signed = builder.add_extension(issuer, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM)


def proven(trusted: str, wanted: str, history: Mapping[str, Any], now: float) -> bytes:
    """The last proof (PEM) on the way from the root `trusted` to the root `wanted`, two fingerprints.

    `history` is a message of kind `roots`: `proofs[i]` is root i+1's key, signed by root i. `now` is Unix
    time. Raises UnprovenRootError.
    """
    try:
        roots = [Certificate.read(text.encode()) for text in history["roots"]]
        proofs = [Certificate.read(text.encode()) for text in history["proofs"]]
    except ValueError as error:
        raise UnprovenRootError(f"the centre's roots cannot be read: {error}") from error
    prints = [root.fingerprint for root in roots]
    way = range(prints.index(trusted), prints.index(wanted)) if {trusted, wanted} <= set(prints) else range(0)
    if not way or len(proofs) != len(roots) - 1:
        raise UnprovenRootError(
            f"the centre signed with the root {wanted}; this hospital trusts {trusted}, which did not hand"
            " over to it. Fix: ask the centre for its root's fingerprint by phone, and set root_fingerprint"
        )
    for step in way:
        _check(proofs[step], roots[step], roots[step + 1], now)
    return str(history["proofs"][way[-1]]).encode()


def last_proof(root: str, history: Mapping[str, Any]) -> bytes:
    """What a certificate of `root` needs for who still trusts the root before it; empty where none was.

    It only helps others to check: nothing is trusted by it.
    """
    prints = [Certificate.read(text.encode()).fingerprint for text in history["roots"]]
    place = prints.index(root) if root in prints else 0
    return str(history["proofs"][place - 1]).encode() if 0 < place <= len(history["proofs"]) else b""


def leads_to(chain: Sequence[Certificate], root: Certificate) -> bool:
    """Whether each certificate of `chain` was issued by the next, and the last (or first) by `root`."""
    if chain[0].issued_by(root):
        return True
    return all(own.issued_by(issuer) for own, issuer in zip(chain, [*chain[1:], root], strict=True))


def _check(step: Certificate, old: Certificate, new: Certificate, now: float) -> None:
    moment = datetime.fromtimestamp(now, UTC)
    sound = (
        step.issued_by(old)
        and new.issued_by(new)
        and step.public_key == new.public_key
        and step.x509.subject == new.x509.subject
        and step.valid_from <= moment <= step.valid_until
        and _may_sign(step)
        and _may_sign(new)
    )
    if not sound:
        raise UnprovenRootError(
            f"the proof that {old.fingerprint} did hand over to {new.fingerprint} is not valid: another key"
            f" signed it, or its time is over ({step.valid_until:%Y-%m-%d}). Fix: ask the centre for its"
            " root's fingerprint by phone, and set root_fingerprint"
        )


def _may_sign(issuer: Certificate) -> bool:
    try:
        return issuer.x509.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
