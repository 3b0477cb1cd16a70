"""Where every address of the federation is, computed from the parties' ranges alone.

All addresses are static, so security rules, DNS records and the statement of intent are known before anything
exists. Azure keeps the first four addresses and the last of each subnet for itself: the first usable one is
.4.

Centre (/24 or larger): subnet `server` is the first /26, `endpoints` the second, `gateway` the first /27 of
the third; it exists where a dashboard is published.
Hospital (/27 or larger): one subnet `workload`, the first /27.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import islice
from typing import Final

CENTRE_PREFIX: Final = 24
HOSPITAL_PREFIX: Final = 27

_CENTRE_SUBNET_PREFIX: Final = 26
_GATEWAY_PREFIX: Final = 27
_FIRST_USABLE: Final = 4


@dataclass(frozen=True, kw_only=True)
class CentrePlan:
    """The centre's subnets and the addresses in them."""

    space: IPv4Network
    server_subnet: IPv4Network
    endpoint_subnet: IPv4Network
    gateway_subnet: IPv4Network
    server: IPv4Address
    storage: IPv4Address
    registry_data: IPv4Address
    registry: IPv4Address


@dataclass(frozen=True, kw_only=True)
class HospitalPlan:
    """A hospital's subnet and the addresses in it."""

    space: IPv4Network
    workload_subnet: IPv4Network
    machine: IPv4Address
    storage: IPv4Address


def centre_plan(space: IPv4Network) -> CentrePlan:
    """Return the centre's addresses in a range of /24 or larger; the settings refuse smaller ones."""
    server, endpoints, third = islice(space.subnets(new_prefix=_CENTRE_SUBNET_PREFIX), 3)
    return CentrePlan(
        space=space,
        server_subnet=server,
        endpoint_subnet=endpoints,
        gateway_subnet=next(third.subnets(new_prefix=_GATEWAY_PREFIX)),
        server=server[_FIRST_USABLE],
        storage=endpoints[_FIRST_USABLE],
        registry_data=endpoints[_FIRST_USABLE + 1],
        registry=endpoints[_FIRST_USABLE + 2],
    )


def hospital_plan(space: IPv4Network) -> HospitalPlan:
    """Return a hospital's addresses in a range of /27 or larger; the settings refuse smaller ones."""
    workload = next(space.subnets(new_prefix=HOSPITAL_PREFIX))
    return HospitalPlan(
        space=space,
        workload_subnet=workload,
        machine=workload[_FIRST_USABLE],
        storage=workload[_FIRST_USABLE + 1],
    )
