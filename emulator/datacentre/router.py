"""Routers: namespaces through which every packet between two ports passes, and the policy in them.

Changes are small and made under live traffic: a security group is flushed and filled in one transaction, a
peering is an element more or less. Never is the table replaced (docs/adr/0051).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulator.datacentre.kernel import Namespace
from emulator.datacentre.nft import Nft
from emulator.datacentre.rules import INTERNET, TABLE, Plan, RuleNumbers, compile_plan, interface, skeleton
from emulator.datacentre.topology import Port, Topology

GATEWAY = "169.254.1.1"
"""The next hop of every port: link-local, the same on all of the router's interfaces."""

PLATFORM_ADDRESSES = ("168.63.129.16", "169.254.169.254")
"""Azure's resolver and metadata service. They live inside each machine's namespace, so that, as on Azure, no
security group touches them."""

_ELEMENTS_A_TRANSACTION = 400
"""In a user namespace a transaction may not exceed the socket's default buffer (about 200 KiB)."""


class Router:
    """The namespace and the table behind one set of networks whose ranges do not overlap."""

    def __init__(self, number: int, internet: Namespace, numbers: RuleNumbers) -> None:
        self.namespace = Namespace(f"router {number}")
        self._numbers = numbers
        self._plan = Plan(chains={}, sets={}, tags=frozenset())
        self._attached: dict[str, Port] = {}
        self._rising: dict[str, tuple[tuple[Namespace, str], ...]] = {
            INTERNET: ((self.namespace, INTERNET), (internet, f"r{number}"))
        }
        first = 4 * number
        here, there = f"169.254.2.{first + 1}", f"169.254.2.{first + 2}"
        _quiet(self.namespace)
        self.namespace.sysctl("net.ipv4.ip_forward", "1")
        self.namespace.ip(
            [
                f"link add {INTERNET} type veth peer name r{number} netns {internet.path}",
                f"link set {INTERNET} up",
                "link set lo up",
                f"addr add {here}/30 dev {INTERNET}",
                f"route add default via {there}",
            ]
        )
        internet.ip([f"addr add {there}/30 dev r{number}", f"link set r{number} up"])
        self._nft = Nft(self.namespace)
        self._nft.run(skeleton())

    def apply(self, topology: Topology, namespaces: Mapping[str, Namespace]) -> tuple[str, ...]:
        """Bring policy and links in step with a topology; return what is not enforced, for a person to read.

        Rules stand before the link that needs them, and go after it.
        """
        plan = compile_plan(topology, self._numbers)
        self._declare(plan)
        self._detach([key for key, port in self._attached.items() if topology.ports.get(key) is None])
        self._update_elements(plan)
        self._attach([port for key, port in topology.ports.items() if key not in self._attached], namespaces)
        self._attached = dict(topology.ports)
        for unused in sorted(self._plan.chains.keys() - plan.chains.keys()):
            self._nft.run(f"delete chain {TABLE} {unused}")
        self._plan = plan
        return plan.problems

    def settled(self) -> bool:
        """Say whether every link carries packets; it takes long while the kernel removes old namespaces."""
        self._rising = {
            link: ends
            for link, ends in self._rising.items()
            if not all(namespace.running(device) for namespace, device in ends)
        }
        return not self._rising

    def elements(self, name: str) -> list[dict[str, Any]]:
        """Return the elements of one of the table's sets."""
        return self._nft.elements(TABLE, name)

    def forget_flows(self) -> None:
        """Empty the flow log."""
        names = ("passed", "dropped", "passed_portless", "dropped_portless")
        self._nft.run("\n".join(f"flush set {TABLE} {name}" for name in names))

    def close(self) -> None:
        """Let go of the namespace; the kernel takes its interfaces and rules along."""
        self._nft.close()
        self.namespace.close()

    def _declare(self, plan: Plan) -> None:
        """Make the sets of new service tags and the chains that are new or changed."""
        for tag in sorted(plan.tags - self._plan.tags):
            self._nft.run(f"add set {TABLE} {tag} {{ type ipv4_addr; flags interval; }}")
        for name, lines in plan.chains.items():
            before = self._plan.chains.get(name)
            if before != lines:
                start = [f"add chain {TABLE} {name}"] if before is None else [f"flush chain {TABLE} {name}"]
                self._nft.run("\n".join([*start, *(f"add rule {TABLE} {name} {line}" for line in lines)]))

    def _update_elements(self, plan: Plan) -> None:
        known = {name for name in plan.sets if not name.startswith("tag_") or name in plan.tags}
        for name in sorted(known | self._plan.sets.keys()):
            before = self._plan.sets.get(name, frozenset()) if name in self._plan.sets else frozenset()
            after = plan.sets.get(name, frozenset()) if name in known else frozenset()
            changes = [*_commands("delete", name, before - after), *_commands("add", name, after - before)]
            if changes:
                self._nft.run("\n".join(changes))

    def _detach(self, ports: Sequence[str]) -> None:
        if ports:
            for port in ports:
                self._rising.pop(port, None)
            self.namespace.ip([f"link del {interface(port)}" for port in ports])

    def _attach(self, ports: Sequence[Port], namespaces: Mapping[str, Namespace]) -> None:
        commands: list[str] = []
        for port in ports:
            name = interface(port.id)
            commands += [
                f"link add {name} type veth peer name eth0 netns {namespaces[port.id].path}",
                f"addr add {GATEWAY}/32 dev {name} scope link",
                f"link set {name} up",
                *(f"route add {address}/32 dev {name}" for address in port.addresses),
            ]
        if commands:
            self.namespace.ip(commands)
        for port in ports:
            namespaces[port.id].ip(_inside(port))
            self._rising[port.id] = (self.namespace, interface(port.id)), (namespaces[port.id], "eth0")


def new_port_namespace(port: Port) -> Namespace:
    """Return a namespace for a port, with the platform's addresses when it is a machine's."""
    namespace = Namespace(port.name)
    _quiet(namespace)
    loopback = [] if port.endpoint else [f"addr add {address}/32 dev lo" for address in PLATFORM_ADDRESSES]
    namespace.ip(["link set lo up", *loopback])
    return namespace


def join_internet(port: Port, internet: Namespace) -> Namespace:
    """Return a namespace for a machine that is in no network: the internet is its next hop."""
    name, namespace = interface(port.id), new_port_namespace(port)
    internet.ip(
        [
            f"link add {name} type veth peer name eth0 netns {namespace.path}",
            f"addr add {GATEWAY}/32 dev {name} scope link",
            f"link set {name} up",
            *(f"route add {address}/32 dev {name}" for address in port.addresses),
        ]
    )
    namespace.ip(_inside(port))
    return namespace


def _inside(port: Port) -> list[str]:
    return [
        *(f"addr add {address}/32 dev eth0" for address in port.addresses),
        "link set eth0 up",
        f"route add {GATEWAY} dev eth0 scope link",
        f"route add default via {GATEWAY} dev eth0 src {port.addresses[0]}",
    ]


def _quiet(namespace: Namespace) -> None:
    """Keep IPv6 out, and let the table alone judge source addresses."""
    if Path("/proc/sys/net/ipv6").exists():
        namespace.sysctl("net.ipv6.conf.all.disable_ipv6", "1")
        namespace.sysctl("net.ipv6.conf.default.disable_ipv6", "1")
    for which in ("all", "default"):
        namespace.sysctl(f"net.ipv4.conf.{which}.rp_filter", "0")


def _commands(verb: str, name: str, elements: frozenset[str]) -> Iterable[str]:
    """Return commands that add elements, or delete them (a map's by its key alone)."""
    keys = sorted(element if verb == "add" else element.partition(" : ")[0] for element in elements)
    for start in range(0, len(keys), _ELEMENTS_A_TRANSACTION):
        part = ", ".join(keys[start : start + _ELEMENTS_A_TRANSACTION])
        yield f"{verb} element {TABLE} {name} {{ {part} }}"
