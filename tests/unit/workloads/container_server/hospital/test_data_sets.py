"""A data set that no release has: its schema, put by a hospital's officers into their container `policy`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from container_server.hospital import data_sets as hospital_data_sets
from container_server.hospital.data_sets import DataSets
from container_server.storage import StorageForbiddenError

from tests.unit.support.data_sets import package
from tests.unit.support.workloads_fakes import FolderStore
from tests.unit.support.workloads_world import World

AGE = {"name": "age", "type": "integer", "constraints": {"maximum": 120}}
STAY = package(AGE, name="stay")


@pytest.fixture
def policy(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "policy")


@pytest.fixture
def noted() -> list[tuple[str, Mapping[str, Any]]]:
    return []


@pytest.fixture
def data_sets(policy: FolderStore, noted: list[Any]) -> DataSets:
    return DataSets(policy, lambda event, content: noted.append((event, content)))


def put(store: FolderStore, name: str, content: Any) -> None:
    store.write(f"datasets/{name}.json", json.dumps(content).encode())


def names(data_sets: DataSets) -> set[str]:
    assert data_sets.known is not None
    return {one.name for one in data_sets.known}


def test_what_officers_put_there_is_known_and_in_the_record(
    policy: FolderStore, data_sets: DataSets, noted: list[Any]
) -> None:
    assert data_sets.step()
    assert names(data_sets) == {"heart", "readmission"}
    put(policy, "stay", STAY)
    assert data_sets.step()
    assert names(data_sets) == {"heart", "readmission", "stay"}
    assert data_sets.known is not None
    stay = data_sets.known.named("stay")
    assert stay is not None
    assert noted == [("dataset", {"name": "stay", "version": "1.0", "sha256": stay.sha256})]
    policy.calls.clear()
    assert not data_sets.step()
    assert policy.calls == ["list datasets/"]
    policy.delete("datasets/stay.json")
    assert data_sets.step()
    assert names(data_sets) == {"heart", "readmission"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("stay", [], "policy/datasets/stay.json: the whole"),
        ("other", STAY, "it is of the data set stay. Fix: datasets/stay.json"),
        ("heart", package(AGE, name="heart"), "the release has a data set heart. Fix: "),
        ("stay", STAY | {"title": "x" * 300_000}, "bytes, at most"),
    ],
)
def test_a_wrong_one_adds_nothing_and_is_named(
    policy: FolderStore, data_sets: DataSets, noted: list[Any], name: str, content: Any, said: str
) -> None:
    put(policy, name, content)
    data_sets.step()
    assert names(data_sets) == {"heart", "readmission"}
    assert said in data_sets.fault
    assert noted == []
    policy.delete(f"datasets/{name}.json")
    data_sets.step()
    assert data_sets.fault == ""


def test_more_than_are_read_are_named(
    policy: FolderStore, data_sets: DataSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hospital_data_sets, "MOST", 1)
    for name in ("one", "two"):
        put(policy, name, package(AGE, name=name))
    data_sets.step()
    assert "holds 2 files, and the first 1 are read" in data_sets.fault


class TestHospital:
    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return World(tmp_path)

    def test_checks_its_files_by_it_at_once(self, world: World) -> None:
        world.data.write("stay.csv", b"age\n61\n130\n")
        world.turn(60)
        assert "stay.csv" in world.report()["data"], "of no data set: taken unchecked"
        put(world.store("policy"), "stay", STAY)
        world.turn(40)
        assert world.reason.startswith("running on the last good data; data: stay.csv is refused")
        world.data.write("stay.csv", b"age\n61\n62\n")
        world.turn(40)
        assert world.report()["data"]["stay.csv"]["rows"] == 10
        assert "remarks" not in world.reason

    def test_stages_nothing_before_it_knows_them(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Else a file whose schema is there, and cannot be read yet, would be taken unchecked."""
        listing: Callable[[str], Any] = world.store("policy").list

        def refused(prefix: str = "") -> Any:
            if prefix.startswith("datasets/"):
                raise StorageForbiddenError("the role has not spread")
            return listing(prefix)

        monkeypatch.setattr(world.store("policy"), "list", refused)
        world.turn(30)
        assert not (world.hospital_config.data / "heart.csv").exists()
        monkeypatch.setattr(world.store("policy"), "list", listing)
        world.turn(90)
        assert (world.hospital_config.data / "heart.csv").exists()
