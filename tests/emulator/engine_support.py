"""Runs the real Pulumi engine on an emulator of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from automation.machine.setup.build import pinned_version
from clone import paths
from emulator.control import Emulator

PROGRAMS = Path(__file__).parent / "programs"
VENV = Path(__file__).parents[2] / ".venv"


@dataclass(frozen=True)
class Outcome:
    """How a command of the engine ended. `changes` counts resources by what happened to them."""

    code: int
    text: str

    @property
    def changes(self) -> dict[str, int]:
        """The summary, for example ``{"created": 3, "unchanged": 1}``."""
        summary = self.text.rpartition("\nResources:\n")[2].partition("\n\n")[0]
        counted = {word: int(count) for count, word in re.findall(r"(\d+) ([a-z]+)", summary)}
        counted.pop("changes", None)
        return counted


class Stack:
    """A stack of a test program; `variables` are its environment."""

    def __init__(self, emulator: Emulator, folder: Path, name: str) -> None:
        self.emulator, self.folder, self.name = emulator, folder, name

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a pulumi command on this stack."""
        return ["pulumi", *arguments, "--stack", self.name, "--non-interactive"]

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a pulumi command on this emulator."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI")}
        return {**own, **self.emulator.environment(engine_folder()), **variables}

    def run(self, *arguments: str, **variables: str) -> Outcome:
        """Run a pulumi command to its end, whatever that is."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def succeed(self, *arguments: str, **variables: str) -> Outcome:
        """Run a pulumi command that must end well."""
        outcome = self.run(*arguments, **variables)
        assert outcome.code == 0, outcome.text
        return outcome

    def up(self, **variables: str) -> Outcome:
        """Deploy."""
        return self.succeed("up", "--yes", "--skip-preview", **variables)

    def preview(self, **variables: str) -> Outcome:
        """Say what a deployment would do."""
        return self.succeed("preview", **variables)

    def refresh(self) -> Outcome:
        """Look for drift."""
        return self.succeed("refresh", "--yes", "--skip-preview")

    def destroy(self) -> Outcome:
        """Remove everything."""
        return self.succeed("destroy", "--yes", "--skip-preview")

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the stack."""
        outputs: dict[str, Any] = json.loads(
            self.succeed("stack", "output", "--json").text.partition("\n}")[0] + "}"
        )
        return outputs

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources in the state."""
        file = self.emulator.home / "backend" / ".pulumi" / "stacks"
        (checkpoint,) = file.glob(f"*/{self.name}.json")
        latest = json.loads(checkpoint.read_text())["checkpoint"]["latest"]
        return list(latest.get("resources") or [])


def engine_folder() -> Path:
    """Return the folder of the engine that the project is made for, else of one on PATH."""
    folder = paths.engine(pinned_version())
    if (folder / "pulumi").exists():
        return folder
    found = shutil.which("pulumi")
    if found is None:
        pytest.fail(f"there is no Pulumi engine in {folder} or on PATH: run ./fed doctor")
    return Path(found).parent


def new_stack(emulator: Emulator, program: Path, folder: Path, name: str) -> Stack:
    """Copy a program and make a stack for it."""
    shutil.copytree(program, folder)
    settings = folder / "Pulumi.yaml"
    settings.write_text(settings.read_text().rstrip() + f"\n  options:\n    virtualenv: {VENV}\n")
    stack = Stack(emulator, folder, name)
    stack.succeed("stack", "init")
    return stack
