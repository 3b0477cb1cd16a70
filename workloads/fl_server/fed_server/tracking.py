"""The tracker: the server's component that records each round, judges the result and leaves it for
distribution.

What it writes below jobs/<job id>/ (plan.json and checkpoint.npz are there already):

- progress.json: state, rounds, seconds, metrics of each hospital (read by `fedctl job`);
- results/global/: for the centre and every hospital; results/hospitals/<name>.json: for that hospital;
  results/centre/: for the centre alone.

The round numbered r shows the model after r rounds of training, as the hospitals measured it before they
went on.
"""

import math
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey, ReservedKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType

from fed_server import gates, mlflow_model
from fed_server.answers import AIRLOCK, ANSWER, REFUSAL, UNSAFE_JOB, AnswerRefusedError, error_text
from fed_server.contribution import Contribution, summed
from fed_server.cross_site import FEDERATION, owner_of
from fed_server.files import write_json
from fed_server.mlflow_runs import GLOBAL, JobRuns, Status, TrackingError
from fed_server.model import Arrays, load, save
from fed_server.paths import job_folder
from fed_server.plan import CHECKPOINT, CODE, PREDICTOR, Plan
from fed_server.provenance import provenance
from fed_server.reports import report_of
from fed_server.rounds import read_metrics
from fed_server.sharing import for_hospitals

CROSS_SITE = "cross_site.json"
HISTOGRAMS = "histograms.json"
ABORTED = "aborted"


class RunTracker(FLComponent):  # type: ignore[misc]  # nvflare has no types
    """See the module. What it says of a round is the report's (report.py) that the job's plan names."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()
        """The hospitals that take part."""
        self._contributions: dict[str, Contribution] = {}
        self._dropped: dict[str, str] = {}
        """Hospital -> why its answer does not count in the present round."""
        self._left: dict[str, str] = {}
        """Hospital that ended the job at its house -> why."""
        self._measured: dict[str, dict[str, Mapping[str, float]]] = {}
        """Whose model -> at which hospital -> metrics, in the workflow `cross-site`."""
        self._round_began = 0.0
        self._reason = ""
        self._runs: JobRuns | None = None
        self._progress: dict[str, Any] = {}

    def refused(self, site: str, reason: str) -> None:
        """Take note why a workflow took no answer of a hospital's."""
        self._dropped[site] = reason

    def drop(self, site: str, number: int, reason: str) -> None:
        """Take note that a hospital's answer does not count in a round; what it said itself is added."""
        said = self._dropped.get(site, "")
        reason = reason if said in reason else f"{reason}: {said}"
        known = self._progress["dropped"].setdefault(site, {"rounds": []})
        known |= {"rounds": [*known["rounds"], number], "reason": reason}

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Follow the run."""
        handlers: dict[str, Callable[[FLContext], None]] = {
            EventType.START_RUN: self._start,
            AppEventType.ROUND_STARTED: self._round_started,
            EventType.BEFORE_PROCESS_SUBMISSION: self._error,
            AppEventType.AFTER_CONTRIBUTION_ACCEPT: self._contribution,
            AppEventType.AFTER_AGGREGATION: self._round_measured,
            AppEventType.AFTER_LEARNABLE_PERSIST: self._round_done,
            AppEventType.VALIDATION_RESULT_RECEIVED: self._validated,
            EventType.FATAL_SYSTEM_ERROR: self._failed,
            EventType.END_RUN: self._end,
        }
        if handler := handlers.get(event_type):
            try:
                handler(fl_ctx)
            except Exception as error:  # NVFlare swallows it: the job would end without its true reason
                self._broken(error, fl_ctx, over=event_type == EventType.END_RUN)

    def _broken(self, error: Exception, fl_ctx: FLContext, *, over: bool) -> None:
        """This component failed: the job ends, with that as its reason."""
        self.logger.error("".join(traceback.format_exception(error)))
        reason = f"the server's tracker failed: {type(error).__name__}: {error}"
        if over:
            self._progress |= {"state": "failed", "reason": reason}
            self._save()
        else:
            self.system_panic(reason, fl_ctx)

    def _start(self, fl_ctx: FLContext) -> None:
        self._folder = job_folder(fl_ctx.get_job_id())
        self._plan = plan = Plan.of(fl_ctx)
        self._report = report_of(plan)
        self._provenance = provenance(plan.checksum)
        self._meet(fl_ctx)
        self._began = time.time()
        self._progress = {
            "job_id": fl_ctx.get_job_id(),
            "state": "running",
            "rounds_done": plan.first_round,
            "history": [],
            "dropped": {},
            "blank": {},
            "started": self._began,
            **{key: getattr(plan, key) for key in ("job", "rounds", "first_round", "parameters")},
            **{key: getattr(plan, key) for key in ("input_jobs", "resumed_from")},
        }
        tags = {
            **self._provenance,
            "rounds": str(plan.rounds),
            "resumed_from": plan.resumed_from,
            **({"evaluates": f"{plan.job} {plan.evaluates}"} if plan.evaluates else {}),
            **{f"{name}_job": job for name, job in plan.input_jobs.items()},
        }
        self._runs = runs = JobRuns(plan.job, fl_ctx.get_job_id(), tags)
        self._tracked(lambda: runs.start({"rounds": plan.rounds, **plan.parameters}))
        if runs.ids and (self._folder / CODE).is_dir():
            self._tracked(lambda: runs.upload(GLOBAL, self._folder / CODE, CODE))
        self._save()

    def _meet(self, fl_ctx: FLContext) -> None:
        """Take note of who takes part: a hospital that is gone is remembered."""
        self.asked |= {client.name for client in fl_ctx.get_engine().get_clients()}

    def _round_started(self, fl_ctx: FLContext) -> None:
        self._contributions, self._dropped = {}, {}
        self._round_began = time.time()

    def _error(self, fl_ctx: FLContext) -> None:
        """An error in place of an answer."""
        result = fl_ctx.get_prop(FLContextKey.TASK_RESULT)
        code = result.get_return_code()
        site = fl_ctx.get_peer_context().get_identity_name()
        if code and code != ReturnCode.OK:
            kept = self._left if code == UNSAFE_JOB else self._dropped
            kept[site] = error_text(code, result.get_header(AIRLOCK))

    def _contribution(self, fl_ctx: FLContext) -> None:
        result = fl_ctx.get_prop(AppConstants.TRAINING_RESULT)
        site = (
            result.get_peer_prop("__identity_name__", None) or fl_ctx.get_peer_context().get_identity_name()
        )
        if refusal := fl_ctx.get_prop(REFUSAL):
            fl_ctx.set_prop(REFUSAL, None, private=True, sticky=False)
            self._dropped[site] = refusal
        elif answer := fl_ctx.get_prop(ANSWER):
            fl_ctx.set_prop(ANSWER, None, private=True, sticky=False)
            self._contributions[site] = answer.sent

    def _round_measured(self, fl_ctx: FLContext) -> None:
        self._meet(fl_ctx)
        number = int(fl_ctx.get_prop(AppConstants.CURRENT_ROUND))
        silent = {**dict.fromkeys(self.asked, "no answer in time"), **self._left, **self._dropped}
        dropped = {site: why for site, why in silent.items() if site not in self._contributions}
        entry = {
            "round": number,
            "seconds": round(time.time() - self._round_began, 2),
            "sites": {name: dict(sent.metrics) for name, sent in sorted(self._contributions.items())},
            "global": _finite(self._report.summarise(self._contributions)) if self._contributions else {},
            **({"dropped": dropped} if dropped else {}),
        }
        for site, why in dropped.items():
            self.drop(site, number, f"round {number}: {why}")
        self._progress["blank"] = self._blanks()
        self._progress["history"].append(entry)
        # Of the last round alone: what was measured is what is registered.
        self._progress["scores"] = {"round": number, "sites": self._report.scores(self._contributions)}
        self._log_round(entry)
        self._save()

    def _blanks(self) -> dict[str, dict[str, str]]:
        """Hospital -> metric that others have and it has not -> why."""
        everything = set().union(*(sent.metrics for sent in self._contributions.values()))
        found = {
            site: {name: self._report.blank(name, sent) for name in sorted(everything - set(sent.metrics))}
            for site, sent in self._contributions.items()
        }
        return {site: blank for site, blank in found.items() if blank}

    def _round_done(self, fl_ctx: FLContext) -> None:
        done = int(fl_ctx.get_prop(AppConstants.CURRENT_ROUND)) + 1
        self._progress["rounds_done"] = min(done, self._plan.rounds)
        self._save()

    def _validated(self, fl_ctx: FLContext) -> None:
        owner, site = owner_of(fl_ctx), str(fl_ctx.get_prop(AppConstants.DATA_CLIENT))
        try:
            if owner not in {FEDERATION, *self.asked}:
                raise AnswerRefusedError("it names a model that nobody has")
            metrics = read_metrics(fl_ctx.get_prop(AppConstants.VALIDATION_RESULT))
        except AnswerRefusedError as error:
            self.logger.warning(f"what {site} measured of the model of {owner} is dropped: {error}")
            self.drop(site, self._plan.rounds, f"what it measured of a model does not count: {error}")
            self._save()
            return
        self._measured.setdefault(owner, {})[site] = metrics

    def _failed(self, fl_ctx: FLContext) -> None:
        # The first reason is the true one: what fails after it fails because of it.
        self._reason = self._reason or str(
            fl_ctx.get_prop(FLContextKey.EVENT_DATA, "") or "NVFlare stopped the job"
        )

    def _end(self, fl_ctx: FLContext) -> None:
        self._meet(fl_ctx)
        signal = fl_ctx.get_prop(ReservedKey.RUN_ABORT_SIGNAL)
        if signal and signal.triggered and not self._reason:
            self._reason = ABORTED  # whatever files there are: they are of a part of the job
        known = self._progress
        finished = not self._reason and self._report.complete(
            known["history"], known["rounds_done"], self._run_folder(fl_ctx)
        )
        if finished:
            self._judge(self._run_folder(fl_ctx))
        else:
            self._progress["reason"] = self._reason or "stopped before its last round"
        self._progress["state"] = "finished" if finished else "failed"
        self._progress["seconds"] = round(time.time() - self._began, 1)
        runs = self._runs
        if runs and runs.ids:
            self._tracked(lambda: runs.tag(GLOBAL, self._culprits()))
            status: Status = "KILLED" if self._reason == ABORTED else "FAILED"
            self._tracked(lambda: runs.finish("FINISHED" if finished else status))
        self._save()

    def _judge(self, run_folder: Path) -> None:
        results = self._folder / "results"
        (results / "global").mkdir(parents=True, exist_ok=True)
        last = self._progress["history"][-1] if self._progress["history"] else {"global": {}, "sites": {}}
        verdicts = gates.judge(self._plan.gates, last["global"], last["sites"])
        passed = all(verdict.passed for verdict in verdicts)
        self._progress["gates"] = {"passed": passed, "verdicts": [verdict.text for verdict in verdicts]}
        arrays = load(self._folder / CHECKPOINT) if (self._folder / CHECKPOINT).is_file() else {}
        self._write_arrays(results / "global", arrays)
        in_results = self._report.write_results(results, run_folder, arrays)
        for silent in sorted(self.asked - in_results) if in_results is not None else ():
            self.drop(silent, 0, "gave no statistics in time, or none that may leave")
        if self._measured:
            write_json(results / "centre" / CROSS_SITE, self._measured)
            for silent in sorted(self.asked - set(self._measured.get(FEDERATION, {}))):
                self.drop(silent, self._plan.rounds, "did not measure the federation's model in time")
        if self._plan.histograms and self._contributions:
            counted = summed(self._contributions, self._plan.histograms)
            content = {
                "round": last["round"],
                "hospitals": sorted(self._contributions),
                "histograms": counted,
            }
            write_json(results / "centre" / HISTOGRAMS, content)
        summary = {
            "job": self._plan.job,
            "job_id": self._progress["job_id"],
            "rounds": self._plan.rounds,
            "gates": self._progress["gates"],
            "metrics": last["global"],
            "sites": sorted(last["sites"]),
            "provenance": self._provenance,
        }
        shared = for_hospitals(summary, self._report.centre_alone)
        write_json(results / "centre" / "metrics.json", summary)
        write_json(results / "global" / "metrics.json", shared)
        write_json(results / "centre" / "history.json", self._progress["history"])
        for site, metrics in last["sites"].items():
            write_json(results / "hospitals" / f"{site}.json", {**shared, "hospital": site, "own": metrics})
        failures = [verdict.text for verdict in verdicts if not verdict.passed]
        self._record(results, failures, self._report.final_metrics(run_folder))

    def _record(self, results: Path, failures: list[str], final: Mapping[str, Mapping[str, float]]) -> None:
        runs = self._runs
        if not runs or not runs.ids:
            return
        tags = {"gates": "failed" if failures else "passed", "gate_failures": "; ".join(failures)}
        self._tracked(lambda: runs.tag(GLOBAL, tags))
        for who, metrics in final.items():
            self._tracked(partial(runs.log, who, metrics, 0))
        self._tracked(lambda: runs.upload(GLOBAL, results / "global", "model"))
        self._tracked(lambda: runs.upload(GLOBAL, results / "centre", "centre"))
        if self._plan.evaluates:
            return
        if predictor := self._plan.predictor:
            self._tracked(partial(self._write_model, results, predictor, runs.ids[GLOBAL]))
            self._tracked(lambda: runs.upload(GLOBAL, results / "mlflow", "model"))
        if not failures and self._has_model(results):
            version = self._tracked(lambda: runs.register(self._plan.job, "model"))
            if version:
                self._progress["model_version"] = version

    @staticmethod
    def _write_arrays(folder: Path, arrays: Arrays) -> None:
        """model.npy of a model that is one array, model.npz of any other."""
        if len(arrays) == 1:
            np.save(folder / "model.npy", next(iter(arrays.values())))
        elif arrays:
            save(folder / "model.npz", arrays)

    def _write_model(self, results: Path, predictor: Mapping[str, Any], run_id: str) -> None:
        files = sorted(path for path in (results / "global").iterdir() if path.is_file())
        try:
            mlflow_model.write(results / "mlflow", predictor, self._folder / PREDICTOR, files, run_id)
        except (OSError, KeyError) as error:
            raise TrackingError(f"the model cannot be put into MLflow's form: {error!r}") from error

    def _culprits(self) -> dict[str, str]:
        """Tags of the federation's run: whose answers were dropped or have blanks, and why it failed."""
        tags = {f"dropped.{site}": known["reason"] for site, known in self._progress["dropped"].items()}
        for site, blank in self._progress["blank"].items():
            tags[f"blank.{site}"] = "; ".join(f"{name}: {why}" for name, why in blank.items())
        return tags | ({"reason": self._progress["reason"]} if "reason" in self._progress else {})

    def _has_model(self, results: Path) -> bool:
        """Whether there is something to register: a model, and a metric that says how good it is."""
        history = self._progress["history"]
        measured = bool(history and history[-1]["global"])
        there = any((results / "global" / f"model.{ending}").is_file() for ending in ("npy", "npz"))
        return self._report.registers_model and measured and there

    def _log_round(self, entry: Mapping[str, Any]) -> None:
        runs = self._runs
        if not runs or not runs.ids:
            return
        step = entry["round"]
        totals = {**entry["global"], "seconds": entry["seconds"], "hospitals": float(len(entry["sites"]))}
        self._tracked(lambda: runs.log(GLOBAL, totals, step))
        for site, metrics in entry["sites"].items():
            known = site in runs.ids
            self._tracked(partial(runs.log, site, metrics, step))
            if not known:
                tags = self._contributions[site].tags
                self._tracked(partial(runs.tag, site, tags))
                self._tracked(partial(self._take_in, runs, site))

    def _take_in(self, runs: JobRuns, site: str) -> None:
        context = "evaluation" if self._plan.evaluates else "training"
        runs.take_in(site, self._plan.data.get(site, {}), self._plan.data_sets, context)

    def _tracked(self, action: Callable[[], Any]) -> Any:
        """Do it; when MLflow fails, training goes on and the progress file says so."""
        try:
            return action()
        except TrackingError as error:
            self._progress["tracking_error"] = str(error)[:300]
            self.logger.error(str(error))
            return None

    def _save(self) -> None:
        self._progress["updated"] = time.time()
        if self._runs:
            self._progress["runs"] = self._runs.ids
            self._progress["renamed"] = self._runs.renamed
        write_json(self._folder / "progress.json", self._progress)

    def _run_folder(self, fl_ctx: FLContext) -> Path:
        return Path(fl_ctx.get_workspace().get_run_dir(fl_ctx.get_job_id()))


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """What could not be computed is left out: a gate on it fails and says that it was not measured."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
