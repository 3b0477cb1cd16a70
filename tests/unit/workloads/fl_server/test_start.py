"""How the server's container starts NVFlare."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fed_server import start


def test_job_is_over_soon_although_a_hospital_never_says_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVFlare reads its settings from the environment: fifteen minutes unless it is told otherwise."""
    kit, work = tmp_path / "kit", tmp_path / "work"
    (kit / "local").mkdir(parents=True)
    (kit / "startup").mkdir()
    service = {"target": "vm-fed-dev-centre:8002"}
    (kit / "startup" / "fed_server.json").write_text(json.dumps({"servers": [{"service": service}]}))
    work.mkdir()
    (work / "clients.json").write_text(json.dumps({"heard": {"cleveland": 1}}))
    monkeypatch.setattr(start, "KIT", kit)
    monkeypatch.setattr(start, "WORK", work)
    monkeypatch.setattr(start, "CLIENTS", work / "clients.json")
    monkeypatch.setattr("sys.argv", ["start"])
    became: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: became.append(arguments))

    start.main()

    ((_, arguments, environment),) = became
    assert "nvflare.private.fed.app.server.server_train" in arguments
    assert float(environment["NVFLARE_CLIENT_OUTCOME_WAIT_TIMEOUT"]) <= 30
    assert float(environment["NVFLARE_DEAD_CLIENT_GRACE_PERIOD"]) <= 10
    assert environment["PATH"] == os.environ["PATH"]
    assert json.loads((work / "clients.json").read_text()) == {"heard": {}}  # nobody, whoever was before
