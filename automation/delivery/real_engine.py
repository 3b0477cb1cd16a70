"""Builds the images with Docker and runs one VM's compose file with it, where there is nothing of Azure.

The emulator runs the same files as processes; only a real engine says whether the Dockerfiles build, how
large the images are, and whether their programs bear what the compose file demands: another user than root,
a read-only root, no capability. Without Azure a container can do little, so this checks that each says what
it lacks instead of crashing (and that MLflow, which needs nothing, serves).
"""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from automation.delivery.promotion import build
from automation.ui.outcome import FedError, RefusedError
from components.boot import BootPlan, cloud_config, variable
from components.boot.plan import ROLE_IMAGES

Role = Literal["centre", "hospital"]

PROJECT = "fed-try"
DISK = "/var/lib/fed"
PATIENCE_SECONDS = 120.0
SETTLED_SECONDS = 10.0
"""A service that still runs after so long does not crash for what it lacks."""
NO_KIT = 78
"""What a client or server without startup kit ends with (EX_CONFIG)."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One container: its image's size in bytes as it is on disk, and how it did."""

    name: str
    size: int
    result: str


@dataclass(frozen=True)
class _Expected:
    """`healthy`, `running`, or the exit code that it ends with; and what its log must say."""

    end: str | int
    says: str


_EXPECTED: Mapping[str, _Expected] = {
    "mlflow": _Expected("healthy", "Uvicorn running"),
    "container-server": _Expected("running", '"event": "container server"'),
    "fl-server": _Expected(NO_KIT, "no usable startup kit"),
    "fl-client": _Expected(NO_KIT, "no usable startup kit"),
}
_LOOK = "id -u; grep CapEff /proc/self/status; touch /x 2>/dev/null && echo writable || echo read-only"
_SEEN = ["10001", "CapEff:\t0000000000000000", "read-only"]
BOX = "fl-box"
"""Where a job's code runs. It has no image of its own, and nobody to speak to here."""
_LOOK_IN_BOX = f"{_LOOK}; ls /sys/class/net; ls /"
_NOT_IN_BOX = {"kit", "answers"}


def run(role: Role) -> list[Tried]:
    """Build a role's images and run its compose file; return how each container did.

    Raises FedError when Docker is missing or fails, RefusedError when a container does not do as it should.
    """
    images = sorted(ROLE_IMAGES[role])
    for name in images:
        build(name)
    folder = Path(tempfile.mkdtemp(prefix="fed-try-"))
    try:
        compose = _compose_file(role, folder)
        try:
            _docker(*compose, "--profile", "managed", "create")
            _docker(*compose, "up", "--detach", "--no-recreate")
            tried = [_try(name) for name in images]
            if role == "hospital":
                _try_box()
            return tried
        finally:
            _docker(*compose, "--profile", "managed", "down", "--timeout", "1")
    finally:
        _remove(folder, images[0])


def custom_data(role: Role) -> str:
    """Return what a VM of this role would boot from, with names of an Azure that is not there."""
    hospital = role == "hospital"
    return cloud_config(
        BootPlan(
            party="basel" if hospital else "centre",
            role=role,
            environment="dev",
            fl_host="fl.federation.internal",
            fl_address="127.0.0.1",
            fl_port=8002,
            identity_client_id="00000000-0000-4000-8000-000000000000",
            hub_storage_url="https://stfednowhere.blob.core.windows.net",
            own_storage_url="https://stfedbasel.blob.core.windows.net" if hospital else None,
            registry="local",
        )
    )


def compose_text(role: Role, disk: Path) -> str:
    """Return the VM's own compose file, with the images built here and another folder for its data disk."""
    files = yaml.safe_load(custom_data(role))["write_files"]
    text = str(next(file["content"] for file in files if file["path"] == "/opt/fed/compose.yaml"))
    for name in ROLE_IMAGES[role]:
        text = text.replace(f"@${{{variable(name)}}}", "")
    return text.replace(f"source: {DISK}", f"source: {disk}")


def _compose_file(role: Role, folder: Path) -> list[str]:
    text = compose_text(role, folder / "disk")
    for service in yaml.safe_load(text)["services"].values():
        for volume in service["volumes"]:
            place = Path(volume["source"])
            if place.is_relative_to(folder):
                place.mkdir(parents=True, exist_ok=True)
                place.chmod(0o777)  # on a VM a unit gives it to the containers' user, which takes root
    (folder / "disk").chmod(0o755)
    folder.chmod(0o755)
    (folder / "compose.yaml").write_text(text)
    return ["compose", "--project-name", PROJECT, "--file", str(folder / "compose.yaml")]


def _try(name: str) -> Tried:
    expected = _EXPECTED[name]
    if expected.end == NO_KIT:
        _docker("start", name)
    _await(name, expected)
    if expected.end == "running":
        time.sleep(SETTLED_SECONDS)
        _await(name, expected)
    if isinstance(expected.end, str):
        seen = _docker("exec", name, "sh", "-c", _LOOK).splitlines()
        if seen != _SEEN:
            raise RefusedError(f"{name} should run as {_SEEN}, but {_LOOK!r} says {seen}")
    size = int(_docker("image", "inspect", "--format", "{{.Size}}", f"local/{name}"))
    ended = f"ended with {NO_KIT}" if expected.end == NO_KIT else expected.end
    return Tried(name=name, size=size, result=f"{ended}: {expected.says}")


def _try_box() -> None:
    """Look at what a job sees in its box: a loopback that is down, no right, nothing of the client's."""
    _docker("start", BOX)
    user, *seen = _docker("exec", BOX, "sh", "-c", _LOOK_IN_BOX).splitlines()
    expected = [*_SEEN[1:], "lo"]
    if user in ("0", _SEEN[0]) or seen[: len(expected)] != expected or _NOT_IN_BOX & set(seen):
        raise RefusedError(
            f"{BOX} should see {expected} as a user of its own, but it is {user} and sees {seen}"
        )


def _await(name: str, expected: _Expected) -> None:
    """Wait until a container is as it should be and says so; raise RefusedError with its log otherwise."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        container: dict[str, Any] = json.loads(_docker("inspect", name))[0]
        log = _docker("logs", "--tail", "200", name)
        if expected.says in log and _reached(container, expected.end):
            return
        if time.monotonic() > deadline:
            raise RefusedError(
                f"{name} should be {expected.end} and say {expected.says!r}; "
                f"it is {container['State']['Status']} and says:\n{log[-3000:]}"
            )
        time.sleep(1)


def _reached(container: Mapping[str, Any], end: str | int) -> bool:
    state = container["State"]
    if end == "healthy":
        return bool((state.get("Health") or {}).get("Status") == "healthy")
    if end == "running":
        return bool(state["Status"] == "running" and not container["RestartCount"])
    return bool(state["ExitCode"] == end)


def _remove(folder: Path, image: str) -> None:
    """Remove what containers wrote, too, as a user whom only the engine can be."""
    with suppress(FedError):
        _docker(
            "run", "--rm", "--user", "0:0", "--network", "none", "--volume", f"{folder}:/gone",
            "--entrypoint", "/bin/sh", f"local/{image}", "-c", "rm -rf /gone/disk",
        )  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)


def _docker(*arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 the user's own docker
            ["docker", *arguments],  # noqa: S607
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise FedError("there is no docker here, and this needs it") from None
    if done.returncode:
        raise FedError(f"docker {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout
