"""What the store promises: concurrent writers, a killed process, a restart."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from emulator.arm.control_plane import ControlPlane
from emulator.arm.store import Store
from tests.emulator.arm_client import GROUP, Arm

KEY = b"k" * 32
NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{NETWORK}/virtualNetworks/vnet"


def network(prefix: str = "10.0.0.0/16") -> dict[str, Any]:
    subnet = {"name": "one", "properties": {"addressPrefix": "10.0.0.0/24"}}
    return {
        "location": "westeurope",
        "properties": {"addressSpace": {"addressPrefixes": [prefix]}, "subnets": [subnet]},
    }


def interface() -> dict[str, Any]:
    one = {"name": "primary", "properties": {"subnet": {"id": f"{VNET}/subnets/one"}}}
    return {"location": "westeurope", "properties": {"ipConfigurations": [one]}}


def test_two_threads_that_write_one_network_lose_nothing(arm: Arm) -> None:
    arm.put(VNET, network())
    start = threading.Barrier(2)

    def write(side: int) -> None:
        start.wait()
        for number in range(30):
            prefix = f"10.0.{1 + number * 2 + side}.0/24"
            arm.put(f"{VNET}/subnets/s{side}-{number}", {"properties": {"addressPrefix": prefix}})

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(write, side) for side in range(2)]:
            done.result()
    assert len(arm.get(VNET)["properties"]["subnets"]) == 61


def test_threads_that_take_addresses_never_get_the_same(arm: Arm) -> None:
    arm.put(VNET, network())

    def take(number: int) -> str:
        made = arm.put(f"{NETWORK}/networkInterfaces/nic{number}", interface())
        address: str = made["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]
        return address

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(100)))
    assert sorted(taken, key=lambda text: int(text.rsplit(".", 1)[1])) == [
        f"10.0.0.{4 + n}" for n in range(100)
    ]


def test_everything_is_the_same_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "arm.sqlite"
    plane = ControlPlane(file, KEY)
    arm = Arm(plane)
    arm.put(GROUP, {"location": "westeurope"})
    arm.put(VNET, network())
    arm.put(f"{NETWORK}/networkInterfaces/nic", interface())
    before = arm.get("/emulator/changes")
    plane.close()
    again = ControlPlane(file, KEY)
    assert Arm(again).get("/emulator/changes") == before
    again.close()


WRITER = """
import sys
from pathlib import Path
from emulator.arm.control_plane import ControlPlane
from tests.emulator.arm_client import Arm
from tests.emulator.arm.test_store import KEY, NETWORK, interface

arm = Arm(ControlPlane(Path(sys.argv[1]), KEY))
for number in range(10_000):
    name = f"{NETWORK}/networkInterfaces/nic{number % 40}"
    arm.put(name, interface())
    arm.delete(name) if number % 3 == 0 else None
    print(number, flush=True)
"""


@pytest.mark.parametrize("writes", [1, 20, 60])
def test_a_killed_process_leaves_a_consistent_store(tmp_path: Path, writes: int) -> None:
    file = tmp_path / "arm.sqlite"
    plane = ControlPlane(file, KEY)
    arm = Arm(plane)
    arm.put(GROUP, {"location": "westeurope"})
    arm.put(VNET, network())
    plane.close()
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(file)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for _ in range(writes):
        assert writer.stdout.readline(), "the writer ended by itself"
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdout.close()

    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    keys = {key for (key,) in connection.execute("SELECT key FROM resources")}
    shown = {
        (row_key, one["properties"]["privateIPAddress"])
        for row_key, body in connection.execute(
            "SELECT key, body FROM resources WHERE type='Microsoft.Network/networkInterfaces'"
        )
        for one in json.loads(body)["properties"]["ipConfigurations"]
    }
    held = {
        (owner, f"10.0.0.{address & 255}")
        for owner, address in connection.execute("SELECT owner, address FROM addresses")
    }
    assert shown == held, "an interface without its address, or an address without its interface"
    assert {source for (source,) in connection.execute("SELECT source FROM links")} <= keys
    connection.close()

    plane = ControlPlane(file, KEY)
    arm = Arm(plane)
    arm.put(f"{NETWORK}/networkInterfaces/after", interface())
    assert arm("DELETE", GROUP).status == 202
    assert arm("GET", GROUP).status == 404
    plane.close()


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "arm.sqlite"
    Store(file).close()
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version=999")
    connection.close()
    with pytest.raises(RuntimeError, match="written by another version"):
        Store(file)
