"""Edits a stack file as a person would: only the lines concerned change, all else stays byte for byte.

ruamel.yaml says where things stand; writing its tree back would move comments that follow what was added or
removed. The result is checked by `federation.settings` before anything is written.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from automation.outcome import QuestionError
from federation import settings
from federation.settings import Settings

HOSPITALS = "fed:hospitals"
IMAGES = "fed:images"


class StackFile:
    """One ``Pulumi.<stack>.yaml``, held as text."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises QuestionError when it is not there or is no stack's configuration."""
        self.path = path
        self.stack = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        try:
            self.text = path.read_text()
        except FileNotFoundError:
            raise QuestionError(f"{path.name} does not exist: there is no stack {self.stack} here.") from None
        self._config()

    def settings(self) -> Settings:
        """What the text says; raises federation.violations.SettingsError with every mistake."""
        return settings.load(self.stack, _plain(self._config()), source=self.path.name)

    def has_hospital(self, name: str) -> bool:
        """Tell whether an entry of that name is there."""
        return name in (self._config().get(HOSPITALS) or {})

    def add_hospital(self, name: str, entry: Mapping[str, str]) -> None:
        """Add an entry behind the last hospital."""
        self._group(HOSPITALS)
        self._append(HOSPITALS, [f"{name}:", *(f"  {key}: {value}" for key, value in entry.items())])

    def remove_hospital(self, name: str) -> None:
        """Remove an entry with the comments directly above it."""
        hospitals = self._hospitals_with(name)
        lines = self._lines()
        first, column = hospitals.lc.key(name)
        end = _end(lines, first, column)
        while first > 0 and re.match(rf" {{{column},}}#", lines[first - 1]):
            first -= 1
        del lines[first:end]
        if len(hospitals) == 1:
            key = self._config().lc.key(HOSPITALS)[0]
            lines[key] = lines[key].replace(f"{HOSPITALS}:", f"{HOSPITALS}: {{}}", 1)
        self.text = "".join(lines)

    def set_of_hospital(self, name: str, key: str, value: str) -> None:
        """Set one key of an entry."""
        self._set([HOSPITALS, name], key, value)

    def unset_of_hospital(self, name: str, key: str) -> None:
        """Remove one key of an entry, when it is there."""
        entry = self._hospitals_with(name)[name]
        if key in entry:
            lines = self._lines()
            first, column = entry.lc.key(key)
            del lines[first : _end(lines, first, column)]
            self.text = "".join(lines)

    def digests(self) -> dict[str, str]:
        """The pinned images by name (``sha256:...``); empty when none are."""
        return dict(_plain((self._config().get(IMAGES) or {}).get("digests") or {}))

    def pin(self, digests: Mapping[str, str]) -> None:
        """Pin images by digest, each in its own line."""
        images = self._group(IMAGES)
        if not images.get("digests"):
            if "digests" in images:
                lines = self._lines()
                del lines[images.lc.key("digests")[0]]
                self.text = "".join(lines)
            self._append(
                IMAGES, ["digests:", *(f"  {name}: {digest}" for name, digest in sorted(digests.items()))]
            )
            return
        for name, digest in sorted(digests.items()):
            self._set([IMAGES, "digests"], name, digest)

    def save(self) -> None:
        """Write the file in one step; raises SettingsError, and writes nothing, when it would be refused."""
        self.settings()
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        with os.fdopen(handle, "w") as stream:
            stream.write(self.text)
        Path(temporary).chmod(self.path.stat().st_mode)
        Path(temporary).replace(self.path)

    def _hospitals_with(self, name: str) -> CommentedMap:
        hospitals = self._group(HOSPITALS)
        if name not in hospitals:
            known = ", ".join(hospitals) or "none"
            raise QuestionError(f"{self.path.name} has no hospital {name}. It has: {known}.")
        return hospitals

    def _group(self, key: str) -> CommentedMap:
        """The group under `key`; raises QuestionError when it stands in braces."""
        config = self._config()
        group = config.get(key)
        if isinstance(group, CommentedMap) and group.fa.flow_style() and group:
            raise QuestionError(
                f"{self.path.name} writes {key} in braces; this command edits line by line. Write it as an "
                "indented block, or make the change by hand."
            )
        return group if isinstance(group, CommentedMap) else CommentedMap()

    def _append(self, key: str, entry: list[str]) -> None:
        """Add lines at the end of the group `key`, indented as its other entries are."""
        config = self._config()
        lines = self._lines()
        if not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        top = int(config.lc.key(next(iter(config)))[1])
        if key not in config:
            lines.append(f"{' ' * top}{key}:\n")
            at = len(lines)
        else:
            first = int(config.lc.key(key)[0])
            lines[first] = re.sub(rf"({re.escape(key)}:)\s*(\{{\s*\}}|null|~)", r"\g<1>", lines[first])
            at = _end(lines, first, top)
        group = config.get(key)
        inner = int(group.lc.key(next(iter(group)))[1]) if group else top + 2
        lines[at:at] = [f"{' ' * inner}{line}\n" for line in entry]
        self.text = "".join(lines)

    def _set(self, path: list[str], key: str, value: str) -> None:
        parent, entry = CommentedMap(), self._config()
        for part in path:
            parent, entry = entry, entry[part]
        lines = self._lines()
        if key in entry:
            line = int(entry.lc.key(key)[0])
            lines[line] = re.sub(
                rf"^(\s*{re.escape(key)}\s*:\s*)(\"[^\"]*\"|'[^']*'|[^\s#]+)", rf"\g<1>{value}", lines[line]
            )
        else:
            first, column = parent.lc.key(path[-1])
            inner = int(entry.lc.key(next(iter(entry)))[1])
            end = _end(lines, first, column)
            lines[end:end] = [f"{' ' * inner}{key}: {value}\n"]
        self.text = "".join(lines)

    def _lines(self) -> list[str]:
        return self.text.splitlines(keepends=True)

    def _config(self) -> CommentedMap:
        try:
            tree = YAML(typ="rt").load(self.text)
        except YAMLError as error:
            raise QuestionError(f"{self.path.name} is no YAML: {error}") from error
        config = tree.get("config") if isinstance(tree, CommentedMap) else None
        if not isinstance(config, CommentedMap) or not config:
            raise QuestionError(f"{self.path.name} has no group `config`: the stack's settings stand there.")
        return config


def _end(lines: list[str], first: int, column: int) -> int:
    """The line behind what begins at line `first`, column `column`; comments that follow it stay outside."""
    end = first + 1
    for number in range(first + 1, len(lines)):
        text = lines[number].strip()
        if not text or text.startswith("#"):
            continue
        indent = len(lines[number]) - len(lines[number].lstrip())
        if indent < column or (indent == column and not text.startswith("- ")):
            break
        end = number + 1
    return end


def _plain(node: Any) -> Any:
    """The same content in Python's own types, as a program reads it."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return str(node) if isinstance(node, str) else node
