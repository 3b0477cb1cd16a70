"""What a provider package has to answer, free of gRPC: `service.py` speaks the protocol for all of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emulator.plugins.diff import Change
from pulumi_wire.values import Properties


class ProviderError(Exception):
    """A refusal whose text the engine shows to the user as it is."""


class InitError(ProviderError):
    """The resource exists but did not come up: the engine saves it and updates it next time."""

    def __init__(self, reason: str, *, resource_id: str, outputs: Properties, inputs: Properties) -> None:
        super().__init__(reason)
        self.resource_id, self.outputs, self.inputs = resource_id, outputs, inputs


class CancelledError(ProviderError):
    """The engine wants to end while a call was waiting for something."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One input that Check refuses; `property` may be empty."""

    property: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Which resource a call is about.

    `name` is the Pulumi name, the last part of the URN; `id` is empty for what does not exist yet.
    """

    urn: str
    token: str
    name: str
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The inputs to keep in the state, and what is wrong with them."""

    inputs: Properties
    failures: Sequence[Failure] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The changes between two sets of inputs; `replaces` names the properties that force a new resource."""

    changes: Sequence[Change] = ()
    replaces: frozenset[str] = frozenset()
    delete_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What Read found; an empty `id` means that the resource is gone."""

    id: str = ""
    outputs: Properties = field(default_factory=dict)
    inputs: Properties = field(default_factory=dict)


class Package(ABC):
    """One configured instance of a provider. Calls may come from several threads at once.

    Methods raise ProviderError for whatever the user should read. `directory` is the folder in which the
    engine started the plugin (the Pulumi project).
    """

    name: str
    version: str

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def check_config(self, inputs: Properties) -> Sequence[Failure]:
        """Judge the arguments of the provider."""
        return ()

    def configure(self, inputs: Properties) -> None:
        """Take the arguments of the provider."""
        return

    def cancel(self) -> None:
        """Make calls that wait for something end soon."""
        return

    @abstractmethod
    def check(self, resource: Resource, old: Properties, new: Properties, seed: bytes) -> Checked:
        """Complete and judge inputs; `old` are those of the last deployment, `seed` fixes what is random."""

    @abstractmethod
    def diff(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Difference:
        """Compare inputs."""

    @abstractmethod
    def create(self, resource: Resource, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        """Make the resource; return its id (empty in a preview) and outputs."""

    @abstractmethod
    def update(
        self,
        resource: Resource,
        old_inputs: Properties,
        old_outputs: Properties,
        new: Properties,
        *,
        preview: bool,
    ) -> Properties:
        """Change the resource; return its outputs."""

    @abstractmethod
    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        """Remove the resource; one that is gone already is a success."""

    @abstractmethod
    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Found:
        """Look at the resource; without `inputs` it is to be imported."""

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a function."""
        raise ProviderError(
            f"{token}: the emulated {self.name} provider knows no such function. A program that must also "
            "run on the emulator can read what it needs from resources instead."
        )
