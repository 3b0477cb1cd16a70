"""The only maker of providers: one for each subscription, so that no resource can land in another party's.

Default providers are disabled in Pulumi.yaml: a resource without an explicit provider is refused by the
engine. Credentials come from the environment (`az login`, or ARM_USE_OIDC in CI), never from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi_docker as docker
import pulumi_random as random
from pulumi_azure_native.provider import Provider

from federation.naming import PROJECT
from federation.parties import Federation


@dataclass(frozen=True, kw_only=True)
class Providers:
    """`azure` by party name; `docker` only where images are built."""

    azure: Mapping[str, Provider]
    random: random.Provider
    docker: docker.Provider | None


def providers(federation: Federation) -> Providers:
    """Return the providers of one stack."""
    settings = federation.settings
    name = f"{PROJECT}-{settings.environment}"
    return Providers(
        azure={
            party.name: Provider(
                party.names.label("azure"),
                subscription_id=party.subscription_id,
                tenant_id=settings.tenant_id,
            )
            for party in federation.parties
        },
        random=random.Provider(f"random-{name}"),
        docker=docker.Provider(f"docker-{name}") if settings.images.build else None,
    )
