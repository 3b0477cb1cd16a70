"""What a machine's container engine still knows after a power cut, and what it then starts by itself.

Docker starts it as the daemon starts, before anything of the platform runs (moby's daemon/daemon.go,
`restore`, and its restartmanager). What ran when the power went counts as ended with 255, so `on-failure`
starts it too (moby/moby#47846; seen with Docker 26.1 after a power cut, and after a clean reboot).
"""

from __future__ import annotations

import json
from pathlib import Path

from emulator.datacentre.machine.compose import Service

CUT_OFF = 255


class Memory:
    """The last exit code of each container that ever ran; `CUT_OFF` while it runs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._codes: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def exit_code(self, name: str) -> int | None:
        """How a container ended before this boot; None when it never ran."""
        return self._codes.get(name)

    def starts(self, service: Service) -> bool:
        """Whether the engine starts a container by itself as the machine boots."""
        code = self.exit_code(service.name)
        if service.restart == "on-failure":
            return bool(code)
        return code is not None and service.restart != "no"

    def runs(self, name: str) -> None:
        """Note that a container runs."""
        self.ended(name, CUT_OFF)

    def ended(self, name: str, code: int) -> None:
        """Note how a container ended."""
        self._codes[name] = code
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._codes))
        new.replace(self._file)
