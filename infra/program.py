"""What `__main__.py` deploys, as a function that tests can call."""

from pathlib import Path

import pulumi
from pulumi_azure_native.provider import Provider

from federation.aliases import drop_type_aliases
from infra import settings as delivery_settings
from infra.access import AccessArgs, EnvironmentAccess
from infra.state import Store, StoreArgs


def deploy(root: Path) -> None:
    """Plan everything; raises SettingsError before anything is planned when a setting is wrong."""
    settings = delivery_settings.read(root)
    parties = delivery_settings.subscriptions(root, settings.environments)
    drop_type_aliases()
    everywhere = {settings.subscription_id, *(one for named in parties.values() for one in named.values())}
    providers = {
        subscription: Provider(
            f"subscription-{subscription}", subscription_id=subscription, tenant_id=settings.tenant_id
        )
        for subscription in sorted(everywhere)
    }
    own = pulumi.ResourceOptions(providers=[providers[settings.subscription_id]])
    store = Store("store", StoreArgs(settings=settings), own)
    access = {
        environment: EnvironmentAccess(
            environment,
            AccessArgs(
                settings=settings,
                environment=environment,
                subscriptions=parties[environment],
                store=store,
                providers=providers,
            ),
            own,
        )
        for environment in settings.environments
    }
    pulumi.export("tenantId", settings.tenant_id)
    pulumi.export("stateAccount", store.account.name)
    pulumi.export("registry", store.registry.id)
    pulumi.export(
        "clientIds",
        {f"{environment}-plan": one.plan.client_id for environment, one in access.items()}
        | {environment: one.up.client_id for environment, one in access.items()},
    )
