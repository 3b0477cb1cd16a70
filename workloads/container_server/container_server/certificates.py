"""Certificates, as far as this service reads them."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


@dataclass(frozen=True)
class Certificate:
    """One certificate; `serial` in hex without 0x, `name` its subject's common name."""

    x509: x509.Certificate

    @classmethod
    def read(cls, pem: bytes) -> "Certificate":
        """Raises ValueError for anything but a PEM certificate."""
        return cls(x509.load_pem_x509_certificate(pem))

    @classmethod
    def read_chain(cls, pem: bytes) -> "list[Certificate]":
        """The certificate, and those that lead from it to a root. Raises ValueError as `read` does."""
        return [cls(one) for one in x509.load_pem_x509_certificates(pem)]

    @property
    def serial(self) -> str:
        """Serial number in hex."""
        return format(self.x509.serial_number, "x")

    @property
    def name(self) -> str:
        """Common name of the subject; empty when it has none."""
        return common_name(self.x509.subject)

    @property
    def fingerprint(self) -> str:
        """`SHA256:AA:BB:...`, as NVFlare and openssl print it."""
        return "SHA256:" + ":".join(f"{byte:02X}" for byte in self.x509.fingerprint(hashes.SHA256()))

    @property
    def public_key(self) -> PublicKeyTypes:
        """The subject's key."""
        return self.x509.public_key()

    @property
    def valid_from(self) -> datetime:
        """Start of validity, UTC."""
        return self.x509.not_valid_before_utc

    @property
    def valid_until(self) -> datetime:
        """End of validity, UTC."""
        return self.x509.not_valid_after_utc

    def issued_by(self, issuer: "Certificate") -> bool:
        """Whether the issuer's key signed this certificate and the names agree."""
        try:
            self.x509.verify_directly_issued_by(issuer.x509)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def common_name(name: x509.Name) -> str:
    """The common name in a distinguished name; empty when there is none or several."""
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""
