"""The launcher `fed` and what prepares a clone, with stand-ins for uv and for the command line behind it."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clone import paths
from tests.unit.automation.machine.setup.test_engine import FAKE_GO

ROOT = paths.REPOSITORY
PARTS = (
    "fed",
    "requirements-uv.txt",
    "automation/machine/setup",
    "automation/machine/setup/build.py",
    "automation/machine/setup/go/go.mod",
    "clone/paths.py",
)

FAKE_UV = """#!/bin/bash
echo "$@" >> "$UV_LOG"
case "$1" in
  venv) mkdir -p "${@: -1}/bin"; ln -s "$REAL_PYTHON" "${@: -1}/bin/python" ;;
  pip) [[ -z ${UV_FAILS-} ]] || { echo "no such index" >&2; exit 2; }
       [[ -z ${UV_WAITS-} ]] || { echo $$ > "$UV_WAITS"; exec sleep 60; } ;;
esac
"""


class Clone:
    """A clone with the launcher, a uv that only notes what it is asked, a command line that says hello."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "clone"
        for part in PARTS:
            target = self.root / part
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, target)
        (self.root / "automation" / "__init__.py").touch()
        (self.root / "automation" / "machine" / "__init__.py").touch()
        (self.root / "automation" / "__main__.py").write_text("import sys; print('ran', *sys.argv[1:])")
        (self.root / "automation" / "machine" / "ahead.py").write_text(
            "import os, sys; sys.exit(os.environ.get('AHEAD'))"
        )
        (self.root / "requirements.txt").write_text("one==1\n")
        (self.root / "requirements-dev.txt").write_text("one==1\ntwo==2\n")
        self.log = folder / "uv.log"
        bin_ = folder / "bin"
        bin_.mkdir()
        for name, text in {"uv": FAKE_UV}.items():
            (bin_ / name).write_text(text)
            (bin_ / name).chmod(stat.S_IRWXU)
        engine = folder / "cache" / "fed" / "engine" / "3.274.1" / "pulumi"
        engine.parent.mkdir(parents=True)
        engine.write_text("#!/bin/sh\n")
        engine.chmod(stat.S_IRWXU)
        self.environment = {
            "PATH": f"{bin_}:/usr/bin:/bin",
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "UV_LOG": str(self.log),
            "REAL_PYTHON": sys.executable,
            "FED_PYTHON": sys.executable,
        }

    def without_engine(self) -> None:
        """Let there be no engine yet, and no way to get one but to build it, with a Go that only pretends."""
        next(self.root.parent.glob("cache/fed/engine/*/pulumi")).unlink()
        setup = self.root / "automation" / "machine" / "setup" / "engine.py"
        setup.write_text(setup.read_text().replace("https://get.pulumi.com", "http://127.0.0.1:9"))
        go = self.root.parent / "bin" / "go"
        go.write_text(FAKE_GO)
        go.chmod(stat.S_IRWXU)
        self.environment["GO_LOG"] = str(self.root.parent / "go.log")

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [self.root / "fed", *arguments],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # As at a terminal: where the tests were started in the background, Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 no threads here
        )

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def asked(self, what: str) -> int:
        """How often uv was asked for something."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return sum(line.startswith(what) for line in lines)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


class TestFirstUse:
    def test_prepares_the_clone_and_then_runs_the_command(self, clone: Clone) -> None:
        done = clone.run("up", "two words")
        assert (done.returncode, done.stdout) == (0, "ran up two words\n")
        assert clone.asked("venv") == clone.asked("pip sync") == 1
        assert "packages" in done.stderr and "usually" in done.stderr

    def test_later_uses_prepare_nothing_and_say_nothing(self, clone: Clone) -> None:
        clone.run("up")
        done = clone.run("up")
        assert (done.stdout, done.stderr) == ("ran up\n", "")
        assert clone.asked("pip sync") == 1

    def test_works_from_another_folder_and_through_a_link(self, clone: Clone, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(clone.root / "fed")
        done = subprocess.check_output([link, "up"], cwd="/", env=clone.environment, text=True)
        assert done == "ran up\n"

    def test_asking_for_help_waits_for_no_engine(self, clone: Clone) -> None:
        engine = next(clone.root.parent.glob("cache/fed/engine/*/pulumi"))
        engine.unlink()
        done = clone.run("up", "--help", GOPROXY="off")
        assert (done.returncode, done.stdout) == (0, "ran up --help\n")
        assert "engine" not in done.stderr

    @pytest.mark.parametrize(
        ("words", "machines", "made"),
        [
            (["up"], "", True),
            (["up", "mvp"], "1", True),
            (["up"], "false", False),
            (["up"], "0", False),
            (["up", "--no-machines"], "", False),
            (["up", "--on", "azure"], "", False),
            (["up", "--on=azure"], "", False),
            (["preview"], "", False),
        ],
    )
    def test_what_machines_run_is_made_beside_the_engine_for_those_who_run_some(
        self, clone: Clone, words: list[str], machines: str, made: bool
    ) -> None:
        clone.without_engine()
        done = clone.run(*words, FED_MACHINES=machines)
        assert (done.returncode, done.stdout) == (0, f"ran {' '.join(words)}\n")
        assert "engine: 3.274.1 in" in done.stderr
        assert ("machines: what they run is installed" in done.stderr) is made

    def test_nothing_is_made_ahead_where_nobody_waits_for_a_build(self, clone: Clone) -> None:
        assert "machines:" not in clone.run("up").stderr

    def test_what_could_not_be_made_ahead_is_told_and_stops_nothing(self, clone: Clone) -> None:
        clone.without_engine()
        done = clone.run("up", AHEAD="no such index")
        assert (done.returncode, done.stdout) == (0, "ran up\n")
        assert "machines: left to the deployment: no such index" in done.stderr


class TestRepair:
    def test_changed_requirements_are_installed_into_the_same_environment(self, clone: Clone) -> None:
        clone.run("up")
        (clone.root / "requirements.txt").write_text("one==2\n")
        assert clone.run("up").returncode == 0
        assert (clone.asked("venv"), clone.asked("pip sync")) == (1, 2)

    def test_an_interrupted_installation_starts_again(self, clone: Clone, tmp_path: Path) -> None:
        waits = tmp_path / "waits"
        process = clone.start("up", UV_WAITS=str(waits))
        _wait_for(waits)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        done = clone.run("up")
        assert done.stdout == "ran up\n"
        assert clone.asked("venv") == 2

    def test_a_moved_clone_is_prepared_for_its_new_place(self, clone: Clone) -> None:
        clone.run("up")
        clone.root = clone.root.rename(clone.root.with_name("moved"))
        assert clone.run("up").stdout == "ran up\n"
        assert clone.asked("venv") == 2

    def test_a_failed_installation_is_told_and_tried_again(self, clone: Clone) -> None:
        failed = clone.run("up", UV_FAILS="1")
        assert failed.returncode == 3
        assert "no such index" in failed.stderr and "Traceback" not in failed.stderr
        assert clone.run("up").stdout == "ran up\n"

    def test_an_interrupt_ends_it_without_a_traceback(self, clone: Clone, tmp_path: Path) -> None:
        waits = tmp_path / "waits"
        process = clone.start("up", UV_WAITS=str(waits))
        _wait_for(waits)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "interrupted" in errors and "Traceback" not in errors


def test_two_first_uses_at_once_install_once(clone: Clone) -> None:
    both = [clone.start("up"), clone.start("up")]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert outputs == ["ran up\n", "ran up\n"]
    assert clone.asked("pip sync") == 1


def test_a_machine_without_a_fitting_python_is_told_what_to_install(clone: Clone) -> None:
    done = clone.run("up", FED_PYTHON="no-such-python")
    assert done.returncode == 3
    assert "3.11" in done.stderr and "apt-get install python3" in done.stderr


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text().strip()):
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.01)
