"""What the root signed is compared with what was asked for, and on record."""

import json
from pathlib import Path
from typing import Any

import pytest
from container_server.centre.signatures import Asked, Signatures, UnexpectedCertificateError, faults
from container_server.certificates import Certificate
from container_server.hospital.state import State
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.support.workloads_fakes import FakeClock
from tests.unit.support.workloads_pki import Root, new_key, zipped
from tests.unit.support.workloads_world import World

ROOT = Root.new()
ASKED, OWN = Asked(name="basel", role="client", days=90), Certificate(ROOT.certificate)


def made(name: str = "basel", days: int = 90, root: Root = ROOT, **what: Any) -> Certificate:
    return Certificate.read(root.issue(name, what.pop("key", None) or new_key(), days, **what))


def test_what_was_asked_for_has_no_fault() -> None:
    assert faults(made(), ASKED, OWN) == []


@pytest.mark.parametrize(
    ("certificate", "fault"),
    [
        (made(name="bern"), "it is for 'bern'"),
        (made(role="lead"), "its role is 'lead', not 'client'"),
        (made(role=""), "its role is '', not 'client'"),
        (made(ca=True), "it could sign other certificates"),
        (made(days=91), "it is valid for longer than 90 days"),
        (made(key=ec.generate_private_key(ec.SECP192R1())), "its key is of no kind that is taken here"),
        (made(root=Root.new()), "another root signed it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_certificate_is_refused_by_name(certificate: Certificate, fault: str) -> None:
    assert faults(certificate, ASKED, OWN) == [fault]


def test_the_record_grows_and_has_what_was_refused_too(tmp_path: Path) -> None:
    signatures, archive = Signatures(tmp_path / "signatures.jsonl", FakeClock()), tmp_path / "signed.zip"
    for certificate in (ROOT.issue("basel", new_key()), ROOT.issue("basel", new_key(), ca=True)):
        archive.write_bytes(zipped({"basel.crt": certificate}))
        try:
            signatures.take(archive, ASKED, OWN)
        except UnexpectedCertificateError as refused:
            assert "it could sign other certificates" in str(refused)
    lines = [json.loads(line) for line in (tmp_path / "signatures.jsonl").read_text().splitlines()]
    assert [line["wrong"] for line in lines] == [[], ["it could sign other certificates"]]
    assert not archive.exists()
    assert (tmp_path / "signatures.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_hospital_gets_no_certificate_that_nobody_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    usual = world.nvflare.signs

    def for_longer(root: Any, request: Any, key: Any, days: int, start: Any) -> bytes:
        return usual(root, request, key, days * (9 if request["name"] == "cleveland" else 1), start)

    monkeypatch.setattr(world.nvflare, "signs", for_longer)
    world.turn(30)
    assert world.state() is State.UNENROLLED
    assert world.channel.read("enrol/signed.zip").name == "ABSENT"  # type: ignore[union-attr]
    troubles = world.centre.commands.status({})["hospitals"]["cleveland"]["trouble"]
    assert "signed for cleveland and set aside: it is valid for longer than 90 days" in troubles


def test_all_that_a_federation_needs_is_on_record(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.turn(20)
    assert world.state() is State.RUNNING
    lines = (world.centre_config.agent / "signatures.jsonl").read_text().splitlines()
    signed = {(line["name"], line["role"]) for line in map(json.loads, lines)}
    assert signed == {
        ("cleveland", "client"),
        ("fl.federation.internal", "server"),
        ("lead@centre.local", "lead"),
    }
