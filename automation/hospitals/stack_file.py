"""Edits a stack file as a person would: only the lines concerned change, all else stays byte for byte.

ruamel.yaml says where things stand; writing its tree back would move comments that follow what was added or
removed. So every edit is checked: the new lines must say the old content with the intended change, and
nothing else. Before anything is written, `federation.settings` checks the result.
"""

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from automation.ui.outcome import QuestionError
from federation import settings
from federation.settings import Settings

HOSPITALS = "fed:hospitals"
IMAGES = "fed:images"
#: What may be written without quotes: nothing in it means something to YAML.
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./+-]*(:[A-Za-z0-9_./+-]+)*")

Content = dict[str, Any]


class StackFile:
    """One ``Pulumi.<stack>.yaml``, held as text; `saved` is what the file said when last read or written."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises QuestionError when it is not there or is no stack's configuration."""
        self.path = path
        self.stack = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        self.text = self.saved = _read(path, self.stack)
        self._config()

    def settings(self) -> Settings:
        """Return what the text says; raises federation.violations.SettingsError with every mistake."""
        return settings.load(self.stack, _plain(self._config()), source=self.path.name)

    def has_hospital(self, name: str) -> bool:
        """Tell whether an entry of that name is there."""
        return name in self._mapping(HOSPITALS)

    def add_hospital(self, name: str, entry: Mapping[str, str]) -> None:
        """Add an entry behind the last hospital."""
        self._require_block(HOSPITALS)
        values = {key: self._scalar(value) for key, value in entry.items()}
        written = [f"{name}:", *(f"  {key}: {value}" for key, value in entry.items())]

        def intended(config: Content) -> None:
            config[HOSPITALS] = {**(config.get(HOSPITALS) or {}), name: values}

        self._change(self._appended(HOSPITALS, written), f"{HOSPITALS}.{name}", intended)

    def remove_hospital(self, name: str) -> None:
        """Remove an entry with the comments directly above it."""
        hospitals = self._hospitals_with(name)
        lines = self._lines()
        first, column = self._place(hospitals, name)
        end = _end(lines, first, column)
        while first > 0 and re.match(rf" {{{column},}}#", lines[first - 1]):
            first -= 1
        del lines[first:end]
        if len(hospitals) == 1:
            key = self._place(self._config(), HOSPITALS)[0]
            lines[key] = lines[key].replace(f"{HOSPITALS}:", f"{HOSPITALS}: {{}}", 1)
        self._change(lines, f"{HOSPITALS}.{name}", lambda config: config[HOSPITALS].pop(name))

    def set_of_hospital(self, name: str, key: str, value: str) -> None:
        """Set one key of an entry."""
        self._hospitals_with(name)
        self._set([HOSPITALS, name], key, value)

    def unset_of_hospital(self, name: str, key: str) -> None:
        """Remove one key of an entry, when it is there."""
        self._hospitals_with(name)
        entry = self._mapping(HOSPITALS, name)
        if key in entry:
            lines = self._lines()
            first, column = self._place(entry, key)
            del lines[first : _end(lines, first, column)]
            self._change(lines, f"{HOSPITALS}.{name}", lambda config: config[HOSPITALS][name].pop(key))

    def digests(self) -> dict[str, str]:
        """Return the pinned images by name (``sha256:...``); empty when none are."""
        return {name: str(digest) for name, digest in _plain(self._mapping(IMAGES, "digests")).items()}

    def pin(self, digests: Mapping[str, str]) -> None:
        """Pin images by digest, each in its own line."""
        images = self._require_block(IMAGES)
        if self._mapping(IMAGES, "digests"):
            for name, digest in sorted(digests.items()):
                self._set([IMAGES, "digests"], name, digest)
            return
        if "digests" in images:
            self._drop_empty_digests(images)
        values = {name: self._scalar(digest) for name, digest in sorted(digests.items())}
        written = ["digests:", *(f"  {name}: {digest}" for name, digest in sorted(digests.items()))]

        def intended(config: Content) -> None:
            config[IMAGES] = {**(config.get(IMAGES) or {}), "digests": values}

        self._change(self._appended(IMAGES, written), f"{IMAGES}.digests", intended)

    def save(self) -> None:
        """Write the file in one step, when it still is what was read.

        Raises:
            SettingsError: when the settings refuse it; nothing is written.
            QuestionError: when somebody else has changed the file since; nothing is written.
        """
        self.settings()
        if not _swap(self.path, self.saved, self.text):
            raise QuestionError(
                f"{self.path.name} was changed by somebody else since this command read it, so nothing was "
                "written: the other change would be lost. Run this command again."
            )
        self.saved = self.text

    def put_back(self, text: str) -> bool:
        """Write what the file said before, when it still is what was saved here; False when it is not."""
        if not _swap(self.path, self.saved, text):
            return False
        self.text = self.saved = text
        return True

    def _hospitals_with(self, name: str) -> CommentedMap:
        hospitals = self._require_block(HOSPITALS)
        if name not in hospitals:
            known = ", ".join(hospitals) or "none"
            raise QuestionError(f"{self.path.name} has no hospital {name}. It has: {known}.")
        return hospitals

    def _require_block(self, key: str) -> CommentedMap:
        """Return the group under `key`; raises QuestionError when it is in braces."""
        group = self._mapping(key)
        if group.fa.flow_style() and group:
            raise QuestionError(
                f"{self.path.name} writes {key} in braces; this command edits line by line. Write it as an "
                "indented block, or make the change by hand."
            )
        return group

    def _mapping(self, *keys: str) -> CommentedMap:
        """Return the group at `keys`, empty when nothing is there; raises QuestionError when it is
        no group.
        """
        group = self._config()
        for key in keys:
            found = group.get(key)
            if found is not None and not isinstance(found, CommentedMap):
                raise QuestionError(
                    f"{self.path.name}: {key} is no group of settings but {str(found)[:60]!r}, so nothing in "
                    "it could be read. Write one indented `key: value` a line below it."
                )
            group = CommentedMap() if found is None else found
        return group

    def _place(self, group: CommentedMap, key: str) -> tuple[int, int]:
        """Line and column of a key; raises QuestionError when it does not stand in the group itself."""
        try:
            line, column = group.lc.key(key)
        except (KeyError, TypeError):
            raise self._refusal(key) from None
        return int(line), int(column)

    def _scalar(self, value: str) -> Any:
        """Return what YAML reads in `value`; raises QuestionError when it could be read as more than one
        value.
        """
        if not WORD.fullmatch(value):
            raise QuestionError(
                f"{value!r} cannot be written into {self.path.name}: in YAML it could say something else. "
                "Use letters, digits and . / : + - _ only."
            )
        return _plain(_tree(value))

    def _drop_empty_digests(self, images: CommentedMap) -> None:
        lines = self._lines()
        del lines[self._place(images, "digests")[0]]

        def intended(config: Content) -> None:
            del config[IMAGES]["digests"]
            config[IMAGES] = config[IMAGES] or None

        self._change(lines, f"{IMAGES}.digests", intended)

    def _appended(self, key: str, entry: list[str]) -> list[str]:
        """Return the lines with some more at the end of the group `key`, indented as its other
        entries are.
        """
        config = self._config()
        lines = self._lines()
        ending = "\r\n" if lines[0].endswith("\r\n") else "\n"
        if not lines[-1].endswith("\n"):
            lines[-1] += ending
        top = self._place(config, next(iter(config)))[1]
        if key not in config:
            lines.append(f"{' ' * top}{key}:{ending}")
            at = len(lines)
        else:
            first = self._place(config, key)[0]
            lines[first] = re.sub(rf"({re.escape(key)}:)\s*(\{{\s*\}}|null|~)", r"\g<1>", lines[first])
            at = _end(lines, first, top)
        group = config.get(key)
        inner = self._place(group, next(iter(group)))[1] if group else top + 2
        lines[at:at] = [f"{' ' * inner}{line}{ending}" for line in entry]
        return lines

    def _set(self, path: list[str], key: str, value: str) -> None:
        parent, entry = self._mapping(*path[:-1]), self._mapping(*path)
        lines = self._lines()
        scalar = self._scalar(value)
        if key in entry:
            line = self._place(entry, key)[0]
            lines[line] = re.sub(
                rf"^(\s*{re.escape(key)}\s*:\s*)(\"[^\"]*\"|'[^']*'|[^\s#]+)", rf"\g<1>{value}", lines[line]
            )
        else:
            first, column = self._place(parent, path[-1])
            inner = self._place(entry, next(iter(entry), ""))[1]
            end = _end(lines, first, column)
            ending = "\r\n" if lines[first].endswith("\r\n") else "\n"
            if not lines[end - 1].endswith("\n"):
                lines[end - 1] += ending
            lines[end:end] = [f"{' ' * inner}{key}: {value}{ending}"]

        def intended(config: Content) -> None:
            for part in path:
                config = config[part]
            config[key] = scalar

        self._change(lines, f"{'.'.join(path)}.{key}", intended)

    def _change(self, lines: list[str], entry: str, intended: Callable[[Content], object]) -> None:
        """Take the new lines when they say the old content with the intended change, and nothing else.

        Raises:
            QuestionError: when they say something else; the text stays as it was.
        """
        expected = _plain(_tree(self.text))
        intended(expected["config"])
        text = "".join(lines)
        try:
            found = _plain(_tree(text))
        except YAMLError:
            found = None
        if found != expected:
            raise self._refusal(entry)
        self.text = text

    def _refusal(self, entry: str) -> QuestionError:
        return QuestionError(
            f"{self.path.name}: {entry} is not written in a way that this command can edit line by line; "
            "something else would change, or nothing at all. Nothing was written. Entries in braces, with "
            "quoted keys, as aliases or with the value on the next line must be written line by line, as "
            "indented `key: value`; or make the change by hand."
        )

    def _lines(self) -> list[str]:
        return [line for line in re.split(r"(?<=\n)", self.text) if line]

    def _config(self) -> CommentedMap:
        try:
            tree = _tree(self.text)
        except YAMLError as error:
            raise QuestionError(f"{self.path.name} is no YAML: {error}") from error
        config = tree.get("config") if isinstance(tree, CommentedMap) else None
        if not isinstance(config, CommentedMap) or not config:
            raise QuestionError(f"{self.path.name} has no group `config`: the stack's settings stand there.")
        return config


def _read(path: Path, stack: str) -> str:
    """Return the file's text, with its line ends as they are."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise QuestionError(f"{path.name} does not exist: there is no stack {stack} here.") from None
    except UnicodeDecodeError as error:
        raise QuestionError(
            f"{path.name} is not UTF-8 ({error}), so its settings cannot be read. Save it as UTF-8."
        ) from None
    except OSError as error:
        raise QuestionError(f"{path.name} cannot be read: {error.strerror}.") from None


def _swap(path: Path, before: str, after: str) -> bool:
    """Write `after` in one step if the file says `before`; if not, write nothing and return False."""
    with _locked(path) as now:
        if now != before.encode():
            return False
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(after.encode())
            Path(temporary).chmod(path.stat().st_mode)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    return True


@contextmanager
def _locked(path: Path) -> Iterator[bytes | None]:
    """Hold the file against other commands and give what it says; None when there is none any more.

    Whoever held it before has put another file in its place: then that one is held instead.
    """
    while True:
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            yield None
            return
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                yield stream.read()
                return


def _tree(text: str) -> Any:
    return YAML(typ="rt").load(text)


def _end(lines: list[str], first: int, column: int) -> int:
    """Return the line behind what begins at line `first`, column `column`; comments that follow it stay
    outside.
    """
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
    """Return the same content in Python's own types, as a program reads it."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return str(node) if isinstance(node, str) else node
