"""Health as "the server knows this client": a file renewed when the server answered a registration or a
heartbeat.

An NVFlare client whose key, certificate or server is wrong stays up in silence, so "the process lives" says
nothing. Nor do its events: "after registration" is fired for a refused one too, "after heartbeat" also when
nobody answered. So the client's own requests are watched.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.fuel.f3.cellnet.defs import CellChannelTopic, MessageHeaderKey, ReturnCode

from fed_site.start import HEALTH_FILE, WORK


class HealthFile(FLComponent):  # type: ignore[misc]  # nvflare has no types
    """Site component: writes `{"registered": seconds, "heard": seconds, "jobs": number}` to `path`.

    The seconds are Unix time, the jobs those that run here.
    """

    def __init__(self, path: str = str(WORK / HEALTH_FILE)):
        super().__init__()
        self.path = path
        self._registered = 0.0

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Once registered, watch the answers to heartbeats."""
        if event_type == EventType.AFTER_CLIENT_REGISTER and fl_ctx.get_prop(FLContextKey.CLIENT_TOKEN):
            self._registered = time.time()
            client = fl_ctx.get_prop(FLContextKey.SITE_OBJ)
            self._heard(client)
            self._watch(client, client.communicator.cell)

    def _watch(self, client: Any, cell: Any) -> None:
        send = cell.send_request

        def watched(*args: Any, **kwargs: Any) -> Any:
            answer = send(*args, **kwargs)
            if (
                kwargs.get("topic") == CellChannelTopic.HEART_BEAT
                and answer.get_header(MessageHeaderKey.RETURN_CODE) == ReturnCode.OK
            ):
                self._heard(client)
            return answer

        cell.send_request = watched

    def _heard(self, client: Any) -> None:
        new = Path(self.path + ".new")
        jobs = len(client.engine.get_all_job_ids()) if client.engine else 0
        new.write_text(json.dumps({"registered": self._registered, "heard": time.time(), "jobs": jobs}))
        os.replace(new, self.path)  # noqa: PTH105 - atomic: the container server reads while this writes
