"""RESOURCES resource groups in PROVIDERS subscriptions (environment variables): what no program can undercut.

No components, no dependencies, no outputs that another resource waits for, no aliases.
"""

import os

import pulumi
from pulumi_azure_native import Provider, resources


def without_aliases(arguments: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
    """Drop the aliases for API versions that this state never held."""
    arguments.opts.aliases = None
    return pulumi.ResourceTransformationResult(arguments.props, arguments.opts)


pulumi.runtime.register_stack_transformation(without_aliases)
groups, count = int(os.environ["RESOURCES"]), int(os.environ["PROVIDERS"])
providers = [
    Provider(f"party-{index}", subscription_id=f"00000000-0000-4000-8000-{index:012d}")
    for index in range(count)
]
for index in range(groups):
    resources.ResourceGroup(
        f"rg-{index}",
        resource_group_name=f"rg-{index}",
        location="westeurope",
        opts=pulumi.ResourceOptions(provider=providers[index % count]),
    )
