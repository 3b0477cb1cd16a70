"""Requests to a running emulator's Resource Manager as tests send them: any method, and the raw answer."""

from typing import Any

import httpx

from emulator.control import Emulator
from emulator.credential import EmulatorCredential


def ask(
    emulator: Emulator, method: str, path: str, *, api_version: str | None = None, body: Any = None
) -> httpx.Response:
    """Send one request as the deployer, and return the answer whatever its status.

    `path` starts with a slash and may hold a query; `api_version` is added to it.
    """
    token = EmulatorCredential(emulator.home).get_token("https://management.azure.com/.default").token
    with httpx.Client(
        verify=emulator.ssl_context(), base_url=emulator.record.arm, timeout=60, trust_env=False
    ) as client:
        return client.request(
            method,
            path,
            params={"api-version": api_version} if api_version else None,
            json=body,
            headers={"Authorization": f"Bearer {token}"},
        )
