"""The registered models: what there is, which one people use, and its files."""

import base64
import io
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from automation.operate import machines
from automation.operate.emulated import running_fabric
from automation.operate.machines import Centre
from automation.stacks.target import Target
from automation.ui.outcome import FedError, QuestionError, RefusedError
from federation.outputs import Outputs

Row = Mapping[str, Any]

_DOWNLOAD = """
import base64, io, os, sys, tarfile
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import ContainerClient
identity = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
container = ContainerClient(os.environ["FED_HUB_STORAGE"], "server", credential=identity)
prefix, packed = sys.argv[1] + "/", io.BytesIO()
with tarfile.open(fileobj=packed, mode="w") as archive:
    for name in container.list_blob_names(name_starts_with=prefix):
        content = container.download_blob(name).readall()
        entry = tarfile.TarInfo(name.removeprefix(prefix))
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
print(base64.b64encode(packed.getvalue()).decode())
"""


def listing(centre: Centre, name: str | None = None) -> list[Row]:
    """Return all versions, or those of one model with their metrics; none where it is unknown.

    However many: Azure's run command carries a few at a time.
    """
    rows: list[Row] = []
    while True:
        skipped = ["--skip", str(len(rows))] if rows else []
        answer = centre.ask("models", *(["--name", name] if name else []), *skipped)
        rows += answer["models"]
        if not answer.get("cut"):
            return rows
        if not answer["models"]:
            raise FedError("a model version's metrics are too long for the centre's answer")


def chosen(centre: Centre, name: str, version: str | None) -> Row:
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


def download(target: Target, outputs: Outputs[str], row: Row, folder: Path) -> list[str]:
    """Write a version's files into a new folder; return their names. Raises QuestionError, RefusedError."""
    if folder.exists():
        raise QuestionError(f"{folder} is there already\nFix: name a new folder with --to")
    if target.emulator is None:
        raise RefusedError(
            "on Azure the centre's account has no public front: this machine cannot read it\n"
            f"Fix: from the centre's network, copy mlflow/{row['artifacts']} of its container `server`"
        )
    words = ["python3", "-c", _DOWNLOAD, f"mlflow/{row['artifacts']}"]
    ran = running_fabric(target).exec(
        machines.vm_name(outputs, "centre"), words, container="container-server"
    )
    if ran.code != 0:
        raise FedError(f"the centre's account cannot be read: {ran.stderr[-300:]}")
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(ran.stdout))) as archive:
        names = archive.getnames()
        if not names:
            raise FedError(f"{row['name']} version {row['version']} has no files in the centre's account")
        archive.extractall(folder, filter="data")
    return sorted(names)


def table(rows: list[Row]) -> Table:
    """Return the versions as a table for people."""
    found = Table("model", "version", "", "made", "job", "said by")
    for row in rows:
        found.add_row(
            row["name"], row["version"], _state(row), _day(row), str(row.get("job_id", ""))[:8], _by(row)
        )
    return found


def card(row: Row) -> Table:
    """Return one version with its metrics."""
    found = Table(f"{row['name']} version {row['version']}", _state(row), show_lines=False)
    found.add_row("made", _day(row))
    found.add_row("job", str(row.get("job_id", "")))
    if said := _by(row):
        found.add_row("said by", said)
    for name, value in sorted(row["metrics"].items()):
        found.add_row(name, f"{value:.4g}")
    return found


def _state(row: Row) -> str:
    return "champion" if row["champion"] else "retired" if "retired_at" in row else ""


def _by(row: Row) -> str:
    if "retired_at" in row:
        return f"{row.get('retired_by', '')}, {row['retired_at'][:10]}: {row.get('retired_why', '')}"
    return f"{row['promoted_by']}, {row['promoted_at'][:10]}" if "promoted_at" in row else ""


def _day(row: Row) -> str:
    return datetime.fromtimestamp(row["made"], UTC).strftime("%Y-%m-%d %H:%M")
