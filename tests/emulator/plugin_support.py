"""Reaches emulated providers as an engine does: the launcher's line, then gRPC."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from emulator.arm.control_plane import ControlPlane
from emulator.arm.messages import Request, Response
from emulator.daemon import Bearer
from emulator.plugins.azure_native.client import FAST
from emulator.plugins.azure_native.interrupted import Creations
from emulator.plugins.azure_native.provider import Azure, AzureNative
from emulator.plugins.docker.provider import Docker
from emulator.plugins.docker.registry import Registries
from emulator.plugins.listener import Listener
from emulator.plugins.package import Package
from emulator.plugins.random.provider import Random
from pulumi_wire.values import Properties, decode, encode
from tests.emulator.arm_client import Arm

WORD = "of-the-token-file"
SUBSCRIPTION = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


Start = Callable[..., AbstractContextManager["Provider"]]
"""(package, **config) -> an instance that ends with the block."""


@dataclass
class Emulated:
    """A control plane and the providers before it, in this process."""

    arm: Arm
    provider: Start
    folder: Path
    backend: Path


@contextmanager
def emulated(folder: Path) -> Iterator[Emulated]:
    """Run a control plane and all packages in a folder of their own."""
    backend = folder / "backend"
    backend.mkdir()
    plane = ControlPlane(folder / "arm.sqlite", b"k" * 32)
    bearer = Bearer(plane.issue_token)

    def handle(request: Request) -> Response:
        return plane.handle(request)  # a test may put another one there

    azure = Azure(
        handle=handle,
        bearer=bearer,
        creations=Creations(folder / "creations.sqlite", backend),
        pace=FAST,
    )
    packages: Mapping[str, Callable[[Path], Package]] = {
        "azure-native": partial(AzureNative, azure=azure),
        "docker": partial(Docker, registries=Registries(plane.handle, bearer), images=folder / "images"),
        "random": Random,
    }
    with served(packages, folder) as start:
        yield Emulated(Arm(plane), start, folder, backend)
    plane.close()


@contextmanager
def served(packages: Mapping[str, Callable[[Path], Package]], folder: Path) -> Iterator[Start]:
    """Run a plugin listener; yield what starts an instance as a launcher in `folder` would."""
    backend = f"file://{folder}/backend"
    listener = Listener(packages, token=WORD, backend=backend, port=0)
    listener.start()

    @contextmanager
    def start(package: str, **config: str) -> Iterator[Provider]:
        with socket.create_connection(("127.0.0.1", listener.port)) as launcher:
            launcher.sendall(f"{WORD}\t{package}\t{backend}\t{folder}\n".encode())
            answer = launcher.makefile().readline().strip()
            assert answer.isdigit(), answer
            with grpc.insecure_channel(f"127.0.0.1:{answer}") as channel:
                provider = Provider(provider_pb2_grpc.ResourceProviderStub(channel))
                provider.configure(config)
                yield provider

    try:
        yield start
    finally:
        listener.stop()


@dataclass(frozen=True)
class Deployed:
    """A resource as the state would hold it."""

    type: str
    name: str
    id: str
    inputs: Properties
    outputs: Properties


class Provider:
    """The calls of an engine, with plain values."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def check_config(self, config: dict[str, str]) -> list[str]:
        """Return what the provider says against its arguments."""
        answer = self._stub.CheckConfig(provider_pb2.CheckRequest(news=encode(config)))
        return [failure.reason for failure in answer.failures]

    def configure(self, config: dict[str, str]) -> None:
        """Give the provider its arguments."""
        assert not self.check_config(config)
        self._stub.Configure(provider_pb2.ConfigureRequest(args=encode(config)))

    def check(
        self, kind: str, name: str, inputs: Properties, old: Properties | None = None
    ) -> tuple[Properties, list[str]]:
        """Return completed inputs and the failures."""
        answer = self._stub.Check(
            provider_pb2.CheckRequest(
                urn=_urn(kind, name), news=encode(inputs), olds=encode(old or {}), randomSeed=b"seed"
            )
        )
        return decode(answer.inputs), [failure.reason for failure in answer.failures]

    def deploy(self, kind: str, name: str, inputs: Properties) -> Deployed:
        """Check and create."""
        checked, failures = self.check(kind, name, inputs)
        assert not failures, failures
        answer = self._stub.Create(
            provider_pb2.CreateRequest(urn=_urn(kind, name), properties=encode(checked))
        )
        return Deployed(kind, name, answer.id, checked, decode(answer.properties))

    def foretell(self, kind: str, name: str, inputs: Properties) -> Properties:
        """Return the outputs of a preview that creates."""
        request = provider_pb2.CreateRequest(urn=_urn(kind, name), properties=encode(inputs), preview=True)
        return decode(self._stub.Create(request).properties)

    def diff(self, resource: Deployed, inputs: Properties) -> Any:
        """Compare a resource with new inputs; return the DiffResponse."""
        checked, failures = self.check(resource.type, resource.name, inputs, resource.inputs)
        assert not failures, failures
        return self._stub.Diff(
            provider_pb2.DiffRequest(
                id=resource.id,
                urn=_urn(resource.type, resource.name),
                olds=encode(resource.outputs),
                old_inputs=encode(resource.inputs),
                news=encode(checked),
            )
        )

    def update(self, resource: Deployed, inputs: Properties, *, preview: bool = False) -> Deployed:
        """Check and update."""
        checked, failures = self.check(resource.type, resource.name, inputs, resource.inputs)
        assert not failures, failures
        answer = self._stub.Update(
            provider_pb2.UpdateRequest(
                id=resource.id,
                urn=_urn(resource.type, resource.name),
                olds=encode(resource.outputs),
                old_inputs=encode(resource.inputs),
                news=encode(checked),
                preview=preview,
            )
        )
        return Deployed(resource.type, resource.name, resource.id, checked, decode(answer.properties))

    def read(self, kind: str, name: str, resource_id: str, resource: Deployed | None = None) -> Deployed:
        """Refresh a resource, or import one by its id; an empty id in the answer means that it is gone."""
        answer = self._stub.Read(
            provider_pb2.ReadRequest(
                id=resource_id,
                urn=_urn(kind, name),
                inputs=encode(resource.inputs if resource else {}),
                properties=encode(resource.outputs if resource else {}),
            )
        )
        return Deployed(kind, name, answer.id, decode(answer.inputs), decode(answer.properties))

    def refresh(self, resource: Deployed) -> Deployed:
        """Read a resource again."""
        return self.read(resource.type, resource.name, resource.id, resource)

    def delete(self, resource: Deployed) -> None:
        """Remove a resource."""
        self._stub.Delete(
            provider_pb2.DeleteRequest(
                id=resource.id,
                urn=_urn(resource.type, resource.name),
                properties=encode(resource.outputs),
                old_inputs=encode(resource.inputs),
            )
        )

    def invoke(self, token: str) -> Properties:
        """Call a function without arguments."""
        answer = self._stub.Invoke(provider_pb2.InvokeRequest(tok=token))
        return decode(getattr(answer, "return"))


def _urn(kind: str, name: str) -> str:
    return f"urn:pulumi:dev::fed::{kind}::{name}"
