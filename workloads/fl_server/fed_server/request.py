"""What a job is asked to do: read from its job.yaml and the command line, handed to its `build` function.

A job folder is `job.yaml` and a Python package next to it; docs/jobs.md shows one from end to end.
"""

import hashlib
import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fed_server.combining import METHODS

_KEYS = {
    *("name", "title", "purpose", "build", "minimum_sites", "rounds", "parameters", "needs", "gates"),
    *("aggregation", "data", "metrics", "histograms"),
}
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
LONGEST_PURPOSE = 500
_TYPES: Mapping[str, type] = {"int": int, "float": float, "text": str}


class JobError(ValueError):
    """A job that cannot be built as it is: the message says what to change."""


@dataclass(frozen=True)
class JobDescription:
    """A job.yaml, checked."""

    folder: Path
    name: str
    title: str
    build: str
    """`package.module:function`, relative to the folder."""
    minimum_sites: int
    rounds: int
    """Rounds when nobody says how many; 0 for a job without rounds."""
    parameters: Mapping[str, Mapping[str, Any]]
    """Name -> {type: int|float|text, default, minimum?, maximum?}."""
    needs: Mapping[str, str]
    """Input name -> `<job>/<file of its results/global>`: taken from the newest finished run of that job."""
    gates: Sequence[Mapping[str, Any]]
    aggregation: str
    """How updates become one: a name of combining.METHODS."""
    purpose: str
    """Why hospitals should run it, in words for their officers."""
    data: Mapping[str, Sequence[str]]
    """File of a hospital's -> columns of it that the job reads."""
    metrics: Sequence[str]
    """Names of the metrics that hospitals send; no other leaves."""
    histograms: Sequence[str]
    """Names of the histograms that hospitals send."""

    @classmethod
    def read(cls, folder: Path) -> "JobDescription":
        """Read `folder/job.yaml`. Raises JobError naming the key that is wrong."""
        try:
            content = yaml.safe_load((folder / "job.yaml").read_text())
        except (OSError, yaml.YAMLError) as error:
            raise JobError(f"{folder.name}/job.yaml cannot be read: {error}") from error
        if not isinstance(content, dict):
            raise JobError(f"{folder.name}/job.yaml: expected keys, found {type(content).__name__}")
        if unknown := sorted(set(content) - _KEYS):
            raise JobError(
                f"{folder.name}/job.yaml: unknown key {unknown[0]!r}; known: {', '.join(sorted(_KEYS))}"
            )
        description = cls(
            folder=folder,
            name=str(content.get("name", "")),
            title=str(content.get("title", "")),
            build=str(content.get("build", "")),
            minimum_sites=content.get("minimum_sites", 2),
            rounds=content.get("rounds", 0),
            parameters=content.get("parameters") or {},
            needs=content.get("needs") or {},
            gates=content.get("gates") or [],
            aggregation=str(content.get("aggregation", "weighted-mean")),
            purpose=" ".join(str(content.get("purpose") or "").split()),
            data=content.get("data") or {},
            metrics=content.get("metrics") or [],
            histograms=content.get("histograms") or [],
        )
        description._check()
        return description

    def _check(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise JobError(
                f"{self.folder.name}/job.yaml: name is {self.name!r}, expected lower case, digits, '-'"
            )
        if self.build.count(":") != 1:
            raise JobError(f"{self.name}: build is {self.build!r}, expected 'package.module:function'")
        if not isinstance(self.minimum_sites, int) or self.minimum_sites < 1:
            raise JobError(f"{self.name}: minimum_sites is {self.minimum_sites!r}, expected 1 or more")
        if not isinstance(self.rounds, int) or self.rounds < 0:
            raise JobError(f"{self.name}: rounds is {self.rounds!r}, expected 0 (no rounds) or more")
        if self.aggregation not in METHODS:
            known = ", ".join(METHODS)
            raise JobError(f"{self.name}: aggregation is {self.aggregation!r}, expected one of {known}")
        for parameter, rule in self.parameters.items():
            if not isinstance(rule, dict) or rule.get("type") not in _TYPES or "default" not in rule:
                raise JobError(
                    f"{self.name}: parameter {parameter!r} needs 'type' ({', '.join(_TYPES)}) and 'default'"
                )
        self._check_manifest()

    def _check_manifest(self) -> None:
        """What hospitals are asked with."""
        if not 0 < len(self.purpose) <= LONGEST_PURPOSE:
            raise JobError(
                f"{self.name}: purpose is missing or longer than {LONGEST_PURPOSE} characters: hospitals read"
                " it before they let the job run. Fix: say in job.yaml what the job is for, in a sentence"
            )
        lists: dict[str, Any] = {"metrics": self.metrics, "histograms": self.histograms}
        if not isinstance(self.data, dict):
            raise JobError(f"{self.name}: data is {self.data!r}, expected file: [columns]")
        lists |= {f"data of {file}": columns for file, columns in self.data.items()}
        for key, names in lists.items():
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise JobError(f"{self.name}: {key} is {names!r}, expected a list of names")

    def parse(self, given: Mapping[str, str]) -> dict[str, int | float | str]:
        """Parameter values: defaults, replaced by those given as text. Raises JobError."""
        if unknown := sorted(set(given) - set(self.parameters)):
            known = ", ".join(sorted(self.parameters)) or "none"
            raise JobError(f"{self.name} has no parameter {unknown[0]!r}; it has: {known}")
        return {
            name: self._value(name, rule, given.get(name, rule["default"]))
            for name, rule in self.parameters.items()
        }

    def _value(self, name: str, rule: Mapping[str, Any], given: Any) -> int | float | str:
        try:
            value: int | float | str = _TYPES[rule["type"]](given)
        except ValueError as error:
            raise JobError(f"{self.name}: {name}={given!r} is not of type {rule['type']}") from error
        if not isinstance(value, str):
            if "minimum" in rule and value < rule["minimum"]:
                raise JobError(f"{self.name}: {name}={value} is below its minimum {rule['minimum']}")
            if "maximum" in rule and value > rule["maximum"]:
                raise JobError(f"{self.name}: {name}={value} is above its maximum {rule['maximum']}")
        return value


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What `build(request)` gets, and what the tracker needs to know later."""

    description: JobDescription
    rounds: int
    first_round: int = 0
    """The round to start with; more than 0 when a failed job is resumed."""
    parameters: Mapping[str, int | float | str] = field(default_factory=dict)
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """Input name -> file, for each of the description's `needs`."""
    input_jobs: Mapping[str, str] = field(default_factory=dict)
    """Input name -> id of the job whose result it is."""
    checkpoint: Path | None = None
    """The model to start from; None for a fresh one."""
    resumed_from: str | None = None

    @property
    def name(self) -> str:
        """The job's name."""
        return self.description.name

    @property
    def rounds_left(self) -> int:
        """Rounds still to run."""
        return self.rounds - self.first_round

    def for_tracker(self) -> dict[str, Any]:
        """The part that travels with the job, as plain JSON values."""
        return {
            "job": self.name,
            "rounds": self.rounds,
            "first_round": self.first_round,
            "parameters": dict(self.parameters),
            "input_jobs": dict(self.input_jobs),
            "resumed_from": self.resumed_from or "",
            "gates": [dict(gate) for gate in self.description.gates],
            "provenance": provenance(self.description.folder),
        }


def find_inputs(
    description: JobDescription, jobs: Path, finished: Mapping[str, str]
) -> tuple[dict[str, Path], dict[str, str]]:
    """Files of the description's `needs` and the jobs they are from.

    `finished` maps a job's name to its newest run that did finish, as the container server knows it: what a
    job says of itself is no proof. Raises JobError where there is none, or it left no such file.
    """
    files, sources = {}, {}
    for name, need in description.needs.items():
        job, _, file = need.partition("/")
        source = finished.get(job, "")
        path = jobs / source / "results" / "global" / file
        if not source or not path.is_file() or path.is_symlink():
            raise JobError(f"{description.name} needs {file} of a finished job {job!r}: submit {job!r} first")
        files[name], sources[name] = path, source
    return files, sources


def provenance(folder: Path) -> dict[str, str]:
    """What made this run: code by checksum, image by digest, versions."""
    return {
        "job_checksum": checksum(folder),
        "git_revision": os.environ.get("FED_REVISION", "unknown"),
        "image": os.environ.get("FED_IMAGE", "unknown"),
        "environment": os.environ.get("FED_ENVIRONMENT", "unknown"),
        "python": platform.python_version(),
        "nvflare": importlib.metadata.version("nvflare"),
        "numpy": importlib.metadata.version("numpy"),
    }


def checksum(folder: Path) -> str:
    """SHA-256 over the names and contents of a job folder's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
