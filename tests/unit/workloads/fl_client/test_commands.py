"""A server in wrong hands, without a job: what NVFlare's client does for whoever has the server's key."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
from fed_site.commands import TOPICS, JobCommandsAlone
from nvflare.apis.fl_context import FLContext
from nvflare.fuel.f3.message import Message as CellMessage
from nvflare.private.admin_defs import Message
from nvflare.private.defs import SysCommandTopic
from nvflare.private.fed.client.admin import FedAdminAgent
from nvflare.private.fed.client.client_req_processors import ClientRequestProcessors


class App:
    def new_context(self) -> Any:
        return nullcontext(FLContext())


@pytest.fixture(autouse=True)
def processors(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    own = list(ClientRequestProcessors.request_processors)
    monkeypatch.setattr(ClientRequestProcessors, "request_processors", own)
    yield own


def asked(processors: list[Any], topic: str, body: str) -> str:
    """The client's answer to a request that does not ask for authorization, as a hostile server sends it."""
    agent = object.__new__(FedAdminAgent)
    agent.auditor, agent.app_ctx, agent.processors = None, App(), {}
    for processor in processors:
        agent.register_processor(processor)
    reply = agent._dispatch_request(CellMessage(payload=Message(topic=topic, body=body)))
    return str(cast(Message, reply.payload).body)


def test_the_server_reads_no_file_of_a_hospitals(processors: list[Any], tmp_path: Path) -> None:
    rows = tmp_path / "patients.csv"
    rows.write_text("age,sex\n63,1\n")
    command = f"cat {rows}"
    assert "63,1" in asked(processors, SysCommandTopic.SHELL, command)  # NVFlare 2.9, as it comes
    JobCommandsAlone()
    assert "invalid_request" in asked(processors, SysCommandTopic.SHELL, command)


def test_jobs_are_all_that_it_may_ask_for(processors: list[Any]) -> None:
    JobCommandsAlone()
    left = {topic for processor in processors for topic in processor.get_topics()}
    assert left == TOPICS
