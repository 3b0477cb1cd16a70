"""What every part of one party needs to know: whose it is, with which provider, in which federation."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pulumi
import pulumi_random as random
from pulumi_azure_native.provider import Provider

from federation.naming import SUFFIX_LENGTH, Names, unique_name
from federation.parties import Federation, Party
from federation.providers import Providers
from federation.settings import Settings
from federation.stated import Intent

P = TypeVar("P", bound=Party)
P_co = TypeVar("P_co", bound=Party, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Context(Generic[P_co]):
    """One party in one stack. `today` is read once a run; only the start of a budget depends on it."""

    settings: Settings
    intent: Intent
    party: P_co
    azure: Provider
    random: random.Provider
    today: dt.date

    @property
    def names(self) -> Names:
        """The party's names."""
        return self.party.names

    @property
    def location(self) -> str:
        """The party's Azure region."""
        return self.party.location

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of the party's resources."""
        return self.party.tags

    @property
    def zones(self) -> list[str] | None:
        """The availability zone of what can be pinned to one, as Azure writes it."""
        zone = self.settings.machine.zone
        return None if zone is None else [str(zone)]

    def options(
        self,
        parent: pulumi.Resource,
        *,
        depends_on: Sequence[pulumi.Resource] = (),
        azure_sets: Sequence[str] = (),
        delete_before_replace: bool | None = None,
    ) -> pulumi.ResourceOptions:
        """Return the options of a child that lives in this party's subscription.

        `azure_sets` are inputs that the program leaves to Azure, which changes them after the create: the
        look for drift would otherwise find each of them, every night (pulumi-azure-native#4722).
        """
        return pulumi.ResourceOptions(
            parent=parent,
            provider=self.azure,
            depends_on=list(depends_on) if depends_on else None,
            ignore_changes=list(azure_sets) if azure_sets else None,
            delete_before_replace=delete_before_replace,
        )


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What all parties of one run share."""

    federation: Federation
    intent: Intent
    providers: Providers
    today: dt.date

    def context(self, party: P) -> Context[P]:
        """Return the context of one party of the federation."""
        return Context(
            settings=self.federation.settings,
            intent=self.intent,
            party=party,
            azure=self.providers.azure[party.name],
            random=self.providers.random,
            today=self.today,
        )


class UniqueNames:
    """The names of one party that are unique in all of Azure: they end in one random suffix per party."""

    def __init__(self, context: Context[Party], parent: pulumi.Resource) -> None:
        self._names = context.names
        self._suffix = random.RandomString(
            context.names.label("suffix"),
            length=SUFFIX_LENGTH,
            special=False,
            upper=False,
            opts=pulumi.ResourceOptions(parent=parent, provider=context.random),
        )

    def of(self, kind: str, part: str = "") -> pulumi.Output[str]:
        """Return a name of `kind` (`st`, `kv`, `cr`); it is known at plan time once the suffix exists."""
        stack, party = self._names.stack, self._names.party
        return self._suffix.result.apply(lambda suffix: unique_name(kind, stack, party, suffix, part))
