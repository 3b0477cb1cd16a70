"""The client's half of a job: gives the box its task, takes its answer. No code of a job is imported here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fed_box.channel import CODE, HISTOGRAMS_KEY, PATIENT_CHANGE, ChannelError, ClosedError, Frame, LateError
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import AppConstants

from fed_site.box import BOX, START_SECONDS, Box, NoBoxError
from fed_site.box_answer import ENDED, FORM, LATE, NO_BOX, TASK, BoxAnswer, BoxError, BoxFailedError, read
from fed_site.consent import ANSWERS, Answers
from fed_site.filters import ERROR_HEADER

_ROOM = 1024 * 1024
"""Bytes that an answer may have besides the model's own arrays, in 8 bytes a number."""
Meet = Callable[[Callable[[], bool]], Box]


class BoxExecutor(Executor):  # type: ignore[misc]  # nvflare has no types
    """Hands each task to the script in the box and makes an answer of NVFlare's form from what comes back.

    `script` is a file below the job's `code`, `arguments` are its command line, `settings` what
    `flare.get_config()` gives it, and `framework` says how it has a model's parameters
    (fed_box/frameworks.py).
    """

    def __init__(
        self,
        script: str,
        arguments: list[Any] | None = None,
        settings: dict[str, Any] | None = None,
        framework: str | None = None,
    ):
        super().__init__()
        self.script = script
        self.arguments = arguments or []
        self.settings = settings or {}
        self.framework = framework
        self._box: Box | None = None
        self._failed: BoxError | None = None
        self._meet: Meet = Box.meet
        self._code: Path = BOX / CODE

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """At the end of the run nothing more is said to the box."""
        if event_type == EventType.END_RUN:
            self._close()

    def execute(
        self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal
    ) -> Shareable:
        """See Executor. A box that has failed once gets no further task: it may be anywhere."""
        try:
            if self._failed:
                raise BoxFailedError(self._failed)
            return self._answer(task_name, shareable, fl_ctx, lambda: bool(abort_signal.triggered))
        except BoxFailedError as failed:
            self._close()
            self._failed = failed.error
            self.logger.error(f"the box gave no answer to {task_name}: {failed.error}")
            reply = make_reply(ReturnCode.EXECUTION_EXCEPTION)
            reply.set_header(ERROR_HEADER, vars(failed.error))
            return reply

    def _answer(
        self, task_name: str, shareable: Shareable, fl_ctx: FLContext, stop: Callable[[], bool]
    ) -> Shareable:
        task = _task(task_name, shareable)
        seconds = Answers.read(ANSWERS).rules.limits.seconds  # at each task: the officers may change it
        box = self._box = self._box or self._met(fl_ctx, stop)
        try:
            _hand(box, task, seconds)
            largest = 8 * sum(array.size for array in task.arrays.values()) + _ROOM
            answer = read(box.receive(seconds, stop, largest), _lines(self._code))
        except LateError as error:
            raise BoxFailedError(LATE) from error
        except ClosedError as error:
            raise BoxFailedError(ENDED) from error
        except ChannelError as error:
            self.logger.error(f"what the box says is not taken: {error}")
            raise BoxFailedError(FORM) from error
        result: Shareable = _dxo(answer).to_shareable()
        return result

    def _met(self, fl_ctx: FLContext, stop: Callable[[], bool]) -> Box:
        start = {
            "job": str(fl_ctx.get_job_id()),
            "site": str(fl_ctx.get_identity_name()),
            "script": self.script,
            "arguments": self.arguments,
            "settings": self.settings,
            "framework": self.framework,
        }
        try:
            box = self._meet(stop)
            box.send(Frame(kind="start", values=start), START_SECONDS)
        except (NoBoxError, ChannelError) as error:
            self.logger.error(f"there is no box: {error}")
            raise BoxFailedError(NO_BOX) from error
        return box

    def _close(self) -> None:
        if self._box:
            self._box.close()
            self._box = None


def _hand(box: Box, task: Frame, seconds: float) -> None:
    """Give the box a task. Raises BoxFailedError for one that the channel does not carry, LateError."""
    try:
        box.send(task, seconds)
    except ClosedError:
        pass  # it may have said why before it went
    except LateError:
        raise
    except ChannelError as error:
        raise BoxFailedError(TASK) from error


def _task(task_name: str, shareable: Shareable) -> Frame:
    model = from_shareable(shareable)
    values = {
        "task": task_name,
        "round": shareable.get_header(AppConstants.CURRENT_ROUND),
        "rounds": shareable.get_header(AppConstants.NUM_ROUNDS),
    }
    return Frame(kind="task", values=values, arrays={n: np.asarray(a) for n, a in model.data.items()})


def _dxo(answer: BoxAnswer) -> DXO:
    if answer.params is None:
        return DXO(DataKind.METRICS, dict(answer.metrics))
    meta: dict[str, Any] = {MetaKey.INITIAL_METRICS: dict(answer.metrics)}
    if answer.patients is not None:
        meta[MetaKey.NUM_STEPS_CURRENT_ROUND] = answer.patients
    if answer.patient_change is not None:
        meta[PATIENT_CHANGE] = answer.patient_change
    if answer.histograms is not None:
        meta[HISTOGRAMS_KEY] = dict(answer.histograms)
    kind = DataKind.WEIGHT_DIFF if answer.params == "DIFF" else DataKind.WEIGHTS
    return DXO(kind, dict(answer.arrays), meta)


def _lines(code: Path) -> Mapping[str, int]:
    """The job's own files and how many lines each has."""
    return {
        str(path.relative_to(code)): path.read_bytes().count(b"\n") + 1
        for path in code.rglob("*.py")
        if path.is_file()
    }
