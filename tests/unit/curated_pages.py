"""Curated tables of the real data, as the files that a party reads."""

import json
from pathlib import Path

from tests.unit import curation_world as world
from workloads.mlflow.curation.__main__ import main


def tables_folder(folder: Path) -> Path:
    """Make the tables of every party below a folder; return that of the parties' folders."""
    (folder / "request.json").write_text(json.dumps(world.everything()))
    main(folder)
    return folder / "tables"


def files_of(folder: Path, party: str) -> dict[str, bytes]:
    """Table -> file, of one party."""
    return {path.stem: path.read_bytes() for path in (folder / party).glob("*.parquet")}
