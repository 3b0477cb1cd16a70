"""Where a verification looks beside the state, for a target that the command line opened."""

from functools import partial

from automation.operate import machines
from automation.outcome import FedError
from automation.target import Target
from automation.verify import probes
from automation.verify.packets import Prober
from automation.verify.run import Sources
from emulator.fabric.control import Fabric
from emulator.fabric.errors import FabricError


def sources(target: Target, *, live: bool, packets: bool, inside: bool) -> Sources:
    """Return what to look at.

    Raises FedError when packets are wanted and this machine cannot send any.
    """
    arm = target.arm() if live or inside else None
    return Sources(
        client=arm if live else None,
        prober=_prober(target) if packets else None,
        inside=(lambda seen: probes.look(seen, partial(machines.run, arm))) if inside and arm else None,
    )


def _prober(target: Target) -> Prober:
    try:
        fabric = Fabric.ensure(target.emulator)
        fabric.wait_ready()
    except FabricError as impossible:
        raise FedError(
            f"no packets can be sent: {impossible}\nWithout them the verification says less, but runs: "
            "--no-packets --no-inside"
        ) from impossible
    return fabric
