"""Real machines on the emulator: which hospitals have one, and what it costs."""

import os
from collections.abc import Sequence
from typing import Final

from automation.machine import system
from automation.stacks.target import Target
from automation.ui.console import say
from automation.ui.outcome import FedError, QuestionError, RefusedError
from clone import paths
from components.boot.images import box_image
from components.boot.plan import ROLE_IMAGES
from emulator.datacentre.control import Datacentre
from emulator.guest import accelerator
from emulator.guest.orders import Orders
from emulator.guest.recipe import guest
from emulator.guest.store import GuestError, GuestStore
from federation.naming import Names
from federation.parties import CENTRE

NONE: Final = "none"
"""Instead of a party: all machines are emulated again."""
_PRICE: Final = {
    accelerator.KVM: "with this processor's help (KVM): some minutes to a registered hospital",
    accelerator.TCG: (
        "by translation (no usable KVM here), about ten times slower: many minutes to a registered hospital, "
        "and too slow for training"
    ),
}


def order(target: Target, parties: Sequence[str]) -> None:
    """Make the machines of these parties real from their next boot on, and all others emulated.

    Says what it costs before it starts. Raises QuestionError for a party that cannot be real, RefusedError
    where this machine cannot run one, FedError when something that is needed cannot be made.
    """
    chosen = [party for party in dict.fromkeys(parties) if party != NONE]
    _check(target, chosen)
    before = Orders.load(paths.real_machines())
    names = {party: Names(stack=target.name, party=party).of("vm") for party in target.hospitals}
    elsewhere = [name for name in (before.machines if before else ()) if name not in names.values()]
    machines = [*elsewhere, *(names[party] for party in chosen)]
    after = _prepared(target, chosen, machines) if machines else None
    if after == before:
        return
    if datacentre := Datacentre.running(target.emulator):
        datacentre.stop()  # every machine is booted again, each as it is wanted now
    if after is None:
        paths.real_machines().unlink()
    else:
        after.write(paths.real_machines())


def slow() -> bool:
    """Whether a machine here is real and translated, and takes minutes where others take seconds."""
    orders = Orders.load(paths.real_machines())
    return orders is not None and orders.accelerator == accelerator.TCG


def _check(target: Target, parties: Sequence[str]) -> None:
    if target.emulator is None:
        raise QuestionError("--real is for the emulator: on Azure every machine is real")
    if CENTRE in parties:
        raise QuestionError("the centre's machine cannot be real: its pages are reached inside the emulator")
    if unknown := [party for party in parties if party not in target.hospitals]:
        raise QuestionError(
            f"{', '.join(unknown)} is no hospital of {target.name}: it has {', '.join(target.hospitals)}"
        )
    if parties and os.geteuid() != 0:
        raise RefusedError(
            "a real machine needs root here, for its network card and its disk. Fix: sudo ./fed up --real ..."
        )


def _prepared(target: Target, parties: Sequence[str], machines: Sequence[str]) -> Orders:
    """Make what real machines are made of, and say what they cost."""
    system.require_packages(system.REAL_MACHINES)
    try:
        store = GuestStore(paths.cache() / "guest", say)
        image = store.disk()
        store.builder()
        store.python()
        gone = store.prune()
    except GuestError as failed:
        raise FedError(str(failed)) from failed
    if gone:
        say(f"removed what real machines have not used for long: {', '.join(map(str, gone))}")
    fast = accelerator.choose(image)
    if parties:
        say(f"{', '.join(parties)}: a real machine, {guest().name}, {_PRICE[fast]}")
    return Orders(
        machines=tuple(machines), image=str(image), accelerator=fast, containers=tuple(_containers(target))
    )


def _containers(target: Target) -> list[str]:
    """Return the names of the images that a hospital's machine pulls."""
    boxes = target.settings.images.boxes if target.settings else ()
    return sorted({*ROLE_IMAGES["hospital"], *map(box_image, boxes)})
