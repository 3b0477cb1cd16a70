"""Where the datacentre of one clone keeps its files, as told to the sandboxed process on its command line.

Inside a user namespace the caller's uid reads as 0, so that nothing in there may work out paths by itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clone import paths

if TYPE_CHECKING:
    from emulator.control import Emulator


_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The folders and files of one datacentre.

    `state` outlives the datacentre (disks, blobs, logs), `runtime` is short and holds sockets, clones share
    `cache`. `rootless` says whether the sandbox has a user namespace.
    """

    root: Path
    state: Path
    runtime: Path
    cache: Path
    images: Path
    authority: Path
    authority_key: Path
    arm_socket: Path
    rootless: bool

    @classmethod
    def of(cls, emulator: Emulator | None = None) -> Settings:
        """Return the settings for an emulator's daemon, or for this process's own home."""
        home = emulator.home if emulator else paths.home()
        arm_socket = Path(emulator.record.socket) if emulator else paths.arm_socket()

        def below(path: Path) -> Path:
            return home / path.relative_to(paths.home())

        return cls(
            root=emulator.root if emulator else paths.REPOSITORY,
            state=below(paths.datacentre()),
            runtime=arm_socket.parent,
            cache=paths.cache(),
            images=below(paths.images()),
            authority=below(paths.authority()),
            authority_key=below(paths.authority_key()),
            arm_socket=arm_socket,
            rootless=not _may_rule_the_machine(),
        )

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what `to_json` wrote."""
        raw = json.loads(text)
        return cls(rootless=raw.pop("rootless"), **{name: Path(value) for name, value in raw.items()})

    def to_json(self) -> str:
        """Write the settings as one line."""
        return json.dumps(
            {name: value if name == "rootless" else str(value) for name, value in asdict(self).items()}
        )

    @property
    def socket(self) -> Path:
        """The Unix socket of the datacentre's own interface."""
        return self.runtime / "datacentre.sock"

    @property
    def tunnel(self) -> Path:
        """The Unix socket behind which ports of machines are."""
        return self.runtime / "tunnel.sock"

    @property
    def volatile(self) -> Path:
        """A folder that is a tmpfs inside the sandbox: it goes with the sandbox, however that ends."""
        return self.runtime / "datacentre"

    @property
    def containers(self) -> Path:
        """The record of the blob containers that hold something, or have held: ``account/container``."""
        return self.state / "containers.json"

    @property
    def real(self) -> Path:
        """Which machines are real (`emulator.guest.orders`); not there when none is."""
        return self.state / "real.json"

    @property
    def raw_disks(self) -> Path:
        """The data disks of real machines: a folder each, by the disk's unique id."""
        return self.state / "raw-disks"

    @property
    def log(self) -> Path:
        """The datacentre's log."""
        return self.state / "datacentre.log"

    @property
    def lock(self) -> Path:
        """The file that the one running datacentre holds locked."""
        return self.state / "datacentre.lock"


def _may_rule_the_machine() -> bool:
    """Say whether this process has the capabilities that the sandbox needs without a user namespace."""
    status = Path("/proc/self/status").read_text()
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
    return all(effective >> capability & 1 for capability in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN))


def code_state() -> str:
    """Return a mark of the datacentre's sources that changes when one of them does."""
    files = sorted(path for path in Path(__file__).parent.rglob("*.*") if path.suffix != ".pyc")
    seen = [(file.name, status.st_mtime_ns, status.st_size) for file in files for status in [file.stat()]]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
