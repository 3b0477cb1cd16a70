"""What a real machine is made of: QEMU's command line, its disks, and the seed that cloud-init reads."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

import yaml

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.machine.real.agent import PORT
from emulator.guest.store import use

TAP = "tap0"
DATA_DISK_SERIAL = "fedlun0"
"""By which the guest's udev gives the data disk Azure's link (emulator/guest/files/azure-disk.rules)."""
_KERNEL = "root=LABEL=cloudroot rw console=ttyS0 net.ifnames=0"
_TRANSLATED_CODE_MIB = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A machine's network card: its address with the subnet's length, and its MAC address."""

    address: IPv4Interface
    mac: str

    @property
    def gateway(self) -> str:
        """Azure's gateway: the first address of the subnet."""
        return str(self.address.network[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One machine's: files below `own` live as long as the VM, sockets below `volatile` until it is off.

    `image` is the folder of the guest's image (emulator/guest), `data` the raw data disk, if it has one,
    `memory` in MiB, `accelerator` QEMU's.
    """

    name: str
    image: Path
    own: Path
    volatile: Path
    data: Path | None
    accelerator: str
    memory: int
    processors: int
    card: Card

    @property
    def agent(self) -> Path:
        """The socket of the agent's port."""
        return self.volatile / "agent.sock"

    @property
    def terminal(self) -> Path:
        """The socket of the terminal at which root is signed in."""
        return self.volatile / "terminal.sock"

    @property
    def console(self) -> Path:
        """What the serial console says: Azure's boot diagnostics."""
        return self.own / "console.log"

    def prepare(self, identifier: str, custom_data: str, authority: str) -> None:
        """Make the system disk, if this is the VM's first boot, and the seed; both raise DatacentreError."""
        self.own.mkdir(parents=True, exist_ok=True)
        self.volatile.mkdir(parents=True, exist_ok=True)
        if not self._system.exists():
            # A later recipe has another kernel, and this disk keeps the modules of its own.
            self._image.unlink(missing_ok=True)
            self._image.symlink_to(self.image)
            use(self.image, self.own)
            backing = ["-b", str(self.image / "disk.img"), "-F", "raw"]
            _run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(self._system)])
        folder = self.own / "seed"
        folder.mkdir(exist_ok=True)
        for name, text in seed(identifier, self.name, custom_data, authority, self.card).items():
            (folder / name).write_text(text)
        files = [str(folder / name) for name in ("user-data", "meta-data", "network-config", "vendor-data")]
        _run(
            [
                "genisoimage",
                "-quiet",
                "-output",
                str(self._seed),
                "-volid",
                "cidata",
                "-joliet",
                "-rock",
                *files,
            ]
        )

    def command(self, network: str) -> list[str]:
        """Return the command that runs the machine in a network namespace (a path)."""
        fast = self.accelerator == "kvm"
        data = [] if self.data is None else _disk(self.data, "raw", f"serial={DATA_DISK_SERIAL}")
        return [
            *("nsenter", f"--net={network}", "--", "qemu-system-x86_64", "-name", self.name, "-M", "q35"),
            *("-accel", "kvm" if fast else f"tcg,thread=multi,tb-size={_TRANSLATED_CODE_MIB}"),
            *("-cpu", "host" if fast else "max", "-smp", str(self.processors), "-m", str(self.memory)),
            *("-nodefaults", "-display", "none"),
            *("-append", _KERNEL),
            *("-kernel", str(self._image / "vmlinuz"), "-initrd", str(self._image / "initrd")),
            *(*_disk(self._system, "qcow2"), *data, *_disk(self._seed, "raw", readonly=True)),
            *("-netdev", f"tap,id=net,ifname={TAP},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=net,mac={self.card.mac}"),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
            *("-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=agent,path={self.agent},server=on,wait=off"),
            *("-device", f"virtserialport,chardev=agent,name={PORT}"),
            *("-chardev", f"socket,id=terminal,path={self.terminal},server=on,wait=off"),
            *("-device", "virtconsole,chardev=terminal"),
        ]  # fmt: skip

    @property
    def _image(self) -> Path:
        return self.own / "image"

    @property
    def _system(self) -> Path:
        return self.own / "system.qcow2"

    @property
    def _seed(self) -> Path:
        return self.own / "seed.iso"


def seed(identifier: str, name: str, custom_data: str, authority: str, card: Card) -> dict[str, str]:
    """Return the files of cloud-init's source NoCloud.

    The VM's own custom data, unchanged; what Azure's platform would say of name, instance and network; and as
    data of the vendor the authority (PEM) that signs the emulated services' names.
    https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html
    """
    interface = {
        "match": {"macaddress": card.mac},
        "set-name": "eth0",
        "addresses": [str(card.address)],
        "routes": [{"to": "0.0.0.0/0", "via": card.gateway}],  # "default" is netplan's alone
        "nameservers": {"addresses": ["168.63.129.16"]},
    }
    return {
        "user-data": base64.b64decode(custom_data).decode() if custom_data else "#cloud-config\n{}\n",
        "meta-data": json.dumps({"instance-id": identifier, "local-hostname": name}),
        "network-config": json.dumps({"version": 2, "ethernets": {"eth0": interface}}),
        "vendor-data": "#cloud-config\n" + yaml.safe_dump({"ca_certs": {"trusted": [authority]}}),
    }


def _disk(file: Path, kind: str, *properties: str, readonly: bool = False) -> list[str]:
    # "unsafe" trusts the machine that QEMU runs on: a killed QEMU loses nothing that the guest has written.
    name = file.stem
    options = f"file={file},if=none,id={name},format={kind},cache=unsafe" + (
        ",readonly=on" if readonly else ""
    )
    return ["-drive", options, "-device", ",".join(["virtio-blk-pci", f"drive={name}", *properties])]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 our own files
    if done.returncode:
        raise DatacentreError(f"{command[0]} failed: {done.stderr.strip()}")
