"""Curated tables of the real data, as the files that a party reads."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.unit.support import curation_world as world
from workloads.curation.__main__ import main


def tables_folder(folder: Path, content: Mapping[str, Any] | None = None) -> Path:
    """Make the tables of every party below a folder; return that of the parties' folders."""
    (folder / "request.json").write_text(json.dumps(content or world.everything()))
    main(folder)
    return folder / "tables"


def files_of(folder: Path, party: str) -> dict[str, bytes]:
    """Table -> file, of one party."""
    return {path.stem: path.read_bytes() for path in (folder / party).glob("*.parquet")}
