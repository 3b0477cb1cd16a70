"""Checkov over the rendered templates: an opinion that nobody here wrote, with our answers to it in one file.

Checkov runs from an environment of its own (environment/requirements.txt, pinned with hashes), because it
needs other versions of what this project uses.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from automation.verify.facts.resources import VerifyError
from automation.verify.scan.arm_template import Template

FOLDER = Path(__file__).parent / "environment"
PATIENCE = 300


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A check that failed on one resource of one stack."""

    check: str
    title: str
    stack: str
    resource: str

    @property
    def place(self) -> str:
        """What a suppression's pattern is held against."""
        return f"{self.stack}/{self.resource}"

    def __str__(self) -> str:
        return f"{self.check} ({self.title}) at {self.place}"


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """A failed check that is right as it is, where, and why."""

    check: str
    where: str
    reason: str

    def covers(self, failed: Failed) -> bool:
        """Say whether a failure is meant."""
        return failed.check == self.check and re.fullmatch(self.where, failed.place) is not None


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How many checks passed, what failed, what is left after suppressions, and suppressions nobody needs."""

    passed: int
    failed: tuple[Failed, ...]
    unexplained: tuple[Failed, ...]
    stale: tuple[Suppression, ...]


def scan(stacks: Mapping[str, Mapping[str, Template]]) -> Scan:
    """Run Checkov over the templates of stacks (stack -> subscription -> template).

    Raises VerifyError when Checkov cannot run.
    """
    with tempfile.TemporaryDirectory(prefix="fed-scan-") as folder:
        for stack, templates in stacks.items():
            place = Path(folder) / stack
            place.mkdir()
            for subscription, template in templates.items():
                (place / f"{subscription}.json").write_text(json.dumps(template, indent=1))
        passed, failed = _checkov(Path(folder))
    known = suppressions()
    return Scan(
        passed=passed,
        failed=failed,
        unexplained=tuple(f for f in failed if not any(s.covers(f) for s in known)),
        stale=tuple(s for s in known if not any(s.covers(f) for f in failed)),
    )


def suppressions() -> list[Suppression]:
    """Return what checkov/suppressions.yaml says; an entry without a reason raises VerifyError."""
    entries = YAML(typ="safe", pure=True).load(FOLDER / "suppressions.yaml")
    for entry in entries:
        if not str(entry.get("reason", "")).strip():
            raise VerifyError(f"{FOLDER.name}/suppressions.yaml: {entry} has no reason")
    return [Suppression(**entry) for entry in entries]


def _checkov(folder: Path) -> tuple[int, tuple[Failed, ...]]:
    done = subprocess.run(  # noqa: S603
        [
            *(_uv(), "run", "--quiet", "--no-project", "--no-python-downloads", "--python", sys.executable),
            *("--with-requirements", str(FOLDER / "requirements.txt"), "checkov", "--directory", str(folder)),
            *("--framework", "arm", "--output", "json", "--compact", "--quiet", "--skip-download"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}},
    )
    try:
        found = json.loads(done.stdout)
        summary, results = found["summary"], found["results"]["failed_checks"]
    except (ValueError, KeyError, TypeError) as error:
        raise VerifyError(
            f"Checkov did not answer (exit code {done.returncode}); uv runs it from packages that the first "
            f"run downloads. What it said:\n{(done.stderr or done.stdout)[-2000:]}"
        ) from error
    if summary["parsing_errors"]:
        raise VerifyError(f"Checkov could not read {summary['parsing_errors']} of the rendered templates")
    return int(summary["passed"]), tuple(map(_failed, results))


def _failed(result: Mapping[str, str]) -> Failed:
    return Failed(
        check=result["check_id"],
        title=result["check_name"],
        stack=result["file_path"].strip("/").split("/")[0],
        resource=result["resource"].split(".", 2)[-1],
    )


def _uv() -> str:
    local = str(Path(sys.executable).parent)
    found = shutil.which("uv", path=os.pathsep.join((local, os.environ.get("PATH", os.defpath))))
    if found is None:
        raise VerifyError("Checkov is run by uv, which is not here: pip install uv")
    return found


def summary(found: Scan) -> str:
    """Return the counts in one sentence."""
    left: Sequence[Failed] = found.unexplained
    return (
        f"Checkov: {found.passed} checks passed, {len(found.failed)} failed, "
        f"{len(found.failed) - len(left)} of these explained, {len(left)} left"
    )
