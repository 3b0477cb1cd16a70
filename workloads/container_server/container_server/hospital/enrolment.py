"""Enrolment at the hospital: the private key is made here and never leaves.

request (key, signing request) -> request.zip in the hospital's own container -> the centre's decision ->
signed.zip -> kit, assembled under the pinned root. Each step is kept on the data disk, so it goes on where
it was after a restart.
"""

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from container_server.certificates import Certificate
from container_server.clock import Clock
from container_server.config import Config
from container_server.errors import RefusedInputError
from container_server.files import read_json, write_bytes, write_json
from container_server.handover import last_proof, proven
from container_server.kit import Manifest
from container_server.local_config import install_hospital_kit
from container_server.log import say
from container_server.messages import DECISION, REQUEST, ROOT, ROOTS, SIGNED, decode
from container_server.nvflare_cli import Nvflare
from container_server.storage import Blob, BlobStore, Unread

POLL_SECONDS = 0.5
"""Pause between two looks at the answer while it may come any moment."""
SLOW_POLL_SECONDS = 10.0
"""The same once the centre said that a person must approve, or refused."""
PATIENCE_SECONDS = 60.0
"""How long the answer may come any moment."""
AGAIN_SECONDS = 600.0
"""After how long without any answer a request is uploaded again."""


def organisation(hospital: str) -> str:
    """NVFlare's name for a hospital's organisation: it allows no hyphen."""
    return hospital.replace("-", "_")


class Enrolment:
    """One hospital's way to a kit. `step()` does what can be done now; `status` says how far it is, `pause`
    how long to wait until the next step.
    """

    def __init__(self, config: Config, store: BlobStore, nvflare: Nvflare, clock: Clock):
        self._config = config
        self._store = store
        self._nvflare = nvflare
        self._clock = clock
        self._folder = config.agent / "enrolment"
        self._began = self._uploaded = clock.now()
        self._decision_etag: str | None = None
        self.status = "asking the centre for a certificate"

    @property
    def manifest_path(self) -> Path:
        """Where the manifest of the assembled kit is kept."""
        return self._config.agent / "manifest.json"

    @property
    def begun(self) -> bool:
        """Whether a request was made that has not become a kit yet, perhaps before a restart."""
        return (self._folder / "request" / "request.json").is_file()

    @property
    def pause(self) -> float:
        """Seconds until the next step."""
        waiting_long = self._clock.now() - self._began > PATIENCE_SECONDS
        return SLOW_POLL_SECONDS if waiting_long else POLL_SECONDS

    def renew(self) -> None:
        """Start again with a new key. The kit in use stays until the new one is assembled."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._began = self._clock.now()
        self._decision_etag = None
        self.status = "asking the centre for a new certificate"

    def done(self) -> None:
        """Throw away what the kit was made of: its key is in the kit now, and nowhere else."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def step(self) -> Manifest | None:
        """Go on as far as possible; the manifest once a kit is assembled.

        Raises TransientError, NvflareError or RefusedInputError when the way is blocked.
        """
        request_id = self._request()
        decision = self._store.read(DECISION, self._decision_etag)
        if decision is Unread.ABSENT:
            self._send_again()
        return self._follow(decision, request_id) if isinstance(decision, Blob) else None

    def _request(self) -> str:
        """Make and upload the request, once; its id."""
        sent = self._folder / "sent.json"
        if content := read_json(sent):
            return str(content["request_id"])
        folder = self._folder / "request"
        if not (folder / "request.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            participant = {
                "name": self._config.party,
                "type": "client",
                "org": organisation(self._config.party),
            }
            written = self._folder / "participant.yaml"  # JSON is YAML
            write_json(written, {"name": self._config.project, "participants": [participant]})
            self._nvflare.run("cert", "request", "-p", str(written), "--out", str(folder))
            say("key made, certificate requested")
        request_id = str(json.loads((folder / "request.json").read_text())["request_id"])
        self._upload()
        write_json(sent, {"request_id": request_id})
        self.status = "waiting for the centre to answer the request for a certificate"
        return request_id

    def _upload(self) -> None:
        archive = self._folder / "request" / f"{self._config.party}.request.zip"
        self._store.write(REQUEST, archive.read_bytes())
        self._uploaded = self._clock.now()

    def _send_again(self) -> None:
        """Upload a request again that stays without an answer: the container may be a new, empty one."""
        if self._clock.now() - self._uploaded > AGAIN_SECONDS:
            self._upload()

    def _follow(self, blob: Blob, request_id: str) -> Manifest | None:
        decision = decode("decision", blob.content)
        if decision["request_id"] != request_id:
            return None  # the answer to an earlier request
        if decision["decision"] == "approved":
            return self._assemble(request_id)
        self._decision_etag = blob.etag
        said = "refused the request" if decision["decision"] == "refused" else "has to approve the request"
        self.status = f"the centre {said}: {decision['reason']}"
        return None

    def _assemble(self, request_id: str) -> Manifest:
        signed = self._store.read(SIGNED)
        if not isinstance(signed, Blob):
            raise RefusedInputError("the centre approved, but there is no signed.zip")
        if (answered := _request_id(signed.content)) != request_id:
            raise RefusedInputError(f"signed.zip answers request {answered}, not {request_id}")
        root, proof = self._root_of(signed.content)
        archive = self._folder / f"{self._config.party}.signed.zip"
        write_bytes(archive, signed.content)
        workspace = self._folder / "workspace"
        shutil.rmtree(workspace, ignore_errors=True)
        made = self._nvflare.run(
            *("package", str(archive), "-w", str(workspace)),
            *("--request-dir", str(self._folder / "request"), "--fingerprint", root, "--force"),
        )
        self.manifest_path.unlink(missing_ok=True)
        install_hospital_kit(Path(made["output_dir"]), self._config.kit, proof)
        manifest = Manifest.of(self._config.kit, root, self._config.party, self._config.fl_target)
        manifest.save(self.manifest_path)
        self._keep(root)
        serial = Certificate.read((self._config.kit / "startup/client.crt").read_bytes()).serial
        say("kit assembled", serial=serial, root=root)
        return manifest

    def _root_of(self, archive: bytes) -> tuple[str, bytes]:
        """The root of a signed archive, if this hospital trusts it, and what goes with its certificates.

        That is the root trusted so far, or one that it handed over to; then also the proof of that, for a
        server that still trusts the old one. Raises UnprovenRootError.
        """
        root, trusted = _root_in(archive), self._trusted()
        history = self._history()
        if root != trusted:
            proof = proven(trusted, root, history, self._clock.now())
            say("root handed over", before=trusted, now=root)
            return root, proof
        return root, last_proof(root, history)

    def _history(self) -> dict[str, Any]:
        """The roots that the centre states; a centre of version 0.1 states none."""
        stated = self._store.read(ROOTS)
        return decode("roots", stated.content) if isinstance(stated, Blob) else {"roots": [], "proofs": []}

    def _trusted(self) -> str:
        """The root that this hospital trusts: its last kit's, else its officer's, else the first one stated.

        An officer's pin is where the way begins: what it handed over to is trusted; another pin begins there.
        """
        kept = read_json(self._kept) or {}
        officers = self._config.root_fingerprint
        if kept and (officers is None or officers in (kept["fingerprint"], kept.get("officers"))):
            return str(kept["fingerprint"])
        return officers or self._first_stated()

    def _keep(self, root: str) -> None:
        write_json(self._kept, {"fingerprint": root, "officers": self._config.root_fingerprint})

    @property
    def _kept(self) -> Path:
        return self._config.agent / "root.json"

    def _first_stated(self) -> str:
        stated = self._store.read(ROOT)
        if not isinstance(stated, Blob):
            raise RefusedInputError("the centre has not stated its root yet")
        root = decode("root", stated.content)
        if root["project"] != self._config.project:
            raise RefusedInputError(f"the root is for {root['project']}, expected {self._config.project}")
        self._keep(str(root["fingerprint"]))
        say("root pinned, first one stated", fingerprint=root["fingerprint"])
        return str(root["fingerprint"])


def _root_in(archive: bytes) -> str:
    """The fingerprint of the root in a signed archive, whose signature NVFlare checks under it."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entry = opened.getinfo("rootCA.pem")
            if entry.file_size > 64 * 1024:
                raise RefusedInputError("signed.zip: rootCA.pem is too large")
            return Certificate.read(opened.read(entry)).fingerprint
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise RefusedInputError(f"signed.zip cannot be read: {error}") from error


def _request_id(archive: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entry = opened.getinfo("signed.json")
            if entry.file_size > 64 * 1024:
                raise RefusedInputError("signed.zip: signed.json is too large")
            return str(json.loads(opened.read(entry))["request_id"])
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise RefusedInputError(f"signed.zip cannot be read: {error}") from error
