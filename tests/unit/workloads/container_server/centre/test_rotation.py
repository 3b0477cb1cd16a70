"""The centre's keys are rotated: what that interrupts, who is let in meanwhile, and a kill at each step."""

import dataclasses
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from container_server.centre import rotation
from container_server.centre.rotation import Rotation, RotationRefusedError
from container_server.certificates import Certificate
from container_server.messages import ROOTS, decode, encode

from tests.unit.support.workloads_federation import Federation


@pytest.fixture(autouse=True)
def no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    federation = Federation(tmp_path)
    federation.turn(60)
    assert set(federation.states().values()) == {"running"}
    return federation


def restarts(federation: Federation) -> int:
    return federation.server.actions.count("restart fl-server")


def root_keys(federation: Federation) -> list[Path]:
    return list(federation.config.agent.rglob("rootCA.key"))


def test_two_that_are_asked_for_at_once_are_both_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command and the loop: the one that wrote last once undid the other."""
    anything: Any = SimpleNamespace(roots=SimpleNamespace(handing_over=False))
    asked = Rotation(anything, anything, anything, tmp_path / "rotation.json")
    other = threading.Thread(target=asked.ask_for_server, kwargs={"now": False})
    write = rotation.write_json

    def meanwhile(path: Path, content: Any) -> None:
        if other.ident is None:
            other.start()
            other.join(0.1)
        write(path, content)

    monkeypatch.setattr(rotation, "write_json", meanwhile)
    asked.ask_for_root(now=False)
    other.join()
    kept = json.loads((tmp_path / "rotation.json").read_text())
    assert kept == {"server": True, "root": True, "now": False, "finish": False}


class TestServer:
    def test_it_gets_a_new_key_with_one_restart(self, federation: Federation) -> None:
        before = (federation.config.kit / "startup/server.key").read_bytes()
        assert federation.rotate("server")["done"]
        federation.turn(240, pause=4)
        assert (federation.config.kit / "startup/server.key").read_bytes() != before
        assert restarts(federation) == 1
        assert set(federation.states().values()) == {"running"}
        assert federation.status()["rotation"] == ""

    def test_a_job_is_waited_for(self, federation: Federation) -> None:
        federation.begin_job()
        assert "once no job is queued or runs (now: heart)" in federation.rotate("server")["interrupts"]
        federation.turn(240, pause=4)
        assert restarts(federation) == 0
        assert federation.status()["rotation"] == "a new certificate for the server, when no job runs"
        federation.end_job()
        federation.turn(60)
        assert restarts(federation) == 1

    def test_not_where_the_operator_wants_it_now(self, federation: Federation) -> None:
        federation.begin_job()
        assert (
            "jobs that run fail and can be resumed (now: heart)"
            in federation.rotate("server", now=True)["interrupts"]
        )
        federation.turn(30)
        assert restarts(federation) == 1

    def test_it_says_beforehand_what_it_interrupts_and_does_nothing(self, federation: Federation) -> None:
        for what in ("server", "lead", "root"):
            answer = federation.centre.commands.rotate({"what": what})
            assert answer["interrupts"] and not answer["done"]
        federation.turn(60)
        assert restarts(federation) == 0
        assert federation.status()["rotation"] == ""

    def test_the_restart_is_made_up_for_after_a_kill(self, federation: Federation) -> None:
        def killed(name: str) -> None:
            raise SystemExit

        federation.rotate("server")
        restart = federation.server.restart
        federation.server.restart = killed  # type: ignore[method-assign]
        with pytest.raises(SystemExit):
            federation.turn(60)
        federation.server.restart = restart  # type: ignore[method-assign]
        federation.boot()
        federation.turn(60)
        assert restarts(federation) == 1
        assert federation.paper and federation.paper.chain[0].serial == serial_of(federation, "server")


def serial_of(federation: Federation, side: str) -> str:
    return Certificate.read((federation.config.kit / f"startup/{side}.crt").read_bytes()).serial


class TestLead:
    def administrator(self, federation: Federation) -> str:
        content: dict[str, Any] = json.loads((federation.config.work / "allowed.json").read_text())
        return str(content["administrator"])

    def test_the_server_takes_the_new_one_alone(self, federation: Federation) -> None:
        before = self.administrator(federation)
        assert federation.rotate("lead")["interrupts"].startswith("nothing")
        after = self.administrator(federation)
        assert before and after not in ("", before)
        federation.boot()
        assert self.administrator(federation) == after
        assert restarts(federation) == 0


class TestRoot:
    def test_everybody_moves_and_the_old_key_is_gone(self, federation: Federation) -> None:
        """The server restarts twice, each client once, and at each moment each believes the other."""

        def all_believe() -> None:
            assert federation.paper
            now = federation.clock.now()
            for house in federation.houses.values():
                assert house.paper and house.paper.is_believed_by(federation.paper, now)
                assert federation.paper.is_believed_by(house.paper, now)

        old = federation.centre._authority.fingerprint
        federation.each_tick = all_believe
        federation.rotate("root")
        federation.turn(240, pause=4)
        new = federation.centre._authority.fingerprint
        assert new != old
        assert set(federation.states().values()) == {"running"}
        assert restarts(federation) == 2
        assert [house.engine.actions.count("restart fl-client") for house in federation.houses.values()] == [
            1,
            1,
        ]
        assert len(root_keys(federation)) == 1
        assert federation.status()["rotation"] == ""
        for house in federation.houses.values():
            assert json.loads((house.config.agent / "root.json").read_text())["fingerprint"] == new
            assert house.paper and house.paper.root.fingerprint == new
        assert federation.paper and federation.paper.root.fingerprint == new

    def test_members_that_moved_and_those_that_did_not_are_both_served_meanwhile(
        self, tmp_path: Path
    ) -> None:
        federation = Federation(tmp_path, approval="manual")
        federation.turn(20)
        for name in federation.members:
            federation.centre.commands.approve({"hospital": name})
        federation.turn(60)
        federation.rotate("root")
        federation.turn(240, pause=4)
        words = federation.status()["rotation"]
        assert words.startswith("a new root: 2 hospitals still have a certificate of the old one")
        assert "cleveland: a person must approve its renewal" in words
        federation.centre.commands.approve({"hospital": "cleveland"})
        federation.turn(240, pause=4)
        assert "1 hospitals" in federation.status()["rotation"]
        assert len(root_keys(federation)) == 2
        assert set(federation.states().values()) == {"running"}
        federation.centre.commands.approve({"hospital": "hungary"})
        federation.turn(240, pause=4)
        assert len(root_keys(federation)) == 1
        assert set(federation.states().values()) == {"running"}

    def test_no_job_is_interrupted(self, federation: Federation) -> None:
        federation.rotate("root")
        federation.turn(20)
        federation.begin_job()
        before = [list(house.engine.actions) for house in federation.houses.values()]
        seen = restarts(federation)
        federation.turn(300, pause=5)
        assert [house.engine.actions for house in federation.houses.values()] == before
        assert restarts(federation) == seen
        federation.end_job()
        federation.turn(240, pause=4)
        assert len(root_keys(federation)) == 1
        assert set(federation.states().values()) == {"running"}

    def test_what_a_job_writes_holds_a_new_certificate_up_for_a_week(self, federation: Federation) -> None:
        house = federation.houses["cleveland"]
        house.jobs = 1
        federation.centre.commands.renew({"hospital": "cleveland"})
        federation.turn(60)
        assert "restart fl-client" not in house.engine.actions
        federation.pass_days(7)
        assert "restart fl-client" in house.engine.actions

    def test_it_can_be_ended_with_somebody_left_behind_who_comes_back_by_itself(
        self, federation: Federation
    ) -> None:
        away = federation.houses.pop("hungary")
        federation.rotate("root")
        federation.turn(90, pause=3)
        assert federation.rotate("root", finish=True)["left_behind"] == {"hungary": "it has not asked yet"}
        federation.turn(90, pause=3)
        assert len(root_keys(federation)) == 1
        assert not away.hear()
        federation.clock.time += 20 * 86_400
        federation.houses["hungary"] = away
        away.boot()
        federation.turn(90, pause=3)
        assert set(federation.states().values()) == {"running"}

    def test_a_vm_that_boots_afterwards_follows_the_pin_in_its_settings(self, tmp_path: Path) -> None:
        """`root_fingerprint` is in the VM's custom data, and another one would replace the VM."""
        federation = Federation(tmp_path)
        federation.turn(60)
        pin = federation.centre._authority.fingerprint
        house = federation.houses["cleveland"]
        house.config = dataclasses.replace(house.config, root_fingerprint=pin)
        house.boot()
        for _ in range(2):
            federation.rotate("root")
            federation.turn(240, pause=4)
        house.lose_disk()
        federation.turn(90, pause=3)
        assert set(federation.states().values()) == {"running"}

    def test_a_root_that_was_not_proven_is_not_taken(self, federation: Federation) -> None:
        house, before = federation.houses["cleveland"], federation.centre._authority.fingerprint
        federation.rotate("root")
        federation.each_tick = lambda: forget_proofs(federation)
        federation.turn(90, pause=3)
        assert "did not hand over" in house.agent.report()["reason"]
        assert house.paper and house.paper.root.fingerprint == before
        assert "cleveland" in federation.status()["rotation"]

    def test_a_second_one_waits_for_the_first(self, federation: Federation) -> None:
        federation.rotate("root")
        with pytest.raises(RotationRefusedError, match="hands over already"):
            federation.rotate("root")

    def test_nothing_can_be_ended_that_was_not_begun(self, federation: Federation) -> None:
        with pytest.raises(RotationRefusedError, match="no old root can be withdrawn"):
            federation.rotate("root", finish=True)
        with pytest.raises(RotationRefusedError, match="goes with root alone"):
            federation.rotate("lead", finish=True)

    def test_it_goes_on_after_a_kill_at_every_step(
        self, federation: Federation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed before and after each file that the centre writes, each command and each restart, once."""
        kills = Kills(federation, monkeypatch)
        kills.survive(lambda: federation.rotate("root"))
        assert federation.status()["rotation"] == "", "killed before it was noted: nothing was asked for"
        kills.survive(lambda: federation.rotate("root"))
        for _ in range(60):
            if not federation.status()["rotation"]:
                break
            kills.survive(lambda: federation.turn(30))
        assert {"roots.json", "rotation.json", "members.json", "cert init", "restart"} <= set(kills.seen)
        kills.survive(lambda: federation.turn(60))
        federation.turn(60)
        assert set(federation.states().values()) == {"running"}
        roots = json.loads((federation.config.agent / "roots.json").read_text())
        assert len(roots["roots"]) == 2


class Kills:
    """Kills the centre's service before and after each thing that it does, once each."""

    def __init__(self, federation: Federation, monkeypatch: pytest.MonkeyPatch):
        self.federation = federation
        self.seen: dict[str, int] = {}
        replace, run, restart = os.replace, federation.nvflare.run, federation.server.restart

        def replaced(new: Path, path: Path) -> None:
            ours = path.is_relative_to(federation.config.agent.parent)
            self.around(path.name if ours else "", lambda: replace(new, path))

        monkeypatch.setattr(os, "replace", replaced)
        monkeypatch.setattr(
            federation.nvflare, "run", lambda *words: self.around(" ".join(words[:2]), lambda: run(*words))
        )
        monkeypatch.setattr(
            federation.server, "restart", lambda name: self.around("restart", lambda: restart(name))
        )

    def around(self, what: str, action: Callable[[], Any]) -> Any:
        times = self.seen[what] = self.seen.get(what, 0) + 1 if what else 3
        if times == 1:
            raise SystemExit(f"killed before {what}")
        done = action()
        if times == 2:
            raise SystemExit(f"killed after {what}")
        return done

    def survive(self, action: Callable[[], Any]) -> None:
        """Do it; whoever is killed boots again."""
        try:
            action()
        except SystemExit:
            self.boot()

    def boot(self) -> None:
        try:
            self.federation.boot()
            for house in self.federation.houses.values():
                house.boot()
        except SystemExit:
            self.boot()


def forget_proofs(federation: Federation) -> None:
    """Somebody who may write a hospital's container, and has no key, takes the proof away."""
    blob = federation.store("client-cleveland").folder / ROOTS
    if blob.is_file():
        content = decode("roots", blob.read_bytes())
        blob.write_bytes(encode("roots", {**content, "proofs": []} | {"schema": "fed/roots/1"}))
