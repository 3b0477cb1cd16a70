"""An interrupt reaches the engine once and politely; a second one ends it."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from automation.stacks import operation
from automation.stacks.engine import Engine
from automation.ui.outcome import FedError
from clone import paths

ENGINE = """#!/bin/bash
trap 'echo polite >> "$LOG"' INT
touch "$READY"
until [[ $(grep -c polite "$LOG" 2>/dev/null) -ge ${NEEDS} ]]; do sleep 0.05; done
echo "recorded" >> "$LOG"; exit 1
"""
CALLER = """
import sys
from automation.stacks.engine import Engine
engine = Engine.__new__(Engine)
engine.command, engine.interrupted = "pulumi", False
engine.on_interrupt = lambda: print("told", flush=True)
try:
    engine.run(["up"], "/", {})
except Exception as error:
    print(type(error).__name__, engine.interrupted)
"""
IN_BACKGROUND = ("/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""A shell without job control lets what it puts into the background ignore SIGINT."""


@pytest.mark.parametrize(
    ("interrupts", "background", "sent"),
    [(1, False, signal.SIGINT), (2, False, signal.SIGINT), (1, True, signal.SIGTERM)],
)
def test_an_interrupt_is_passed_on_and_the_engine_is_waited_for(
    tmp_path: Path, interrupts: int, background: bool, sent: signal.Signals
) -> None:
    script = tmp_path / "pulumi"
    script.write_text(ENGINE)
    script.chmod(stat.S_IRWXU)
    log, ready = tmp_path / "log", tmp_path / "ready"
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "PYTHONPATH": str(paths.REPOSITORY),
        "LOG": str(log),
        "READY": str(ready),
        "NEEDS": str(interrupts),
    }
    caller = subprocess.Popen(
        [*(IN_BACKGROUND if background else ()), sys.executable, "-P", "-c", CALLER],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not ready.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for count in range(1, interrupts + 1):
        os.killpg(caller.pid, sent)  # as a terminal does: to the whole group of the command
        while not log.exists() or log.read_text().count("polite") < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    output, _ = caller.communicate(timeout=30)
    assert output.splitlines() == ["told", "CommandError True"]
    assert log.read_text().splitlines() == ["polite"] * interrupts + ["recorded"]


def test_an_engine_that_was_killed_is_named_as_the_reason(tmp_path: Path) -> None:
    script = tmp_path / "pulumi"
    script.write_text("#!/bin/sh\necho 'warning: using pulumi-language-python from $PATH' >&2\nkill -9 $$\n")
    script.chmod(stat.S_IRWXU)
    engine = Engine.__new__(Engine)
    engine.command, engine.interrupted = str(script), False
    target: Any = SimpleNamespace(name="dev", hospitals=(), emulator=None, engine=engine)
    with pytest.raises(FedError) as failure:
        operation.run(target, "deploying dev", lambda _: engine.run(["up"], "/", {}))
    assert "the engine was killed (SIGKILL)" in str(failure.value)
    assert "Fix: run it again" in str(failure.value)
    assert "warning" not in str(failure.value)


def test_nothing_follows_an_operation_that_had_ended_before_the_interrupt_reached_it() -> None:
    target: Any = SimpleNamespace(name="dev", hospitals=(), emulator=None, engine=SimpleNamespace())

    def preview(_: object) -> str:
        target.engine.interrupted = True
        return "the plan"

    with pytest.raises(FedError, match="previewing was interrupted"):
        operation.run(target, "previewing", preview)
