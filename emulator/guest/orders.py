"""Which machines are to be real: written by `./fed up --real`, read by what runs them and builds images."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from clone import paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """The machines (names of VMs) that are real, and what with.

    `image` is the folder of the guest's image, `accelerator` QEMU's: kvm or tcg. `containers` are names
    of the container images that such machines pull.
    """

    machines: tuple[str, ...]
    image: str
    accelerator: str
    containers: tuple[str, ...]

    @classmethod
    def load(cls, file: Path) -> Orders | None:
        """Return what a file says; None without one: every machine is emulated."""
        try:
            said = json.loads(file.read_text())
        except FileNotFoundError:
            return None
        return cls(**said | {name: tuple(said[name]) for name in ("machines", "containers")})

    def write(self, file: Path) -> None:
        """Write the file in one step."""
        paths.write_private(file, json.dumps(asdict(self), indent=2).encode() + b"\n")
