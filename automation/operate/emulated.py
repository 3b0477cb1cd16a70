"""Brings an emulated stack to life: machines run, hospitals have their data, all enrol."""

import subprocess
import time

from rich.markup import escape

from automation.operate import boot, data, real
from automation.operate.machines import Centre, vm_name
from automation.stacks.arm import of_emulator
from automation.stacks.target import Target
from automation.ui.console import say, stderr
from automation.ui.outcome import FedError, RefusedError
from emulator.control import Emulator
from emulator.datacentre.control import Datacentre
from emulator.datacentre.errors import DatacentreError
from emulator.snapshots import Snapshots
from federation.outputs import Outputs

READY_SECONDS = 600.0
"""The first time, the images' Python environments are made; afterwards a few seconds are enough."""
SLOW_SECONDS = 2400.0
"""Where a real machine is translated: it boots, and pulls and unpacks images, at a tenth of the speed."""
_POLL_SECONDS = 0.5


def bring_up(target: Target, outputs: Outputs[str]) -> None:
    """Start what a deployed stack consists of and wait until every hospital is registered at the server.

    Says so plainly, and leaves the deployment as it is, where this machine cannot run networks and VMs, and
    where the stack's images have not been promoted. Raises FedError that names who did not enrol, and why.
    """
    if target.emulator is None:
        return
    try:
        datacentre = Datacentre.ensure(target.emulator)
    except DatacentreError as impossible:
        say(f"{target.name} is deployed, but its networks and VMs do not run here: {impossible}")
        say("everything but training and packets works without them; ./fed doctor says what is missing.")
        return
    with stderr.status("starting networks, storage and machines"):
        datacentre.wait_ready(_revision(target.emulator), READY_SECONDS)
    if missing := missing_images(target, datacentre, outputs):
        say(
            f"{target.name} runs images that are promoted, not built; its VMs wait for "
            f"{', '.join(missing)} (./fed images promote {target.name} ..., then ./fed up {target.name})."
        )
        return
    if target.settings and target.settings.network.dns == "existing":
        waiting = nameless(datacentre, outputs)
        if waiting:
            say(
                f"{target.name} asks your own private DNS zones, and they name nothing yet for "
                f"{', '.join(waiting)}, whose VMs wait. Link them to these networks, then ./fed up "
                f"{target.name} (docs/production.md#with-your-own-private-dns-zones)."
            )
            return
    _enrol(target, datacentre, outputs)


def nameless(datacentre: Datacentre, outputs: Outputs[str]) -> list[str]:
    """Return the parties whose network no zone tells where the images are."""
    ask = ["getent", "ahostsv4", boot.login_server(outputs)]
    said = {
        party: subprocess.run(  # noqa: S603 our own command
            datacentre.inside(vm_name(outputs, party), ask), capture_output=True, text=True, check=False
        ).stdout
        for party in outputs.parties
    }
    return [party for party, found in said.items() if not boot.is_private(found.partition(" ")[0])]


def running_datacentre(target: Target) -> Datacentre:
    """Return the datacentre that runs a stack's VMs; raise RefusedError when none does."""
    datacentre = Datacentre.running(target.emulator) if target.emulator else None
    if datacentre is None:
        raise RefusedError(f"no VM of {target.name} runs. To start them: ./fed up {target.name}")
    return datacentre


def missing_images(target: Target, datacentre: Datacentre, outputs: Outputs[str]) -> list[str]:
    """Return the images that the stack's file pins and its registry does not have."""
    pinned = target.settings.images.digests.items() if target.settings else ()
    server = boot.login_server(outputs)
    held = Snapshots(datacentre.settings.images)
    return [name for name, digest in sorted(pinned) if not held.has(f"{server}/{name}@{digest}")]


def _enrol(target: Target, datacentre: Datacentre, outputs: Outputs[str]) -> None:
    """Give the demonstration's hospitals their data and wait for every hospital that has some."""
    began = time.monotonic()
    seeded = data.seed(datacentre, outputs)
    if seeded.uploaded:
        say(f"demonstration data uploaded for {', '.join(seeded.uploaded)}")
    if seeded.own:
        say(f"{', '.join(seeded.own)}: data of their own are there and were not touched")
    without = dict.fromkeys(seeded.empty, "its container `data` is empty")
    without |= _wait_until_registered(
        Centre.of(target.arm(), outputs), set(outputs.hospitals) - without.keys(), set(seeded.own)
    )
    for name, why in without.items():
        say(
            f"{name} takes no part in training: {why}\n"
            f"     Fix: ./fed data put --party {name} FILE --stack {target.name}"
        )
    if len(without) < len(outputs.hospitals):
        which = "every other hospital" if without else "every hospital"
        say(f"{which} is registered, {time.monotonic() - began:.0f} s after its upload")


def _wait_until_registered(centre: Centre, hospitals: set[str], own_data: set[str]) -> dict[str, str]:
    """Wait until the hospitals are registered at the server.

    A hospital of `own_data` whose VM refuses its data is not waited for: returned with the reason. Raises
    FedError that names who did not register, and why.
    """
    patience = SLOW_SECONDS if real.slow() else READY_SECONDS
    deadline = time.monotonic() + patience
    with stderr.status("hospitals enrol") as status:
        while True:
            missing = _missing(centre, hospitals)
            refused = {name: why for name, why in missing.items() if name in own_data and _of_data(why)}
            if missing.keys() == refused.keys():
                return refused
            words = "; ".join(f"{name}: {why}" for name, why in missing.items())
            status.update(escape(f"hospitals enrol: {words}"))  # hospitals say why
            if time.monotonic() > deadline:
                raise FedError(f"not every hospital is registered after {patience:.0f} s: {words}")
            time.sleep(_POLL_SECONDS)


def _of_data(reason: str) -> bool:
    """Whether a hospital's reason is its data (`decide` in container_server/hospital/state.py)."""
    return reason.startswith("data: ") and not reason.endswith(("not looked at yet", "is being read"))


def _missing(centre: Centre, hospitals: set[str]) -> dict[str, str]:
    """Return the hospitals that are not registered, and what is said of each."""
    try:
        answer = centre.status()
    except (FedError, RefusedError) as not_yet:
        return {"centre": str(not_yet)}
    return {
        name: str(answer["hospitals"].get(name, {}).get("reason", "not registered yet"))
        for name in sorted(hospitals)
        if not answer["hospitals"].get(name, {}).get("registered")
    }


def _revision(emulator: Emulator) -> int:
    """Return the revision of ARM's state now."""
    return int(of_emulator(emulator).get("/emulator/changes", "", since="999999999").body["revision"])
