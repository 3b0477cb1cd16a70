"""The `local/` half of a kit: NVFlare's defaults, narrowed to this federation's policy."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from container_server.centre.workflows import CLASSES
from container_server.files import empty, write_bytes

ANSWERED_WITHIN_SECONDS = 30
"""A client's request that the server has not answered after so long is made again. NVFlare waits for five
minutes: a hospital whose network fails for a moment would sit out the rest of a job."""

SCHEDULE_TRIES = 1000
"""How often a job that waits for hospitals is tried, every 30 seconds: for eight hours, a night. NVFlare
gives up after ten times, and from 1,024 on its pause between two tries no longer fits a number (2.9)."""

_POLICY = Path(__file__).with_name("policy")
_OURS = (
    {"id": "health_file", "path": "fed_site.health.HealthFile", "args": {}},
    {"id": "app_deployer", "path": "fed_site.consent.ConsentingDeployer", "args": {}},
    {"id": "process_launcher", "path": "fed_site.launcher.JobLauncher", "args": {}},
    {"id": "job_commands_alone", "path": "fed_site.commands.JobCommandsAlone", "args": {}},
)
"""What the client runs of ours; launcher and deployer are in place of NVFlare's."""
_EXECUTORS = ("fed_site.box_executor.BoxExecutor", "fed_site.statistics.OwnStatisticsExecutor")
"""The only classes that NVFlare builds from a job's configuration (its `class_allow_list`); the client looks
itself before that (fed_site/job_form.py).
"""


def install_hospital_kit(assembled: Path, kit: Path, proof: bytes = b"") -> None:
    """Put an assembled kit of NVFlare's into place, with the hospital's policy as its local configuration.

    `proof` goes with its certificate, for a server that trusts the root before (handover.py).
    """
    certificate = assembled / "startup" / "client.crt"
    certificate.write_bytes(certificate.read_bytes() + proof)
    local = assembled / "local"
    startup = ("fed_client.json", "client.crt", "client.key", "rootCA.pem")
    files = {
        **_hospital_policy(_read(local / "resources.json.default")),
        "log_config.json": _plain_console(_read(local / "log_config.json.default")),
    }
    _install(assembled, kit, startup, files)


def renew_hospital_policy(kit: Path) -> bool:
    """Bring the policy of a kit in place up to that of this image; whether anything had to change.

    A kit outlives images: without this an enrolled hospital would keep the policy of the day it enrolled.
    """
    return _renewed(kit, _hospital_policy(_read(kit / "local" / "resources.json")))


def _renewed(kit: Path, files: Mapping[str, dict[str, Any]]) -> bool:
    changed = {name: content for name, content in files.items() if _read(kit / "local" / name) != content}
    _write(kit, changed)
    return bool(changed)


def _hospital_policy(resources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The files that are the hospital's policy, from NVFlare's resources or from those of an older kit."""
    client = {**resources.get("client", {}), "communication_timeout": ANSWERED_WITHIN_SECONDS}
    replaced = {"site_log_streamer", *(component["id"] for component in _OURS)}
    kept = [component for component in resources["components"] if component["id"] not in replaced]
    narrowed = {
        "allow_log_streaming": False,
        "class_allow_list": list(_EXECUTORS),
        "client": client,
        "components": [*kept, *_OURS],
    }
    return {
        "resources.json": {**resources, **narrowed},
        "authorization.json": _read(_POLICY / "hospital_authorization.json"),
        "privacy.json": _read(_POLICY / "hospital_privacy.json"),
    }


def install_server_kit(assembled: Path, kit: Path, server_work: Path) -> None:
    """Put the server's kit into place; `server_work` is the server's volume as its container sees it."""
    local = assembled / "local"
    text = (local / "resources.json.default").read_text()
    # NVFlare keeps its job history below /tmp/nvflare, where a restart loses it.
    resources = json.loads(text.replace("/tmp/nvflare/", f"{server_work}/nvflare/"))  # noqa: S108
    resources["servers"][0]["heart_beat_timeout"] = 120
    resources["components"] += [
        {"id": "admission", "path": "fed_server.admission.Admission", "args": {}},
        {"id": "job_states", "path": "fed_server.job_states.JobStates", "args": {}},
        {"id": "lost_parts", "path": "fed_server.lost_parts.LostParts", "args": {}},
    ]
    scheduler = next(part for part in resources["components"] if part["id"] == "job_scheduler")
    scheduler["args"] = {
        "max_jobs": 1,
        "max_schedule_count": SCHEDULE_TRIES,
        "min_schedule_interval": 2.0,
        "max_schedule_interval": 30.0,
    }
    startup = ("fed_server.json", "server.crt", "server.key", "rootCA.pem")
    files = {
        **_server_policy(resources),
        "log_config.json": _plain_console(_read(local / "log_config.json.default")),
    }
    _install(assembled, kit, startup, files)


def renew_server_policy(kit: Path) -> bool:
    """Bring the server's policy in place up to that of this image; whether anything had to change."""
    return _renewed(kit, _server_policy(_read(kit / "local" / "resources.json")))


def _server_policy(resources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Which classes a job may name, and that it brings no code (`byoc`)."""
    return {
        "resources.json": {**resources, "class_allow_list": list(CLASSES)},
        "authorization.json": _read(_POLICY / "centre_authorization.json"),
    }


def _install(
    assembled: Path, kit: Path, startup: tuple[str, ...], local: Mapping[str, dict[str, Any]]
) -> None:
    empty(kit)
    for name in startup:
        mode = 0o600 if name.endswith(".key") else 0o644
        write_bytes(kit / "startup" / name, (assembled / "startup" / name).read_bytes(), mode)
    _write(kit, local)
    shutil.rmtree(assembled)


def _write(kit: Path, local: Mapping[str, dict[str, Any]]) -> None:
    for name, content in local.items():
        write_bytes(kit / "local" / name, (json.dumps(content, indent=1) + "\n").encode(), 0o644)


def _plain_console(log_config: dict[str, Any]) -> dict[str, Any]:
    """Without colours: the console is journald's."""
    log_config["handlers"]["consoleHandler"]["formatter"] = "baseFormatter"
    return log_config


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))
