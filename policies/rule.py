"""What a rule is, and the few ways in which rules say that a property is wrong.

`rule` marks a function over one resource, `stack_rule` a function over all of them. Both yield `Fault`s (or
plain text, for one resource): *what* is wrong. Why it matters and the fix belong to the rule, so that each
violation of it says the same.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from federation.problem import Problem
from policies.planned import Planned, Props, at
from pulumi_wire.values import UNKNOWN


class Level(StrEnum):
    """What a violation does: stop the deployment, or be shown."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong with one resource."""

    urn: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A named rule.

    ``types`` are the resource types it looks at; empty for a stack-wide rule. ``environments`` limits it to
    those stacks by default (None: all); the pack's configuration can say otherwise.
    """

    name: str
    level: Level
    types: tuple[str, ...]
    environments: tuple[str, ...] | None
    title: str
    why: str
    fix: str
    check: Callable[[Any], Iterable[Any]]

    @property
    def stack_wide(self) -> bool:
        """Whether the rule looks at all resources together."""
        return not self.types

    def message(self, name: str, what: str) -> str:
        """Return the text of a violation: resource, fault, why it matters, fix."""
        return str(Problem(where=name, what=what, why=self.why, fix=self.fix))

    def faults(self, planned: Planned) -> Iterator[Fault]:
        """Yield what this rule finds wrong with one resource."""
        if planned.type in self.types:
            for what in self.check(planned):
                yield Fault(urn=planned.urn, what=what)

    def stack_faults(self, resources: list[Planned]) -> Iterator[Fault]:
        """Yield what this stack-wide rule finds wrong."""
        yield from self.check(resources)


RULES: dict[str, Rule] = {}
"""All rules by name, filled by the modules that `policies.check` imports."""

ResourceCheck = Callable[[Planned], Iterable[str]]
StackCheck = Callable[[list[Planned]], Iterable[Fault]]


def rule(
    name: str,
    *types: str,
    why: str,
    fix: str,
    level: Level = Level.MANDATORY,
    environments: tuple[str, ...] | None = None,
) -> Callable[[ResourceCheck], ResourceCheck]:
    """Register a function over one resource of the given types as a rule; its docstring is the title."""

    def register(check: ResourceCheck) -> ResourceCheck:
        _add(
            Rule(
                name=name,
                level=level,
                types=types,
                environments=environments,
                title=_title(check),
                why=why,
                fix=fix,
                check=check,
            )
        )
        return check

    return register


def stack_rule(
    name: str,
    *,
    why: str,
    fix: str,
    level: Level = Level.MANDATORY,
    environments: tuple[str, ...] | None = None,
) -> Callable[[StackCheck], StackCheck]:
    """Register a function over all resources as a rule; its docstring is the title."""
    return rule(name, why=why, fix=fix, level=level, environments=environments)  # type: ignore[return-value]


def _add(new: Rule) -> None:
    if new.name in RULES:
        raise ValueError(f"two rules are called {new.name}: a violation could not be told apart")
    RULES[new.name] = new


def _title(check: Callable[..., Any]) -> str:
    return (check.__doc__ or "").strip().splitlines()[0]


def demand(props: Props, path: str, *allowed: Any) -> Iterator[str]:
    """Yield a fault unless the property has one of the allowed values (None among them: may be left out)."""
    found = at(props, path)
    if found is not UNKNOWN and found not in allowed:
        shown = " or ".join(_show(a) for a in allowed)
        yield f"{path} is {_show(found)}, it must be {shown}"


def demand_set(props: Props, path: str) -> Iterator[str]:
    """Yield a fault when the property is absent or empty."""
    found = at(props, path)
    if found is not UNKNOWN and not found:
        yield f"{path} is not set"


def demand_empty(props: Props, path: str) -> Iterator[str]:
    """Yield a fault when the property is set to anything."""
    found = at(props, path)
    if found is not UNKNOWN and found:
        yield f"{path} is {_show(found)}, it must not be set"


def _show(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
