"""Data sets on a laptop: the check that a hospital's VM makes, and the draft of a schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from automation.ui.outcome import QuestionError, RefusedError
from workloads.data.fed_data import check as checking
from workloads.data.fed_data import drafting, schema
from workloads.data.fed_data.catalogue import Catalogue, rows_of_any
from workloads.data.fed_data.check import Checked
from workloads.data.fed_data.drafting import Draft
from workloads.data.fed_data.schema import DataSet, SchemaError
from workloads.data.fed_data.text import UnreadableError

_OFFICERS_MAY_KNOW = "the hospital's VM checks it if its officers have approved a data set of this name"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


def check(file: Path, named: str | None = None) -> Checked:
    """Compare a file with the schema of its data set, as the hospital's own VM does after an upload.

    `named` is a data set's name or a folder with its schema; without it the file's name says which. Raises
    QuestionError where it is none.
    """
    readable(file)
    data_set = find(named) if named else Catalogue.released().of(file.name)
    if data_set is None:
        said = Catalogue.released().stranger(file.name, file)
        raise QuestionError(f"{said}\nFix: name the data set: --dataset NAME, or a folder with its schema")
    return checking.check(file, file.name, data_set)


def check_for_upload(file: Path) -> Checked:
    """Check a file as `check` does; one of no data set of this release is taken unchecked, with a note.

    Hospitals may know more data sets than the release. Raises QuestionError for a file that cannot be read.
    """
    readable(file)
    released = Catalogue.released()
    if released.of(file.name) is None:
        notes = (released.stranger(file.name, file), _OFFICERS_MAY_KNOW)
        return Checked(rows=rows_of_any(file.name, file), notes=notes)
    return check(file)


def find(named: str) -> DataSet:
    """Return the data set of this name, or in this folder. Raises QuestionError."""
    released = Catalogue.released()
    if found := released.named(named):
        return found
    return package(Path(named))[1]


def package(folder: Path) -> tuple[dict[str, Any], DataSet]:
    """Return a data set's schema as it is written, and as it is understood. Raises QuestionError."""
    path = folder / schema.FILE if folder.is_dir() else folder
    if not path.is_file():
        known = ", ".join(one.name for one in Catalogue.released())
        raise QuestionError(
            f"there is no data set {str(folder)!r}, and no file {path}: this release has {known}. "
            "Fix: name one of them, or a folder that ./fed dataset new made"
        )
    try:
        found = schema.read(path.read_bytes())
        return json.loads(path.read_bytes()), found
    except SchemaError as error:
        raise QuestionError(
            f"{path} is no schema of a data set: {error}\nFix: docs/data-sets.md has what may be in it"
        ) from error


def new(file: Path, name: str | None, to: Path | None) -> tuple[Path, Draft]:
    """Write the draft of a data set's schema into a folder; return its path.

    Raises QuestionError for a name that cannot be one or a schema that is there already, RefusedError for a
    file of which none can be drafted.
    """
    readable(file)
    called = name or file.stem.lower()
    if not _NAME.fullmatch(called):
        raise QuestionError(
            f"{called!r} cannot be a data set's name: lower case, digits, '-' and '_'. Fix: --name NAME"
        )
    path = (to or Path(called)) / schema.FILE
    if path.exists():
        raise QuestionError(f"{path} is there already. Fix: edit it, or name another folder: --to FOLDER")
    try:
        draft = drafting.draft(file, called)
    except UnreadableError as error:
        raise RefusedError(
            f"no schema can be drafted from {file}: {error}\nFix: correct the file: CSV, one patient a row"
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(draft.package, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path, draft


def readable(file: Path) -> None:
    """Raise QuestionError for a file that cannot be read."""
    try:
        file.open("rb").close()
    except OSError as error:
        raise QuestionError(f"{file} cannot be read: {error.strerror}") from error
