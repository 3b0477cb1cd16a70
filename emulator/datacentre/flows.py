"""The flow log: which new flows passed or were dropped, and the rule that decided.

As Azure's VNet flow logs it knows flows, not packets of flows: `packets` counts the packets that a decision
was made for, not those of an accepted flow's later life.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.datacentre.networks import Networks
from emulator.datacentre.router import Router
from emulator.datacentre.rules import FIRST_RULE_NUMBER, REASONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One decision about (source, destination, protocol, port).

    `source_name` and `destination_name` are the machine or endpoint at the address, empty for any other.
    `rule` is ``<security group>/<rule>`` of the decisive rule, or a reason in words when none decided; an
    empty one means that no group stood in the way. `port` is 0 where the protocol has none.
    """

    source: str
    destination: str
    protocol: str
    port: int
    passed: bool
    rule: str
    packets: int
    source_name: str = ""
    destination_name: str = ""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What a probe asks for."""
        return self.source, self.destination, self.protocol, self.port


def read_flows(networks: Networks) -> list[Flow]:
    """Return the flows of the last day, sorted by source, destination, protocol and port."""
    found: list[Flow] = []
    for index, router in enumerate(networks.routers):
        names = {
            address: port.name
            for port in networks.topology.ports.values()
            if networks.router_index(port.network) == index
            for address in port.addresses
        }
        found += _of_router(router, names, networks.numbers.names)
    return sorted(found, key=lambda flow: (*flow.key, flow.passed, flow.rule))


def _of_router(router: Router, names: Mapping[str, str], rules: Mapping[int, str]) -> Iterable[Flow]:
    for verdict in ("passed", "dropped"):
        for name in (verdict, f"{verdict}_portless"):
            for element in router.elements(name):
                source, destination, protocol, *port, mark = _concatenation(element)
                yield Flow(
                    source=source,
                    destination=destination,
                    protocol=str(protocol),
                    port=int(port[0]) if port else 0,
                    passed=verdict == "passed",
                    rule=decisive_rule(int(mark), rules),
                    packets=int(element["counter"]["packets"]),
                    source_name=names.get(source, ""),
                    destination_name=names.get(destination, ""),
                )


def decisive_rule(mark: int, rules: Mapping[int, str]) -> str:
    """Return the name behind a mark: the inbound rule (it was asked last), else the outbound one."""
    number = mark & 0xFFFF or mark >> 16
    return rules[number] if number >= FIRST_RULE_NUMBER else REASONS.get(number, "")


def _concatenation(element: Mapping[str, Any]) -> list[Any]:
    parts: list[Any] = element["val"]["concat"]
    return parts
