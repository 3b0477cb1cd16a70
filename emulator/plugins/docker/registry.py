"""What a `docker push` meets: is there such a registry, and does it let anybody in from outside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from emulator.arm.messages import Json, Request, Response
from emulator.plugins.package import ProviderError

_API_VERSION = "2023-01-01-preview"
_SUBSCRIPTIONS_VERSION = "2022-12-01"


class Registries:
    """The registries of every emulated subscription, and what was pushed to them."""

    def __init__(self, handle: Callable[[Request], Response], bearer: Callable[[], str]) -> None:
        self._handle, self._bearer = handle, bearer

    def refuse_closed(self, server: str) -> None:
        """Raise ProviderError unless a registry of this login server takes a push from outside."""
        wanted = server.lower()
        properties = next(
            (found for found in self._all() if found.get("loginServer", "").lower() == wanted), None
        )
        if properties is None:
            raise ProviderError(
                f"no registry answers at {server}: the emulated subscriptions have none of that name, so the "
                "image has nowhere to go. Create the containerregistry.Registry first (use its loginServer)."
            )
        if properties.get("publicNetworkAccess", "Enabled") != "Enabled":
            raise ProviderError(
                f"{server} refuses the push: its public network access is disabled, so nothing outside its "
                "network reaches it. Import a built image by digest instead, or open the registry (dev only)."
            )

    def record(self, reference: str, image: Json) -> None:
        """Tell the control plane, and so the datacentre, that an image was pushed."""
        answer = self._send("PUT", f"/emulator/images/{quote(reference, safe='')}", image)
        if answer.status >= 300:
            raise ProviderError(f"the push of {reference} was not recorded: {json.dumps(answer.body)}")

    def forget(self, reference: str) -> None:
        """Take back what was recorded; nothing to take back is fine."""
        answer = self._send("DELETE", f"/emulator/images/{quote(reference, safe='')}")
        if answer.status >= 300 and answer.status != 404:
            raise ProviderError(f"the record of {reference} was not removed: {json.dumps(answer.body)}")

    def _all(self) -> Iterator[dict[str, Any]]:
        for subscription in self._list("/subscriptions", _SUBSCRIPTIONS_VERSION):
            path = f"{subscription['id']}/providers/Microsoft.ContainerRegistry/registries"
            for registry in self._list(path, _API_VERSION):
                yield registry.get("properties", {})

    def _list(self, path: str, version: str) -> list[dict[str, Any]]:
        answer = self._send("GET", path, version=version)
        if answer.status != 200 or answer.body is None:
            raise ProviderError(f"the registries could not be listed: {json.dumps(answer.body)}")
        values: list[dict[str, Any]] = answer.body["value"]
        return values

    def _send(self, method: str, path: str, body: Json | None = None, version: str | None = None) -> Response:
        return self._handle(
            Request(
                method=method,
                path=path,
                query={"api-version": version} if version else {},
                headers={"authorization": f"Bearer {self._bearer()}"},
                body=body,
            )
        )
