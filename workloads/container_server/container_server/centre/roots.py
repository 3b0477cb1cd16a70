"""The roots that this federation had: which one signs, which one the server trusts, and where each key is.

One root at most times; two while one hands over to the next (handover.py): then the newest signs the server
first, hospitals and the administrator once the server runs with it, and the server trusts the old one until
all have moved. What happens next follows from this record alone, so that whoever is killed goes on.
"""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from container_server.certificates import Certificate
from container_server.files import read_json, write_json
from container_server.handover import proof

MOST_ROOTS = 16
"""That hospitals are told of (roots.schema.json): a root lives ten years."""


@dataclass(frozen=True, kw_only=True)
class _Record:
    """`folders` and `roots` (PEM) oldest first; `proofs` (PEM) one fewer; the rest are places in them."""

    folders: tuple[str, ...]
    roots: tuple[str, ...]
    proofs: tuple[str, ...] = ()
    signs: int = 0
    trusted: int = 0


class Roots:
    """Below `agent`: a folder for each root that may still sign, and the record."""

    def __init__(self, agent: Path):
        self._agent = agent
        self._file = agent / "roots.json"
        self._record = self._read()

    @property
    def made(self) -> bool:
        """Whether there is a root at all."""
        return self._record is not None

    @property
    def first_folder(self) -> Path:
        """Where the first root is made."""
        return self._agent / "ca"

    def found(self) -> None:
        """Take note of the first root, that was just made."""
        self._record = self._read()

    @property
    def signing(self) -> Path:
        """Folder of the root that signs hospitals and the administrator."""
        return self._folder(self._known.signs)

    @property
    def newest(self) -> Path:
        """Folder of the root that signs the server."""
        return self._folder(-1)

    @property
    def fingerprint(self) -> str:
        """Of the root that signs hospitals."""
        return Certificate.read(self._known.roots[self._known.signs].encode()).fingerprint

    @property
    def trusted(self) -> bytes:
        """The root that the server trusts, as PEM."""
        return self._known.roots[self._known.trusted].encode()

    @property
    def proof(self) -> bytes:
        """What goes with a certificate of the newest root for those who trust the one before."""
        return self._known.proofs[-1].encode() if self._known.proofs else b""

    @property
    def history(self) -> dict[str, Any]:
        """What hospitals are told: all roots up to the one that signs them."""
        roots, proofs = self._known.roots[: self._known.signs + 1], self._known.proofs[: self._known.signs]
        return {"roots": list(roots[-MOST_ROOTS:]), "proofs": list(proofs[1 - MOST_ROOTS :])}

    @property
    def handing_over(self) -> bool:
        """Whether an old root is still trusted."""
        return self.made and self._known.trusted < len(self._known.roots) - 1

    @property
    def told(self) -> bool:
        """Whether the newest root signs hospitals already."""
        return self._known.signs == len(self._known.roots) - 1

    def has_signed(self, fingerprint: str) -> bool:
        """Whether this is the root that signs hospitals now; an empty fingerprint stands for the first."""
        signs = self._known.signs
        return fingerprint == self.fingerprint if fingerprint else signs == 0

    def next_folder(self) -> Path:
        """Where the next root is made."""
        return self._agent / f"ca-{len(self._known.roots) + 1}"

    def add(self, folder: Path) -> None:
        """Take the root that was made in `folder`; the one before signs for it."""
        known = self._known
        old, new = Certificate.read(known.roots[-1].encode()), (folder / "rootCA.pem").read_bytes()
        key = load_pem_private_key((self._folder(-1) / "rootCA.key").read_bytes(), None)
        signed = proof(Certificate.read(new), old, key)  # type: ignore[arg-type]  # NVFlare's roots are RSA
        self._save(
            replace(
                known,
                folders=(*known.folders, folder.name),
                roots=(*known.roots, new.decode()),
                proofs=(*known.proofs, signed.decode()),
            )
        )

    def sign_with_newest(self) -> None:
        """From now on the newest root signs hospitals and the administrator."""
        self._save(replace(self._known, signs=len(self._known.roots) - 1))

    def trust_newest(self) -> None:
        """From now on the server is to trust the newest root alone."""
        self._save(replace(self._known, trusted=len(self._known.roots) - 1))

    @property
    def has_old_keys(self) -> bool:
        """Whether the key of a root that is to be trusted no more is still there."""
        return self.made and any(folder.exists() for folder in self._old_folders)

    def forget_old_keys(self) -> None:
        """Delete the keys of roots that nobody trusts any more."""
        for folder in self._old_folders:
            if folder.exists():
                shutil.rmtree(folder)

    @property
    def _old_folders(self) -> list[Path]:
        return [self._agent / folder for folder in self._known.folders[: self._known.trusted]]

    @property
    def _known(self) -> _Record:
        if self._record is None:
            raise RuntimeError("the federation has no root yet")
        return self._record

    def _folder(self, place: int) -> Path:
        return self._agent / self._known.folders[place]

    def _read(self) -> _Record | None:
        stored: Mapping[str, Any] | None = read_json(self._file)
        if stored is not None:
            lists = {name: tuple(stored[name]) for name in ("folders", "roots", "proofs")}
            return _Record(**lists, signs=stored["signs"], trusted=stored["trusted"])
        if not (self.first_folder / "rootCA.key").is_file():
            return None
        root = (self.first_folder / "rootCA.pem").read_text()
        return _Record(folders=(self.first_folder.name,), roots=(root,))

    def _save(self, record: _Record) -> None:
        write_json(self._file, asdict(record))
        self._record = record
