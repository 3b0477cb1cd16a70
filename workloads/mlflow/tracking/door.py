"""The app that MLflow serves: its own, behind a sign-in. Nothing of MLflow is reached around it.

A plugin of the kind that MLflow documents for this (`mlflow server --app-name`, entry point `mlflow.app` in
fed_sign_in-1.dist-info; https://mlflow.org/docs/latest/self-hosting/security/custom/). It runs in MLflow's
own process, so that both judge the same path, and no second socket exists behind it.
"""

import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from tracking.accounts import Accounts
from tracking.rights import may

FILE = Path("/var/lib/fed/sign-in/accounts.json")
"""Where the container server keeps the accounts; the folder is read-only here."""

_CHALLENGE = (b"www-authenticate", b'Basic realm="MLflow of the federation", charset="UTF-8"')

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Served = Callable[[Scope, Receive, Send], Awaitable[None]]


class Door:
    """An ASGI app (https://asgi.readthedocs.io/en/latest/specs/www.html) in front of another.

    Only the health check needs no account. The password goes no further than here.
    """

    def __init__(self, behind: Served, accounts: Accounts, clock: Callable[[], float] = time.time) -> None:
        self._behind = behind
        self._accounts = accounts
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401 (no account) or 403 (not by this account)."""
        if scope["type"] == "lifespan":
            await self._behind(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["path"] == "/health" and scope["method"] in {"GET", "HEAD"}:
            await self._behind(scope, receive, send)
        else:
            await self._judged(scope, receive, send)

    async def _judged(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        account = self._accounts.of(said[0].decode("latin-1"), self._clock()) if len(said) == 1 else None
        if account is None:
            words = "Sign in: ./fed open mlflow makes an account for 12 hours"
            await _refuse(send, 401, "UNAUTHENTICATED", words, _CHALLENGE)
        elif not may(account.role, scope["method"], scope["path"]):
            print(f"sign-in: refused {account.name!r} {scope['method']} {scope['path']!r}", flush=True)
            words = f"{account.name} may not do this: people read and search, and only the platform writes"
            await _refuse(send, 403, "PERMISSION_DENIED", words)
        else:
            kept = [pair for pair in scope["headers"] if pair[0].lower() != b"authorization"]
            await self._behind({**scope, "headers": kept}, receive, send)


async def _refuse(send: Send, status: int, code: str, words: str, *headers: tuple[bytes, bytes]) -> None:
    """Answer in the form of MLflow's own errors, which its client and its pages show."""
    body = json.dumps({"error_code": code, "message": words}).encode()
    length = (b"content-length", str(len(body)).encode())
    kind = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": status, "headers": [kind, length, *headers]})
    await send({"type": "http.response.body", "body": body})


def app() -> Door:
    """Return what uvicorn serves: MLflow behind the door."""
    # Not at the top: the process that only starts uvicorn imports this module too.
    from mlflow.server.fastapi_app import app as mlflow  # noqa: PLC0415

    return Door(mlflow, Accounts(Path(os.environ.get("FED_ACCOUNTS", str(FILE)))))
