"""A version that a person promoted comes to every hospital, whose officers say whether it may be used."""

import json
from pathlib import Path

import pytest
from container_server.centre.agent import CentreAgent
from container_server.errors import RefusedInputError
from container_server.hospital import intake
from container_server.messages import MODELS, encode, model_archive
from container_server.model_package import ModelPackage

from tests.unit.support.workloads_world import World, code_of, job_files

PREDICTS = {
    "predictor": {
        "path": "pulse/predictor.py",
        "inputs": ["age"],
        "output": "risk",
        "example": {"age": 54},
    }
}


def trained(world: World, **changes: object) -> str:
    """The id of a job `heart` that has finished and left its numbers."""
    folder = world.centre_config.jobs / "heart"
    for path, text in {**job_files(**changes), "pulse/predictor.py": "def _load_pyfunc(folder): ..."}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    job_id = str(world.centre.commands.submit({"job": "heart"})["id"])
    left = world.centre_config.work / "jobs" / job_id
    (left / "status.json").write_text(json.dumps({"nvflare": "FINISHED:COMPLETED", "reason": ""}))
    (left / "progress.json").write_text(json.dumps({"job": "heart", "state": "finished", "history": []}))
    (left / "results" / "global").mkdir(parents=True)
    (left / "results" / "global" / "model.json").write_text('{"weights": [0.5, 1, 2]}')
    (left / "results" / "global" / "metrics.json").write_text("{}")
    return job_id


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def centre(world: World) -> CentreAgent:
    world.answer(approved=[code_of()])
    world.turn(10)
    return world.centre


def test_it_is_put_before_the_officers_and_usable_once_they_approve(
    world: World, centre: CentreAgent
) -> None:
    centre._champions.promoted("heart", "3", trained(world, **PREDICTS), "Dr Meier")
    world.turn(300)
    held = world.hospital.models.held["heart"]
    assert held.objection == "it waits for your officers' answer"
    assert (held.package.version, set(held.package.model)) == ("3", {"model.json"})
    (asked,) = [job for job in world.hospital.review()["jobs"] if job["code"] == held.code]
    assert (asked["name"], asked["submitter"], asked["answer"]) == (
        "model-heart",
        "Dr Meier",
        "waiting",
    )
    assert ModelPackage.read((world.record.folder / f"requests/{held.code}.zip").read_bytes()).name == "heart"
    world.answer(approved=[code_of(), held.code])
    world.turn(60)
    assert world.hospital.models.held["heart"].objection == ""
    world.answer(approved=[code_of(), held.code], refused={held.code: "not for children"})
    world.turn(60)
    assert "not for children" in world.hospital.models.held["heart"].objection


def test_one_that_is_retired_goes_from_the_hospital(world: World, centre: CentreAgent) -> None:
    centre._champions.promoted("heart", "3", trained(world, **PREDICTS), "Dr Meier")
    world.turn(300)
    (code,) = {held.code for held in world.hospital.models.held.values()}
    centre._champions.withdrawn("heart")
    world.turn(300)
    assert world.hospital.models.held == {}
    assert not (world.channel.folder / model_archive(code)).exists()


def test_the_centre_keeps_the_archives_of_todays_versions_alone(world: World, centre: CentreAgent) -> None:
    job = trained(world, **PREDICTS)
    for version in ("3", "4", "5"):
        centre._champions.promoted("heart", version, job, "Dr Meier")
        world.turn(300)
    (kept,) = world.centre_config.agent.rglob("champions/*.zip")
    assert ModelPackage.read(kept.read_bytes()).version == "5"
    centre._champions.withdrawn("heart")
    world.turn(300)
    assert not list(world.centre_config.agent.rglob("champions/*.zip"))


def test_another_version_that_is_retired_leaves_the_one_that_hospitals_have(
    world: World, centre: CentreAgent
) -> None:
    centre._champions.promoted("heart", "3", trained(world, **PREDICTS), "Dr Meier")
    centre._champions.withdrawn("heart", "2")
    centre._champions.withdrawn("pulse", "3")
    world.turn(300)
    assert set(world.hospital.models.held) == {"heart"}
    centre._champions.withdrawn("heart", "3")
    world.turn(300)
    assert world.hospital.models.held == {}


def test_the_archive_of_one_that_is_gone_goes_from_the_hospitals_disk(
    world: World, centre: CentreAgent
) -> None:
    """A centre that sends others each time would fill it."""
    job = trained(world, **PREDICTS)
    for version in ("3", "4"):
        centre._champions.promoted("heart", version, job, "Dr Meier")
        world.turn(300)
    (held,) = world.hospital.models.held.values()
    kept = world.hospital_config.agent / "models"
    assert [path.name for path in kept.iterdir()] == [f"{held.code}.zip"]


def test_none_is_fetched_beyond_what_may_be_asked_in_a_day(
    world: World, centre: CentreAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_QUESTIONS", 0)
    centre._champions.promoted("heart", "3", trained(world, **PREDICTS), "Dr Meier")
    world.turn(300)
    assert intake.FULL in world.hospital.models.fault
    assert world.hospital.models.held == {}
    assert not [call for call in world.channel.calls if call.startswith("read models/")]
    monkeypatch.setattr(intake, "MOST_QUESTIONS", 200)
    world.turn(300)
    assert set(world.hospital.models.held) == {"heart"}


def test_one_that_cannot_predict_is_not_given(world: World, centre: CentreAgent) -> None:
    with pytest.raises(RefusedInputError, match="no predictor"):
        centre._champions.promoted("heart", "3", trained(world), "Dr Meier")
    world.turn(30)
    assert not (world.channel.folder / MODELS).exists()


def test_a_hospital_takes_none_that_is_something_else_than_what_the_centre_calls_it(
    world: World, centre: CentreAgent
) -> None:
    centre._champions.promoted("heart", "3", trained(world, **PREDICTS), "Dr Meier")
    world.turn(30)
    (sent,) = (world.channel.folder / "models").iterdir()
    other = "ab" * 32
    world.channel.write(model_archive(other), sent.read_bytes())
    world.channel.write(MODELS, encode("models", {"models": [{"name": "heart", "code": other}]}))
    world.hospital.review()
    world.turn(30)
    assert "something else" in world.hospital.models.fault
    assert world.hospital.models.held == {}


def test_both_remember_what_they_have(world: World, centre: CentreAgent, tmp_path: Path) -> None:
    centre._champions.promoted("heart", "3", trained(world, **PREDICTS), "Dr Meier")
    world.turn(300)
    world.channel.calls.clear()
    world.centre, world.hospital = world.new_centre(), world.new_hospital()
    world.turn(300)
    assert set(world.hospital.models.held) == {"heart"}
    assert not [call for call in world.channel.calls if "models/" in call]


def test_a_hospital_that_comes_back_while_it_is_given_a_model_gets_it_again(
    world: World, centre: CentreAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its container is a new one when the writing ends: what was written went with the old one."""
    champions = centre._champions
    champions.promoted("heart", "3", trained(world, **PREDICTS), "Dr Meier")
    (hospital,) = champions._hospitals()
    write = type(champions._enrolments.channel(hospital).store).write

    def comes_back(store: object, name: str, content: bytes) -> None:
        write(store, name, content)  # type: ignore[arg-type]
        if name == MODELS:
            champions.forget(hospital)

    monkeypatch.setattr(type(champions._enrolments.channel(hospital).store), "write", comes_back)
    champions._give(hospital)
    assert champions._given[hospital] == {}
    monkeypatch.undo()
    champions._give(hospital)
    assert set(champions._given[hospital]) == {"heart"}
