"""The registered models: what there is, which one people use, and its files."""

import json
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from automation.operate.centre_blobs import Readable, write_folder
from automation.operate.machines import Centre
from automation.ui.outcome import FedError, QuestionError
from automation.ui.plain import plain_document
from workloads.container_server.container_server import questions
from workloads.container_server.container_server.answers import (
    REGISTER,
    REGISTER_SCHEMA,
    ModelVersion,
    model_folder,
)


def listing(centre: Centre, name: str | None = None) -> list[ModelVersion]:
    """Return all versions, or those of one model with their metrics; none where it is unknown.

    However many: Azure's run command carries a few at a time.
    """
    rows: list[ModelVersion] = []
    while True:
        answer = centre.ask(questions.ListModels(name=name, skip=len(rows) or None))
        rows += answer["models"]
        if not answer.get("cut"):
            return rows
        if not answer["models"]:
            raise FedError("a model version's metrics are too long for the centre's answer")


def chosen(rows: list[ModelVersion], name: str, version: str | None) -> ModelVersion:
    """Return a version of a model, or the champion; raise QuestionError where there is none."""
    rows = [row for row in rows if row["name"] == name]
    found = [row for row in rows if (row["version"] == version if version else row["champion"])]
    if found:
        return found[0]
    known = ", ".join(row["version"] for row in rows)
    if not rows:
        raise QuestionError(f"there is no model {name!r}\nFix: ./fed model list")
    if version:
        raise QuestionError(f"{name} has no version {version}: it has {known}")
    raise QuestionError(
        f"no version of {name} was promoted; there are {known}\n"
        f"Fix: name one with --version, or ./fed model promote {name} VERSION"
    )


def registered(results: Readable) -> list[ModelVersion]:
    """Return the versions that the centre's container `results` names (fed/register/1), newest first.

    Raises QuestionError where it names none yet, FedError for a register of another version.
    """
    found = results.read(REGISTER).get(REGISTER)
    if found is None:
        raise QuestionError("there is no model yet\nFix: ./fed train")
    try:
        content = plain_document(json.loads(found))
        if content["schema"] != REGISTER_SCHEMA:
            raise ValueError(f"its schema is {content['schema']}")
        return list(content["models"])
    except (ValueError, KeyError, TypeError) as error:
        raise FedError(f"the centre's {REGISTER} is none of this version: {error}") from error


def download(results: Readable, row: ModelVersion, folder: Path) -> list[str]:
    """Write a version's files, which are in `results`, into a new folder; return their names.

    Raises QuestionError where the folder is there already, and where the files are not there yet.
    """
    names = write_folder(results, f"{_folder(row)}/", folder)
    if not names:
        raise QuestionError(
            f"the files of {row['name']} version {row['version']} are not at the centre's door\n"
            "Fix: wait a moment, they are laid out some seconds after the job has ended"
        )
    return names


def model_card(results: Readable, row: ModelVersion) -> str:
    """Return a version's model card, which is in `results`, as Markdown; raise QuestionError without one."""
    found = results.read(f"{_folder(row)}/card.md")
    if not found:
        raise QuestionError(
            f"{row['name']} version {row['version']} has no card: it is made some seconds after its job has"
            " ended\nFix: wait a moment"
        )
    (content,) = found.values()
    return content.decode()


def _folder(row: ModelVersion) -> str:
    return model_folder(row["name"], row["version"])


def table(rows: list[ModelVersion]) -> Table:
    """Return the versions as a table for people."""
    found = Table("model", "version", "", "made", "job", "said by")
    for row in rows:
        found.add_row(
            row["name"], row["version"], _state(row), _day(row), str(row.get("job_id", ""))[:8], _by(row)
        )
    return found


def card(row: ModelVersion) -> Table:
    """Return one version with its metrics."""
    found = Table(f"{row['name']} version {row['version']}", _state(row), show_lines=False)
    found.add_row("made", _day(row))
    found.add_row("job", str(row.get("job_id", "")))
    if said := _by(row):
        found.add_row("said by", said)
    for name, value in sorted(row["metrics"].items()):
        found.add_row(name, f"{value:.4g}")
    return found


def _state(row: ModelVersion) -> str:
    return "champion" if row["champion"] else "retired" if "retired_at" in row else ""


def _by(row: ModelVersion) -> str:
    if "retired_at" in row:
        return f"{row.get('retired_by', '')}, {row['retired_at'][:10]}: {row.get('retired_why', '')}"
    return f"{row['promoted_by']}, {row['promoted_at'][:10]}" if "promoted_at" in row else ""


def _day(row: ModelVersion) -> str:
    return datetime.fromtimestamp(row["made"], UTC).strftime("%Y-%m-%d %H:%M")
