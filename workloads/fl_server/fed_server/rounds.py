"""The server's half of averaging in rounds: NVFlare's scatter and gather, with answers that are judged.

One hospital must not hurt the others. An answer that is refused (answers.py), or that is an error, counts as
none: the round waits for another in its place and goes on with the rest as long as the job's minimum stands.
Below the minimum the job ends, naming who was refused and why.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nvflare.apis.controller_spec import ClientTask, Task
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import ReservedKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.bcast_manager import _KEY_MIN_RESPS
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.aggregator import Aggregator
from nvflare.app_common.abstract.model import ModelLearnableKey
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.workflows.scatter_and_gather import ScatterAndGather
from nvflare.private.fed.server.server_runner import ServerRunner

from fed_server import combining
from fed_server.answers import (
    AIRLOCK,
    ANSWER,
    METRICS,
    REFUSAL,
    Answer,
    AnswerRefusedError,
    Expected,
    error_text,
    printable,
    read,
    read_sent,
)
from fed_server.binary_classifier import SHARES
from fed_server.files import read_json
from fed_server.model import Arrays
from fed_server.paths import ALLOWED
from fed_server.plan import CROSS_SITE, SUM, Plan

WAIT_FOR_LATE_SECONDS = 5
"""How long a round waits for the others once `minimum_sites` have answered: a lost hospital costs this a
round.
"""
WAIT_FOR_ALL_SECONDS = 60
"""The same in a sum, which is of the same hospitals in each round."""


class JudgedRounds(ScatterAndGather):  # type: ignore[misc]  # nvflare has no types
    """A round is over when `min_clients` usable answers are in (and the wait after them), not any answers."""

    def __init__(self, start_round: int, num_rounds: int, min_clients: int):
        super().__init__(
            min_clients=min_clients,
            start_round=start_round,
            num_rounds=num_rounds,
            wait_time_after_min_received=WAIT_FOR_LATE_SECONDS,
            persistor_id="persistor",
            task_check_period=0.1,
            snapshot_every_n_rounds=0,
            # An error is an answer that does not count: the aggregator ends a job in which too few do, and
            # says why. Of NVFlare's own modes one ends it with a return code alone.
            ignore_result_error=True,
        )

    def start_controller(self, fl_ctx: FLContext) -> None:
        """In this job's process no hospital's return code ends the job by itself.

        NVFlare 2.9 stops a job for all when one client answers UNSAFE_JOB, RUN_MISMATCH or TASK_UNKNOWN
        (ServerRunner.ABORT_RETURN_CODES); here those are errors of that one hospital.
        """
        ServerRunner.ABORT_RETURN_CODES = []
        if Plan.of(fl_ctx).workflow == SUM:
            self._wait_time_after_min_received = WAIT_FOR_ALL_SECONDS
        super().start_controller(fl_ctx)

    def broadcast_and_wait(self, task: Task, fl_ctx: FLContext, **how: Any) -> None:
        """See Controller: to hospitals where the job still runs.

        NVFlare 2.9 knows when a hospital's part has ended (it withdrew, its client died), but looks at that
        only 30 seconds after a task began: each shorter round would wait for it to the end.
        """
        clients = [client.name for client in fl_ctx.get_engine().get_clients()]
        here = [name for name in clients if not self.get_client_disconnect_time(name)]
        targets = here if len(here) >= self._min_clients else None
        super().broadcast_and_wait(task=task, fl_ctx=fl_ctx, targets=targets, **how)

    def _process_train_result(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        # No public way to say that an answer does not count (NVFlare 2.9): the number waited for is raised.
        fl_ctx.set_prop(AppConstants.AGGREGATION_ACCEPTED, False, private=True, sticky=False)
        result = client_task.result
        if (code := result.get_return_code()) and code != ReturnCode.OK:
            self.aggregator.failed(client_task.client.name, error_text(code, result.get_header(AIRLOCK)))
        super()._process_train_result(client_task, fl_ctx)
        if not fl_ctx.get_prop(AppConstants.AGGREGATION_ACCEPTED):
            client_task.task.props[_KEY_MIN_RESPS] += 1


class JudgingAggregator(Aggregator):  # type: ignore[misc]  # nvflare has no types
    """Judges each answer, combines those that count as the job's plan says (combining.py).

    `allowed` is the file in which the container server says how many patients each hospital has. In the round
    that only measures the model stays as it is, whatever hospitals answer: nobody would measure it again.
    """

    def __init__(self, plan: Plan | None = None, allowed: str = str(ALLOWED)):
        super().__init__()
        self.allowed = allowed
        self._plan = plan
        self._answers: dict[str, Answer] = {}
        self._refusals: dict[str, str] = {}
        self._summed: frozenset[str] = frozenset()
        """Of the workflow `sum`: the hospitals of its first round."""
        self._sent: Arrays = {}
        self._last: Mapping[str, Answer] = {}
        """The model that was sent out last and what came back, in the workflow `cross-site`."""

    @property
    def plan(self) -> Plan:
        """Of the job that runs here. Raises RuntimeError before its start."""
        if self._plan is None:
            raise RuntimeError("the job has not started")
        return self._plan

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Read the job's plan."""
        if event_type == EventType.START_RUN:
            self._plan = Plan.of(fl_ctx)

    def accept(self, shareable: Shareable, fl_ctx: FLContext) -> bool:
        """Whether it counts; the answer or the refusal is left in the context for the tracker."""
        site = str(shareable.get_peer_prop(ReservedKey.IDENTITY_NAME, "?"))
        try:
            answer = self._judged(site, shareable, fl_ctx)
        except Exception as error:  # hostile content may fail in any way; none of it may reach NVFlare's loop
            known = isinstance(error, AnswerRefusedError)
            reason = str(error) if known else f"it cannot be read: {type(error).__name__}"
            self._refusals[site] = reason
            fl_ctx.set_prop(REFUSAL, reason, private=True, sticky=False)
            self.log_warning(fl_ctx, f"the answer of {site} is dropped: {reason}")
            return False
        self._answers[site] = answer
        fl_ctx.set_prop(ANSWER, answer, private=True, sticky=False)
        return True

    def failed(self, site: str, reason: str) -> None:
        """Take note of an error in place of an answer, which NVFlare does not hand to `accept`."""
        self._refusals[site] = reason

    def aggregate(self, fl_ctx: FLContext) -> Shareable:
        """The combined update; none, and the job ends, where fewer than the minimum answered."""
        answers, refusals = self._answers, self._refusals
        self.reset(fl_ctx)
        if len(answers) < self.plan.minimum_sites:
            self.system_panic(self._too_few(answers, refusals, fl_ctx), fl_ctx)
            return DXO(DataKind.WEIGHT_DIFF, data={"": 0.0}).to_shareable()
        if missing := self._missing(answers):
            self.system_panic(f"round {current_round(fl_ctx)}: {missing}", fl_ctx)
            return DXO(DataKind.WEIGHT_DIFF, data={"": 0.0}).to_shareable()
        model, rows = global_model(fl_ctx), counted_patients(self.allowed, self.plan.files)
        if self.plan.workflow == CROSS_SITE:
            self._sent, self._last = dict(model), answers
        if self.plan.workflow == SUM:
            kind, update = DataKind.WEIGHTS, combining.total(answers, rows)
        else:
            combine = combining.method(self.plan.aggregation, self.plan.longest)
            kind, update = DataKind.WEIGHT_DIFF, combine(answers, rows)
        if current_round(fl_ctx) == self.plan.measuring:
            update = {name: np.zeros_like(array) for name, array in update.items()}
        return DXO(
            kind, data={name: array.astype(model[name].dtype) for name, array in update.items()}
        ).to_shareable()

    def own_models(self) -> dict[str, Arrays]:
        """Hospital -> its own model: what was sent to it last and the difference that it let out."""
        return {
            site: {name: self._sent[name] + array for name, array in answer.update.items()}
            for site, answer in self._last.items()
        }

    def reset(self, fl_ctx: FLContext) -> None:
        """Forget the round."""
        self._answers, self._refusals = {}, {}

    def _judged(self, site: str, shareable: Shareable, fl_ctx: FLContext) -> Answer:
        current = current_round(fl_ctx)
        answered = shareable.get_cookie(AppConstants.CONTRIBUTION_ROUND)
        if answered != current:
            raise AnswerRefusedError(f"it is late: it answers another round than {current}")
        if site in self._answers:
            raise AnswerRefusedError("it is the second one in this round")
        if self._summed and site not in self._summed:
            raise AnswerRefusedError(
                "it missed the first round of a sum, whose rounds are of the same hospitals"
            )
        code = shareable.get_return_code()
        if code and code != ReturnCode.OK:
            raise AnswerRefusedError(error_text(code, shareable.get_header(AIRLOCK)))
        rows = counted_patients(self.allowed, self.plan.files).get(site)
        return judged(shareable, global_model(fl_ctx), self.plan, rows)

    def _missing(self, answers: Mapping[str, Answer]) -> str:
        """Of a sum: who was in its first round and is not in this one; empty for nobody.

        The difference between a sum with a hospital and one without it is that hospital's share.
        """
        if self.plan.workflow != SUM:
            return ""
        self._summed = self._summed or frozenset(answers)
        gone = ", ".join(sorted(self._summed - set(answers)))
        return gone and f"{gone} is missing, and a sum without it would show its share of the one before"

    def _too_few(self, answers: Mapping[str, Answer], refusals: Mapping[str, str], fl_ctx: FLContext) -> str:
        current = current_round(fl_ctx)
        without = {site: reason for site, reason in sorted(refusals.items()) if site not in answers}
        named = "".join(f"; {site}: {reason}" for site, reason in without.items())
        needed = self.plan.minimum_sites
        return f"round {current}: {len(answers)} of {needed} hospitals needed gave a usable answer{named}"


def judged(shareable: Shareable, model: Arrays, plan: Plan, rows: float | None) -> Answer:
    """An answer to a model that was sent, of a hospital with so many patients. Raises AnswerRefusedError."""
    expected = Expected(
        shapes={name: value.shape for name, value in model.items()},
        longest=plan.most,
        rows=rows,
        metrics=tuple(plan.needed_metrics),
        histograms=plan.histograms,
        shares=SHARES if plan.report else (),
    )
    dxo = from_shareable(shareable)
    return read(dxo.data_kind, dxo.data, dxo.meta or {}, expected)


def read_metrics(shareable: Shareable) -> Mapping[str, float]:
    """Metrics alone, of a model that is only measured. Raises AnswerRefusedError."""
    if (code := shareable.get_return_code()) != ReturnCode.OK:
        raise AnswerRefusedError(error_text(code, shareable.get_header(AIRLOCK)))
    try:
        dxo = from_shareable(shareable)
    except ValueError as error:
        raise AnswerRefusedError("it cannot be read") from error
    if dxo.data_kind != DataKind.METRICS:
        raise AnswerRefusedError(f"it is {printable(dxo.data_kind)}, expected metrics")
    return read_sent({METRICS: dxo.data}, Expected(shapes={})).metrics


def current_round(fl_ctx: FLContext) -> Any:
    """The number of the round."""
    return fl_ctx.get_prop(AppConstants.CURRENT_ROUND)


def global_model(fl_ctx: FLContext) -> Arrays:
    """The model as it was sent out last."""
    found: Arrays = fl_ctx.get_prop(AppConstants.GLOBAL_MODEL)[ModelLearnableKey.WEIGHTS]
    return found


def counted_patients(allowed: str, files: Collection[str]) -> dict[str, float]:
    """Hospital -> patients of the longest of these files (of none: of all), as its container server counted.

    Hospitals of which it could count none are not there.
    """
    content: Any = read_json(Path(allowed)) or {}
    counted = {
        site: [rows for file, rows in known.items() if not files or file in files]
        for site, known in content.get("rows", {}).items()
    }
    return {site: float(max(rows)) for site, rows in counted.items() if rows}
