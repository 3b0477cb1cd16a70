"""A real machine is made of what ARM says of its VM: address, disks, custom data, unchanged."""

import base64
import json
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.datacentre.inventory import Inventory
from emulator.datacentre.machine.real.hardware import DATA_DISK_SERIAL, Card, Hardware, seed
from emulator.datacentre.machine.real.rack import Rack, card
from emulator.datacentre.settings import Settings
from emulator.guest.orders import Orders

CARD = Card(address=IPv4Interface("10.10.1.4/27"), mac="00:0d:3a:01:02:03")
PROVIDERS = "/subscriptions/s/resourceGroups/g/providers"
VNET = f"{PROVIDERS}/Microsoft.Network/virtualNetworks/v"
NIC = f"{PROVIDERS}/Microsoft.Network/networkInterfaces/n"
VM = f"{PROVIDERS}/Microsoft.Compute/virtualMachines/vm-fed-dev-a"
DISK = f"{PROVIDERS}/Microsoft.Compute/disks/d"


def inventory() -> Inventory:
    subnet = {"id": f"{VNET}/subnets/vm", "name": "vm", "properties": {"addressPrefix": "10.10.1.0/27"}}
    address = {"privateIPAddress": "10.10.1.4", "subnet": {"id": f"{VNET}/subnets/vm"}}
    machine = {
        "vmId": "11111111-2222",
        "networkProfile": {"networkInterfaces": [{"id": NIC}]},
        "storageProfile": {"dataDisks": [{"lun": 0, "managedDisk": {"id": DISK}}]},
    }
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        VNET: ("Microsoft.Network/virtualNetworks", {"subnets": [subnet]}),
        NIC: ("Microsoft.Network/networkInterfaces", {"ipConfigurations": [{"properties": address}]}),
        DISK: ("Microsoft.Compute/disks", {"uniqueId": "u-1", "diskSizeGB": 3}),
        VM: ("Microsoft.Compute/virtualMachines", machine),
    }
    found = Inventory()
    found.apply(
        {
            "revision": 1,
            "deletes": [],
            "upserts": [
                {"id": key, "type": kind, "body": {"properties": properties}}
                for key, (kind, properties) in bodies.items()
            ],
        }
    )
    return found


def settings(home: Path) -> Settings:
    return Settings(
        root=home, state=home, runtime=home, cache=home, images=home, authority=home / "ca.pem",
        authority_key=home / "ca.key", arm_socket=home / "arm.sock", rootless=False,
    )  # fmt: skip


class TestSeed:
    def test_custom_data_is_what_cloud_init_reads_byte_for_byte(self) -> None:
        text = "#cloud-config\nruncmd: [[echo, 'ü']]\n"
        made = seed("i", "vm", base64.b64encode(text.encode()).decode(), "PEM", CARD)
        assert made["user-data"] == text

    def test_the_vm_is_told_its_name_its_network_and_whom_to_trust(self) -> None:
        made = seed("id-1", "vm-a", "", "PEM\n", CARD)
        assert json.loads(made["meta-data"]) == {"instance-id": "id-1", "local-hostname": "vm-a"}
        network = json.loads(made["network-config"])["ethernets"]["eth0"]
        assert network["addresses"] == ["10.10.1.4/27"]
        # cloud-init gives netplan's word "default" to netplan alone: it refuses it for systemd-networkd.
        assert network["routes"] == [{"to": "0.0.0.0/0", "via": "10.10.1.1"}]
        assert network["nameservers"] == {"addresses": ["168.63.129.16"]}
        assert yaml.safe_load(made["vendor-data"]) == {"ca_certs": {"trusted": ["PEM\n"]}}


def hardware(tmp_path: Path, accelerator: str, data: Path | None) -> Hardware:
    return Hardware(
        name="vm", image=tmp_path / "image", own=tmp_path / "own", volatile=tmp_path / "v", data=data,
        accelerator=accelerator, memory=1024, processors=1, card=CARD,
    )  # fmt: skip


@pytest.mark.parametrize(("accelerator", "processor"), [("kvm", "host"), ("tcg", "max")])
def test_the_processor_is_the_hosts_only_where_it_helps(
    accelerator: str, processor: str, tmp_path: Path
) -> None:
    command = hardware(tmp_path, accelerator, None).command("/proc/1/fd/3")
    assert command[:3] == ["nsenter", "--net=/proc/1/fd/3", "--"]
    assert command[command.index("-cpu") + 1] == processor
    assert command[command.index("-accel") + 1].split(",")[0] == accelerator


def test_the_data_disk_carries_the_mark_that_the_guests_rule_looks_for(tmp_path: Path) -> None:
    words = " ".join(hardware(tmp_path, "tcg", tmp_path / "data.img").command("/n"))
    assert f"drive=data,serial={DATA_DISK_SERIAL}" in words
    rule = (Path("emulator/guest/files/azure-disk.rules")).read_text()
    assert f'ENV{{ID_SERIAL}}=="{DATA_DISK_SERIAL}", SYMLINK+="disk/azure/scsi1/lun0"' in rule


class TestRack:
    def test_takes_the_machines_that_were_ordered_and_no_others(self, tmp_path: Path) -> None:
        vm = inventory().get(VM)
        assert vm
        rack = Rack(settings(tmp_path))
        assert not rack.takes(vm)
        for names, taken in ((("vm-other",), False), (("vm-fed-dev-a",), True)):
            Orders(machines=names, image="/i", accelerator="tcg", containers=()).write(
                settings(tmp_path).real
            )
            assert rack.takes(vm) is taken

    def test_the_card_is_the_interface_that_arm_describes(self) -> None:
        known = inventory()
        vm = known.get(VM)
        assert vm
        made = card(vm, known)
        assert (str(made.address), made.gateway) == ("10.10.1.4/27", "10.10.1.1")
        assert made.mac.startswith("00:0d:3a:")
        assert made == card(vm, known)

    def test_the_data_disk_has_the_size_of_arms_and_only_grows(self, tmp_path: Path) -> None:
        known = inventory()
        vm, disk = known.get(VM), known.get(DISK)
        assert vm
        assert disk
        rack = Rack(settings(tmp_path))
        file = rack._data_disk(vm, known)
        assert file == tmp_path / "raw-disks/u-1/data.img"
        assert file.stat().st_size == 3 << 30
        for size in (4, 2):
            disk.properties["diskSizeGB"] = size
            rack._data_disk(vm, known)
            assert file.stat().st_size == 4 << 30
