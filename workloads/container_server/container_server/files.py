"""Files of this service's own state: private, replaced in one step."""

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` in one step with content of that mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(new, path)  # noqa: PTH105 - the atomic one


def write_json(path: Path, content: Any, mode: int = 0o600) -> None:
    """Replace `path` by JSON."""
    write_bytes(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode(), mode)


def read_json(path: Path) -> Any:
    """The content, or None where there is no file. Raises ValueError for a file that is not JSON."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def read_folder(root: Path, *below: str) -> dict[str, bytes]:
    """File name -> content of the folder `below` a root in which somebody else writes.

    No link is followed, so that nothing outside the root is read. Raises OSError for a link, and for whatever
    else is neither folder nor file where one is expected.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in below:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return {name: _read_plain(folder, name) for name in sorted(os.listdir(folder))}  # noqa: PTH208 a descriptor
    finally:
        os.close(folder)


def _read_plain(folder: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{name} is no file")
        return stream.read()


def empty(folder: Path) -> None:
    """Remove everything in a folder but the folder itself, which may be a mount point."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
