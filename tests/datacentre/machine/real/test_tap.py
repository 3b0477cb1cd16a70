"""A guest's card at its interface: the guest's packets are the guest's, a probe's the probe's.

The guest is a network namespace behind a pair of interfaces, in the place of QEMU behind a tap.
"""

import socket
import subprocess
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import NamedTuple

import pytest

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.machine.real import tap
from emulator.datacentre.router import GATEWAY, PLATFORM_ADDRESSES

ADDRESS = "10.10.1.4"
OTHER = "10.10.0.4"
METADATA = PLATFORM_ADDRESSES[1]
SECONDS = 5.0


class Places(NamedTuple):
    """A router with a machine behind it, the namespace of an interface, and its guest."""

    router: Namespace
    interface: Namespace
    guest: Namespace


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    """The interface as the router makes it, then the guest's card in it."""
    found = Places(*(Namespace(name) for name in ("router", "interface", "guest")))
    router, interface, guest = found
    for each in found:
        each.sysctl("net.ipv4.conf.all.rp_filter", "0")
        each.sysctl("net.ipv4.conf.default.rp_filter", "0")
        each.ip(["link set lo up"])
    router.sysctl("net.ipv4.ip_forward", "1")
    router.ip(
        [
            f"link add port type veth peer name eth0 netns {interface.path}",
            f"addr add {GATEWAY}/32 dev port scope link",
            "link set port up",
            f"addr add {OTHER}/32 dev lo",
            f"route add {ADDRESS}/32 dev port",
        ]
    )
    interface.ip(
        [
            f"addr add {METADATA}/32 dev lo",
            f"addr add {ADDRESS}/32 dev eth0",
            "link set eth0 up",
            f"route add {GATEWAY} dev eth0 scope link",
            f"route add default via {GATEWAY} dev eth0 src {ADDRESS}",
        ]
    )

    def plug(namespace: Namespace) -> None:
        namespace.ip([f"link add tap0 type veth peer name card netns {guest.path}"])

    monkeypatch.setattr(tap, "_plug", plug)
    tap.attach(interface, IPv4Address(ADDRESS))
    guest.ip(["link set card up", f"addr add {ADDRESS}/27 dev card", "route add default via 10.10.1.1"])
    yield found
    for each in found:
        each.close()


def talk(source: Namespace, target: Namespace, address: str, port: int = 8002) -> tuple[str, str]:
    """Connect and exchange a word; return who the target saw, and what the source heard."""
    server = target.socket(socket.SOCK_STREAM, address, port)
    server.setblocking(True)
    server.settimeout(SECONDS)
    seen: list[str] = []

    def answer() -> None:
        client, who = server.accept()
        with client:
            seen.append(who[0])
            client.sendall(b"yes")

    serving = threading.Thread(target=answer)
    serving.start()
    client = source.socket(socket.SOCK_STREAM)
    client.settimeout(SECONDS)
    with client, server:
        client.connect((address, port))
        heard = client.recv(10).decode()
        serving.join(SECONDS)
    return seen[0], heard


def test_the_guest_reaches_others_and_is_seen_by_its_own_address(places: Places) -> None:
    assert talk(places.guest, places.router, OTHER) == (ADDRESS, "yes")


def test_others_reach_the_guest(places: Places) -> None:
    assert talk(places.router, places.guest, ADDRESS)[1] == "yes"


def test_the_guest_reaches_what_the_platform_serves_in_its_interface(places: Places) -> None:
    assert talk(places.guest, places.interface, METADATA, 80) == (ADDRESS, "yes")


def test_a_probe_from_the_interface_is_answered_to_the_probe(places: Places) -> None:
    assert talk(places.interface, places.router, OTHER) == (ADDRESS, "yes")
    assert talk(places.interface, places.interface, METADATA, 80)[1] == "yes"


def test_nothing_that_listens_in_the_interface_stands_in_for_the_guest(places: Places) -> None:
    listening = places.interface.socket(socket.SOCK_STREAM, ADDRESS, 8002)
    client = places.router.socket(socket.SOCK_STREAM)
    client.settimeout(SECONDS)
    with listening, client, pytest.raises(ConnectionRefusedError):
        client.connect((ADDRESS, 8002))


def test_without_the_guest_the_interface_is_as_before(places: Places) -> None:
    tap.detach(places.interface, IPv4Address(ADDRESS))
    assert talk(places.router, places.interface, ADDRESS)[1] == "yes"
    assert talk(places.interface, places.router, OTHER) == (ADDRESS, "yes")
    tap.attach(places.interface, IPv4Address(ADDRESS))


@pytest.mark.parametrize("fails", ["ip", "sysctl", "nft"])
def test_a_card_that_cannot_be_plugged_in_leaves_nothing_behind(
    fails: str, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap.detach(places.interface, IPv4Address(ADDRESS))
    before = state(places.interface)
    monkeypatch.setattr(
        tap,
        "_steps",
        lambda address, steps=tap._steps: [
            *steps(address),
            {"ip": tap._Step(tap._ip("link set none up")),
             "sysctl": tap._Step(tap._sysctl("net.ipv4.conf.none.forwarding", "1")),
             "nft": tap._Step(tap._nft("delete table ip none"))}[fails],
        ],
    )  # fmt: skip
    with pytest.raises((DatacentreError, OSError)):
        tap.attach(places.interface, IPv4Address(ADDRESS))
    assert state(places.interface) == before
    monkeypatch.undo()


def test_a_tap_that_is_gone_keeps_nothing_else_from_being_taken_back(places: Places) -> None:
    places.interface.ip(["link del tap0"])
    with pytest.raises(DatacentreError, match="tap0"):
        tap.detach(places.interface, IPv4Address(ADDRESS))
    assert talk(places.router, places.interface, ADDRESS)[1] == "yes"
    tap._plug(places.interface)


def state(namespace: Namespace) -> list[str]:
    """Return the rules, links and tables of a namespace."""
    with namespace.entered():
        return [
            subprocess.run(words, capture_output=True, text=True, check=True).stdout
            for words in (
                ["ip", "-brief", "link"],
                ["ip", "rule"],
                ["nft", "list", "ruleset"],
                ["cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/eth0/proxy_arp"],
            )
        ]
