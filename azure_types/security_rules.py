"""The six rules that every network security group ends with.

https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#default-security-rules
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class DefaultRule:
    """One of them, for every protocol and port; its sides are service tags or ``*``."""

    name: str
    description: str
    inbound: bool
    allow: bool
    priority: int
    source: str = "*"
    destination: str = "*"


DEFAULT_RULES: Final = (
    DefaultRule(
        name="AllowVnetInBound",
        description="Allow inbound traffic from all VMs in VNET",
        inbound=True,
        allow=True,
        priority=65000,
        source="VirtualNetwork",
        destination="VirtualNetwork",
    ),
    DefaultRule(
        name="AllowAzureLoadBalancerInBound",
        description="Allow inbound traffic from azure load balancer",
        inbound=True,
        allow=True,
        priority=65001,
        source="AzureLoadBalancer",
    ),
    DefaultRule(
        name="DenyAllInBound",
        description="Deny all inbound traffic",
        inbound=True,
        allow=False,
        priority=65500,
    ),
    DefaultRule(
        name="AllowVnetOutBound",
        description="Allow outbound traffic from all VMs to all VMs in VNET",
        inbound=False,
        allow=True,
        priority=65000,
        source="VirtualNetwork",
        destination="VirtualNetwork",
    ),
    DefaultRule(
        name="AllowInternetOutBound",
        description="Allow outbound traffic from all VMs to Internet",
        inbound=False,
        allow=True,
        priority=65001,
        destination="Internet",
    ),
    DefaultRule(
        name="DenyAllOutBound",
        description="Deny all outbound traffic",
        inbound=False,
        allow=False,
        priority=65500,
    ),
)
