"""The instance metadata service of one machine: who it is, its user data, and tokens of its identities.

https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service and
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from emulator.datacentre.inventory import NIC, Document, Inventory
from emulator.datacentre.tokens import LIFE_SECONDS, Identity, Issuer

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

INSTANCE_VERSIONS = ("2025-04-07", "2023-11-15", "2023-07-01", "2021-12-13", "2021-11-15", "2021-11-01",
                     "2021-10-01", "2021-05-01", "2021-02-01", "2021-01-01", "2020-12-01", "2020-09-01",
                     "2020-06-01", "2019-11-01", "2019-08-15", "2019-06-01", "2019-03-11", "2018-10-01",
                     "2018-04-02", "2018-02-01", "2017-12-01", "2017-08-01", "2017-04-02")  # fmt: skip
"""Versions of the instance metadata, the newest first."""
USER_DATA_SINCE = "2021-01-01"
_SELECTORS = {"client_id": "client_id", "object_id": "principal_id", "msi_res_id": "id", "mi_res_id": "id"}


class Metadata:
    """What 169.254.169.254 answers inside one machine."""

    def __init__(
        self,
        machine: str,
        inventory: Callable[[], Inventory],
        issuer: Issuer,
        person: Identity | None = None,
    ) -> None:
        """At a desk, `person` sits in front of the machine."""
        self._machine = machine
        self._inventory = inventory
        self._issuer = issuer
        self._person = person

    def application(self) -> web.Application:
        """Return the web application."""
        application = web.Application(middlewares=[_guard])
        application.router.add_get("/metadata/identity/oauth2/token", self._token)
        application.router.add_get("/metadata/instance", self._instance)
        application.router.add_get("/metadata/instance/{path:.*}", self._instance)
        application.router.add_get("/metadata/versions", _versions)
        return application

    async def _token(self, request: web.Request) -> web.Response:
        query = request.query
        if "api-version" not in query:
            return _refuse("invalid_request", "Required query variable 'api-version' is missing")
        audience = query.get("resource", "")
        if not audience:
            return _refuse("invalid_request", "Required query variable 'resource' is missing")
        chosen = self._choose(query)
        if isinstance(chosen, web.Response):
            return chosen
        token, expires = self._issuer.issue(chosen, audience)
        return web.json_response(
            {
                "access_token": token,
                "client_id": chosen.client_id,
                "expires_in": str(LIFE_SECONDS),
                "expires_on": str(expires),
                "ext_expires_in": str(LIFE_SECONDS),
                "not_before": str(int(time.time())),
                "resource": audience,
                "token_type": "Bearer",
            }
        )

    def _choose(self, query: Mapping[str, str]) -> Identity | web.Response:
        """Return the identity that a request means, or Azure's refusal."""
        known = [self._person] if self._person else identities(self._inventory(), self._document())
        given = {name: query[name] for name in _SELECTORS if name in query}
        if not known:
            return _refuse("invalid_request", "Identity not found")
        if not given and len(known) > 1:
            return _refuse(
                "invalid_request",
                "Multiple user assigned identities exist, please specify the clientId / resourceId of the "
                "identity in the token request",
            )
        for name, value in given.items():
            known = [each for each in known if getattr(each, _SELECTORS[name]).lower() == value.lower()]
        return known[0] if known else _refuse("invalid_request", "Identity not found")

    async def _instance(self, request: web.Request) -> web.Response:
        version, path = request.query.get("api-version"), request.match_info.get("path", "").strip("/")
        if version is None:
            return _bad_version("api-version was not specified in the request")
        if version not in INSTANCE_VERSIONS:
            return _bad_version("api-version is invalid or was not specified in the request.")
        found: Any = self._describe(version)
        for part in path.split("/") if path else []:
            if isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, dict) and part in found:
                found = found[part]
            else:
                return web.json_response({"error": "Not found"}, status=404)
        text = request.query.get("format") == "text"
        if text and isinstance(found, dict | list):
            keys = found if isinstance(found, dict) else range(len(found))
            return web.Response(text="\n".join(map(str, keys)))
        if isinstance(found, str) and not text:
            return web.json_response({"error": "Bad request. format=text is needed for a leaf"}, status=400)
        return web.Response(text=found) if text else web.json_response(found)

    def _document(self) -> Document:
        found = self._inventory().get(self._machine)
        if found is None:
            raise web.HTTPGone(text="this machine has been deleted")
        return found

    def _describe(self, version: str) -> Json:
        machine = self._document()
        parts, properties = machine.id.split("/"), machine.properties
        image = (properties.get("storageProfile") or {}).get("imageReference") or {}
        tags = machine.body.get("tags") or {}
        compute = {
            "azEnvironment": "AzurePublicCloud",
            "customData": "",
            "location": machine.body.get("location", ""),
            "name": machine.name,
            "offer": image.get("offer", ""),
            "osProfile": {"computerName": (properties.get("osProfile") or {}).get("computerName", "")},
            "osType": "Linux",
            "publisher": image.get("publisher", ""),
            "resourceGroupName": parts[4],
            "resourceId": machine.id,
            "sku": image.get("sku", ""),
            "subscriptionId": parts[2],
            "tags": ";".join(f"{name}:{value}" for name, value in tags.items()),
            "tagsList": [{"name": name, "value": value} for name, value in tags.items()],
            "version": image.get("exactVersion") or image.get("version", ""),
            "vmId": properties.get("vmId", ""),
            "vmSize": (properties.get("hardwareProfile") or {}).get("vmSize", ""),
            "zone": (machine.body.get("zones") or [""])[0],
        }
        if version >= USER_DATA_SINCE:
            compute["userData"] = machine.hidden.get("userData") or ""
        return {"compute": compute, "network": {"interface": self._interfaces()}}

    def _interfaces(self) -> list[Json]:
        return [
            {
                "ipv4": {
                    "ipAddress": [
                        {"privateIpAddress": each["properties"]["privateIPAddress"], "publicIpAddress": ""}
                        for each in nic.properties["ipConfigurations"]
                    ],
                },
                "ipv6": {"ipAddress": []},
                "macAddress": nic.properties.get("macAddress", ""),
            }
            for nic in self._inventory().of_type(NIC)
            if ((nic.properties.get("virtualMachine") or {}).get("id") or "").lower() == self._machine
        ]


def identities(inventory: Inventory, machine: Document) -> list[Identity]:
    """Return a machine's user-assigned identities that exist, sorted by id."""
    found = []
    assigned = (machine.body.get("identity") or {}).get("userAssignedIdentities") or {}
    for identifier in sorted(assigned, key=str.lower):
        document = inventory.get(identifier)
        if document is not None:
            properties = document.properties
            found.append(
                Identity(
                    id=document.id,
                    client_id=properties["clientId"],
                    principal_id=properties["principalId"],
                    tenant_id=properties["tenantId"],
                )
            )
    return found


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what Azure refuses: requests without the header, and those that a proxy passed on."""
    if request.headers.get("Metadata", "").lower() != "true":
        return _refuse("invalid_request", "Required metadata header not specified")
    if "X-Forwarded-For" in request.headers:
        return _refuse("invalid_request", "Required metadata header not specified or X-Forwarded-For present")
    return await handler(request)


async def _versions(_: web.Request) -> web.Response:
    return web.json_response({"apiVersions": sorted(INSTANCE_VERSIONS)})


def _refuse(error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=400)


def _bad_version(what: str) -> web.Response:
    body = {"error": f"Bad request. {what}", "newest-versions": list(INSTANCE_VERSIONS[:3])}
    return web.json_response(body, status=400)
