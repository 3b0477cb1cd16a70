"""The real engine on the emulated providers."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.control import Emulator
from tests.emulator.engine_support import PROGRAMS, Stack, new_stack
from tests.resource_manager import ask

HUB = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg-hub"
SPOKE = "/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg-spoke"
NETWORK = f"{HUB}/providers/Microsoft.Network/virtualNetworks/vnet-hub"
VERSION = "2024-05-01"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    yield home
    Emulator.destroy(home, force=True)


@pytest.fixture
def emulator(home: Path) -> Emulator:
    return Emulator.ensure(fed_home=home)


@pytest.fixture
def pair(emulator: Emulator, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    stack = new_stack(emulator, PROGRAMS / "pair", tmp_path / "pair", f"s{abs(hash(request.node.name))}")
    yield stack
    stack.emulator = Emulator.ensure(fed_home=emulator.home)
    stack.destroy()


@pytest.fixture
def catalogue(emulator: Emulator, tmp_path: Path) -> Iterator[Stack]:
    stack = new_stack(emulator, PROGRAMS / "catalogue", tmp_path / "catalogue", "every-type")
    yield stack
    stack.destroy()


def test_every_type_comes_up_stays_and_goes(emulator: Emulator, catalogue: Stack) -> None:
    stack = catalogue
    deployed = stack.up().changes["created"]
    outputs = stack.outputs()
    assert outputs["peering"] == "Connected"
    assert outputs["subscription"] == "22222222-2222-4222-8222-222222222222"
    assert outputs["digest"].partition("@")[0].endswith(".azurecr.io/sample")
    assert stack.preview().changes == {"unchanged": deployed}
    # What the program leaves to Azure: one address's gateway, two networks' etags, one peering's state, and
    # the names of one endpoint (pulumi-azure-native#4722: by design).
    assert stack.refresh().changes == {"updated": 5, "unchanged": deployed - 5}
    assert stack.preview().changes == {"unchanged": deployed}
    assert stack.destroy().changes == {"deleted": deployed}
    for group in (HUB, SPOKE):
        assert ask(emulator, "GET", group, api_version="2024-03-01").status_code == 404


def test_a_stack_s_life(pair: Stack) -> None:
    assert pair.up().changes == {"created": 10}
    word = pair.outputs()["word"]
    frames = {
        frame["sourcePosition"].partition("#")[0]
        for resource in pair.resources()
        for frame in resource.get("stackTrace") or []
    }
    assert frames == {"project:///__main__.py"}  # and nothing of the language host
    assert pair.up().changes == {"unchanged": 10}

    changed = pair.up(TAG="changed")
    assert changed.changes == {"updated": 2, "unchanged": 8}

    drifted = ask(pair.emulator, "GET", NETWORK, api_version=VERSION).json()
    drifted["tags"]["purpose"] = "by hand"
    ask(pair.emulator, "PUT", NETWORK, api_version=VERSION, body=drifted)
    gone = f"{SPOKE}/providers/Microsoft.Network/virtualNetworks/vnet-spoke/virtualNetworkPeerings/to-hub"
    ask(pair.emulator, "DELETE", gone, api_version=VERSION)
    # Updated are the tags, and what the program leaves to Azure: etags, and the other half's state.
    assert pair.refresh().changes == {"updated": 3, "deleted": 1, "unchanged": 6}
    fixed = pair.up(TAG="changed")
    assert fixed.changes == {"updated": 1, "created": 1, "unchanged": 8}
    assert ask(pair.emulator, "GET", NETWORK, api_version=VERSION).json()["tags"] == {"purpose": "changed"}

    moved = pair.up(TAG="changed", LOCATION="North Europe")
    assert moved.changes == {"replaced": 6, "unchanged": 4}
    assert ask(pair.emulator, "GET", NETWORK, api_version=VERSION).json()["location"] == "northeurope"
    assert pair.outputs() == {"word": word, "state": "Connected"}
    assert not list(pair.emulator.backend.rglob("*.attrs")), "a kill could leave half of one"


def test_an_existing_resource_is_imported_and_not_made(emulator: Emulator, pair: Stack) -> None:
    made = ask(emulator, "PUT", HUB, api_version="2024-03-01", body={"location": "westeurope"})
    assert made.status_code == 201
    refused = pair.run("up", "--yes", "--skip-preview")
    assert refused.code != 0
    assert f"cannot create already existing resource '{HUB}'" in refused.text
    provider = next(one["urn"] for one in pair.resources() if one["urn"].endswith("azure-native::hub"))
    pair.succeed(
        "import",
        "azure-native:resources:ResourceGroup",
        "rg-hub",
        HUB,
        "--provider",
        f"hub={provider}",
        "--yes",
        "--skip-preview",
        "--protect=false",
        "--generate-code=false",
    )
    assert pair.up().changes["unchanged"] >= 1
    assert pair.up().changes == {"unchanged": 10}


def test_the_wrong_party_s_provider_finds_no_group(pair: Stack) -> None:
    refused = pair.run("up", "--yes", "--skip-preview", WRONG_PROVIDER="1")
    assert refused.code != 0
    assert "ResourceGroupNotFound" in refused.text


def test_a_type_outside_the_table_is_refused_before_anything_is_made(pair: Stack) -> None:
    refused = pair.run("preview", EXTRA="1")
    assert refused.code != 0
    assert "azure-native:network:ApplicationSecurityGroup is not emulated" in refused.text
    assert "azure_types/overrides.py" in refused.text


def test_another_backend_gets_no_emulated_provider(pair: Stack, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = {"PULUMI_BACKEND_URL": f"file://{tmp_path}/elsewhere"}
    pair.succeed("stack", "init", **elsewhere)
    refused = pair.run("preview", **elsewhere)
    assert refused.code != 0
    assert f"refused to serve the backend file://{tmp_path}/elsewhere" in refused.text


@pytest.mark.parametrize("victim", ["daemon", "engine"])
def test_what_was_killed_in_the_middle_converges(
    home: Path, pair: Stack, victim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With latencies on, so that there is a middle."""
    pair.emulator.stop()
    monkeypatch.setenv("FED_EMULATOR_LATENCY", "azure:0.05")
    slow = Emulator.ensure(fed_home=home)
    pair.emulator = slow
    engine = subprocess.Popen(
        pair.command("up", "--yes", "--skip-preview"),
        cwd=pair.folder,
        env=pair.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(slow, NETWORK)
    os.kill(slow.record.pid if victim == "daemon" else engine.pid, signal.SIGKILL)
    assert engine.wait(timeout=60) != 0
    assert len(pair.resources()) < 10

    pair.emulator = Emulator.ensure(fed_home=home)
    if victim == "engine":  # a killed engine leaves the lock of its stack behind
        pair.succeed("cancel", "--yes")
    pair.up()
    assert pair.preview().changes == {"unchanged": 10}
    pair.emulator.stop()


def wait_for(emulator: Emulator, resource_id: str) -> None:
    """Wait until a resource exists."""
    deadline = time.monotonic() + 30
    while ask(emulator, "GET", resource_id, api_version=VERSION).status_code != 200:
        assert time.monotonic() < deadline, f"{resource_id} never came"
        time.sleep(0.02)
