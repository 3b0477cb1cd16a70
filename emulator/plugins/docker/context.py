"""A build context: which files belong to it, what they hash to, and a copy of them.

Nothing is built here: the datacentre runs an image from its Dockerfile and the copied context.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pathspec import PathSpec


class ContextError(Exception):
    """The folder or the Dockerfile cannot be used; the text says why."""


@dataclass(frozen=True)
class BuildContext:
    """A folder and a Dockerfile (both absolute)."""

    folder: Path
    dockerfile: Path

    @classmethod
    def find(cls, directory: Path, context: str | None, dockerfile: str | None) -> BuildContext:
        """Return the context that a program in `directory` means; raise ContextError when there is none.

        Like pulumi-docker: the context is the program's folder unless given, the Dockerfile is in the
        context unless given, and both are relative to the program's folder.
        """
        folder = (directory / (context or ".")).resolve()
        if not folder.is_dir():
            raise ContextError(
                f"the build context {context!r} ({folder}) is no folder: there is nothing to build"
            )
        file = (directory / dockerfile).resolve() if dockerfile else folder / "Dockerfile"
        if not file.is_file():
            raise ContextError(
                f"there is no Dockerfile {file}: without it nobody knows how to build {folder}"
            )
        return cls(folder, file)

    @cached_property
    def files(self) -> list[Path]:
        """The files and symbolic links that the build may see, relative to the folder, sorted."""
        ignored = self._ignored()
        found = []
        for top, folders, names in os.walk(self.folder):
            above = Path(top).relative_to(self.folder)
            links = [name for name in folders if (Path(top) / name).is_symlink()]
            found += [above / name for name in [*names, *links]]
        return sorted(path for path in found if not ignored.match_file(path.as_posix()))

    def _ignored(self) -> PathSpec[Any]:
        """Return the rules of .dockerignore: they start at the context's root, and the last match decides.

        A rule for a folder is one for everything below it (https://pkg.go.dev/github.com/moby/patternmatcher).
        """
        own = self.dockerfile.with_name(f"{self.dockerfile.name}.dockerignore")
        file = own if own.is_file() else self.folder / ".dockerignore"
        lines = file.read_text().splitlines() if file.is_file() else []
        rules = [_anchored(line) for line in lines if _is_rule(line)]
        return PathSpec.from_lines("gitignore", [each for rule in rules for each in (rule, f"{rule}/**")])

    @cached_property
    def digest(self) -> str:
        """The hash (64 hex digits) of the files (names, contents, executable bits) and of the Dockerfile."""
        total = hashlib.sha256()
        for path in self.files:
            total.update(f"{path.as_posix()}\0{_kind(self.folder / path)}\0".encode())
            total.update(_content_hash(self.folder / path))
        total.update(b"Dockerfile\0" + _content_hash(self.dockerfile))
        return total.hexdigest()

    def copy(self, target: Path) -> None:
        """Copy the files below `target` and the Dockerfile next to it, as ``Dockerfile``."""
        target.mkdir(parents=True)
        for path in self.files:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.folder / path, target / path, follow_symlinks=False)
        shutil.copy2(self.dockerfile, target.parent / "Dockerfile")


def _is_rule(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#") and line.strip() not in {"!", "/", "."}


def _anchored(line: str) -> str:
    """Return a rule of .dockerignore as one of .gitignore: there, a name without a slash matches anywhere."""
    rule = line.strip()
    negated = "!" if rule.startswith("!") else ""
    return f"{negated}/{rule.removeprefix('!').strip().removeprefix('./').strip('/')}"


def _kind(file: Path) -> str:
    mode = file.lstat().st_mode
    return "link" if stat.S_ISLNK(mode) else "program" if mode & stat.S_IXUSR else "file"


def _content_hash(file: Path) -> bytes:
    if file.is_symlink():
        return hashlib.sha256(str(file.readlink()).encode()).digest()
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
