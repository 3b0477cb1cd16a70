"""A control plane on the wire, for tests that ask it with clients of others."""

import asyncio
import threading
from pathlib import Path
from typing import Any, TypeVar

from azure.core.credentials import AccessToken

from emulator.arm import certificates
from emulator.arm.control_plane import ControlPlane
from emulator.arm.faults import Front
from emulator.arm.http import Listeners, listen
from emulator.arm.latency import Latency
from tests.emulator.arm_client import SUBSCRIPTION

KEY = b"k" * 32
SUBSCRIPTION_ID = SUBSCRIPTION.rsplit("/", 1)[-1]
Client = TypeVar("Client")


class Credential:
    """The deployer's token; `scopes` are what the clients ask it for."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        assert all("management" in scope or "127.0.0.1" in scope for scope in scopes)
        return AccessToken(*self._plane.issue_token())


class Server:
    """A control plane on the wire, in a thread of its own; `orders` are those of faults."""

    def __init__(self, folder: Path, latency: Latency, orders: Path | None = None) -> None:
        self.authority = folder / "ca.pem"
        self.socket = folder / "arm.sock"
        certificates.ensure_authority(self.authority, folder / "ca.key")
        certificates.ensure_certificate(
            folder / "arm.pem",
            folder / "arm.key",
            names=("127.0.0.1",),
            authority=self.authority,
            authority_key=folder / "ca.key",
        )
        self.plane = ControlPlane(folder / "arm.sqlite", KEY, latency=latency)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listeners: Listeners = self._run(
            listen(
                self.plane,
                certificate=folder / "arm.pem",
                key=folder / "arm.key",
                socket=self.socket,
                handle=Front(self.plane, orders).handle if orders else None,
            )
        )
        self.url = f"https://127.0.0.1:{self._listeners.port}"

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def client(self, kind: type[Client], **more: Any) -> Client:
        """Return one of Microsoft's clients that asks this server."""
        return kind(
            credential=Credential(self.plane),  # type: ignore[call-arg]
            subscription_id=SUBSCRIPTION_ID,
            base_url=self.url,
            connection_verify=str(self.authority),
            polling_interval=0.05,
            **more,
        )

    def close(self) -> None:
        self.plane.close()
        self._run(self._listeners.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
