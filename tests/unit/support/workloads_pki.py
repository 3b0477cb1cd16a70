"""Certificates, requests and kits as NVFlare makes them, without NVFlare."""

import datetime
import io
import json
import ssl
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from container_server.certificates import Certificate
from container_server.clock import Clock
from container_server.kit import HOSPITAL_KIT, Manifest
from container_server.nvflare_cli import NvflareError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

TARGET = "fl.federation.internal:8002"
START = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def named(name: str, role: str = "") -> x509.Name:
    """A subject; a certificate's has a role, as NVFlare writes it."""
    stated = [x509.NameAttribute(x509.NameOID.UNSTRUCTURED_NAME, role)] if role else []
    return x509.Name([*stated, x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


@dataclass
class Root:
    """A root certificate and its key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls) -> "Root":
        key = new_key()
        return cls(key, _certificate("fed-dev", key, "fed-dev", key, 3650, ca=True))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        return Certificate(self.certificate).fingerprint

    def issue(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        days: int = 90,
        start: datetime.datetime = START,
        *,
        role: str = "client",
        ca: bool = False,
    ) -> bytes:
        made = _certificate(name, key, "fed-dev", self.key, days, start, role=role, ca=ca)
        return made.public_bytes(serialization.Encoding.PEM)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    days: int,
    start: datetime.datetime = START,
    *,
    role: str = "",
    ca: bool = False,
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(named(name, role))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )


def write_kit(kit: Path, root: Root, name: str = "cleveland", days: int = 90) -> Manifest:
    """A hospital's kit in place, and its manifest."""
    key = new_key()
    config = {"servers": [{"service": {"target": TARGET, "scheme": "grpc"}}], "client": {"fqsn": name}}
    files = {
        "startup/fed_client.json": json.dumps(config).encode(),
        "startup/client.crt": root.issue(name, key, days),
        "startup/client.key": private_pem(key),
        "startup/rootCA.pem": root.pem,
        **{path: b"{}" for path in HOSPITAL_KIT.required if path.startswith("local/")},
    }
    for path, content in files.items():
        (kit / path).parent.mkdir(parents=True, exist_ok=True)
        (kit / path).write_bytes(content)
    (kit / "startup/client.key").chmod(0o600)
    return Manifest.of(kit, root.fingerprint, name, TARGET)


def request_archive(
    name: str = "cleveland",
    /,
    subject: str | None = None,
    alter: Callable[[bytes], bytes] = bytes,
    method: int = zipfile.ZIP_STORED,
    **changes: Any,
) -> bytes:
    """A request as `nvflare cert request` makes it, with changes to request.json; `alter` changes the signing
    request's DER.
    """
    asked = {
        "artifact_type": "nvflare.cert.request",
        "request_id": "8d69f178ba80476fb42b900c27790314",
        "project": "fed-dev",
        "name": name,
        "org": name.replace("-", "_"),
        "kind": "site",
        "cert_type": "client",
        "cert_role": None,
        **changes,
    }
    csr = x509.CertificateSigningRequestBuilder().subject_name(named(subject or name))
    der = alter(csr.sign(new_key(), hashes.SHA256()).public_bytes(serialization.Encoding.DER))
    pem = ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    files = {"request.json": json.dumps(asked), "site.yaml": "name: x", f"{name}.csr": pem}
    return zipped(files, method)


def zipped(files: Mapping[str, bytes | str], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


class FakeNvflare:
    """NVFlare's certificate commands with the same files and answers; its jobs only get a number."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.jobs: list[str] = []
        self.submitted: list[dict[str, Any]] = []
        """The meta.json of each job that was submitted."""
        self.refuse: NvflareError | None = None
        self.calls: list[str] = []

    def run(self, *arguments: str) -> dict[str, Any]:
        self.calls.append(" ".join(arguments[:2]))
        if self.refuse:
            raise self.refuse
        options = dict(pairwise(arguments))
        if arguments[:2] == ("cert", "init"):
            return self._init(Path(options["-o"]))
        if arguments[:2] == ("cert", "request"):
            return self._request(json.loads(Path(options["-p"]).read_text()), Path(options["--out"]))
        if arguments[:2] == ("cert", "approve"):
            return self._approve(Path(arguments[2]), Path(options["-c"]), Path(options["--out"]), options)
        assert arguments[0] == "package", arguments
        return self._package(Path(arguments[1]), options)

    def as_administrator(self, kit: Path, user: str, action: str, argument: str) -> dict[str, Any]:
        assert (kit / "startup/client.crt").is_file()
        if self.refuse:
            raise self.refuse
        self.jobs.append(f"{action} {Path(argument).name}")
        if action != "submit":
            return {}
        self.submitted.append(json.loads((Path(argument) / "meta.json").read_text()))
        return {"job_id": self.submitted[-1]["job_id"]}

    def _init(self, ca: Path) -> dict[str, Any]:
        root = Root.new()
        ca.mkdir(parents=True)
        (ca / "rootCA.pem").write_bytes(root.pem)
        (ca / "rootCA.key").write_bytes(private_pem(root.key))
        return {}

    def _request(self, asked: dict[str, Any], out: Path) -> dict[str, Any]:
        participant = asked["participants"][0]
        name, kinds = participant["name"], {"client": "site", "server": "server", "admin": "user"}
        out.mkdir(parents=True)
        key = new_key()
        request_id = uuid.uuid4().hex
        archive = request_archive(
            name,
            project=asked["name"],
            request_id=request_id,
            org=participant["org"],
            kind=kinds[participant["type"]],
            cert_type=participant.get("role", participant["type"]),
            cert_role=participant.get("role"),
        )
        (out / f"{name}.key").write_bytes(private_pem(key))
        (out / f"{name}.request.zip").write_bytes(archive)
        (out / "request.json").write_text(json.dumps({"request_id": request_id, "project": asked["name"]}))
        self._keys[request_id] = key
        return {"request_id": request_id}

    def _approve(self, asked: Path, ca: Path, out: Path, options: dict[str, str]) -> dict[str, Any]:
        with zipfile.ZipFile(asked) as archive:
            request = json.loads(archive.read("request.json"))
        root_key = serialization.load_pem_private_key((ca / "rootCA.key").read_bytes(), None)
        assert isinstance(root_key, ec.EllipticCurvePrivateKey)
        root = Root(root_key, x509.load_pem_x509_certificate((ca / "rootCA.pem").read_bytes()))
        start = datetime.datetime.fromtimestamp(self._clock.now() - 60, datetime.UTC)
        key, days = self._keys[request["request_id"]], int(options["--valid-days"])
        issued = self.signs(root, request, key, days, start)
        certificate = Certificate.read(issued)
        signed = {
            "request_id": request["request_id"],
            "certificate": {
                "serial": f"0x{certificate.serial}",
                "valid_until": f"{certificate.valid_until:%Y-%m-%dT%H:%M:%SZ}",
            },
        }
        name = f"{request['name']}.crt"
        out.write_bytes(zipped({"signed.json": json.dumps(signed), name: issued, "rootCA.pem": root.pem}))
        return {}

    def signs(
        self,
        root: Root,
        request: Mapping[str, Any],
        key: ec.EllipticCurvePrivateKey,
        days: int,
        start: datetime.datetime,
    ) -> bytes:
        """The certificate that it makes of a request."""
        return root.issue(request["name"], key, days, start, role=request["cert_type"])

    def _package(self, signed: Path, options: dict[str, str]) -> dict[str, Any]:
        name = signed.name.removesuffix(".signed.zip")
        request, out = Path(options["--request-dir"]), Path(options["-w"]) / "fed-dev" / "prod_00" / name
        with zipfile.ZipFile(signed) as archive:
            issued, root = archive.read(f"{name}.crt"), archive.read("rootCA.pem")
        if Certificate.read(root).fingerprint != options["--fingerprint"]:
            raise NvflareError("package", "ROOTCA_FINGERPRINT_MISMATCH", "not the pinned root")
        side = "server" if name.startswith("fl.") else "client"
        service = {"target": TARGET, "scheme": "grpc"}
        config = {"servers": [{"name": "fed-dev", "service": service}], "client": {"fqsn": name}}
        resources = {
            "servers": [{"heart_beat_timeout": 600}],
            "allow_log_streaming": True,
            "components": [
                {"id": "site_log_streamer"},
                {"id": "process_launcher", "path": "nvflare.a_launcher"},
                {"id": "job_scheduler", "args": {"max_jobs": 4}},
                {"id": "job_manager", "args": {"uri_root": "/tmp/nvflare/jobs-storage"}},  # noqa: S108
            ],
        }
        console = {"handlers": {"consoleHandler": {"formatter": "consoleFormatter"}}}
        files = {
            f"startup/fed_{side}.json": json.dumps(config).encode(),
            f"startup/{side}.crt": issued,
            f"startup/{side}.key": (request / f"{name}.key").read_bytes(),
            "startup/rootCA.pem": root,
            "startup/start.sh": b"#!/bin/bash\n",
            "local/resources.json.default": json.dumps(resources).encode(),
            "local/log_config.json.default": json.dumps(console).encode(),
        }
        for path, content in files.items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(content)
        return {"output_dir": str(out)}
