"""Imports that wait: a module runs at its first use, and nothing outside the block is touched."""

import importlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from automation.ui.lazily import lazily


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("slow", "late"):
        (tmp_path / f"{name}_module.py").write_text("ANSWER = 42\nimport sys\nsys.ran.append(__name__)\n")
        monkeypatch.delitem(sys.modules, f"{name}_module", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "ran", [], raising=False)


def test_a_module_runs_at_its_first_use() -> None:
    with lazily():
        slow = importlib.import_module("slow_module")
    assert sys.ran == []
    assert (slow.ANSWER, slow.ANSWER) == (42, 42)
    assert sys.ran == ["slow_module"]


def test_after_the_block_imports_do_not_wait() -> None:
    with pytest.raises(ModuleNotFoundError), lazily():
        importlib.import_module("no_such_module")
    importlib.import_module("late_module")
    assert sys.ran == ["late_module"]


def test_a_module_that_fails_fails_again(tmp_path: Path) -> None:
    (tmp_path / "slow_module.py").write_text("raise OSError('no disk')")
    with lazily():
        slow = importlib.import_module("slow_module")
    for _ in range(2):
        with pytest.raises(OSError, match="no disk"):
            _ = slow.ANSWER


def test_a_second_thread_waits_until_the_module_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, gate = threading.Event(), threading.Event()
    monkeypatch.setattr(sys, "met", (entered, gate), raising=False)
    (tmp_path / "slow_module.py").write_text(
        "import sys\nsys.ran.append(__name__)\nsys.met[0].set()\nsys.met[1].wait()\nANSWER = 42\n"
    )
    with lazily():
        slow = importlib.import_module("slow_module")
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(lambda: slow.ANSWER)
        entered.wait()
        others = [pool.submit(lambda: slow.ANSWER) for _ in range(3)]
        early = wait(others, timeout=0.05).done
        gate.set()
        assert [one.result() for one in (first, *others)] == [42] * 4
    assert (early, sys.ran) == (set(), ["slow_module"])
