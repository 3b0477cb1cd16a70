"""A bridge network behind a machine, as a container engine makes one."""

from __future__ import annotations

import ipaddress
import subprocess

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.machine.compose import Network

_MASQUERADE = """
table ip fed_bridge
delete table ip fed_bridge
table ip fed_bridge {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {subnet} oifname != "{bridge}" masquerade
  }}
}}
"""


class Bridge:
    """One bridge in a machine's network namespace and the namespaces of its members."""

    def __init__(self, machine: str, network: Network, namespace: Namespace) -> None:
        self._machine = machine
        self._network = network
        self._namespace = namespace
        self._addresses = ipaddress.IPv4Network(network.subnet)
        self._members: dict[str, Namespace] = {}
        gateway, length = self._addresses[1], self._addresses.prefixlen
        # The machine's own namespace outlives a restart of the machine, and with it an old bridge.
        self._remove(network.bridge)
        namespace.ip(
            [
                f"link add {network.bridge} type bridge",
                f"addr add {gateway}/{length} dev {network.bridge}",
                f"link set {network.bridge} up",
            ]
        )
        namespace.sysctl("net.ipv4.ip_forward", "1")
        self.guard(_MASQUERADE.format(subnet=network.subnet, bridge=network.bridge))

    def guard(self, rules: str) -> None:
        """Load an nftables file in the machine; raise DatacentreError with what nft says of it."""
        if refused := self._namespace.nft(rules):
            raise DatacentreError(
                f"{self._machine}: nft refuses the rules of {self._network.bridge}: {refused}"
            )

    def join(self, name: str) -> Namespace:
        """Return the network namespace of a member, made when it first joins."""
        if name not in self._members:
            self._members[name] = self._connect(name, len(self._members) + 2)
        return self._members[name]

    def _connect(self, name: str, number: int) -> Namespace:
        bridge, length = self._network.bridge, self._addresses.prefixlen
        outside = f"veth{number}"
        # Of a life before: the kernel takes its time to remove a namespace and the links that end in it.
        self._remove(outside)
        member = Namespace(f"{self._machine}/{name}")
        try:
            self._namespace.ip(
                [
                    f"link add {outside} type veth peer name eth0 netns {member.path}",
                    f"link set {outside} master {bridge}",
                    f"link set {outside} up",
                ]
            )
            member.ip(
                [
                    "link set lo up",
                    f"addr add {self._addresses[number]}/{length} dev eth0",
                    "link set eth0 up",
                    f"route add default via {self._addresses[1]}",
                ]
            )
        except DatacentreError:
            member.close()
            raise
        return member

    def _remove(self, link: str) -> None:
        with self._namespace.entered():
            subprocess.run(  # noqa: S603 a name from the compose file, as one argument
                ["ip", "link", "del", link],  # noqa: S607 iproute2 is in /sbin or /usr/sbin
                capture_output=True,
                check=False,
            )

    def close(self) -> None:
        """Let go of the members' namespaces; their links go with them."""
        for member in self._members.values():
            member.close()
        self._members.clear()
        self._remove(self._network.bridge)
