"""A client starts only with a complete, unaltered kit that chains to the pinned root: fault by fault."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from container_server.kit import HOSPITAL_KIT, Manifest, faults
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.support.workloads_pki import START, Root, new_key, private_pem, write_kit

NOW = START.timestamp() + 86_400


@pytest.fixture
def root() -> Root:
    return Root.new()


def found(kit: Path, manifest: Manifest, now: float = NOW) -> list[str]:
    return faults(kit, manifest, HOSPITAL_KIT, now)


def test_a_good_kit_has_no_fault(tmp_path: Path, root: Root) -> None:
    assert found(tmp_path, write_kit(tmp_path, root)) == []


class TestFiles:
    @pytest.mark.parametrize("name", HOSPITAL_KIT.required)
    def test_a_missing_file_is_named(self, tmp_path: Path, root: Root, name: str) -> None:
        manifest = write_kit(tmp_path, root)
        (tmp_path / name).unlink()
        assert found(tmp_path, manifest) == [f"{name}: missing"]

    @pytest.mark.parametrize("name", HOSPITAL_KIT.required)
    def test_a_changed_file_is_named(self, tmp_path: Path, root: Root, name: str) -> None:
        manifest = write_kit(tmp_path, root)
        with (tmp_path / name).open("ab") as stream:
            stream.write(b" ")
        assert found(tmp_path, manifest) == [f"{name}: changed since it was assembled"]

    def test_a_file_nobody_assembled_is_named(self, tmp_path: Path, root: Root) -> None:
        manifest = write_kit(tmp_path, root)
        (tmp_path / "local/custom").mkdir()
        (tmp_path / "local/custom/x.py").write_text("")
        assert found(tmp_path, manifest) == ["local/custom/x.py: not in the manifest"]

    def test_a_link_in_place_of_a_file_is_named(self, tmp_path: Path, root: Root) -> None:
        manifest = write_kit(tmp_path, root)
        policy = tmp_path / "local/privacy.json"
        policy.unlink()
        policy.symlink_to(tmp_path / "local/resources.json")
        assert found(tmp_path, manifest) == ["local/privacy.json: changed since it was assembled"]

    def test_an_empty_folder_misses_every_file(self, tmp_path: Path, root: Root) -> None:
        manifest = write_kit(tmp_path, root)
        shutil.rmtree(tmp_path)
        assert len(found(tmp_path, manifest)) == len(HOSPITAL_KIT.required)


class TestCertificates:
    """The manifest is remade after each change: what is found must come from the certificates themselves."""

    def altered(self, kit: Path, root: Root, change: Callable[[Path], object]) -> list[str]:
        manifest = write_kit(kit, root)
        change(kit)
        return found(kit, Manifest.of(kit, manifest.fingerprint, manifest.name, manifest.target))

    def test_another_root_than_the_pinned_one(self, tmp_path: Path, root: Root) -> None:
        manifest = write_kit(tmp_path, Root.new())
        pinned = Manifest(manifest.files, root.fingerprint, manifest.name, manifest.target)
        assert [fault.split(":")[0] for fault in found(tmp_path, pinned)] == ["startup/rootCA.pem"]

    def test_a_certificate_of_a_foreign_root(self, tmp_path: Path, root: Root) -> None:
        def change(kit: Path) -> None:
            key = new_key()
            (kit / "startup/client.crt").write_bytes(Root.new().issue("cleveland", key))
            (kit / "startup/client.key").write_bytes(private_pem(key))

        assert self.altered(tmp_path, root, change) == [
            "startup/client.crt: not issued by startup/rootCA.pem"
        ]

    def test_another_hospitals_certificate(self, tmp_path: Path, root: Root) -> None:
        manifest = write_kit(tmp_path, root, "hungary")
        mine = Manifest(manifest.files, manifest.fingerprint, "cleveland", manifest.target)
        assert found(tmp_path, mine) == ["startup/client.crt: is for 'hungary', expected 'cleveland'"]

    def test_a_key_of_another_certificate(self, tmp_path: Path, root: Root) -> None:
        def change(kit: Path) -> None:
            (kit / "startup/client.key").write_bytes(private_pem(new_key()))

        assert self.altered(tmp_path, root, change) == [
            "startup/client.key: does not belong to startup/client.crt"
        ]

    def test_a_key_others_can_read(self, tmp_path: Path, root: Root) -> None:
        faults = self.altered(tmp_path, root, lambda kit: (kit / "startup/client.key").chmod(0o644))
        assert faults == ["startup/client.key: readable by other users (mode 644)"]

    @pytest.mark.parametrize("name", ["startup/client.crt", "startup/client.key", "startup/rootCA.pem"])
    def test_junk_in_place_of_a_certificate_or_key(self, tmp_path: Path, root: Root, name: str) -> None:
        found = self.altered(tmp_path, root, lambda kit: (kit / name).write_text("junk"))
        assert len(found) == 1
        assert found[0].startswith(f"{name}: not a ")

    def test_too_early_and_too_late(self, tmp_path: Path, root: Root) -> None:
        manifest = write_kit(tmp_path, root)
        assert "not valid before 2026-11-01" in found(tmp_path, manifest, START.timestamp() - 60)[0]
        assert "expired on 2027-01-30" in found(tmp_path, manifest, START.timestamp() + 91 * 86_400)[0]

    def test_a_kit_that_connects_elsewhere(self, tmp_path: Path, root: Root) -> None:
        manifest = write_kit(tmp_path, root)
        other = Manifest(manifest.files, manifest.fingerprint, manifest.name, "evil.example:8002")
        assert found(tmp_path, other)[0].startswith(
            "startup/fed_client.json: connects to grpc://fl.federation"
        )

    @settings(max_examples=40, deadline=None)
    @given(content=st.binary(max_size=200), name=st.sampled_from(HOSPITAL_KIT.required))
    def test_no_content_of_a_file_makes_the_check_fail_instead_of_answer(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
    ) -> None:
        kit = tmp_path_factory.mktemp("kit")
        manifest = write_kit(kit, Root.new())
        (kit / name).write_bytes(content)
        assert found(kit, manifest) == [f"{name}: changed since it was assembled"]
        remade = Manifest.of(kit, manifest.fingerprint, manifest.name, manifest.target)
        found(kit, remade)


class TestManifest:
    def test_it_survives_saving(self, tmp_path: Path, root: Root) -> None:
        manifest = write_kit(tmp_path / "kit", root)
        manifest.save(tmp_path / "manifest.json")
        assert Manifest.load(tmp_path / "manifest.json") == manifest

    def test_none_where_none_was_saved(self, tmp_path: Path) -> None:
        assert Manifest.load(tmp_path / "manifest.json") is None

    @pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"files": 1}'])
    def test_a_damaged_one_is_an_error_not_an_empty_one(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "manifest.json").write_text(content)
        with pytest.raises(ValueError, match=r"."):
            Manifest.load(tmp_path / "manifest.json")
