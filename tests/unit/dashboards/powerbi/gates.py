"""What Microsoft's own tools say about a Power BI project: its report, its model, its queries."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from automation.ui.outcome import FedError
from tests.unit.dashboards.powerbi import tools

Model = Mapping[str, Any]
"""A model as JSON (TMSL): https://learn.microsoft.com/analysis-services/tmsl/tabular-model-scripting-language"""

_UNREACHABLE: Final = "_UNREACHABLE"
"""Ends the codes of checks that the validator skips where Microsoft's schemas cannot be fetched."""
_SECONDS: Final = 120


class ModelError(FedError):
    """A model that Microsoft's parser refuses; the message names file and line."""


def report_faults(report: Path) -> list[str]:
    """What Microsoft's validator finds in a `.Report` folder, warnings too. Raises FedError when it fails."""
    answer = _ask([*tools.report_validator(), "validate", str(report)], codes=(0, 1))
    found = json.loads(answer)
    if "data" not in found:
        raise FedError(f"Microsoft's report validator did not read {report}: {answer[-800:]}")
    return [
        f"{code}: {item['message']}"
        for code, group in found["data"]["diagnostics"].items()
        if not code.endswith(_UNREACHABLE)
        for item in group["items"]
    ]


def read_models(definitions: Sequence[Path]) -> list[Model]:
    """Models from their `definition` folders, as Microsoft's parser reads them. Raises ModelError."""
    command = [*tools.model_reader(), *map(str, definitions)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if done.returncode == 1 and done.stderr:
        raise ModelError(done.stderr.strip())
    if done.returncode:
        raise FedError(f"Microsoft's model parser failed ({done.returncode}): {done.stderr[-800:]}")
    return [json.loads(line)["model"] for line in done.stdout.splitlines()]


def query_faults(model: Model) -> list[str]:
    """What Microsoft's parser says of a model's Power Query texts."""
    queries = {
        **{f"expression {one['name']}": text(one["expression"]) for one in model.get("expressions", ())},
        **{
            f"table {table['name']}": text(partition["source"]["expression"])
            for table in model["tables"]
            for partition in table["partitions"]
        },
    }
    command, folder = tools.query_parser()
    wrong = json.loads(_ask(command, folder=folder, given=json.dumps(queries)))
    return [f"{name}: {message}" for name, message in wrong.items()]


def text(lines: str | Sequence[str]) -> str:
    """A text of a model, which has it as one or as a list of lines."""
    return lines if isinstance(lines, str) else "\n".join(lines)


def _ask(
    command: Sequence[str], *, folder: Path | None = None, given: str = "", codes: Sequence[int] = (0,)
) -> str:
    done = subprocess.run(
        command, cwd=folder, input=given, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    if done.returncode not in codes or not done.stdout:
        raise FedError(
            f"{' '.join(command)} failed ({done.returncode}): {(done.stderr or done.stdout)[-800:]}"
        )
    return done.stdout
