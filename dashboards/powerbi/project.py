"""A Power BI project (PBIP): model, report and what ties them together, in `dashboards/<audience>`."""

import json
import shutil
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

from dashboards.powerbi import pbir, tmdl
from dashboards.powerbi.description import AUDIENCES, FOLDER, Audience

__all__ = ["AUDIENCES", "display_name", "files", "folder", "write"]

_SCHEMAS: Final = "https://developer.microsoft.com/json-schemas/fabric"
#: Makes the logical ids of items, which say to Fabric that a moved or renamed item is still the same.
_ITEMS: Final = UUID("5d0c1f5e-3d0c-5b0f-9c55-7f3b2f5a9a10")


def folder(audience: Audience) -> Path:
    """Where the project is."""
    return FOLDER / audience


def display_name(audience: Audience) -> str:
    """Return what model and report are called in their workspace."""
    return f"{audience.capitalize()} dashboard"


def files(audience: Audience) -> dict[str, str]:
    """Path in the project's folder -> text."""
    name = audience.capitalize()
    model, report = f"{name}.SemanticModel", f"{name}.Report"
    documents: dict[str, Any] = {
        f"{name}.pbip": {
            "$schema": f"{_SCHEMAS}/pbip/pbipProperties/1.0.0/schema.json",
            "version": "1.0",
            "artifacts": [{"report": {"path": report}}],
            "settings": {"enableAutoRecovery": True},
        },
        f"{model}/.platform": _platform("SemanticModel", audience),
        f"{model}/definition.pbism": {
            "$schema": f"{_SCHEMAS}/item/semanticModel/definitionProperties/1.0.0/schema.json",
            "version": "4.2",
            "settings": {},
        },
        f"{report}/.platform": _platform("Report", audience),
        f"{report}/definition.pbir": {
            "$schema": f"{_SCHEMAS}/item/report/definitionProperties/2.0.0/schema.json",
            "version": "4.0",
            "datasetReference": {"byPath": {"path": f"../{model}"}},
        },
        **{f"{report}/{path}": document for path, document in pbir.documents(audience).items()},
    }
    return {
        **{path: json.dumps(document, indent=2) + "\n" for path, document in documents.items()},
        **{f"{model}/definition/{path}": text for path, text in tmdl.files(audience).items()},
    }


def write(audience: Audience) -> list[Path]:
    """Write the project again, without what it no longer has; return what was written."""
    shutil.rmtree(folder(audience), ignore_errors=True)
    written = []
    for path, text in sorted(files(audience).items()):
        file = folder(audience) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        written.append(file)
    return written


def _platform(kind: str, audience: Audience) -> dict[str, Any]:
    return {
        "$schema": f"{_SCHEMAS}/gitIntegration/platformProperties/2.0.0/schema.json",
        "metadata": {"type": kind, "displayName": display_name(audience)},
        "config": {"version": "2.0", "logicalId": str(uuid5(_ITEMS, f"{audience} {kind}"))},
    }
