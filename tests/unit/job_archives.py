"""The jobs of the platform as archives, built as the server's container builds them."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUILD = """
import sys, types
from pathlib import Path
for name, members in {"mlflow": ["MlflowClient"], "mlflow.entities": ["Metric", "Param", "RunTag"],
                      "mlflow.exceptions": ["MlflowException"]}.items():
    module = types.ModuleType(name)  # in the server's image alone, and not needed to build a job
    vars(module).update({member: type(member, (Exception,), {}) for member in members})
    sys.modules[name] = module
from fed_server.build import export, find
from fed_server.request import JobRequest
name, jobs, scaling, steps, out = sys.argv[1:]
description = find(name, [Path(folder) for folder in jobs.split(":")])
given = {"steps": steps} if "steps" in description.parameters else {}
export(
    JobRequest(
        description=description,
        rounds=description.rounds,
        parameters=description.parse(given),
        inputs={"scaling": Path(scaling)},
    ),
    ["cleveland", "hungary"],
    Path(out),
)
"""


@cache
def built(name: str, folder: Path, mean: float = 1.5, steps: int = 5) -> Path:
    """What hospitals get of a job of the platform's that was built with these numbers: a folder."""
    sys.path.insert(0, str(ROOT / "workloads/jobs/heart"))
    from heart_job.model import FEATURES  # noqa: PLC0415

    sys.path.pop(0)
    out = folder / f"{name}-{mean}-{steps}"
    out.mkdir(parents=True)
    scaling = out / "scaling.json"
    scaling.write_text(json.dumps({feature: [mean, 2.25] for feature in FEATURES}))
    path = ":".join(str(ROOT / "workloads" / part) for part in ("fl_server", "fl_client"))
    arguments = [
        name,
        f"{ROOT}/workloads/jobs:{ROOT}/docs/examples",
        str(scaling),
        str(steps),
        str(out / "job"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", BUILD, *arguments],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out / "job" / name / "app_hospital"


def archive(folder: Path, changes: Mapping[str, str] | None = None) -> bytes:
    """The archive of a folder, with files added or replaced (path -> text)."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files |= {name: text.encode() for name, text in (changes or {}).items()}
    return packed(files)


def packed(files: dict[str, bytes]) -> bytes:
    """An archive of these files."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return written.getvalue()


def manifest_content(*, metrics: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    """A manifest's content; `metrics` are those that leave."""
    leaves = {"model": {"w": "3"}, "metrics": metrics or [], "histograms": [], "statistics": []}
    return {
        "schema": "fed/manifest/1",
        "name": "cohort",
        "title": "A cohort",
        "purpose": "to see",
        "author": "ada",
        "data": {"heart.csv": ["age"]},
        "leaves": leaves,
        "rounds": 3,
        "minimum_sites": 2,
        **changes,
    }


CONFIG = json.dumps(
    {
        "executors": [
            {
                "tasks": ["train"],
                "executor": {
                    "path": "fed_site.box_executor.BoxExecutor",
                    "args": {"script": "job.py", "arguments": [], "settings": {}},
                },
            }
        ]
    }
).encode()
"""A client's configuration that runs `code/job.py` in the box."""


def job(code: bytes = b"print()", **changes: Any) -> bytes:
    """The archive of a small job; `changes` are those of its manifest."""
    manifest = json.dumps(manifest_content(**changes)).encode()
    return packed({"code/job.py": code, "config/config_fed_client.json": CONFIG, "manifest.json": manifest})
