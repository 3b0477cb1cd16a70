"""What Azure still offers of what the settings name, and what a deletion left in the way.

Read by `preflight.py`: each is asked before a deployment that it would otherwise stop half-way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from automation.hospitals.lack import Lack, unreadable
from automation.stacks.arm import Answer, Arm
from components.virtual_machine import UBUNTU
from federation.parties import Party
from federation.settings import Settings

LATEST = "latest"


@dataclass(frozen=True, kw_only=True)
class Offers:
    """What Azure said; `image` is None where the newest version is taken, or an image of one's own."""

    image: Answer | None
    redundancy: Answer
    deleted_workspaces: Answer


def ask(arm: Arm, settings: Settings, party: Party) -> Offers:
    """Ask for the image, the redundancy and the names that the party's deployment needs."""
    scope = f"/subscriptions/{party.subscription_id}/providers"
    return Offers(
        image=_image(arm, scope, settings, party),
        redundancy=arm.get(f"{scope}/Microsoft.Storage/skus", "2024-01-01"),
        deleted_workspaces=arm.get(f"{scope}/Microsoft.OperationalInsights/deletedWorkspaces", "2023-09-01"),
    )


def _image(arm: Arm, scope: str, settings: Settings, party: Party) -> Answer | None:
    image = settings.machine.image
    if image.gallery_image_id is not None or image.version == LATEST:
        return None
    return arm.get(
        f"{scope}/Microsoft.Compute/locations/{party.location}/publishers/{UBUNTU['publisher']}/artifacttypes"
        f"/vmimage/offers/{UBUNTU['offer']}/skus/{UBUNTU['sku']}/versions/{image.version}",
        "2024-11-01",
    )


def lacking(settings: Settings, party: Party, offers: Offers) -> Iterator[Lack]:
    """Yield what stands in the way of the party's deployment."""
    yield from _images(settings, party, offers.image)
    for answer, what, judge in (
        (offers.redundancy, "the list of storage redundancies", _redundancy),
        (offers.deleted_workspaces, "the list of deleted workspaces", _workspace),
    ):
        if answer.is_error:
            yield unreadable(answer, what)
        else:
            yield from judge(party, answer.body.get("value", []))


def _images(settings: Settings, party: Party, answer: Answer | None) -> Iterator[Lack]:
    """Yield an image that its publisher has taken away.

    https://learn.microsoft.com/azure/virtual-machines/deprecated-images
    """
    if answer is None or not answer.is_error:
        return
    named = ":".join((*UBUNTU.values(), settings.machine.image.version))
    if answer.status != 404:
        yield unreadable(answer, f"the image {named}")
        return
    yield Lack(
        what=f"the image {named} in {party.location}",
        why=f"Azure has it there no more, or never had: it would refuse the VM ({answer.error})",
        fix=f"az vm image list --location {party.location} --publisher {UBUNTU['publisher']} --offer "
        f"{UBUNTU['offer']} --sku {UBUNTU['sku']} --all --output table --subscription "
        f"{party.subscription_id}; write one of its versions as fed:machine.image.version",
    )


def _redundancy(party: Party, skus: list[Mapping[str, Any]]) -> Iterator[Lack]:
    """Restrictions of one subscription are in no table: https://learn.microsoft.com/rest/api/storagerp/skus/list."""
    here = [
        sku
        for sku in skus
        if sku.get("name") == party.storage_sku
        and sku.get("kind") == "StorageV2"
        and party.location in {place.lower() for place in sku.get("locations", [])}
    ]
    closed = [restriction for sku in here for restriction in sku.get("restrictions", [])]
    if here and not closed:
        return
    reason = ", ".join(str(one.get("reasonCode", "no reason given")) for one in closed)
    yield Lack(
        what=f"storage redundancy {party.storage_sku} in {party.location}",
        why=f"Azure {f'restricts it: {reason}' if closed else 'does not offer it to this subscription'}",
        fix="use another fed:storage SKU or region, or ask for access with a support request",
    )


def _workspace(party: Party, deleted: list[Mapping[str, Any]]) -> Iterator[Lack]:
    """Yield a deleted workspace that is in the way: it keeps its name for 14 days and comes back where it
    was.

    https://learn.microsoft.com/rest/api/loganalytics/workspaces/delete
    """
    name = party.names.of("log")
    for one in deleted:
        place = str(one.get("location", "")).replace(" ", "").lower()
        if str(one.get("name", "")).lower() == name and place != party.location:
            group = str(one["id"]).split("/")[4]
            yield Lack(
                what=f"the name {name}",
                why=f"a workspace of this name was deleted in {place} less than 14 days ago: Azure would "
                f"refuse it in {party.location}",
                fix=f"az monitor log-analytics workspace delete --force --resource-group {group} "
                f"--workspace-name {name} --subscription {party.subscription_id}, or the old region",
            )
