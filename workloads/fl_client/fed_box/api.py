"""NVFlare's Client API (`import nvflare.client as flare`) in the box: scripts written for it run as they are.

Models come and go over the channel to the client. What a script logs (`flare.log`, SummaryWriter) stays here.
"""

import math
import socket
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from nvflare.apis.analytix import AnalyticsDataType
from nvflare.apis.dxo import MetaKey
from nvflare.app_common.abstract.fl_model import FLModel, ParamsType
from nvflare.client.api_context import APIContext
from nvflare.client.api_spec import APISpec

from fed_box.channel import HISTOGRAMS_KEY, PATIENT_CHANGE, ClosedError, Frame, receive, send
from fed_box.frameworks import given, taken

_LONG = 30 * 86_400.0
_SEND_SECONDS = 600.0


@final
class BoxApi(APISpec):  # type: ignore[misc]  # nvflare has no types
    """The API's own form, in place of those that speak to NVFlare's process or its network."""

    def __init__(self, connection: socket.socket, start: Mapping[str, Any]):
        super().__init__()
        self._connection = connection
        self._start = start
        self._framework = start.get("framework")
        self._received: FLModel | None = None
        self._task = ""
        self._over = False

    def install(self) -> None:
        """Have `flare.init()` take this one."""
        APIContext._create_client_api = lambda context, kind: self

    def init(self, rank: str | None = None) -> None:
        """See APISpec."""

    def receive(self, timeout: float | None = None) -> FLModel | None:
        """See APISpec: the model of this round; None when there are no more."""
        if self._received is None and not self._over:
            self._received = self._next(_LONG if timeout is None else timeout)
        return self._received

    def send(self, model: FLModel, clear_cache: bool = True) -> None:
        """See APISpec."""
        if self._received is None:
            raise RuntimeError('"receive" needs to be called before sending model!')
        if model.params is None and model.metrics is None:
            raise RuntimeError("the model to send does not have either params or metrics")
        send(self._connection, answer(model, self._framework), _SEND_SECONDS)
        self.clear()

    def is_running(self) -> bool:
        """See APISpec: waits for the next model."""
        return self.receive() is not None

    def system_info(self) -> dict[str, Any]:
        """See APISpec."""
        return {"job_id": self.get_job_id(), "site_name": self.get_site_name()}

    def get_config(self) -> dict[str, Any]:
        """See APISpec: the settings that the job gives its script."""
        return dict(self._start["settings"])

    def get_job_id(self) -> str:
        """See APISpec."""
        return str(self._start["job"])

    def get_site_name(self) -> str:
        """See APISpec."""
        return str(self._start["site"])

    def get_task_name(self) -> str:
        """See APISpec."""
        return self._task

    def is_train(self) -> bool:
        """See APISpec."""
        return self._task == "train"

    def is_evaluate(self) -> bool:
        """See APISpec."""
        return self._task == "validate"

    def is_submit_model(self) -> bool:
        """See APISpec."""
        return self._task == "submit_model"

    def log(self, key: str, value: Any, data_type: AnalyticsDataType, **kwargs: Any) -> bool:
        """See APISpec: into the box's own output, which stays at the hospital."""
        print(f"log {key}: {str(value)[:200]}", flush=True)
        return True

    def clear(self) -> None:
        """See APISpec."""
        self._received = None

    def shutdown(self) -> None:
        """See APISpec."""
        self._over = True

    def _next(self, seconds: float) -> FLModel | None:
        try:
            task = receive(self._connection, seconds)
        except ClosedError:
            self._over = True
            return None
        self._task = str(task.values["task"])
        return FLModel(
            params_type=ParamsType.FULL,
            params=given(self._framework, task.arrays),
            current_round=task.values["round"],
            total_rounds=task.values["rounds"],
        )


def answer(model: FLModel, framework: str | None = None) -> Frame:
    """What a script sends, as a frame. Raises ChannelError for parameters that are no arrays."""
    meta = model.meta or {}
    values = {
        "params": None if model.params is None else ParamsType(model.params_type or ParamsType.FULL).value,
        "metrics": _numbers(model.metrics or {}),
        "histograms": _counts(meta.get(HISTOGRAMS_KEY)),
        "patients": _number(meta.get(MetaKey.NUM_STEPS_CURRENT_ROUND)),
        "patient_change": _number(meta.get(PATIENT_CHANGE)),
    }
    return Frame(kind="answer", values=values, arrays=taken(framework, model.params or {}))


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    known = {str(name): _number(value) for name, value in metrics.items()}
    kept = {name: value for name, value in known.items() if value is not None}
    if left := sorted(set(known) - set(kept)):
        print(f"left out, no single finite number: {', '.join(left)}", flush=True)
    return kept


def _number(value: Any) -> float | int | None:
    """A single finite number, else None: an AUC of one class is none, and no reason to fail."""
    if value is None or isinstance(value, str | bytes) or np.size(value) != 1:
        return None
    try:
        single = np.asarray(value).reshape(()).item()
    except (TypeError, ValueError):
        return None
    if isinstance(single, bool) or not isinstance(single, int | float) or not math.isfinite(single):
        return None
    return single


def _counts(histograms: Any) -> dict[str, list[Any]] | None:
    if histograms is None:
        return None
    return {str(name): np.asarray(counts).tolist() for name, counts in histograms.items()}
