"""The centre signs nothing but a hospital's own client, asked for through that hospital's own container."""

import contextlib
import io
import json
import random
import zipfile
from typing import Any

import pytest
from container_server.centre.approval import MOST_BYTES, RequestRefusedError, examine, stated_request_id
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.support.workloads_pki import request_archive, zipped

REQUEST_ID = "8d69f178ba80476fb42b900c27790314"  # pragma: allowlist secret

P256 = bytes.fromhex("06082a8648ce3d030107")
"""The curve's object identifier, as it is in a key (RFC 5480, 2.1.1.1)."""
EC_KEY, ECDSA_SHA256 = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06082a8648ce3d040302")
"""That of such a key, and of the signature (RFC 5480, 2.1.1; RFC 5758, 3.2)."""


def look(archive: bytes, hospital: str = "cleveland") -> str:
    return examine(archive, hospital, "fed-dev", hospital.replace("-", "_")).request_id


def test_a_hospitals_own_request_is_taken() -> None:
    assert look(request_archive("va-long-beach"), "va-long-beach") == REQUEST_ID


class TestForeignRequests:
    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"name": "hungary"}, "name is 'hungary'"),
            ({"org": "hungary"}, "org is 'hungary'"),
            ({"kind": "user", "cert_type": "lead", "cert_role": "lead"}, "cert_role is 'lead'"),
            ({"kind": "server", "cert_type": "server"}, "cert_type is 'server'"),
            ({"kind": "user", "cert_type": "org_admin"}, "kind is 'user'"),
            ({"project": "fed-prod"}, "project is 'fed-prod'"),
            ({"cert_role": ""}, "cert_role is ''"),
        ],
    )
    def test_what_asks_for_more_is_refused_by_name(self, changes: dict[str, Any], named: str) -> None:
        with pytest.raises(RequestRefusedError) as refusal:
            look(request_archive("cleveland", **changes))
        assert named in str(refusal.value)

    def test_another_hospitals_whole_request_is_refused(self) -> None:
        with pytest.raises(RequestRefusedError, match=r"hungary\.csr"):
            look(request_archive("hungary"))

    def test_a_signing_request_for_another_name_is_refused(self) -> None:
        with pytest.raises(RequestRefusedError, match=r"signing request is for 'fl\.federation\.internal'"):
            look(request_archive("cleveland", subject="fl.federation.internal"))


class TestHostileArchives:
    def test_more_files_than_expected(self) -> None:
        with pytest.raises(RequestRefusedError, match="may hold"):
            look(
                zipped({"request.json": "{}", "site.yaml": "", "cleveland.csr": "", "../../etc/passwd": "x"})
            )

    def test_a_private_key_in_the_archive(self) -> None:
        with pytest.raises(RequestRefusedError, match=r"cleveland\.key"):
            look(zipped({"request.json": "{}", "site.yaml": "", "cleveland.csr": "", "cleveland.key": "k"}))

    def test_too_large(self) -> None:
        with pytest.raises(RequestRefusedError, match="at most"):
            look(b"x" * (MOST_BYTES + 1))

    def test_a_bomb(self) -> None:
        files: dict[str, bytes | str] = {"request.json": "{}", "site.yaml": "", "cleveland.csr": ""}
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content or b"\0" * 10_000_000)
        with pytest.raises(RequestRefusedError, match="too large"):
            look(stream.getvalue())

    @pytest.mark.parametrize("content", ["[]", "1", "null", "{", '"x"', "[" * 10_000])
    def test_a_request_that_is_no_object(self, content: str) -> None:
        with pytest.raises(RequestRefusedError):
            look(zipped({"request.json": content, "site.yaml": "", "cleveland.csr": ""}))

    @pytest.mark.parametrize("request_id", ["../x", "", None, "a" * 65, 7, "a b"])
    def test_an_id_that_is_no_plain_identifier(self, request_id: Any) -> None:
        archive = request_archive("cleveland", request_id=request_id)
        with pytest.raises(RequestRefusedError, match="request_id"):
            look(archive)
        assert stated_request_id(archive) == "unreadable"

    @pytest.mark.parametrize(
        ("known", "other", "named"),
        [
            (P256, P256[:-1] + b"\x7a", "UnsupportedAlgorithm"),
            (EC_KEY, EC_KEY[:-1] + b"\x7a", "UnsupportedAlgorithm"),
            (ECDSA_SHA256, ECDSA_SHA256[:-1] + b"\x7a", "not signed by its own key"),
            (ECDSA_SHA256, ECDSA_SHA256[:-1] + b"\x04", "not signed by its own key"),
            (b"cleveland", b"clev\xff\xfe\x00nd", "cannot be read: ValueError"),
        ],
        ids=["curve", "kind of key", "signature", "another signature", "name that is no text"],
    )
    def test_what_nobody_knows_in_a_signing_request(self, known: bytes, other: bytes, named: str) -> None:
        def altered(der: bytes) -> bytes:
            assert known in der
            return der.replace(known, other)

        with pytest.raises(RequestRefusedError, match=named):
            look(request_archive("cleveland", alter=altered))

    @pytest.mark.parametrize(
        "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    def test_wrong_bytes_in_an_archive_packed_in_any_way(self, method: int) -> None:
        sound, chance = request_archive("cleveland", method=method), random.Random(method)  # noqa: S311 seeded mutations
        refused = 0
        for _ in range(300):
            archive = bytearray(sound)
            for _ in range(chance.choice([1, 1, 2, 4])):
                archive[chance.randrange(len(archive))] = chance.randrange(256)
            try:
                assert look(bytes(archive)) == REQUEST_ID
            except RequestRefusedError:
                refused += 1
        assert refused > 100

    @settings(max_examples=200, deadline=None)
    @given(content=st.binary(max_size=400))
    def test_any_bytes_are_refused_and_never_crash(self, content: bytes) -> None:
        with pytest.raises(RequestRefusedError):
            look(content)
        assert stated_request_id(content) == "unreadable"

    @settings(max_examples=100, deadline=None)
    @given(position=st.integers(0, 2000), byte=st.integers(0, 255))
    def test_a_damaged_request_is_refused_or_still_the_same(self, position: int, byte: int) -> None:
        archive = bytearray(request_archive("cleveland"))
        archive[position % len(archive)] = byte
        with contextlib.suppress(RequestRefusedError):
            assert look(bytes(archive)) == REQUEST_ID

    @settings(max_examples=100, deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from(["project", "name", "org", "kind", "cert_type", "cert_role", "request_id"]),
            st.one_of(st.none(), st.text(max_size=20), st.integers(), st.lists(st.integers(), max_size=3)),
        )
    )
    def test_no_combination_of_fields_gets_past_the_expected_ones(self, asked: dict[str, Any]) -> None:
        content = json.dumps(asked)
        with pytest.raises(RequestRefusedError):
            look(zipped({"request.json": content, "site.yaml": "", "cleveland.csr": ""}))
