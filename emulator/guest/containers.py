"""Builds real container images from Dockerfiles: a manifest and layers that any engine pulls by digest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emulator.guest.recipe import FILES
from emulator.guest.store import BUILDS, CONTAINERS, GuestError, GuestStore, locked, run

SYSTEM_TRUST = Path("/etc/ssl/certs/ca-certificates.crt")
"""What this machine trusts: a company's network may sign the package index itself."""
_TOGETHER = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--"),
)
"""Runs a command whose processes and mounts end with it, and all of them with whoever started it."""
_FROM = re.compile(r"^FROM (\S+)(?: AS (\S+))?", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    """Builds, with what a store has, images whose programs trust one more authority (PEM)."""

    store: GuestStore
    authority: Path

    def build(self, context: Path, dockerfile: Path, arguments: Mapping[str, str], mark: str) -> Path:
        """Return an image: a folder with ``manifest.json`` and its blobs, each by its digest.

        `mark` changes with whatever the image is made of. Raises GuestError with the build's last words.
        """
        script = (FILES / "build-container").read_text()
        built = _hash(mark, dict(arguments), SYSTEM_TRUST.read_text(), script)
        made = self.store.folder / CONTAINERS / _hash(built, self.authority.read_text())
        if not made.exists():
            builder, packaged = self.store.builder(), self.store.python()
            with locked(self.store.folder / f"{CONTAINERS}.lock"):
                if not made.exists():
                    environment = {
                        "BUILDER": str(builder),
                        "PACKAGED": str(packaged),
                        "CONTEXT": str(context),
                        "DOCKERFILE": str(dockerfile),
                        "ARGUMENTS": "\n".join(f"{name}={value}" for name, value in arguments.items()),
                        "BUILT": f"localhost/fed-built:{built[:32]}",
                    }
                    self._make(made, beginning(dockerfile), environment)
        os.utime(made)
        return made

    def _make(self, made: Path, begins: str, environment: Mapping[str, str]) -> None:
        unfinished = made.with_name("unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "image").mkdir(parents=True)
        authorities = unfinished / "authorities.pem"
        authorities.write_text(SYSTEM_TRUST.read_text() + self.authority.read_text())
        storage = self.store.folder / BUILDS
        storage.mkdir(exist_ok=True)
        if not (begun := storage / "begun").exists():
            begun.touch()
        run(
            [*_TOGETHER, str(FILES / "build-container")],
            f"build {environment['DOCKERFILE']}",
            {
                **environment,
                "STORE": str(storage),
                "FROM": begins,
                "BASE": f"localhost/fed-base:{_hash(begins, SYSTEM_TRUST.read_text())[:32]}",
                "TRUSTED": str(SYSTEM_TRUST),
                "AUTHORITIES": str(authorities),
                "OUT": str(unfinished / "image"),
            },
        )
        (unfinished / "image").replace(made)
        shutil.rmtree(unfinished)


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def digest(image: Path) -> str:
    """Return the digest (64 hex digits) of an image: that of its manifest, byte for byte."""
    return hashlib.sha256((image / "manifest.json").read_bytes()).hexdigest()


def beginning(dockerfile: Path) -> str:
    """Return the image of a registry that a Dockerfile begins with; raise GuestError when there are more."""
    steps: list[tuple[str, str]] = _FROM.findall(dockerfile.read_text())
    stages = {name for _, name in steps}
    first, *others = dict.fromkeys(image for image, _ in steps if image not in stages)
    if others:
        raise GuestError(f"{dockerfile} begins with {first} and {', '.join(others)}: one image is understood")
    return first
