"""Previews for the workflows: a plan is kept also when the preview failed, and drift is a plan after a
refresh.
"""

import json
from pathlib import Path

from pulumi.automation import OnEvent, PreviewResult

from automation.delivery.steps import keep_plan, read_plan
from automation.stacks import deploy, operation
from automation.stacks.plan import Plan, read
from automation.stacks.target import Target, open_target
from automation.ui.options import On
from automation.ui.outcome import Code, FedError, QuestionError, RefusedError
from federation.violations import SettingsError


def plan(name: str, on: On, out: Path, *, drift: bool) -> Plan:
    """Preview a stack and keep the plan in `out` and in the run's summary, whatever becomes of the preview.

    With `drift`, Azure is read first, so that the plan is what would bring it back to what was deployed.

    Raises:
        FedError, SettingsError: what the preview raised, once its words are kept.
    """
    try:
        target = open_target(name, on)
        found = _refreshed(target) if drift else deploy.preview(target)
    except (FedError, SettingsError) as error:
        _keep_failure(Plan(stack=name, target=on, errors=(str(error),)), out, error)
        raise
    keep_plan(found, out)
    return found


def read_approved(expect: Path, out: Path) -> Plan:
    """Return the plan that a person approved; to be read before the new one is written.

    Raises:
        QuestionError: when the file is no plan, or the new plan would be written over it.
    """
    approved = read_plan(expect)
    if out.exists() and out.samefile(expect):
        raise QuestionError(
            f"--out and --expect are one file, {expect}: the new plan would replace the approved one, and "
            "nobody could tell any more what was approved. Give --out another name."
        )
    return approved


def require_approved(found: Plan, approved: Plan) -> None:
    """Refuse a plan that is not, line by line, the one that a person approved.

    Raises:
        RefusedError: with the lines that differ.
    """
    differences = approved.differences(found)
    if differences:
        raise RefusedError(
            f"The plan of {found.stack} differs from what was approved, so nothing was deployed. Something "
            "changed in between; run it again and look at the new plan.\n  " + "\n  ".join(differences)
        )


def unlock(name: str, on: On) -> None:
    """Take the lock of a stack from a run that was cancelled. It stops nobody: be sure that none is going.

    Raises:
        RefusedError: when there is no such stack.
    """
    stack = open_target(name, on).existing_stack()
    if stack is None:
        raise RefusedError(f"there is no stack {name} there, so no lock either")
    stack.cancel()


def exit_code(found: Plan, *, drift: bool) -> Code:
    """Return what a plan means for the step: drift is a no, a change that was asked for is not."""
    return Code.NO if drift and found.changes else Code.DONE


def _keep_failure(failed: Plan, out: Path, why: Exception) -> None:
    """Keep what a failed preview said; where that fails too, tell both."""
    try:
        keep_plan(failed, out)
    except FedError as unwritten:
        raise FedError(f"{why}\n{unwritten}") from why


def _refreshed(target: Target) -> Plan:
    stack = target.stack()

    def run(on_event: OnEvent) -> PreviewResult:
        return stack.preview(on_event=on_event, json=True, refresh=True, color="never")

    result, record = operation.run(target, f"comparing {target.name} with what is there", run)
    return read(target.name, target.on, json.loads(result.stdout), unchanged=record.unchanged())
