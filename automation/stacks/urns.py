"""Whose resource it is: the party in its provider, else the one in its name (federation/naming.py)."""

from collections.abc import Iterable

from federation.naming import PROJECT
from federation.parties import CENTRE

SHARED = "shared"
"""Stands for the party of what belongs to none, or to one that nobody knows any more."""

_PROVIDERS = "pulumi:providers:"


def is_counted(urn: str, *, custom: bool) -> bool:
    """Tell whether people care about this resource: components and providers are Pulumi's own bookkeeping."""
    return custom and not type_of(urn).startswith(_PROVIDERS)


def type_of(urn: str) -> str:
    """Return the resource's own type, without the types of what it is part of."""
    return urn.split("::")[2].rpartition("$")[2]


def name_of(urn: str) -> str:
    """Return the resource's name in the program."""
    return urn.split("::", 3)[3]


def party_of(stack: str, urn: str, provider: str, hospitals: Iterable[str]) -> str:
    """Return the party of a resource.

    Every party has a provider ``azure-fed-<stack>-<party>``; `provider` is a reference ``<urn>::<id>``.
    Random suffixes and images have a provider of their own and carry their party in their name instead.
    """
    mark = f"-{PROJECT}-{stack}-"
    of_provider = name_of(provider.rpartition("::")[0]) if provider.count("::") > 3 else ""
    if of_provider.startswith(f"azure{mark}"):
        return of_provider.removeprefix(f"azure{mark}")
    rest = name_of(urn).partition(mark)[2]
    named = [party for party in (CENTRE, *hospitals) if rest == party or rest.startswith(f"{party}-")]
    return max(named, key=len, default=SHARED)
