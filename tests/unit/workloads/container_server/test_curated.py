"""A VM gives its own curated tables, and nothing else of its container."""

from pathlib import Path

import pytest
from container_server import curated

from tests.unit.support.workloads_fakes import FolderStore


def test_gives_the_tables_and_nothing_else(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write("curated/dim_run.parquet", b"runs")
    store.write("report.json", b"{}")
    assert curated.read(store) == {"dim_run.parquet": b"runs"}


def test_says_what_is_wrong_with_its_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FED_ROLE", "FED_PARTY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit, match="FED_PARTY is not set"):
        curated.main()
    assert capsys.readouterr().out == ""
