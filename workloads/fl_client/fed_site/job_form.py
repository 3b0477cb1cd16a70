"""What a job may be made of when it arrives: an allow-list, closed by default. Pure, no NVFlare.

Of what a job says, NVFlare builds objects by the names of their classes, and does so in the process that has
the connection. So a job names executors of this platform and gives them plain values; its own code is in the
folder `code`, which no process of the client's imports: it goes into the box.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from fed_box.frameworks import FRAMEWORKS

from fed_site.job_code import CLIENT, SIGNATURES
from fed_site.manifest import FILE as MANIFEST
from fed_site.manifest import Manifest, UnreadableManifestError

BOX = "fed_site.box_executor.BoxExecutor"
STATISTICS = "fed_site.statistics.OwnStatisticsExecutor"
EXECUTORS: Mapping[str, frozenset[str]] = {
    BOX: frozenset({"script", "arguments", "settings"}),
    STATISTICS: frozenset({"data_set", "features", "indicators"}),
}
"""Class -> its arguments; all of them are given."""
FRAMEWORK = "framework"
"""Argument of BOX that may be left out: one of FRAMEWORKS."""
CODE = "code/"
SECONDS = ("get_task_timeout", "submit_task_result_timeout", "task_request_interval")
"""Numbers that the configuration may set for the client."""
_KEYS = {"format_version", "executors", "components", "task_data_filters", "task_result_filters", *SECONDS}
_EMPTY = ("components", "task_data_filters", "task_result_filters")
_TASK = re.compile(r"[a-z][a-z_]{0,39}")
_TEXT = re.compile(r"[^{}\x00-\x1f]{0,300}")
"""NVFlare fills in what is in braces."""
_BUILT = ("path", "class_path", "name", "args", "config_type")
"""Keys by which NVFlare takes a dictionary for an object to build."""
_SCRIPT = re.compile(r"(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+\.py")
_DEEPEST = 6
LARGEST_WHOLE = 2**53
"""JSON's whole numbers are exact up to here; a longer one, which no checksum counts, could be code."""
_PLAIN_META = ("launcher_spec", "resource_spec")


class JobFormError(ValueError):
    """A job that is made of something else; the text completes "does not take this job: "."""


def check(files: Mapping[str, bytes], meta: Mapping[str, Any]) -> None:
    """Raise JobFormError for anything but the allowed; `files` are those of the archive that arrived."""
    if given := [key for key in _PLAIN_META if meta.get(key)]:
        raise JobFormError(f"it asks for another way to be started ({given[0]})")
    for name in files:
        if not _allowed(name):
            raise JobFormError(
                f"it brings {_shown(name)}; code belongs into the folder code, which runs in a box"
            )
    _check_config(files)


def _allowed(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    signature = file in SIGNATURES and folder in ("", "config")
    return signature or name in (CLIENT, MANIFEST) or name.startswith(CODE)


def _check_config(files: Mapping[str, bytes]) -> None:
    if CLIENT not in files:
        raise JobFormError(f"it has no {CLIENT}")
    try:
        config = json.loads(files[CLIENT], object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise JobFormError(f"its configuration cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise JobFormError("its configuration is no table")
    if unknown := sorted(set(config) - _KEYS):
        raise JobFormError(f"its configuration has the key {_shown(unknown[0])}")
    if filled := [key for key in _EMPTY if config.get(key)]:
        raise JobFormError(f"its configuration brings {filled[0]}: a hospital has its own")
    if wrong := [key for key in SECONDS if key in config and not _seconds(config[key])]:
        raise JobFormError(f"{wrong[0]} is no number of seconds")
    executors = config.get("executors")
    if not isinstance(executors, list) or len(executors) != 1:
        raise JobFormError("it has to have one executor")
    _check_executor(executors[0], files)


def _check_executor(entry: Any, files: Mapping[str, bytes]) -> None:
    if not isinstance(entry, dict) or set(entry) != {"tasks", "executor"}:
        raise JobFormError("its executor has other keys than tasks and executor")
    tasks, executor = entry["tasks"], entry["executor"]
    if not isinstance(tasks, list) or not all(isinstance(one, str) and _TASK.fullmatch(one) for one in tasks):
        raise JobFormError("the executor's tasks are no list of plain names")
    if not isinstance(executor, dict) or set(executor) != {"path", "args"}:
        raise JobFormError("its executor is not given by path and args alone")
    path, arguments = executor["path"], executor["args"]
    if not isinstance(path, str) or path not in EXECUTORS:
        raise JobFormError(f"its executor is {_shown(path)}, allowed are {', '.join(EXECUTORS)}")
    optional = {FRAMEWORK} if path == BOX else set()
    if not isinstance(arguments, dict) or set(arguments) - optional != EXECUTORS[path]:
        raise JobFormError(f"{path} takes {', '.join(sorted(EXECUTORS[path]))}")
    _check_plain(arguments, _DEEPEST)
    if path == BOX:
        _check_box(arguments, files)
    else:
        _check_columns(arguments["features"], files)


def _check_box(arguments: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    script, words, settings = arguments["script"], arguments["arguments"], arguments["settings"]
    if not isinstance(script, str) or not _SCRIPT.fullmatch(script) or CODE + script not in files:
        raise JobFormError(f"its script is {_shown(script)}, expected a .py file below {CODE}")
    if not isinstance(words, list) or not all(isinstance(word, str | int | float) for word in words):
        raise JobFormError("its script's arguments are no list of texts and numbers")
    if not isinstance(settings, dict):
        raise JobFormError("its script's settings are no table")
    if FRAMEWORK in arguments and arguments[FRAMEWORK] not in FRAMEWORKS:
        raise JobFormError(f"its script's framework is none of {', '.join(FRAMEWORKS)}")


def _check_columns(features: Any, files: Mapping[str, bytes]) -> None:
    """Statistics are counted from the hospital's own files, not in a box: they get no other column either."""
    try:
        data = Manifest.read(files.get(MANIFEST, b"")).data
    except UnreadableManifestError as error:
        raise JobFormError(f"its manifest {error}") from error
    if not isinstance(features, list) or not all(isinstance(feature, str) for feature in features):
        raise JobFormError("its features are no list of names")
    agreed = {column for columns in data.values() for column in columns}
    if more := sorted({column_of(feature) for feature in features} - agreed):
        raise JobFormError(f"it counts {_shown(more[0])}, which its manifest does not name among the columns")


def column_of(feature: str) -> str:
    """The column of `column`, `column=value` or `column missing`."""
    name, equals, value = feature.rpartition("=")
    return name if equals and value.isdecimal() else feature.removesuffix(" missing")


def _check_plain(value: Any, depth: int) -> None:
    """Texts, numbers, lists and tables from which NVFlare builds no object."""
    if depth == 0:
        raise JobFormError("its arguments are nested too deeply")
    if isinstance(value, dict):
        if built := [key for key in value if key in _BUILT]:
            raise JobFormError(f"its arguments have the key {built[0]}")
        for part in (*value, *value.values()):
            _check_plain(part, depth - 1)
    elif isinstance(value, list):
        for part in value:
            _check_plain(part, depth - 1)
    elif isinstance(value, str):
        if not _TEXT.fullmatch(value):
            raise JobFormError(f"a text of its arguments is not plain: {_shown(value)}")
    elif isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        raise JobFormError("a whole number of its arguments has more digits than a number needs")
    elif value is not None and not isinstance(value, bool | int | float):
        raise JobFormError("its arguments are no plain values")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice")
    return table


def _seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 86_400


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is not finite")


def _shown(value: Any) -> str:
    return repr(value)[:80]
