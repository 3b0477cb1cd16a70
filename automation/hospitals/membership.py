"""A hospital joins or leaves: the stack file is edited, the plan shown, and deployed when asked.

A plan for one hospital may touch that hospital and the centre. If it touches anyone else, something besides
is not deployed yet; that is said, and nothing is deployed with it by the way.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import TypeAdapter, ValidationError

from automation.hospitals.address_space import next_free
from automation.hospitals.stack_file import StackFile
from automation.operate import centre as centres
from automation.operate import emulated
from automation.operate.machines import Centre
from automation.stacks import deploy
from automation.stacks import plan as plans
from automation.stacks.plan import Plan
from automation.stacks.target import Target, open_target
from automation.ui.console import say
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError, RefusedError
from clone import paths
from federation.parties import CENTRE
from federation.stack_file import stack_file
from federation.values import Cidr, Guid, HospitalName, Region
from workloads.container_server.container_server import questions

POLL_SECONDS = 5.0
#: Azure's word for a VM whose agent does not answer; the emulator's where no VM runs.
SILENT = "VMAgentStatusCommunicationError"
COLUMNS = ("hospital", "subscription", "addressSpace", "state")


def add(
    stack: str,
    on: On,
    name: str,
    *,
    subscription: str | None,
    address_space: str | None,
    location: str | None,
    machines: bool,
    yes: bool,
) -> None:
    """Enter a hospital, or take one back that has left, and show what that changes; with `yes` deploy it.

    On the emulator `machines` says whether to run its VM, too, until it is registered at the centre.

    Raises:
        QuestionError: when a new one comes without a subscription, a known one with another, or an argument
        is none that the settings take.
        SettingsError: when the settings refuse it; the file is then as it was.
        RefusedError: when the plan touches others, and so was not deployed.
    """
    _checked("NAME", HospitalName, name)
    subscription = _checked("--subscription", Guid, subscription)
    address_space = _checked("--address-space", Cidr, address_space)
    location = _checked("--location", Region, location)
    file = _stack_file(stack)
    if file.has_hospital(name):
        _go_on_with(file, name, subscription, address_space, location)
    else:
        if subscription is None:
            raise QuestionError(f"{name} is new: name its subscription with --subscription")
        entry = {
            "subscriptionId": subscription,
            "addressSpace": address_space or str(next_free(file.settings())),
        }
        file.add_hospital(name, {**entry, **({"location": location} if location else {})})
    with _edited(file):
        target = open_target(stack, on)
        plan = _show(target, name)
    if not yes:
        say(f"Nothing was deployed. Commit {file.path.name} on a branch feature-{name}, or add --yes.")
        return
    _require_only(plan, name)
    outputs = deploy.up(target, ask=False)
    if machines:
        emulated.bring_up(target, outputs)


def remove(
    stack: str,
    on: On,
    name: str,
    *,
    delete_data: str | None,
    wait_seconds: float,
    yes: bool,
) -> None:
    """Let a hospital leave and show what that changes; with `yes` revoke its certificate, then deploy.

    Its data stay unless `delete_data` is its name. Where a run that was to delete them was killed, the entry
    is gone already: the same words then delete what is left.

    Raises:
        QuestionError: when it is no member, has left already, or `delete_data` names another. RefusedError:
        when the plan touches others, a round does not end in time, or locked data are still in use.
    """
    file = _stack_file(stack)
    if delete_data not in {None, name}:
        raise QuestionError(f"--delete-data names {delete_data}, but {name} is to leave: nothing was deleted")
    if not (file.has_hospital(name) or delete_data):
        raise _unknown(file, name)
    target = open_target(stack, on)
    if not (file.has_hospital(name) or _urns(target, name)):
        raise _unknown(file, name)
    member = _is_member(target, name)
    retired = _unless_taken_out(file, name)
    if not (member or retired or _urns(target, name)):
        file.remove_hospital(name)
        file.save()
        say(f"{name} was never deployed: its entry is taken out of {file.path.name}, and nothing else to do.")
        return
    if delete_data:
        _require_left(file, name, member=member)
        if not yes and file.settings().protection.protect_data:
            kept = "\n  ".join(urn.rsplit("::", 1)[-1] for urn in _urns(target, name))
            say(f"Pulumi protects these, so no plan can be made of deleting them; --yes does it:\n  {kept}")
            return
        _take_out(file, name)
    else:
        file.set_of_hospital(name, "retired", _next_retirement(file, name, member=member))
    before = file.saved
    with _edited(file):
        if delete_data and yes:
            _unprotect(target, name)
        plan = _show(target, name)
    if not yes:
        say(f"Nothing was deployed. Commit {file.path.name} on a branch feature-{name}-leaves, or add --yes.")
        return
    _require_only(plan, name)
    if member:
        with _put_back(file, before):  # a later `fed up` must not take out who was not revoked
            drain(target, name, wait_seconds=wait_seconds)
    deploy.up(target, ask=False)
    hospital = file.settings().hospitals.get(name)
    if hospital and hospital.retired == "leaving":
        file.set_of_hospital(name, "retired", "left")
        file.save()
        deploy.up(open_target(stack, on), ask=False)


def drain(target: Target, name: str, *, wait_seconds: float) -> None:
    """Let the round under way end, then have the centre revoke the hospital's certificate.

    Raises:
        RefusedError: when the round does not end within `wait_seconds`.
        FedError: when the centre's VM cannot be asked.
    """
    centre = centres.of(target, deploy.outputs(target)).centre
    try:
        _await_round(lambda: centre.ask(questions.Status()), wait_seconds)
        centre.ask(questions.Revoke(hospital=name, reason="the hospital leaves the federation"))
    except RefusedError:
        raise
    except FedError as error:
        if target.on is On.AZURE or SILENT not in str(error):
            raise FedError(
                f"{error}. So {name} cannot be revoked, and nothing was changed.{_no_images(target)}"
            ) from error
        say(f"No VM runs on this emulator, so there is no round to wait for and nobody to revoke {name} yet.")
        return
    say(f"{name} is revoked: its certificate opens nothing any more.")


def _no_images(target: Target) -> str:
    """Return why no centre answers in a stack without images, and what helps; nothing where it has some."""
    if target.settings is None or target.settings.images.exist:
        return ""
    return (
        f"\n{target.name} pins no images yet, so nothing runs on its VMs.\n"
        f"Fix: promote some (./fed images promote {target.name}), deploy, and try again"
    )


def approve(centre: Centre, name: str) -> None:
    """Give the centre a person's yes to what a hospital asked for.

    Raises:
        QuestionError: when the centre knows no such hospital, or it has left.
        FedError: when the centre cannot be asked.
    """
    _checked("NAME", HospitalName, name)
    answer = centre.ask(questions.Approve(hospital=name))
    if answer.get("granted"):
        done = f"approved: the centre signs the request of {name} within seconds of seeing it"
    elif "granted" in answer:
        done = f"approved: {name} is let in again with the certificate that it has"
    else:
        done = f"nothing of {name} waits for a person"
    say(f"{done}. To see it: ./fed status")
    if note := answer.get("note"):
        say(str(note))


def list_hospitals(target: Target) -> list[dict[str, str]]:
    """Return a row per hospital of the stack file: what the file says, and what is deployed."""
    assert target.settings is not None  # noqa: S101 open_target checks by default
    try:
        deployed = set(deploy.outputs(target).hospitals)
    except RefusedError:
        deployed = set()
    return [
        {
            "hospital": name,
            "subscription": hospital.subscription_id,
            "addressSpace": str(hospital.address_space),
            "state": hospital.retired or ("member" if name in deployed else "not deployed"),
        }
        for name, hospital in sorted(target.settings.hospitals.items())
    ]


def _stack_file(stack: str) -> StackFile:
    return StackFile(stack_file(paths.REPOSITORY, stack))


def _unknown(file: StackFile, name: str) -> QuestionError:
    known = ", ".join(file.settings().hospitals)
    return QuestionError(f"{file.path.name} has no hospital {name}; it has {known}")


def _unless_taken_out(file: StackFile, name: str) -> str | None:
    """Return what the entry says of leaving; `left` where a run that was killed has taken it out already."""
    return file.settings().hospitals[name].retired if file.has_hospital(name) else "left"


def _take_out(file: StackFile, name: str) -> None:
    """Take the entry out, if a run that was killed has not done so."""
    if file.has_hospital(name):
        file.remove_hospital(name)


def _checked(argument: str, kind: Any, value: str | None) -> str | None:
    """Return an argument as the settings take it, when given; raises QuestionError when they would
    refuse it.
    """
    if value is None:
        return None
    try:
        return str(TypeAdapter(kind).validate_python(value))
    except ValidationError as error:
        detail = error.errors()[0]
        context = detail.get("ctx", {})
        raise QuestionError(
            f"{argument} {value!r}: {context.get('why', detail['msg'])}. Nothing was changed. "
            f"Fix: {context.get('fix', 'give another value')}."
        ) from None


def _is_member(target: Target, name: str) -> bool:
    """Whether the last deployment knows the hospital as a member, whatever the file says by now."""
    try:
        return name in deploy.outputs(target).hospitals
    except RefusedError:
        return False


def _next_retirement(file: StackFile, name: str, *, member: bool) -> str:
    """Return what the file must say next (docs/adr/0094)."""
    settings = file.settings()
    if settings.hospitals[name].retired == "left" and not member:
        raise QuestionError(f"{name} has left; its data are kept. To delete them: --delete-data {name}")
    return "leaving" if settings.protection.locks and member else "left"


def _require_left(file: StackFile, name: str, *, member: bool) -> None:
    settings = file.settings()
    if settings.protection.locks and (member or _unless_taken_out(file, name) != "left"):
        raise RefusedError(
            f"The data of {name} are locked. Let it leave first (./fed hospital remove {name} --stack "
            f"{file.stack}), then delete what is left."
        )


def _go_on_with(
    file: StackFile, name: str, subscription: str | None, address_space: str | None, location: str | None
) -> None:
    """Deploy an entry that is there already as it is; take one that has left back, data and all."""
    settings = file.settings()
    hospital = settings.hospitals[name]
    region = hospital.location or settings.location
    has = (hospital.subscription_id, str(hospital.address_space), region)
    asked = (subscription, address_space, location)
    if any(value not in {None, own} for value, own in zip(asked, has, strict=True)):
        raise QuestionError(
            f"{file.path.name} has {name} already, in {hospital.subscription_id} at {hospital.address_space} "
            f"in {region}, which cannot change: leave --subscription, --address-space and --location out."
        )
    file.unset_of_hospital(name, "retired")


@contextmanager
def _edited(file: StackFile) -> Iterator[None]:
    """Write the file; put it back when the plan cannot be made."""
    before = file.saved
    file.save()
    with _put_back(file, before):
        yield


@contextmanager
def _put_back(file: StackFile, before: str) -> Iterator[None]:
    """Let the file say what it said before when what is done meanwhile fails."""
    try:
        yield
    except BaseException:
        if file.put_back(before):
            say(f"{file.path.name} is as it was.")
        else:
            say(
                f"{file.path.name} was changed by somebody else meanwhile, so it was not put back: it still "
                "holds what this command wrote. Take that out by hand."
            )
        raise


def _show(target: Target, name: str) -> Plan:
    plan = deploy.preview(target)
    plans.show(plan, as_json=False)
    if others := strangers(plan, name):
        say(f"This also touches {', '.join(others)}: what their settings say is not deployed yet.")
    return plan


def strangers(plan: Plan, name: str) -> list[str]:
    """Who else would be touched by a plan that should be about `name` alone."""
    touched = {change.party for change in plan.changes}
    return sorted(touched - {CENTRE, name})


def _require_only(plan: Plan, name: str) -> None:
    if others := strangers(plan, name):
        raise RefusedError(
            f"The plan touches {', '.join(others)} as well, so nothing was deployed. The file keeps the "
            f"change; deploy what else is pending first, or all of it together: ./fed up {plan.stack}"
        )


def _await_round(status: Callable[[], Mapping[str, Any]], seconds: float) -> None:
    until = time.monotonic() + seconds
    began: tuple[Any, Any] | None = None
    while True:
        job = status().get("last_job") or {}
        now = (job.get("id"), job.get("round"))
        if job.get("state") != "running" or (began is not None and now != began):
            return
        if began is None:
            began = now
            say(f"Waiting for round {job.get('round')} of {job.get('rounds')} of job {job.get('id')} to end.")
        if time.monotonic() > until:
            raise RefusedError(
                f"The round did not end within {seconds:.0f} s; nothing was changed. Wait longer "
                "(--wait SECONDS), or abort the job first."
            )
        time.sleep(min(POLL_SECONDS, seconds))


def _unprotect(target: Target, name: str) -> None:
    """Take Pulumi's protection from what is the hospital's; whoever got here has typed its name twice."""
    if urns := _urns(target, name, protected=True):
        arguments = ["state", "unprotect", *urns, "--yes", "--stack", target.name]
        target.engine.run(arguments, str(target.workspace.work_dir), target.environment)


def _urns(target: Target, name: str, *, protected: bool = False) -> list[str]:
    """Return what is the hospital's own, or the protected part of it, by the state."""
    stack = target.existing_stack()
    deployment = stack.export_stack().deployment if stack else None
    provider = f"::azure-fed-{target.name}-{name}::"
    return [
        str(resource["urn"])
        for resource in (deployment or {}).get("resources") or []
        if provider in resource.get("provider", "") and (resource.get("protect") or not protected)
    ]
