"""How one root hands over to the next, with the libraries that check certificates in a running federation.

gRPC and NVFlare 2.9 are the witnesses: NVFlare checks against the first certificate of rootCA.pem alone, so
that two roots in one file would cut off half of the federation, and takes the chain that a peer sends.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from container_server.certificates import Certificate
from container_server.handover import UnprovenRootError, last_proof, leads_to, proof, proven
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate
from fed_server.admission import Admission
from nvflare.fuel.f3.cellnet.cell_cipher import SimpleCellCipher
from nvflare.lighter.utils import Identity, generate_cert, generate_keys, serialize_cert, verify_cert_chain
from nvflare.private.fed.utils.identity_utils import (
    IdentityAsserter,
    IdentityVerifier,
    InvalidAsserterCert,
    load_cert_chain_bytes,
)

DAY = 86_400.0


class Own(NamedTuple):
    """A certificate (with what is sent along) and its key, as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """A root as `nvflare cert init` makes it."""

    def __init__(self) -> None:
        self.key, public = generate_keys()
        name = Identity("fed-dev")
        self.pem: bytes = serialize_cert(generate_cert(name, name, self.key, public, 3650, ca=True))
        self.certificate = Certificate.read(self.pem)

    def issue(self, name: str, sent_along: bytes = b"", role: str = "client") -> Own:
        key, public = generate_keys()
        subject = Identity(name, "centre", role)
        certificate = generate_cert(subject, Identity("fed-dev"), self.key, public, 90)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Own(serialize_cert(certificate) + sent_along, private)


class Pki(NamedTuple):
    """Two roots and what hangs on them; `between` is the proof that the old one signed."""

    old: Authority
    new: Authority
    between: bytes
    server_before: Own
    server: Own
    site_before: Own
    site: Own

    @property
    def history(self) -> dict[str, Any]:
        roots = [self.old.pem.decode(), self.new.pem.decode()]
        return {"roots": roots, "proofs": [self.between.decode()]}


@pytest.fixture(scope="module")
def pki() -> Pki:
    old, new = Authority(), Authority()
    between = proof(new.certificate, old.certificate, old.key)
    return Pki(
        old=old,
        new=new,
        between=between,
        server_before=old.issue("localhost"),
        server=new.issue("localhost", between),
        site_before=old.issue("cleveland"),
        site=new.issue("cleveland", between),
    )


@pytest.fixture
def now(pki: Pki) -> float:
    return pki.new.certificate.valid_from.timestamp() + DAY


def test_everybody_talks_to_everybody_at_each_step_of_a_handover(pki: Pki) -> None:
    old, new = pki.old.pem, pki.new.pem
    assert talk(pki.server_before, old, pki.site_before, old)
    assert talk(pki.server, old, pki.site_before, old), "the server has moved and trusts the old root"
    assert talk(pki.server, old, pki.site, new), "a hospital has moved, too"
    assert talk(pki.server, new, pki.site, new), "the old root is withdrawn"
    assert not talk(pki.server, new, pki.site_before, old), "whoever has not moved then is out"


def test_nobody_is_believed_without_the_proof(pki: Pki) -> None:
    assert not talk(pki.new.issue("localhost"), pki.old.pem, pki.site_before, pki.old.pem)
    assert not talk(pki.server, pki.old.pem, pki.new.issue("cleveland"), pki.new.pem)


def test_two_roots_in_one_file_would_not_do(pki: Pki) -> None:
    """Why there is a proof at all: gRPC takes both roots of a file, NVFlare 2.9 the first one alone."""
    both, moved = pki.old.pem + pki.new.pem, pki.new.issue("cleveland")
    assert connects(pki.server_before, both, moved, both)
    assert not believes(both, moved)


def test_encrypted_messages_pass_between_old_and_new(pki: Pki) -> None:
    server, site = cipher(pki.server, pki.old), cipher(pki.site, pki.new)
    servers, sites = (load_cert_chain_bytes(own.certificate) for own in (pki.server, pki.site))
    assert site.decrypt(server.encrypt(b"weights", sites), servers) == b"weights"
    assert server.decrypt(site.encrypt(b"weights", servers), sites) == b"weights"


class TestProof:
    def test_it_leads_from_the_trusted_root_to_the_one_that_signed(self, pki: Pki, now: float) -> None:
        old, new = pki.old.certificate.fingerprint, pki.new.certificate.fingerprint
        assert proven(old, new, pki.history, now) == pki.between
        assert last_proof(new, pki.history) == pki.between
        assert last_proof(old, pki.history) == b""

    def test_it_leads_over_several_roots(self, pki: Pki, now: float) -> None:
        third = Authority()
        last = proof(third.certificate, pki.new.certificate, pki.new.key)
        history = {
            "roots": [*pki.history["roots"], third.pem.decode()],
            "proofs": [*pki.history["proofs"], last.decode()],
        }
        assert proven(pki.old.certificate.fingerprint, third.certificate.fingerprint, history, now) == last

    def test_never_back(self, pki: Pki, now: float) -> None:
        with pytest.raises(UnprovenRootError, match="did not hand over"):
            proven(pki.new.certificate.fingerprint, pki.old.certificate.fingerprint, pki.history, now)

    def test_not_by_another_key(self, pki: Pki, now: float) -> None:
        thief = Authority()
        forged = proof(pki.new.certificate, thief.certificate, thief.key).decode()
        with pytest.raises(UnprovenRootError, match="another key signed it"):
            proven(*prints(pki), {**pki.history, "proofs": [forged]}, now)

    def test_not_for_another_key(self, pki: Pki, now: float) -> None:
        thief = Authority()
        history = {**pki.history, "roots": [pki.old.pem.decode(), thief.pem.decode()]}
        with pytest.raises(UnprovenRootError):
            proven(pki.old.certificate.fingerprint, thief.certificate.fingerprint, history, now)

    def test_not_by_a_certificate_that_may_sign_nothing(self, pki: Pki, now: float) -> None:
        """What the old root signed for a hospital makes no root of it."""
        site = Certificate.read(pki.site_before.certificate)
        roots = [pki.old.pem.decode(), pki.site_before.certificate.decode()]
        history = {"roots": roots, "proofs": [pki.site_before.certificate.decode()]}
        with pytest.raises(UnprovenRootError):
            proven(pki.old.certificate.fingerprint, site.fingerprint, history, now)

    def test_not_by_making_a_root_of_a_partys_own_key(self, pki: Pki, now: float) -> None:
        """The server's certificate is the old root's signature on a key that a stolen server has."""
        leaf = Certificate.read(pki.server_before.certificate)
        same = Identity("localhost", "centre", "client")
        key = load_pem_private_key(pki.server_before.key, None)
        root = serialize_cert(generate_cert(same, same, key, leaf.public_key, 3650, ca=True))
        made = Certificate.read(root)
        assert made.public_key == leaf.public_key
        assert made.x509.subject == leaf.x509.subject
        history = {
            "roots": [pki.old.pem.decode(), root.decode()],
            "proofs": [leaf.x509.public_bytes(Encoding.PEM).decode()],
        }
        with pytest.raises(UnprovenRootError):
            proven(pki.old.certificate.fingerprint, made.fingerprint, history, now)

    def test_not_when_the_old_roots_time_is_over(self, pki: Pki, now: float) -> None:
        with pytest.raises(UnprovenRootError, match="its time is over"):
            proven(*prints(pki), pki.history, now + 4000 * DAY)

    def test_not_with_a_proof_too_few(self, pki: Pki, now: float) -> None:
        with pytest.raises(UnprovenRootError):
            proven(*prints(pki), {**pki.history, "proofs": []}, now)

    def test_a_chain_leads_to_either_root(self, pki: Pki) -> None:
        chain = Certificate.read_chain(pki.site.certificate)
        assert leads_to(chain, pki.old.certificate)
        assert leads_to(chain, pki.new.certificate)
        assert not leads_to(chain[:1], pki.old.certificate)
        assert not leads_to(chain, Authority().certificate)


class TestAdministrator:
    """The last one that was made is admitted, at registration and at login: both use NVFlare's verifier."""

    @pytest.fixture
    def allowed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        monkeypatch.setattr(IdentityVerifier, "verify_common_name", IdentityVerifier.verify_common_name)
        admission = Admission(str(tmp_path / "allowed.json"), str(tmp_path / "clients.json"))
        admission._guard_administrator()
        return tmp_path / "allowed.json"

    def test_the_last_one_is_admitted_and_no_other(self, pki: Pki, allowed: Path, tmp_path: Path) -> None:
        stolen, lead = (pki.old.issue("lead@centre.local", role="lead") for _ in range(2))
        serial = Certificate.read(lead.certificate).serial
        allowed.write_text(f'{{"sites": {{}}, "administrator": "{serial}"}}')
        assert signs_in(pki.old, lead, tmp_path)
        with pytest.raises(InvalidAsserterCert, match="not the administrator's last one"):
            signs_in(pki.old, stolen, tmp_path)

    def test_nobody_without_a_list(self, pki: Pki, allowed: Path, tmp_path: Path) -> None:
        with pytest.raises(InvalidAsserterCert):
            signs_in(pki.old, pki.old.issue("lead@centre.local", role="lead"), tmp_path)

    def test_a_hospital_is_no_administrator(self, pki: Pki, allowed: Path, tmp_path: Path) -> None:
        assert signs_in(pki.old, pki.site_before, tmp_path)

    def test_a_list_of_version_0_1_names_none(self, pki: Pki, allowed: Path, tmp_path: Path) -> None:
        allowed.write_text('{"sites": {}}')
        assert signs_in(pki.old, pki.old.issue("lead@centre.local", role="lead"), tmp_path)


def prints(pki: Pki) -> tuple[str, str]:
    return pki.old.certificate.fingerprint, pki.new.certificate.fingerprint


def talk(server: Own, servers_root: bytes, site: Own, sites_root: bytes) -> bool:
    """Whether a connection comes up and both believe who the other is."""
    believed = believes(servers_root, site) and believes(sites_root, server)
    return believed and connects(server, servers_root, site, sites_root)


def connects(server: Own, servers_root: bytes, site: Own, sites_root: bytes) -> bool:
    """Whether gRPC's mutual TLS comes up, as NVFlare's driver sets it up (fuel/f3/drivers/grpc/utils.py)."""
    with ThreadPoolExecutor(1) as pool:
        listening = grpc.server(pool)
        credentials = grpc.ssl_server_credentials([(server.key, server.certificate)], servers_root, True)
        port = listening.add_secure_port("127.0.0.1:0", credentials)
        listening.start()
        offered = grpc.ssl_channel_credentials(sites_root, site.key, site.certificate)
        with grpc.secure_channel(f"localhost:{port}", offered) as channel:
            try:
                channel.unary_unary("/fed/none")(b"", timeout=10)
            except grpc.RpcError as error:
                connected = error.code() is grpc.StatusCode.UNIMPLEMENTED  # it was asked: there is no method
        listening.stop(None).wait()
    return connected


def believes(root: bytes, peer: Own) -> bool:
    """Whether NVFlare's check of a peer's chain against the root in this file holds."""
    leaf, *sent_along = load_cert_chain_bytes(peer.certificate)
    try:
        verify_cert_chain(leaf, sent_along, load_pem_x509_certificate(root))
    except Exception:  # its own kinds of refusal
        return False
    return True


def cipher(own: Own, trusted: Authority) -> SimpleCellCipher:
    chain = load_cert_chain_bytes(own.certificate)
    return SimpleCellCipher(trusted.certificate.x509, load_pem_private_key(own.key, None), chain)


def signs_in(root: Authority, own: Own, folder: Path) -> bool:
    """NVFlare's check of who somebody is, as login and registration call it."""
    for name, content in (("root.pem", root.pem), ("own.crt", own.certificate), ("own.key", own.key)):
        (folder / name).write_bytes(content)
    asserter = IdentityAsserter(str(folder / "own.key"), str(folder / "own.crt"))
    return bool(
        IdentityVerifier(str(folder / "root.pem")).verify_common_name(
            asserter_cert=asserter.cert,
            asserted_cn=asserter.cn,
            signature=asserter.sign_common_name(nonce=""),
            nonce="",
            intermediate_certs=[],
        )
    )
