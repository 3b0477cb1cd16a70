"""A control plane for tests: keeps ARM bodies written by hand, serves the feed that the datacentre follows.

Bodies have the shape of ARM's GET answers. `Cloud` offers the few resources that the tests need; nothing of
emulator/arm is involved.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
import uuid
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]

TENANT = "5f1c0a7e-7d43-4c0b-9a55-f2a4d3a7be01"
REGION = "westeurope"
BLOB_ZONE = "privatelink.blob.core.windows.net"
ROLES = {
    "reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "acr-pull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
}


def group(party: str) -> str:
    """Return the id of a party's resource group, in a subscription of its own."""
    subscription = uuid.uuid5(uuid.NAMESPACE_DNS, party)
    return f"/subscriptions/{subscription}/resourceGroups/rg-{party}"


def resource(party: str, kind: str, name: str) -> str:
    return f"{group(party)}/providers/{kind}/{name}"


def rule(
    name: str, priority: int, access: str = "Allow", direction: str = "Inbound", protocol: str = "Tcp",
    source: str | Sequence[str] = "*", to: str | Sequence[str] = "*", port: str | Sequence[str] = "*",
    source_port: str | Sequence[str] = "*",
) -> Json:  # fmt: skip
    """Return a security rule as it is inside a group."""

    def both(single: str, several: str, value: str | Sequence[str]) -> Json:
        return {single: value} if isinstance(value, str) else {several: list(value)}

    properties = {"priority": priority, "access": access, "direction": direction, "protocol": protocol}
    properties |= both("sourceAddressPrefix", "sourceAddressPrefixes", source)
    properties |= both("destinationAddressPrefix", "destinationAddressPrefixes", to)
    properties |= both("destinationPortRange", "destinationPortRanges", port)
    properties |= both("sourcePortRange", "sourcePortRanges", source_port)
    return {"name": name, "properties": properties}


class Cloud:
    """ARM's state, and the socket that serves it."""

    def __init__(self, socket: Path) -> None:
        self.documents: dict[str, Json] = {}
        self.commands: dict[str, Json] = {}
        self.answers: dict[str, Json] = {}
        self.health: dict[str, Json] = {}
        self.images: list[Json] = []
        self.revision = 1
        self.write_seconds = 0.0
        """How long ARM takes for a write that comes through its API."""
        self._history: dict[str, tuple[int, bool]] = {}
        self._news = threading.Condition()
        self._server = _Server(str(socket), _Handler)
        self._server.cloud = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        Path(str(self._server.server_address)).unlink()

    # The feed

    def put(self, identifier: str, kind: str, body: Json) -> str:
        """Store a resource and return its id."""
        with self._news:
            self.revision += 1
            name = identifier.rsplit("/", 1)[-1]
            whole = {"id": identifier, "name": name, "type": kind, **body}
            self.documents[identifier.lower()] = {"id": identifier, "type": kind, "body": whole}
            self._history[identifier.lower()] = (self.revision, True)
            self._news.notify_all()
        return identifier

    def delete(self, *identifiers: str) -> None:
        with self._news:
            self.revision += 1
            for identifier in identifiers:
                del self.documents[identifier.lower()]
                self._history[identifier.lower()] = (self.revision, False)
            self._news.notify_all()

    def body(self, identifier: str) -> Json:
        return json.loads(json.dumps(self.documents[identifier.lower()]["body"]))  # type: ignore[no-any-return]

    def change(self, identifier: str, **properties: Any) -> None:
        """Change properties of a resource."""
        document = self.documents[identifier.lower()]
        body = self.body(identifier)
        body["properties"] = {**body["properties"], **properties}
        self.put(document["id"], document["type"], body)

    def changes(self, since: int, wait: float) -> Json:
        with self._news:
            if wait:
                self._news.wait_for(lambda: self.revision > since, wait)
            changed = [key for key, (revision, _) in self._history.items() if revision > since]
            return {
                "revision": self.revision,
                "upserts": [self.documents[key] for key in changed if key in self.documents],
                "deletes": [key for key in changed if key not in self.documents] if since else [],
                "images": self.images,
                "commands": list(self.commands.values()),
            }

    def command(self, vm: str, *script: str) -> str:
        """Queue a runCommand and return its operation."""
        operation = str(uuid.uuid4())
        with self._news:
            self.revision += 1
            self.commands[operation] = {"operation": operation, "vm": vm, "script": list(script)}
            self._news.notify_all()
        return operation

    def answer(self, operation: str, seconds: float = 10) -> Json:
        """Wait for the result of a command."""
        with self._news:
            assert self._news.wait_for(lambda: operation in self.answers, seconds), "no answer in time"
            return self.answers[operation]

    def take_answer(self, operation: str, answer: Json) -> None:
        with self._news:
            del self.commands[operation]
            self.answers[operation] = answer
            self._news.notify_all()

    def take_health(self, vm: str, health: Json) -> None:
        with self._news:
            self.health[vm.lower()] = health
            self._news.notify_all()

    def wait_for_health(self, vm: str, wanted: Any, seconds: float = 20) -> Json:
        """Wait until a machine's report satisfies a predicate."""
        with self._news:
            met = self._news.wait_for(
                lambda: vm.lower() in self.health and wanted(self.health[vm.lower()]), seconds
            )
            assert met, f"health is {json.dumps(self.health.get(vm.lower()), indent=1)}"
            return self.health[vm.lower()]

    # Resources

    def nsg(self, party: str, name: str, rules: Sequence[Json]) -> str:
        kind = "Microsoft.Network/networkSecurityGroups"
        return self.put(resource(party, kind, name), kind, {"properties": {"securityRules": list(rules)}})

    def vnet(self, party: str, prefixes: Sequence[str], subnets: dict[str, Json]) -> str:
        """Store a network; `subnets` maps names to properties."""
        kind = "Microsoft.Network/virtualNetworks"
        identifier = resource(party, kind, f"vnet-{party}")
        inline = [
            {"id": f"{identifier}/subnets/{name}", "name": name, "properties": properties}
            for name, properties in subnets.items()
        ]
        body = {"addressSpace": {"addressPrefixes": list(prefixes)}, "subnets": inline}
        return self.put(identifier, kind, {"properties": body})

    def peer(self, one: str, other: str, state: str = "Connected", **properties: Any) -> tuple[str, str]:
        """Store both halves of a peering; properties count for the first half only."""
        return self.half(one, other, state, **properties), self.half(other, one, state)

    def half(self, local: str, remote: str, state: str = "Connected", **properties: Any) -> str:
        kind = "Microsoft.Network/virtualNetworks/virtualNetworkPeerings"
        body = {
            "remoteVirtualNetwork": {"id": remote}, "peeringState": state, "allowVirtualNetworkAccess": True,
            "allowForwardedTraffic": False, **properties,
        }  # fmt: skip
        return self.put(
            f"{local}/virtualNetworkPeerings/to-{remote.rsplit('/', 1)[-1]}", kind, {"properties": body}
        )

    def vm(
        self, party: str, subnet: str, address: str, *, power: str = "running", boot: int = 1,
        custom_data: str | None = None, user_data: str | None = None, identities: Sequence[Json] = (),
        disks: Sequence[str] = (), name: str | None = None, nic: Json | None = None, **properties: Any,
    ) -> str:  # fmt: skip
        """Store a machine and its interface."""
        name = name or f"vm-{party}"
        kind, nic_kind = "Microsoft.Compute/virtualMachines", "Microsoft.Network/networkInterfaces"
        identifier, nic_id = resource(party, kind, name), resource(party, nic_kind, f"nic-{name}")
        hidden: Json = {"power": power, "boot": boot}
        if custom_data is not None:
            hidden["customData"] = base64.b64encode(custom_data.encode()).decode()
        if user_data is not None:
            hidden["userData"] = base64.b64encode(user_data.encode()).decode()
        body: Json = {
            "location": REGION,
            "tags": {"party": party},
            "properties": {
                "vmId": str(uuid.uuid5(uuid.NAMESPACE_URL, identifier + (custom_data or ""))),
                "hardwareProfile": {"vmSize": "Standard_B2s_v2"},
                "osProfile": {"computerName": name},
                "storageProfile": {
                    "dataDisks": [
                        {"lun": lun, "createOption": "Attach", "managedDisk": {"id": disk}}
                        for lun, disk in enumerate(disks)
                    ]
                },
                "networkProfile": {"networkInterfaces": [{"id": nic_id}]},
                "provisioningState": "Succeeded",
                **properties,
            },
            "emulator": hidden,
        }
        if identities:
            known = {identity["id"]: identity["ids"] for identity in identities}
            body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": known}
        self.put(identifier, kind, body)
        configuration = {"privateIPAddress": address, "subnet": {"id": subnet}, "primary": True}
        self.put(
            nic_id,
            nic_kind,
            {
                "properties": {
                    "ipConfigurations": [{"name": "primary", "properties": configuration}],
                    "virtualMachine": {"id": identifier},
                    **(nic or {}),
                }
            },
        )
        return identifier

    def power(self, vm: str, power: str) -> None:
        """Start, stop or restart a machine as ARM's actions do."""
        document = self.documents[vm.lower()]
        body = self.body(vm)
        hidden = body["emulator"]
        if power in {"running", "restart"}:
            hidden |= {"power": "running", "boot": hidden["boot"] + 1}
        else:
            hidden["power"] = power
        self.put(document["id"], document["type"], body)

    def endpoint(
        self, party: str, name: str, subnet: str, target: str, member: str, addresses: dict[str, str],
        status: str = "Approved",
    ) -> str:  # fmt: skip
        """Store a private endpoint; `addresses` maps member names to addresses."""
        kind, nic_kind = "Microsoft.Network/privateEndpoints", "Microsoft.Network/networkInterfaces"
        identifier, nic_id = resource(party, kind, name), resource(party, nic_kind, f"{name}.nic")
        self.put(
            nic_id,
            nic_kind,
            {
                "properties": {
                    "ipConfigurations": [
                        {
                            "name": each,
                            "properties": {
                                "privateIPAddress": address,
                                "subnet": {"id": subnet},
                                "privateLinkConnectionProperties": {
                                    "groupId": member,
                                    "requiredMemberName": each,
                                },
                            },
                        }
                        for each, address in addresses.items()
                    ],
                    "privateEndpoint": {"id": identifier},
                }
            },
        )
        connection = {
            "privateLinkServiceId": target,
            "groupIds": [member],
            "privateLinkServiceConnectionState": {"status": status},
        }
        return self.put(
            identifier,
            kind,
            {
                "properties": {
                    "subnet": {"id": subnet},
                    "networkInterfaces": [{"id": nic_id}],
                    "privateLinkServiceConnections": [{"name": name, "properties": connection}],
                }
            },
        )

    def zone(self, party: str, name: str, records: dict[str, str], vnets: Sequence[str], **link: Any) -> str:
        """Store a private zone with A records and links."""
        kind = "Microsoft.Network/privateDnsZones"
        identifier = self.put(resource(party, kind, name), kind, {"location": "global", "properties": {}})
        for record, address in records.items():
            self.record(identifier, record, address)
        for vnet in vnets:
            self.put(
                f"{identifier}/virtualNetworkLinks/link-{vnet.rsplit('/', 1)[-1]}",
                kind + "/virtualNetworkLinks",
                {"properties": {"virtualNetwork": {"id": vnet}, "registrationEnabled": False, **link}},
            )
        return identifier

    def record(self, zone: str, name: str, *addresses: str) -> str:
        records = [{"ipv4Address": address} for address in addresses]
        body = {"properties": {"ttl": 300, "aRecords": records}}
        return self.put(f"{zone}/A/{name}", "Microsoft.Network/privateDnsZones/A", body)

    def identity(self, party: str, name: str) -> Json:
        """Store an identity and return its id and its ids in Entra."""
        kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
        identifier = resource(party, kind, name)
        ids = {
            "clientId": str(uuid.uuid5(uuid.NAMESPACE_URL, identifier + "client")),
            "principalId": str(uuid.uuid5(uuid.NAMESPACE_URL, identifier + "principal")),
        }
        self.put(identifier, kind, {"location": REGION, "properties": {**ids, "tenantId": TENANT}})
        return {"id": identifier, "ids": ids}

    def account(self, party: str, name: str, containers: Sequence[str] = (), **properties: Any) -> str:
        kind = "Microsoft.Storage/storageAccounts"
        body = {"publicNetworkAccess": "Disabled", "allowSharedKeyAccess": False, **properties}
        identifier = self.put(resource(party, kind, name), kind, {"location": REGION, "properties": body})
        for container in containers:
            self.container(identifier, container)
        return identifier

    def container(self, account: str, name: str) -> str:
        kind = "Microsoft.Storage/storageAccounts/blobServices/containers"
        return self.put(f"{account}/blobServices/default/containers/{name}", kind, {"properties": {}})

    def assign(self, role: str, identity: Json, scope: str) -> str:
        """Give an identity a role on a scope."""
        kind = "Microsoft.Authorization/roleAssignments"
        subscription = "/".join(scope.split("/")[:3])
        definition = (
            f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{ROLES.get(role, role)}"
        )
        name = uuid.uuid5(uuid.NAMESPACE_URL, f"{role}{identity['id']}{scope}")
        properties = {
            "roleDefinitionId": definition,
            "principalId": identity["ids"]["principalId"],
            "scope": scope,
        }
        return self.put(f"{scope}/providers/{kind}/{name}", kind, {"properties": properties})

    def disk(self, party: str, name: str) -> str:
        kind = "Microsoft.Compute/disks"
        return self.put(
            resource(party, kind, name),
            kind,
            {"location": REGION, "properties": {"diskSizeGB": 32, "uniqueId": str(uuid.uuid4())}},
        )


class _Server(ThreadingUnixStreamServer):
    daemon_threads = True
    cloud: Cloud


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "datacentre"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        query = {name: value[0] for name, value in parse_qs(urlsplit(self.path).query).items()}
        self._answer(self.server.cloud.changes(int(query["since"]), float(query["wait"])))

    def do_POST(self) -> None:
        operation = urlsplit(self.path).path.removeprefix("/emulator/commands/")
        self.server.cloud.take_answer(operation, self._body())
        self._answer({})

    def do_PUT(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/emulator/vms/"):
            self.server.cloud.take_health(unquote(path.removeprefix("/emulator/vms/")), self._body())
            self._answer({})
        else:  # the front door makes a container
            time.sleep(self.server.cloud.write_seconds)
            kind = "Microsoft.Storage/storageAccounts/blobServices/containers"
            self.server.cloud.put(unquote(path), kind, self._body())
            self._answer(self.server.cloud.body(unquote(path)), 201)

    def do_DELETE(self) -> None:
        time.sleep(self.server.cloud.write_seconds)
        self.server.cloud.delete(unquote(urlsplit(self.path).path))
        self._answer({})

    def _body(self) -> Json:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))  # type: ignore[no-any-return]

    def _answer(self, body: Json, status: int = 200) -> None:
        text = json.dumps(body).encode()
        with contextlib.suppress(BrokenPipeError):  # a datacentre that was killed while it waited
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)


def descendants(pid: int) -> list[int]:
    """Return everything below a process; one that has just ended has nothing below it."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [*children, *(each for child in children for each in descendants(child))]
