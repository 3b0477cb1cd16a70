"""One hospital's machine is real: its custom data boots a kernel, systemd, cloud-init and Docker.

Run by `./fed test real` alone: root, QEMU, and minutes; where no KVM helps, most of an hour.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from automation.ui.outcome import Code
from emulator.datacentre.control import Datacentre
from emulator.datacentre.errors import DatacentreError
from emulator.guest import accelerator
from emulator.guest.orders import Orders
from tests.e2e.own_clone import Clone, keep_hospitals
from tests.e2e.running_federation import COMPUTE, Federation
from tests.resource_manager import ask
from tests.unit.federation.test_settings import GALLERY

pytestmark = pytest.mark.real

PARTY = "cleveland"
PATIENCE = 5400.0
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
    clone.edit(with_docker_inside)
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


def tell(federation: Federation, method: str, action: str = "") -> None:
    """Send a request about the real VM to Resource Manager, and wait until the datacentre has done it."""
    emulator = federation.clone.emulator()
    vm = federation.clone.outputs()["hospitals"][PARTY]["vm"]
    answer = ask(emulator, method, f"{vm}{action}", api_version=COMPUTE)
    assert answer.status_code in {200, 202}, answer.text
    revision = ask(emulator, "GET", "/emulator/changes?since=999999999").json()["revision"]
    federation.datacentre.wait_ready(int(revision), PATIENCE)


def until(true: Callable[[], bool], what: str) -> None:
    """Wait until something is true of a machine that may not answer in between."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            if true():
                return
            seen = "it is not"
        except (AssertionError, DatacentreError) as silent:
            seen = str(silent)
        assert time.monotonic() < end, f"{what}: {seen}"
        time.sleep(5)


def boot_of(federation: Federation) -> str:
    """Return what names this boot of the real machine's kernel."""
    return inside(federation, "cat /proc/sys/kernel/random/boot_id").strip()


def wait_boot(federation: Federation, before: str) -> None:
    """Wait until the kernel runs that came after another boot."""
    until(lambda: boot_of(federation) != before, "another boot")


def wait_registered(federation: Federation) -> None:
    """Wait until the client has registered since the last boot, and the centre finds the hospital well."""
    journal = "journalctl --boot --quiet --output=cat CONTAINER_NAME=fl-client"

    def back() -> bool:
        said = inside(federation, f"{journal} | grep -c 'Successfully registered client' || true")
        row = federation.hospital(PARTY)
        return int(said) > 0 and bool(row["registered"]) and row["state"] == "running"

    until(back, "registered after the boot")


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


def test_run_command_of_resource_manager_is_answered_by_the_guest(federation: Federation) -> None:
    emulator, vm = federation.clone.emulator(), federation.clone.outputs()["hospitals"][PARTY]["vm"]
    order = {"commandId": "RunShellScript", "script": ["uname -n; echo wrong >&2"]}
    answer = ask(emulator, "POST", f"{vm}/runCommand", body=order, api_version=COMPUTE)
    assert answer.status_code == 202, answer.text
    said: list[str] = []

    def answered() -> bool:
        found = ask(emulator, "GET", answer.headers["Location"])
        said.append(found.text)
        return found.status_code == 200

    until(answered, "an answer of run command")
    assert federation.machine(PARTY) in said[-1]
    assert "wrong" in said[-1]


def test_docker_restarted_keeps_containers_and_rules(federation: Federation) -> None:
    look = (
        "docker inspect --format '{{.Name}} {{.State.StartedAt}}' container-server fl-client; "
        "nft list table inet fed_client | grep -c br-fedclient; stat --format '%G %a' /run/docker.sock"
    )
    before = inside(federation, look)
    assert before.splitlines()[-1] == "fed-engine 660"
    engine = inside(federation, "systemctl show --value --property MainPID docker")
    inside(federation, "systemctl restart docker")
    until(lambda: inside(federation, look) == before, "the same containers, rules and socket")
    assert inside(federation, "systemctl show --value --property MainPID docker") != engine


def test_the_clients_container_opens_the_servers_port_alone_through_reboot_and_power_cut(
    federation: Federation,
) -> None:
    """Seen from a container of the client's image and network that Docker starts as early as it can.

    Three ways of a boot: from inside, by a redeployment, and by a restart while that one boots.
    """
    words = " ".join(f"{name}={target}" for name, target in TARGETS.items())
    inside(
        federation,
        "image=$(docker inspect fl-client --format '{{.Config.Image}}'); "
        "network=$(docker inspect fl-client --format '{{.HostConfig.NetworkMode}}'); "
        "docker run --detach --name probe --restart always --no-healthcheck --network $network "
        f"--user 10001:10001 --read-only --cap-drop ALL --entrypoint python3 $image -c '{PROBE}' {words}; "
        "echo kept > /var/lib/fed/marker; touch /root/of-this-vm",
    )
    boot = boot_of(federation)
    inside(federation, "systemd-run --on-active=2 systemctl reboot")
    wait_boot(federation, boot)
    wait_registered(federation)
    boot = boot_of(federation)
    tell(federation, "POST", "/redeploy")
    wait_boot(federation, boot)
    boot = boot_of(federation)
    tell(federation, "POST", "/restart")
    wait_boot(federation, boot)
    wait_registered(federation)
    assert inside(federation, "cat /var/lib/fed/marker").strip() == "kept"
    lines = inside(federation, "docker logs probe 2>&1; docker rm --force probe > /dev/null").splitlines()
    lives: list[list[tuple[float, dict[str, str]]]] = [[]]
    for line in lines:
        uptime, *found = line.split()
        if lives[-1] and float(uptime) < lives[-1][-1][0]:
            lives.append([])
        lives[-1].append((float(uptime), dict(word.split("=") for word in found)))
    assert len(lives) >= 3, "Docker did not start the probe after each boot"
    for life in lives:
        opened = {name for _, found in life for name, what in found.items() if what != "closed"}
        assert opened <= ONLY_OPEN, life[:3]
    assert {name for _, found in lives[-1] for name, what in found.items() if what == "open"} == ONLY_OPEN


def test_the_client_runs_only_after_its_kit_was_verified(federation: Federation) -> None:
    """After the power cut of the test before: the container server is there first."""
    started = inside(
        federation, "docker inspect --format '{{.State.StartedAt}}' container-server fl-client"
    ).split()
    assert started == sorted(started)


def test_verify_finds_nothing_with_packets_names_and_identities_of_a_real_machine(
    federation: Federation,
) -> None:
    federation.clone.fed("verify", seconds=PATIENCE)  # ends with 1 where it finds anything


def test_it_takes_part_in_a_training(federation: Federation) -> None:
    """Where the processor helps; a translated machine's workers start too late for the server's patience."""
    orders = Orders.load(federation.clone.home / "datacentre" / "real.json")
    assert orders is not None
    if orders.accelerator == accelerator.TCG:
        pytest.skip("no usable KVM here: a translated machine is too slow to train")
    job = federation.wait_job(federation.submit(rounds=1))
    assert job["state"] == "finished", job
    assert federation.results(PARTY, job["id"], "metrics.json")


def test_a_machine_without_power_is_off_and_comes_back(federation: Federation) -> None:
    boot = boot_of(federation)
    tell(federation, "POST", "/powerOff")
    assert federation.machine(PARTY) not in federation.datacentre.status()["machines"]
    tell(federation, "POST", "/start")
    wait_boot(federation, boot)
    assert inside(federation, "ls /root/of-this-vm").strip() == "/root/of-this-vm"


def test_a_fresh_vm_without_a_way_out_goes_on_with_the_data_disk(federation: Federation) -> None:
    """The VM is deleted; its successor boots for the first time, in a network without egress, as Azure's
    image with Docker inside: nothing is installed, and the disk is not formatted.
    """
    file_system = inside(federation, "blkid -s UUID -o value $(findmnt -no SOURCE /var/lib/fed)")
    key = inside(federation, "sha256sum /var/lib/fed/kit/*/*.key /var/lib/fed/agent/*.key 2>/dev/null | sort")
    tell(federation, "DELETE")
    assert federation.machine(PARTY) not in federation.datacentre.status()["machines"]
    federation.clone.edit(without_a_way_out)
    federation.clone.fed("up", seconds=PATIENCE)
    wait_registered(federation)
    assert inside(federation, "cat /var/lib/fed/marker").strip() == "kept"
    assert inside(federation, "ls /root/of-this-vm 2>/dev/null || echo gone").strip() == "gone"
    assert inside(federation, "blkid -s UUID -o value $(findmnt -no SOURCE /var/lib/fed)") == file_system
    again = inside(
        federation, "sha256sum /var/lib/fed/kit/*/*.key /var/lib/fed/agent/*.key 2>/dev/null | sort"
    )
    assert again == key
    assert "apt-get" not in inside(federation, "journalctl --boot --unit fed-docker --output cat")
    tried = "timeout 5 bash -c '</dev/tcp/1.1.1.1/443' 2>/dev/null && echo open || echo closed"
    assert inside(federation, tried).strip() == "closed"


def with_docker_inside(content: Any) -> None:
    """Leave two hospitals, whose image is one with Docker inside: the guest's is."""
    keep_hospitals(PARTY, "hungary")(content)
    content["config"]["fed:machine"]["image"] = {"galleryImageId": GALLERY}


def without_a_way_out(content: Any) -> None:
    """Close the hospital's way to the internet."""
    content["config"]["fed:hospitals"][PARTY]["egress"] = "none"
