"""What is made while an engine is being built: the images' environments, in the cache that clones share."""

from pathlib import Path

import pytest

from automation.machine import ahead, system
from clone import paths
from emulator.datacentre import installed


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images, an empty cache in which Azurite is already, nothing to import."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(ahead, "IMAGES", tmp_path / "images")
    monkeypatch.setattr(ahead, "IMPORTED", ())
    monkeypatch.setattr(system, "require_packages", lambda _need: None)

    async def azurite(cache: Path, _run: installed.Run) -> tuple[Path, str]:
        return cache, "node"

    monkeypatch.setattr(installed, "azurite", azurite)
    (tmp_path / "images" / "server").mkdir(parents=True)
    return tmp_path / "images"


def environments() -> list[Path]:
    return [file.parent for file in paths.cache().glob("venvs/*/.complete")]


def test_an_environment_is_made_of_each_requirements_file(images: Path) -> None:
    (images / "server" / "requirements.txt").write_text("")
    assert ahead.main() == 0
    (made,) = environments()
    assert (made / "bin" / "python").exists()


def test_what_cannot_be_had_is_told_and_leaves_no_half_environment(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unheard_of = f"nowhere @ file://{images}/nowhere.whl --hash=sha256:{'0' * 64}\n"
    (images / "server" / "requirements.txt").write_text(unheard_of)
    assert ahead.main() == 1
    told = capsys.readouterr().err
    assert f"could not make the Python environment of {images}/server/requirements.txt" in told
    assert "nowhere.whl" in told
    assert not environments()
