"""Health as "the server knows this client": a file renewed at each registration and answered heartbeat.

An NVFlare client whose key, certificate or server is wrong stays up in silence, so "the process lives" says
nothing.
"""

import json
import os
import time
from pathlib import Path

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext

from fed_site.start import HEALTH_FILE, WORK

_HEARD = (EventType.AFTER_CLIENT_REGISTER, EventType.AFTER_CLIENT_HEARTBEAT)


class HealthFile(FLComponent):  # type: ignore[misc]  # nvflare has no types
    """Site component: writes `{"registered": seconds, "heard": seconds}` (Unix time) to `path`."""

    def __init__(self, path: str = str(WORK / HEALTH_FILE)):
        super().__init__()
        self.path = path
        self._registered = 0.0

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Renew the file when the server has answered."""
        if event_type not in _HEARD:
            return
        now = time.time()
        if event_type == EventType.AFTER_CLIENT_REGISTER:
            self._registered = now
        new = Path(self.path + ".new")
        new.write_text(json.dumps({"registered": self._registered, "heard": now}))
        os.replace(new, self.path)  # noqa: PTH105 - atomic: the container server reads while this writes
