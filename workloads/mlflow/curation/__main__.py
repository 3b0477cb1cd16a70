"""`python -m curation FOLDER`: FOLDER/request.json -> FOLDER/tables/<party>/<table>.parquet.

Prints `{"rows": {party: rows}, "refused": {job id: why it could not be read}}`, or `{"error": ...}` and ends
with 1.
"""

import json
import shutil
import sys
import traceback
from pathlib import Path

from .parquet import write
from .request import Request
from .schema import TABLES
from .tables import curate


def main(folder: Path) -> None:
    """Read, curate, write; an older answer is removed first."""
    request = Request.read(folder / "request.json")
    tables = curate(request)
    out = folder / "tables"
    shutil.rmtree(out, ignore_errors=True)
    for party, contents in tables.items():
        for name, rows in contents.items():
            write(TABLES[name], rows, out / party / f"{name}.parquet")
    counts = {party: sum(map(len, contents.values())) for party, contents in tables.items()}
    print(json.dumps({"rows": counts, "refused": dict(request.refused)}))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Exception as error:  # who asked sees this output alone
        traceback.print_exc()
        print(json.dumps({"error": f"{type(error).__name__}: {error}"[:500]}))
        sys.exit(1)
