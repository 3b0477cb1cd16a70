"""A copy of this repository with an emulator of its own, driven by its command line like a user's clone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from automation.chaos.own_clone import copy_repository, processes_of
from clone import paths
from emulator.control import Emulator
from emulator.datacentre.control import Datacentre
from tests.resource_manager import ask

ROOT = paths.REPOSITORY
PATIENCE = 300.0
"""Seconds after which anything here has failed, also on a machine that does ten other things."""

Done = subprocess.CompletedProcess[str]


class Clone:
    """A clone below a temporary folder; it shares the packages and the engine of the real one.

    Without `machines`, `fed up` only deploys: networks and VMs stay off. `latency` is the emulator's: how
    long its Azure takes, and how long a new role has no effect.
    """

    def __init__(self, folder: Path, *, machines: bool = False, latency: str = "off") -> None:
        self._machines, self._latency = machines, latency
        self.root = folder / "clone"
        self.home = self.root / ".fed"
        copy_repository(self.root)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a `fed` command."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "automation", *arguments],
            cwd=self.root,
            env=self._environment(PYTHONPATH=str(self.root)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fed(self, *arguments: str, code: int = 0, seconds: float = PATIENCE) -> Done:
        """Run a `fed` command and expect its exit code."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=seconds)
        done = Done(arguments, process.returncode, output, errors)
        return self.expect(done, code)

    def shell(self, script: str, code: int = 0, seconds: float = PATIENCE) -> Done:
        """Run a script in a shell that `fed env` turned towards the emulator, and expect its exit code."""
        turn = f'eval "$(PYTHONPATH={self.root} {sys.executable} -P -m automation env)" || exit 99\n'
        done = subprocess.run(
            ["/bin/sh", "-c", turn + script],
            cwd=self.root,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return self.expect(done, code)

    @staticmethod
    def expect(done: Done, code: int) -> Done:
        """Fail with everything that was said unless the exit code is as expected."""
        said = f"{done.args} exited with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        assert done.returncode == code, said
        return done

    def edit(self, change: Callable[[Any], None], stack: str = "dev") -> None:
        """Change a stack's file by changing its content as a tree."""
        yaml, file = YAML(), self.root / f"Pulumi.{stack}.yaml"
        content = yaml.load(file)
        change(content)
        yaml.dump(content, file)

    def emulator(self) -> Emulator:
        """Return the emulator that this clone's commands use."""
        found = Emulator.running(self.root, self.home)
        assert found, "no emulator runs"
        return found

    def outputs(self, stack: str = "dev") -> dict[str, Any]:
        """Return the stack's outputs."""
        (own,) = [each for each in self.state(stack) if each["type"] == "pulumi:pulumi:Stack"]
        outputs: dict[str, Any] = own["outputs"]
        return outputs

    def state(self, stack: str = "dev") -> list[dict[str, Any]]:
        """Return the resources in the stack's state, as the backend has them right now."""
        file = self.home / "backend" / ".pulumi" / "stacks" / "fed" / f"{stack}.json"
        try:
            checkpoint = json.loads(file.read_text())["checkpoint"]
        except (FileNotFoundError, json.JSONDecodeError):
            return []
        return list((checkpoint.get("latest") or {}).get("resources") or ())

    def made(self) -> int:
        """Return how many resources Resource Manager lists for the centre and Cleveland."""
        emulator = Emulator.running(self.root, self.home)
        if emulator is None:
            return 0
        lists = [
            ask(
                emulator,
                "GET",
                f"/subscriptions/20000000-0000-4000-8000-00000000000{n}/resources",
                api_version="2021-04-01",
            )
            for n in (0, 1)
        ]
        return sum(len(answer.json().get("value", ())) for answer in lists)

    def lock(self, stack: str = "dev") -> dict[str, Any] | None:
        """Return who holds the stack right now."""
        folder = self.home / "backend" / ".pulumi" / "locks" / "organization" / "fed" / stack
        for file in folder.glob("*.json"):
            try:
                held: dict[str, Any] = json.loads(file.read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                continue
            return held
        return None

    def processes(self) -> dict[int, str]:
        """Return pid and command of each process that runs in this clone or was started for it."""
        return processes_of(self.root)

    def destroy(self) -> None:
        """End the emulator and remove everything, whatever a test left."""
        emulator = Emulator.running(self.root, self.home)
        if emulator and (datacentre := Datacentre.running(emulator)):
            datacentre.stop()
        Emulator.destroy(self.home, force=True)

    def _environment(self, **more: str) -> dict[str, str]:
        foreign = ("FED_", "PULUMI_", "PYTHON")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        own = {"FED_MACHINES": str(int(self._machines)), "FED_EMULATOR_LATENCY": self._latency}
        return {**kept, "COLUMNS": "200", **own, **more}


def wait_until(true: Callable[[], Any], what: str, every: float = 0.02) -> None:
    """Wait until something is true; ask every so many seconds, and fail when it does not become so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"{what} never happened"
        time.sleep(every)


def keep_hospitals(*names: str) -> Callable[[Any], None]:
    """Return the edit that leaves only these hospitals in a stack's file."""

    def change(content: Any) -> None:
        hospitals = content["config"]["fed:hospitals"]
        for name in set(hospitals) - set(names):
            del hospitals[name]

    return change
