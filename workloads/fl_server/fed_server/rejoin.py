"""A client that lost its part of a job that runs gets the job again, as at its start.

NVFlare 2.9 deploys a job to its clients once. A hospital whose client died has to be asked again like any
other: its own client looks again whether the job's code is approved, and counts the start. What is done here
is what JobRunner does at a job's start (`_deploy_job`, `_start_run`), for one client.
"""

import threading
from collections.abc import Mapping
from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.fl_constant import RunProcessKey
from nvflare.apis.job_def import JobMetaKey
from nvflare.apis.job_scheduler_spec import DispatchInfo
from nvflare.private.admin_defs import MsgHeader, ReturnCode
from nvflare.private.fed.utils.fed_utils import extract_participants

ANSWER_SECONDS = 20.0
"""For each of the three questions to the client."""
_CHANGING = threading.Lock()
"""Held while the participants of a job are changed: each client is asked on a thread of its own."""


class NotTakenError(Exception):
    """The client does not take the job again: why."""


def give_again(engine: Any, job_id: str, name: str) -> None:
    """Deploy and start a running job at one client of it. Raises NotTakenError."""
    with engine.new_context() as fl_ctx:
        runner, client = engine.job_runner, engine.get_client_from_name(name)
        job = runner.running_jobs.get(job_id)
        if job is None or client is None:
            raise NotTakenError("the job, or the client, is there no longer")
        app_name = _app(job, name)
        message = runner._make_deploy_message(job, job.get_application(app_name, fl_ctx), app_name, fl_ctx)
        _take(
            engine.server.admin_server.send_requests_and_get_reply_dict(
                {client.token: message}, ANSWER_SECONDS
            )
        )
        there, token = engine.check_client_resources(job, {name: {}}, fl_ctx).get(name, (False, "no answer"))
        if not there:
            raise NotTakenError(f"it has no room: {token}")
        process = engine.run_processes.get(job_id)
        if process is None:
            raise NotTakenError("the job has ended meanwhile")
        before, started = _put(process, job, name, {client.token: client}), False
        try:
            replies = engine.start_client_job(job, {name: DispatchInfo(app_name, {}, token)}, fl_ctx)
            started = any(one.reply for one in replies)
        finally:
            if not started:
                _put(process, job, name, before)
        if not started:
            raise NotTakenError("it does not start")


def _app(job: Any, name: str) -> str:
    for app_name, sites in job.get_deployment().items():
        if name in extract_participants(sites):
            return str(app_name)
    raise NotTakenError("the job was not for it")


def _take(replies: dict[str, Any]) -> None:
    (reply,) = replies.values()
    if reply is None:
        raise NotTakenError("it does not answer")
    if reply.get_header(MsgHeader.RETURN_CODE, ReturnCode.OK) != ReturnCode.OK:
        raise NotTakenError(str(reply.body)[:200])


def _put(process: dict[str, Any], job: Any, name: str, tokens: Mapping[str, Client]) -> Mapping[str, Client]:
    """Put these tokens of a client in the place of those before, which are returned; the job's process asks
    for them. Those of others stay as they are now: another client may be given the job at once.
    """
    with _CHANGING:
        known = process[RunProcessKey.PARTICIPANTS]
        others = {token: one for token, one in known.items() if one.name != name}
        process[RunProcessKey.PARTICIPANTS] = {**others, **tokens}
        job.meta[JobMetaKey.JOB_CLIENTS] = [one.to_dict() for one in (*others.values(), *tokens.values())]
    return {token: one for token, one in known.items() if one.name == name}
