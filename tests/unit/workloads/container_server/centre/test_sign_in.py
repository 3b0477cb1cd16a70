"""The centre keeps who may use MLflow: people for some hours, the platform's own services always."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from container_server.centre import sign_in
from container_server.centre.sign_in import SignIn
from container_server.control import WrongQuestionError
from container_server.errors import RefusedInputError

from tests.unit.support.workloads_fakes import FakeClock
from tests.unit.support.workloads_world import World, config_of

SHA = "ab" * 32


class Centre:
    def __init__(self, folder: Path) -> None:
        self.config = config_of("centre", folder)
        self.clock = FakeClock(1_790_000_000.0)
        self.file = self.config.sign_in / "accounts.json"
        self.start()

    def start(self) -> None:
        self.signs = SignIn(self.config, self.clock)
        self.signs.step()

    def people(self) -> dict[str, Any]:
        return {name: row for name, row in self.accounts().items() if row["role"] == "person"}

    def accounts(self) -> dict[str, Any]:
        return dict(json.loads(self.file.read_text())["accounts"])


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    return Centre(tmp_path)


def test_a_person_gets_twelve_hours_and_the_answer_holds_no_secret(centre: Centre) -> None:
    answer = centre.signs.sign_in({"name": "anna@centre.example", "sha256": SHA})
    assert answer == {"name": "anna@centre.example", "until": 1_790_000_000 + 12 * 3600}
    assert centre.people()["anna@centre.example"]["sha256"] == SHA


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("fl-server", SHA),
        ("container-server", SHA),
        ("an:na", SHA),
        ("", SHA),
        ("Anna", SHA),
        ("a" * 65, SHA),
        ("anna", "secret"),
        ("anna", SHA.upper()),
        ("anna", SHA + "0"),
    ],
)
def test_no_person_takes_an_account_of_the_platforms_or_sends_a_password(
    centre: Centre, name: str, sha256: str
) -> None:
    with pytest.raises(WrongQuestionError):
        centre.signs.sign_in({"name": name, "sha256": sha256})
    assert centre.people() == {}


def test_whose_time_is_over_is_taken_out(centre: Centre) -> None:
    centre.signs.sign_in({"name": "anna", "sha256": SHA})
    centre.clock.sleep(12 * 3600)
    centre.signs.step()
    assert centre.people() == {}


def test_people_stay_signed_in_when_the_service_starts_again_with_another_password(centre: Centre) -> None:
    centre.signs.sign_in({"name": "anna", "sha256": SHA})
    before, own, server = centre.accounts(), centre.signs.password, centre.config.tracking / "password"
    kept = server.read_text()
    centre.start()
    after = centre.accounts()
    assert after["anna"] == before["anna"]
    assert centre.signs.password != own and after["container-server"] != before["container-server"]
    assert server.read_text() == kept and after["fl-server"] == before["fl-server"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"accounts": {"anna": {"role": "person"}}}'])
def test_a_damaged_file_is_written_again(centre: Centre, content: str) -> None:
    centre.file.write_text(content)
    centre.signs.step()
    assert set(centre.accounts()) == {"container-server", "fl-server"}


def test_files_are_private_and_hold_the_password_of_fl_server_alone(centre: Centre) -> None:
    written = [path for path in centre.config.agent.parent.rglob("*") if path.is_file()]
    password = centre.config.tracking / "password"
    assert set(written) == {centre.file, password}
    assert all(os.stat(path).st_mode & 0o777 == 0o600 for path in written)  # noqa: PTH116
    assert not [path for path in written if centre.signs.password in path.read_text()]
    assert password.read_text() not in centre.file.read_text()


def test_so_many_people_and_no_more(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "MOST_PEOPLE", 2)
    for name in ("anna", "bert", "anna"):
        centre.signs.sign_in({"name": name, "sha256": SHA})
    with pytest.raises(RefusedInputError, match="2 people are signed in already"):
        centre.signs.sign_in({"name": "carla", "sha256": SHA})


def test_the_centre_writes_them_at_its_first_turn_and_answers_fedctl(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.centre.tick()
    answer = world.centre.commands.handlers()["sign-in"]({"name": "anna", "sha256": SHA})
    accounts = json.loads((world.centre_config.sign_in / "accounts.json").read_text())["accounts"]
    assert answer["name"] == "anna" and set(accounts) == {"anna", "container-server", "fl-server"}
