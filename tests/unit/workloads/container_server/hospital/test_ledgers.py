"""A hospital's ledgers are in its account before what they tell of leaves, and come back to a new disk."""

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from container_server.hospital.ledgers import BLOBS, LOOK_SECONDS, KeptLedgers
from container_server.storage import Blob, StorageUnreachableError
from fed_site.kept import NotKeptError, in_the_account
from fed_site.ledgers import BUDGET_FILE, KEPT_FILE, RELEASED_FILE
from fed_site.privacy import Budget, Ledger

from tests.unit.support.workloads_fakes import FakeClock, FolderStore
from tests.unit.support.workloads_world import World

BUDGET = Budget(4.0, 1e-5, 2)


class House:
    """The two folders of a VM, and its account's container."""

    def __init__(self, folder: Path):
        self.work, self.answers = folder / "work", folder / "answers"
        self.work.mkdir(parents=True)
        self.answers.mkdir()
        self.record = FolderStore(folder.parent / "record")
        self.clock = FakeClock(0.0)
        self.ledgers = KeptLedgers(record=self.record, work=self.work, answers=self.answers, clock=self.clock)

    def write(self, name: str, content: Any) -> None:
        new = self.work / f"{name}.new"
        new.write_text(json.dumps(content))
        new.replace(self.work / name)

    def kept(self, name: str) -> Any:
        found = self.record.read(BLOBS + name)
        return json.loads(found.content) if isinstance(found, Blob) else None

    def ledger(self, seconds: float = 0.0) -> Ledger:
        said = self.answers / KEPT_FILE
        return Ledger(self.work / BUDGET_FILE, lambda path: in_the_account(path, said, seconds))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "vm")


class TestCopies:
    def test_a_ledger_is_copied_as_soon_as_it_changes_and_that_is_said(self, house: House) -> None:
        house.write(BUDGET_FILE, {"spent": 1.0, "answers": 1})
        assert house.ledgers.turn() == LOOK_SECONDS
        assert house.kept(BUDGET_FILE)["spent"] == 1.0
        content = (house.work / BUDGET_FILE).read_bytes()
        said = json.loads((house.answers / KEPT_FILE).read_text())
        assert said == {BUDGET_FILE: hashlib.sha256(content).hexdigest()}
        assert (house.answers / KEPT_FILE).stat().st_mode & 0o777 == 0o644

    def test_nothing_is_said_while_the_account_is_away(self, house: House) -> None:
        house.write(BUDGET_FILE, {"spent": 0.001, "answers": 1})
        house.record.failure = StorageUnreachableError("the account is away")
        house.ledgers.turn()
        assert "the account is away" in house.ledgers.trouble
        with pytest.raises(NotKeptError):
            house.ledger().take(BUDGET)
        house.record.failure = None
        house.clock.time += 10
        house.ledgers.turn()
        assert not house.ledgers.trouble
        assert house.kept(BUDGET_FILE)["answers"] == 2, "the answer that stayed counts: nobody knows"

    def test_one_that_shrank_is_not_taken_for_what_left(self, house: House) -> None:
        house.write(BUDGET_FILE, {"spent": 2.0, "answers": 2})
        house.ledgers.turn()
        house.write(BUDGET_FILE, {"spent": 1.0, "answers": 1})
        house.ledgers.turn()
        assert "less than before" in house.ledgers.trouble
        assert house.kept(BUDGET_FILE)["spent"] == 2.0

    def test_a_link_is_no_ledger(self, house: House) -> None:
        """Whoever broke into the client could write its folder."""
        (house.work / RELEASED_FILE).symlink_to("/etc/hostname")
        house.ledgers.turn()
        assert house.ledgers.trouble
        assert house.kept(RELEASED_FILE) is None

    def test_an_answer_waits_for_its_copy(self, house: House) -> None:
        taken: list[bool] = []
        waiting = threading.Thread(target=lambda: taken.append(house.ledger(seconds=30.0).take(BUDGET)))
        waiting.start()
        while not (house.work / BUDGET_FILE).exists():
            assert waiting.is_alive()
        assert not taken
        house.ledgers.turn()
        waiting.join(30.0)
        assert taken == [True]


class TestANewDisk:
    def test_what_was_spent_and_answered_comes_back(self, house: House, tmp_path: Path) -> None:
        house.write(BUDGET_FILE, {"spent": BUDGET.whole, "answers": 2})
        house.ledgers.turn()
        new = House(tmp_path / "new-vm")
        new.ledgers.recover()
        assert not new.ledger().take(BUDGET)

    def test_a_restart_takes_nothing_back(self, house: House) -> None:
        house.write(BUDGET_FILE, {"spent": 1.0, "answers": 1})
        house.ledgers.turn()
        house.write(BUDGET_FILE, {"spent": 2.0, "answers": 2})
        again = KeptLedgers(record=house.record, work=house.work, answers=house.answers, clock=house.clock)
        again.turn()
        assert json.loads((house.work / BUDGET_FILE).read_text())["spent"] == 2.0
        assert house.kept(BUDGET_FILE)["spent"] == 2.0

    def test_no_client_starts_before_they_are_back(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.record.write(BLOBS + BUDGET_FILE, json.dumps({"spent": 3.0, "answers": 1}).encode())
        started: list[str] = []
        world.client.on_start = lambda name: started.append(
            (world.hospital_config.work / BUDGET_FILE).read_text()
        )
        world.turn(60)
        assert started
        assert json.loads(started[0])["spent"] == 3.0
