"""What of a party cannot be made again, as one archive: a tar of the folders on its data disk.

A hospital's patients are not in it: they are in the hospital's own account, and are brought here again.
"""

import errno
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol, final

from fed_site.ledgers import KEPT_FILE

from container_server import strict_json
from container_server.config import Config
from container_server.errors import RefusedInputError
from container_server.files import empty
from container_server.foreign import ForeignFileError, ForeignFolder, check_regular

ABOUT = "archive.json"
"""The first entry: whose archive it is, and when it was made."""
SCHEMA = "fed/archive/1"
MOST_FILES = 200_000
OWN = "backup"
"""Below `agent`: the folder of this very backup, which is in no archive."""
_AGAIN = frozenset({OWN, "staging.json"})
"""Below `agent`: what is made again."""
_OFFICERS = frozenset({"answers.json", "airlock.json", "box.json", KEPT_FILE})
"""Below `answers`: brought from the officers' container again. An archive's would hold approvals that were
taken back since; without them no job is approved, and nothing leaves, until that container was read.
"""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ArchiveError(RefusedInputError):
    """An archive that is not put into place, and why."""


class Plain(Protocol):
    """The plain text of an archive, as it is decrypted."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes, fewer only at the end."""


@final
@dataclass(frozen=True, kw_only=True)
class Part:
    """A folder: `only` these entries of it, or all but `without`; put back into `target`."""

    name: str
    folder: Path
    only: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()
    target: Path

    def has(self, name: str) -> bool:
        """Whether an entry of the folder belongs to the archive."""
        return name in self.only if self.only else name not in self.without


@final
@dataclass(frozen=True, kw_only=True)
class Content:
    """What an archive holds: how many files and bytes, and one checksum over all names and contents."""

    files: int
    bytes: int
    digest: str

    @classmethod
    def of(cls, found: Mapping[str, tuple[int, str]]) -> "Content":
        """From name -> (bytes, SHA-256)."""
        lines = "\n".join(f"{name} {digest}" for name, (_, digest) in sorted(found.items()))
        return cls(
            files=len(found),
            bytes=sum(size for size, _ in found.values()),
            digest=hashlib.sha256(lines.encode()).hexdigest(),
        )


def mlflow_copy(config: Config) -> Path:
    """Where MLflow's container puts a copy of its database (tracking/start.py)."""
    return config.curation / "mlflow-copy" / "mlflow.db"


def parts_of(config: Config) -> tuple[Part, ...]:
    """The folders of this VM that cannot be made again."""
    agent = Part(name="agent", folder=config.agent, target=config.agent, without=_AGAIN)
    kit = Part(name="kit", folder=config.kit, target=config.kit)
    if config.role == "hospital":
        passing = frozenset({"workspace", "health.json", "box.json"})
        answers = Part(name="answers", folder=config.answers, target=config.answers, without=_OFFICERS)
        return (
            agent,
            kit,
            answers,
            Part(name="work", folder=config.work, target=config.work, without=passing),
        )
    copy = mlflow_copy(config).parent
    return (
        agent,
        kit,
        Part(name="work", folder=config.work, target=config.work, only=("jobs", "nvflare")),
        Part(name="mlflow", folder=copy, target=config.curation / "mlflow-restored"),
    )


def pack(parts: tuple[Part, ...], about: Mapping[str, Any], stream: IO[bytes]) -> Content:
    """Write the archive to `stream`. Raises OSError for a file that became shorter meanwhile."""
    found = {}
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        text = json.dumps({"schema": SCHEMA, **about}).encode()
        entry = tarfile.TarInfo(ABOUT)
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
        for name, source, status in _files(parts):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = status.st_size, int(status.st_mtime), status.st_mode & 0o777
            counted = _Counted(source)
            tar.addfile(entry, counted)
            found[name] = (entry.size, counted.digest)
    return Content.of(found)


def content(parts: tuple[Part, ...]) -> Content:
    """What the archive of these folders would hold now."""
    found = {}
    for name, source, _ in _files(parts):
        counted = _Counted(source)
        while counted.read(1 << 20):
            pass
        found[name] = (counted.size, counted.digest)
    return Content.of(found)


def trace(parts: tuple[Part, ...]) -> str:
    """Changes when a file comes, goes or is written, without any being read."""
    known = hashlib.sha256()
    for name, _, status in _files(parts):
        known.update(f"{name} {status.st_size} {status.st_mtime_ns} {status.st_ino}\n".encode())
    return known.hexdigest()


def read(plain: Plain, whose: Mapping[str, str], take: Callable[[str, IO[bytes], int], None]) -> Any:
    """Hand every file of an archive to `take` (name, content, mode); what the archive says of itself.

    Raises ArchiveError for another party's archive, one of another version, or a name that leads elsewhere.
    """
    try:
        with tarfile.open(fileobj=plain, mode="r|") as tar:  # type: ignore[call-overload]
            about = _about(tar, whose)
            while (entry := tar.next()) is not None:
                path = PurePosixPath(entry.name)
                if not entry.isreg() or path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
                    raise ArchiveError(f"it holds {entry.name[:100]!r}, which is not taken")
                source = tar.extractfile(entry)
                if source is not None:
                    take(str(path), source, entry.mode & 0o777)
    except tarfile.TarError as error:
        raise ArchiveError(f"it is no archive: {error}") from error
    return about


def put_back(parts: tuple[Part, ...], plain: Plain, whose: Mapping[str, str]) -> Any:
    """Replace what is in the folders by an archive, but for `OWN`; what the archive says of itself.

    Raises ArchiveError as `read` does, and ForeignFileError where somebody put a link in its way.
    """
    known = {part.name: part for part in parts}
    folders = {part.name: ForeignFolder(part.target) for part in parts}
    for part in parts:
        _clear(part.target)

    def take(name: str, source: IO[bytes], mode: int) -> None:
        part, _, rest = name.partition("/")
        if part not in folders:
            raise ArchiveError(f"it holds {name[:100]!r}, and a {whose['role']} has no such folder")
        if known[part].has(rest.partition("/")[0]):  # an older version kept more
            folders[part].copy(rest, source, mode)

    about = read(plain, whose, take)
    os.sync()
    return about


def restored(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The same parts, where `put_back` put them."""
    return tuple(
        Part(name=part.name, folder=part.target, only=part.only, without=part.without, target=part.target)
        for part in parts
    )


def _clear(folder: Path) -> None:
    """Empty a folder, but for `OWN`."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if entry.name == OWN:
            continue
        if entry.is_dir() and not entry.is_symlink():
            empty(entry)
            entry.rmdir()
        else:
            entry.unlink()


def _about(tar: tarfile.TarFile, whose: Mapping[str, str]) -> Any:
    first = tar.next()
    source = tar.extractfile(first) if first is not None and first.name == ABOUT else None
    about = _object(source.read(65_536)) if source is not None else {}
    if about.get("schema") != SCHEMA:
        raise ArchiveError(f"it is of version {about.get('schema')!r}, and {SCHEMA} is read here")
    for key, expected in whose.items():
        if about.get(key) != expected:
            raise ArchiveError(f"its {key} is {about.get(key)!r}, and this is {expected!r}")
    return about


def _object(content: bytes) -> dict[str, Any]:
    """Empty for JSON of another kind: whoever may write into the container can encrypt to a public key."""
    try:
        found = strict_json.parse(content)
    except ValueError as error:
        raise ArchiveError(f"what it says of itself cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}


def _files(parts: tuple[Part, ...]) -> Iterator[tuple[str, IO[bytes], os.stat_result]]:
    """Every regular file: name, content, status. Links are neither followed nor taken: others write here."""
    count = 0
    for part in parts:
        for above, folders, names, handle in _walk(part.folder):
            top = above == PurePosixPath(".")
            folders[:] = sorted(name for name in folders if not top or part.has(name))
            for name in sorted(name for name in names if not top or part.has(name)):
                stream = _opened(name, handle)
                if stream is None:
                    continue
                with stream:
                    yield f"{part.name}/{above / name}", stream, os.fstat(stream.fileno())
                count += 1
            if count > MOST_FILES:
                raise ArchiveError(f"there are more than {MOST_FILES} files in what is to be kept")


def _walk(folder: Path) -> Iterator[tuple[PurePosixPath, list[str], list[str], int]]:
    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # removed since it was listed
            raise error

    if folder.is_dir():
        for above, folders, names, handle in os.fwalk(folder, onerror=unreadable, follow_symlinks=False):
            yield PurePosixPath(above).relative_to(folder), folders, names, handle


def _opened(name: str, folder: int) -> IO[bytes] | None:
    """A file; None for one that is gone since it was listed, and for what is no regular file of one name."""
    try:
        stream = os.fdopen(os.open(name, _READ, dir_fd=folder), "rb")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):  # openat(2): a link, a socket
            return None
        raise
    try:
        check_regular(name, os.fstat(stream.fileno()))
    except ForeignFileError:
        stream.close()
        return None
    return stream


@final
class _Counted:
    """A file that is summed up as it is read."""

    def __init__(self, source: IO[bytes]):
        self._source = source
        self._sum = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        found = self._source.read(size)
        self._sum.update(found)
        self.size += len(found)
        return found

    @property
    def digest(self) -> str:
        return self._sum.hexdigest()
