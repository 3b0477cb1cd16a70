"""Which images run on each VM, compared with those that were ordered there and those that the stack names.

A small program on the VM asks its container engine, as an operator's commands do, and reads the file of what
is in force (components/boot/templates/change-images). What the officers said to each change is in their
record (consent.py). Who is root on a VM can have it say anything: that is a stolen operator account's reach
(docs/security.md), and shows in the subscription's activity log.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from automation.operate import machines, upgrade
from automation.operate.upgrade import Wanted
from automation.stacks import deploy
from automation.stacks.target import Target
from automation.verify.facts.finding import Finding, Kind, Look
from automation.verify.facts.resources import VerifyError
from automation.verify.observed.probes import Run
from components.boot import variable

PROOF: Final = "inside"
RULE: Final = "images-ordered"
_MARK: Final = "fed-images:"


@dataclass(frozen=True, kw_only=True)
class Running:
    """What a VM says: container -> the image that it was made of, and variable -> digest in force."""

    containers: Mapping[str, str]
    in_force: Mapping[str, str]

    @classmethod
    def read(cls, printed: str) -> Self:
        """Read what the program printed. Raises ValueError where it did not come to that."""
        for line in printed.splitlines():
            if line.startswith(_MARK):
                said = json.loads(line.removeprefix(_MARK))
                in_force = dict(one.split("=", 1) for one in str(said["in_force"]).split())
                return cls(containers=said["containers"], in_force=in_force)
        raise ValueError("it printed nothing of it")


def look(target: Target) -> Look:
    """Compare what runs on each VM that run command gets an answer from. Raises FedError and VerifyError."""
    outputs, arm = deploy.outputs(target), target.arm()
    silent = machines.without_way_out(target.name) if target.emulator is None else frozenset()
    findings: list[Finding] = []
    unseen = [f"which images run at {party}: it has egress: none" for party in sorted(silent)]
    for wanted in upgrade.wanted(arm, outputs, None):
        if wanted.party not in silent:
            running = ask(machines.of(outputs, wanted.party), partial(machines.run, arm))
            findings += compare(wanted, running)
            unseen += other_sets(wanted, running)
    return Look(findings=tuple(findings), unseen=tuple(unseen))


def ask(machine: str, run: Run) -> Running:
    """Ask a VM. Raises VerifyError when it does not answer."""
    ran = run(machine, ["python3", "-c", _PROGRAM])
    try:
        return Running.read(ran.stdout)
    except (ValueError, KeyError, TypeError) as error:
        said = (ran.stderr or ran.stdout).strip()[-300:] or str(error)
        raise VerifyError(
            f"{machine.rsplit('/', 1)[-1]} does not say which images it runs: {said}\n"
            "Without this proof: --no-inside"
        ) from error


def compare(wanted: Wanted, running: Running) -> Iterator[Finding]:
    """Yield each container of another image than was ordered on its VM."""
    known = {variable(image): image for image in wanted.images}
    for container, image in sorted(running.containers.items()):
        name, _, digest = image.rpartition("/")[2].partition("@")
        ordered = running.in_force.get(variable(name))
        if not digest or variable(name) not in known or ordered is None:
            yield _finding(
                wanted.party,
                f"{container} of {wanted.party} runs {image[:120]}, which is no image of its VM's",
            )
        elif digest != ordered:
            yield _finding(
                wanted.party,
                f"{container} of {wanted.party} runs {name} {digest[:19]}, ordered there was {ordered[:19]}",
            )


def other_sets(wanted: Wanted, running: Running) -> Iterator[str]:
    """Yield what runs as it was ordered once, and is not what the stack names now."""
    for image, digest in sorted(wanted.images.items()):
        ordered = running.in_force.get(variable(image))
        if ordered not in (None, digest):
            yield (
                f"whether {wanted.party} is to go on with {image} {str(ordered)[:19]}: the stack names"
                f" {digest[:19]}, and it waits for its turn (./fed upgrade) or for its officers"
            )


def _finding(party: str, what: str) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule=RULE,
        what=what,
        where=f"{party}'s VM: its container engine, and /var/lib/fed/images/images.env",
        why="code that nobody ordered may have read what is on that VM",
        fix=f"./fed shell {party} and docker ps; stop its VM until it is known who did that",
    )


_PROGRAM: Final[str] = """
import http.client, json, socket

class Engine(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect("/var/run/docker.sock")

engine = Engine("docker")
engine.request("GET", "/containers/json?all=1")
listed = json.load(engine.getresponse())
containers = {one["Names"][0].lstrip("/"): one["Image"] for one in listed}
in_force = open("/var/lib/fed/images/images.env").read()
print("fed-images:" + json.dumps({"containers": containers, "in_force": in_force}))
"""
