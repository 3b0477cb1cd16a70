"""The tracker: a job's server component that records each round, judges the result and leaves it for
distribution.

A job adds it once (`job.to_server(RunTracker(request.for_tracker()), id="tracker")`) or a subclass that
computes its own metrics and files. What it writes below jobs/<job id>/:

- progress.json: state, rounds, seconds, metrics of each hospital (read by `fedctl job`);
- checkpoint.npy: the model after the last full round (read by `fedctl resume`);
- results/global/: for the centre and every hospital; results/hospitals/<name>.json: for that hospital;
  results/centre/: for the centre alone.

The round numbered r shows the model after r rounds of training, as the hospitals measured it before they
went on.
"""

import math
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nvflare.apis.dxo import from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey, ReservedKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType

from fed_server import gates, mlflow_model
from fed_server.answers import AIRLOCK, ANSWER, REFUSAL, UNSAFE_JOB, Expected, error_text, read_sent
from fed_server.contribution import Contribution
from fed_server.files import write_json
from fed_server.mlflow_model import Predictor
from fed_server.mlflow_runs import GLOBAL, JobRuns, TrackingError
from fed_server.paths import job_folder
from fed_server.sharing import for_hospitals

MODEL = "models/server.npy"
"""Where NVFlare's NPModelPersistor puts the model, below the run's folder."""


class RunTracker(FLComponent):  # type: ignore[misc]  # nvflare has no types
    """See the module. `request` is `JobRequest.for_tracker()`."""

    registers_model = True
    """Whether a run that passes its gates becomes the next version of the model named after the job."""
    needed_metrics: tuple[str, ...] = ()
    """Metrics without which a hospital's answer is worth nothing: an answer without one is dropped."""
    centre_alone: tuple[str, ...] = ()
    """Metrics of the federation that speak of one hospital: no other hospital gets them."""
    histogram_cells: Mapping[str, int] = MappingProxyType({})
    """Histograms that every answer must hold: name -> number of cells."""

    predictor: Predictor | None = None
    """How the registered model predicts; None: what is registered are bare files."""

    def __init__(self, request: dict[str, Any]):
        super().__init__()
        self.request = request
        self.asked: set[str] = set()
        """The hospitals that take part."""
        self._contributions: dict[str, Contribution] = {}
        self._dropped: dict[str, str] = {}
        """Hospital -> why its answer does not count in the present round."""
        self._left: dict[str, str] = {}
        """Hospital that ended the job at its house -> why."""
        self._round_began = 0.0
        self._reason = ""
        self._runs: JobRuns | None = None
        self._progress: dict[str, Any] = {}

    # What a job may change.

    def summarise(self, contributions: Mapping[str, Contribution]) -> dict[str, float]:
        """The federation's metrics of one round: the mean of each metric over hospitals, `mean_<metric>`."""
        names = set().union(*(entry.metrics for entry in contributions.values()))
        return {
            f"mean_{name}": sum(values) / len(values)
            for name in sorted(names - {"n_test", "n_train"})
            if (values := [entry.metrics[name] for entry in contributions.values() if name in entry.metrics])
        }

    def blank(self, metric: str, contribution: Contribution) -> str:
        """Why a hospital has no number for a metric that others have."""
        return "could not be computed there"

    def write_results(self, folder: Path, run_folder: Path) -> None:
        """Add files to results/ (`folder`) from NVFlare's run folder; the checkpoint is there already."""

    def complete(self, run_folder: Path) -> bool:
        """Whether the job did all it was asked: every round, with at least one hospital in the last."""
        return bool(self._progress["rounds_done"] >= self.request["rounds"])

    def final_metrics(self, run_folder: Path) -> dict[str, dict[str, float]]:
        """Metrics known only at the end: `global` or a hospital -> name -> value, logged to MLflow."""
        return {}

    # For a job's own use.

    def drop(self, site: str, number: int, reason: str) -> None:
        """Take note that a hospital's answer does not count in a round; what it said itself is added."""
        said = self._dropped.get(site, "")
        reason = reason if said in reason else f"{reason}: {said}"
        known = self._progress["dropped"].setdefault(site, {"rounds": []})
        known |= {"rounds": [*known["rounds"], number], "reason": reason}

    # The machinery.

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Follow the run."""
        handlers: dict[str, Callable[[FLContext], None]] = {
            EventType.START_RUN: self._start,
            AppEventType.ROUND_STARTED: self._round_started,
            EventType.BEFORE_PROCESS_SUBMISSION: self._error,
            AppEventType.AFTER_CONTRIBUTION_ACCEPT: self._contribution,
            AppEventType.AFTER_AGGREGATION: self._round_measured,
            AppEventType.AFTER_LEARNABLE_PERSIST: self._round_done,
            EventType.FATAL_SYSTEM_ERROR: self._failed,
            EventType.END_RUN: self._end,
        }
        if handler := handlers.get(event_type):
            try:
                handler(fl_ctx)
            except Exception as error:  # NVFlare swallows it: the job would end without its true reason
                self._broken(error, fl_ctx, over=event_type == EventType.END_RUN)

    def _broken(self, error: Exception, fl_ctx: FLContext, *, over: bool) -> None:
        """This component, or the job's part of it, failed: the job ends, with that as its reason."""
        self.logger.error("".join(traceback.format_exception(error)))
        reason = f"the job's own tracker failed: {type(error).__name__}: {error}"
        if over:
            self._progress |= {"state": "failed", "reason": reason}
            self._save()
        else:
            self.system_panic(reason, fl_ctx)

    def _start(self, fl_ctx: FLContext) -> None:
        self._folder = job_folder(fl_ctx.get_job_id())
        self._meet(fl_ctx)
        self._began = time.time()
        self._progress = {
            "job_id": fl_ctx.get_job_id(),
            "state": "running",
            "rounds_done": self.request["first_round"],
            "history": [],
            "dropped": {},
            "blank": {},
            "started": self._began,
            **{key: self.request[key] for key in ("job", "rounds", "first_round", "parameters")},
            **{key: self.request[key] for key in ("input_jobs", "resumed_from")},
        }
        tags = {
            **self.request["provenance"],
            "rounds": str(self.request["rounds"]),
            "resumed_from": self.request["resumed_from"],
            **{f"{name}_job": job for name, job in self.request["input_jobs"].items()},
        }
        self._runs = JobRuns(self.request["job"], fl_ctx.get_job_id(), tags)
        runs = self._runs
        parameters = {"rounds": self.request["rounds"], **self.request["parameters"]}
        self._tracked(lambda: runs.start(parameters))
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
        elif fl_ctx.get_prop(AppConstants.AGGREGATION_ACCEPTED):  # by an aggregator of NVFlare's
            self._contributions[site] = read_sent(from_shareable(result).meta or {}, Expected(shapes={}))

    def _round_measured(self, fl_ctx: FLContext) -> None:
        self._meet(fl_ctx)
        number = int(fl_ctx.get_prop(AppConstants.CURRENT_ROUND))
        silent = {**dict.fromkeys(self.asked, "no answer in time"), **self._left, **self._dropped}
        dropped = {site: why for site, why in silent.items() if site not in self._contributions}
        entry = {
            "round": number,
            "seconds": round(time.time() - self._round_began, 2),
            "sites": {name: dict(sent.metrics) for name, sent in sorted(self._contributions.items())},
            "global": _finite(self.summarise(self._contributions)) if self._contributions else {},
            **({"dropped": dropped} if dropped else {}),
        }
        for site, why in dropped.items():
            self.drop(site, number, f"round {number}: {why}")
        self._progress["blank"] = self._blanks()
        self._progress["history"].append(entry)
        self._log_round(entry)
        self._save()

    def _blanks(self) -> dict[str, dict[str, str]]:
        """Hospital -> metric that others have and it has not -> why."""
        everything = set().union(*(sent.metrics for sent in self._contributions.values()))
        found = {
            site: {name: self.blank(name, sent) for name in sorted(everything - set(sent.metrics))}
            for site, sent in self._contributions.items()
        }
        return {site: blank for site, blank in found.items() if blank}

    def _round_done(self, fl_ctx: FLContext) -> None:
        model = self._run_folder(fl_ctx) / MODEL
        if model.is_file():
            shutil.copyfile(model, self._folder / "checkpoint.new")
            (self._folder / "checkpoint.new").replace(self._folder / "checkpoint.npy")
        done = int(fl_ctx.get_prop(AppConstants.CURRENT_ROUND)) + 1
        self._progress["rounds_done"] = min(done, self.request["rounds"])
        self._save()

    def _failed(self, fl_ctx: FLContext) -> None:
        # The first reason is the true one: what fails after it fails because of it.
        self._reason = self._reason or str(
            fl_ctx.get_prop(FLContextKey.EVENT_DATA, "") or "NVFlare stopped the job"
        )

    def _end(self, fl_ctx: FLContext) -> None:
        self._meet(fl_ctx)
        signal = fl_ctx.get_prop(ReservedKey.RUN_ABORT_SIGNAL)
        if signal and signal.triggered and not self._reason:
            self._reason = "aborted"  # whatever files there are: they are of a part of the job
        finished = not self._reason and self.complete(self._run_folder(fl_ctx))
        if finished:
            self._judge(self._run_folder(fl_ctx))
        else:
            self._progress["reason"] = self._reason or "stopped before its last round"
        self._progress["state"] = "finished" if finished else "failed"
        self._progress["seconds"] = round(time.time() - self._began, 1)
        runs = self._runs
        if runs and runs.ids:
            self._tracked(lambda: runs.tag(GLOBAL, self._culprits()))
            self._tracked(lambda: runs.finish("FINISHED" if finished else "FAILED"))
        self._save()

    def _judge(self, run_folder: Path) -> None:
        results = self._folder / "results"
        (results / "global").mkdir(parents=True, exist_ok=True)
        last = self._progress["history"][-1] if self._progress["history"] else {"global": {}, "sites": {}}
        verdicts = gates.judge(self.request["gates"], last["global"], last["sites"])
        passed = all(verdict.passed for verdict in verdicts)
        self._progress["gates"] = {"passed": passed, "verdicts": [verdict.text for verdict in verdicts]}
        if (self._folder / "checkpoint.npy").is_file():
            shutil.copyfile(self._folder / "checkpoint.npy", results / "global" / "model.npy")
        self.write_results(results, run_folder)
        summary = {
            "job": self.request["job"],
            "job_id": self._progress["job_id"],
            "rounds": self.request["rounds"],
            "gates": self._progress["gates"],
            "metrics": last["global"],
            "sites": sorted(last["sites"]),
            "provenance": self.request["provenance"],
        }
        shared = for_hospitals(summary, self.centre_alone)
        write_json(results / "centre" / "metrics.json", summary)
        write_json(results / "global" / "metrics.json", shared)
        write_json(results / "centre" / "history.json", self._progress["history"])
        for site, metrics in last["sites"].items():
            write_json(results / "hospitals" / f"{site}.json", {**shared, "hospital": site, "own": metrics})
        failures = [verdict.text for verdict in verdicts if not verdict.passed]
        self._record(results, failures, self.final_metrics(run_folder))

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
        if self.predictor:
            self._tracked(partial(self._write_model, results, self.predictor, runs.ids[GLOBAL]))
            self._tracked(lambda: runs.upload(GLOBAL, results / "mlflow", "model"))
        if not failures and self._has_model(results):
            version = self._tracked(lambda: runs.register(self.request["job"], "model"))
            if version:
                self._progress["model_version"] = version

    def _write_model(self, results: Path, predictor: Predictor, run_id: str) -> None:
        package = Path(sys.modules[type(self).__module__].__file__ or "").parent
        files = sorted(path for path in (results / "global").iterdir() if path.is_file())
        try:
            mlflow_model.write(results / "mlflow", predictor, package, files, run_id)
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
        return self.registers_model and measured and (results / "global" / "model.npy").is_file()

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
