"""After the rounds of the workflow `cross-site`: each hospital measures the federation's model and every
hospital's.

No hospital submits a model, as NVFlare's workflow has it: whole models do not leave hospitals. One's model is
what was sent to it in the last round and the difference that its airlock let out.
"""

from typing import Any

from nvflare.apis.controller_spec import Task
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.model_locator import ModelLocator
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.workflows.cross_site_model_eval import CrossSiteModelEval

from fed_server.model import Arrays
from fed_server.rounds import WAIT_FOR_LATE_SECONDS, JudgingAggregator, global_model

FEDERATION = "federation"
SECONDS = 3600
"""How long the minimum of hospitals may take to measure all models."""


def owner_of(fl_ctx: FLContext) -> str:
    """Whose model was measured, as the hospital that did so says; NVFlare marks those of the server."""
    return str(fl_ctx.get_prop(AppConstants.MODEL_OWNER)).removeprefix("SRV_")


class CrossSite(CrossSiteModelEval):  # type: ignore[misc]  # nvflare has no types
    """NVFlare's workflow, with the models that the server has."""

    def __init__(self) -> None:
        super().__init__(task_check_period=0.1, submit_model_task_name="", validation_timeout=SECONDS)

    def start_controller(self, fl_ctx: FLContext) -> None:
        """See Controller."""
        super().start_controller(fl_ctx)
        aggregator: JudgingAggregator = fl_ctx.get_engine().get_component("aggregator")
        models = {FEDERATION: global_model(fl_ctx), **aggregator.own_models()}
        self._model_locator = Models(models)
        self._minimum = aggregator.plan.minimum_sites
        self._late_seconds = WAIT_FOR_LATE_SECONDS * len(models)

    def broadcast(self, task: Task, fl_ctx: FLContext, **how: Any) -> None:
        """See Controller: as in a round, the job goes on without a hospital that is late.

        NVFlare's workflow waits for all; a hospital measures one model after another.
        """
        patience = {"min_responses": self._minimum, "wait_time_after_min_received": self._late_seconds}
        super().broadcast(task=task, fl_ctx=fl_ctx, **{**how, **patience})


class Models(ModelLocator):  # type: ignore[misc]  # nvflare has no types
    """Models by the name of whose they are."""

    def __init__(self, models: dict[str, Arrays]):
        super().__init__()
        self._models = models

    def get_model_names(self, fl_ctx: FLContext) -> list[str]:
        """See ModelLocator."""
        return list(self._models)

    def locate_model(self, model_name: str, fl_ctx: FLContext) -> DXO:
        """See ModelLocator."""
        return DXO(DataKind.WEIGHTS, data=dict(self._models[model_name]))
