"""What the deploying identities may do with the parties' subscriptions: the one list of those roles.

`infra/access.py` assigns them; `./fed verify` expects exactly these on a whole subscription, and no others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from federation.naming import PROJECT, role_assignment_name
from infra.roles import DEPLOYER, condition

#: `plan` previews, `up` deploys.
Part = Literal["plan", "up"]


@dataclass(frozen=True, kw_only=True)
class Right:
    """One role of the identity of one part on the whole subscription of one party.

    `where` is the place in words; `condition` limits a right to assign roles
    (`limited_for` a principal).
    """

    identity: str
    part: Part
    role: str
    where: str
    subscription: str
    condition: str | None = None

    def limited_for(self, principal: str) -> str | None:
        """Return the condition of the assignment to that principal."""
        return self.condition and self.condition.replace(DEPLOYER, principal)

    @property
    def assignment(self) -> str:
        """The name (a GUID) of the role assignment."""
        return role_assignment_name("delivery", self.identity, self.role, self.where)


def identity_name(environment: str, part: Part) -> str:
    """Return the name of the identity that GitHub's environment for this part of a stack's delivery uses."""
    return f"id-{PROJECT}-{environment}" + ("-plan" if part == "plan" else "")


def rights(environment: str, subscriptions: Mapping[str, str]) -> Iterator[Right]:
    """Yield the rights for one environment; `subscriptions` maps parties to ids."""
    # Of the two roles that may assign roles only the first may also lock, as prod does (Azure:
    # lock-resources).
    grantor = (
        "User Access Administrator" if environment == "prod" else "Role Based Access Control Administrator"
    )
    for party, subscription in subscriptions.items():
        parts: tuple[tuple[Part, str, str | None], ...] = (
            ("plan", "Reader", None),
            ("up", "Contributor", None),
            ("up", grantor, condition()),
        )
        for part, role, limit in parts:
            yield Right(
                identity=identity_name(environment, part),
                part=part,
                role=role,
                where=f"{environment} {party}",
                subscription=subscription,
                condition=limit,
            )
