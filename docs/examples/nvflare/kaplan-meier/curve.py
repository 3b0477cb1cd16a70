"""The Kaplan-Meier curve of a run: `python curve.py histograms.json`.

That file is among what `./fed jobs download` fetches (`centre/histograms.json`). Kaplan and Meier 1958,
"Nonparametric estimation from incomplete observations"; within a cell events come before those seen last.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

DAYS = 15


def survival(observed: Sequence[float], censored: Sequence[float]) -> list[float]:
    """Return the share without event at the end of each cell."""
    at_risk, share, found = sum(observed) + sum(censored), 1.0, []
    for events, last_seen in zip(observed, censored, strict=True):
        share *= 1 - events / at_risk if at_risk > 0 else 1
        found.append(share)
        at_risk -= events + last_seen
    return found


if __name__ == "__main__":
    counts = json.loads(Path(sys.argv[1]).read_text())["histograms"]
    for cell, share in enumerate(survival(counts["observed"], counts["censored"])):
        print(f"{(cell + 1) * DAYS:4d} days  {share:.3f}")
