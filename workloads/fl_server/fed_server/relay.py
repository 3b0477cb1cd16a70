"""The workflow `cyclic`: the model goes from hospital to hospital, and each improves what the one before
made.

NVFlare's controller, with answers that are judged: one that does not count changes nothing, and the next
hospital gets the model as it was.
"""

from typing import Any

from nvflare.apis.controller_spec import ClientTask, Task
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.model import ModelLearnableKey
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType
from nvflare.app_common.workflows.cyclic_ctl import CyclicController
from nvflare.private.fed.server.server_runner import ServerRunner

from fed_server.answers import AIRLOCK, ANSWER, REFUSAL, Answer, AnswerRefusedError, error_text
from fed_server.paths import ALLOWED
from fed_server.plan import Plan
from fed_server.rounds import counted_patients, judged

TASK_SECONDS = 660
"""How long a hospital may take: its box has 600 seconds (fed_site/box_executor.py)."""
ASSIGNED_SECONDS = 10
"""After so long a hospital that does not ask for its task is passed over."""


class JudgedRelay(CyclicController):  # type: ignore[misc]  # nvflare has no types
    """Rounds from `first_round`, in each of which every hospital trains once, one after another."""

    def __init__(self, first_round: int, num_rounds: int, allowed: str = str(ALLOWED)):
        super().__init__(
            num_rounds=num_rounds,
            task_assignment_timeout=ASSIGNED_SECONDS,
            task_check_period=0.1,
            snapshot_every_n_rounds=0,
        )
        self._start_round = first_round
        self._end_round = first_round + num_rounds
        self._allowed = allowed
        self._counted = 0

    def start_controller(self, fl_ctx: FLContext) -> None:
        """No hospital's return code ends the job by itself, as in JudgedRounds."""
        ServerRunner.ABORT_RETURN_CODES = []
        self._plan = Plan.of(fl_ctx)
        super().start_controller(fl_ctx)

    def relay_and_wait(self, task: Task, fl_ctx: FLContext, **how: Any) -> None:
        """See Controller: with the events of a round around it, and an end to waiting."""
        self._counted = 0
        self.fire_event(AppEventType.ROUND_STARTED, fl_ctx)
        super().relay_and_wait(task=task, fl_ctx=fl_ctx, task_result_timeout=TASK_SECONDS, **how)
        self.fire_event(AppEventType.AFTER_AGGREGATION, fl_ctx)
        if self._counted < self._plan.minimum_sites and not how["abort_signal"].triggered:
            self.system_panic(
                f"round {self._current_round}: {self._counted} of {self._plan.minimum_sites} hospitals needed"
                " gave a usable answer",
                fl_ctx,
            )

    def _process_result(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        site, result = client_task.client.name, client_task.result
        try:
            answer = self._judged(site, result)
        except Exception as error:  # hostile content may fail in any way; none of it may reach NVFlare's loop
            known = isinstance(error, AnswerRefusedError)
            reason = str(error) if known else f"it cannot be read: {type(error).__name__}"
            self.log_warning(fl_ctx, f"the answer of {site} is dropped: {reason}")
            fl_ctx.set_prop(REFUSAL, reason, private=True, sticky=False)
        else:
            self._counted += 1
            self._improve(answer, client_task.task, fl_ctx)
            fl_ctx.set_prop(ANSWER, answer, private=True, sticky=False)
        fl_ctx.set_prop(AppConstants.TRAINING_RESULT, result, private=True, sticky=False)
        self.fire_event(AppEventType.AFTER_CONTRIBUTION_ACCEPT, fl_ctx)

    def _judged(self, site: str, result: Any) -> Answer:
        code = result.get_return_code()
        if code and code != ReturnCode.OK:
            raise AnswerRefusedError(error_text(code, result.get_header(AIRLOCK)))
        rows = counted_patients(self._allowed, self._plan.files).get(site)
        return judged(result, self._last_learnable[ModelLearnableKey.WEIGHTS], self._plan, rows)

    def _improve(self, answer: Answer, task: Task, fl_ctx: FLContext) -> None:
        """Add the difference to the model, and give that to the next hospital."""
        model = self._last_learnable[ModelLearnableKey.WEIGHTS]
        for name, array in answer.update.items():
            model[name] = (model[name] + array).astype(model[name].dtype)
        task.data = self.shareable_generator.learnable_to_shareable(self._last_learnable, fl_ctx)
        task.data.set_header(AppConstants.CURRENT_ROUND, self._current_round)
        task.data.set_header(AppConstants.NUM_ROUNDS, self._num_rounds)
        task.data.add_cookie(AppConstants.CONTRIBUTION_ROUND, self._current_round)
