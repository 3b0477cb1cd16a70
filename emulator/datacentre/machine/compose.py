"""Reads the compose file of a VM: the part of the Compose specification that the platform uses.

https://github.com/compose-spec/compose-spec/blob/main/spec.md. A key that is not understood is refused with
its name, because leaving it out would run something else than Docker would.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from emulator.datacentre.errors import DatacentreError

_IGNORED = frozenset(
    {"init", "memswap_limit", "cpus", "devices", "cpu_shares", "security_opt", "labels", "logging",
     "ulimits", "stop_signal", "stop_grace_period", "pull_policy", "platform", "hostname", "ports", "expose"}
)  # fmt: skip
"""Keys without an effect here: every container has an init and no new privileges; there are no cgroups."""
_UNDERSTOOD = frozenset(
    {"image", "container_name", "network_mode", "networks", "profiles", "restart", "read_only", "cap_drop",
     "cap_add", "group_add", "tmpfs", "environment", "extra_hosts", "dns", "volumes", "command", "entrypoint",
     "healthcheck", "user", "working_dir", "depends_on", "pids_limit", "shm_size", "mem_limit"}
)  # fmt: skip
SHARED_MEMORY = "/dev/shm"  # noqa: S108 in a container
RESTARTS = ("no", "always", "on-failure", "unless-stopped")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder or file of the VM, seen at `target` in a container."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A command that says whether a container is well; times in seconds, with Docker's own defaults.

    Without a command the container has no check, whatever its image says.
    """

    command: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    retries: int = 3
    start_period: float = 0.0
    start_interval: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A bridge network: the name of its interface in the VM and its address range."""

    bridge: str
    subnet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service, that is one container. `network` is None on the VM's own network; one that is `alone` has
    no network at all.

    `managed` services (those with a profile) are created and not started. `tmpfs` are places and their mount
    options. `processes` limits those of a user that no other service has. `memory` (bytes) and `nano_cpus`
    are known and have no effect.
    """

    name: str
    image: str
    network: Network | None
    managed: bool
    restart: str
    environment: Mapping[str, str]
    volumes: tuple[Volume, ...]
    tmpfs: tuple[tuple[str, str], ...]
    read_only: bool
    groups: tuple[int, ...]
    hosts: tuple[tuple[str, str], ...]
    dns: tuple[str, ...]
    user: str | None
    working_dir: str | None
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    healthcheck: HealthCheck | None
    alone: bool = False
    processes: int | None = None
    memory: int = 0
    nano_cpus: int = 0


def read(text: str, variables: Mapping[str, str] | None = None) -> tuple[Service, ...]:
    """Read a compose file; `variables` are those of its env file. Raises DatacentreError that names service
    and key, or a variable without a value.
    """
    try:
        content = yaml.safe_load(_filled(text, variables or {}))
    except yaml.YAMLError as wrong:
        raise DatacentreError(f"the compose file is not YAML: {wrong}.") from wrong
    if not isinstance(content, dict) or not isinstance(content.get("services"), dict):
        raise DatacentreError("the compose file has no services.")
    networks = {name: _network(name, value or {}) for name, value in (content.get("networks") or {}).items()}
    return tuple(_service(name, value or {}, networks) for name, value in content["services"].items())


def _filled(text: str, variables: Mapping[str, str]) -> str:
    """Interpolate ``${NAME}``; of the syntax's other forms the platform uses none."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in variables:
            raise DatacentreError(f"the compose file's variable {found[1]} has no value.")
        return variables[found[1]]

    return re.sub(r"\$\{([A-Z0-9_]+)\}", value, text)


def seconds(text: str | int | float) -> float:
    """Return a Compose or Dockerfile duration (``1m30s``, ``10s``, ``500ms``) in seconds."""
    if isinstance(text, (int, float)):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smh])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise DatacentreError(f"{text!r} is not a duration such as 1m30s.")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)([kmg]?)b?", text.lower())
    if found is None:
        raise DatacentreError(f"{text!r} is not a size such as 256m.")
    number, unit = found.groups()
    power: int = " kmg".index(unit or " ")
    return int(number) * int(1024**power)


def _network(name: str, value: dict[str, Any]) -> Network:
    options, ranges = value.get("driver_opts") or {}, (value.get("ipam") or {}).get("config") or []
    bridge = options.get("com.docker.network.bridge.name")
    if not bridge or len(ranges) != 1 or "subnet" not in ranges[0]:
        raise DatacentreError(f"network {name} needs com.docker.network.bridge.name and one ipam subnet.")
    return Network(bridge=str(bridge), subnet=str(ranges[0]["subnet"]))


def _service(name: str, value: dict[str, Any], networks: Mapping[str, Network]) -> Service:
    if unknown := sorted(set(value) - _UNDERSTOOD - _IGNORED):
        raise DatacentreError(f"service {name}: the emulator does not understand {', '.join(unknown)}.")
    if value.get("cap_add"):
        raise DatacentreError(f"service {name}: cap_add: containers have no capabilities here.")
    restart = str(value.get("restart", "no")).partition(":")[0]
    if restart not in RESTARTS:
        raise DatacentreError(f"service {name}: restart {restart!r} is none of {', '.join(RESTARTS)}.")
    return Service(
        name=str(value.get("container_name", name)),
        image=str(_needed(name, value, "image")),
        network=_place(name, value, networks),
        managed=bool(value.get("profiles")),
        restart=restart,
        environment=_environment(value.get("environment") or {}),
        volumes=tuple(_volume(name, one) for one in value.get("volumes") or []),
        tmpfs=_tmpfs(value),
        read_only=bool(value.get("read_only", False)),
        groups=tuple(int(group) for group in value.get("group_add") or []),
        hosts=tuple(_host(name, one) for one in value.get("extra_hosts") or []),
        dns=tuple(str(one) for one in _list(value.get("dns"))),
        user=str(value["user"]) if "user" in value else None,
        working_dir=value.get("working_dir"),
        entrypoint=_words(value.get("entrypoint")),
        command=_words(value.get("command")),
        healthcheck=_healthcheck(value.get("healthcheck")),
        alone=value.get("network_mode") == "none",
        processes=int(value["pids_limit"]) if "user" in value and "pids_limit" in value else None,
        memory=_bytes(str(value.get("mem_limit", 0))),
    )


def _needed(name: str, value: dict[str, Any], key: str) -> Any:
    if not value.get(key):
        raise DatacentreError(f"service {name} has no {key}.")
    return value[key]


def _place(name: str, value: dict[str, Any], networks: Mapping[str, Network]) -> Network | None:
    if value.get("network_mode") in ("host", "none"):
        return None
    wanted = list(value.get("networks") or [])
    if "network_mode" in value or len(wanted) != 1 or wanted[0] not in networks:
        raise DatacentreError(
            f"service {name} needs network_mode host or none, or exactly one network of the file."
        )
    return networks[wanted[0]]


def _tmpfs(value: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    places = [str(one).partition(":") for one in _list(value.get("tmpfs"))]
    shared = [(SHARED_MEMORY, f"size={value['shm_size']}")] if "shm_size" in value else []
    return (*((place, options) for place, _, options in places), *shared)


def _environment(value: dict[str, Any] | list[str]) -> dict[str, str]:
    if isinstance(value, list):
        return dict(str(one).split("=", 1) for one in value)
    return {str(key): "" if one is None else str(one) for key, one in value.items()}


def _volume(name: str, value: dict[str, Any] | str) -> Volume:
    if isinstance(value, str):
        source, target, *mode = value.split(":")
        return Volume(source, target, read_only="ro" in mode)
    if value.get("type", "bind") != "bind":
        raise DatacentreError(f"service {name}: a volume of type {value.get('type')!r} is not understood.")
    return Volume(str(value["source"]), str(value["target"]), bool(value.get("read_only", False)))


def _host(name: str, value: str) -> tuple[str, str]:
    host, separator, address = str(value).replace("=", ":", 1).partition(":")
    if not separator:
        raise DatacentreError(f"service {name}: extra_hosts {value!r} is not NAME:ADDRESS.")
    return host, address


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _words(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(shlex.split(value)) if isinstance(value, str) else tuple(str(word) for word in value)


def _healthcheck(value: dict[str, Any] | None) -> HealthCheck | None:
    if value is None:
        return None
    if value.get("disable"):
        return HealthCheck(command=())
    test = value.get("test")
    command = ["CMD-SHELL", test] if isinstance(test, str) else [str(word) for word in test or []]
    return HealthCheck(
        command=("/bin/sh", "-c", *command[1:]) if command[:1] == ["CMD-SHELL"] else tuple(command[1:]),
        interval=seconds(value.get("interval", 30)),
        timeout=seconds(value.get("timeout", 30)),
        retries=int(value.get("retries", 3)),
        start_period=seconds(value.get("start_period", 0)),
        start_interval=seconds(value.get("start_interval", 5)),
    )
