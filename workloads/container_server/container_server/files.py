"""Files of this service's own state: private, replaced in one step."""

import json
import os
import shutil
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` in one step with content of that mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    os.fchmod(descriptor, mode)  # whatever this process's umask
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


def empty(folder: Path) -> None:
    """Remove everything in a folder but the folder itself, which may be a mount point."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
