"""Whether an organisation's own private DNS zones are there and take our records (docs/adr/0017).

A zone group writes into its zone with the rights of whoever makes it (LinkedAuthorizationFailed otherwise).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from automation.hospitals.lack import Lack, unreadable
from automation.hospitals.permissions import allows
from automation.stacks.arm import Answer, Arm
from federation.settings import Settings

VERSION: Final = "2024-06-01"
JOIN: Final = "Microsoft.Network/privateDnsZones/join/action"


@dataclass(frozen=True, kw_only=True)
class ZoneAnswers:
    """What Azure says of a zone, and of the asker's permissions on it."""

    zone: Answer
    permissions: Answer


def ask(arm: Arm, settings: Settings) -> Mapping[str, ZoneAnswers]:
    """Ask for each zone that the settings name, by its id."""
    zones = settings.network.zones
    return {
        zone: ZoneAnswers(
            zone=arm.get(zone, VERSION),
            permissions=arm.get(f"{zone}/providers/Microsoft.Authorization/permissions", "2022-04-01"),
        )
        for zone in ((zones.blob, zones.registry) if zones else ())
    }


def lacking(answers: Mapping[str, ZoneAnswers]) -> Iterator[Lack]:
    """Yield what of the zones would stop the first endpoint in the middle of the deployment."""
    for zone, said in answers.items():
        if said.zone.status == 404:
            yield Lack(
                what=f"the private DNS zone {zone}",
                why="the private endpoints are to have their names in it",
                fix="let your DNS team make it, or correct fed:network.zones",
            )
        elif said.zone.is_error or said.permissions.is_error:
            refused = said.zone if said.zone.is_error else said.permissions
            yield unreadable(refused, f"the private DNS zone {zone}")
        elif not allows(said.permissions.body.get("value", []), JOIN):
            yield Lack(
                what=f"permission to name private endpoints in {zone}",
                why=f"you may not {JOIN} there: Azure would refuse the records (LinkedAuthorizationFailed)",
                fix="let your DNS team grant it: az role assignment create --role 'Private DNS Zone "
                f"Contributor' --assignee <who deploys> --scope {zone}; or take fed:network.zones out and "
                "let your policy write the records",
            )
