"""The images of one emulator: a folder each, by digest, with what it was built from and who refers to it.

``sha256-<hex>/`` holds ``context/``, ``Dockerfile`` and ``image.json``, whose ``references`` are the names
(``server/repository@sha256:<hex>``) under which registries have it; where real machines pull it, ``layers/``
is the image itself (`emulator.guest.containers`). The daemon alone writes; whoever runs machines reads.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
LAYERS = "layers"
_HEX = re.compile("[0-9a-f]{64}")
_writing = threading.Lock()


class Snapshots:
    """The images below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, reference: str) -> bool:
        """Say whether a registry has an image under this name."""
        note = self._place(reference) / "image.json"
        return note.exists() and reference in json.loads(note.read_text())["references"]

    def manifest(self, reference: str) -> Path | None:
        """Return the manifest of an image that was really built; None for one that is only a snapshot."""
        manifest = self._place(reference) / LAYERS / "manifest.json"
        return manifest if manifest.exists() else None

    def blob(self, repository: str, digest: str) -> Path | None:
        """Return a blob of an image that a repository (``server/repository``) has."""
        name = digest.removeprefix("sha256:")
        if not _HEX.fullmatch(name):
            return None
        found = (
            folder / LAYERS / name
            for folder in self._folder.glob("sha256-*")
            if any(known.startswith(f"{repository}@") for known in _read(folder)["references"])
        )
        return next((file for file in found if file.exists()), None)

    def keep(self, image: Json, make: Callable[[Path], None]) -> None:
        """Note one more name, ``image["reference"]``, of an image; `make` fills its folder once."""
        folder = self._place(image["reference"])
        with _writing:
            if folder.exists():
                self._add(folder, image["reference"])
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = self._folder / f".unfinished-{os.urandom(8).hex()}"
            try:
                unfinished.mkdir()
                make(unfinished)
                _write(unfinished / "image.json", image | {"references": [image["reference"]]})
                unfinished.rename(folder)
            except BaseException:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise

    def copy(self, source: str, target: str) -> None:
        """Give an image that a registry has a name at another one (or another name)."""
        with _writing:
            self._add(self._place(source), target)

    def forget(self, reference: str) -> None:
        """Take a name away, and with the last one the image."""
        with _writing:
            self._drop(self._place(reference), lambda known: known == reference)

    def size(self, server: str) -> int:
        """Return how many bytes the images of a registry have."""
        return sum(
            file.stat().st_size
            for folder in self._folder.glob("sha256-*")
            if any(name.startswith(f"{server}/") for name in _read(folder)["references"])
            for file in folder.rglob("*")
            if file.is_file() and not file.is_symlink()
        )

    def forget_registry(self, server: str) -> None:
        """Take away all names at a registry."""
        with _writing:
            for folder in self._folder.glob("sha256-*"):
                self._drop(folder, lambda known: known.startswith(f"{server}/"))

    def _place(self, reference: str) -> Path:
        return self._folder / reference.rpartition("@")[2].replace(":", "-")

    @staticmethod
    def _add(folder: Path, reference: str) -> None:
        image = _read(folder)
        image["references"] = sorted({*image["references"], reference})
        _write(folder / "image.json", image)

    @staticmethod
    def _drop(folder: Path, gone: Callable[[str], bool]) -> None:
        if not folder.exists():
            return
        image = _read(folder)
        image["references"] = [known for known in image["references"] if not gone(known)]
        if image["references"]:
            _write(folder / "image.json", image)
        else:
            shutil.rmtree(folder)


def _read(folder: Path) -> Json:
    image: Json = json.loads((folder / "image.json").read_text())
    return image


def _write(file: Path, image: Json) -> None:
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(image, indent=2))
    temporary.replace(file)
