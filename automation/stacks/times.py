"""A deployment's record and the state that it left -> its resources in time."""

import datetime as dt
import time
from collections.abc import Iterable, Mapping
from typing import Any

from automation.stacks.events import Record
from automation.stacks.target import Target
from automation.stacks.urns import name_of, party_of, type_of
from automation.timeline.run import Run, Step


def of(target: Target, record: Record, resources: Iterable[Mapping[str, Any]]) -> Run:
    """Return when each resource that changed began and ended, and what it depends on.

    `resources` are those of the state afterwards; what was deleted is in none, and depends on nothing.
    """
    states = {resource["urn"]: resource for resource in resources}
    steps = []
    for urn, done in record.changed().items():
        state = states.get(urn, {})
        began, ended = record.times[urn]
        steps.append(
            Step(
                urn=urn,
                name=name_of(urn),
                type=type_of(urn).removeprefix("azure-native:"),
                party=party_of(target.name, urn, state.get("provider", ""), target.hospitals),
                done=done,
                began=began,
                ended=ended,
                after=tuple(sorted(_dependencies(state))),
            )
        )
    at = dt.datetime.now(tz=dt.UTC) - dt.timedelta(seconds=time.monotonic() - record.began)
    return Run(stack=target.name, on=str(target.on), at=at, steps=tuple(steps))


def _dependencies(state: Mapping[str, Any]) -> set[str]:
    by_property = state.get("propertyDependencies") or {}
    return {*(state.get("dependencies") or ()), *(urn for urns in by_property.values() for urn in urns or ())}
