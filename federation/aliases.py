"""A quicker program: Azure Native's type aliases are dropped before the engine learns of them.

Every Azure Native resource carries about 60 aliases, one for each API version its type once had, and the
Python SDK turns each into a chain of outputs: 468 s and 4.2 GB for 4,000 resources, 30 s and 0.6 GB without.
They only matter to a state that was written under such an old type, which this project has none of
(docs/adr/0002).
"""

import pulumi


def drop_type_aliases() -> None:
    """Call once, before the first resource."""
    pulumi.runtime.register_stack_transformation(_without_aliases)


def _without_aliases(
    args: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult | None:
    if not args.type_.startswith("azure-native:"):
        return None
    args.opts.aliases = None
    return pulumi.ResourceTransformationResult(args.props, args.opts)
