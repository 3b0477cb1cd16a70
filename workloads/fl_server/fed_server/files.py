"""JSON files that another process reads while this one writes."""

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:
    """Replace `path` in one step, so that a reader sees the old or the new content, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    os.replace(new, path)  # noqa: PTH105 - the atomic one


def read_json(path: Path) -> Any:
    """The content, or None where there is no file yet. Raises ValueError for a file that is not JSON."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
