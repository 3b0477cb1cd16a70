"""Microsoft.Network: virtual networks and what lives in them."""

from emulator.arm.network import (
    egress,
    interfaces,
    peerings,
    private_dns,
    private_endpoints,
    quotas,
    record_sets,
    routes,
    security_groups,
    virtual_networks,
    watchers,
    zone_groups,
)

TYPES = (
    *virtual_networks.TYPES,
    *peerings.TYPES,
    *security_groups.TYPES,
    *interfaces.TYPES,
    *egress.TYPES,
    *routes.TYPES,
    *private_endpoints.TYPES,
    *zone_groups.TYPES,
    *private_dns.TYPES,
    *record_sets.TYPES,
    *watchers.TYPES,
    *quotas.TYPES,
)
