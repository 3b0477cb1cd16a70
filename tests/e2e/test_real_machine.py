"""One hospital's machine is real: its custom data boots a kernel, systemd, cloud-init and Docker.

Run by `./fed test real` alone: root, QEMU, and minutes; where no KVM helps, most of an hour.
"""

import json
import re
import time
from collections.abc import Iterator

import pytest

from automation.ui.outcome import Code
from emulator.datacentre.control import Datacentre
from emulator.guest import accelerator
from emulator.guest.orders import Orders
from tests.e2e.own_clone import Clone, keep_hospitals
from tests.e2e.running_federation import COMPUTE, Federation
from tests.resource_manager import ask

pytestmark = pytest.mark.real

PARTY = "cleveland"
PATIENCE = 3600.0
"""A translated guest on a machine that does other things as well."""
COMMAND_SECONDS = 300.0
PROBE = """\
import socket, sys, time
targets = {name: (address, int(port)) for name, address, port in (word.split("=") for word in sys.argv[1:])}
while True:
    found = []
    for name, target in targets.items():
        with socket.socket() as s:
            s.settimeout(0.5)
            try:
                s.connect(target)
                found.append(f"{name}=open")
            except ConnectionRefusedError:
                found.append(f"{name}=reached")
            except OSError:
                found.append(f"{name}=closed")
    print(time.clock_gettime(time.CLOCK_BOOTTIME), *found, flush=True)
"""
TARGETS = {
    "server": "10.10.0.4=8002",
    "centre-ssh": "10.10.0.4=22",
    "metadata": "169.254.169.254=80",
    "wireserver": "168.63.129.16=80",
    "names": "168.63.129.16=53",
    "own-host": "10.10.1.4=22",
    "bridge": "172.30.0.1=22",
    "hub-storage": "10.10.0.68=443",
}
ONLY_OPEN = {"server"}


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """Cleveland real, Hungary emulated."""
    clone = Clone(tmp_path_factory.mktemp("real"), machines=True)
    clone.edit(keep_hospitals(PARTY, "hungary"))
    try:
        clone.fed("up", "--real", PARTY, seconds=PATIENCE)
        datacentre = Datacentre.running(clone.emulator())
        assert datacentre is not None
        yield Federation(clone, datacentre)
    finally:
        clone.destroy()


def inside(federation: Federation, script: str) -> str:
    """Run a script as root of the real machine; it must succeed."""
    ran = federation.datacentre.run(federation.machine(PARTY), script, COMMAND_SECONDS)
    assert ran.code == 0, ran
    return ran.stdout


def power(federation: Federation, turn: str) -> None:
    """Turn the power by Resource Manager and wait until the datacentre has done it."""
    emulator = federation.clone.emulator()
    vm = federation.clone.outputs()[PARTY]["vm"]
    answer = ask(emulator, "POST", f"{vm}/{turn}", api_version=COMPUTE)
    assert answer.status_code in {200, 202}, answer.text
    revision = ask(emulator, "GET", "/emulator/changes?since=999999999").json()["revision"]
    federation.datacentre.wait_ready(int(revision), PATIENCE)


def wait_registered(federation: Federation) -> None:
    """Wait until the real hospital is registered and well again."""
    until = time.monotonic() + PATIENCE
    while True:
        row = federation.hospital(PARTY)
        if row["registered"] and row["state"] == "running":
            return
        assert time.monotonic() < until, row
        time.sleep(5)


def test_the_machine_is_real_and_registered_beside_emulated_ones(federation: Federation) -> None:
    assert federation.hospital(PARTY)["registered"]
    assert federation.hospital("hungary")["registered"]
    said = inside(federation, "systemctl is-active docker.socket docker fed-containers; cat /proc/version")
    assert said.splitlines()[:3] == ["active"] * 3
    assert federation.run("hungary", "cat /proc/version").strip() != said.splitlines()[3]
    status = json.loads(inside(federation, "cloud-init status --format json || true"))
    assert status["status"] in {"done", "running"}
    assert status["errors"] == []


def test_people_reach_it_as_they_reach_others(federation: Federation) -> None:
    assert "fl-client" in federation.clone.fed("status", seconds=COMMAND_SECONDS).stdout
    assert federation.clone.fed("logs", PARTY, seconds=COMMAND_SECONDS).stdout.strip()
    done = federation.clone.fed("shell", PARTY, "-c", "uname -n; exit 3", code=3, seconds=COMMAND_SECONDS)
    assert done.stdout.split() == [federation.machine(PARTY)]
    user = federation.clone.fed("shell", PARTY, "fl-client", "-c", "id -u", seconds=COMMAND_SECONDS)
    assert user.stdout.strip() == "10001"
    federation.clone.fed("logs", PARTY, "nobody", code=Code.WRONG, seconds=COMMAND_SECONDS)


def test_names_lead_to_private_endpoints(federation: Federation) -> None:
    server = federation.clone.outputs()["centre"]["registry"].rpartition("/")[2]
    said = inside(federation, f"getent ahostsv4 {server}.azurecr.io | cut -d ' ' -f 1 | head -n 1")
    assert re.fullmatch(r"10\.10\.0\.\d+", said.strip())


def test_the_clients_container_opens_the_servers_port_alone_through_a_power_cut(
    federation: Federation,
) -> None:
    """Seen from a container of the client's image and network that Docker starts as early as it can."""
    words = " ".join(f"{name}={target}" for name, target in TARGETS.items())
    inside(
        federation,
        "image=$(docker inspect fl-client --format '{{.Config.Image}}'); "
        "network=$(docker inspect fl-client --format '{{.HostConfig.NetworkMode}}'); "
        f"docker run --detach --name probe --restart always --network $network --user 10001:10001 "
        f"--read-only --cap-drop ALL --entrypoint python3 $image -c '{PROBE}' {words}; "
        "echo kept > /var/lib/fed/marker",
    )
    power(federation, "restart")
    wait_registered(federation)
    assert inside(federation, "cat /var/lib/fed/marker").strip() == "kept"
    lines = inside(federation, "docker logs probe 2>&1; docker rm --force probe > /dev/null").splitlines()
    lives = [[]]
    for line in lines:
        uptime, *found = line.split()
        if lives[-1] and float(uptime) < lives[-1][-1][0]:
            lives.append([])
        lives[-1].append((float(uptime), dict(word.split("=") for word in found)))
    assert len(lives) == 2, "Docker did not start the probe after the power cut"
    for life in lives:
        opened = {name for _, found in life for name, what in found.items() if what != "closed"}
        assert opened <= ONLY_OPEN, life[:3]
    assert {name for _, found in lives[1] for name, what in found.items() if what == "open"} == ONLY_OPEN


def test_the_client_runs_only_after_its_kit_was_verified(federation: Federation) -> None:
    """After the power cut of the test before: the container server is there first."""
    started = inside(
        federation, "docker inspect --format '{{.State.StartedAt}}' container-server fl-client"
    ).split()
    assert started == sorted(started)


def test_it_takes_part_in_a_training(federation: Federation) -> None:
    """Where the processor helps; a translated machine's workers start too late for the server's patience."""
    orders = Orders.load(federation.clone.home / "datacentre" / "real.json")
    assert orders is not None
    if orders.accelerator == accelerator.TCG:
        pytest.skip("no usable KVM here: a translated machine is too slow to train")
    job = federation.wait_job(federation.submit(rounds=1))
    assert job["state"] == "finished", job
    assert federation.results(PARTY, job["id"], "metrics.json")


def test_a_machine_without_power_is_off_and_comes_back_with_its_data(federation: Federation) -> None:
    power(federation, "powerOff")
    assert federation.machine(PARTY) not in federation.datacentre.status()["machines"]
    power(federation, "start")
    wait_registered(federation)
    assert inside(federation, "cat /var/lib/fed/marker").strip() == "kept"
