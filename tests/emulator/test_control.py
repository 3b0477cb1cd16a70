"""The daemon as others use it: one for a home, back after a kill, gone without a trace."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.mgmt.resource.resources import ResourceManagementClient

from emulator.control import Emulator, EmulatorError, stacks
from emulator.credential import EmulatorCredential
from emulator.record import Record, start_time
from tests.resource_manager import ask

GROUP = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home of a clone"
    yield home
    Emulator.destroy(home, force=True)


def deploy(home: Path, count: int) -> None:
    """Write the state of a stack with that many resources."""
    file = home / "backend" / ".pulumi" / "stacks" / "fed" / "dev.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    resources = [{"type": "pulumi:providers:azure-native", "custom": True}]
    resources += [{"type": "azure-native:resources:ResourceGroup", "custom": True}] * count
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": resources}}}))


def test_a_daemon_is_there_in_seconds_and_found_again_at_once(home: Path) -> None:
    before = time.monotonic()
    started = Emulator.ensure(fed_home=home)
    assert time.monotonic() - before < 10  # about 0.8 s on an idle machine
    before = time.monotonic()
    assert Emulator.ensure(fed_home=home) == started
    assert time.monotonic() - before < 1


def test_resource_manager_answers_over_https_to_the_sdk(home: Path) -> None:
    emulator = Emulator.ensure(fed_home=home)
    made = ask(emulator, "PUT", GROUP, api_version="2024-03-01", body={"location": "westeurope"})
    assert made.status_code == 201
    client = ResourceManagementClient(
        EmulatorCredential(home),
        GROUP.split("/")[2],
        base_url=emulator.record.arm,
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=str(emulator.authority()),
    )
    assert client.resource_groups.get("rg").location == "westeurope"


def test_callers_at_the_same_time_get_the_same_daemon(home: Path) -> None:
    found: list[Emulator] = []
    callers = [
        threading.Thread(target=lambda: found.append(Emulator.ensure(fed_home=home))) for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len({emulator.record.pid for emulator in found}) == 1


def test_a_killed_daemon_is_followed_by_one_with_its_addresses_and_its_memory(home: Path) -> None:
    killed = Emulator.ensure(fed_home=home)
    ask(killed, "PUT", GROUP, api_version="2024-03-01", body={"location": "westeurope"})
    os.kill(killed.record.pid, signal.SIGKILL)
    wait_for_end(killed.record)
    assert Emulator.running(fed_home=home) is None
    after = Emulator.ensure(fed_home=home)
    assert after.record.pid != killed.record.pid
    assert (after.record.plugins, after.record.arm) == (killed.record.plugins, killed.record.arm)
    assert ask(after, "GET", GROUP, api_version="2024-03-01").status_code == 200


def test_a_file_that_names_another_process_is_not_believed(home: Path) -> None:
    emulator = Emulator.ensure(fed_home=home)
    emulator.stop()
    own = emulator.record
    forged = {**{name: getattr(own, name) for name in own.__slots__}, "pid": os.getpid()}
    (home / "emulator" / "daemon.json").write_text(json.dumps(forged))
    assert start_time(os.getpid()) != own.started
    assert Emulator.running(fed_home=home) is None


def test_a_second_daemon_leaves_at_once(home: Path) -> None:
    emulator = Emulator.ensure(fed_home=home)
    second = subprocess.run(
        [sys.executable, "-m", "emulator.daemon"],
        cwd=emulator.root,
        env={**os.environ, "FED_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "another daemon already serves" in second.stderr
    assert Emulator.running(fed_home=home) == emulator


def test_a_daemon_that_runs_but_does_not_answer_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = Emulator.ensure(fed_home=home)
    os.kill(emulator.record.pid, signal.SIGSTOP)
    monkeypatch.setattr("emulator.control.START_SECONDS", 3.0)
    monkeypatch.setattr("emulator.control.ANSWER_SECONDS", 0.2)
    try:
        with pytest.raises(EmulatorError, match=f"kill {emulator.record.pid}"):
            Emulator.ensure(fed_home=home)
    finally:
        os.kill(emulator.record.pid, signal.SIGCONT)


def test_it_ends_on_a_signal_and_the_next_one_has_its_addresses(home: Path) -> None:
    ended = Emulator.ensure(fed_home=home)
    ended.stop()
    ended.stop()
    assert not ended.record.alive()
    assert not Path(ended.record.socket).exists()
    after = Emulator.ensure(fed_home=home)
    assert (after.record.plugins, after.record.arm) == (ended.record.plugins, ended.record.arm)


def gone(daemon: int) -> None:
    """Wait for the end of a process."""
    assert select.select([daemon], [], [], 30)[0], "it goes on"


def test_it_ends_by_itself_when_its_home_is_deleted(home: Path) -> None:
    daemon = os.pidfd_open(Emulator.ensure(fed_home=home).record.pid)
    shutil.rmtree(home)
    gone(daemon)
    assert not home.exists()


def test_a_home_that_was_moved_is_served_from_its_new_place(home: Path) -> None:
    before = Emulator.ensure(fed_home=home)
    ask(before, "PUT", GROUP, api_version="2024-03-01", body={"location": "westeurope"})
    daemon = os.pidfd_open(before.record.pid)
    moved = home.rename(home.with_name("another place"))
    try:
        after = Emulator.ensure(fed_home=moved)
        gone(daemon)
        assert str(moved) in after.record.backend and not after.is_elsewhere
        assert ask(after, "GET", GROUP, api_version="2024-03-01").status_code == 200
    finally:
        Emulator.destroy(moved, force=True)


def test_a_daemon_that_cannot_start_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FED_EMULATOR_LATENCY", "sometimes")
    with pytest.raises(EmulatorError, match="FED_EMULATOR_LATENCY='sometimes' is not understood"):
        Emulator.ensure(fed_home=home)


def test_the_environment_is_all_that_pulumi_needs(home: Path) -> None:
    emulator = Emulator.ensure(fed_home=home)
    environment = emulator.environment(engine=Path("/opt/engine"))
    folders = environment["PATH"].split(os.pathsep)
    assert folders[0].endswith("emulator/plugins/bin")
    assert (Path(folders[1]) / "pulumi-language-python").exists()
    assert folders[2] == "/opt/engine"
    assert environment["PULUMI_BACKEND_URL"] == f"file://{home}/backend?metadata=skip"
    assert environment["PULUMI_CONFIG_PASSPHRASE"] == ""
    assert Path(environment["FED_EMULATOR_TOKEN_FILE"]).stat().st_mode & 0o777 == 0o600


class TestDestroy:
    def test_nothing_is_left(self, home: Path) -> None:
        emulator = Emulator.ensure(fed_home=home)
        sockets = Path(emulator.record.socket).parent
        assert sockets.exists()
        deploy(home, 0)
        Emulator.destroy(home)
        assert list(home.iterdir()) == []
        assert not sockets.exists()
        assert not emulator.record.alive()

    def test_a_stack_that_holds_resources_is_not_forgotten(self, home: Path) -> None:
        emulator = Emulator.ensure(fed_home=home)
        deploy(home, 2)
        assert stacks(home / "backend") == {"fed/dev": 2}
        with pytest.raises(EmulatorError, match=r"fed/dev \(2\)"):
            Emulator.destroy(home)
        assert emulator.record.alive()
        Emulator.destroy(home, force=True)
        assert not emulator.record.alive()

    def test_without_a_daemon_there_may_still_be_files(self, home: Path) -> None:
        Emulator.ensure(fed_home=home).stop()
        Emulator.destroy(home)
        assert list(home.iterdir()) == []


def wait_for_end(record: Record) -> None:
    deadline = time.monotonic() + 10
    while record.alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not record.alive()
