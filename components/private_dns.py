"""A party's own view of names: private zones linked to its VNet alone.

A VNet with its own `privatelink` zone gets no answer from it for anybody else's account, so what a hospital
reaches at the centre is in the hospital's zones as records of its own. Records of the party's own
endpoints are written by their zone groups (`private_endpoint.py`).

Where the organisation has such zones already, all parties ask those, and only the server's name is left to
make here (docs/adr/0017).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, final

import pulumi
from pulumi_azure_native import privatedns

from components.context import Context
from federation.azure_facts import BLOB_ZONE, INTERNAL_ZONE, REGISTRY_ZONE
from federation.parties import Party
from federation.stated import Resolution, Service

FL_RECORD: Final = "fl"
FL_HOST: Final = f"{FL_RECORD}.{INTERNAL_ZONE}"

_INTERNAL: Final = {"internal": INTERNAL_ZONE}
_ZONES: Final = {"blob": BLOB_ZONE, "registry": REGISTRY_ZONE, **_INTERNAL}
_ZONE_OF: Final[Mapping[Service, str]] = {
    "blob": "blob",
    "registry": "registry",
    "registry_data": "registry",
    "fl": "internal",
}
_TTL_SECONDS: Final = 300


@dataclass(frozen=True, kw_only=True)
class PrivateDnsArgs:
    """`records`: the relative name of each record to write by hand, by service."""

    context: Context[Party]
    resource_group: pulumi.Input[str]
    network_id: pulumi.Input[str]
    records: Mapping[Service, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class PrivateDnsResources:
    """Zones by `blob` and `registry` (where they are the party's own) and `internal`, their links, and the
    records written by hand.
    """

    zones: Mapping[str, privatedns.PrivateZone]
    links: Mapping[str, privatedns.VirtualNetworkLink]
    records: Mapping[Service, privatedns.PrivateRecordSet]


@final
class PrivateDns(pulumi.ComponentResource):
    """The private zones of one party, each linked to its VNet."""

    def __init__(self, name: str, args: PrivateDnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:PrivateDns", name, None, opts)
        self._args = args
        wanted = _ZONES if args.context.settings.network.dns == "own" else _INTERNAL
        zones = {part: self._zone(part, zone) for part, zone in wanted.items()}
        self.resources = PrivateDnsResources(
            zones=zones,
            links={part: self._link(part, zone) for part, zone in zones.items()},
            records={
                resolution.service: self._record(resolution, zones[_ZONE_OF[resolution.service]])
                for resolution in args.context.intent.resolutions_of(args.context.party.name)
                if resolution.service in args.records
                and resolution.kept_by == "party"
                and (resolution.service == "fl" or resolution.owner != args.context.party.name)
            },
        )
        self.register_outputs({})

    def zone_id(self, part: Literal["blob", "registry"]) -> pulumi.Input[str] | None:
        """Return the zone for the records of endpoints; None where a policy of the organisation
        writes them.
        """
        network = self._args.context.settings.network
        if network.dns == "own":
            return self.resources.zones[part].id
        return getattr(network.zones, part) if network.zones else None

    def _zone(self, part: str, zone: str) -> privatedns.PrivateZone:
        context = self._args.context
        return privatedns.PrivateZone(
            context.names.label("zone", part),
            private_zone_name=zone,
            resource_group_name=self._args.resource_group,
            location="global",
            tags=context.tags,
            opts=context.options(self),
        )

    def _link(self, part: str, zone: privatedns.PrivateZone) -> privatedns.VirtualNetworkLink:
        context = self._args.context
        return privatedns.VirtualNetworkLink(
            context.names.of("link", part),
            virtual_network_link_name=context.names.of("link"),
            private_zone_name=zone.name,
            resource_group_name=self._args.resource_group,
            location="global",
            virtual_network=privatedns.SubResourceArgs(id=self._args.network_id),
            registration_enabled=False,
            resolution_policy=self._resolution_policy(part),
            tags=context.tags,
            opts=context.options(self),
        )

    def _resolution_policy(self, part: str) -> privatedns.ResolutionPolicy | None:
        """Where there is a way out, the accounts of third parties resolve publicly instead of not at all.

        Azure refuses any value, even its default, where a zone is not `privatelink.*`:
        https://github.com/Azure/Azure-Landing-Zones/issues/4088
        """
        if part == "internal":
            return None
        if self._args.context.party.has_way_out:
            return privatedns.ResolutionPolicy.NX_DOMAIN_REDIRECT
        return privatedns.ResolutionPolicy.DEFAULT

    def _record(self, resolution: Resolution, zone: privatedns.PrivateZone) -> privatedns.PrivateRecordSet:
        context = self._args.context
        service = resolution.service
        return privatedns.PrivateRecordSet(
            context.names.label("record", f"{resolution.owner}-{service.replace('_', '-')}"),
            relative_record_set_name=self._args.records[service],
            record_type="A",
            private_zone_name=zone.name,
            resource_group_name=self._args.resource_group,
            a_records=[privatedns.ARecordArgs(ipv4_address=str(resolution.address))],
            ttl=_TTL_SECONDS,
            opts=context.options(self),
        )
