"""`fed images --engine docker`: what is handed to a real engine, and what is not accepted of its answers.

The engine itself is tried by a workflow, and wherever Docker is at hand: ./fed images --engine docker.
"""

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from automation.delivery import real_engine
from automation.ui.outcome import FedError, RefusedError
from clone import paths
from components.boot import BOXES, IMAGES
from components.boot.plan import ROLE_IMAGES
from emulator.datacentre.machine import dockerfile
from emulator.plugins.docker.context import BuildContext

DOCKER = """
import json, sys
words = sys.argv[1:]
name = words[-1] if words[0] in ("inspect", "logs") else words[1]
ends = {"fl-server": 78, "fl-client": 78}
if words[0] == "inspect":
    state = {"Status": "exited", "ExitCode": 78} if name in ends else {"Status": "running", "ExitCode": 0}
    print(json.dumps([{"State": state | {"Health": {"Status": HEALTH}}, "RestartCount": RESTARTS}]))
elif words[0] == "logs":
    print('Uvicorn running, {"event": "container server"}, no usable startup kit')
elif words[0] == "exec" and name == "fl-box":
    print("10003\\nCapEff:\\t0000000000000000\\nread-only\\nBOX")
elif words[0] == "exec":
    print("USER\\nCapEff:\\t0000000000000000\\nread-only")
elif words[0] == "image":
    print(123000000)
"""
Put = Callable[..., None]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Put a docker onto PATH that answers as told."""

    def put(user: str = "10001", health: str = "healthy", restarts: int = 0, box: str = "lo") -> None:
        told = DOCKER.replace("USER", user).replace("HEALTH", repr(health)).replace("RESTARTS", str(restarts))
        told = told.replace("BOX", box)
        program = tmp_path / "docker"
        program.write_text(f"#!{sys.executable}\n{textwrap.dedent(told)}")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(real_engine, "SETTLED_SECONDS", 0.0)
        monkeypatch.setattr(real_engine, "PATIENCE_SECONDS", 0.0)

    return put


@pytest.mark.parametrize("role", ["centre", "hospital"])
def test_the_vms_own_compose_file_is_run_with_local_images_and_a_folder(
    role: real_engine.Role, tmp_path: Path
) -> None:
    services = yaml.safe_load(real_engine.compose_text(role, tmp_path))["services"]
    assert {service["image"] for service in services.values()} == {
        f"local/{name}" for name in ROLE_IMAGES[role]
    }
    sources = {volume["source"] for service in services.values() for volume in service["volumes"]}
    assert {source for source in sources if not source.startswith(str(tmp_path))} == {"/var/run/docker.sock"}
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in services.values())


@pytest.mark.parametrize("role", ["centre", "hospital"])
def test_each_container_is_told_with_the_size_of_its_image(role: real_engine.Role, docker: Put) -> None:
    docker()
    tried = real_engine.run(role)
    assert {one.name: one.size for one in tried} == dict.fromkeys(ROLE_IMAGES[role], 123000000)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"user": "0"}, "should run as"),
        ({"restarts": 2}, "container-server should be running"),
        ({"health": "unhealthy"}, "mlflow should be healthy"),
    ],
)
def test_a_container_that_does_not_do_as_it_should_is_refused(
    docker: Put, answers: dict[str, str | int], told: str
) -> None:
    docker(**answers)
    with pytest.raises(RefusedError, match=told):
        real_engine.run("centre")


@pytest.mark.parametrize("seen", ["eth0\\nlo", "lo\\nkit"])
def test_a_box_that_sees_more_than_it_should_is_refused(docker: Put, seen: str) -> None:
    docker(box=seen)
    with pytest.raises(RefusedError, match="fl-box should see"):
        real_engine.run("hospital")


def test_without_docker_the_question_is_answered_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FedError, match="there is no docker here"):
        real_engine.run("centre")


SOURCES = {**IMAGES, **BOXES}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_what_a_dockerfile_runs_is_on_path_there(name: str) -> None:
    """An image's own PATH lacks /usr/sbin, where useradd is: nothing may be run once it is set."""
    stage = (paths.REPOSITORY / SOURCES[name].dockerfile).read_text().rpartition("\nFROM ")[2]
    before, _, after = stage.partition("\nENV PATH=")
    assert "\nRUN useradd" in before
    assert "\nRUN " not in after


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_an_image_sees_what_it_copies_and_nobodys_code_or_data_besides(name: str) -> None:
    """Images that share a build context are told apart by their ignore files alone."""
    source = SOURCES[name]
    context = BuildContext.find(paths.REPOSITORY, source.context, source.dockerfile)
    lines = (paths.REPOSITORY / source.dockerfile).read_text().splitlines()
    copied = {line.split()[1] for line in lines if line.startswith("COPY ") and "--from=" not in line}
    unseen = {place for place in copied if not any(file.is_relative_to(place) for file in context.files)}
    own = {Path(place).parts[0] for place in copied}
    strangers = {file for file in context.files if file.parts[0] not in own and len(file.parts) > 1}
    assert (unseen, strangers) == (set(), set())


@pytest.mark.parametrize("name", sorted(BOXES))
def test_a_box_runs_what_every_box_runs_with_libraries_of_its_own(name: str) -> None:
    source, client = BOXES[name], IMAGES["fl-client"]
    box = dockerfile.read(paths.REPOSITORY / source.dockerfile, paths.REPOSITORY / source.context)
    assert box.requirements == f"boxes/{name.removeprefix('box-')}/requirements.txt"
    assert (box.entrypoint, box.user) == (("python3", "-m", "fed_box.run"), "10003:10001")
    assert {copy.target for copy in box.copies} == {"/app/fed_box"}
    shared = dockerfile.read(paths.REPOSITORY / client.dockerfile, paths.REPOSITORY / client.context)
    assert box.environment == {k: v for k, v in shared.environment.items() if k != "FED_CONTAINER"}


@pytest.mark.parametrize("name", sorted(BOXES))
def test_a_box_has_the_numpy_and_nvflare_of_the_client(name: str) -> None:
    """What leaves a box is numpy's, and scripts are written for one version of NVFlare's Client API."""
    box = (paths.REPOSITORY / BOXES[name].dockerfile).with_name("requirements.in").read_text().splitlines()
    client = (paths.REPOSITORY / "workloads/fl_client/requirements.in").read_text().splitlines()
    assert {line for line in client if "==" in line} <= set(box)


@pytest.mark.parametrize("name", sorted(BOXES))
def test_a_box_makes_no_volume(name: str) -> None:
    lines = (paths.REPOSITORY / BOXES[name].dockerfile).read_text().splitlines()
    assert not [line for line in lines if line.startswith("VOLUME")]
