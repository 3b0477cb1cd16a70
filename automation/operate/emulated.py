"""Brings an emulated stack to life: machines run, hospitals have their data, all enrol."""

import base64
import hashlib
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from automation.operate.machines import Centre
from automation.stacks.target import Target
from automation.ui.outcome import FedError, RefusedError
from emulator.control import Emulator
from emulator.fabric.control import Fabric
from emulator.fabric.errors import FabricError
from emulator.snapshots import Snapshots
from federation.parties import CENTRE
from workloads.data import heart_data

DATA = "heart.csv"
READY_SECONDS = 600.0
"""The first time, the images' Python environments are made; afterwards a few seconds are enough."""
_POLL_SECONDS = 0.5

stderr = Console(stderr=True, highlight=False)


def bring_up(target: Target, outputs: Mapping[str, Any]) -> None:
    """Start what a deployed stack consists of and wait until every hospital is registered at the server.

    Says so plainly, and leaves the deployment as it is, where this machine cannot run networks and VMs, and
    where the stack's images have not been promoted. Raises FedError that names who did not enrol, and why.
    """
    if target.emulator is None:
        return
    try:
        fabric = Fabric.ensure(target.emulator)
    except FabricError as impossible:
        stderr.print(
            f"fed: {target.name} is deployed, but its networks and VMs do not run here: {impossible}\n"
            "fed: everything but training and packets works without them; ./fed doctor says what is missing."
        )
        return
    with stderr.status("starting networks, storage and machines"):
        fabric.wait_ready(_revision(target.emulator), READY_SECONDS)
    if missing := missing_images(target, fabric, outputs):
        stderr.print(
            f"fed: {target.name} runs images that are promoted, not built; its VMs wait for "
            f"{', '.join(missing)} (./fed images promote {target.name} ..., then ./fed up {target.name})."
        )
        return
    began = time.monotonic()
    seeded = seed(fabric, outputs)
    if seeded:
        stderr.print(f"fed: demonstration data uploaded for {', '.join(seeded)}")
    _wait_until_registered(Centre.of(target.arm(), outputs), set(outputs["hospitals"]))
    stderr.print(f"fed: every hospital is registered, {time.monotonic() - began:.0f} s after its upload")


def running_fabric(target: Target) -> Fabric:
    """Return the fabric that runs a stack's VMs; raise RefusedError when none does."""
    fabric = Fabric.running(target.emulator) if target.emulator else None
    if fabric is None:
        raise RefusedError(f"no VM of {target.name} runs. To start them: ./fed up {target.name}")
    return fabric


def missing_images(target: Target, fabric: Fabric, outputs: Mapping[str, Any]) -> list[str]:
    """Return the images that the stack's file pins and its registry does not have."""
    digests = target.settings.images.digests if target.settings else None
    pinned = digests.model_dump(by_alias=True).items() if digests else ()
    server = f"{str(outputs[CENTRE]['registry']).rpartition('/')[2]}.azurecr.io"
    held = Snapshots(fabric.settings.images)
    return [name for name, digest in sorted(pinned) if not held.has(f"{server}/{name}@{digest}")]


def seed(fabric: Fabric, outputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Upload the public demonstration data of the hospitals that have some, each into its own container.

    Stands for what a hospital does itself; nobody else ever has the right. Returns the hospitals.
    """
    known = tuple(name for name in outputs["hospitals"] if name in heart_data.PATIENTS)
    for name in known:
        account = outputs["hospitals"][name]["storageAccount"]
        container = f"{account}/blobServices/default/containers/data"
        fabric.upload(container, DATA, heart_data.seed(name))
    return known


def foreign_blobs(fabric: Fabric, hospital: str, container: str) -> list[str]:
    """Return the names of what is in a hospital's container besides the data that `seed` puts there."""
    ours = {DATA: _md5(heart_data.seed(hospital))} if hospital in heart_data.PATIENTS else {}
    return sorted(name for name, md5 in fabric.blobs(container).items() if ours.get(name) != md5)


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _wait_until_registered(centre: Centre, hospitals: set[str]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    with stderr.status("hospitals enrol") as status:
        while True:
            missing = _missing(centre, hospitals)
            if not missing:
                return
            words = "; ".join(f"{name}: {why}" for name, why in missing.items())
            status.update(escape(f"hospitals enrol: {words}"))  # hospitals say why
            if time.monotonic() > deadline:
                raise FedError(f"not every hospital is registered after {READY_SECONDS:.0f} s: {words}")
            time.sleep(_POLL_SECONDS)


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
    answer = emulator.arm("GET", "/emulator/changes?since=999999999")
    return int(answer.json()["revision"])
