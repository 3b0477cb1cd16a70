"""Files that another process wrote: a job, the server, the client, MLflow. Nothing about them is trusted.

This service holds keys, so a link that somebody else made must never lead it anywhere: everything is opened
level by level below a root of its own without following a link (openat with O_NOFOLLOW, see openat(2)), and
only regular files with a single name are read, of bounded number and size.
"""

import io
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, final

from container_server import strict_json
from container_server.errors import RefusedInputError

JSON_LIMIT = 8 * 1024 * 1024
"""Bytes: the progress of a thousand rounds over fifty hospitals is smaller."""
FILE_LIMIT = 64 * 1024 * 1024
"""Bytes of one file that is handed on."""
MOST_FILES = 500
DEEPEST = 8
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ForeignFileError(RefusedInputError):
    """Something another process wrote that is not read; names the file and what is wrong with it."""


@final
class ForeignFolder:
    """A folder whose own path only this service can change and in which another process writes.

    Names are relative to it, with `/` between their parts.
    """

    def __init__(self, root: Path):
        self._root = root

    def read(self, name: str, limit: int = FILE_LIMIT) -> bytes | None:
        """The content of a file, or None where there is none.

        Raises ForeignFileError for a link at any level, for whatever is no regular file or has a second name
        elsewhere, and for more than `limit` bytes.
        """
        try:
            with self._inside(_parent(name)) as folder:
                return _content(folder, name, limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _refusal(name, error) from error

    def stamp(self, name: str) -> tuple[int, int, int] | None:
        """What changes when a file is replaced or written; None where there is none.

        Raises ForeignFileError as `read` does.
        """
        try:
            with self._inside(_parent(name)) as folder:
                found = os.stat(PurePosixPath(name).name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _refusal(name, error) from error
        check_regular(name, found)
        return found.st_ino, found.st_mtime_ns, found.st_size

    def json(self, name: str, limit: int = JSON_LIMIT) -> Any:
        """The content of a JSON file, or None where there is none.

        Raises ForeignFileError as `read` does, and for what is not JSON or holds a number that is not finite.
        """
        content = self.read(name, limit)
        if content is None:
            return None
        try:
            return strict_json.parse(content)
        except ValueError as error:
            raise ForeignFileError(f"{name} is not JSON with finite numbers: {str(error)[:200]}") from error

    def files(self, below: str = "") -> list[str]:
        """The names of all files below a folder, sorted; none where there is no folder.

        Raises ForeignFileError for a link, for anything else that is neither folder nor file, and beyond
        MOST_FILES files or DEEPEST levels.
        """
        found = []
        try:
            with self._inside(below) as folder:
                for name in _files(folder, below, DEEPEST):
                    found.append(name)
                    if len(found) > MOST_FILES:
                        raise ForeignFileError(f"{below or '.'} holds more than {MOST_FILES} files")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _refusal(below, error) from error
        return sorted(found)

    def make(self, name: str) -> None:
        """Make a folder, and those above it, where there is none. Raises ForeignFileError for a link."""
        try:
            with self._inside(name, make=True):
                return
        except OSError as error:
            raise _refusal(name, error) from error

    def write(self, name: str, content: bytes, mode: int = 0o600) -> None:
        """Replace a file in one step, making the folders above it. Raises ForeignFileError for a link."""
        self.copy(name, io.BytesIO(content), mode)

    def copy(self, name: str, source: IO[bytes], mode: int = 0o600) -> None:
        """Replace a file by what `source` holds, as `write` does."""
        new = PurePosixPath(name).name + ".new"
        try:
            with self._inside(_parent(name), make=True) as folder:
                with suppress(FileNotFoundError):
                    os.unlink(new, dir_fd=folder)
                with os.fdopen(os.open(new, _NEW, mode, dir_fd=folder), "wb") as stream:
                    shutil.copyfileobj(source, stream)
                os.replace(new, PurePosixPath(name).name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            raise _refusal(name, error) from error

    def remove(self, name: str) -> None:
        """Remove a folder with all that is in it, where there is one. Raises ForeignFileError for a link."""
        try:
            with self._inside(_parent(name)) as folder:
                shutil.rmtree(PurePosixPath(name).name, dir_fd=folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _refusal(name, error) from error

    @contextmanager
    def _inside(self, below: str, *, make: bool = False) -> Iterator[int]:
        """A descriptor of a folder below the root."""
        self._root.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in PurePosixPath(below).parts:
                if part in ("..", "/"):
                    raise ForeignFileError(f"{below} leads out of its folder")
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=folder)
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)


def check_regular(name: str, found: os.stat_result) -> None:
    """Raise ForeignFileError unless it is a regular file that has this one name alone."""
    if not stat.S_ISREG(found.st_mode):
        raise ForeignFileError(f"{name} is no regular file")
    if found.st_nlink > 1:  # 0: replaced since it was opened
        raise ForeignFileError(f"{name} is a hard link: it has {found.st_nlink} names")


def _content(folder: int, name: str, limit: int) -> bytes:
    descriptor = os.open(PurePosixPath(name).name, _READ, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as stream:
        check_regular(name, os.fstat(descriptor))
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise ForeignFileError(f"{name} holds more than {limit} bytes")
    return content


def _files(folder: int, below: str, levels: int) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = str(PurePosixPath(below, entry.name))
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # replaced since it was listed
                continue
            if not stat.S_ISDIR(found.st_mode):
                check_regular(name, found)
                yield name
            elif levels == 0:
                raise ForeignFileError(f"{name} is deeper than {DEEPEST} folders")
            else:
                inner = os.open(entry.name, _FOLDER, dir_fd=folder)
                try:
                    yield from _files(inner, name, levels - 1)
                finally:
                    os.close(inner)


def _parent(name: str) -> str:
    return str(PurePosixPath(name).parent)


def _refusal(name: str, error: OSError) -> ForeignFileError:
    """ELOOP and ENOTDIR are what openat answers to a link (openat(2), O_NOFOLLOW)."""
    return ForeignFileError(f"{name} is a link, or leads through one, or cannot be used: {error.strerror}")
