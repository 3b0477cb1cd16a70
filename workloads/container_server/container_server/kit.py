"""The startup kit: what must be in it, and the check before a client or server may start with it.

A kit is assembled once, on this VM; the manifest (SHA-256 of every file) is kept outside the kit, where
only this service can write. Each later check compares the two and then proves the certificates.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from container_server.certificates import Certificate
from container_server.files import read_json, write_json
from container_server.handover import leads_to


@dataclass(frozen=True)
class KitShape:
    """The names that differ between a hospital's kit and the server's."""

    side: str
    """`client` or `server`: NVFlare names files after it."""
    required: Sequence[str]

    @property
    def config(self) -> str:
        """NVFlare's start configuration."""
        return f"startup/fed_{self.side}.json"

    @property
    def certificate(self) -> str:
        """The party's certificate."""
        return f"startup/{self.side}.crt"

    @property
    def key(self) -> str:
        """The party's private key."""
        return f"startup/{self.side}.key"


ROOT_CERTIFICATE = "startup/rootCA.pem"
_LOCAL = ("local/resources.json", "local/authorization.json", "local/log_config.json")
HOSPITAL_KIT = KitShape(
    "client",
    (
        "startup/fed_client.json",
        "startup/client.crt",
        "startup/client.key",
        ROOT_CERTIFICATE,
        *_LOCAL,
        "local/privacy.json",
    ),
)
SERVER_KIT = KitShape(
    "server",
    ("startup/fed_server.json", "startup/server.crt", "startup/server.key", ROOT_CERTIFICATE, *_LOCAL),
)


@dataclass(frozen=True)
class Manifest:
    """What was assembled: the kit's files, the root it was assembled under, whose it is and where it
    connects.
    """

    files: Mapping[str, str]
    """Relative path -> SHA-256 in hex."""
    fingerprint: str
    name: str
    target: str

    @classmethod
    def of(cls, kit: Path, fingerprint: str, name: str, target: str) -> "Manifest":
        """The manifest of a kit that was just assembled."""
        return cls(checksums(kit), fingerprint, name, target)

    @classmethod
    def load(cls, path: Path) -> "Manifest | None":
        """A saved manifest; None where none was saved. Raises ValueError for a damaged one."""
        content = read_json(path)
        if content is None:
            return None
        try:
            return cls(dict(content["files"]), content["fingerprint"], content["name"], content["target"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    def save(self, path: Path) -> None:
        """Save it."""
        write_json(path, {**vars(self), "files": dict(self.files)})


def checksums(kit: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file of a kit; a link counts as its text: none goes unseen."""
    found = {}
    for path in sorted(kit.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(kit))] = "link"
        elif path.is_file():
            found[str(path.relative_to(kit))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def faults(kit: Path, manifest: Manifest, shape: KitShape, now: float) -> list[str]:
    """`<file>: <reason>` for all that is wrong; empty when the party may start. `now` is Unix time."""
    return _file_faults(kit, manifest, shape) or _content_faults(kit, manifest, shape, now)


def _file_faults(kit: Path, manifest: Manifest, shape: KitShape) -> list[str]:
    have = checksums(kit)
    expected = set(shape.required) | set(manifest.files)
    missing = [f"{name}: missing" for name in sorted(expected - set(have))]
    changed = [
        f"{name}: changed since it was assembled"
        for name in sorted(set(have) & set(manifest.files))
        if have[name] != manifest.files[name]
    ]
    extra = [f"{name}: not in the manifest" for name in sorted(set(have) - set(manifest.files))]
    return missing + changed + extra


def _content_faults(kit: Path, manifest: Manifest, shape: KitShape, now: float) -> list[str]:
    try:
        root = Certificate.read((kit / ROOT_CERTIFICATE).read_bytes())
    except ValueError:
        return [f"{ROOT_CERTIFICATE}: not a certificate"]
    try:
        chain = Certificate.read_chain((kit / shape.certificate).read_bytes())
    except ValueError:
        return [f"{shape.certificate}: not a certificate"]
    own = chain[0]
    found = []
    if root.fingerprint != manifest.fingerprint:
        found.append(f"{ROOT_CERTIFICATE}: is {root.fingerprint}, pinned is {manifest.fingerprint}")
    if not leads_to(chain, root):
        found.append(f"{shape.certificate}: not issued by {ROOT_CERTIFICATE}")
    if own.name != manifest.name:
        found.append(f"{shape.certificate}: is for {own.name!r}, expected {manifest.name!r}")
    moment = datetime.fromtimestamp(now, UTC)
    if moment < own.valid_from:
        found.append(f"{shape.certificate}: not valid before {own.valid_from:%Y-%m-%d %H:%M} UTC")
    if moment > own.valid_until:
        found.append(f"{shape.certificate}: expired on {own.valid_until:%Y-%m-%d %H:%M} UTC")
    return found + _key_faults(kit, shape, own) + _config_faults(kit, manifest, shape)


def _key_faults(kit: Path, shape: KitShape, own: Certificate) -> list[str]:
    path = kit / shape.key
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        return [f"{shape.key}: not a private key"]
    if key.public_key() != own.public_key:
        return [f"{shape.key}: does not belong to {shape.certificate}"]
    if path.stat().st_mode & 0o077:
        return [f"{shape.key}: readable by other users (mode {path.stat().st_mode & 0o777:o})"]
    return []


def _config_faults(kit: Path, manifest: Manifest, shape: KitShape) -> list[str]:
    try:
        config: Any = json.loads((kit / shape.config).read_text())
        service = config["servers"][0]["service"]
        target, scheme = service["target"], service["scheme"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return [f"{shape.config}: cannot be read: {error}"]
    if target != manifest.target or scheme != "grpc":
        return [f"{shape.config}: connects to {scheme}://{target}, expected grpc://{manifest.target}"]
    return []
