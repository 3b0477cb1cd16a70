"""The server's half of averaging in rounds: NVFlare's scatter and gather, with answers that are judged.

One hospital must not hurt the others. An answer that is refused (answers.py), or that is an error, counts as
none: the round waits for another in its place and goes on with the rest as long as the job's minimum stands.
Below the minimum the job ends, naming who was refused and why.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nvflare.apis.controller_spec import ClientTask
from nvflare.apis.dxo import DXO, DataKind, from_shareable
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
    REFUSAL,
    Answer,
    AnswerRefusedError,
    Expected,
    error_text,
    read,
)
from fed_server.files import read_json
from fed_server.paths import ALLOWED


class JudgedRounds(ScatterAndGather):  # type: ignore[misc]  # nvflare has no types
    """A round is over when `min_clients` usable answers are in (and the wait after them), not any answers."""

    def start_controller(self, fl_ctx: FLContext) -> None:
        """In this job's process no hospital's return code ends the job by itself.

        NVFlare 2.9 stops a job for all when one client answers UNSAFE_JOB, RUN_MISMATCH or TASK_UNKNOWN
        (ServerRunner.ABORT_RETURN_CODES); here those are errors of that one hospital.
        """
        ServerRunner.ABORT_RETURN_CODES = []
        super().start_controller(fl_ctx)

    def _process_train_result(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        # No public way to say that an answer does not count (NVFlare 2.9): the number waited for is raised.
        fl_ctx.set_prop(AppConstants.AGGREGATION_ACCEPTED, False, private=True, sticky=False)
        super()._process_train_result(client_task, fl_ctx)
        if not fl_ctx.get_prop(AppConstants.AGGREGATION_ACCEPTED):
            client_task.task.props[_KEY_MIN_RESPS] += 1


class JudgingAggregator(Aggregator):  # type: ignore[misc]  # nvflare has no types
    """Judges each answer, combines those that count by the `method` of combining.py.

    `metrics` and `histograms` (name -> cells) are what the job cannot do without; `allowed` is the file in
    which the container server says how many patients each hospital has. In the round numbered `measuring` the
    model stays as it is, whatever hospitals answer: nobody would measure it again.
    """

    def __init__(
        self,
        method: str,
        minimum: int,
        metrics: list[str],
        histograms: dict[str, int],
        *,
        measuring: int | None = None,
        allowed: str = str(ALLOWED),
    ):
        super().__init__()
        self.method = method
        self.minimum = minimum
        self.metrics = metrics
        self.histograms = histograms
        self.measuring = measuring
        self.allowed = allowed
        self._answers: dict[str, Answer] = {}
        self._refusals: dict[str, str] = {}

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

    def aggregate(self, fl_ctx: FLContext) -> Shareable:
        """The combined update; none, and the job ends, where fewer than the minimum answered."""
        answers, refusals = self._answers, self._refusals
        self.reset(fl_ctx)
        if len(answers) < self.minimum:
            self.system_panic(self._too_few(answers, refusals, fl_ctx), fl_ctx)
            return DXO(DataKind.WEIGHT_DIFF, data={"": 0.0}).to_shareable()
        update = combining.METHODS[self.method](answers, counted_patients(self.allowed))
        if fl_ctx.get_prop(AppConstants.CURRENT_ROUND) == self.measuring:
            update = {name: np.zeros_like(array) for name, array in update.items()}
        return DXO(DataKind.WEIGHT_DIFF, data=dict(update)).to_shareable()

    def reset(self, fl_ctx: FLContext) -> None:
        """Forget the round."""
        self._answers, self._refusals = {}, {}

    def _judged(self, site: str, shareable: Shareable, fl_ctx: FLContext) -> Answer:
        current = fl_ctx.get_prop(AppConstants.CURRENT_ROUND)
        answered = shareable.get_cookie(AppConstants.CONTRIBUTION_ROUND)
        if answered != current:
            raise AnswerRefusedError(f"it is late: it answers another round than {current}")
        if site in self._answers:
            raise AnswerRefusedError("it is the second one in this round")
        code = shareable.get_return_code()
        if code and code != ReturnCode.OK:
            raise AnswerRefusedError(error_text(code, shareable.get_header(AIRLOCK)))
        model = fl_ctx.get_prop(AppConstants.GLOBAL_MODEL)[ModelLearnableKey.WEIGHTS]
        expected = Expected(
            shapes={name: value.shape for name, value in model.items()},
            rows=counted_patients(self.allowed).get(site),
            metrics=tuple(self.metrics),
            histograms=self.histograms,
        )
        dxo = from_shareable(shareable)
        return read(dxo.data_kind, dxo.data, dxo.meta or {}, expected)

    def _too_few(self, answers: Mapping[str, Answer], refusals: Mapping[str, str], fl_ctx: FLContext) -> str:
        current = fl_ctx.get_prop(AppConstants.CURRENT_ROUND)
        without = {site: reason for site, reason in sorted(refusals.items()) if site not in answers}
        named = "".join(f"; {site}: {reason}" for site, reason in without.items())
        return (
            f"round {current}: {len(answers)} of {self.minimum} hospitals needed gave a usable answer{named}"
        )


def counted_patients(allowed: str) -> dict[str, float]:
    """Hospital -> patients that its container server counted; without those of which it could count none."""
    content: Any = read_json(Path(allowed)) or {}
    return {site: float(rows) for site, rows in content.get("rows", {}).items()}
