"""`python -m container_server.nvflare_session KIT USER submit FOLDER | abort JOB_ID`: one command as
administrator.

A process of its own, ended hard: a session of NVFlare leaves threads behind that keep Python alive. (Its
command line cannot submit our jobs: it rewrites their configuration and stumbles over an empty list.)
Prints one line of JSON in the form of NVFlare's own commands.
"""

import json
import os
import sys
from typing import Any

from nvflare.fuel.flare_api.flare_api import new_secure_session

CONNECT_SECONDS = 15.0


def command(kit: str, user: str, action: str, argument: str) -> dict[str, Any]:
    """Do it; the answer's data."""
    session = new_secure_session(user, kit, timeout=CONNECT_SECONDS)
    if action == "submit":
        return {"job_id": session.submit_job(argument)}
    if action == "abort":
        session.abort_job(argument)
        return {}
    raise ValueError(f"no action {action!r}")


def main() -> None:
    """See the module."""
    try:
        answer = {"status": "ok", "data": command(*sys.argv[1:])}
    except Exception as error:  # whatever NVFlare raises becomes the answer
        answer = {"status": "error", "error_code": type(error).__name__, "message": str(error)[:500]}
    print(json.dumps(answer), flush=True)
    os._exit(0 if answer["status"] == "ok" else 1)


if __name__ == "__main__":
    main()
