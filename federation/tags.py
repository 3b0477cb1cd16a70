"""The tags of every resource: whose it is, of which stack, who made it, and the stack's own."""

from collections.abc import Mapping
from typing import Final

from federation.naming import PROJECT

#: The names (lower case, as Azure compares them) that a stack file cannot use for its own tags.
OWN_TAGS: Final = frozenset({"project", "environment", "party", "managedby"})
#: The tag of an account with an open window: the last day, as YYYY-MM-DD.
WINDOW_TAG: Final = "windowUntil"


def tags(environment: str, party: str, own: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of one party's resources; `own` are those of the stack file."""
    return {**own, "project": PROJECT, "environment": environment, "party": party, "managedBy": "pulumi"}
