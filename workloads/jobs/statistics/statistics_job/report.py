"""The centre's part: tracks the run and writes statistics whose globals are recomputed (pooling.py).

What one hospital published goes to the centre and to itself. What the others may see of it is decided by the
curation (workloads/curation), not here.
"""

import json
from pathlib import Path

from fed_server.files import write_json
from fed_server.tracking import RunTracker

from .descriptions import describe
from .pooling import by_hospital, pool, scaling

OUTPUT = "statistics/statistics.json"
"""Where NVFlare's statistics writer puts its result, below the run's folder."""


class StatisticsReport(RunTracker):
    """results/centre/statistics.json (features, hospitals, globals), results/hospitals/<name>.json (its own)
    and results/global/scaling.json (feature -> [mean, deviation]), which every hospital needs to train.
    """

    registers_model = False

    def complete(self, run_folder: Path) -> bool:
        """Complete once NVFlare has written the statistics."""
        return (run_folder / OUTPUT).is_file()

    def write_results(self, folder: Path, run_folder: Path) -> None:
        """Recompute and write."""
        published = json.loads((run_folder / OUTPUT).read_text())
        pooled = {feature: pool(entry) for feature, entry in published.items()}
        known = {feature: entry for feature, entry in pooled.items() if entry["hospitals"]}
        hospitals = by_hospital(published)
        for silent in sorted(self.asked - set(hospitals)):
            self.drop(silent, 0, "gave no statistics in time, or none that may leave")
        content = {"features": describe(), "global": known, "hospitals": hospitals}
        write_json(folder / "centre" / "statistics.json", content)
        for hospital, own in hospitals.items():
            write_json(folder / "hospitals" / f"{hospital}.json", {"hospital": hospital, "statistics": own})
        write_json(folder / "global" / "scaling.json", scaling(published))

    def final_metrics(self, run_folder: Path) -> dict[str, dict[str, float]]:
        """Mean of each feature by hospital, for MLflow."""
        published = json.loads((run_folder / OUTPUT).read_text())
        return {
            hospital: {
                _metric_name(feature): entry["sum"] / entry["count"]
                for feature, entry in features.items()
                if entry.get("count") and "sum" in entry
            }
            for hospital, features in by_hospital(published).items()
        }


def _metric_name(feature: str) -> str:
    return "mean_" + feature.replace("=", "_is_").replace(" ", "_")
