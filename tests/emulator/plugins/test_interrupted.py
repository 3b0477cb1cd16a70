"""What is left when a create does not end well: half-made resources and killed engines."""

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, status_pb2

from emulator.arm.messages import Request, Response
from emulator.plugins.azure_native.interrupted import Creations
from emulator.plugins.azure_native.provider import Azure, AzureNative
from pulumi_wire.values import decode
from tests.emulator.plugin_support import SUBSCRIPTION, Deployed, Emulated, Provider, emulated, served

GROUP = "azure-native:resources:ResourceGroup"
INPUTS = {"resourceGroupName": "rg", "location": "westeurope"}


@pytest.fixture
def emulation(tmp_path: Path) -> Iterator[Emulated]:
    with emulated(tmp_path) as running:
        yield running


@pytest.fixture
def azure(emulation: Emulated) -> Iterator[Provider]:
    with emulation.provider("azure-native", subscriptionId=SUBSCRIPTION) as provider:
        yield provider


def checkpoint(emulation: Emulated, *held: Deployed) -> None:
    """Write the state of stack dev as an engine would."""
    file = emulation.backend / ".pulumi" / "stacks" / "fed" / "dev.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    resources = [{"urn": f"urn:pulumi:dev::fed::{one.type}::{one.name}", "id": one.id} for one in held]
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": resources}}}))


class TestAKilledEngine:
    def test_the_same_resource_is_taken_up_again(self, azure: Provider, emulation: Emulated) -> None:
        azure.deploy(GROUP, "rg", INPUTS)
        checkpoint(emulation)
        again = azure.deploy(GROUP, "rg", {**INPUTS, "tags": {"a": "b"}})
        assert again.outputs["tags"] == {"a": "b"}

    def test_what_the_state_holds_is_not_made_twice(self, azure: Provider, emulation: Emulated) -> None:
        checkpoint(emulation, azure.deploy(GROUP, "rg", INPUTS))
        with pytest.raises(grpc.RpcError, match="cannot create already existing resource"):
            azure.deploy(GROUP, "rg", INPUTS)

    def test_another_resource_of_the_program_cannot_take_it(
        self, azure: Provider, emulation: Emulated
    ) -> None:
        azure.deploy(GROUP, "rg", INPUTS)
        checkpoint(emulation)
        with pytest.raises(grpc.RpcError, match="cannot create already existing resource"):
            azure.deploy(GROUP, "another", INPUTS)

    def test_what_was_deleted_and_made_by_somebody_else_is_a_stranger(
        self, azure: Provider, emulation: Emulated
    ) -> None:
        made = azure.deploy(GROUP, "rg", INPUTS)
        azure.delete(made)
        checkpoint(emulation)
        emulation.arm.put(made.id, {"location": "westeurope"})
        with pytest.raises(grpc.RpcError, match="cannot create already existing resource"):
            azure.deploy(GROUP, "rg", INPUTS)


class HalfMade:
    """An Azure that accepts a PUT and then fails to do it."""

    def __init__(self) -> None:
        self.exists = False

    def __call__(self, request: Request) -> Response:
        if request.method == "PUT":
            self.exists = True
            url = "https://management.azure.com/operations/1?api-version=v"
            return Response(status=201, headers={"azure-asyncoperation": url, "retry-after-ms": "1"})
        if "/operations/" in request.path:
            error = {"code": "QuotaExceeded", "message": "no room"}
            return Response(status=200, body={"status": "Failed", "error": error})
        if not self.exists:
            return Response(status=404)
        return Response(status=200, body={"id": request.path, "properties": {"provisioningState": "Failed"}})


def test_a_resource_that_did_not_come_up_is_saved_with_its_error(tmp_path: Path) -> None:
    creations = Creations(tmp_path / "creations.sqlite", tmp_path)
    azure = Azure(handle=HalfMade(), bearer=lambda: "token", creations=creations, pace=0.001)
    with (
        served({"azure-native": lambda directory: AzureNative(directory, azure)}, tmp_path) as start,
        start("azure-native", subscriptionId=SUBSCRIPTION) as provider,
        pytest.raises(grpc.RpcError) as failed,
    ):
        provider.deploy(GROUP, "rg", INPUTS)
    metadata = dict(failed.value.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert detail.id == f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
    assert "QuotaExceeded" in detail.reasons[0]
    assert decode(detail.inputs) == INPUTS
    assert decode(detail.properties)["properties"] == {"provisioningState": "Failed"}
