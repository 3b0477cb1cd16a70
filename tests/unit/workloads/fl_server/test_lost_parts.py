"""A client that was killed and registered again is no longer waited for by the job that runs."""

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from fed_server.lost_parts import AGAIN_SECONDS, REASON, LostParts, lost
from nvflare.apis.client import Client
from nvflare.apis.fl_constant import RunProcessKey
from nvflare.private.fed.server.server_engine import ServerEngine

JOB = "c8fc0582-3640-48f1-b851-66b91d7eb87e"


def clients(**tokens: str) -> dict[str, Client]:
    """Clients by token, as NVFlare's manager has them."""
    return {token: Client(name, token) for name, token in tokens.items()}


def running(**tokens: str) -> dict[str, dict[str, Any]]:
    return {JOB: {RunProcessKey.PARTICIPANTS: clients(**tokens)}}


class Told:
    """The server's engine: who is registered, what runs, and what a job's process was told."""

    def __init__(self, **tokens: str) -> None:
        self.run_processes = running(**tokens)
        self.client_manager = SimpleNamespace(clients=clients(**tokens))
        self.told: list[tuple[str, str, str]] = []

    def notify_dead_job(self, job: str, name: str, reason: str) -> None:
        self.told.append((job, name, reason))


def looking(engine: Told, now: Callable[[], float] = lambda: 0.0) -> LostParts:
    part = LostParts()
    part._engine, part._now = engine, now
    return part


def test_only_another_token_of_the_same_client_is_a_loss() -> None:
    processes = running(cleveland="a", hungary="b")
    assert list(lost(processes, clients(cleveland="a", hungary="b"))) == []
    assert list(lost(processes, clients(cleveland="a"))) == []  # cut off: it may come back with its token
    assert list(lost(processes, clients(cleveland="a", hungary="c", geneva="d"))) == [(JOB, "hungary", "c")]
    assert list(lost({JOB: {}}, clients(hungary="c"))) == []  # it is being started


def test_a_job_is_told_of_each_loss() -> None:
    engine = Told(cleveland="a", hungary="b")
    part = looking(engine)
    part.look()
    assert engine.told == []
    engine.client_manager.clients = clients(cleveland="a", hungary="c")
    part.look()
    part.look()
    assert engine.told == [(JOB, "hungary", REASON)]
    engine.client_manager.clients = clients(cleveland="e", hungary="c")
    part.look()
    assert [name for _, name, _ in engine.told] == ["hungary", "cleveland"]


def test_a_job_that_did_not_hear_it_yet_or_begins_another_workflow_is_told_again() -> None:
    engine, now = Told(hungary="b"), [100.0]
    part = looking(engine, lambda: now[0])
    engine.client_manager.clients = clients(hungary="c")
    told = []
    for seconds in (0, AGAIN_SECONDS - 1, 1, 1):
        now[0] += seconds
        part.look()
        told.append(len(engine.told))
    assert told == [1, 1, 2, 2]


def test_what_is_told_is_forgotten_with_the_job() -> None:
    engine = Told(hungary="b")
    part = looking(engine)
    engine.client_manager.clients = clients(hungary="c")
    part.look()
    engine.run_processes = {}
    part.look()
    assert part._told == {}


def test_nvflare_has_what_this_rests_on() -> None:
    assert list(inspect.signature(ServerEngine.notify_dead_job).parameters) == [
        "self",
        "job_id",
        "client_name",
        "reason",
    ]
    made = inspect.getsource(ServerEngine.__init__)
    assert "self.run_processes = {}" in made
    assert "self.client_manager = client_manager" in made
