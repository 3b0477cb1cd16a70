"""Server component: a client that registered again has lost its part of each job that runs.

NVFlare 2.9 gives a client a new token at each registration and knows a job's clients by the tokens of its
start (RunProcessKey.PARTICIPANTS). That a client has a job no longer it sees by the heartbeats of that token
alone (FederatedServer._sync_client_jobs), and of a client that was killed and is back at once there are none:
a round that needs that hospital would wait for ever. So the job's process is told here, as NVFlare tells it
of a client that has the job no longer. The round then goes on without that hospital, or ends the job where
too few are left.

It is told again and again, as NVFlare does it: a process that only begins hears nothing yet, and each
workflow of a job has a list of its own of those that are gone, where a second report of the same client
changes nothing (WFCommServer.process_dead_client_report).
"""

import math
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import RunProcessKey
from nvflare.apis.fl_context import FLContext

CHECK_SECONDS = 1.0
AGAIN_SECONDS = 10.0
"""Between two reports of the same loss."""
REASON = "it registered again, so its part of the job has ended"

Lost = tuple[str, str, str]
"""A job's id, the client's name, and the token of its last registration."""


def lost(processes: Mapping[str, Mapping[str, Any]], registered: Mapping[str, Any]) -> Iterator[Lost]:
    """Yield each part that ended with its client: `processes` are the jobs that run, by id.

    `registered` are the clients that are there now, by token.
    """
    now = {client.name: token for token, client in registered.items()}
    for job, process in processes.items():
        for token, client in (process.get(RunProcessKey.PARTICIPANTS) or {}).items():
            if now.get(client.name, token) != token:
                yield job, client.name, now[client.name]


class LostParts(FLComponent):  # type: ignore[misc]  # nvflare has no types
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._engine: Any = None
        self._now = time.monotonic
        self._told: dict[Lost, float] = {}
        """When each was told last."""

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Watch from the server's start."""
        if event_type == EventType.SYSTEM_START:
            self._engine = fl_ctx.get_engine()
            threading.Thread(target=self._watch, name="lost parts", daemon=True).start()

    def _watch(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:  # the watch must outlive any one failure, and say so
                self.logger.error(f"lost parts: {type(error).__name__}: {error}")
            time.sleep(CHECK_SECONDS)

    def look(self) -> None:
        """Tell each job that runs of the parts that it has lost, where that is due."""
        found = set(lost(dict(self._engine.run_processes), dict(self._engine.client_manager.clients)))
        self._told = {part: told for part, told in self._told.items() if part in found}
        for part in sorted(found):
            job, name, _ = part
            if self._now() - self._told.get(part, -math.inf) >= AGAIN_SECONDS:
                self._engine.notify_dead_job(job, name, REASON)
                self._told[part] = self._now()
