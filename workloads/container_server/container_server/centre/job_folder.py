"""A job's folder as it came: `job.yaml`, checked, and its other files. Nothing of it is imported or executed.

The form of job.yaml is schemas/job.schema.json; what a schema cannot say is checked here. Each mistake is one
JobRefusedError that names the key.
"""

import hashlib
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, final

import yaml
from fed_data.catalogue import Catalogue
from fed_site.manifest import BASE

from container_server.errors import ContainerServerError, RefusedInputError
from container_server.messages import checked

FILE = "job.yaml"
LARGEST_YAML = 256 * 1024
LARGEST = 64 * 1024 * 1024
"""Bytes of all files of a job together."""
MOST_FILES = 200
MOST_ROUNDS = 1000
"""A day of rounds of a minute and a half: more is a slip of the finger."""
ROUNDS = "rounds"
"""What a placeholder `{rounds}` stands for; no parameter has this name."""
Value = int | float | str
_TYPES: Mapping[str, type[Value]] = {"int": int, "float": float, "text": str}


class JobRefusedError(ContainerServerError):
    """A job that cannot be run as asked."""


@final
@dataclass(frozen=True, kw_only=True)
class JobFolder:
    """One job. `content` is that of job.yaml, as its schema says, with defaults filled in."""

    content: Mapping[str, Any]
    files: Mapping[str, bytes]
    """Path below the folder -> content."""

    @classmethod
    def read(cls, folder: Path) -> "JobFolder":
        """Raises JobRefusedError naming what is wrong."""
        files = _files(folder)
        content = _content(folder.name, files.get(FILE))
        found = cls(content={**_DEFAULTS, **content}, files=files)
        if found.name != folder.name:
            raise JobRefusedError(f"{folder.name}/{FILE}: name is {found.name!r}, expected its folder's name")
        found._check()
        return found

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self.content["name"])

    @property
    def workflow(self) -> str:
        """How the server leads the rounds."""
        return str(self.content["workflow"])

    @property
    def rounds(self) -> int:
        """Rounds when nobody says how many; 0 for a job without rounds."""
        return int(self.content["rounds"])

    @property
    def checksum(self) -> str:
        """SHA-256 over the names and contents of the folder's files."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            digest.update(f"{name}\0".encode())
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()

    def needed_files(self) -> list[str]:
        """Those of the folder that job.yaml names."""
        script, predictor = self.content["script"] or {}, self.content["predictor"] or {}
        named = [part.get("path") for part in (script, predictor)] + [self.content["model"].get("file")]
        also = [*script.get("files", ()), *predictor.get("files", ())]
        return [name for name in (*named, *also) if name]

    def data_sets(self) -> dict[str, dict[str, str]]:
        """File that the job reads and that is of a data set of this release -> which one."""
        known = {file: _data_sets().of(file) for file in self.content["data"]}
        return {
            file: {"name": one.name, "version": one.version, "sha256": one.sha256}
            for file, one in known.items()
            if one
        }

    def parse(self, given: Mapping[str, str]) -> dict[str, Value]:
        """Parameter values: defaults, replaced by those given as text. Raises JobRefusedError."""
        rules: Mapping[str, Mapping[str, Any]] = self.content["parameters"]
        if unknown := sorted(set(given) - set(rules)):
            known = ", ".join(sorted(rules)) or "none"
            raise JobRefusedError(f"{self.name} has no parameter {unknown[0]!r}; it has: {known}")
        return {
            name: self._value(name, rule, given.get(name, rule["default"])) for name, rule in rules.items()
        }

    def _value(self, name: str, rule: Mapping[str, Any], given: Any) -> Value:
        try:
            value = _TYPES[rule["type"]](given)
        except ValueError as error:
            raise JobRefusedError(f"{self.name}: {name}={given!r} is not of type {rule['type']}") from error
        if not isinstance(value, str):
            if not math.isfinite(value):
                raise JobRefusedError(f"{self.name}: {name}={value} is not finite")
            if "minimum" in rule and value < rule["minimum"]:
                raise JobRefusedError(f"{self.name}: {name}={value} is below its minimum {rule['minimum']}")
            if "maximum" in rule and value > rule["maximum"]:
                raise JobRefusedError(f"{self.name}: {name}={value} is above its maximum {rule['maximum']}")
        return value

    def _check(self) -> None:
        for problem in (self._parts(), self._numbers(), self._names(), self._columns(), self._predicts()):
            if problem:
                raise JobRefusedError(f"{self.name}/{FILE}: {problem}")

    def _parts(self) -> str | None:
        """What a workflow has to have, and what it cannot have."""
        needs = ("statistics",) if self.workflow == "statistics" else ("model", "script", "rounds")
        spare = {"statistics", "model", "script", "rounds", "measuring_round"} - set(needs)
        spare -= set() if self.workflow == "statistics" else {"measuring_round"}
        if missing := [key for key in needs if not self.content[key]]:
            return f"{missing[0]} is missing: the workflow {self.workflow} needs it"
        if given := sorted(key for key in spare if self.content[key]):
            return f"{given[0]} has no meaning in the workflow {self.workflow}"
        if self.content["measuring_round"] and self.workflow != "averaging":
            return f"measuring_round has no meaning in the workflow {self.workflow}"
        model = self.content["model"]
        if model and len({"arrays", "file"} & set(model)) != 1:
            return "model has to have arrays (name: shape) or a file to start from, one of the two"
        return None

    def _numbers(self) -> str | None:
        method = self.content["aggregation"]
        bounded = self.workflow in ("sum", "cyclic") and "longest" in self.content
        for key, of in (("mu", "fedprox"), ("longest", "norm-bounded")):
            if (key in self.content) != (method == of) and not (bounded and key == "longest"):
                return f"aggregation {of} and the number {key} go together"
        for gate in self.content["gates"]:
            if len({"at_least", "at_most"} & set(gate)) != 1:
                return f"the gate on {gate['metric']} has to have one of at_least and at_most"
        return None

    def _names(self) -> str | None:
        """Whether each name stands for something, and for one thing."""
        content, script, report = (self.content, *(self.content[key] or {} for key in ("script", "report")))
        columns = {column for named in content["data"].values() for column in named}
        sides = {report[key] for key in ("negative", "positive") if key in report}
        needed = {*content["needed_metrics"], *_metrics_of(report)}
        for names, words in (
            (set(self.needed_files()) - set(self.files), "is not in the job's folder"),
            ({ROUNDS} & set(content["parameters"]), "is no name for a parameter"),
            (
                set(script.get("settings", ())) & set(content["needs"]),
                "is in needs and in the script's settings",
            ),
            (needed - set(content["metrics"]), "is needed, and not among the metrics that leave"),
            (
                sides - set(content["histograms"]),
                "is a histogram of the report, and not among those that leave",
            ),
            (self._counted() - columns, "is counted, and data does not name it"),
        ):
            if names:
                return f"{min(names)} {words}"
        return None

    def _columns(self) -> str | None:
        """Whether a data set of this release has the columns; of any other file nobody here knows."""
        for file, columns in self.content["data"].items():
            data_set = _data_sets().of(file) if file.endswith(".csv") else None
            if data_set and (strange := sorted(set(columns) - set(data_set.by_name))):
                return f"{file} has no column {strange[0]}. Fix: ./fed dataset show {data_set.name}"
        return None

    def _counted(self) -> set[str]:
        """The columns that a statistics job describes."""
        said = self.content["statistics"] or {"features": {}}
        return {name.partition("=")[0] for name in said["features"]} | set(said.get("missing", ()))

    def _predicts(self) -> str | None:
        predictor = self.content["predictor"]
        if predictor and set(predictor["inputs"]) != set(predictor["example"]):
            return "the predictor's example has to have a number for each of its inputs, and no other"
        return None


@cache
def _data_sets() -> Catalogue:
    return Catalogue.released()


_DEFAULTS: Mapping[str, Any] = {
    "title": "",
    "study": "",
    "memory_mb": 0,
    "minimum_sites": 2,
    "rounds": 0,
    "parameters": {},
    "needs": {},
    "data": {},
    "box": BASE,
    "workflow": "averaging",
    "aggregation": "weighted-mean",
    "measuring_round": False,
    "model": {},
    "script": None,
    "statistics": None,
    "metrics": [],
    "needed_metrics": [],
    "histograms": {},
    "report": None,
    "gates": [],
    "predictor": None,
}


def _metrics_of(report: Any) -> Sequence[str]:
    """The metrics without which a report cannot be made."""
    return ("n_test", "n_train") if report else ()


def _files(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    room = LARGEST
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or "__pycache__" in path.parts:
            continue
        room -= path.stat().st_size
        if room < 0 or len(found) == MOST_FILES:
            raise JobRefusedError(f"{folder.name} has more than {MOST_FILES} files or {LARGEST} bytes")
        found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def _content(name: str, text: bytes | None) -> dict[str, Any]:
    if text is None:
        raise JobRefusedError(f"{name} has no {FILE}: see docs/jobs.md")
    try:
        if len(text) > LARGEST_YAML:
            raise ValueError(f"it is larger than {LARGEST_YAML} bytes")
        content = yaml.load(text, Loader=_Plain)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise JobRefusedError(f"{name}/{FILE} cannot be read: {str(error)[:300]}") from error
    if isinstance(content, dict) and isinstance(content.get("purpose"), str):
        content["purpose"] = " ".join(content["purpose"].split())
    try:
        return checked("job", content)
    except RefusedInputError as error:
        raise JobRefusedError(f"{name}/{FILE}: {str(error).removeprefix('job: ')}") from error


class _Plain(yaml.SafeLoader):
    """Tables, lists, texts and finite numbers: no tags, no dates, and no aliases, which grow without end."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("aliases (*name) are not taken")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        table = super().construct_mapping(node, deep=deep)
        if len(table) != len(node.value):
            raise ValueError(f"a key is there twice, below line {node.start_mark.line + 1}")
        if other := [key for key in table if not isinstance(key, str)]:
            raise ValueError(f"the key {other[0]!r} is no text: put it into quotes")
        return table


def _finite(loader: _Plain, node: yaml.ScalarNode) -> float:
    value = yaml.SafeLoader.construct_yaml_float(loader, node)
    if not math.isfinite(value):
        raise ValueError(f"{node.value} is no finite number, in line {node.start_mark.line + 1}")
    return value


_Plain.add_constructor("tag:yaml.org,2002:float", _finite)
