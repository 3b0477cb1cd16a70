"""Imports that wait: a module runs at its first use, and nothing outside the block is touched."""

import importlib
import sys
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
