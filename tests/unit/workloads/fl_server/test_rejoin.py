"""A client that lost its part of a job that runs is asked to take it again, and then takes part."""

import contextlib
import inspect
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fed_server.lost_parts import AGAIN_SECONDS, MOST_AGAIN, LostParts
from fed_server.rejoin import NotTakenError, give_again
from fed_server.rounds import _learn_of_those_that_are_back
from nvflare.apis.client import Client
from nvflare.apis.fl_constant import RunProcessKey
from nvflare.apis.job_def import JobMetaKey
from nvflare.private.admin_defs import Message, MsgHeader, ReturnCode
from nvflare.private.fed.server.admin import FedAdminServer
from nvflare.private.fed.server.job_runner import JobRunner
from nvflare.private.fed.server.server_engine import ServerEngine

JOB = "c8fc0582-3640-48f1-b851-66b91d7eb87e"


class Engine:
    """The server's: two clients of a job, of which Hungary has registered again with the token `new`."""

    def __init__(self) -> None:
        self.new = Client("hungary", "new")
        self.run_processes: dict[str, dict[str, Any]] = {
            JOB: {RunProcessKey.PARTICIPANTS: {"a": Client("cleveland", "a"), "b": Client("hungary", "b")}}
        }
        self.client_manager = SimpleNamespace(clients={"a": Client("cleveland", "a"), "new": self.new})
        self.job = SimpleNamespace(
            job_id=JOB,
            meta={},
            get_deployment=lambda: {"app_server": ["server"], "app": ["cleveland", "hungary"]},
            get_application=lambda app, fl_ctx: f"archive of {app}",
        )
        self.job_runner = SimpleNamespace(
            running_jobs={JOB: self.job}, _make_deploy_message=lambda job, data, app, fl_ctx: (app, data)
        )
        self.asked: list[Any] = []
        self.refuses, self.room, self.starts = "", True, True
        self.server = SimpleNamespace(admin_server=self)

    @contextlib.contextmanager
    def new_context(self) -> Iterator[Any]:
        yield SimpleNamespace()

    def get_client_from_name(self, name: str) -> Client | None:
        return {one.name: one for one in self.client_manager.clients.values()}.get(name)

    def notify_dead_job(self, job: str, name: str, reason: str) -> None:
        self.asked.append(("gone", name))

    def send_requests_and_get_reply_dict(self, requests: dict[str, Any], timeout_secs: float) -> Any:
        self.asked.append(("deploy", requests))
        reply = Message("reply", self.refuses)
        reply.set_header(MsgHeader.RETURN_CODE, ReturnCode.ERROR if self.refuses else ReturnCode.OK)
        return dict.fromkeys(requests, reply)

    def check_client_resources(self, job: Any, needs: Any, fl_ctx: Any) -> dict[str, tuple[bool, str]]:
        return dict.fromkeys(needs, (self.room, "token"))

    def start_client_job(self, job: Any, sites: dict[str, Any], fl_ctx: Any) -> list[Any]:
        self.asked.append(("start", {name: (one.app_name, one.token) for name, one in sites.items()}))
        return [SimpleNamespace(reply="OK" if self.starts else None)]

    @property
    def participants(self) -> dict[str, str]:
        known = self.run_processes[JOB][RunProcessKey.PARTICIPANTS]
        return {token: client.name for token, client in known.items()}


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_it_gets_the_jobs_code_is_started_and_is_a_participant(engine: Engine) -> None:
    give_again(engine, JOB, "hungary")
    assert engine.asked == [
        ("deploy", {"new": ("app", "archive of app")}),
        ("start", {"hungary": ("app", "token")}),
    ]
    assert engine.participants == {"a": "cleveland", "new": "hungary"}
    known = [Client("cleveland", "a").to_dict(), engine.new.to_dict()]
    assert engine.job.meta[JobMetaKey.JOB_CLIENTS] == known


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"refuses": "hungary no longer approves its code"}, "no longer approves its code"),
        ({"room": False}, "no room"),
        ({"starts": False}, "does not start"),
        ({"job_runner": SimpleNamespace(running_jobs={})}, "no longer"),
    ],
)
def test_where_it_does_not_take_it_the_job_goes_on_as_it_was(
    engine: Engine, change: dict[str, Any], why: str
) -> None:
    vars(engine).update(change)
    with pytest.raises(NotTakenError, match=why):
        give_again(engine, JOB, "hungary")
    assert engine.participants == {"a": "cleveland", "b": "hungary"}


class TestAsking:
    @pytest.fixture
    def part(self, engine: Engine) -> LostParts:
        part, self.now = LostParts(), [0.0]
        part._engine, part._now = engine, lambda: self.now[0]
        part._next_to_it = lambda action: action()
        return part

    def look(self, part: LostParts, times: int = 1) -> None:
        for _ in range(times):
            part.look()
            self.now[0] += AGAIN_SECONDS

    def test_once_it_is_back_nobody_is_told_that_it_is_gone(self, part: LostParts, engine: Engine) -> None:
        self.look(part, 3)
        assert [what for what, _ in engine.asked] == ["gone", "deploy", "start"]

    def test_one_that_does_not_take_it_is_asked_a_few_times(self, part: LostParts, engine: Engine) -> None:
        engine.refuses = "not approved"
        self.look(part, 3 * MOST_AGAIN)
        assert [what for what, _ in engine.asked].count("deploy") == MOST_AGAIN

    def test_a_client_that_dies_on_and_on_is_given_it_a_few_times(
        self, part: LostParts, engine: Engine
    ) -> None:
        for number in range(3 * MOST_AGAIN):
            token = f"t{number}"
            engine.client_manager.clients = {"a": Client("cleveland", "a"), token: Client("hungary", token)}
            self.look(part)
        assert [what for what, _ in engine.asked].count("start") == MOST_AGAIN

    def test_a_failure_of_ours_ends_nothing(self, part: LostParts, engine: Engine) -> None:
        engine.start_client_job = lambda *given: 1 / 0  # type: ignore[method-assign,assignment]
        self.look(part)
        assert part._asking == set()
        assert engine.participants == {"a": "cleveland", "b": "hungary"}, "it is asked again"


def test_two_that_are_given_it_at_once_do_not_undo_each_other(engine: Engine) -> None:
    back = Client("cleveland", "back")
    engine.client_manager.clients = {"back": back, "new": engine.new}

    def start(job: Any, sites: dict[str, Any], fl_ctx: Any) -> list[Any]:
        if "hungary" not in sites:
            return [SimpleNamespace(reply="OK")]
        give_again(engine, JOB, "cleveland")  # while Hungary, which does not start, is being asked
        return [SimpleNamespace(reply=None)]

    engine.start_client_job = start  # type: ignore[method-assign]
    with pytest.raises(NotTakenError, match="does not start"):
        give_again(engine, JOB, "hungary")
    assert engine.participants == {"back": "cleveland", "b": "hungary"}
    known = [back.to_dict(), Client("hungary", "b").to_dict()]
    assert engine.job.meta[JobMetaKey.JOB_CLIENTS] == known


def test_the_jobs_process_learns_of_it_before_a_round() -> None:
    set_to: list[Any] = []
    known = {"new": Client("hungary", "new")}
    engine = SimpleNamespace(
        _retrieve_clients_data={JOB: known}.get, client_manager=SimpleNamespace(set_clients=set_to.append)
    )
    _learn_of_those_that_are_back(SimpleNamespace(get_engine=lambda: engine, get_job_id=lambda: JOB))  # type: ignore[arg-type]
    assert set_to == [known]
    _learn_of_those_that_are_back(SimpleNamespace(get_engine=lambda: engine, get_job_id=lambda: "x"))  # type: ignore[arg-type]
    assert set_to == [known], "where the parent does not answer it goes on with those it knows"


def test_nvflare_has_what_this_rests_on() -> None:
    def parameters(function: Any) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert parameters(JobRunner._make_deploy_message)[-4:] == ["job", "app_data", "app_name", "fl_ctx"]
    assert parameters(FedAdminServer.send_requests_and_get_reply_dict) == ["self", "requests", "timeout_secs"]
    assert parameters(ServerEngine.check_client_resources) == ["self", "job", "resource_reqs", "fl_ctx"]
    assert parameters(ServerEngine.start_client_job) == ["self", "job", "client_sites", "fl_ctx"]
    assert parameters(ServerEngine._retrieve_clients_data) == ["self", "job_id"]
    assert "self.running_jobs = {}" in inspect.getsource(JobRunner.__init__)
