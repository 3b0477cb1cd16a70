"""Takes what the centre asks of this hospital's officers: jobs whose code they have not answered yet.

The code comes with the question, long before NVFlare would bring it. Its checksum is computed here: what the
centre calls it is compared, never believed.
"""

from collections.abc import Mapping
from typing import Any, final

from fed_site import job_code
from fed_site.job_code import UnreadableJobError

from container_server.errors import RefusedInputError
from container_server.hospital.consent import JOB_LIMIT, Consent
from container_server.hospital.intake import FULL
from container_server.log import say
from container_server.messages import ASKED, asked_archive, decode
from container_server.storage import Blob, BlobStore


@final
class Asked:
    """`step()` may raise TransientError."""

    def __init__(self, channel: BlobStore, consent: Consent):
        self._channel = channel
        self._consent = consent
        self._etag: str | None = None
        self.fault = ""
        """Why a question of the centre's is not put before the officers."""

    def step(self) -> None:
        """Put new questions before the officers."""
        try:
            found = self._channel.read(ASKED, self._etag)
            if not isinstance(found, Blob):
                return
            for entry in decode("asked", found.content)["jobs"]:
                if self._consent.knows(entry["code"]):
                    continue
                if self._consent.full:
                    self._set_aside(FULL)
                    return
                self._take(entry)
            self.fault, self._etag = "", found.etag
        except (RefusedInputError, UnreadableJobError) as error:
            self._set_aside(f"the centre asks for a job that cannot be read: {error}")

    def _take(self, entry: Mapping[str, Any]) -> None:
        blob = self._channel.read(asked_archive(entry["code"]), limit=JOB_LIMIT)
        if not isinstance(blob, Blob):
            raise UnreadableJobError(f"it does not send the code {entry['code'][:12]}")
        code = job_code.checksum(blob.content)
        if code != entry["code"]:
            raise UnreadableJobError(f"it calls the code {code[:12]} {entry['code'][:12]}")
        manifest = job_code.manifest(blob.content)
        said = {"job_id": entry["job_id"], "name": manifest.name, "submitter": manifest.author}
        self._consent.ask(code, blob.content, said)

    def _set_aside(self, fault: str) -> None:
        if fault != self.fault:
            say("a question of the centre's is set aside", reason=fault)
        self.fault = fault
