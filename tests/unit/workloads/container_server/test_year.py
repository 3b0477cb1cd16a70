"""A year of a federation as prod runs it: a person approves, and things happen as they do in a year.

Nobody looks for a week at a time. A person reads `fed status` once a week and approves what waits; nothing
else keeps the federation alive.
"""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.support.workloads_federation import DAY, Federation

WEEK = 7
RENEWAL_WINDOW = 30 * DAY
NAMES = ("cleveland", "hungary", "va-long-beach")


def test_a_year_in_prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power is cut here
    federation = Federation(tmp_path, NAMES, approval="manual")
    began = federation.clock.now()
    federation.turn(16, pause=4)
    approve_what_waits(federation)
    federation.turn(40, pause=4)
    assert_all_run(federation)
    due = dict(EVENTS)
    while (day := (federation.clock.now() - began) / DAY) < 366:
        for when in [when for when in due if when <= day]:
            due.pop(when)(federation)
        federation.pass_days(WEEK, then=60, pause=6)
        assert unnoticed(federation) == [], f"day {day:.0f}"
        if approve_what_waits(federation):
            federation.turn(60, pause=5)
        if "va-long-beach" in federation.members:
            assert_all_run(federation)
    assert not due
    assert_the_rotation_is_over(federation)
    serials = {name: house.serial for name, house in federation.houses.items()}
    assert federation.allowed == serials
    assert len(set(SEEN)) > 3 * len(NAMES), "each hospital renewed, and more"


SEEN: list[str] = []


def approve_what_waits(federation: Federation) -> list[str]:
    """What a person does who reads `fed status`."""
    rows = federation.status()["hospitals"]
    waiting = [name for name, row in rows.items() if "waits" in row]
    for name in waiting:
        federation.centre.commands.approve({"hospital": name})
    SEEN.extend(federation.allowed.values())
    return waiting


def unnoticed(federation: Federation) -> list[str]:
    """Whose certificate ends within the renewal window without a word of it in `fed status`."""
    status, now = federation.status(), federation.clock.now()
    hospitals = [
        name
        for name, row in status["hospitals"].items()
        if row.get("ends", now) - now < RENEWAL_WINDOW and not {"waits", "trouble"} & set(row)
    ]
    own = [what for what, ends in status["certificates"].items() if ends - now < RENEWAL_WINDOW]
    return hospitals + own


def assert_all_run(federation: Federation) -> None:
    assert set(federation.states().values()) == {"running"}, federation.states()
    assert federation.status()["registered"] == len(federation.members)


def assert_the_rotation_is_over(federation: Federation) -> None:
    assert federation.status()["rotation"] == ""
    assert [key.parent.name for key in federation.config.agent.rglob("rootCA.key")] == ["ca-2"]


def upgrade_from_version_0_1(federation: Federation) -> None:
    """New images for everybody, on the state that the version before left."""
    agent = federation.config.agent
    members = json.loads((agent / "members.json").read_text())
    for member in members.values():
        request = member.pop("request")
        for name in ("root", "asked_under", "since", "owed", "rows"):
            member.pop(name)
        member |= {"request_id": request["request_id"], "request_sha256": request["sha256"]}
    (agent / "members.json").write_text(json.dumps(members))
    for file in (agent / "roots.json", agent / "rotation.json", agent / "server_restart_due"):
        file.unlink(missing_ok=True)
    federation.boot()
    for house in federation.houses.values():
        memory = house.config.agent / "hospital.json"
        content = json.loads(memory.read_text())
        memory.write_text(json.dumps({**content, "restart_due": False}))
        root = house.config.agent / "root.json"
        root.write_text(json.dumps({"fingerprint": json.loads(root.read_text())["fingerprint"]}))
        (federation.store(f"client-{house.name}").folder / "enrol/roots.json").unlink()
        house.boot()


def upgrade_one_party_at_a_time(federation: Federation) -> None:
    federation.config = dataclasses.replace(federation.config, image="sha256:next")
    federation.boot()
    for house in federation.houses.values():
        federation.turn(12, pause=4)
        house.config = dataclasses.replace(house.config, image="sha256:next")
        house.boot()


def lose_a_disk(federation: Federation) -> None:
    federation.houses["hungary"].lose_disk()
    federation.turn(60, pause=5)
    assert federation.status()["hospitals"]["hungary"]["waits"]["what"] == "renewal"
    approve_what_waits(federation)
    federation.turn(40, pause=4)


def rotate_the_root(federation: Federation) -> None:
    federation.rotate("root")
    federation.turn(80, pause=5)
    assert "3 hospitals still have a certificate of the old one" in federation.status()["rotation"]


def rotate_server_and_lead(federation: Federation) -> None:
    federation.rotate("lead")
    federation.rotate("server")
    federation.turn(300, pause=10)


EVENTS: dict[float, Callable[[Federation], object]] = {
    35: upgrade_from_version_0_1,
    90: lose_a_disk,
    120: lambda federation: federation.leave("va-long-beach"),
    160: lambda federation: federation.come_back("va-long-beach"),
    200: rotate_the_root,
    203: upgrade_one_party_at_a_time,
    290: rotate_server_and_lead,
}
