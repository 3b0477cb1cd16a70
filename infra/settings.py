"""What the delivery program is told: its own stack file, and the federation's for the subscriptions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from federation.draft import examine
from federation.parties import federation
from federation.problem import Problem
from federation.rules import STACKS
from federation.settings import Environment, Section
from federation.stack_file import load_stack, read_config
from federation.values import Guid, PublicAddress, Region, wrong
from federation.violations import SettingsError

NAMESPACE = "fed-delivery"
STACK_FILE = "infra/Pulumi.delivery.yaml"
MOST_ADDRESSES = 400
"""A storage account takes no more rules of addresses:
https://learn.microsoft.com/azure/storage/common/scalability-targets-standard-account"""


def _account(value: str) -> str:
    if not 3 <= len(value) <= 24 or not value.isascii() or not value.isalnum() or value != value.lower():
        raise wrong(
            "Azure would refuse the storage account (AccountNameInvalid)",
            "use 3 to 24 small letters and digits",
        )
    return value


def _registry(value: str) -> str:
    if not 5 <= len(value) <= 50 or not value.isascii() or not value.isalnum() or value != value.lower():
        raise wrong(
            "Azure would refuse the registry (InvalidResourceName)", "use 5 to 50 small letters and digits"
        )
    return value


def _each_once(values: tuple[Environment, ...]) -> tuple[Environment, ...]:
    if len(set(values)) < len(values):
        raise wrong("two identities of one name would be asked for", "name each stack once")
    return values


def _prefix(value: str) -> str:
    if (
        not value.startswith("repo:")
        or "/" not in value
        or any(mark in value for mark in "* ")
        or value.endswith(":")
    ):
        raise wrong(
            "no token of your repository could match it: every job would fail to sign in (AADSTS700213), or "
            "one of another repository might",
            "write sub_claim_prefix of `gh api repos/OWNER/NAME/actions/oidc/customization/sub`",
        )
    return value


class DeliverySettings(Section):
    """Everything that differs between organisations."""

    tenant_id: Guid = Field(description="the Entra tenant of every party", examples=["<36-character id>"])
    location: Region = Field(description="the Azure region", examples=["westeurope"])
    subscription_id: Guid = Field(
        description="the subscription of the identities and the state", examples=["<36-character id>"]
    )
    environments: Annotated[tuple[Environment, ...], AfterValidator(_each_once)] = Field(
        default=STACKS, min_length=1, description="the stacks that GitHub deploys"
    )
    state_account: Annotated[str, AfterValidator(_account)] = Field(
        description="the name of the storage account for Pulumi's state", examples=["stfedacme"]
    )
    registry: Annotated[str, AfterValidator(_registry)] = Field(
        description="the name of the registry of released images", examples=["crfedacme"]
    )
    repository: str = Field(
        pattern=r"^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", description="owner/name on GitHub", examples=["acme/fed"]
    )
    subject_prefix: Annotated[str, AfterValidator(_prefix)] = Field(
        description="what the subjects of the repository's OIDC tokens begin with",
        examples=["repo:acme@1/fed@2"],
    )
    administrators: tuple[Guid, ...] = Field(
        default=(), description="the groups whose members deploy from a laptop"
    )
    addresses: Annotated[tuple[PublicAddress, ...], Field(max_length=MOST_ADDRESSES)] = Field(
        default=(), description="the public addresses that alone may reach Pulumi's state; empty: all"
    )

    @property
    def resource_group(self) -> str:
        """The name of the one resource group."""
        return "rg-fed-delivery"

    @property
    def registry_id(self) -> str:
        """The ARM id of the registry of released images."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.ContainerRegistry/registries/{self.registry}"
        )

    def identity_id(self, name: str) -> str:
        """Return the ARM id of one of the deploying identities."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
        )

    def backend_url(self, environment: str) -> str:
        """Return the PULUMI_BACKEND_URL of one environment's state."""
        return f"azblob://{environment}?storage_account={self.state_account}"


def load(config: Mapping[str, Any], *, source: str = STACK_FILE) -> DeliverySettings:
    """Return the settings from a stack's configuration; raises SettingsError with every mistake."""
    prefix = f"{NAMESPACE}:"
    raw = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    found: list[Problem] = []
    examine(DeliverySettings, raw, prefix, found)
    if found:
        raise SettingsError(source, found)
    return DeliverySettings.model_validate(raw)


def read(root: Path) -> DeliverySettings:
    """Return the settings in the stack file below `root`; raises SettingsError with every mistake."""
    return load(read_config(root / STACK_FILE))


def subscriptions(root: Path, environments: Sequence[str]) -> dict[str, dict[str, str]]:
    """environment -> party -> subscription id, from the federation's stack files below `root`.

    Raises:
        SettingsError: when one of them is wrong.
    """
    return {
        environment: {
            party.name: party.subscription_id for party in federation(load_stack(root, environment)).parties
        }
        for environment in environments
    }
