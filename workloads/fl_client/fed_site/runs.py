"""When each code ran at this hospital: what its budget of runs is counted by."""

import json
from pathlib import Path
from typing import final

from fed_site.alone import alone_at
from fed_site.ledgers import RUNS_FILE
from fed_site.start import WORK

RUNS = WORK / RUNS_FILE


@final
class Runs:
    """A file of code -> Unix times, next to the client's other work."""

    def __init__(self, file: Path):
        self._file = file

    def of(self, code: str) -> list[float]:
        """When a code ran. Raises ValueError for a file that is damaged: then nobody knows how often."""
        return [float(moment) for moment in self._all().get(code, ())]

    def add(self, code: str, now: float) -> None:
        """Count a run."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with alone_at(self._file):
            known = self._all()
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps({**known, code: [*known.get(code, ()), now]}))
            new.replace(self._file)

    def _all(self) -> dict[str, list[float]]:
        try:
            return dict(json.loads(self._file.read_text()))
        except FileNotFoundError:
            return {}
