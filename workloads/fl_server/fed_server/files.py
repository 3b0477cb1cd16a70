"""JSON files that another process reads while this one writes."""

import json
import os
import stat
from pathlib import Path
from typing import Any

LARGEST = 8 * 1024 * 1024
"""Bytes of a JSON file in the server's volume."""


def write_json(path: Path, content: Any) -> None:
    """Replace `path` in one step, so that a reader sees the old or the new content, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    os.replace(new, path)  # noqa: PTH105 - the atomic one


def read_json(path: Path) -> Any:
    """The content, or None where there is no file yet.

    Raises ValueError for a file that is not JSON, larger than LARGEST or no regular file, and OSError for a
    link: a job's code may have put it there, and nothing of it may hold up the server.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path} is no regular file")
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{path} holds more than {LARGEST} bytes")
    return json.loads(content)
