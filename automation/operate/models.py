"""The registered models: what there is, which one people use, and its files."""

from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from automation.operate.centre_blobs import EmulatedBlobs, write_folder
from automation.operate.emulated import running_datacentre
from automation.operate.machines import Centre
from automation.stacks.target import Target
from automation.ui.outcome import FedError, QuestionError, RefusedError
from federation.naming import SERVER_CONTAINER
from federation.outputs import Outputs
from workloads.container_server.container_server import questions
from workloads.container_server.container_server.answers import ModelVersion


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


def chosen(centre: Centre, name: str, version: str | None) -> ModelVersion:
    """Return a version of a model, or the champion; raise QuestionError where there is none."""
    rows = listing(centre, name)
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


def download(target: Target, outputs: Outputs[str], row: ModelVersion, folder: Path) -> list[str]:
    """Write a version's files into a new folder; return their names. Raises QuestionError, RefusedError."""
    if target.emulator is None:
        raise RefusedError(
            "on Azure the centre's account has no public front: this machine cannot read it\n"
            f"Fix: from the centre's network, copy mlflow/{row['artifacts']} of its container `server`"
        )
    blobs = EmulatedBlobs(datacentre=running_datacentre(target), outputs=outputs, container=SERVER_CONTAINER)
    names = write_folder(blobs, f"mlflow/{row['artifacts']}/", folder)
    if not names:
        raise FedError(f"{row['name']} version {row['version']} has no files in the centre's account")
    return names


def model_card(target: Target, outputs: Outputs[str], row: ModelVersion) -> str:
    """Return a version's model card as Markdown; raise RefusedError, QuestionError where there is none."""
    if target.emulator is None:
        raise RefusedError(
            "on Azure the centre's account has no public front: this machine cannot read it\n"
            "Fix: ./fed open mlflow, the version's artifact model/card.html"
        )
    blobs = EmulatedBlobs(datacentre=running_datacentre(target), outputs=outputs, container=SERVER_CONTAINER)
    found = blobs.read(f"mlflow/{row['artifacts']}/card.md")
    if not found:
        raise QuestionError(
            f"{row['name']} version {row['version']} has no card: it is made some seconds after its job has"
            " ended\nFix: wait a moment"
        )
    (content,) = found.values()
    return content.decode()


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
