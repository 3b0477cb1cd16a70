"""Who gets a provider instance, and what the launcher says to those who do not."""

import contextlib
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2_grpc

from clone import paths
from emulator.plugins.listener import Listener
from emulator.plugins.random.provider import Random

BIN = paths.REPOSITORY / "emulator" / "plugins" / "bin"
BACKEND = "file:///somewhere/with a blank/backend"


@pytest.fixture
def listener() -> Iterator[Listener]:
    running = Listener({"random": Random}, token="good", backend=BACKEND, port=0)  # noqa: S106
    running.start()
    yield running
    running.stop()


@pytest.fixture
def environment(listener: Listener, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("good")
    return {
        "PATH": os.defpath,
        "FED_EMULATOR": f"127.0.0.1:{listener.port}",
        "FED_EMULATOR_TOKEN_FILE": str(tmp_path / "token"),
        "PULUMI_BACKEND_URL": BACKEND,
    }


def launch(environment: dict[str, str], package: str = "random") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [BIN / f"pulumi-resource-{package}", "127.0.0.1:1"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refusal(environment: dict[str, str], package: str = "random") -> str:
    launcher = launch(environment, package)
    out, err = launcher.communicate(timeout=10)
    assert (launcher.returncode, out) == (1, "")
    return err


def test_a_launcher_prints_the_port_of_a_provider_and_stays(environment: dict[str, str]) -> None:
    launcher = launch(environment)
    assert launcher.stdout
    port = launcher.stdout.readline().strip()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        assert stub.GetPluginInfo(empty_pb2.Empty()).version == Random.version
    assert launcher.poll() is None
    launcher.terminate()
    launcher.communicate(timeout=10)


def test_an_instance_ends_with_its_launcher(environment: dict[str, str]) -> None:
    launcher = launch(environment)
    assert launcher.stdout
    port = int(launcher.stdout.readline())
    with socket.create_connection(("127.0.0.1", port), timeout=30) as open_call:
        launcher.kill()
        launcher.communicate(timeout=10)
        with contextlib.suppress(ConnectionResetError):  # also an end: what was unread decides which
            while open_call.recv(4096):
                pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=30)


def test_a_launcher_ends_with_an_engine_that_was_killed(environment: dict[str, str]) -> None:
    start = f"{BIN / 'pulumi-resource-random'} & echo $!; read -r"
    engine = subprocess.Popen(
        ["bash", "-c", start], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert engine.stdout
    launcher = os.pidfd_open(int(engine.stdout.readline()))
    assert engine.stdout.readline().strip().isdigit()
    assert not select.select([launcher], [], [], 1.5)[0]
    engine.kill()
    engine.wait()
    assert select.select([launcher], [], [], 10)[0]
    os.close(launcher)
    engine.stdout.close()


def test_another_backend_is_refused(environment: dict[str, str]) -> None:
    for theirs in ("azblob://state", "file:///other", f"{BACKEND}/more"):
        said = refusal({**environment, "PULUMI_BACKEND_URL": theirs})
        assert f"refused to serve the backend {theirs}" in said
        assert f"serves only {BACKEND}" in said
    del environment["PULUMI_BACKEND_URL"]
    assert "PULUMI_BACKEND_URL is not set" in refusal(environment)


def test_another_clone_s_token_is_refused(environment: dict[str, str]) -> None:
    Path(environment["FED_EMULATOR_TOKEN_FILE"]).write_text("bad")
    assert "the token is not this emulator's" in refusal(environment)


def test_a_package_that_is_not_emulated_is_refused(environment: dict[str, str]) -> None:
    assert "no such package; the emulator serves random" in refusal(environment, "docker")


def test_without_an_emulator_the_launcher_says_what_to_type(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    assert "no emulator listens on" in refusal({**environment, "FED_EMULATOR": address})
    assert "./fed env" in refusal({**environment, "FED_EMULATOR": address})
    del environment["FED_EMULATOR"]
    assert "FED_EMULATOR is not set" in refusal(environment)


def test_a_caller_that_never_says_who_it_is_holds_up_nobody(
    listener: Listener, environment: dict[str, str]
) -> None:
    with socket.create_connection(("127.0.0.1", listener.port)):
        launcher = launch(environment)
        assert launcher.stdout
        assert launcher.stdout.readline().strip().isdigit()
        launcher.kill()
        launcher.communicate(timeout=10)
