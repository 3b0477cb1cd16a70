"""Names of metrics as MLflow takes them. Pure."""

import posixpath
import re
from collections.abc import Iterable

LONGEST_NAME = 250
"""Characters of a metric's name in MLflow."""


def accepted(names: Iterable[str]) -> dict[str, str]:
    """Metric -> a name that MLflow takes, different ones for different metrics.

    MLflow refuses a whole round for one name with other characters than letters, digits, `_-.: /`, or longer
    than 250 (mlflow.utils.validation; github.com/volcengine/verl/issues/119).
    """
    found: dict[str, str] = {}
    for name in sorted(
        names, key=lambda name: (name != _plain(name), name)
    ):  # those that need no change first
        taken, number = _plain(name), 2
        while taken in found.values():
            taken, number = f"{_plain(name)[: LONGEST_NAME - 10]}_{number}", number + 1
        found[name] = taken
    return found


def _plain(name: str) -> str:
    text = re.sub(r"[^A-Za-z0-9_.:/ -]", "_", name)[:LONGEST_NAME] or "_"
    # It is also a path there, which must not be absolute, lead out, or be another once it is normalised.
    leads_out = text.startswith(("/", "..")) or posixpath.normpath(text) != text or text == "."
    return re.sub(r"[./]", "_", text) if leads_out else text
