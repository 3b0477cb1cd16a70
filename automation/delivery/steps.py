"""What the steps of the workflows do, as functions. `automation/commands/ci.py` only names them."""

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from automation.delivery import affected, comment, pins
from automation.delivery.github import GitHub
from automation.delivery.intent_difference import Intended, intended
from automation.stacks.plan import Plan
from automation.ui.outcome import FedError, QuestionError, RefusedError
from clone import paths
from federation.rules import STACKS
from federation.stack_file import load_stack

Model = TypeVar("Model", bound=BaseModel)

DRIFT = "<!-- fed: drift -->"
MAIN_WORKFLOW = "main.yml"


def affected_stacks(base: str, head: str) -> list[str]:
    """Return the stacks that the commits of `head` since it left `base` can reach.

    A file that was renamed counts at both its paths: what moved out of a deployment has left it.

    Raises:
        QuestionError: when git does not know one of the two, or one is empty.
    """
    for option, commit in (("--base", base), ("--head", head)):
        if not commit.strip():
            raise QuestionError(
                f"{option} is empty, which git would take for HEAD, so that nothing would differ and no "
                f"stack would be previewed. Name a commit: {option} origin/main."
            )
    changed = _git("diff", "--no-renames", "--name-only", "-z", "--end-of-options", f"{base}...{head}", "--")
    return affected.stacks(filter(None, changed.split("\0")), STACKS)


def write_intent(stack: str, out: Path) -> None:
    """Write what the settings of `stack` allow into a file that `comment_on` compares."""
    _write(out, intended(stack, load_stack(paths.REPOSITORY, stack)))


def show(text: str) -> None:
    """Add Markdown to the run's summary; outside a run nothing happens."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(summary).open("a", encoding="utf-8") as stream:
                stream.write(f"{text}\n")
        except OSError as error:
            raise FedError(
                f"The run's summary, {summary}, cannot be written: {error.strerror}. Nobody would see "
                "what was found. GITHUB_STEP_SUMMARY names the file; outside a run unset it."
            ) from error


def keep_plan(plan: Plan, out: Path) -> None:
    """Write a plan into a file, and into the run's summary."""
    _write(out, plan)
    show(comment.summary(plan))


def read_plan(path: Path) -> Plan:
    """Read a plan; raises QuestionError when the file is none."""
    return _read(path, Plan)


def expected_stacks(text: str) -> list[str]:
    """Return the stacks in what `fed ci affected` printed; raises QuestionError when it is something else."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(stack in STACKS for stack in found):
        raise QuestionError(
            f"--expected is {text!r}; it must be what `fed ci affected` printed, such as '[\"dev\"]', or "
            "nobody knows whose plan is missing."
        )
    return found


def pull_request_comment(folder: Path, expected: Sequence[str]) -> str:
    """Return the comment made of what the jobs of a pull request left in `folder`.

    ``azure-<stack>.json`` and ``emulator-<stack>.json`` are plans, ``intent-before-<stack>.json`` and
    ``intent-after-<stack>.json`` statements of intent, ``verify-<stack>.json`` what `fed verify --json`
    printed.

    Raises:
        QuestionError: when there is no such folder, or a file in it is something else.
    """
    _require_folder(folder)
    plans = [
        _read(path, Plan)
        for target in ("azure", "emulator")
        for path in sorted(folder.glob(f"{target}-*.json"))
    ]
    intents = {}
    for stack in expected:
        before, after = (folder / f"intent-{when}-{stack}.json" for when in ("before", "after"))
        if before.exists() and after.exists():
            intents[stack] = (_read(before, Intended), _read(after, Intended))
    findings = {
        stack: verify_findings(folder / f"verify-{stack}.json")
        for stack in expected
        if (folder / f"verify-{stack}.json").exists()
    }
    return comment.comment(expected, plans, intents, findings, run=_run())


def verify_findings(path: Path) -> list[str]:
    """Return what `fed verify --json` found different from the intent, a line each.

    Raises:
        QuestionError: when the file is something else; "nothing found" must not be read out of it.
    """
    try:
        findings = json.loads(path.read_text())["findings"]
        return [f"{finding['what']} (cause: {finding['where']})" for finding in findings]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise QuestionError(f"{path} is not what `fed verify --json` prints: {error!r}") from error


def comment_on(number: int, text: str) -> str:
    """Create or update the comment of a pull request; return its address."""
    return GitHub.from_environment().write_comment(number, comment.MARKER, text)


def deployed_commit(stack: str) -> str:
    """Return the commit that `stack` was last deployed from; empty when it never was."""
    return GitHub.from_environment().deployed_commit(stack) or ""


def report_drift(folder: Path, jobs: str) -> str:
    """Open, update or close the one issue about drift, from the plans ``drift-<stack>.json`` in `folder`.

    A stack without a plan was never deployed, unless a job did not end in success: then it is named, for
    nobody knows whether it drifted.

    Raises:
        QuestionError: when there is no such folder.
        RefusedError: when the jobs did not end in success though no plan says why; the issue stays as it is.
    """
    _require_folder(folder)
    github = GitHub.from_environment()
    plans = [_read(path, Plan) for path in sorted(folder.glob("drift-*.json"))]
    drifted = [plan for plan in plans if plan.changes or plan.errors]
    unknown = [] if jobs == "success" else _without_plan(plans)
    if not drifted and jobs != "success":
        raise RefusedError(
            f"The jobs that look for drift ended in {jobs} and left no plan {_of(unknown)}: "
            "whether there is drift, nobody knows. The issue stays as it is; see the jobs' logs."
        )
    if not drifted:
        where = github.close_issue(DRIFT, "Azure is again what was deployed.")
        return f"No drift. Closed {where}." if where else "No drift."
    names = ", ".join(plan.stack for plan in drifted)
    lines = [
        "Azure is not what was deployed. What `up` from the deployed commit would do to fix it:",
        *(comment.summary(plan) for plan in drifted),
        *_unknown(unknown, jobs),
        "What to do: docs/runbook.md, Drift. This text is updated every night, and the issue closed when the "
        "difference is gone.",
    ]
    if run := _run():
        lines.append(f"<sub>[The run]({run})</sub>")
    return github.write_issue(DRIFT, f"Drift: {names}", "\n\n".join(lines))


def _without_plan(plans: Sequence[Plan]) -> list[str]:
    return [stack for stack in STACKS if stack not in {plan.stack for plan in plans}]


def _of(unknown: Sequence[str]) -> str:
    return f"of {', '.join(unknown)}" if unknown else "with a difference"


def _unknown(stacks: Sequence[str], jobs: str) -> list[str]:
    if not stacks:
        return []
    return [
        f"**No plan of {', '.join(stacks)}.** The jobs ended in {jobs}: a stack named here was never "
        "deployed, or its job broke before it compared, and then it may have drifted unseen. See the logs."
    ]


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise QuestionError(
            f"There is no folder {folder}. It holds what the jobs left; nothing is read out of its absence, "
            "and nothing was written on GitHub. If they left nothing, make an empty one."
        )


def check_promotable(commit: str, upto: str) -> None:
    """Let a commit through that dev runs, whose images were scanned, and whose pins went the way up.

    Raises:
        QuestionError: when `commit` is no full commit, which GitHub would read as "any".
        RefusedError: with what is missing.
    """
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise QuestionError(
            f"{commit!r} is no full commit of 40 hex digits, by which a run is known: git rev-parse HEAD."
        )
    if not GitHub.from_environment().ended_well(MAIN_WORKFLOW, commit):
        raise RefusedError(
            f"No run of Main ended well for {commit}: dev does not run it, or a scanner refused an image. "
            "Let that run end, then start this one again."
        )
    if upto == "prod":
        pins.require_tried(pins.pinned("prod"))


def git_commit() -> str:
    """Return the commit of the working tree."""
    return _git("rev-parse", "HEAD").strip()


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 the user's own git
            ["git", *arguments],  # noqa: S607
            cwd=paths.REPOSITORY,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError:
        raise FedError("there is no git here: what a change reaches is asked of it.") from None
    if done.returncode:
        raise QuestionError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _run() -> str | None:
    if "GITHUB_RUN_ID" not in os.environ:
        return None
    return "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}".format_map(os.environ)


def _write(path: Path, content: BaseModel) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise QuestionError(
            f"{path} cannot be written: {error.strerror}. The next step would not find it; name a file in a "
            "folder that you may write to."
        ) from error


def _read(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(path.read_text())
    except (OSError, ValueError) as error:
        raise QuestionError(f"{path} is no {model.__name__.lower()} of fed: {error}") from error
