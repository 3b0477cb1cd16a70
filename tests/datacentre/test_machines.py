"""Machines boot from their customData alone, pull their images, keep their containers, and are kept apart."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clone import paths
from emulator import record
from emulator.datacentre.control import Datacentre
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.machine import runtime
from emulator.datacentre.machine.runtime import Process, Spec
from tests.datacentre.cloud import BLOB_ZONE, REGION, Cloud, descendants, resource, rule

SERVER = "crtest.azurecr.io"
HUB, ONE, TWO = "10.0.0.4", "10.1.0.4", "10.2.0.4"
STORAGE, REGISTRY, REGISTRY_DATA = "10.0.0.68", "10.0.0.70", "10.0.0.69"
APP = """
import http.server, os, pathlib, signal, socket, sys, time

def attempt(address, port):
    try:
        socket.create_connection((address, int(port)), 0.25).close()
        return "open"
    except OSError as error:
        return type(error).__name__

if sys.argv[1:2] == ["probe"]:
    print(*(attempt(*target.split(":")) for target in sys.argv[2:]))
elif sys.argv[1:2] == ["health"]:
    sys.exit(not pathlib.Path("/volume/healthy").exists())
else:
    print("started as", os.getuid(), os.environ["PARTY"], flush=True)
    count = pathlib.Path("/volume/starts")
    new = count.with_suffix(".new")  # the power may go at any moment: half a count would end each start
    new.write_text(str(int(count.read_text()) + 1 if count.exists() else 1))
    new.replace(count)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    http.server.ThreadingHTTPServer.request_queue_size = 500
    http.server.ThreadingHTTPServer(("0.0.0.0", 8002), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
DOCKERFILE = """\
FROM python:3.11-slim-bookworm
ENV PATH=/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 fed
WORKDIR /app
COPY app.py /app/app.py
USER 10001:10001
HEALTHCHECK --start-period=60s --start-interval=1s --interval=1s --retries=2 \\
    CMD ["python3", "/app/app.py", "health"]
ENTRYPOINT ["python3", "/app/app.py"]
"""
COMPOSE = """\
services:
  worker:
    image: {image}
    network_mode: host
    restart: always
    read_only: true
    cap_drop: [ALL]
    group_add: ["10002"]
    environment: {{PARTY: {party}}}
    volumes:
      - {{type: bind, source: /var/lib/fed/worker, target: /volume}}
      - {{type: bind, source: /var/run/docker.sock, target: /var/run/docker.sock}}
  client:
    image: {image}
    profiles: [managed]
    networks: [client]
    dns: ["127.0.0.1"]
    restart: on-failure
    read_only: true
    environment: {{PARTY: {party}}}
    volumes:
      - {{type: bind, source: /var/lib/fed/client, target: /volume}}
networks:
  client:
    driver: bridge
    driver_opts: {{com.docker.network.bridge.name: br-fedclient}}
    ipam: {{config: [{{subnet: 172.30.0.0/24}}]}}
"""
CLIENT_NETWORK = f"""\
table inet fed_client
delete table inet fed_client
table inet fed_client {{
  chain forward {{
    type filter hook forward priority filter - 5; policy accept;
    iifname "br-fedclient" ip daddr {HUB} tcp dport 8002 accept
    iifname "br-fedclient" counter drop
    oifname "br-fedclient" ct state established,related accept
    oifname "br-fedclient" counter drop
  }}
  chain input {{
    type filter hook input priority filter - 5; policy accept;
    iifname "br-fedclient" counter drop
  }}
}}
"""


def push(repository: str, app: str = APP, dockerfile: str = DOCKERFILE) -> str:
    """Do what the emulated docker plugin does at a push; return the reference."""
    digest = hashlib.sha256(f"{repository}{app}{dockerfile}".encode()).hexdigest()
    folder = paths.images() / f"sha256-{digest}"
    (folder / "context").mkdir(parents=True, exist_ok=True)
    (folder / "context" / "app.py").write_text(textwrap.dedent(app))
    (folder / "Dockerfile").write_text(dockerfile)
    reference = f"{SERVER}/{repository}@sha256:{digest}"
    (folder / "image.json").write_text(json.dumps({"references": [reference], "args": {}}))
    return reference


def custom_data(image: str, party: str) -> str:
    def file(path: str, text: str) -> str:
        return f"  - path: {path}\n    content: |\n" + textwrap.indent(text, "      ")

    return (
        "#cloud-config\nwrite_files:\n"
        + file("/opt/fed/compose.yaml", COMPOSE.format(image=image, party=party))
        + file("/opt/fed/client-network.nft", CLIENT_NETWORK)
        + "runcmd:\n  - [systemctl, start, docker]\n"
    )


@dataclass
class Federation:
    """A hub with registry and storage, two hospitals; each machine runs `worker` and may start `client`."""

    cloud: Cloud
    datacentre: Datacentre
    image: str
    subnets: dict[str, str]
    identities: dict[str, dict[str, Any]]
    disks: dict[str, str]
    registry: str

    def boot(self, party: str, image: str | None = None, **more: Any) -> str:
        """Store a machine that runs an image."""
        address = {"hub": HUB, "one": ONE, "two": TWO}[party]
        return self.cloud.vm(
            party,
            self.subnets[party],
            address,
            custom_data=custom_data(image or self.image, party),
            identities=[self.identities[party]],
            disks=[self.disks[party]],
            **more,
        )

    def boot_again(self) -> None:
        """Start the datacentre that is gone, and wait for its machines."""
        self.cloud.health.clear()
        self.datacentre = Datacentre.ensure()
        self.datacentre.wait_ready(self.cloud.revision)
        for party in self.subnets:
            self.container(machine(party), "worker", "running")

    def container(self, vm: str, name: str, status: str, seconds: float = 30) -> dict[str, Any]:
        """Wait until a machine reports a container in a status."""

        def found(health: dict[str, Any]) -> Any:
            return next((one for one in health["containers"] if one["name"] == name), None)

        def wanted(health: dict[str, Any]) -> bool:
            return bool(found(health)) and status in {found(health)["status"], found(health)["health"]}

        container: dict[str, Any] = found(self.cloud.wait_for_health(vm, wanted, seconds))
        return container

    def refusal(self, party: str, container: str = "worker") -> str:
        """Wait until a machine reports why a container does not start."""

        def reason(health: dict[str, Any]) -> str:
            return "".join(str(one["error"]) for one in health["containers"] if one["name"] == container)

        return reason(self.cloud.wait_for_health(machine(party), reason, 40))

    def starts(self, party: str, container: str = "worker") -> int:
        """How often a container of a machine has started, as it counted on the data disk."""
        return int(self.run(party, f"cat /var/lib/fed/{container}/starts || echo 0"))

    def counted(self, party: str) -> int:
        """How often a machine's worker has started, once it has counted its first start."""
        deadline = time.monotonic() + 30
        while not (count := self.starts(party)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert count, f"{party}'s worker never counted a start"
        return count

    def wait_for_starts(self, party: str, count: int, container: str = "worker") -> None:
        """Wait until a container has started so often, and not more often."""
        deadline = time.monotonic() + 30
        while self.starts(party, container) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.starts(party, container) == count

    def run(self, party: str, script: str) -> str:
        """Run a script in a machine, which must succeed."""
        ran = self.datacentre.run(f"vm-{party}", script)
        assert ran.code == 0, ran
        return ran.stdout


def machine(party: str) -> str:
    return resource(party, "Microsoft.Compute/virtualMachines", f"vm-{party}")


@pytest.fixture(scope="module")
def federation(cloud: Cloud, datacentre: Datacentre) -> Iterator[Federation]:
    ranges = {"hub": "10.0.0", "one": "10.1.0", "two": "10.2.0"}
    vnets = {
        party: cloud.vnet(party, [f"{prefix}.0/24"], {"only": {"addressPrefix": f"{prefix}.0/24"}})
        for party, prefix in ranges.items()
    }
    subnets = {party: f"{vnet}/subnets/only" for party, vnet in vnets.items()}
    for party in ("one", "two"):
        cloud.peer(vnets["hub"], vnets[party])
    kind = "Microsoft.ContainerRegistry/registries"
    registry = cloud.put(
        resource("hub", kind, "crtest"), kind, {"location": REGION, "properties": {"loginServer": SERVER}}
    )
    account = cloud.account("hub", "sthub", ["server"])
    data = f"registry_data_{REGION}"
    addresses = {"registry": REGISTRY, data: REGISTRY_DATA}
    cloud.endpoint("hub", "pe-registry", subnets["hub"], registry, "registry", addresses)
    cloud.endpoint("hub", "pe-storage", subnets["hub"], account, "blob", {"blob": STORAGE})
    every = list(vnets.values())
    records = {"crtest": REGISTRY, f"crtest.{REGION}.data": REGISTRY_DATA}
    cloud.zone("hub", "privatelink.azurecr.io", records, every)
    cloud.zone("hub", BLOB_ZONE, {"sthub": STORAGE}, every)
    identities = {party: cloud.identity(party, f"id-{party}") for party in vnets}
    for identity in identities.values():
        cloud.assign("acr-pull", identity, registry)
    disks = {party: cloud.disk(party, f"disk-{party}") for party in vnets}
    made = Federation(cloud, datacentre, push("worker"), subnets, identities, disks, registry)
    for party in vnets:
        made.boot(party)
    for party in vnets:
        made.container(machine(party), "worker", "running")
    yield made


class TestBoot:
    def test_the_compose_file_runs_and_managed_services_wait(self, federation: Federation) -> None:
        # No test starts the hub's client.
        lines = federation.run("hub", "docker ps --all").splitlines()
        assert [line.split()[1:3] for line in lines] == [["worker", "Up"], ["client", "Created"]]
        health = federation.cloud.health[machine("hub").lower()]
        assert {one["name"]: one["status"] for one in health["containers"]} == {
            "worker": "running",
            "client": "created",
        }

    def test_what_a_container_says_is_kept_and_followed(self, federation: Federation) -> None:
        uid = 0 if federation.datacentre.settings.rootless else 10001
        said = b"".join(federation.datacentre.logs("vm-one", "worker"))
        assert said.startswith(f"started as {uid} one\n".encode())
        follow = federation.datacentre.logs("vm-one", "worker", follow=True)
        assert next(follow).startswith(b"started as")
        with pytest.raises(DatacentreError, match="no container nobody; it has worker, client"):
            next(federation.datacentre.logs("vm-one", "nobody"))

    def test_health_is_what_the_check_in_the_image_says(self, federation: Federation) -> None:
        federation.container(machine("one"), "worker", "starting")
        federation.run("one", "touch /var/lib/fed/worker/healthy")
        federation.container(machine("one"), "worker", "healthy")
        federation.run("one", "rm /var/lib/fed/worker/healthy")
        federation.container(machine("one"), "worker", "unhealthy")

    def test_run_commands_come_through_arm_and_reach_into_containers(self, federation: Federation) -> None:
        script = ["echo to-stderr >&2", "docker exec worker python3 -c 'print(6 * 7)'", "exit 5"]
        answer = federation.cloud.answer(federation.cloud.command(machine("one"), *script))
        assert answer == {"exitCode": 5, "stdout": "42\n", "stderr": "to-stderr\n"}
        off = federation.cloud.command(
            resource("one", "Microsoft.Compute/virtualMachines", "vm-none"), "true"
        )
        assert "no machine" in federation.cloud.answer(off)["stderr"]

    def test_a_machine_that_cannot_boot_says_why_and_the_others_go_on(self, federation: Federation) -> None:
        cloud, datacentre = federation.cloud, federation.datacentre
        cloud.vm("one", federation.subnets["one"], "10.1.0.9", custom_data="#!/bin/sh\n", name="vm-broken")
        with pytest.raises(
            DatacentreError, match="vm-broken: customData does not begin with '#cloud-config'"
        ):
            datacentre.wait_ready(cloud.revision)
        assert datacentre.run("vm-one", "true").code == 0
        for kind, name in (("compute/virtualMachines", ""), ("network/networkInterfaces", "nic-")):
            cloud.delete(resource("one", f"Microsoft.{kind}", f"{name}vm-broken"))
        datacentre.wait_ready(cloud.revision)


class TestImages:
    def test_an_image_waits_for_the_role_to_pull_it(self, federation: Federation) -> None:
        cloud = federation.cloud
        role = next(
            document["id"]
            for document in cloud.documents.values()
            if document["type"].endswith("roleAssignments")
            and document["body"]["properties"]["principalId"]
            == federation.identities["two"]["ids"]["principalId"]
        )
        cloud.delete(role)
        federation.boot("two", push("other"))
        told = federation.refusal("two")
        assert "unauthorized: authentication required" in told
        cloud.assign("acr-pull", federation.identities["two"], federation.registry)
        federation.container(machine("two"), "worker", "running")

    def test_a_digest_nobody_pushed_is_unknown(self, federation: Federation) -> None:
        federation.boot("two", f"{SERVER}/worker@sha256:{'0' * 64}")
        told = federation.refusal("two")
        assert "manifest unknown" in told
        started = federation.datacentre.run("vm-two", "docker start client")
        assert started.code != 0
        assert "manifest unknown" in started.stderr
        federation.boot("two")
        federation.container(machine("two"), "worker", "running")

    @pytest.mark.parametrize("missing", ["crtest", f"crtest.{REGION}.data"])
    def test_a_pull_needs_the_names_of_registry_and_data_endpoint(
        self, federation: Federation, missing: str
    ) -> None:
        zone = resource("hub", "Microsoft.Network/privateDnsZones", "privatelink.azurecr.io")
        kept = federation.cloud.documents[f"{zone}/A/{missing}".lower()]
        federation.cloud.delete(kept["id"])
        federation.boot("two", push(f"for-{missing}"))
        told = federation.refusal("two")
        federation.cloud.put(kept["id"], kept["type"], kept["body"])
        assert "no such host" in told
        federation.container(machine("two"), "worker", "running")

    def test_a_pull_passes_the_security_groups(self, federation: Federation) -> None:
        cloud = federation.cloud
        deny = cloud.nsg("two", "nsg-two", [rule("no", 100, "Deny", "Outbound", to=REGISTRY_DATA)])
        vnet = federation.subnets["two"].rpartition("/subnets/")[0]
        cloud.vnet(
            "two",
            ["10.2.0.0/24"],
            {"only": {"addressPrefix": "10.2.0.0/24", "networkSecurityGroup": {"id": deny}}},
        )
        federation.boot("two", push("behind-a-group"))
        told = federation.refusal("two")
        assert "i/o timeout" in told
        cloud.vnet("two", ["10.2.0.0/24"], {"only": {"addressPrefix": "10.2.0.0/24"}})
        assert vnet in federation.subnets["two"]
        federation.container(machine("two"), "worker", "running", seconds=40)


class TestIsolation:
    def test_the_clients_network_reaches_the_server_and_nothing_else(self, federation: Federation) -> None:
        federation.run("one", "docker start client")
        federation.container(machine("one"), "client", "running")
        targets = (
            f"{HUB}:8002 169.254.169.254:80 168.63.129.16:53 {STORAGE}:443 {REGISTRY}:443 {TWO}:8002 {HUB}:22"
        )
        federation.datacentre.forget_flows()
        shown = federation.run(
            "one", f"docker exec client python3 /app/app.py probe {targets} 172.30.0.1:8002"
        )
        assert shown.split() == ["open"] + ["TimeoutError"] * 7
        assert {
            (flow.destination, flow.port) for flow in federation.datacentre.flows() if flow.source == ONE
        } == {(HUB, 8002)}
        shown = federation.run("one", f"docker exec worker python3 /app/app.py probe {targets}")
        assert shown.split()[:5] == ["open"] * 5  # the same from the machine's own network
        resolve = "import socket; socket.gethostbyname('sthub.blob.core.windows.net')"
        assert federation.datacentre.exec("vm-one", ["python3", "-c", resolve], container="client").code != 0
        assert federation.datacentre.exec("vm-one", ["python3", "-c", resolve], container="worker").code == 0

    def test_a_container_has_no_rights_and_sees_nothing_of_the_machine(self, federation: Federation) -> None:
        look = """
        import glob, json, os, pathlib, time
        def everybody():
            return "".join(path.read_text() for path in pathlib.Path("/proc").glob("[0-9]*/status"))
        for _ in range(50):  # a health check joins the container, then gives its rights up
            status = everybody().split("\\n")
            if "NoNewPrivs:\\t0" not in status:
                break
            time.sleep(0.1)
        def refused(path):
            try:
                pathlib.Path(path).write_text("x")
                return False
            except OSError:
                return True
        print(json.dumps({
            "capabilities": [
                line.split()[1] for line in status if line.startswith(("CapEff", "CapBnd", "CapPrm"))
            ],
            "privileges": [line.split()[1] for line in status if line.startswith("NoNewPrivs")],
            "processes": len(glob.glob("/proc/[0-9]*")),
            "refused": [refused(path) for path in CLOSED],
            "allowed": not refused("/volume/x"),
            "seen": [path for path in HIDDEN if os.path.exists(path)],
        }))
        """
        closed = ("/usr/x", "/app/app.py", "/etc/x", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/x")
        hidden = ("/var/lib/fed", "/opt/fed", "/home", str(paths.REPOSITORY))
        code = textwrap.dedent(look).replace("CLOSED", repr(closed)).replace("HIDDEN", repr(hidden))
        ran = federation.datacentre.exec("vm-one", ["python3", "-c", code], container="worker")
        seen = json.loads(ran.stdout)
        assert 3 <= seen["processes"] <= 4  # the init, the program, this look
        assert set(seen["capabilities"]) == {"0" * 16}
        assert set(seen["privileges"]) == {"1"}
        assert all(seen["refused"])
        assert seen["allowed"]
        assert seen["seen"] == []
        for way_out in (
            ["nsenter", "--target", "1", "--net"],
            ["unshare", "--mount"],
            ["mount", "-t", "tmpfs", "x", "/volume"],
        ):
            assert federation.datacentre.exec("vm-one", [*way_out, "true"], container="worker").code != 0

    def test_a_machine_sees_itself_only(self, federation: Federation) -> None:
        federation.run("one", "docker start client")  # its folder is made with it
        federation.container(machine("one"), "client", "running")
        shown = federation.run("one", "hostname; ls /proc | grep -c '^[0-9]'; ls /var/lib/fed; ls /opt/fed")
        hostname, processes, *files = shown.split()
        assert hostname == "vm-one"
        assert int(processes) < 20
        assert files == ["client", "worker", "client-network.nft", "compose.yaml"]
        assert federation.datacentre.run("vm-one", f"ls {paths.home()}").code != 0
        assert federation.datacentre.run("vm-one", "echo 1 > /proc/sys/kernel/sysrq").code != 0


class TestPower:
    def test_restart_policies_bring_containers_back(self, federation: Federation) -> None:
        before = federation.counted("one")
        federation.run("one", "docker kill worker")
        federation.cloud.wait_for_health(
            machine("one"), lambda health: health["containers"][0]["restarts"] > 0
        )
        federation.container(machine("one"), "worker", "running")
        federation.wait_for_starts("one", before + 1)
        assert federation.run("one", "docker stop -t 5 worker client") == "worker\nclient\n"
        assert federation.container(machine("one"), "worker", "exited")["exitCode"] == 3
        federation.run("one", "docker start worker")
        federation.container(machine("one"), "worker", "running")

    def test_power_goes_off_and_on_and_the_disk_stays(self, federation: Federation) -> None:
        cloud, datacentre = federation.cloud, federation.datacentre
        federation.run("two", "echo kept > /var/lib/fed/worker/note")
        starts = federation.counted("two")
        cloud.power(machine("two"), "deallocated")
        datacentre.wait_ready(cloud.revision)
        with pytest.raises(DatacentreError, match="no machine vm-two is running"):
            datacentre.run("vm-two", "true")
        cloud.power(machine("two"), "running")
        datacentre.wait_ready(cloud.revision)
        federation.container(machine("two"), "worker", "running")
        assert federation.run("two", "cat /var/lib/fed/worker/note") == "kept\n"
        federation.wait_for_starts("two", starts + 1)
        cloud.power(machine("two"), "restart")
        datacentre.wait_ready(cloud.revision)
        federation.container(machine("two"), "worker", "running")
        federation.wait_for_starts("two", starts + 2)

    def test_a_machine_that_crashes_boots_again_by_itself(self, federation: Federation) -> None:
        starts = federation.counted("two")
        (crashed,) = firsts_of("vm-two")
        os.kill(crashed, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while firsts_of("vm-two") in ([], [crashed]) and time.monotonic() < deadline:
            time.sleep(0.05)
        federation.wait_for_starts("two", starts + 1)
        federation.container(machine("two"), "worker", "running")
        assert federation.run("two", "hostname") == "vm-two\n"
        assert len(firsts_of("vm-two")) == 1
        assert firsts_of("vm-two") != [crashed]

    def test_docker_starts_by_itself_what_ran_when_the_power_went(self, federation: Federation) -> None:
        """Whatever its policy but `no`, and though the compose file leaves its start to somebody else."""
        cloud = federation.cloud
        federation.run("one", "docker stop -t 5 client")
        starts = federation.starts("one", "client")
        federation.run("one", "docker start client")
        federation.wait_for_starts("one", starts + 1, "client")
        cloud.power(machine("one"), "restart")
        federation.datacentre.wait_ready(cloud.revision)
        federation.wait_for_starts("one", starts + 2, "client")

    def test_a_container_joins_its_network_again_though_the_one_before_lingers(
        self, federation: Federation
    ) -> None:
        cloud, datacentre = federation.cloud, federation.datacentre
        before = processes_of("client")
        federation.run("two", "docker start client")
        mine = max(processes_of("client") - before)  # the container's own, not those that made it
        lingers = os.open(f"/proc/{mine}/ns/net", os.O_RDONLY)
        try:
            cloud.power(machine("two"), "restart")
            datacentre.wait_ready(cloud.revision)
            started = datacentre.run("vm-two", "docker start client")
            assert started.code == 0, started
        finally:
            os.close(lingers)

    def test_a_replaced_machine_keeps_its_disk_and_nothing_else(self, federation: Federation) -> None:
        cloud, datacentre = federation.cloud, federation.datacentre
        federation.run("two", "echo kept > /var/lib/fed/worker/note; echo gone > /opt/fed/note")
        federation.boot("two", push("replacement"))
        datacentre.wait_ready(cloud.revision)
        federation.container(machine("two"), "worker", "running")
        assert federation.run("two", "cat /var/lib/fed/worker/note") == "kept\n"
        assert datacentre.run("vm-two", "cat /opt/fed/note").code != 0

    def test_a_disks_content_goes_with_the_disk(self, federation: Federation) -> None:
        cloud = federation.cloud
        folder = federation.datacentre.settings.state / "disks"
        spare = cloud.disk("two", "disk-spare")
        cloud.vm("two", federation.subnets["two"], "10.2.0.9", name="vm-spare", disks=[spare])
        federation.datacentre.wait_ready(cloud.revision)
        unique = cloud.body(spare)["properties"]["uniqueId"]
        assert (folder / unique).exists()
        for kind, name in (
            ("compute/virtualMachines", "vm-spare"),
            ("network/networkInterfaces", "nic-vm-spare"),
        ):
            cloud.delete(resource("two", f"Microsoft.{kind}", name))
        federation.datacentre.wait_ready(cloud.revision)
        assert (folder / unique).exists()  # the disk outlives its machine
        cloud.delete(spare)
        federation.datacentre.wait_ready(cloud.revision)
        assert not (folder / unique).exists()


class TestEngine:
    def engine(self, federation: Federation, code: str) -> str:
        """Run code with the PyPI client `docker` on a machine's engine."""
        prelude = f"""
        import docker, glob
        sockets = glob.glob("{federation.datacentre.settings.volatile}/*/docker.sock")
        clients = [docker.DockerClient(base_url="unix://" + each, version="auto") for each in sockets]
        client = next(each for each in clients if each.info()["Name"] == "vm-one")
        """
        program = textwrap.dedent(prelude) + textwrap.dedent(code)
        command = federation.datacentre.inside("vm-one", [sys.executable, "-c", program])
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def test_the_docker_client_lists_inspects_and_reads_logs(self, federation: Federation) -> None:
        shown = self.engine(
            federation,
            """
            assert client.ping()
            print(sorted(each.name for each in client.containers.list(all=True)))
            worker = client.containers.get("worker")
            state = worker.attrs["State"]
            print(worker.status, state["Running"], state["Health"]["Status"] != "")
            print(worker.logs(tail=1).decode().split()[0])
            try:
                client.containers.get("nobody")
            except docker.errors.NotFound as error:
                print(error.explanation)
            """,
        )
        assert shown.splitlines() == [
            "['client', 'worker']",
            "running True True",
            "started",
            "No such container: nobody",
        ]

    def test_the_docker_client_starts_stops_restarts_and_executes(self, federation: Federation) -> None:
        shown = self.engine(
            federation,
            """
            worker = client.containers.get("worker")
            worker.stop(timeout=5); worker.reload(); print(worker.status, worker.attrs["State"]["ExitCode"])
            worker.start(); worker.reload(); print(worker.status)
            worker.restart(timeout=5); worker.reload(); print(worker.status)
            print(worker.exec_run(["sh", "-c", "echo out; echo err >&2; exit 7"], demux=True))
            print(worker.exec_run("cat /proc/1/comm").exit_code)
            """,
        )
        assert shown.splitlines() == [
            "exited 3",
            "running",
            "running",
            "ExecResult(exit_code=7, output=(b'out\\n', b'err\\n'))",
            "0",
        ]

    def test_a_stop_at_any_moment_of_a_start_leaves_nothing_running(self, federation: Federation) -> None:
        federation.run("one", "docker stop worker")
        others = processes_of("worker")
        shown = self.engine(
            federation,
            """
            import threading, time
            worker = client.containers.get("worker")
            def race(start, pause):
                starting = threading.Thread(target=start)
                starting.start(); time.sleep(pause)
                worker.stop(timeout=5); starting.join(); worker.reload()
                print(worker.status)
            for number in range(8):
                race(worker.start, number * 0.008)
                worker.start()
                race(worker.kill, 0.09 + number * 0.008)  # its policy starts it again after 0.1 s
            """,
        )
        assert set(shown.split()) <= {"exited", "running"}  # a start that came after its stop
        federation.run("one", "docker stop worker")
        assert processes_of("worker") == others
        federation.run("one", "docker start worker")
        federation.container(machine("one"), "worker", "running")

    def test_starts_and_stops_at_once_come_one_after_the_other(self, federation: Federation) -> None:
        one_on_each = processes_of("worker")
        self.engine(
            federation,
            """
            import threading
            worker = client.containers.get("worker")
            changes = [worker.restart, worker.start, worker.stop, worker.start, worker.restart, worker.start]
            threads = [threading.Thread(target=change) for change in changes]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            worker.start(); worker.reload()
            assert worker.status == "running", worker.status
            """,
        )
        assert len(processes_of("worker")) == len(one_on_each)

    def test_the_engines_socket_serves_its_own_machine_from_a_container(self, federation: Federation) -> None:
        ask = (
            "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/var/run/docker.sock');"
            "s.sendall(b'GET /info HTTP/1.0\\r\\n\\r\\n'); print(s.makefile().read())"
        )
        ran = federation.datacentre.exec("vm-one", ["python3", "-c", ask], container="worker")
        assert '"Name": "vm-one"' in ran.stdout, ran


class TestStart:
    @pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 100])
    def test_one_that_is_cancelled_leaves_no_process(
        self, turns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        launched: list[int] = []

        async def launch(spec: Spec, *_: Any, output: int | None) -> asyncio.subprocess.Process:
            assert spec.ready is not None
            never_ready = await asyncio.create_subprocess_exec(
                "sleep", "1000", pass_fds=(spec.ready,), stdout=output, start_new_session=True
            )
            launched.append(never_ready.pid)
            return never_ready

        async def cancel_after(loops: int) -> None:
            spec = Spec(
                command=(), environment={}, working_dir="/", mounts=(), tmpfs=(), etc={}, read_only=True,
                user=None, groups=(),
            )  # fmt: skip
            log = tmp_path / "log"
            start = Process.start(spec, file=tmp_path / "spec", machine=1, network="", log=log)
            starting = asyncio.create_task(start)
            for _ in range(loops + 1):
                await asyncio.sleep(0)
            starting.cancel()
            await asyncio.wait({starting}, timeout=10)
            assert starting.cancelled()

        monkeypatch.setattr(runtime, "launch", launch)
        asyncio.run(cancel_after(turns))
        assert launched
        assert not any(map(record.start_time, launched))


class TestOperators:
    def test_a_command_has_the_callers_input_and_output(self, federation: Federation) -> None:
        for container, wanted in ((None, "0 /root"), ("worker", "10001 /app")):
            command = federation.datacentre.command(
                "vm-one", ["sh", "-c", "cat; id -u; pwd; exit 3"], container
            )
            ran = subprocess.run(command, input="given\n", capture_output=True, text=True, check=False)
            uid = "0" if federation.datacentre.settings.rootless else wanted.split()[0]
            assert (ran.returncode, ran.stdout.split()) == (3, ["given", uid, wanted.split()[1]])

    def test_a_shell_has_a_terminal(self, federation: Federation) -> None:
        command = shlex.join(federation.datacentre.command("vm-one", ["sh", "-c", "tty -s && stty size"]))
        ran = subprocess.run(
            ["script", "-qec", command, "/dev/null"], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran
        assert len(ran.stdout.split()) == 2

    def test_a_port_of_a_machine_is_led_to_the_operators_loopback(self, federation: Federation) -> None:
        with (
            federation.datacentre.forward("vm-one", 8002) as port,
            urllib.request.urlopen(f"http://127.0.0.1:{port}/app.py", timeout=5) as answer,
        ):
            assert b"HTTPServer" in answer.read()
        refused = pytest.raises(DatacentreError, match="port 1 of vm-one does not answer")
        with refused, federation.datacentre.forward("vm-one", 1):
            pass

    def test_status_tells_of_every_machine(self, federation: Federation) -> None:
        machines = federation.datacentre.status()["machines"]
        assert sorted(machines) == ["vm-hub", "vm-one", "vm-two"]
        assert [one["name"] for one in machines["vm-one"]["containers"]] == ["worker", "client"]


class TestTraffic:
    def test_updates_under_traffic_lose_and_leak_nothing(self, federation: Federation) -> None:
        cloud, datacentre = federation.cloud, federation.datacentre
        only = {"addressPrefix": "10.0.0.0/24"}

        def group(spare: int) -> None:
            rules = [
                rule("fl", 100, source=["10.1.0.0/24", f"10.{spare}.0.0/24"], port="8002"),
                rule("spare", 110, source=f"10.{spare}.0.0/24", port="22"),
                rule("deny", 4000, "Deny"),
            ]
            cloud.nsg("hub", "nsg-hub", rules)

        group(3)
        nsg = resource("hub", "Microsoft.Network/networkSecurityGroups", "nsg-hub")
        cloud.vnet("hub", ["10.0.0.0/24"], {"only": {**only, "networkSecurityGroup": {"id": nsg}}})
        datacentre.wait_ready(cloud.revision)
        datacentre.forget_flows()
        # A listener whose queue is full drops a SYN, too: what was sent is compared with what was let pass.
        code = f"""
        import pathlib, socket, time
        def sent_again():
            names, values = pathlib.Path("/proc/net/netstat").read_text().splitlines()[:2]
            return int(dict(zip(names.split(), values.split()))["TCPSynRetrans"])
        before = sent_again()
        tried = lost = leaked = 0
        end = time.time() + 3
        while time.time() < end:
            tried += 1
            try:
                socket.create_connection(("{HUB}", 8002), 20).close()
            except OSError:
                lost += 1
            denied = socket.socket(); denied.settimeout(0.001)
            try:
                denied.connect(("{HUB}", 22)); leaked += 1
            except TimeoutError:
                pass
            except OSError:
                leaked += 1
            denied.close()
        print(tried + sent_again() - before, lost, leaked)
        """
        command = datacentre.inside("vm-one", [sys.executable, "-c", textwrap.dedent(code)])
        traffic = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        updates = 0
        while traffic.poll() is None:
            group(4 + updates % 100)
            datacentre.wait_ready(cloud.revision)
            updates += 1
        assert traffic.stdout is not None
        sent, lost, leaked = map(int, traffic.stdout.read().split())
        passed = sum(flow.packets for flow in datacentre.flows() if flow.port == 8002 and flow.passed)
        cloud.vnet("hub", ["10.0.0.0/24"], {"only": only})
        datacentre.wait_ready(cloud.revision)
        assert (lost, leaked) == (0, 0)
        assert passed == sent > 20
        assert updates > 5

    def test_a_flow_outlives_its_rule_but_not_its_peering(self, federation: Federation) -> None:
        cloud, datacentre = federation.cloud, federation.datacentre
        nsg = cloud.nsg("hub", "nsg-hub", [rule("fl", 100, port="8002"), rule("deny", 4000, "Deny")])
        only = {"addressPrefix": "10.0.0.0/24"}
        cloud.vnet("hub", ["10.0.0.0/24"], {"only": {**only, "networkSecurityGroup": {"id": nsg}}})
        datacentre.wait_ready(cloud.revision)
        code = f"""
        import socket, sys
        kept = socket.create_connection(("{HUB}", 8002), 2)
        def alive():
            kept.setblocking(False)
            try:
                while kept.recv(4000): pass  # the rest of the answer before
            except BlockingIOError:
                pass
            kept.settimeout(0.4)
            try:
                kept.sendall(b"GET /nothing HTTP/1.1\\r\\nHost: x\\r\\nConnection: keep-alive\\r\\n\\r\\n")
                return bool(kept.recv(4000))
            except TimeoutError:
                return False
        def new():
            try:
                return bool(socket.create_connection(("{HUB}", 8002), 0.4))
            except TimeoutError:
                return False
        for line in sys.stdin:
            print(alive() if line.strip() == "old" else new(), flush=True)
        """
        talk = subprocess.Popen(
            datacentre.inside("vm-one", [sys.executable, "-c", textwrap.dedent(code)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

        def ask(which: str) -> bool:
            assert talk.stdin is not None
            assert talk.stdout is not None
            datacentre.wait_ready(cloud.revision)
            talk.stdin.write(which + "\n")
            talk.stdin.flush()
            return talk.stdout.readline() == "True\n"

        vnets = [federation.subnets[party].rpartition("/subnets/")[0] for party in ("hub", "one")]
        try:
            assert ask("new")
            cloud.nsg("hub", "nsg-hub", [rule("deny", 4000, "Deny")])
            assert (ask("old"), ask("new")) == (True, False)
            cloud.delete(f"{vnets[0]}/virtualNetworkPeerings/to-vnet-one")
            assert not ask("old")
        finally:
            talk.communicate()
            cloud.half(vnets[0], vnets[1])
            cloud.vnet("hub", ["10.0.0.0/24"], {"only": only})
            datacentre.wait_ready(cloud.revision)

    def test_a_forged_source_address_is_dropped(self, federation: Federation) -> None:
        datacentre = federation.datacentre
        datacentre.forget_flows()
        code = f"""
        import socket, subprocess
        subprocess.run(["ip", "addr", "add", "{TWO}/32", "dev", "eth0"], check=True)
        try:
            socket.create_connection(("{HUB}", 8002), 0.3, source_address=("{TWO}", 0))
            print("open")
        except OSError as error:
            print(type(error).__name__)
        subprocess.run(["ip", "addr", "del", "{TWO}/32", "dev", "eth0"], check=True)
        """
        command = datacentre.inside("vm-one", [sys.executable, "-c", textwrap.dedent(code)])
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ran.stdout == "TimeoutError\n"
        forged = [
            flow for flow in datacentre.flows() if flow.rule == "the source address is not the sender's"
        ]
        assert [(flow.source, flow.destination, flow.passed) for flow in forged] == [(TWO, HUB, False)]


class TestGone:
    def test_a_machine_that_is_deleted_while_it_runs_takes_nothing_along(
        self, federation: Federation
    ) -> None:
        cloud, datacentre = federation.cloud, federation.datacentre
        federation.run("two", "docker start client")  # its bridge goes with it
        federation.container(machine("two"), "client", "running")
        nic = resource("two", "Microsoft.Network/networkInterfaces", "nic-vm-two")
        cloud.delete(machine("two"), nic)
        datacentre.wait_ready(cloud.revision)
        assert sorted(datacentre.status()["machines"]) == ["vm-hub", "vm-one"]
        federation.boot("two")
        datacentre.wait_ready(cloud.revision)
        federation.container(machine("two"), "worker", "running")

    def test_a_machine_whose_address_changes_boots_again_there(self, federation: Federation) -> None:
        cloud, datacentre = federation.cloud, federation.datacentre
        nic = resource("two", "Microsoft.Network/networkInterfaces", "nic-vm-two")
        before = cloud.body(nic)
        configurations = before["properties"]["ipConfigurations"]
        configurations[0]["properties"]["privateIPAddress"] = "10.2.0.77"
        cloud.change(nic, ipConfigurations=configurations)
        datacentre.wait_ready(cloud.revision)
        federation.container(machine("two"), "worker", "running")
        probe = f"docker exec worker python3 /app/app.py probe 10.2.0.77:8002 {TWO}:8002"
        assert federation.run("one", probe.replace("10.2.0.77", HUB)).split() == ["open", "TimeoutError"]
        assert federation.run("hub", probe).split() == ["open", "TimeoutError"]
        federation.boot("two")
        datacentre.wait_ready(cloud.revision)
        federation.container(machine("two"), "worker", "running")


class TestEnd:
    """Of the datacentre itself; the machines boot again for the tests that come after."""

    def test_a_killed_datacentre_takes_everything_along_and_the_next_one_boots_again(
        self, federation: Federation
    ) -> None:
        before = Datacentre.running()
        assert before is not None
        everything = descendants(before.pid)
        assert len(everything) > 10
        starts = federation.counted("one")
        os.kill(before.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while any(map(record.start_time, everything)) and time.monotonic() < deadline:
            time.sleep(0.002)
        assert not any(map(record.start_time, everything))
        assert str(before.settings.volatile) not in Path("/proc/self/mounts").read_text()
        federation.boot_again()
        federation.wait_for_starts("one", starts + 1)

    def test_a_stopped_one_leaves_its_files_and_nothing_else(self, federation: Federation) -> None:
        running = Datacentre.running()
        assert running is not None
        everything = descendants(running.pid)
        running.stop()
        assert not any(map(record.start_time, everything))
        assert sorted(path.name for path in paths.runtime().iterdir()) == ["arm.sock"]
        assert Datacentre.running() is None
        federation.boot_again()


def processes_of(service: str) -> set[int]:
    """Return the processes that hold the containers of a service, on all machines."""
    datacentre = Datacentre.running()
    assert datacentre is not None
    mark = f"/{service}.json".encode()
    commands = {pid: Path(f"/proc/{pid}/cmdline") for pid in descendants(datacentre.pid)}
    return {pid for pid, command in commands.items() if command.exists() and mark in command.read_bytes()}


def firsts_of(name: str) -> list[int]:
    """Return the first process of a machine, as this machine sees it."""
    datacentre = Datacentre.running()
    assert datacentre is not None
    commands = {pid: Path(f"/proc/{pid}/cmdline") for pid in descendants(datacentre.pid)}
    words = {pid: path.read_bytes().split(b"\0") for pid, path in commands.items() if path.exists()}
    return [pid for pid, said in words.items() if said[0] == b"sh" and said[-2] == name.encode()]
