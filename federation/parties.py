"""The parties of a federation: what the settings say about each, defaults and addresses included."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from federation.address_plan import CentrePlan, HospitalPlan, centre_plan, hospital_plan
from federation.azure_facts import REGIONS
from federation.naming import CENTRE_CONTAINERS, OPERATORS_CONTAINERS, Names
from federation.notices import OF_CENTRE, Kind
from federation.settings import Centre, CentreDoor, Dashboard, Door, Hospital, Settings
from federation.tags import tags

CENTRE = "centre"


@dataclass(frozen=True, kw_only=True)
class Party:
    """One organisation with a subscription of its own; `firewall` is set where `egress` is `firewall`."""

    name: str
    subscription_id: str
    location: str
    egress: str
    firewall: IPv4Address | None
    vm_size: str
    storage_sku: str
    monthly_budget: float
    contacts: tuple[str, ...]
    hears: Mapping[Kind, tuple[str, ...]]
    """Who hears of what instead of the contacts."""
    dashboard: Dashboard | None
    backup_recipient: str | None
    """The public key to which its archives are encrypted; None where nobody has one."""
    names: Names
    tags: Mapping[str, str]

    @property
    def has_way_out(self) -> bool:
        """Whether the party's VM reaches anything outside the federation."""
        return self.egress != "none"

    @property
    def region_has_zones(self) -> bool:
        """Whether the party's region has availability zones."""
        return REGIONS[self.location]


@dataclass(frozen=True, kw_only=True)
class CentreParty(Party):
    """The research centre; `gateway` says whether Power BI reaches its storage for somebody's dashboard."""

    plan: CentrePlan
    fl_port: int
    gateway: bool
    door: CentreDoor | None

    @property
    def operators(self) -> str | None:
        """The group whose questions the centre answers as blobs; None where its door has no operators."""
        return self.door.operators if self.door else None

    @property
    def containers(self) -> tuple[str, ...]:
        """The containers of its account that are for no hospital alone."""
        return (*CENTRE_CONTAINERS, *(OPERATORS_CONTAINERS if self.operators else ()))


@dataclass(frozen=True, kw_only=True)
class HospitalParty(Party):
    """One hospital; one that has left has no door."""

    plan: HospitalPlan
    root_fingerprint: str | None
    door: Door | None
    has_left: bool


@dataclass(frozen=True, kw_only=True)
class Federation:
    """The centre, the hospitals in the order of their names, and the settings they share.

    `retired` are those that have left: nothing connects them any more, and only their data are kept.
    """

    settings: Settings
    centre: CentreParty
    hospitals: tuple[HospitalParty, ...]
    retired: tuple[HospitalParty, ...] = ()

    @property
    def parties(self) -> tuple[Party, ...]:
        """Whoever has resources: the centre first, then the hospitals, then those that have left."""
        return (self.centre, *self.hospitals, *self.retired)

    @property
    def someone_is_leaving(self) -> bool:
        """Whether a hospital is on its way out, for which locks are lifted (docs/adr/0094)."""
        return not all(party.has_left for party in self.retired)


def federation(settings: Settings) -> Federation:
    """Return the parties that these settings describe."""
    hospitals = [
        (hospital.retired is not None, _hospital(settings, name, hospital))
        for name, hospital in sorted(settings.hospitals.items())
    ]
    return Federation(
        settings=settings,
        centre=_centre(settings, settings.centre),
        hospitals=tuple(party for retired, party in hospitals if not retired),
        retired=tuple(party for retired, party in hospitals if retired),
    )


def _centre(settings: Settings, centre: Centre) -> CentreParty:
    return CentreParty(
        name=CENTRE,
        subscription_id=centre.subscription_id,
        location=settings.location,
        egress=(egress := centre.egress or settings.network.egress),
        firewall=_firewall(settings, egress, centre.firewall),
        vm_size=centre.vm_size or settings.machine.size,
        storage_sku=settings.storage.centre_sku,
        monthly_budget=settings.budgets.centre,
        contacts=settings.contacts,
        hears={kind: who for kind in OF_CENTRE if (who := getattr(settings.notices, kind)) is not None},
        dashboard=centre.dashboard,
        backup_recipient=settings.backup.recipient,
        names=Names(stack=settings.environment, party=CENTRE),
        tags=tags(settings.environment, CENTRE, settings.tags),
        plan=centre_plan(centre.address_space),
        door=centre.door,
        fl_port=centre.fl_port,
        gateway=any(
            [centre.dashboard, *(h.dashboard for h in settings.hospitals.values() if h.retired is None)]
        ),
    )


def _firewall(settings: Settings, egress: str, own: IPv4Address | None) -> IPv4Address | None:
    return (own or settings.network.firewall) if egress == "firewall" else None


def _hospital(settings: Settings, name: str, hospital: Hospital) -> HospitalParty:
    return HospitalParty(
        name=name,
        subscription_id=hospital.subscription_id,
        location=hospital.location or settings.location,
        egress=(egress := hospital.egress or settings.network.egress),
        firewall=_firewall(settings, egress, hospital.firewall),
        vm_size=hospital.vm_size or settings.machine.size,
        storage_sku=hospital.storage_sku or settings.storage.hospital_sku,
        monthly_budget=hospital.monthly_budget or settings.budgets.hospital,
        contacts=hospital.contacts or settings.contacts,
        hears={},
        dashboard=hospital.dashboard,
        backup_recipient=hospital.backup_recipient,
        names=Names(stack=settings.environment, party=name),
        tags=tags(settings.environment, name, settings.tags),
        plan=hospital_plan(hospital.address_space),
        root_fingerprint=hospital.root_fingerprint,
        door=hospital.door if hospital.retired is None else None,
        has_left=hospital.retired == "left",
    )
