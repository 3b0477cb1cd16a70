"""The one network interface of a VM: a private address known at plan time, and no other."""

from ipaddress import IPv4Address

import pulumi
from pulumi_azure_native import network

from components.context import Context
from federation.parties import Party


def private_interface(
    parent: pulumi.Resource,
    context: Context[Party],
    *,
    resource_group: pulumi.Input[str],
    subnet_id: pulumi.Input[str],
    address: IPv4Address,
) -> network.NetworkInterface:
    """Return an interface without public address and without forwarding."""
    name = context.names.of("nic", "vm")
    return network.NetworkInterface(
        name,
        network_interface_name=name,
        resource_group_name=resource_group,
        location=context.location,
        enable_ip_forwarding=False,
        ip_configurations=[
            {
                "name": "private",
                "primary": True,
                "private_ip_allocation_method": network.IPAllocationMethod.STATIC,
                "private_ip_address": str(address),
                "private_ip_address_version": network.IPVersion.I_PV4,
                "subnet": {"id": subnet_id},
            }
        ],
        tags=context.tags,
        opts=context.options(parent),
    )
