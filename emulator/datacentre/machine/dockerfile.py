"""Reads a Dockerfile, as far as the platform's images go; what it cannot imitate is refused by file and line.

Understood: several stages, FROM ARG ENV LABEL WORKDIR COPY USER VOLUME EXPOSE ENTRYPOINT CMD HEALTHCHECK, and
of RUN the making of a venv from pinned requirements and of users and folders.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.machine.compose import HealthCheck, seconds

VENV = "/opt/venv"
_INSTALL = re.compile(rf"(?:{VENV}/bin/)?(?:python3? -m )?(?:uv )?pip install\b(?P<rest>.*)")
_HARMLESS = re.compile(rf"(?:python3? -m venv|uv venv) {VENV}|groupadd\b.*|useradd\b.*|mkdir\b.*|chown\b.*")
_NOT_RUN = frozenset({"ARG", "ENV", "EXPOSE", "LABEL", "COMMENT", "VOLUME"})


@dataclass(frozen=True, slots=True)
class Copy:
    """A file or folder of the build context and where it is in the image (exactly, not below)."""

    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """What an image is. `requirements` is the file of the context that its venv is made from."""

    environment: Mapping[str, str]
    working_dir: str
    user: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    healthcheck: HealthCheck | None
    copies: tuple[Copy, ...]
    requirements: str | None


@dataclass(slots=True)
class _Stage:
    name: str
    working_dir: str = "/"
    user: str = "0"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    healthcheck: HealthCheck | None = None
    copies: list[Copy] = field(default_factory=list)
    requirements: str | None = None


def read(dockerfile: Path, context: Path, args: Mapping[str, str] | None = None) -> ImageConfig:
    """Read a Dockerfile with its build context. Raises DatacentreError that names file and line."""
    with dockerfile.open("rb") as stream:
        parser = DockerfileParser(fileobj=stream, env_replace=True, build_args=dict(args or {}))
        stages: list[_Stage] = []
        for instruction in parser.structure:
            _follow(instruction, stages, context, dockerfile)
        if not stages:
            raise DatacentreError(f"{dockerfile}: no FROM.")
        last = stages[-1]
        return ImageConfig(
            environment=dict(parser.envs),
            working_dir=last.working_dir,
            user=last.user,
            entrypoint=last.entrypoint,
            command=last.command,
            healthcheck=last.healthcheck,
            copies=tuple(last.copies),
            requirements=last.requirements,
        )


def _follow(instruction: dict[str, Any], stages: list[_Stage], context: Path, dockerfile: Path) -> None:
    name, value, line = instruction["instruction"], instruction["value"], instruction["startline"] + 1
    where = f"{dockerfile.name}:{line}"
    if name == "FROM":
        words = value.split()
        stages.append(_Stage(words[2] if len(words) == 3 else str(len(stages))))
        return
    if name in _NOT_RUN:
        return
    if not stages:
        raise DatacentreError(f"{where}: {name} before the first FROM.")
    stage = stages[-1]
    match name:
        case "WORKDIR":
            stage.working_dir = posixpath.join(stage.working_dir, value)
        case "USER":
            stage.user = value
        case "ENTRYPOINT":
            stage.entrypoint = _exec_form(value)
        case "CMD":
            stage.command = _exec_form(value)
        case "HEALTHCHECK":
            stage.healthcheck = _healthcheck(value)
        case "COPY":
            _copy(value, stage, stages, context, where)
        case "RUN":
            _run(value, stage, where)
        case _:
            raise DatacentreError(f"{where}: {name} is not emulated.")


def _exec_form(value: str) -> tuple[str, ...]:
    if value.strip().startswith("["):
        return tuple(str(word) for word in json.loads(value))
    return ("/bin/sh", "-c", value)


def _healthcheck(value: str) -> HealthCheck | None:
    if value.strip() == "NONE":
        return None
    options, _, command = value.partition("CMD ")
    given = dict(option.removeprefix("--").split("=", 1) for option in options.split())
    return HealthCheck(
        command=_exec_form(command),
        interval=seconds(given.get("interval", "30s")),
        timeout=seconds(given.get("timeout", "30s")),
        retries=int(given.get("retries", "3")),
        start_period=seconds(given.get("start-period", "0s")),
        start_interval=seconds(given.get("start-interval", "5s")),
    )


def _copy(value: str, stage: _Stage, stages: list[_Stage], context: Path, where: str) -> None:
    words = shlex.split(value)
    flags = [word for word in words if word.startswith("--")]
    *sources, target = [word for word in words if not word.startswith("--")]
    origin = next((flag.partition("=")[2] for flag in flags if flag.startswith("--from=")), None)
    if origin is not None:
        found = next((one for one in stages[:-1] if one.name == origin), None)
        if found is None or sources != [VENV] or target != VENV:
            raise DatacentreError(f"{where}: of another stage only {VENV} can be copied: {value}")
        stage.requirements = found.requirements
        return
    into = posixpath.normpath(posixpath.join(stage.working_dir, target))
    for source in sources:
        if not (context / source).exists():
            raise DatacentreError(f"{where}: {source} is not in the build context.")
        several = target.endswith("/") or target == "." or len(sources) > 1
        below = several and (context / source).is_file()
        stage.copies.append(Copy(source, posixpath.join(into, posixpath.basename(source)) if below else into))


def _run(value: str, stage: _Stage, where: str) -> None:
    for command in (part.strip() for part in value.split("&&")):
        install = _INSTALL.fullmatch(command)
        if install is None:
            if _HARMLESS.fullmatch(command) is None:
                raise DatacentreError(f"{where}: RUN is not emulated: {command}")
            continue
        words = shlex.split(install["rest"])
        files = [words[at + 1] for at, word in enumerate(words[:-1]) if word in {"-r", "--requirement"}]
        if len(files) != 1:
            raise DatacentreError(f"{where}: only pip install -r FILE is emulated: {command}")
        wanted = posixpath.normpath(posixpath.join(stage.working_dir, files[0]))
        source = next((one.source for one in stage.copies if one.target == wanted), None)
        if source is None:
            raise DatacentreError(f"{where}: {files[0]} was not copied into this stage.")
        stage.requirements = source
