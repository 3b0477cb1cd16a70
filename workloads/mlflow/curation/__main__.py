"""`python -m curation FOLDER`: FOLDER/request.json -> FOLDER/tables/<party>/<table>.parquet."""

import json
import shutil
import sys
from pathlib import Path

from .parquet import write
from .request import Request
from .schema import TABLES
from .tables import curate


def main(folder: Path) -> None:
    """Read, curate, write; an older answer is removed first."""
    tables = curate(Request.read(folder / "request.json"))
    out = folder / "tables"
    shutil.rmtree(out, ignore_errors=True)
    for party, contents in tables.items():
        for name, rows in contents.items():
            write(TABLES[name], rows, out / party / f"{name}.parquet")
    print(json.dumps({party: sum(map(len, contents.values())) for party, contents in tables.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
