"""Puts a guest's network card where an emulated machine's was, so that all rules of the networks hold for it.

The interface's namespace becomes the host's side of the card: it answers for all neighbours, as Azure does,
and passes packets on. It keeps the address, too, for what is served in it (names, metadata) and for what is
opened from it (probes): the connections that begin here are marked, and all others to the address are the
guest's.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.machine.real.hardware import TAP

_TABLE = 100
_OWN, _GUESTS, _LOCAL = 10, 20, 30
"""The order in which the kernel asks: own connections, the guest's, and what it asks first elsewhere."""
_MARKS = """
table ip fed_tap
delete table ip fed_tap
table ip fed_tap {
  chain output {
    type route hook output priority mangle;
    ct state new ct mark set 1
    meta mark set ct mark
  }
  chain prerouting {
    type filter hook prerouting priority mangle;
    meta mark set ct mark
  }
}
"""


def attach(namespace: Namespace, address: IPv4Address) -> None:
    """Make the tap and lead to it what is not the namespace's own; raise DatacentreError when that fails."""
    _plug(namespace)
    _nft(namespace, _MARKS)
    namespace.ip(
        [
            f"link set {TAP} up",
            f"route replace {address}/32 dev {TAP} table {_TABLE}",
            f"rule add pref {_OWN} fwmark 1 lookup local",
            f"rule add pref {_GUESTS} to {address}/32 lookup {_TABLE}",
            f"rule add pref {_LOCAL} lookup local",
            "rule del pref 0",
        ]
    )
    namespace.sysctl("net.ipv4.ip_forward", "1")
    namespace.sysctl(f"net.ipv4.conf.{TAP}.accept_local", "1")
    for device in (TAP, "eth0"):
        namespace.sysctl(f"net.ipv4.conf.{device}.proxy_arp", "1")
        namespace.sysctl(f"net.ipv4.neigh.{device}.proxy_delay", "0")


def detach(namespace: Namespace) -> None:
    """Give everything back to the namespace, as an emulated machine has it; raises as `attach`."""
    namespace.sysctl("net.ipv4.ip_forward", "0")
    namespace.ip(
        [
            "rule add pref 0 lookup local",
            *(f"rule del pref {number}" for number in (_OWN, _GUESTS, _LOCAL)),
            f"link del {TAP}",
        ]
    )
    _nft(namespace, "delete table ip fed_tap")


def _plug(namespace: Namespace) -> None:
    namespace.ip([f"tuntap add {TAP} mode tap"])


def _nft(namespace: Namespace, rules: str) -> None:
    if refused := namespace.nft(rules):
        raise DatacentreError(f"network namespace {namespace.name}: nft refused: {refused.strip()}")
