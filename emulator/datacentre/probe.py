"""Opens real connections to find out what the networks let through, thousands at once.

What the router let pass is read from its flow log, so that a verdict needs no listener at the other end, and
a denial no waiting for a timeout.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import resource
import select
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from emulator.datacentre.desks import addresses, free_address, groups_of
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.flows import Flow, read_flows
from emulator.datacentre.inventory import Document
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.networks import Networks
from emulator.datacentre.topology import Port

_POLL_SECONDS = 0.01
_SPARE_DESCRIPTORS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to try to connect: an IPv4 address and a port, over ``tcp`` or ``udp``."""

    address: str
    port: int
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What became of one attempt.

    `outcome` is what a program sees: ``open``, ``refused`` (reached, nothing listens), ``timeout`` or
    ``unreachable``; for UDP ``sent``. `passed` and `rule` are the router's word: the rule that let it in or
    kept it out, or the reason when no rule decided.
    """

    source: str
    address: str
    port: int
    protocol: str
    outcome: str
    passed: bool
    rule: str


def probe(
    networks: Networks, sources: Mapping[str, Port], targets: Sequence[Target], seconds: float = 1.0
) -> list[Probe]:
    """Try every target from every source (label -> port), for at most `seconds`; return one probe a pair.

    Blocks; the calling thread visits the namespaces. Attempts at a source's own addresses are left out.
    """
    attempts = [
        _Attempt(label, port, networks.namespaces[port.id], target)
        for label, port in sources.items()
        for target in targets
        if target.address not in port.addresses
    ]
    _allow_descriptors(len(attempts))
    before = _packets(read_flows(networks))
    try:
        for attempt in attempts:
            attempt.start()
        verdicts = _wait(networks, attempts, before, seconds)
    finally:
        for attempt in attempts:
            attempt.close()
    return [attempt.result(verdicts.get(attempt.key)) for attempt in attempts]


@contextlib.contextmanager
def stranger(networks: Networks, subnet: Document) -> Iterator[Port]:
    """Put a machine that nobody ordered into a subnet, at its highest free address, while a block runs."""
    port = Port(
        id=f"{subnet.key}/stranger",
        owner=f"{subnet.key}/stranger",
        name="stranger",
        network=subnet.key.rsplit("/", 2)[0],
        subnet=subnet.key,
        addresses=(free_address(subnet, addresses(networks.topology.ports.values())),),
        groups=groups_of(subnet),
    )
    without = networks.topology
    networks.apply(dataclasses.replace(without, ports={**without.ports, port.id: port}))
    try:
        while not networks.settled():
            time.sleep(_POLL_SECONDS)
        yield port
    finally:
        networks.apply(without)
        networks.release()


class _Attempt:
    """One connection on its way."""

    def __init__(self, label: str, port: Port, namespace: Namespace, target: Target) -> None:
        self.label = label
        self.target = target
        self.key = (port.addresses[0], target.address, target.protocol, target.port)
        self.outcome = ""
        kind = socket.SOCK_STREAM if target.protocol == "tcp" else socket.SOCK_DGRAM
        self.socket = namespace.socket(kind)

    def start(self) -> None:
        """Send the first packet."""
        number = self.socket.connect_ex((self.target.address, self.target.port))
        if self.target.protocol == "udp" and not number:
            self.socket.send(b"probe")
            self.outcome = "sent"
        elif number != errno.EINPROGRESS:
            self.outcome = _outcome(number)

    def finish(self) -> None:
        """Take the answer that the kernel has for it."""
        self.outcome = _outcome(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def close(self) -> None:
        """Give up on it."""
        self.socket.close()

    def result(self, flow: Flow | None) -> Probe:
        """Return what became of it."""
        return Probe(
            source=self.label,
            address=self.target.address,
            port=self.target.port,
            protocol=self.target.protocol,
            outcome=self.outcome or "timeout",
            passed=flow is not None and flow.passed,
            rule=flow.rule if flow else "the packet met no router",
        )


def _outcome(number: int) -> str:
    if number == 0:
        return "open"
    return {errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "timeout"}.get(number, "unreachable")


def _wait(
    networks: Networks, attempts: Sequence[_Attempt], before: Mapping[Flow, int], seconds: float
) -> dict[tuple[str, str, str, int], Flow]:
    """Wait until each attempt is either answered, or known to have been dropped, or out of time."""
    poll = select.epoll()
    open_ = {attempt.socket.fileno(): attempt for attempt in attempts if not attempt.outcome}
    for descriptor in open_:
        poll.register(descriptor, select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP)
    end = time.monotonic() + seconds
    verdicts: dict[tuple[str, str, str, int], Flow] = {}
    with contextlib.closing(poll):
        while time.monotonic() < end:
            for descriptor, _ in poll.poll(_POLL_SECONDS):
                open_.pop(descriptor).finish()
                poll.unregister(descriptor)
            verdicts = _decided(networks, before)
            unsure = [attempt for attempt in attempts if attempt.key not in verdicts]
            waiting = [attempt for attempt in open_.values() if verdicts.get(attempt.key, _PASSED).passed]
            if not waiting and not unsure:
                break
    return verdicts


_PASSED = Flow(source="", destination="", protocol="", port=0, passed=True, rule="", packets=0)


def _packets(flows: Iterable[Flow]) -> dict[Flow, int]:
    return {dataclasses.replace(flow, packets=0): flow.packets for flow in flows}


def _decided(networks: Networks, before: Mapping[Flow, int]) -> dict[tuple[str, str, str, int], Flow]:
    """Return the decisions taken since `before`, by what was asked."""
    return {
        flow.key: flow
        for flow in read_flows(networks)
        if flow.packets > before.get(dataclasses.replace(flow, packets=0), 0)
    }


def _allow_descriptors(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _SPARE_DESCRIPTORS
    if wanted > hard:
        raise DatacentreError(
            f"{count} probes at once need {wanted} open files, this system allows {hard}: probe less at a "
            "time, or raise the limit (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
