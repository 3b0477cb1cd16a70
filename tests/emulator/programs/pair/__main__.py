"""Two peered networks in two subscriptions.

TAG is their tag, LOCATION the region of the resource groups, EXTRA adds a type that is not emulated, and
WRONG_PROVIDER makes one network in the other party's subscription (environment variables).
"""

import os

import pulumi
import pulumi_random as random
from pulumi_azure_native import Provider, network, resources

SET_BY_AZURE = {
    "azure-native:network:VirtualNetwork": ["subnets[*].etag"],
    "azure-native:network:VirtualNetworkPeering": ["peeringState", "peeringSyncLevel"],
}


def prepared(arguments: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
    """Drop the aliases for API versions that this state never held: they cost most of a preview."""
    arguments.opts.aliases = None
    arguments.opts.ignore_changes = SET_BY_AZURE.get(arguments.type_)
    return pulumi.ResourceTransformationResult(arguments.props, arguments.opts)


pulumi.runtime.register_stack_transformation(prepared)
subscriptions = {
    "hub": "11111111-1111-4111-8111-111111111111",
    "spoke": "22222222-2222-4222-8222-222222222222",
}
providers = {name: Provider(name, subscription_id=guid) for name, guid in subscriptions.items()}
networks = {}
for index, (name, provider) in enumerate(providers.items()):
    options = pulumi.ResourceOptions(provider=provider)
    group = resources.ResourceGroup(
        f"rg-{name}",
        resource_group_name=f"rg-{name}",
        location=os.environ.get("LOCATION", "westeurope"),
        opts=options,
    )
    if os.environ.get("WRONG_PROVIDER"):
        options = pulumi.ResourceOptions(provider=providers["hub"], depends_on=[group])
    networks[name] = network.VirtualNetwork(
        f"vnet-{name}",
        virtual_network_name=f"vnet-{name}",
        resource_group_name=group.name,
        location="westeurope" if os.environ.get("WRONG_PROVIDER") else None,
        address_space=network.AddressSpaceArgs(address_prefixes=[f"10.{index}.0.0/24"]),
        subnets=[network.SubnetArgs(name="main", address_prefix=f"10.{index}.0.0/25")],
        tags={"purpose": os.environ.get("TAG", "test")},
        opts=options,
    )
    if os.environ.get("EXTRA"):
        network.ApplicationSecurityGroup("extra", resource_group_name=group.name, opts=options)

halves: list[network.VirtualNetworkPeering] = []
for name, other in (("hub", "spoke"), ("spoke", "hub")):
    half = network.VirtualNetworkPeering(
        f"peering-{name}",
        virtual_network_peering_name=f"to-{other}",
        resource_group_name=f"rg-{name}",
        virtual_network_name=networks[name].name,
        remote_virtual_network=network.SubResourceArgs(id=networks[other].id),
        allow_virtual_network_access=True,
        opts=pulumi.ResourceOptions(provider=providers[name], depends_on=halves),
    )
    halves.append(half)

pulumi.export("word", random.RandomString("word", length=8, special=False).result)
pulumi.export("state", halves[-1].peering_state)
