"""The federation's root: made once on the centre's data disk, signs hospitals and the centre's own two
kits.
"""

import io
import json
import shutil
import threading
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from container_server.centre.approval import CertificateRequest
from container_server.certificates import Certificate
from container_server.clock import Clock
from container_server.config import Config
from container_server.files import read_json, write_bytes, write_json
from container_server.kit import SERVER_KIT, Manifest, faults
from container_server.local_config import install_server_kit
from container_server.log import say
from container_server.nvflare_cli import Nvflare

HOSPITAL_DAYS = 90
SERVER_DAYS = 365
RENEW_BEFORE = timedelta(days=30)
LAST_WEEK = timedelta(days=7)
LEAD = "lead@centre.local"
"""The one administrator: submits and aborts jobs. Its key stays in this service's private folder."""


@dataclass(frozen=True)
class Signed:
    """A signed answer for a hospital."""

    archive: bytes
    serial: str
    valid_until: str


class Authority:
    """The root and what hangs on it. Everything private is below `agent/`."""

    def __init__(self, config: Config, nvflare: Nvflare, clock: Clock):
        self._config = config
        self._nvflare = nvflare
        self._clock = clock
        self._root = config.agent / "ca"
        self._profile = config.agent / "profile.yaml"
        self._making_lead = threading.Lock()

    @property
    def lead_kit(self) -> Path:
        """The administrator's startup kit."""
        return self._config.agent / "lead"

    @property
    def fingerprint(self) -> str:
        """The root's fingerprint, `SHA256:AA:BB:...`."""
        return Certificate.read((self._root / "rootCA.pem").read_bytes()).fingerprint

    def ensure(self, *, spare: bool = False) -> bool:
        """Make the root and the server's kit where they are missing. True when the server's kit is new.

        With `spare` a kit that works stays until its last week: the server restarts for a new one, and a job
        runs. Raises NvflareError.
        """
        server = {"host": self._config.fl_host, "fed_learn_port": self._config.fl_port}
        server["admin_port"] = self._config.fl_port
        profile = {"name": self._config.project, "scheme": "grpc", "connection_security": "mtls"}
        write_json(self._profile, {**profile, "server": server})
        if not (self._root / "rootCA.key").is_file():
            self._nvflare.run("cert", "init", "--profile", str(self._profile), "-o", str(self._root))
            say("root made", fingerprint=self.fingerprint)
        return self._ensure_server_kit(LAST_WEEK if spare else RENEW_BEFORE)

    def server_kit_faults(self) -> list[str]:
        """What is wrong with the server's kit; empty when the server may start."""
        manifest = Manifest.load(self._manifest_path)
        if manifest is None:
            return ["no server kit was made yet"]
        return faults(self._config.kit, manifest, SERVER_KIT, self._clock.now())

    def sign(self, request: CertificateRequest) -> Signed:
        """Sign a request that `examine` let through. Raises NvflareError."""
        folder = self._config.agent / "signing"
        asked, answer = folder / f"{request.hospital}.request.zip", folder / f"{request.hospital}.signed.zip"
        write_bytes(asked, request.archive)
        self._approve(asked, answer, HOSPITAL_DAYS)
        archive = answer.read_bytes()
        shutil.rmtree(folder)
        certificate = _signed(archive)["certificate"]
        return Signed(archive, str(certificate["serial"]).removeprefix("0x"), str(certificate["valid_until"]))

    @property
    def _manifest_path(self) -> Path:
        return self._config.agent / "server_manifest.json"

    def _ensure_server_kit(self, before: timedelta) -> bool:
        certificate = self._config.kit / SERVER_KIT.certificate
        if read_json(self._manifest_path) and not self._ends_soon(certificate, before):
            return False
        ports = {"fed_learn_port": self._config.fl_port, "admin_port": self._config.fl_port}
        made = self._own_kit({"name": self._config.fl_host, "type": "server", "org": "centre", **ports})
        self._manifest_path.unlink(missing_ok=True)
        install_server_kit(made, self._config.kit, self._config.server_work)
        manifest = Manifest.of(
            self._config.kit, self.fingerprint, self._config.fl_host, self._config.fl_target
        )
        manifest.save(self._manifest_path)
        say("server kit made")
        return True

    def ensure_lead_kit(self) -> None:
        """Make the administrator's kit, or renew it. Raises NvflareError."""
        with self._making_lead:
            if not self._ends_soon(self.lead_kit / "startup/client.crt"):
                return
            made = self._own_kit({"name": LEAD, "type": "admin", "org": "centre", "role": "lead"})
            shutil.rmtree(self.lead_kit, ignore_errors=True)
            shutil.move(made, self.lead_kit)
            say("administrator's kit made")

    def _own_kit(self, participant: dict[str, Any]) -> Path:
        """Request, approve and package for the centre itself; the folder NVFlare made."""
        name = str(participant["name"])
        folder = self._config.agent / "own" / name
        shutil.rmtree(folder, ignore_errors=True)
        written = folder / "participant.yaml"  # JSON is YAML
        write_json(written, {"name": self._config.project, "participants": [participant]})
        request, signed = folder / "request", folder / f"{name}.signed.zip"
        self._nvflare.run("cert", "request", "-p", str(written), "--out", str(request))
        self._approve(request / f"{name}.request.zip", signed, SERVER_DAYS)
        made = self._nvflare.run(
            *("package", str(signed), "-w", str(folder / "workspace"), "--request-dir", str(request)),
            *("--fingerprint", self.fingerprint, "--force"),
        )
        return Path(made["output_dir"])

    def _approve(self, request: Path, signed: Path, days: int) -> None:
        self._nvflare.run(
            *("cert", "approve", str(request), "-c", str(self._root), "--profile", str(self._profile)),
            *("--out", str(signed), "--valid-days", str(days), "--force"),
        )

    def _ends_soon(self, certificate: Path, before: timedelta = RENEW_BEFORE) -> bool:
        """Also true where there is none."""
        if not certificate.is_file():
            return True
        ends = Certificate.read(certificate.read_bytes()).valid_until
        return ends - datetime.fromtimestamp(self._clock.now(), UTC) < before


def _signed(archive: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return dict(json.loads(opened.read("signed.json")))
