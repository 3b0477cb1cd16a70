"""Stands for a hospital's own people on the emulator: `fed` itself, run at a desk behind their door."""

import os
import sys
from typing import Final, NoReturn

from automation.stacks.target import ROOT
from emulator.datacentre.control import Datacentre
from federation.settings import Door

AUTHORITIES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""Where httpx and Microsoft's clients read whose certificates are good."""


def sit_down(datacentre: Datacentre, door: Door, words: list[str]) -> NoReturn:
    """Become ``fed <words>`` at a desk where a door is, signed in as one of its people.

    Nothing of the emulator is left in its environment but the authority that signed the certificates of its
    services: the command cannot tell it from Azure.
    """
    place = (
        datacentre.desk(door.endpoint.subnet_id, door.people)
        if door.endpoint
        else datacentre.office(str(door.window.address) if door.window else "", door.people)
    )
    command = datacentre.inside(place, [sys.executable, "-P", "-m", "automation", *words])
    os.execvpe(command[0], command, _environment(datacentre))  # noqa: S606 this command becomes that one


def _environment(datacentre: Datacentre) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TERM") if name in os.environ}
    authority = str(datacentre.settings.authority)
    return {**kept, "PYTHONPATH": str(ROOT), **dict.fromkeys(AUTHORITIES, authority)}
