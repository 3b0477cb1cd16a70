"""PARTIES resource groups in PROVIDERS subscriptions, each with NETWORKS virtual networks (environment
variables)."""

import os

import pulumi
from pulumi_azure_native import Provider, network, resources


def without_aliases(arguments: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
    """Drop the aliases for API versions that this state never held: they cost most of a preview."""
    arguments.opts.aliases = None
    return pulumi.ResourceTransformationResult(arguments.props, arguments.opts)


pulumi.runtime.register_stack_transformation(without_aliases)
groups, networks, count = (int(os.environ[name]) for name in ("PARTIES", "NETWORKS", "PROVIDERS"))
providers = [
    Provider(f"party-{index}", subscription_id=f"00000000-0000-4000-8000-{index:012d}")
    for index in range(count)
]
for index in range(groups):
    options = pulumi.ResourceOptions(provider=providers[index % count])
    group = resources.ResourceGroup(
        f"rg-{index}", resource_group_name=f"rg-{index}", location="westeurope", opts=options
    )
    for inner in range(networks):
        network.VirtualNetwork(
            f"vnet-{index}-{inner}",
            virtual_network_name=f"vnet-{index}-{inner}",
            resource_group_name=group.name,
            location="westeurope",
            address_space=network.AddressSpaceArgs(address_prefixes=[f"10.{index}.0.0/16"]),
            opts=options,
        )
