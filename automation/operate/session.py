"""What the commands `train` and `jobs` do: opens the stack, talks to its centre, shows the answers."""

import sys

from rich.text import Text

from automation.operate import centre as centres
from automation.operate import models, reference, training
from automation.operate.machines import Centre
from automation.stacks import deploy
from automation.stacks.target import Target
from automation.ui.console import say, show, show_json, stderr, warn
from automation.ui.options import On
from automation.ui.outcome import FedError, RefusedError
from emulator.datacentre.control import Datacentre
from workloads.container_server.container_server import questions
from workloads.container_server.container_server.answers import WholeJob


def train(
    stack: str,
    on: On,
    *,
    account: str | None = None,
    job: str,
    rounds: int | None,
    parameters: tuple[str, ...],
    watch: str | None,
    resume: str | None,
    as_json: bool,
) -> None:
    """Run a job with what it needs, or watch or resume one, and show how it ended."""
    reached = centres.reach(stack, on, account)
    centre = reached.centre
    if watch is not None:
        job_id = watch
    elif resume is not None:
        job_id = str(centre.ask(questions.Resume(id=resume, by=reached.by()))["id"])
    else:
        by = reached.by()
        for needed in training.run_first(centre, job, rounds, parameters):
            training.check(_watch(centre, training.submit(centre, needed, None, (), by), wanted_by=job))
        job_id = training.submit(centre, job, rounds, parameters, by)
    _show_end(_watch(centre, job_id), as_json=as_json)


def evaluate(
    stack: str, on: On, account: str | None = None, *, name: str, version: str | None, as_json: bool
) -> None:
    """Have every hospital measure a version of a model, or the champion, and show what they found."""
    reached = centres.reach(stack, on, account)
    centre = reached.centre
    row = models.chosen(models.listing(centre, name), name, version)
    asked = questions.Evaluate(name=name, version=row["version"], by=reached.by())
    job_id = str(centre.ask(asked)["id"])
    _show_end(_watch(centre, job_id), as_json=as_json)


def _show_end(answer: WholeJob, *, as_json: bool) -> None:
    """Show how a job ended; raise RefusedError where it failed, or its model fails its gates."""
    if as_json:
        show_json(answer)
    elif answer.get("hospitals"):
        pooled = reference.pooled(tuple(answer["hospitals"])) if answer["job"] == "heart" else None
        show(training.table(answer, pooled))
        if answer.get("model_version"):
            say(f"registered in MLflow as version {answer['model_version']}")
    for remark in training.remarks(answer):
        warn(remark)
    training.check(answer)


def watch(stack: str, on: On, job_id: str, account: str | None = None) -> None:
    """Follow a job to its end; raise RefusedError when it failed."""
    answer = _watch(_centre(stack, on, account), job_id)
    for remark in training.remarks(answer):
        warn(remark)
    training.check(answer)


def whole_id(stack: str, on: On, job_id: str, account: str | None = None) -> str:
    """Return a job's id of which the beginning is given; raise as the centre refuses it."""
    return str(_centre(stack, on, account).ask(questions.ShowResult(id=job_id))["id"])


def job_log(stack: str, on: On, job_id: str, account: str | None = None) -> None:
    """Show a job's end and what the hospitals said to it."""
    answer = _centre(stack, on, account).ask(questions.ShowResult(id=job_id))
    lines = [training.sentence(answer), *([answer["reason"]] if answer.get("reason") else [])]
    show(Text("\n".join([*lines, *training.remarks(answer)])))


def jobs(stack: str, on: On, account: str | None = None, *, as_json: bool) -> None:
    """Show all jobs."""
    found = _centre(stack, on, account).ask(questions.ListJobs())["jobs"]
    if as_json:
        show_json({"stack": stack, "on": on, "jobs": found})
    else:
        show(training.listing(found))


def show_job(stack: str, on: On, job_id: str, account: str | None = None, *, as_json: bool) -> None:
    """Show what a job asks of the hospitals, and what each says to it."""
    answer = _centre(stack, on, account).ask(questions.Show(id=job_id))
    if as_json:
        show_json(answer)
    else:
        show(Text("\n".join(training.request(answer))))


def abort(stack: str, on: On, job_id: str, account: str | None = None) -> None:
    """Stop a job."""
    reached = centres.reach(stack, on, account)
    answer = reached.centre.ask(questions.Abort(id=job_id, by=reached.by()))
    say(f"{answer['job']} {answer['id'][:8]} is being stopped")


def name_running_jobs(target: Target) -> None:
    """Say which jobs end when the stack is taken down; where they cannot be asked for, say that."""
    if target.emulator and Datacentre.running(target.emulator) is None:
        return
    try:
        outputs = deploy.outputs(target)
    except RefusedError:
        return  # nothing is deployed
    try:
        found = centres.of(target, outputs).centre.ask(questions.ListJobs())["jobs"]
    except FedError as silent:
        say(f"whether a job runs cannot be known: {silent}")
        return
    for job in found:
        if job["state"] not in training.OVER:
            say(f"{training.sentence(job)}: it ends with the stack")


def _centre(stack: str, on: On, account: str | None) -> Centre:
    return centres.reach(stack, on, account).centre


def _watch(centre: Centre, job_id: str, wanted_by: str | None = None) -> WholeJob:
    """Follow a job to its end, showing each change; Ctrl-C leaves it running.

    `wanted_by` is the job that is to be submitted when this one has ended.
    """
    said, answer = "", None  # type: tuple[str, WholeJob | None]
    try:
        with stderr.status(f"job {job_id[:8]}") as status:
            for answer in training.follow(centre, job_id, warn):
                sentence = training.sentence(answer)
                status.update(Text(sentence, style="red" if answer.get("dropped") else ""))
                if sentence != said and not stderr.is_terminal:
                    say(sentence)
                said = sentence
    except KeyboardInterrupt:
        say(f"job {job_id} goes on. To watch it again: ./fed train --follow {job_id}")
        if wanted_by:
            say(f"{wanted_by}, which needs it, was not submitted: say it again to run both")
        sys.exit(130)
    if answer is None:
        raise FedError(f"the centre said nothing of job {job_id}")
    if stderr.is_terminal:
        say(said)
    return answer
