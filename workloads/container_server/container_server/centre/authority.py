"""The federation's root: made once on the centre's data disk, signs hospitals and the centre's own two
kits.
"""

import io
import json
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from container_server.centre.approval import CertificateRequest
from container_server.centre.roots import Roots
from container_server.centre.signatures import Asked, Role, Signatures
from container_server.certificates import Certificate
from container_server.clock import Clock
from container_server.config import Config
from container_server.files import read_json, write_bytes, write_json
from container_server.kit import ROOT_CERTIFICATE, SERVER_KIT, Manifest, faults
from container_server.local_config import install_server_kit, renew_server_policy
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
    """A signed answer for a hospital; `root` is the fingerprint of the root that signed it."""

    archive: bytes
    serial: str
    valid_until: str
    root: str


class Authority:
    """The root and what hangs on it. Everything private is below `agent/`."""

    def __init__(
        self, config: Config, nvflare: Nvflare, clock: Clock, admit_administrator: Callable[[str], None]
    ):
        self._config = config
        self._nvflare = nvflare
        self._clock = clock
        self._admit_administrator = admit_administrator
        """Has the server take the administrator's certificate with this serial alone."""
        self.roots = Roots(config.agent)
        self._signatures = Signatures(config.agent / "signatures.jsonl", clock)
        self._profile = config.agent / "profile.yaml"
        self._restart_due = config.agent / "server_restart_due"
        self._using_lead = threading.Lock()
        admit_administrator(self.lead_serial)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the root that signs hospitals, `SHA256:AA:BB:...`."""
        return self.roots.fingerprint

    @property
    def restart_due(self) -> bool:
        """Whether the server may still run with the kit before this one."""
        return self._restart_due.exists()

    def restarted(self) -> None:
        """Take note that the server runs with the kit that it has, or does not run."""
        self._restart_due.unlink(missing_ok=True)

    def ensure_root(self) -> None:
        """Make the root where there is none. Raises NvflareError."""
        server = {"host": self._config.fl_host, "fed_learn_port": self._config.fl_port}
        server["admin_port"] = self._config.fl_port
        profile = {"name": self._config.project, "scheme": "grpc", "connection_security": "mtls"}
        write_json(self._profile, {**profile, "server": server})
        if not self.roots.made:
            self._make_root(self.roots.first_folder)
            self.roots.found()
            say("root made", fingerprint=self.fingerprint)

    def add_root(self) -> None:
        """Make the next root, for which the present one signs. Raises NvflareError."""
        folder = self.roots.next_folder()
        self._make_root(folder)
        self.roots.add(folder)
        say("next root made", fingerprint=Certificate.read((folder / "rootCA.pem").read_bytes()).fingerprint)

    def _make_root(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)  # of a try that was killed
        self._nvflare.run("cert", "init", "--profile", str(self._profile), "-o", str(folder))

    def ends(self) -> dict[str, float]:
        """Unix time at which the server's, the administrator's and the root's certificates end, if made."""
        files = {
            "server": self._config.kit / SERVER_KIT.certificate,
            "lead": self._lead_kit / "startup/client.crt",
            "root": self.roots.newest / "rootCA.pem" if self.roots.made else Path("none"),
        }
        read = {what: file.read_bytes() for what, file in files.items() if file.is_file()}
        return {what: Certificate.read(content).valid_until.timestamp() for what, content in read.items()}

    def ensure_server_kit(self, *, spare: bool, asked: bool = False) -> bool:
        """Make the server's kit where it is missing, ends soon, is of another root, or `asked` for; renew its
        policy.

        With `spare` a kit that works stays until its last week: the server restarts for a new one, and a job
        runs. True when it is new: the server is to be restarted. Raises NvflareError.
        """
        certificate = self._config.kit / SERVER_KIT.certificate
        made = read_json(self._manifest_path) is not None and certificate.is_file()
        if made and spare and not self._ends_soon(certificate, LAST_WEEK):
            return False
        if made and not asked and self._newest_signed(certificate) and not self._ends_soon(certificate):
            if self._trusts_the_right_root():
                return self._renew_policy()
            self._write_trusted_root()
        else:
            self._make_server_kit()
        return True

    def server_kit_is_of_newest_root(self) -> bool:
        """Whether the newest root signed the server's kit, and it trusts the root that it should."""
        certificate = self._config.kit / SERVER_KIT.certificate
        return certificate.is_file() and self._newest_signed(certificate) and self._trusts_the_right_root()

    def _newest_signed(self, certificate: Path) -> bool:
        newest = Certificate.read((self.roots.newest / "rootCA.pem").read_bytes())
        return Certificate.read(certificate.read_bytes()).issued_by(newest)

    def _trusts_the_right_root(self) -> bool:
        trusts = Certificate.read((self._config.kit / ROOT_CERTIFICATE).read_bytes())
        return trusts.fingerprint == Certificate.read(self.roots.trusted).fingerprint

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
        wanted = Asked(name=request.hospital, role="client", days=HOSPITAL_DAYS)
        write_bytes(asked, request.archive)
        self._approve(asked, answer, self.roots.signing, wanted)
        archive = answer.read_bytes()
        shutil.rmtree(folder)
        certificate = _signed(archive)["certificate"]
        serial = str(certificate["serial"]).removeprefix("0x")
        return Signed(archive, serial, str(certificate["valid_until"]), self.fingerprint)

    @property
    def _manifest_path(self) -> Path:
        return self._config.agent / "server_manifest.json"

    def _make_server_kit(self) -> None:
        ports = {"fed_learn_port": self._config.fl_port, "admin_port": self._config.fl_port}
        participant = {"name": self._config.fl_host, "type": "server", "org": "centre", **ports}
        made = self._own_kit(participant, "server", self.roots.newest)
        self._accompany(made / SERVER_KIT.certificate, self.roots.newest)
        (made / ROOT_CERTIFICATE).write_bytes(self.roots.trusted)
        self._restart_due.touch()
        self._manifest_path.unlink(missing_ok=True)
        install_server_kit(made, self._config.kit, self._config.server_work)
        self._save_manifest()
        say("server kit made")

    def _write_trusted_root(self) -> None:
        """Another root to trust, and the same key: clients that are registered stay so."""
        self._restart_due.touch()
        self._manifest_path.unlink(missing_ok=True)
        write_bytes(self._config.kit / ROOT_CERTIFICATE, self.roots.trusted, 0o644)
        self._save_manifest()
        say("server trusts another root")

    def _renew_policy(self) -> bool:
        """A kit outlives images, and the server has to build what this one composes."""
        if not renew_server_policy(self._config.kit):
            return False
        self._restart_due.touch()
        self._save_manifest()
        say("the server's policy renewed: this image has another one")
        return True

    def _save_manifest(self) -> None:
        trusted = Certificate.read(self.roots.trusted).fingerprint
        manifest = Manifest.of(self._config.kit, trusted, self._config.fl_host, self._config.fl_target)
        manifest.save(self._manifest_path)

    @property
    def _lead_kit(self) -> Path:
        return self._config.agent / "lead"

    @property
    def lead_serial(self) -> str:
        """Serial of the administrator's certificate; empty while there is none."""
        certificate = self._lead_kit / "startup/client.crt"
        return Certificate.read(certificate.read_bytes()).serial if certificate.is_file() else ""

    @contextmanager
    def lead_kit(self) -> Iterator[Path]:
        """The administrator's kit, which nobody replaces meanwhile. Raises NvflareError."""
        with self._using_lead:
            if self._lead_is_due():
                self._make_lead_kit()
            yield self._lead_kit

    def ensure_lead_kit(self) -> None:
        """Make the administrator's kit, or renew it. Raises NvflareError."""
        with self.lead_kit():
            pass

    def rotate_lead(self) -> None:
        """Make another kit for the administrator. Raises NvflareError."""
        with self._using_lead:
            self._make_lead_kit()

    def _lead_is_due(self) -> bool:
        certificate = self._lead_kit / "startup/client.crt"
        if self._ends_soon(certificate):
            return True
        root = Certificate.read((self.roots.signing / "rootCA.pem").read_bytes())
        return not Certificate.read(certificate.read_bytes()).issued_by(root)

    def _make_lead_kit(self) -> None:
        participant = {"name": LEAD, "type": "admin", "org": "centre", "role": "lead"}
        made = self._own_kit(participant, "lead", self.roots.signing)
        self._accompany(made / "startup/client.crt", self.roots.signing)
        self._admit_administrator(Certificate.read((made / "startup/client.crt").read_bytes()).serial)
        shutil.rmtree(self._lead_kit, ignore_errors=True)
        shutil.move(made, self._lead_kit)
        say("administrator's kit made", serial=self.lead_serial)

    def _accompany(self, certificate: Path, root: Path) -> None:
        """Add to a certificate of the newest root what those need who still trust the one before."""
        if self.roots.handing_over and root == self.roots.newest:
            certificate.write_bytes(certificate.read_bytes() + self.roots.proof)

    def _own_kit(self, participant: dict[str, Any], role: Role, root: Path) -> Path:
        """Request, approve and package for the centre itself, signed by `root`; the folder NVFlare made."""
        name = str(participant["name"])
        folder = self._config.agent / "own" / name
        shutil.rmtree(folder, ignore_errors=True)
        written = folder / "participant.yaml"  # JSON is YAML
        write_json(written, {"name": self._config.project, "participants": [participant]})
        request, signed = folder / "request", folder / f"{name}.signed.zip"
        self._nvflare.run("cert", "request", "-p", str(written), "--out", str(request))
        self._approve(
            request / f"{name}.request.zip", signed, root, Asked(name=name, role=role, days=SERVER_DAYS)
        )
        fingerprint = Certificate.read((root / "rootCA.pem").read_bytes()).fingerprint
        made = self._nvflare.run(
            *("package", str(signed), "-w", str(folder / "workspace"), "--request-dir", str(request)),
            *("--fingerprint", fingerprint, "--force"),
        )
        return Path(made["output_dir"])

    def _approve(self, request: Path, signed: Path, folder: Path, asked: Asked) -> None:
        """Have the root in `folder` sign. Raises NvflareError, or UnexpectedCertificateError."""
        self._nvflare.run(
            *("cert", "approve", str(request), "-c", str(folder), "--profile", str(self._profile)),
            *("--out", str(signed), "--valid-days", str(asked.days), "--force"),
        )
        root = Certificate.read((folder / "rootCA.pem").read_bytes())
        self._signatures.take(signed, asked, root)

    def _ends_soon(self, certificate: Path, before: timedelta = RENEW_BEFORE) -> bool:
        """Also true where there is none."""
        if not certificate.is_file():
            return True
        ends = Certificate.read(certificate.read_bytes()).valid_until
        return ends - datetime.fromtimestamp(self._clock.now(), UTC) < before


def _signed(archive: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return dict(json.loads(opened.read("signed.json")))
