"""What a statement of intent consists of: flows, grants, resolutions, doors and windows, and how it is asked.

What is stated is in `intent.py`.
"""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from typing import Final, Literal

#: Azure's service tag for every address outside private and peered ranges.
INTERNET: Final = "Internet"
#: The host of every VM: DNS, and the agent's channel .
PLATFORM_ADDRESS: Final = "168.63.129.16"
#: The instance metadata service, where a VM gets its identity's tokens.
METADATA_ADDRESS: Final = "169.254.169.254"

Protocol = Literal["Tcp", "Udp"]
Access = Literal["nsg", "platform"]
Role = Literal["Storage Blob Data Contributor", "Storage Blob Data Reader", "AcrPull"]
Service = Literal["blob", "registry", "registry_data", "fl"]
Keeper = Literal["party", "organisation"]
Holder = Literal["machine", "dashboard readers", "people", "officers", "researchers", "operators"]
BACKUP_WHY: Final = "the VM keeps archives of its own state, encrypted to a key that is not in Azure"


@dataclass(frozen=True, kw_only=True)
class Place:
    """One end of a flow: an address of a party (`subnet` says where), or a range outside the federation.

    A whole subnet is one end where Azure gives out its addresses: the delegated one of Power BI's gateway.
    """

    party: str
    part: str
    prefix: str
    subnet: str | None = None

    @property
    def is_range(self) -> bool:
        """Whether it is more than one address."""
        return not self.prefix.endswith("/32")

    def __str__(self) -> str:
        return f"{self.party}/{self.part} ({self.prefix})"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One allowed way to open a connection. Answers travel back by themselves; nobody may open the reverse.

    `name` groups flows that one security rule allows. `enforced_by` is "platform" for what Azure lets every
    VM reach whatever its security rules say. `through` is the next hop where that is a party's own firewall.
    """

    name: str
    source: Place
    destination: Place
    protocol: Protocol
    ports: tuple[int, ...]
    why: str
    enforced_by: Access = "nsg"
    through: IPv4Address | None = None


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One allowed access to data of `owner`, for `holder` of `principal`: its machine, or some of its people.

    `group` is the people's group (an object id of Entra), None for a machine.
    """

    principal: str
    owner: str
    resource: str
    role: Role
    why: str
    holder: Holder = "machine"
    group: str | None = None

    @property
    def who(self) -> str:
        """Who is allowed, in words."""
        return f"{self.principal}'s {self.holder}"

    @property
    def tables_only(self) -> bool:
        """Whether only the blobs below `curated.CURATED` are meant."""
        return self.holder == "dashboard readers"


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """One name that a party resolves to a private address: `service` of `owner`, seen from `viewer`.

    `kept_by` says in whose zone: the viewer's own, or the organisation's, that all parties ask.
    """

    viewer: str
    owner: str
    service: Service
    address: IPv4Address
    kept_by: Keeper = "party"


@dataclass(frozen=True, kw_only=True)
class Door:
    """One endpoint of `owner`'s account in a subnet that `owner` has already; nothing else leads there.

    `zone_id` is the owner's own zone for its name, None where the program makes one.
    """

    owner: str
    subnet_id: str
    address: IPv4Address
    zone_id: str | None
    why: str

    @property
    def network_id(self) -> str:
        """The id of the network that the subnet is part of."""
        return self.subnet_id.rsplit("/", 2)[0]

    @property
    def viewer(self) -> str:
        """Who resolves names there, in words."""
        return f"{self.owner}'s own network"


@dataclass(frozen=True, kw_only=True)
class Window:
    """One public address that `owner`'s account answers, the day `until` included (UTC)."""

    owner: str
    address: IPv4Address
    until: dt.date
    why: str

    def is_open(self, today: dt.date) -> bool:
        """Whether the account is meant to answer there today."""
        return today <= self.until


@dataclass(frozen=True, kw_only=True)
class Intent:
    """All that is allowed in one federation."""

    flows: tuple[Flow, ...]
    grants: tuple[Grant, ...]
    resolutions: tuple[Resolution, ...]
    doors: tuple[Door, ...] = ()
    windows: tuple[Window, ...] = ()
    zones: tuple[str, ...] | None = None
    """The organisation's zones that the parties ask, by id: none where a policy of it decides which, None
    where each party has its own."""

    @cached_property
    def flows_by_subnet(self) -> dict[tuple[str, str], tuple[Flow, ...]]:
        """(party, subnet) -> the flows that start or end there, in the order of `flows`."""
        index: dict[tuple[str, str], dict[Flow, None]] = {}
        for flow in self.flows:
            for place in (flow.source, flow.destination):
                if place.subnet is not None:
                    index.setdefault((place.party, place.subnet), {})[flow] = None
        return {key: tuple(flows) for key, flows in index.items()}

    def grants_to(self, principal: str, owner: str) -> tuple[Grant, ...]:
        """Return what `principal` may do with what `owner` has."""
        return tuple(grant for grant in self.grants if (grant.principal, grant.owner) == (principal, owner))

    def resolutions_of(self, viewer: str) -> tuple[Resolution, ...]:
        """Return the names that `viewer` resolves to private addresses."""
        return tuple(name for name in self.resolutions if name.viewer == viewer)

    def door_of(self, owner: str) -> Door | None:
        """Return the door of a party, None where it has none."""
        return next((door for door in self.doors if door.owner == owner), None)

    def window_of(self, owner: str) -> Window | None:
        """Return the window of a party, open or not."""
        return next((window for window in self.windows if window.owner == owner), None)
