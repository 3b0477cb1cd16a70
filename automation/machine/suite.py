"""The whole suite: what it consists of, how it is run, and that its tools are there."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from automation.machine import system
from automation.machine.setup import packages
from automation.ui.outcome import FedError, QuestionError
from clone import paths

ROOT = paths.REPOSITORY
TESTS = ("e2e", "datacentre", "emulator", "unit")
"""The folders of tests, the longest first: what starts last should be short."""
LONG = "long"
"""Campaigns of minutes: tests with pytest's marker of this name. They run only when asked for."""
REAL = "real"
"""Tests of a real machine, with pytest's marker of this name. They need root, and run only when asked for."""
EVERYDAY = ("lint", *TESTS)
MARKED = (LONG, REAL)
PARTS = (*EVERYDAY, *MARKED)
MOST_WORKERS = 4

IN_IMAGES = (
    "workloads/container_server/container_server",
    "workloads/curation",
    "workloads/data/fed_data",
    "workloads/fl_client/fed_box",
    "workloads/fl_client/fed_site",
    "workloads/fl_server/fed_server",
    "workloads/mlflow/tracking",
    "workloads/trial/fed_trial",
)
"""Checked by themselves: inside the images these packages have other names than here."""
_BOTH_NAMES = "benchmarks/privacy.py"
"""Uses one package by its name inside the images, and another by its name here."""
_NEEDS_NETWORKS = {"datacentre", "e2e"}
_PYTEST_FAILED = 1
_UNTRACKED = {
    ".venv",
    ".fed",
    ".git",
    "node_modules",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
}


def run(parts: Sequence[str], workers: int, keyword: str | None, order: int | None) -> bool:
    """Run the parts (all of `EVERYDAY` without any) and return whether everything passed.

    A part is one of `PARTS` or a path of tests; with one of `MARKED` only such tests among the parts' run.
    `order` is the seed of a random order: of the files, and of the tests in each.
    Raises QuestionError for anything else, FedError when a tool could not run or no test was found.
    """
    for part in parts:
        if part not in PARTS and not (ROOT / part.partition("::")[0]).exists():
            raise QuestionError(f"there is no part {part!r}: name {', '.join(PARTS)}, or a test file")
    marks = [part for part in parts if part in MARKED]
    chosen = [part for part in parts if part not in MARKED] or list(TESTS if marks else EVERYDAY)
    _prepare(chosen)
    if REAL in marks:
        system.require_packages(system.REAL_MACHINES)
    tests = [f"tests/{part}" if part in TESTS else part for part in chosen if part != "lint"]
    # Tests of whole federations wait for much: the checks take the processors that they leave idle.
    with ThreadPoolExecutor() as meanwhile:
        clean = meanwhile.submit(_lint, alone=not tests) if "lint" in chosen else None
        passed = _pytest(tests, workers, keyword, marks, order) if tests else True
        return (clean is None or clean.result()) and passed


def _prepare(parts: Sequence[str]) -> None:
    if not packages.is_ready(dev=True):
        setup = [sys.executable, "-P", "-m", "automation.machine.setup", "--dev", "--no-engine"]
        if subprocess.run(setup, cwd=ROOT, env=_environment(), check=False).returncode:  # noqa: S603
            raise FedError("the test tools could not be installed; see above")
    if _NEEDS_NETWORKS & set(parts):
        system.require_packages(system.NETWORKS)
    if "unit" in parts:
        system.require_packages(system.POWER_BI)


def _lint(*, alone: bool) -> bool:
    """Run the checks that need no test, side by side; print each result as it comes."""
    present = files()
    yaml = [name for name in present if name.endswith((".yaml", ".yml"))]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        # detect-secrets renumbers lines in its baseline: a check must not change files, so it gets a copy.
        baseline = shutil.copy(ROOT / ".secrets.baseline", folder)
        results = [
            pool.submit(
                _check,
                "detect-secrets",
                ["detect_secrets.pre_commit_hook", "--baseline", baseline, *present],
                {3},
            ),
            pool.submit(_check, "mypy", ["mypy"]),
            pool.submit(_check, "mypy, images", ["mypy", *IN_IMAGES]),
            pool.submit(_check, "mypy, benchmark", ["mypy", _BOTH_NAMES]),
            pool.submit(_check, "ruff", ["ruff", "check", "."]),
            pool.submit(_check, "ruff format", ["ruff", "format", "--check", "."]),
            pool.submit(_check, "codespell", ["codespell_lib", *_prose(present)]),
            pool.submit(_check, "yamllint", ["yamllint", "--strict", *yaml]),
        ]
        if alone:  # else the tests themselves say whether they can be collected
            collect = ["pytest", "--collect-only", "--quiet", "--quiet"]
            results.append(pool.submit(_check, "collection", collect))
        return all(result.result() for result in results)


def _prose(files: Sequence[str]) -> list[str]:
    """Files that people read: their words are checked."""
    return [
        name
        for name in files
        if name.endswith((".py", ".md", ".yaml", ".yml", ".j2", ".toml")) or name == "fed"
    ]


def _check(name: str, module: Sequence[str], also_good: Collection[int] = ()) -> bool:
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    passed = done.returncode == 0 or done.returncode in also_good
    report = f"{'passed' if passed else 'failed'} {name} ({time.monotonic() - began:.1f} s)"
    # On a line of its own: pytest may be printing a row of dots.
    print(f"\n{report}" if passed else f"\n{report}\n{done.stdout}", flush=True)
    return passed


def files() -> list[str]:
    """Return the files of the repository, as git knows them; in an unpacked archive, those that lie here."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]
    found = (file.relative_to(ROOT) for file in ROOT.rglob("*") if file.is_file())
    return sorted(str(file) for file in found if not _UNTRACKED & set(file.parts))


def _pytest(
    tests: Sequence[str], workers: int, keyword: str | None, marks: Sequence[str], order: int | None
) -> bool:
    """Run pytest; its own summary is the last thing printed."""
    options = ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"] if workers > 1 else []
    if marks:
        options += ["-m", " or ".join(marks)]
    if keyword:
        options += ["-k", keyword]
    if order is not None:
        options.append(f"--random-order-seed={order}")
    present = [test for test in tests if Path(ROOT, test.partition("::")[0]).exists()]
    command = [sys.executable, "-m", "pytest", *options, *present]
    code = subprocess.run(command, cwd=ROOT, env=_environment(), check=False).returncode  # noqa: S603
    if code not in {0, _PYTEST_FAILED}:
        raise FedError(f"pytest did not get to its end (exit code {code}); see above")
    return code == 0


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
