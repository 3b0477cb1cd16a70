"""What a change allows that was not allowed, and the reverse: two statements of intent, line by line."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from federation.curated import CURATED
from federation.intent import intent
from federation.parties import federation
from federation.settings import Settings
from federation.stated import Grant


class Allowed(BaseModel):
    """One line of the statement of intent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    who: str
    may: str
    why: str


class Intended(BaseModel):
    """The statement of intent of one stack, as lines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    flows: tuple[Allowed, ...]
    grants: tuple[Allowed, ...]
    doors: tuple[Allowed, ...] = ()
    names: tuple[Allowed, ...] = ()

    def lines(self) -> dict[tuple[str, str], str]:
        """(who, may) -> why."""
        return {
            (line.who, line.may): line.why for line in (*self.flows, *self.doors, *self.names, *self.grants)
        }


def intended(stack: str, settings: Settings) -> Intended:
    """Return what `settings` allow, without what Azure allows every VM whatever the rules say."""
    whole = intent(federation(settings))
    return Intended(
        stack=stack,
        flows=tuple(
            Allowed(
                who=str(flow.source),
                may=f"open {flow.protocol.upper()} {', '.join(map(str, flow.ports))} to {flow.destination}",
                why=flow.why,
            )
            for flow in whole.flows
            if flow.enforced_by != "platform"
        ),
        grants=tuple(
            Allowed(
                who=grant.who,
                may=f"be {grant.role} of {grant.owner}/{grant.resource}{_below(grant)}",
                why=grant.why,
            )
            for grant in whole.grants
        ),
        doors=(
            *(
                Allowed(who=door.viewer, may=f"reach {door.owner}/storage at {door.address}", why=door.why)
                for door in whole.doors
            ),
            *(
                Allowed(
                    who=f"internet/{window.address}",
                    may=f"reach {window.owner}/storage until {window.until}",
                    why=window.why,
                )
                for window in whole.windows
            ),
        ),
        names=() if whole.zones is None else (_namer(whole.zones),),
    )


def difference(before: Intended, after: Intended) -> tuple[list[Allowed], list[Allowed]]:
    """(newly allowed, no longer allowed), in the order of the statements."""
    old, new = before.lines(), after.lines()
    return _missing(new, old), _missing(old, new)


def _namer(zones: tuple[str, ...]) -> Allowed:
    return Allowed(
        who="whoever may write your organisation's private DNS zones",
        may="say where each party's names of accounts and the registry lead, in "
        + (", ".join(zones) or "the zones that your policy chooses"),
        why="the organisation keeps one zone of a name for everybody",
    )


def _below(grant: Grant) -> str:
    return f", below {CURATED} alone" if grant.tables_only else ""


def _missing(here: Mapping[tuple[str, str], Any], there: Mapping[tuple[str, str], Any]) -> list[Allowed]:
    return [Allowed(who=key[0], may=key[1], why=str(why)) for key, why in here.items() if key not in there]
