"""The promoted models that came from the centre: kept here, put before the officers, approved or not.

What the centre calls a model is compared with the checksum that is computed here, as for jobs (asked.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fed_site import job_code
from fed_site.job_code import UnreadableJobError

from container_server.errors import RefusedInputError
from container_server.files import write_bytes
from container_server.hospital.consent import Consent
from container_server.hospital.intake import FULL
from container_server.log import say
from container_server.messages import MODELS, decode, model_archive
from container_server.model_package import LIMIT, ModelPackage
from container_server.storage import Blob, BlobStore


@final
@dataclass(frozen=True, kw_only=True)
class HeldModel:
    """One that is here."""

    code: str
    """The checksum that officers approve."""
    package: ModelPackage
    objection: str
    """Why it may not be used now; empty where it may."""


@final
class Models:
    """`step()` may raise TransientError. `held` is replaced as a whole: another thread reads it."""

    def __init__(self, channel: BlobStore, consent: Consent, folder: Path):
        self._channel = channel
        self._consent = consent
        self._folder = folder
        self._etag: str | None = None
        self._here: dict[str, tuple[str, ModelPackage]] = {}
        """Name -> checksum and content."""
        self.held: Mapping[str, HeldModel] = {}
        """Name -> what is known of it."""
        self.fault = ""
        """Why a model of the centre's is not taken."""

    def step(self) -> None:
        """Look for other models."""
        try:
            found = self._channel.read(MODELS, self._etag)
            if isinstance(found, Blob):
                wanted = {one["name"]: one["code"] for one in decode("models", found.content)["models"]}
                self._take(wanted)
                self._etag, self.fault = found.etag, ""
        except (RefusedInputError, UnreadableJobError) as error:
            self.fault = f"the centre sends a model that is not taken: {error}"

    def judge(self) -> None:
        """Hold them against what the officers say now."""
        standing = self._consent.standing()
        self.held = {
            name: HeldModel(code=code, package=package, objection=_objection(code, standing))
            for name, (code, package) in self._here.items()
        }

    def _take(self, wanted: Mapping[str, str]) -> None:
        self._here = {name: known for name, known in self._here.items() if wanted.get(name) == known[0]}
        self._forget(wanted)
        for name, code in wanted.items():
            if name not in self._here:
                self._here[name] = code, self._bring(name, code)

    def _forget(self, wanted: Mapping[str, str]) -> None:
        """Remove the archives of other models: whatever the centre sends in a year, the disk has today's."""
        for kept in self._folder.glob("*.zip"):
            if kept.stem not in wanted.values():
                kept.unlink()

    def _bring(self, name: str, code: str) -> ModelPackage:
        if self._consent.full and not self._consent.knows(code):
            raise UnreadableJobError(FULL)
        kept = self._folder / f"{code}.zip"
        archive = kept.read_bytes() if kept.is_file() else self._fetch(code)
        if job_code.checksum(archive) != code:
            raise UnreadableJobError(f"what it calls {name} {code[:12]} is something else")
        package = ModelPackage.read(archive)
        if package.name != name:
            raise UnreadableJobError(f"what it calls {name} is a model {package.name}")
        write_bytes(kept, archive)
        if not self._consent.knows(code):
            manifest = job_code.manifest(archive)
            said = {"job_id": package.job_id, "name": manifest.name, "submitter": manifest.author}
            self._consent.ask(code, archive, said)
        say("a model came from the centre", name=name, version=package.version, code=code)
        return package

    def _fetch(self, code: str) -> bytes:
        found = self._channel.read(model_archive(code), limit=LIMIT)
        if not isinstance(found, Blob):
            raise UnreadableJobError(f"it does not send {code[:12]}")
        return found.content


def _objection(code: str, standing: Mapping[str, Any]) -> str:
    if code in standing["approved"]:
        return ""
    if why := standing["refused"].get(code):
        return f"the officers' file: {why}"
    return str(standing.get("closed") or "it waits for your officers' answer")
