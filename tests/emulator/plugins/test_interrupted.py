"""What is left when a create does not end well: half-made resources and killed engines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, status_pb2

from emulator.arm.messages import Request, Response
from emulator.plugins.azure_native.client import RETRY_SECONDS, Handle
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


class UnreadOnce:
    """An Azure that does what it accepts, and whose next read ends in errors, retries and all."""

    def __init__(self, *, back: bool) -> None:
        self.left = 0 if back else 1000
        self.made = False

    def __call__(self, request: Request) -> Response:
        if request.method == "PUT":
            self.made = True
            self.left += 1 + len(RETRY_SECONDS)
            url = "https://management.azure.com/operations/1?api-version=v"
            return Response(status=201, headers={"azure-asyncoperation": url, "retry-after-ms": "1"})
        if "/operations/" in request.path:
            return Response(status=200, body={"status": "Succeeded"})
        if not self.made:
            return Response(status=404)
        self.left -= 1
        if self.left >= 0:
            error = {"code": "InternalServerError", "message": "no"}
            return Response(status=500, body={"error": error})
        return Response(status=200, body={"id": request.path, "name": "rg"})


def refused(handle: Handle, folder: Path) -> grpc.RpcError:
    """Return the error of a create at that Azure."""
    creations = Creations(folder / "creations.sqlite", folder)
    azure = Azure(handle=handle, bearer=lambda: "token", creations=creations, pace=0.0001)
    with (
        served({"azure-native": lambda directory: AzureNative(directory, azure)}, folder) as start,
        start("azure-native", subscriptionId=SUBSCRIPTION) as provider,
        pytest.raises(grpc.RpcError) as failed,
    ):
        provider.deploy(GROUP, "rg", INPUTS)
    return failed.value


def saved(failure: grpc.RpcError) -> Any:
    """Return what the engine saves after a create that failed."""
    metadata = dict(failure.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    return detail


def test_a_resource_that_did_not_come_up_is_saved_with_its_error(tmp_path: Path) -> None:
    detail = saved(refused(HalfMade(), tmp_path))
    assert detail.id == f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
    assert "QuotaExceeded" in detail.reasons[0]
    assert decode(detail.inputs) == INPUTS
    assert decode(detail.properties)["properties"] == {"provisioningState": "Failed"}


def test_a_resource_whose_end_could_be_read_a_moment_later_is_saved_too(tmp_path: Path) -> None:
    """It was made, and nothing would have known of it."""
    detail = saved(refused(UnreadOnce(back=True), tmp_path))
    assert detail.id == f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
    assert "InternalServerError" in detail.reasons[0]
    assert decode(detail.properties)["name"] == "rg"


def test_a_resource_that_nobody_can_read_is_said_to_be_there(tmp_path: Path) -> None:
    said = refused(UnreadOnce(back=False), tmp_path).details()
    assert said.startswith("resource partially created but read failed Status=500")
