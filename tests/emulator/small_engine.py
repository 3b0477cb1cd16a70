"""A small engine: the real program and the real plugin in one process, so that every operation can fail.

The program runs once for each change under Pulumi's mocks, answered by the emulator itself (`Rehearsal`), and
what it registered is then made again and again. As Pulumi's engine with ``--continue-on-error`` does, it
leaves out what depends on what failed, saves a resource that did not come up with its error, and updates it
the next time.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from pulumi.runtime import mocks

from emulator.plugins.azure_native.client import Handle
from emulator.plugins.azure_native.interrupted import Creations
from emulator.plugins.azure_native.provider import Azure, AzureNative
from emulator.plugins.package import InitError, Package, ProviderError, Resource
from emulator.plugins.random.provider import Random
from pulumi_wire.values import decode, encode
from tests.unit.support import program_graph

_PROVIDER = "pulumi:providers:azure-native"
_UNIQUE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A resource as the program registered it; `needs` are the keys of those that it depends on.

    `answered` are its outputs when the program ran: other resources' inputs hold parts of them.
    """

    typ: str
    name: str
    provider: str
    inputs: Mapping[str, Any]
    ignores: Sequence[str] = ()
    needs: frozenset[str] = frozenset()
    answered: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return f"{self.typ}::{self.name}"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A resource in the state; `failed` for one that did not come up."""

    goal: Goal
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    failed: bool = False


class SmallEngine:
    """Makes what a program registered; `state` is what it knows of, in the order in which that was made."""

    def __init__(self, handle: Handle, bearer: Callable[[], str], folder: Path) -> None:
        self._folder = folder
        checkpoint = folder / "backend/.pulumi/stacks/fed/dev.json"
        checkpoint.parent.mkdir(parents=True)
        checkpoint.write_text('{"checkpoint": {}}')
        creations = Creations(folder / "creations.sqlite", folder / "backend")
        self._azure = Azure(handle=handle, bearer=bearer, creations=creations, pace=0.0)
        self._packages: dict[str, Package] = {}
        self._renamed: dict[str, str] = {}
        self._seeds = 0
        self.state: dict[str, Kept] = {}

    def up(self, goals: Iterable[Goal]) -> list[str]:
        """Make what is wanted, then delete what is not; return what was refused."""
        wanted, failed, refused = {goal.key: goal for goal in goals}, set[str](), list[str]()
        for goal in wanted.values():
            if goal.needs & failed:
                failed.add(goal.key)
                continue
            try:
                self.apply(goal)
            except ProviderError as error:
                failed.add(goal.key)
                refused.append(f"{goal.key}: {error}")
        return refused or self._delete([key for key in self.state if key not in wanted])

    def down(self) -> list[str]:
        """Delete everything; return what was refused."""
        return self._delete(list(self.state))

    def refresh(self) -> None:
        """Look at everything that the state knows of."""
        for key, kept in list(self.state.items()):
            package = self._package(kept.goal)
            if package is None or kept.goal.typ.startswith("random:"):
                continue
            found = package.read(_resource(kept.goal, kept), kept.inputs, kept.outputs)
            if found.id:
                self._keep(replace(kept, inputs=dict(found.inputs), outputs=dict(found.outputs)))
            else:
                del self.state[key]

    def pending(self, goals: Iterable[Goal]) -> list[str]:
        """Return what an `up` would still change."""
        wanted = {goal.key: goal for goal in goals}
        new = [goal.key for goal in wanted.values() if goal.key not in self.state or self._is_behind(goal)]
        return [*new, *(key for key in self.state if key not in wanted)]

    def apply(self, goal: Goal) -> Kept:
        """Make or change one resource; raises ProviderError as its provider does."""
        package, kept = self._package(goal), self.state.get(goal.key)
        resource = _resource(goal, kept)
        inputs = self._inputs(goal, package)
        if package is None:
            return self._keep(Kept(goal=goal, id=goal.name, inputs=inputs, outputs=_invented(goal, inputs)))
        try:
            if kept is None:
                made, outputs = package.create(resource, inputs, preview=False)
            elif self._is_behind(goal):
                made = kept.id
                outputs = package.update(resource, kept.inputs, kept.outputs, inputs, preview=False)
            else:
                return kept
        except InitError as half:
            outputs = dict(half.outputs)
            self._keep(Kept(goal=goal, id=half.resource_id, inputs=inputs, outputs=outputs, failed=True))
            raise
        return self._keep(Kept(goal=goal, id=made, inputs=inputs, outputs=dict(outputs)))

    def _is_behind(self, goal: Goal) -> bool:
        kept, package = self.state[goal.key], self._package(goal)
        if package is None or kept.failed:
            return kept.failed
        inputs = self._inputs(goal, package)
        found = package.diff(_resource(goal, kept), kept.inputs, kept.outputs, inputs)
        assert not found.replaces, (goal.key, found)
        return bool(found.changes)

    def _inputs(self, goal: Goal, package: Package | None) -> dict[str, Any]:
        kept = self.state.get(goal.key)
        inputs = dict(self._now(goal.inputs))
        if package is None:
            return inputs
        before = kept.inputs if kept else {}
        inputs |= {name: before[name] for name in goal.ignores if name in before}
        self._seeds += 1  # what is random is another one each time, as it is lost with a killed run
        checked = package.check(_resource(goal, kept), before, inputs, str(self._seeds).encode())
        assert not checked.failures, checked.failures
        return dict(checked.inputs)

    def _delete(self, keys: Iterable[str]) -> list[str]:
        failed, refused = set[str](), list[str]()
        for key in reversed([*keys]):
            kept = self.state[key]
            if any(key in self.state[user].goal.needs for user in failed):
                failed.add(key)
                continue
            try:
                if package := self._package(kept.goal):
                    package.delete(_resource(kept.goal, kept), kept.inputs, kept.outputs)
            except ProviderError as error:
                failed.add(key)
                refused.append(f"{key}: {error}")
            else:
                del self.state[key]
        return refused

    def _package(self, goal: Goal) -> Package | None:
        if goal.typ.startswith("random:"):
            return self._packages.setdefault("random", Random(self._folder))
        if not goal.typ.startswith("azure-native:"):
            return None
        if goal.provider not in self._packages:
            package = AzureNative(self._folder, self._azure)
            package.configure(self.state[f"{_PROVIDER}::{goal.provider}"].inputs)
            self._packages[goal.provider] = package
        return self._packages[goal.provider]

    # What the program saw when it ran is not what the emulator answers now

    def _keep(self, kept: Kept) -> Kept:
        self._renamed |= dict(_renamed(kept.goal.answered, kept.outputs))
        self.state[kept.goal.key] = kept
        return kept

    def _now(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self._now(name): self._now(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self._now(part) for part in value]
        if isinstance(value, str):
            for seen, now in self._renamed.items():
                value = value.replace(seen, now)
        return value


class Rehearsal(mocks.Mocks):
    """Answers a program that runs under Pulumi's mocks by making what it asks for."""

    def __init__(self, engine: SmallEngine) -> None:
        self._engine, self._one = engine, Lock()

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        raise AssertionError(f"the program asks for {args.token}: it must know everything from its settings")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if not args.custom:
            return None, {}
        provider = program_graph.provider_name(args.provider)
        inputs = decode(encode(args.inputs))  # whole numbers travel as floats
        goal = Goal(typ=args.typ, name=args.name, provider=provider, inputs=inputs)
        with self._one:  # the program registers from several threads
            kept = self._engine.apply(goal)
        return kept.id, kept.outputs


def goals(engine: SmallEngine, config: Mapping[str, Any]) -> list[Goal]:
    """Run the program with these settings, make what it asks for, and return that."""
    graph = program_graph.record("dev", config, answers=Rehearsal(engine))
    keys = {urn: f"{each.typ}::{each.name}" for urn, each in graph.resources.items()}
    found = [
        Goal(
            typ=each.typ,
            name=each.name,
            provider=each.provider,
            inputs=decode(encode(each.inputs)),
            ignores=each.ignore_changes,
            needs=frozenset(keys[urn] for urn in each.dependencies if urn in keys)
            | ({f"{_PROVIDER}::{each.provider}"} if each.provider else set()),
            answered=engine.state[f"{each.typ}::{each.name}"].outputs,
        )
        for each in graph.resources.values()
        if each.custom
    ]
    gone = set(engine.state) - {goal.key for goal in found}
    assert not engine._delete([key for key in engine.state if key in gone])
    for goal in found:
        engine.state[goal.key] = replace(engine.state[goal.key], goal=goal)
    return found


def _resource(goal: Goal, kept: Kept | None) -> Resource:
    urn = f"urn:pulumi:dev::fed::{goal.typ}::{goal.name}"
    return Resource(urn=urn, token=goal.typ, name=goal.name, id=kept.id if kept else "")


def _invented(goal: Goal, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What is not the emulator's: providers, and images, of which the digest is wanted."""
    if goal.typ != "docker:index/image:Image":
        return dict(inputs)
    return {**inputs, "repoDigest": f"{inputs['imageName'].rpartition(':')[0]}@sha256:{'0' * 64}"}


def _renamed(seen: Any, now: Any) -> Iterator[tuple[str, str]]:
    """Yield the parts of answers that no two deployments share: numbers of Azure's, the random suffix."""
    if isinstance(seen, Mapping) and isinstance(now, Mapping):
        if "result" in seen:
            yield str(seen["result"]), str(now["result"])
        for name in seen.keys() & now.keys():
            yield from _renamed(seen[name], now[name])
    elif isinstance(seen, str) and isinstance(now, str) and seen != now:
        yield from zip(_UNIQUE.findall(seen), _UNIQUE.findall(now), strict=False)
