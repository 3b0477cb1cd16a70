"""Puts a guest's network card where an emulated machine's was, so that all rules of the networks hold for it.

The interface's namespace becomes the host's side of the card: it answers for all neighbours, as Azure does,
and passes packets on. It keeps the address, too, for what is served in it (names, metadata) and for what is
opened from it (probes): the connections that begin here are marked, and all others to the address are the
guest's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Step:
    """One change to the namespace of an interface, and what takes it back (nothing: it goes with the tap)."""

    do: Callable[[Namespace], None]
    undo: Callable[[Namespace], None] | None = None


def attach(namespace: Namespace, address: IPv4Address) -> None:
    """Make the tap and lead to it what is not the namespace's own.

    Raises DatacentreError or OSError when that fails; the namespace is then as it was before.
    """
    with ExitStack() as undone:
        for step in _steps(address):
            step.do(namespace)
            if step.undo:
                undone.callback(step.undo, namespace)
        undone.pop_all()


def detach(namespace: Namespace, address: IPv4Address) -> None:
    """Give everything back to the namespace, as an emulated machine has it; raises as `attach`.

    What can be taken back is, also where something else cannot.
    """
    with ExitStack() as undone:
        for step in _steps(address):
            if step.undo:
                undone.callback(step.undo, namespace)


def _steps(address: IPv4Address) -> list[_Step]:
    """Return what makes a card of a namespace, in order."""
    return [
        _Step(_plug, _ip(f"link del {TAP}")),
        _Step(_nft(_MARKS), _nft("delete table ip fed_tap")),
        _Step(_ip(f"link set {TAP} up")),
        _Step(_ip(f"route replace {address}/32 dev {TAP} table {_TABLE}")),
        _rule(f"pref {_OWN} fwmark 1 lookup local"),
        _rule(f"pref {_GUESTS} to {address}/32 lookup {_TABLE}"),
        _rule(f"pref {_LOCAL} lookup local"),
        _Step(_ip("rule del pref 0"), _ip("rule add pref 0 lookup local")),
        _Step(_sysctl("net.ipv4.ip_forward", "1"), _sysctl("net.ipv4.ip_forward", "0")),
        _Step(_sysctl(f"net.ipv4.conf.{TAP}.accept_local", "1")),
        _Step(_sysctl(f"net.ipv4.conf.{TAP}.proxy_arp", "1")),
        _Step(_sysctl(f"net.ipv4.neigh.{TAP}.proxy_delay", "0")),
        _Step(_sysctl("net.ipv4.conf.eth0.proxy_arp", "1"), _sysctl("net.ipv4.conf.eth0.proxy_arp", "0")),
        _Step(_sysctl("net.ipv4.neigh.eth0.proxy_delay", "0")),
    ]


def _plug(namespace: Namespace) -> None:
    namespace.ip([f"tuntap add {TAP} mode tap"])


def _ip(command: str) -> Callable[[Namespace], None]:
    return lambda namespace: namespace.ip([command])


def _rule(words: str) -> _Step:
    return _Step(_ip(f"rule add {words}"), _ip(f"rule del {words}"))


def _sysctl(name: str, value: str) -> Callable[[Namespace], None]:
    return lambda namespace: namespace.sysctl(name, value)


def _nft(rules: str) -> Callable[[Namespace], None]:
    def load(namespace: Namespace) -> None:
        if refused := namespace.nft(rules):
            raise DatacentreError(f"network namespace {namespace.name}: nft refused: {refused.strip()}")

    return load
