"""Submits jobs to the centre, follows them, and says how they ended."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.table import Table

from automation.operate.machines import Centre
from automation.operate.manifest import describe
from automation.ui.outcome import FedError, QuestionError, RefusedError
from workloads.container_server.container_server import questions
from workloads.container_server.container_server.answers import Asked, Job, WholeJob
from workloads.fl_client.fed_site.manifest import Manifest, UnreadableManifestError

POLL_SECONDS = 1.0
PATIENCE, PAUSE = 120.0, 5.0
"""Seconds for which a centre that does not answer is asked again, and between two such questions."""
REST = 1.5
"""How long to leave the centre's VM to others after a question, in times of what the question took.

On Azure a run command takes 20 seconds at least, and a VM runs one at a time.
"""
OVER = frozenset({"finished", "failed", "aborted"})
MOST_COLUMNS = 6
"""Metrics of a table."""


def run_first(centre: Centre, job: str, rounds: int | None, parameters: tuple[str, ...]) -> list[str]:
    """Return the jobs that have to run before this one; raise QuestionError or RefusedError for a mistake."""
    checked = centre.ask(questions.Check(job=job, rounds=rounds, param=_named(parameters)))
    return [str(name) for name in checked["run_first"]]


def submit(centre: Centre, job: str, rounds: int | None, parameters: tuple[str, ...], by: str) -> str:
    """Submit a job in somebody's name (`by`) and return its id; raise QuestionError or RefusedError when the
    centre refuses it.
    """
    asked = questions.Submit(job=job, rounds=rounds, param=_named(parameters), by=by)
    return str(centre.ask(asked)["id"])


def _named(parameters: tuple[str, ...]) -> dict[str, str]:
    for parameter in parameters:
        if "=" not in parameter:
            raise QuestionError(f"--param {parameter}: expected NAME=VALUE")
    return dict(parameter.split("=", 1) for parameter in parameters)


def follow(centre: Centre, job_id: str, tell: Callable[[str], None]) -> Iterator[WholeJob]:
    """Yield what the centre says of a job until it is over.

    A centre that does not answer is asked again for `PATIENCE` seconds, which `tell` is told: the job goes on
    meanwhile. Raises FedError after that, RefusedError or QuestionError at once, as `Centre.ask`.
    """
    silent_since: float | None = None
    while True:
        began = time.monotonic()
        try:
            answer = centre.ask(questions.ShowResult(id=job_id))
        except (RefusedError, QuestionError):
            raise
        except FedError as silent:
            silent_since = began if silent_since is None else silent_since
            if began - silent_since > PATIENCE:
                raise
            tell(f"{silent}. Job {job_id[:8]} is asked for again")
            time.sleep(PAUSE)
            continue
        silent_since = None
        took = time.monotonic() - began
        yield answer
        if answer["state"] in OVER:
            return
        time.sleep(max(POLL_SECONDS, took * REST))


def check(answer: WholeJob) -> None:
    """Raise RefusedError when a job did not finish, or finished without passing its quality gates."""
    if answer["state"] != "finished":
        raise RefusedError(
            f"job {answer['id'][:8]} ({answer['job']}) is {answer['state']}: "
            f"{answer.get('reason', 'no reason was given')}"
        )
    gates = answer.get("gates") or {}
    if not gates.get("passed", True):
        measured = answer.get("evaluates")
        what = f"version {measured}" if measured else "its model was not registered, since it"
        raise RefusedError(
            f"job {answer['id'][:8]} finished, but {what} fails its quality gates:\n  "
            + "\n  ".join(gates["verdicts"])
        )


def sentence(answer: Job) -> str:
    """Return one line on a job that runs."""
    heard = ", ".join(
        f"{name} {row['auc']:.3f}" for name, row in answer.get("hospitals", {}).items() if "auc" in row
    )
    rounds = f"round {answer['round']} of {answer['rounds']}" if answer.get("rounds") else answer["state"]
    if answer["state"] in ("queued", "waiting"):
        rounds = f"{answer['state']}{': ' if answer.get('reason') else ''}{answer.get('reason', '')}"
    dropped = ", ".join(answer.get("dropped", []))
    return (
        f"{_job(answer)} {answer['id'][:8]}: {rounds}"
        + (f"; AUC {heard}" if heard else "")
        + (f"; answers dropped of {dropped}" if dropped else "")
        + "".join(f"; {words}" for words in _withdrawn(answer))
    )


def _job(answer: Job) -> str:
    version = answer.get("evaluates")
    return f"{answer['job']} (measures version {version})" if version else str(answer["job"])


def remarks(answer: WholeJob) -> Iterator[str]:
    """Yield a line for each hospital whose answers did not count, and for what it could not compute."""
    for name, row in answer.get("hospitals", {}).items():
        if dropped := row.get("dropped"):
            rounds = ", ".join(map(str, dropped["rounds"]))
            yield f"{name}: its answer was dropped in round {rounds}; {dropped['reason']}"
        for metric, reason in row.get("blank", {}).items():
            yield f"{name}: no {metric}: {reason}"
    for metric, taken in answer.get("renamed", {}).items():
        yield f"MLflow takes no metric named {metric!r}: it is {taken!r} there"
    if trouble := answer.get("tracking_error"):
        yield f"not everything was recorded: {trouble}"


def _withdrawn(answer: Job) -> Iterator[str]:
    """Yield who no longer approves a job that runs, and why."""
    yield from (f"{name} ends it there: {why}" for name, why in answer.get("withdrawn", {}).items())


def _table_of_any(answer: WholeJob) -> Table:
    """Return the result of a job with other metrics than a classifier's: those that it has, at most six."""
    hospitals, whole = answer.get("hospitals", {}), answer.get("global", {})
    found = {name for row in hospitals.values() for name, value in row.items() if isinstance(value, float)}
    metrics = sorted(found - {"n_train", "n_test"})[:MOST_COLUMNS]
    result = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("model", "patients", *metrics, "rounds missed"):
        result.add_column(heading, justify="left" if heading == "model" else "right")
    for name, row in hospitals.items():
        result.add_row(
            f"federated, at {name}",
            f"{row.get('n_train', 0):.0f} + {row.get('n_test', 0):.0f}",
            *(_number(row.get(metric)) for metric in metrics),
            ", ".join(map(str, row.get("missed", []))) or "none",
        )
    result.add_row(
        "federated, mean of hospitals", "", *(_number(whole.get(f"mean_{metric}")) for metric in metrics), ""
    )
    return result


def table(answer: WholeJob, pooled: Mapping[str, float] | None) -> Table:
    """Return the result of a training run: federated against own-only, hospital by hospital.

    `pooled` are the metrics of a run on all rows at once, on the operator's side: possible with the public
    demonstration data only, and labelled so.
    """
    if not any("auc" in row for row in answer.get("hospitals", {}).values()):
        return _table_of_any(answer)
    result = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("model", "patients", "AUC", "own-only AUC", "gain", "accuracy", "Brier", "rounds missed"):
        result.add_column(heading, justify="left" if heading == "model" else "right")
    for name, row in answer.get("hospitals", {}).items():
        auc, own = row.get("auc"), row.get("own_auc")
        result.add_row(
            f"federated, at {name}",
            f"{row.get('n_train', 0):.0f} + {row.get('n_test', 0):.0f}",
            _number(auc),
            _number(own),
            f"{auc - own:+.3f}" if auc is not None and own is not None else "",
            _number(row.get("accuracy")),
            _number(row.get("brier")),
            ", ".join(map(str, row.get("missed", []))) or "none",
        )
    whole = answer.get("global", {})
    own, site, gain = (
        whole.get(name) for name in ("mean_own_only_auc", "mean_site_auc", "mean_site_auc_gain")
    )
    if site is not None:
        signed = "" if gain is None else f"{gain:+.3f}"
        result.add_row("federated, mean of hospitals", "", _number(site), _number(own), signed, "", "", "")
    # The federation knows scores as histograms, so it can only say how good the ranking is at least.
    lower = whole.get("auc_lower")
    result.add_row(
        "federated, all hospitals' patients",
        "",
        f"at least {lower:.3f}" if lower is not None else _number(whole.get("auc")),
        "",
        "",
        _number(whole.get("accuracy")),
        _number(whole.get("brier")),
        "",
    )
    if pooled:
        result.add_row(
            "pooled (reference, public data, never inside the federation)",
            "",
            _number(pooled.get("auc")),
            "",
            "",
            _number(pooled.get("accuracy")),
            _number(pooled.get("brier")),
            "",
        )
    return result


def listing(jobs: list[Job]) -> Table:
    """Return the jobs as a table, newest first."""
    result = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("id", "job", "state", "round", "submitted", "reason"):
        result.add_column(heading, overflow="fold")
    for job in jobs:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job["submitted"]))
        rounds = f"{job['round']} of {job['rounds']}" if job.get("rounds") else ""
        without = f"answers dropped of {', '.join(job['dropped'])}" if job.get("dropped") else ""
        remark = "; ".join(part for part in (job.get("reason", ""), without, *_withdrawn(job)) if part)
        result.add_row(job["id"], _job(job), job["state"], rounds, when, remark)
    return result


def request(answer: Asked) -> Iterator[str]:
    """Yield what a job asks of the hospitals, and what each says to it, in lines."""
    yield f"job {answer['id']}, {answer['state']}" + (f": {answer['reason']}" if answer.get("reason") else "")
    if answer.get("manifest") is None:
        yield "  it has no manifest: it is of an earlier version"
        return
    yield from _asked(answer["manifest"])
    yield f"  code       {answer['code']}"
    for name in answer["approved"]:
        yield f"  {name:<20} approves it"
    for name, why in answer["refused"].items():
        yield f"  {name:<20} refuses it: {why}"
    for name, since in answer["waits"].items():
        asked = f"since {_moment(since)}" if since else "and has not read the question yet"
        yield f"  {name:<20} has not answered, {asked}"
    if runs_at := answer.get("runs_at"):
        yield f"  it was started at {', '.join(runs_at)}"
    if until := answer.get("until"):
        yield f"  it waits until {_moment(until)}"


def _asked(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield a manifest in words; what the centre's answer has no room for is not in its form any more."""
    try:
        yield from describe(Manifest.read(json.dumps(manifest).encode()))
    except UnreadableManifestError:
        yield "  its manifest is too long to be shown here: each hospital has it whole"


def _moment(unix: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(unix))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
