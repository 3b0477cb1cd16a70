"""The emulated docker provider over gRPC: contexts, digests, pushes."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from emulator.guest.store import GuestError
from emulator.plugins.docker.context import BuildContext
from emulator.plugins.docker.provider import Docker
from emulator.plugins.docker.registry import Registries
from emulator.plugins.package import ProviderError, Resource
from pulumi_wire.values import UNKNOWN, Properties
from tests.emulator.arm_client import GROUP
from tests.emulator.plugin_support import Emulated, Provider, emulated

IMAGE = "docker:index/image:Image"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/crexample"


@pytest.fixture
def emulation(tmp_path: Path) -> Iterator[Emulated]:
    with emulated(tmp_path) as running:
        running.arm.put(GROUP, {"location": "westeurope"})
        open_registry(running, "Enabled")
        context = tmp_path / "app"
        (context / "inner").mkdir(parents=True)
        (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        (context / "main.py").write_text("print('hello')\n")
        (context / "inner" / "debug.log").write_text("noise\n")
        yield running


@pytest.fixture
def docker(emulation: Emulated) -> Iterator[Provider]:
    with emulation.provider("docker") as provider:
        yield provider


def open_registry(emulation: Emulated, access: str) -> None:
    emulation.arm.put(
        REGISTRY,
        {
            "location": "westeurope",
            "sku": {"name": "Premium"},
            "properties": {"publicNetworkAccess": access, "adminUserEnabled": False},
        },
    )


def inputs(**more: object) -> Properties:
    return {"imageName": "crexample.azurecr.io/app:latest", "build": {"context": "app"}, **more}


def pushed(emulation: Emulated) -> list[Properties]:
    return list(emulation.arm.get("/emulator/images")["value"])


class TestPush:
    def test_a_push_is_kept_and_reported_by_digest(self, docker: Provider, emulation: Emulated) -> None:
        made = docker.deploy(IMAGE, "app", inputs())
        reference = made.outputs["repoDigest"]
        assert reference.startswith("crexample.azurecr.io/app@sha256:")
        assert made.outputs["registryServer"] == "crexample.azurecr.io"
        (image,) = pushed(emulation)
        assert image["reference"] == reference
        folder = emulation.folder / "images" / image["folder"]
        assert (folder / "context" / "main.py").read_text() == "print('hello')\n"
        assert (folder / "Dockerfile").read_text().startswith("FROM scratch")
        assert json.loads((folder / "image.json").read_text())["references"] == [reference]

    def test_there_must_be_such_a_registry(self, docker: Provider) -> None:
        with pytest.raises(grpc.RpcError, match=r"no registry answers at other\.azurecr\.io"):
            docker.deploy(IMAGE, "app", inputs(imageName="other.azurecr.io/app"))

    def test_a_closed_registry_takes_no_push(self, docker: Provider, emulation: Emulated) -> None:
        open_registry(emulation, "Disabled")
        with pytest.raises(grpc.RpcError, match="public network access is disabled"):
            docker.deploy(IMAGE, "app", inputs())
        assert pushed(emulation) == []

    def test_a_deleted_image_takes_its_copy_along_unless_another_has_it(
        self, docker: Provider, emulation: Emulated
    ) -> None:
        one = docker.deploy(IMAGE, "one", inputs())
        other = docker.deploy(IMAGE, "other", inputs(imageName="crexample.azurecr.io/other"))
        docker.delete(one)
        assert len(list((emulation.folder / "images").iterdir())) == 1
        docker.delete(other)
        assert list((emulation.folder / "images").iterdir()) == []

    def test_a_preview_pushes_nothing(self, docker: Provider, emulation: Emulated) -> None:
        foretold = docker.foretell(IMAGE, "app", inputs())
        assert foretold["repoDigest"] is UNKNOWN
        assert foretold["imageName"] == "crexample.azurecr.io/app:latest"
        assert docker.foretell(IMAGE, "app", inputs(imageName=UNKNOWN))["registryServer"] is UNKNOWN
        assert pushed(emulation) == []


class TestChanges:
    def test_nothing_changed_is_no_change(self, docker: Provider) -> None:
        made = docker.deploy(IMAGE, "app", inputs())
        answer = docker.diff(made, inputs())
        assert answer.changes == answer.DIFF_NONE
        assert docker.refresh(made) == made

    def test_a_changed_file_is_an_update_with_a_new_digest(
        self, docker: Provider, emulation: Emulated
    ) -> None:
        made = docker.deploy(IMAGE, "app", inputs())
        (emulation.folder / "app" / "main.py").write_text("print('goodbye')\n")
        assert list(docker.diff(made, inputs()).detailedDiff) == ["build.contextDigest"]
        assert docker.update(made, inputs()).outputs["repoDigest"] != made.outputs["repoDigest"]

    def test_build_arguments_make_another_image(self, docker: Provider) -> None:
        one = docker.deploy(IMAGE, "one", inputs())
        other = docker.deploy(IMAGE, "other", inputs(build={"context": "app", "args": {"A": "1"}}))
        assert one.outputs["repoDigest"] != other.outputs["repoDigest"]

    def test_a_snapshot_that_is_gone_is_made_again(self, docker: Provider, emulation: Emulated) -> None:
        made = docker.deploy(IMAGE, "app", inputs())
        docker.delete(made)
        assert docker.refresh(made).id == ""


class TestRealMachines:
    """Where machines are real, what a build has made is what the registry has."""

    def docker(self, emulation: Emulated, builder: Any) -> Docker:
        plane = emulation.arm.plane
        registries = Registries(plane.handle, lambda: plane.issue_token()[0])
        return Docker(emulation.folder, registries, emulation.folder / "images", lambda _: builder)

    def test_the_digest_is_that_of_the_manifest_that_was_built(self, emulation: Emulated) -> None:
        builder = Builder(emulation.folder / "built")
        docker = self.docker(emulation, builder)
        digest = docker._push(inputs(build={"context": "app", "args": {"A": "1"}}))
        assert digest == hashlib.sha256(b"{}").hexdigest()
        assert builder.given == [({"A": "1"}, ["Dockerfile", "inner", "main.py"])]
        (image,) = pushed(emulation)
        assert image["reference"] == f"crexample.azurecr.io/app@sha256:{digest}"
        folder = emulation.folder / "images" / image["folder"]
        assert (folder / "layers" / "manifest.json").read_bytes() == b"{}"
        assert (folder / "context" / "main.py").exists()  # emulated machines run the same reference

    def test_a_federation_that_gets_a_real_machine_gets_other_images(self, emulation: Emulated) -> None:
        resource = Resource(urn=f"urn:pulumi:dev::fed::{IMAGE}::app", token=IMAGE, name="app")
        before, after = (
            self.docker(emulation, builder).check(resource, {}, inputs(), b"").inputs
            for builder in (None, Builder(emulation.folder))
        )
        assert before["build"]["contextDigest"] != after["build"]["contextDigest"]

    def test_a_build_that_fails_says_why(self, emulation: Emulated) -> None:
        docker = self.docker(emulation, Builder(None))
        with pytest.raises(ProviderError, match="no space left"):
            docker._push(inputs())
        assert pushed(emulation) == []


class Builder:
    """Builds nothing: it notes what it was given and answers with an image that is there."""

    def __init__(self, image: Path | None) -> None:
        self.image = image
        self.given: list[tuple[dict[str, str], list[str]]] = []
        if image is not None:
            image.mkdir(exist_ok=True)
            (image / "manifest.json").write_text("{}")

    def build(self, context: Path, dockerfile: Path, arguments: dict[str, str], mark: str) -> Path:
        if self.image is None:
            raise GuestError("no space left")
        self.given.append((arguments, sorted(path.name for path in context.iterdir())))
        return self.image


class TestRefusals:
    def test_a_password_never_reaches_the_state(self, docker: Provider) -> None:
        registry = {"server": "crexample.azurecr.io", "username": "u", "password": "p"}
        _, (refusal,) = docker.check(IMAGE, "app", inputs(registry=registry))
        assert "az acr login" in refusal

    @pytest.mark.parametrize(
        ("build", "words"),
        [
            ({"context": "missing"}, "is no folder"),
            ({"context": "app/inner"}, "there is no Dockerfile"),
            ({"context": "app", "dockerfile": "app/Other"}, "there is no Dockerfile"),
        ],
    )
    def test_a_context_that_cannot_be_built_is_refused(
        self, docker: Provider, build: Properties, words: str
    ) -> None:
        _, (refusal,) = docker.check(IMAGE, "app", inputs(build=build))
        assert words in refusal

    def test_an_image_without_a_registry_would_be_public(self, docker: Provider) -> None:
        _, (refusal,) = docker.check(IMAGE, "app", inputs(imageName="app:latest"))
        assert "Docker Hub" in refusal

    def test_other_types_are_refused_by_name(self, docker: Provider) -> None:
        _, (refusal,) = docker.check("docker:index/container:Container", "c", {})
        assert "docker:index/container:Container is not served" in refusal


class TestContext:
    @pytest.fixture
    def context(self, emulation: Emulated) -> Path:
        return emulation.folder / "app"

    def names(self, context: Path, ignore: str) -> set[str]:
        (context / ".dockerignore").write_text(ignore)
        return {path.as_posix() for path in BuildContext(context, context / "Dockerfile").files}

    def test_rules_start_at_the_root_of_the_context(self, context: Path) -> None:
        assert "inner/debug.log" in self.names(context, "debug.log\n")
        assert "inner/debug.log" not in self.names(context, "**/debug.log\n")
        assert "inner/debug.log" not in self.names(context, "inner\n")
        assert "inner/debug.log" not in self.names(context, "/inner/*.log  \n")

    def test_the_last_rule_decides(self, context: Path) -> None:
        assert "main.py" in self.names(context, "# all but one\n*\n!main.py\n")
        assert "inner/debug.log" in self.names(context, "*\n!inner/debug.log\n")
        assert "main.py" not in self.names(context, "!main.py\n*\n")

    def test_a_rule_for_a_folder_is_one_for_what_is_in_it(self, context: Path) -> None:
        assert self.names(context, "*\n!main.py\n") == {"main.py"}
        assert "inner/debug.log" not in self.names(context, "in*\n")
        assert "inner/debug.log" in self.names(context, "*\n!in*\n")

    def test_what_is_ignored_does_not_change_the_digest(self, context: Path) -> None:
        (context / ".dockerignore").write_text("inner\n.dockerignore\n")
        before = BuildContext(context, context / "Dockerfile").digest
        (context / "inner" / "debug.log").write_text("more noise\n")
        assert BuildContext(context, context / "Dockerfile").digest == before

    def test_an_executable_bit_and_a_link_count(self, context: Path) -> None:
        digests = [BuildContext(context, context / "Dockerfile").digest]
        (context / "main.py").chmod(0o755)
        digests.append(BuildContext(context, context / "Dockerfile").digest)
        (context / "link").symlink_to("main.py")
        digests.append(BuildContext(context, context / "Dockerfile").digest)
        assert len(set(digests)) == 3
