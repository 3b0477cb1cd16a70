"""Names mean to a machine what they mean in its virtual network: private zones, links, public names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dnslib import EDNS0, QTYPE, RCODE, DNSRecord  # type: ignore[import-untyped]

from emulator.datacentre.control import Datacentre
from emulator.datacentre.inventory import Inventory
from emulator.datacentre.names import PUBLIC_FRONT_DOOR, Answer, directory, respond
from tests.datacentre.cloud import BLOB_ZONE, Cloud

ACCOUNT = "sthub.blob.core.windows.net"
PRIVATE = "sthub.privatelink.blob.core.windows.net"
ASK = """
import socket, sys
for name in sys.argv[1:]:
    try:
        print(name, socket.gethostbyname_ex(name)[1:])
    except socket.gaierror as error:
        print(name, error.strerror)
"""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path / "arm.sock")
    hub = made.vnet("hub", ["10.0.0.0/24"], {"only": {"addressPrefix": "10.0.0.0/24"}})
    made.vnet("one", ["10.1.0.0/24"], {"only": {"addressPrefix": "10.1.0.0/24"}})
    made.vnet("lone", ["10.9.0.0/24"], {"only": {"addressPrefix": "10.9.0.0/24"}})
    account = made.account("hub", "sthub")
    made.account("hub", "stopen")
    made.endpoint("hub", "pe-hub", f"{hub}/subnets/only", account, "blob", {"blob": "10.0.0.68"})
    made.zone("hub", BLOB_ZONE, {"sthub": "10.0.0.68"}, [hub])
    yield made
    made.close()


def resolve(cloud: Cloud, party: str, name: str) -> Answer:
    inventory = Inventory()
    inventory.apply(cloud.changes(0, 0))
    vnet = next(key for key in cloud.documents if key.endswith(f"virtualnetworks/vnet-{party}"))
    return directory(inventory).resolve(vnet, name)


class TestPrivateZones:
    def test_a_public_name_leads_through_its_privatelink_name_to_the_endpoint(self, cloud: Cloud) -> None:
        assert resolve(cloud, "hub", ACCOUNT.upper() + ".") == Answer(
            ((ACCOUNT, PRIVATE),), ("10.0.0.68",), True
        )

    def test_a_network_without_the_link_sees_what_the_public_sees(self, cloud: Cloud) -> None:
        assert resolve(cloud, "lone", ACCOUNT) == Answer(((ACCOUNT, PRIVATE),), (PUBLIC_FRONT_DOOR,), True)

    def test_a_linked_zone_without_the_record_hides_the_public_answer(self, cloud: Cloud) -> None:
        cloud.delete(next(d["id"] for d in cloud.documents.values() if d["id"].endswith("/A/sthub")))
        assert not resolve(cloud, "hub", ACCOUNT).exists

    def test_nxdomain_redirect_asks_the_public(self, cloud: Cloud) -> None:
        zone = next(d["id"] for d in cloud.documents.values() if d["id"].endswith(BLOB_ZONE))
        cloud.delete(f"{zone}/A/sthub")
        cloud.change(f"{zone}/virtualNetworkLinks/link-vnet-hub", resolutionPolicy="NxDomainRedirect")
        assert resolve(cloud, "hub", ACCOUNT).addresses == (PUBLIC_FRONT_DOOR,)

    def test_an_account_without_endpoint_has_no_alias(self, cloud: Cloud) -> None:
        answer = resolve(cloud, "hub", "stopen.blob.core.windows.net")
        assert answer == Answer((), (PUBLIC_FRONT_DOOR,), True)

    def test_an_endpoint_that_is_not_approved_makes_no_alias(self, cloud: Cloud) -> None:
        hub = next(d["id"] for d in cloud.documents.values() if d["id"].endswith("vnet-hub"))
        account = next(d["id"] for d in cloud.documents.values() if d["id"].endswith("/sthub"))
        cloud.endpoint(
            "hub", "pe-hub", f"{hub}/subnets/only", account, "blob", {"blob": "10.0.0.68"}, "Pending"
        )
        assert resolve(cloud, "hub", ACCOUNT).aliases == ()

    @pytest.mark.parametrize(
        "name", ["config.mlflow-telemetry.io", "sthub.dfs.core.windows.net", "localhost"]
    )
    def test_nobody_else_exists(self, cloud: Cloud, name: str) -> None:
        assert not resolve(cloud, "hub", name).exists

    def test_wildcards_and_names_on_the_way_to_others(self, cloud: Cloud) -> None:
        one = next(d["id"] for d in cloud.documents.values() if d["id"].endswith("vnet-one"))
        cloud.zone(
            "one", "federation.internal", {"fl": "10.0.0.4", "*.dev": "10.0.0.9", "@": "10.0.0.1"}, [one]
        )
        assert resolve(cloud, "one", "fl.federation.internal").addresses == ("10.0.0.4",)
        assert resolve(cloud, "one", "a.dev.federation.internal").addresses == ("10.0.0.9",)
        assert resolve(cloud, "one", "federation.internal").addresses == ("10.0.0.1",)
        assert resolve(cloud, "one", "dev.federation.internal") == Answer((), (), True)
        assert not resolve(cloud, "one", "other.federation.internal").exists
        assert not resolve(cloud, "hub", "fl.federation.internal").exists

    def test_a_loop_of_aliases_ends(self) -> None:
        from emulator.datacentre.names import Directory  # noqa: PLC0415

        assert not Directory(aliases={"a.x": "b.x", "b.x": "a.x"}).resolve("v", "a.x").exists


class TestMessages:
    def ask(self, kind: str, answer: Answer, edns: int | None = None, limit: int | None = None) -> DNSRecord:
        query = DNSRecord.question("name.example", kind)
        if edns:
            query.add_ar(EDNS0(udp_len=edns))
        reply = respond(query.pack(), lambda _: answer, limit)
        assert reply is not None
        return DNSRecord.parse(reply)

    def test_an_ipv6_question_about_a_known_name_is_answered_empty(self) -> None:
        reply = self.ask("AAAA", Answer((), ("10.0.0.4",), True))
        assert (RCODE[reply.header.rcode], reply.rr) == ("NOERROR", [])

    def test_an_unknown_name_is_nxdomain_also_behind_an_alias(self) -> None:
        reply = self.ask("A", Answer((("name.example", "other.example"),), (), False))
        assert RCODE[reply.header.rcode] == "NXDOMAIN"
        assert [QTYPE[each.rtype] for each in reply.rr] == ["CNAME"]

    def test_what_does_not_fit_a_datagram_is_marked_truncated(self) -> None:
        many = Answer((), tuple(f"10.0.0.{i}" for i in range(60)), True)
        assert self.ask("A", many, limit=1232).header.tc
        reply = self.ask("A", many, edns=4096, limit=1232)
        assert not reply.header.tc
        assert len(reply.rr) == 60
        assert [QTYPE[each.rtype] for each in reply.ar] == ["OPT"]

    @pytest.mark.parametrize("message", [b"", b"\x00" * 5, DNSRecord.question("a.b").reply().pack()])
    def test_what_is_no_question_gets_no_answer(self, message: bytes) -> None:
        assert respond(message, lambda _: Answer((), (), False)) is None


class TestInMachines:
    @pytest.fixture
    def cloud(self, home: Path) -> Iterator[Cloud]:
        from clone import paths  # noqa: PLC0415

        made = Cloud(paths.arm_socket())
        one = made.vnet("one", ["10.1.0.0/24"], {"only": {"addressPrefix": "10.1.0.0/24"}})
        made.vm("one", f"{one}/subnets/only", "10.1.0.4")
        many = {f"n{i}": f"10.0.1.{i}" for i in range(3)}
        zone = made.zone("one", "federation.internal", {"fl": "10.0.0.4", **many}, [one])
        made.record(zone, "many", *(f"10.0.2.{i}" for i in range(100)))
        yield made
        made.close()

    def test_a_machines_own_resolver_library_gets_the_answers(self, cloud: Cloud) -> None:
        datacentre = Datacentre.ensure()
        try:
            datacentre.wait_ready(cloud.revision)
            names = ["fl.federation.internal", "nothing.example", "many.federation.internal"]
            command = datacentre.inside("vm-one", [sys.executable, "-c", ASK, *names])
            ran = subprocess.run(command, capture_output=True, text=True, check=True)
            zone = next(d["id"] for d in cloud.documents.values() if d["id"].endswith("federation.internal"))
            cloud.record(zone, "fl", "10.0.0.5")  # a change is seen at once
            datacentre.wait_ready(cloud.revision)
            again = subprocess.run(command, capture_output=True, text=True, check=True)
        finally:
            datacentre.stop()
        first, nothing, many = ran.stdout.splitlines()
        assert first == "fl.federation.internal ([], ['10.0.0.4'])"
        assert nothing == "nothing.example Name or service not known"
        assert many.count("10.0.2.") == 100  # too many for a datagram: asked again on TCP
        assert "10.0.0.5" in again.stdout
