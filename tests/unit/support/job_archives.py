"""The jobs of the platform as archives, as the container server composes them."""

import io
import json
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from container_server.centre.composed import Asked, compose
from container_server.centre.job_folder import JobFolder
from fed_site.job_code import CLIENT

from clone import paths

ROOT = paths.REPOSITORY
JOBS = ROOT / "workloads/jobs"
EXAMPLES = ROOT / "docs/examples"


def folder_of(name: str) -> JobFolder:
    """A job of the platform's, or an example of the documentation's."""
    return JobFolder.read(next(place / name for place in (JOBS, EXAMPLES) if (place / name).is_dir()))


@cache
def built(name: str, folder: Path, mean: float = 1.5, steps: int = 5) -> Path:
    """What hospitals get of a job that was composed with these numbers: a folder."""
    job = folder_of(name)
    scaled = {key: [mean, 2.25] for need in job.content["needs"].values() for key in need["otherwise"]}
    given = {"steps": str(steps)} if "steps" in job.content["parameters"] else {}
    asked = Asked(rounds=job.rounds, parameters=job.parse(given), inputs={"scaling": scaled})
    composed = compose(job, asked, ["cleveland", "hungary"])
    out = folder / f"{name}-{mean}-{steps}"
    for path, content in {
        **composed.nvflare,
        **{f"server/{n}": c for n, c in composed.server.items()},
    }.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)
    return out / "app_hospital"


def settings(name: str, scaling: Mapping[str, Any]) -> dict[str, Any]:
    """What a job's script is given at hospitals, where its input `scaling` is this result."""
    job = folder_of(name)
    asked = Asked(rounds=job.rounds, parameters=job.parse({}), inputs={"scaling": scaling})
    config = json.loads(compose(job, asked, []).nvflare[f"app_hospital/{CLIENT}"])
    return dict(config["executors"][0]["executor"]["args"]["settings"])


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
    leaves = {"model": {"w": "3"}, "metrics": metrics or [], "histograms": {}, "statistics": []}
    return {
        "schema": "fed/manifest/1",
        "name": "cohort",
        "title": "A cohort",
        "purpose": "to see",
        "author": "ada",
        "workflow": "averaging",
        "data": {"heart.csv": ["age"]},
        "leaves": leaves,
        "rounds": 3,
        "answers": 3,
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


def job(code: bytes = b"print()", more: Mapping[str, bytes] | None = None, **changes: Any) -> bytes:
    """The archive of a small job with `more` files; `changes` are those of its manifest."""
    manifest = json.dumps(manifest_content(**changes)).encode()
    own = {"code/job.py": code, "config/config_fed_client.json": CONFIG, "manifest.json": manifest}
    return packed({**own, **(more or {})})
