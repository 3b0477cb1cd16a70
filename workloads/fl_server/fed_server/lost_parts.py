"""Server component: a client that registered again has lost its part of each job, and is given it again.

NVFlare 2.9 gives a client a new token at each registration and knows a job's clients by the tokens of its
start (RunProcessKey.PARTICIPANTS). That a client has a job no longer it sees by the heartbeats of that token
alone (FederatedServer._sync_client_jobs), and of a client that was killed and is back at once there are none:
a round that needs that hospital would wait for ever. So the job's process is told here, as NVFlare tells it
of a client that has the job no longer. The round then goes on without that hospital, or ends the job where
too few are left.

It is told again and again, as NVFlare does it: a process that only begins hears nothing yet, and each
workflow of a job has a list of its own of those that are gone, where a second report of the same client
changes nothing (WFCommServer.process_dead_client_report).

Then the client is asked to take the job again (rejoin.py); from the next round on it takes part.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import RunProcessKey
from nvflare.apis.fl_context import FLContext

from fed_server.rejoin import NotTakenError, give_again

CHECK_SECONDS = 1.0
AGAIN_SECONDS = 10.0
"""Between two reports of the same loss, and two questions to take the job again."""
MOST_AGAIN = 5
"""How often one client is asked to take one job again: one that dies on and on holds nobody up."""
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
        self._asked: dict[tuple[str, str], int] = {}
        """Job and client -> how often it was asked to take it again."""
        self._asking: set[tuple[str, str]] = set()
        self._next_to_it: Callable[[Callable[[], None]], None] = _on_a_thread

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
                self._ask(job, name)
        running = {job for job, _ in self._asked} & set(self._engine.run_processes)
        self._asked = {key: times for key, times in self._asked.items() if key[0] in running}

    def _ask(self, job: str, name: str) -> None:
        key = (job, name)
        if key in self._asking or self._asked.get(key, 0) >= MOST_AGAIN:
            return
        self._asked[key] = self._asked.get(key, 0) + 1
        self._asking.add(key)
        self._next_to_it(lambda: self._give(job, name))

    def _give(self, job: str, name: str) -> None:
        try:
            give_again(self._engine, job, name)
            self.logger.info(f"{name} takes part in job {job} again")
        except NotTakenError as error:
            self.logger.warning(f"{name} does not take job {job} again: {error}")
        except Exception as error:  # the job goes on without it, whatever it was
            self.logger.error(f"{name} cannot be given job {job} again: {type(error).__name__}: {error}")
        finally:
            self._asking.discard((job, name))


def _on_a_thread(action: Callable[[], None]) -> None:
    threading.Thread(target=action, name="rejoin", daemon=True).start()
