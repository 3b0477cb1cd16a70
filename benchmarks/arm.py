"""How fast the control plane answers with thousands of resources in its store.

    python -m benchmarks.arm [resources]

Fills a store in a temporary folder with hospitals (a network, a subnet, a security group, an interface, an
account with a container, an endpoint: about 20 resources each), then times requests of each kind by the
function that the plugins call. Prints milliseconds: median and 99th percentile.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulator.arm.control_plane import ControlPlane
from emulator.arm.latency import Latency
from emulator.arm.messages import Request, Response

ROUNDS = 300
"""Requests of each kind that are timed."""
LIMIT = 1.0
"""Milliseconds that a PUT or a GET may take at the median."""
WEST = {"location": "westeurope"}


class Caller:
    """Sends requests with a token of the deployer."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._token, _ = plane.issue_token()

    def __call__(self, method: str, path: str, version: str, body: dict[str, Any] | None = None) -> Response:
        """Send a request; end the program when it is refused."""
        answer = self._plane.handle(
            Request(
                method=method,
                path=path,
                query={"api-version": version},
                headers={"authorization": f"Bearer {self._token}"},
                body=body,
            )
        )
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {answer.body}")
        return answer


def group(number: int) -> str:
    """Return the id of a hospital's resource group."""
    return f"/subscriptions/00000000-0000-4000-8000-{number:012d}/resourceGroups/rg"


def network_of(number: int) -> str:
    """Return the id of a hospital's virtual network."""
    return f"{group(number)}/providers/Microsoft.Network/virtualNetworks/vnet"


def interface(number: int) -> dict[str, Any]:
    """Return the body of an interface in a hospital's subnet."""
    place = {"subnet": {"id": f"{network_of(number)}/subnets/workload"}}
    return WEST | {"properties": {"ipConfigurations": [{"name": "primary", "properties": place}]}}


def hospital(ask: Caller, number: int) -> None:
    """Deploy one hospital."""
    network, storage = "2024-05-01", "2024-01-01"
    provider = f"{group(number)}/providers/Microsoft.Network"
    ask("PUT", group(number), "2024-03-01", WEST)
    rules = [rule(priority) for priority in range(100, 108)]
    ask(
        "PUT",
        f"{provider}/networkSecurityGroups/nsg",
        network,
        WEST | {"properties": {"securityRules": rules}},
    )
    own = {"networkSecurityGroup": {"id": f"{provider}/networkSecurityGroups/nsg"}}
    subnet = {"name": "workload", "properties": {"addressPrefix": "10.0.0.0/25"} | own}
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}, "subnets": [subnet]}
    ask("PUT", network_of(number), network, WEST | {"properties": space})
    ask("PUT", f"{provider}/networkInterfaces/nic", network, interface(number))
    account = f"{group(number)}/providers/Microsoft.Storage/storageAccounts/st{number:08d}"
    ask("PUT", account, storage, WEST | {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}})
    ask("PUT", f"{account}/blobServices/default/containers/data", storage, {})
    link = {"name": "l", "properties": {"privateLinkServiceId": account, "groupIds": ["blob"]}}
    place = {"subnet": {"id": f"{network_of(number)}/subnets/workload"}}
    body = WEST | {"properties": place | {"privateLinkServiceConnections": [link]}}
    ask("PUT", f"{provider}/privateEndpoints/pe", network, body)


def rule(priority: int) -> dict[str, Any]:
    """Return a security rule."""
    properties = {"priority": priority, "direction": "Inbound", "access": "Allow", "protocol": "Tcp"}
    properties |= {"sourceAddressPrefix": "10.0.0.4/32", "sourcePortRange": "*"}
    properties |= {"destinationAddressPrefix": "*", "destinationPortRange": "443"}
    return {"name": f"r{priority}", "properties": properties}


def timed(what: str, work: Callable[[int], object]) -> float:
    """Time a request of a kind, print and return its median in milliseconds."""
    taken = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        work(number)
        taken.append((time.perf_counter() - began) * 1000)
    median, worst = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
    print(f"{what:48} {median:8.3f} {worst:8.3f}")
    return median


def main(wanted: int) -> int:
    """Fill a store, time requests; return 1 when one of them is slower than LIMIT."""
    with tempfile.TemporaryDirectory() as folder:
        plane = ControlPlane(Path(folder) / "arm.sqlite", b"k" * 32, latency=Latency(0.0))
        ask = Caller(plane)
        began, hospitals = time.perf_counter(), 0
        while count(plane) < wanted:
            hospital(ask, hospitals)
            hospitals += 1
        seconds = time.perf_counter() - began
        print(f"{count(plane)} resources of {hospitals} hospitals, written in {seconds:.1f} s")
        print(f"{'milliseconds':48} {'median':>8} {'99 %':>8}")
        medians = [
            timed("GET a network", lambda n: ask("GET", network_of(n % hospitals), "2024-05-01")),
            timed("GET a resource group", lambda n: ask("GET", group(n % hospitals), "2024-03-01")),
            timed("PUT a network (unchanged)", lambda n: put_network(ask, n % hospitals)),
            timed(
                "PUT a new interface",
                lambda n: ask("PUT", f"{nics(n % hospitals)}/x{n}", "2024-05-01", interface(n % hospitals)),
            ),
            timed(
                "DELETE an interface", lambda n: ask("DELETE", f"{nics(n % hospitals)}/x{n}", "2024-05-01")
            ),
            timed("PUT a container", lambda n: put_container(ask, n, n % hospitals)),
        ]
        timed("LIST a group's interfaces", lambda n: ask("GET", nics(n % hospitals), "2024-05-01"))
        whole = time.perf_counter()
        ask("GET", "/emulator/changes", "")
        print(
            f"{'every resource, as the datacentre reads it':48} {(time.perf_counter() - whole) * 1000:8.0f}"
        )
        plane.close()
    return int(any(median > LIMIT for median in medians))


def nics(number: int) -> str:
    """Return the path of a hospital's interfaces."""
    return f"{group(number)}/providers/Microsoft.Network/networkInterfaces"


def put_network(ask: Caller, number: int) -> None:
    """Write a hospital's network again."""
    own = {
        "networkSecurityGroup": {
            "id": f"{group(number)}/providers/Microsoft.Network/networkSecurityGroups/nsg"
        }
    }
    subnet = {"name": "workload", "properties": {"addressPrefix": "10.0.0.0/25"} | own}
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}, "subnets": [subnet]}
    ask("PUT", network_of(number), "2024-05-01", WEST | {"properties": space})


def put_container(ask: Caller, name: int, number: int) -> None:
    """Write a blob container."""
    account = f"{group(number)}/providers/Microsoft.Storage/storageAccounts/st{number:08d}"
    ask("PUT", f"{account}/blobServices/default/containers/c-{name:04d}", "2024-01-01", {})


def count(plane: ControlPlane) -> int:
    """Return how many resources the store holds."""
    with plane.store.transaction() as tx:
        return tx.count()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000))
