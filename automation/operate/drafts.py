"""`fed jobs new`: the draft of a job around a training script, from what can be read in the script itself.

The script is parsed, never run. What cannot be read of it (the model's shapes, what the job is for) is left
to a person, by name.
"""

import ast
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import yaml

from automation.ui.outcome import QuestionError
from clone import paths
from workloads.data.fed_data.catalogue import Catalogue

LIBRARIES = {
    **dict.fromkeys(("torch", "torchvision", "tensorboard"), "torch"),
    **dict.fromkeys(("tensorflow", "keras"), "tensorflow"),
    **dict.fromkeys(("sklearn", "pandas", "polars", "xgboost", "lifelines", "matplotlib"), "tabular"),
}
"""Module -> the box that has it (workloads/boxes); torch's has scikit-learn and pandas, too."""
SCHEMA = paths.REPOSITORY / "workloads/container_server/container_server/schemas/job.schema.json"
NUMPY_KEY = "numpy_key"
"""What NVFlare's numpy recipes call their one array (NPConstants.NUMPY_KEY)."""


@final
@dataclass(kw_only=True)
class Read:
    """What was found in a script."""

    modules: set[str] = field(default_factory=set)
    metrics: set[str] = field(default_factory=set)
    arrays: set[str] = field(default_factory=set)
    arguments: dict[str, Any] = field(default_factory=dict)
    """Option -> its default; None where it has none."""
    texts: set[str] = field(default_factory=set)
    uses_client_api: bool = False


def new(name: str, script: Path, folder: Path) -> list[str]:
    """Write the draft; return what a person has to look at.

    Raises QuestionError for a name that cannot be one, a script that cannot be read, a folder that is there.
    """
    check_name(name)
    if folder.name != name:
        raise QuestionError(f"--to {folder}: the folder has to be called {name}, as the job")
    if folder.exists():
        raise QuestionError(f"{folder} is there already\nFix: another name, or --to FOLDER")
    found = read(script)
    companions = [path for path in sorted(script.parent.glob("*.py")) if path.stem in found.modules]
    folder.mkdir(parents=True)
    for path in (script, *companions):
        shutil.copyfile(path, folder / path.name)
    content = _content(name, script, companions, found)
    (folder / "job.yaml").write_text(_HEAD + yaml.safe_dump(content, sort_keys=False, width=100))
    return list(_remarks(found, content))


def check_name(name: str) -> None:
    """Raise QuestionError for what no job can be called."""
    if not re.fullmatch(form("name")["pattern"], name):
        raise QuestionError(
            f"{name!r} cannot be a job's name: lower case, digits, '-', at most 40 characters"
        )


def read(script: Path) -> Read:
    """Return what a script imports, sends and takes. Raises QuestionError."""
    try:
        tree = ast.parse(script.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise QuestionError(f"{script} cannot be read as Python: {error}") from error
    found = Read()
    for node in ast.walk(tree):
        _look(node, found)
    if not found.uses_client_api:
        raise QuestionError(
            f"{script} does not import nvflare.client: a box runs scripts of NVFlare's Client API\n"
            "Fix: docs/jobs.md, Write one; a script that trains alone needs flare.receive() and flare.send()"
        )
    return found


def form(*keys: str) -> Any:
    """Return what the schema of job.yaml says of a key below other keys."""
    found: Any = json.loads(SCHEMA.read_text())
    for key in keys:
        found = found["properties"][key]
    return found


def _frameworks() -> list[str]:
    """Those whose scripts have parameters in a form of their own; the boxes with them are called the same."""
    return list(form("script", "framework")["enum"])


def _look(node: ast.AST, found: Read) -> None:
    if isinstance(node, ast.Import):
        found.modules |= {alias.name.partition(".")[0] for alias in node.names}
        found.uses_client_api |= any(alias.name.startswith("nvflare.client") for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        found.modules.add((node.module or "").partition(".")[0])
        found.uses_client_api |= (node.module or "") in ("nvflare", "nvflare.client")
    elif isinstance(node, ast.Call):
        _called(node, found)
    elif text := _text(node):
        found.texts.add(text)


def _called(node: ast.Call, found: Read) -> None:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "FLModel":
        for keyword in node.keywords:
            names = {"metrics": found.metrics, "params": found.arrays}.get(keyword.arg or "")
            if names is not None:
                names.update(_keys(keyword.value))
    elif name == "add_argument" and (
        words := [word for word in map(_text, node.args) if word.startswith("--")]
    ):
        default = next((keyword.value for keyword in node.keywords if keyword.arg == "default"), None)
        flag = any(keyword.arg == "action" for keyword in node.keywords)
        if not flag:
            found.arguments[words[-1]] = default.value if isinstance(default, ast.Constant) else None


def _keys(value: ast.expr) -> Iterator[str]:
    for key in value.keys if isinstance(value, ast.Dict) else ():
        if isinstance(key, ast.Attribute) and key.attr == "NUMPY_KEY":
            yield NUMPY_KEY
        elif key is not None and _text(key):
            yield _text(key)


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _box(found: Read) -> str | None:
    boxes = {LIBRARIES[module] for module in found.modules if module in LIBRARIES}
    return next((box for box in (*_frameworks(), "tabular") if box in boxes), None)


def _content(name: str, script: Path, companions: list[Path], found: Read) -> dict[str, Any]:
    box = _box(found)
    arguments = [word for option, default in found.arguments.items() for word in _words(option, default)]
    return {
        "name": name,
        "title": name,
        "purpose": TODO,
        "rounds": 5,
        "data": _data(found),
        **({"box": box} if box else {}),
        "workflow": "averaging",
        "model": {"arrays": {array: [1] for array in sorted(found.arrays) or [NUMPY_KEY]}},
        "script": {
            "path": script.name,
            **({"files": [path.name for path in companions]} if companions else {}),
            **({"arguments": arguments} if arguments else {}),
            **({"framework": box} if box in _frameworks() else {}),
        },
        "metrics": sorted(found.metrics),
    }


def _data(found: Read) -> dict[str, list[str]]:
    """Return the files that the script names with the columns that it names; all there are where it names
    none.
    """
    known = list(Catalogue.released())
    named = [one for one in known if any(one.file in text for text in found.texts)] or known
    files = {one.file: [column.name for column in one.columns] for one in named}
    return {
        file: [column for column in columns if column in found.texts] or columns
        for file, columns in files.items()
    }


def _words(option: str, default: Any) -> list[Any]:
    if "data" in option or "path" in option:
        return [option, "/data"]
    return [] if default is None else [option, default]


TODO = "TODO: why hospitals should run it, in a sentence or two."
_HEAD = "# A draft: every line is for a person to look at. What each key means: docs/jobs.md.\n"


def _remarks(found: Read, content: dict[str, Any]) -> Iterator[str]:
    yield "purpose: write it; hospitals read it before they let the job run"
    yield "data: keep the files and columns that the script reads, and no others"
    yield "model: the shapes of its arrays, which start as zeros; or `file: start.npz` with other numbers"
    if not found.metrics:
        yield "metrics: none was found in the script; name those that may leave"
    if unset := [option for option, default in found.arguments.items() if default is None]:
        yield f"script.arguments: {', '.join(unset)} has no default in the script"
