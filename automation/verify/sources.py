"""Where a verification looks besides the state, for a target that the command line opened."""

from functools import partial
from typing import Final

from automation.operate import machines
from automation.stacks.target import ROOT, Target
from automation.ui.lazily import lazily
from automation.ui.outcome import FedError
from automation.verify.observed import probes
from automation.verify.observed.live import Deployers
from automation.verify.observed.packets import Prober
from automation.verify.run import Sources
from infra import settings as delivery_settings
from infra.rights import rights

with lazily():
    from automation.verify.observed import consent, running
    from emulator.datacentre import control, errors


NO_CONSENT: Final = (
    "whether hospitals had approved what ran there: with --inside the centre is asked for its side, and each"
    " hospital has its own record"
)

NO_IMAGES: Final = "which images run: with --inside each VM is asked"


def sources(target: Target, *, live: bool, packets: bool, inside: bool) -> Sources:
    """Return what to look at.

    Raises FedError when packets are wanted and this machine cannot send any, SettingsError when the settings
    of delivery, which say who may deploy, are wrong.
    """
    arm = target.arm() if live or inside else None
    runs = _runs(target)
    return Sources(
        client=arm if live else None,
        deployers=_deployers() if live else None,
        prober=_prober(target) if packets else None,
        inside=(lambda seen: probes.look(seen, partial(machines.run, arm))) if inside and arm else None,
        consent=(lambda: consent.look(target)) if inside and runs else None,
        running=(lambda: running.look(target)) if inside and runs else None,
        unseen=(NO_CONSENT, NO_IMAGES) if runs and not inside else (),
    )


def _runs(target: Target) -> bool:
    """Whether containers can run, so that there are jobs and records of them."""
    return target.settings is not None and target.settings.images.exist


def _deployers() -> Deployers:
    settings = delivery_settings.read(ROOT)
    parties = delivery_settings.subscriptions(ROOT, settings.environments)
    return Deployers(
        rights=[right for environment, named in parties.items() for right in rights(environment, named)],
        identity_id=settings.identity_id,
    )


def _prober(target: Target) -> Prober:
    try:
        datacentre = control.Datacentre.ensure(target.emulator)
        datacentre.wait_ready()
    except errors.DatacentreError as impossible:
        raise FedError(
            f"no packets can be sent: {impossible}\nWithout them the verification says less, but runs: "
            "--no-packets --no-inside"
        ) from impossible
    return datacentre
