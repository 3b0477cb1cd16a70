"""`python -m curation FOLDER`: FOLDER/request.json -> FOLDER/tables/<party>/<table>.parquet, and model cards.

Prints `{"rows": {party: rows}, "left_out": jobs, "refused": {job id: why it could not be read}, "hospitals":
{job id: {hospital: why nothing of it is in the job's tables}}}`, or `{"error": ...}` and ends with 1.
"""

import json
import shutil
import sys
import traceback
from pathlib import Path

from .cards import cards
from .parquet import write
from .request import Request
from .schema import TABLES
from .tables import curate

MOST_REASONS = 100
REASON_LENGTH = 200
"""Of the jobs left out the first of the request (the newest) are told, and why in short: who asked reads
64 KiB.
"""


def main(folder: Path) -> None:
    """Read, curate, write; an older answer is removed first."""
    request = Request.read(folder / "request.json")
    tables = curate(request)
    out = folder / "tables"
    shutil.rmtree(out, ignore_errors=True)
    for party, contents in tables.items():
        for name, rows in contents.items():
            write(TABLES[name], rows, out / party / f"{name}.parquet")
    for party, name, text in cards(request, tables):
        (out / party / name).write_text(text)
    counts = {party: sum(map(len, contents.values())) for party, contents in tables.items()}
    newest = list(request.refused.items())[:MOST_REASONS]
    told = {job_id: _plain(reason[:REASON_LENGTH]) for job_id, reason in newest}
    wrong = [run for run in reversed(request.runs) if run.left_out][:MOST_REASONS]
    hospitals = {
        run.run_id: {site: _plain(why[:REASON_LENGTH]) for site, why in run.left_out.items()} for run in wrong
    }
    answer = {"rows": counts, "left_out": len(request.refused), "refused": told, "hospitals": hospitals}
    print(json.dumps(answer))


def _plain(text: str) -> str:
    """Return a text that JSON does not make longer: it may hold what a hospital sent."""
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in text)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Exception as error:  # who asked sees this output alone
        traceback.print_exc()
        print(json.dumps({"error": f"{type(error).__name__}: {error}"[:500]}))
        sys.exit(1)
