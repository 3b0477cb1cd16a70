"""Closes the ways out of a job's process that are not its answers: events, auxiliary messages, streams,
contexts, answers to commands.

NVFlare 2.9 forwards an event whose scope is the federation's (`fed.*`: what `flare.log` and SummaryWriter
become) as an auxiliary message (`nvflare/widgets/fed_event.py`), streams objects the same way
(`nvflare/private/stream_runner.py`), and sends the public part of a context with every message. No filter
of privacy.json sees any of them.
"""

from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey, ReservedKey, ReservedTopic
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable

from fed_site.commands import end_alone

TOPICS = (ReservedTopic.SYNC_RUNNER, ReservedTopic.JOB_HEART_BEAT, ReservedTopic.TASK_CHECK)
"""What NVFlare itself says to the server while a job runs; of a request only the task's id is needed."""
CONTEXT = (
    FLContextKey.CLIENT_NAME,
    FLContextKey.CURRENT_RUN,
    FLContextKey.CURRENT_JOB_ID,
    ReservedKey.IDENTITY_NAME,
    ReservedKey.RUN_NUM,
    ReservedKey.FQSN,
    ReservedKey.IS_LEAF,
)
"""The public part of a context: who speaks, and in which job."""


class ClosedDoor(FLComponent):  # type: ignore[misc]  # nvflare has no types
    """Site component of each job's process, named in privacy.json."""

    def __init__(self) -> None:
        """Before the process has a connection: NVFlare makes the components of privacy.json first."""
        super().__init__()
        end_alone()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Close it before the job's own components hear that the run starts."""
        if event_type == EventType.ABOUT_TO_START_RUN:
            self.close(fl_ctx.get_engine().aux_runner)

    def close(self, runner: Any) -> None:
        """Let `runner` (NVFlare's AuxRunner) send nothing but NVFlare's own messages, without content."""
        send = runner.send_aux_request

        def guarded(targets: Any, topic: str, request: Shareable, *args: Any, **kwargs: Any) -> Any:
            if topic not in TOPICS:
                return self._kept(topic)
            bare = Shareable()
            if task := request.get_header(ReservedKey.TASK_ID):
                bare.set_header(ReservedKey.TASK_ID, task)
            return send(targets, topic, bare, *args, **kwargs)

        runner.send_aux_request = guarded
        runner.multicast_aux_requests = lambda topic, *args, **kwargs: self._kept(topic)
        narrow_contexts()

    def _kept(self, topic: str) -> dict[str, Shareable]:
        self.logger.error(
            f"a message stays here ({topic[:40]!r}): this hospital lets no events or messages of jobs out"
        )
        return {}


def narrow_contexts() -> None:
    """Make every context of this process public in `CONTEXT` alone."""
    every = FLContext.get_all_public_props

    def narrow(context: FLContext) -> dict[str, Any]:
        return {name: value for name, value in every(context).items() if name in CONTEXT}

    FLContext.get_all_public_props = narrow
