"""The centre's container registry: Entra identities only, pulled through its private endpoint.

Only dev takes a push from outside. It holds images and no patients' data, and is encrypted with Azure's keys:
there is no way from nothing to a registry whose key is in a closed vault (docs/adr/0010). Untagged images are
never cleaned up: everybody pulls by digest.

`roleAssignmentMode`, which says whether AcrPull counts, is not stated. Azure Native's own version of the type
(2023-01-01-preview) does not know it. Another version is another package with providers of its own
(`Parameterize` in pulumi-azure-native's provider_parameterize.go), so that each party would have two; and of
Azure's versions only previews know both the mode and soft delete (bicep-types-az, 2025-11-01 against
2026-03-01-preview). `./fed verify` asks for the mode instead (`automation/verify/observed/pulls.py`).
"""

from dataclasses import dataclass
from typing import final

import pulumi
from pulumi_azure_native import containerregistry

from components.context import Context, UniqueNames
from components.diagnostics import diagnose
from components.private_endpoint import Placement, PrivateEndpoint, PrivateEndpointArgs
from federation.parties import CentreParty


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """The registry goes into `resource_group`, its endpoint where `placement` says, its names into
    `zone_id`.
    """

    context: Context[CentreParty]
    resource_group: pulumi.Input[str]
    unique_names: UniqueNames
    workspace_id: pulumi.Input[str]
    placement: Placement
    zone_id: pulumi.Input[str] | None


@dataclass(frozen=True, kw_only=True)
class RegistryResources:
    """The registry and its endpoint."""

    registry: containerregistry.Registry
    endpoint: PrivateEndpoint


@final
class Registry(pulumi.ComponentResource):
    """Premium registry with a private endpoint for itself and for its data."""

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:Registry", name, None, opts)
        self._args = args
        context = args.context
        self.registry_name = args.unique_names.of("cr")
        #: Made from the name, which is known at plan time, and not from what Azure answers.
        self.login_server = self.registry_name.apply(lambda registry_name: f"{registry_name}.azurecr.io")
        self.data_record = self.registry_name.apply(
            lambda registry_name: f"{registry_name}.{context.location}.data"
        )
        registry = self._registry()
        plan = context.party.plan
        self.resources = RegistryResources(
            registry=registry,
            endpoint=PrivateEndpoint(
                context.names.label("endpoint", "registry"),
                PrivateEndpointArgs(
                    context=context,
                    part="registry",
                    placement=args.placement,
                    target_id=registry.id,
                    group="registry",
                    addresses={
                        "registry": plan.registry,
                        f"registry_data_{context.location}": plan.registry_data,
                    },
                    zone_id=args.zone_id,
                ),
                pulumi.ResourceOptions(parent=self),
            ),
        )
        diagnose(
            self,
            context,
            "registry",
            resource_id=registry.id,
            workspace_id=args.workspace_id,
            logs=("ContainerRegistryLoginEvents", "ContainerRegistryRepositoryEvents"),
            metrics=("AllMetrics",),
        )
        self.id: pulumi.Output[str] = registry.id
        self.register_outputs({"registryId": self.id, "loginServer": self.login_server})

    def _registry(self) -> containerregistry.Registry:
        args, context = self._args, self._args.context
        public = context.settings.registry.public_push
        return containerregistry.Registry(
            context.names.label("cr"),
            registry_name=self.registry_name,
            resource_group_name=args.resource_group,
            location=context.location,
            sku=containerregistry.SkuArgs(name=containerregistry.SkuName.PREMIUM),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            data_endpoint_enabled=True,
            public_network_access=(
                containerregistry.PublicNetworkAccess.ENABLED
                if public
                else containerregistry.PublicNetworkAccess.DISABLED
            ),
            network_rule_set=containerregistry.NetworkRuleSetArgs(
                default_action=(
                    containerregistry.DefaultAction.ALLOW if public else containerregistry.DefaultAction.DENY
                ),
                ip_rules=[],
            ),
            # Promotion imports images into a closed registry through this.
            network_rule_bypass_options=containerregistry.NetworkRuleBypassOptions.AZURE_SERVICES,
            policies=_policies(public),
            zone_redundancy=(
                containerregistry.ZoneRedundancy.ENABLED
                if context.party.region_has_zones
                else containerregistry.ZoneRedundancy.DISABLED
            ),
            tags=context.tags,
            opts=context.options(self),
        )


def _policies(public: bool) -> containerregistry.PoliciesArgs:
    off, on = containerregistry.PolicyStatus.DISABLED, containerregistry.PolicyStatus.ENABLED
    return containerregistry.PoliciesArgs(
        # A token for Resource Manager does not open the registry.
        azure_ad_authentication_as_arm_policy=containerregistry.AzureADAuthenticationAsArmPolicyArgs(
            status=containerregistry.AzureADAuthenticationAsArmPolicyStatus.DISABLED
        ),
        # Azure lets exports be forbidden in closed registries only.
        export_policy=containerregistry.ExportPolicyArgs(
            status=containerregistry.ExportPolicyStatus.ENABLED
            if public
            else containerregistry.ExportPolicyStatus.DISABLED
        ),
        quarantine_policy=containerregistry.QuarantinePolicyArgs(status=off),
        retention_policy=containerregistry.RetentionPolicyArgs(status=off),
        soft_delete_policy=containerregistry.SoftDeletePolicyArgs(status=on, retention_days=30),
        trust_policy=containerregistry.TrustPolicyArgs(
            type=containerregistry.TrustPolicyType.NOTARY, status=off
        ),
    )
