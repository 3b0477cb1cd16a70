"""One hospital of three answers as an attacker would; the others' jobs go on, and it is named.

Its client is the platform's own with tests/unit/support/hostile_answers.py in its image, which does what an
order in the client's volume says; at the other hospitals it does nothing. All modes of an answer are in one
job, one a round.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.own_clone import Clone
from tests.e2e.running_federation import Federation
from tests.unit.support import hostile_answers
from tests.unit.support.hostile_answers import BOUNDED, MESSAGES, ORDERS, REFUSED

pytestmark = pytest.mark.long

HOSTILE = "hungary"
HONEST = {"cleveland", "va-long-beach"}
TAKEN_OVER = f"""

from fed_site.hostile_answers import taken_over

Airlock.process = taken_over(Airlock.process, {HOSTILE!r}, WORK, _ROUND)
"""
UNSENT = {"objects", "a metric without end"}
"""What NVFlare's serializer, which both ends use, has no form for."""
NAMED = {mode: named for mode, (_, named) in (*REFUSED.items(), *MESSAGES.items())}
ORDER = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    clone = Clone(tmp_path_factory.mktemp("hostile"), machines=True)
    package = clone.root / "workloads" / "fl_client" / "fed_site"
    (package / "hostile_answers.py").write_text(Path(hostile_answers.__file__).read_text())
    with (package / "filters.py").open("a") as file:
        file.write(TAKEN_OVER)
    with Federation.up(clone) as running:
        running.wait_job(str(running.fedctl("submit", "--job", "statistics")["id"]))  # honest: heart needs it
        yield running


def order(federation: Federation, **modes: str) -> None:
    """Have the hostile client answer so: round -> mode."""
    arguments = (f"/var/lib/fl/{ORDERS}", json.dumps(modes))
    federation.python(HOSTILE, ORDER, *arguments, container="fl-client")


def history(federation: Federation, job: str) -> list[dict[str, Any]]:
    """Return the rounds of a job, as the centre has them among its results."""
    blob = f"{job}/progress.json"
    found: dict[str, bytes] = {}

    def arrived() -> bool:
        found.update(federation.read("centre", "results", blob))
        return blob in found

    federation.wait(arrived, f"the progress of {job}")
    rounds: list[dict[str, Any]] = json.loads(found[blob])["history"]
    return rounds


def test_a_job_survives_each_hostile_answer_and_names_whose_it_was(federation: Federation) -> None:
    modes = [mode for mode in (*REFUSED, *MESSAGES) if mode not in UNSENT]
    order(federation, **{str(number): mode for number, mode in enumerate(modes)})
    job = federation.wait_job(federation.submit(rounds=len(modes)))
    assert job["state"] == "finished", job
    rounds = history(federation, job["id"])
    said = {modes[entry["round"]]: entry.get("dropped", {}) for entry in rounds[: len(modes)]}
    print(json.dumps(said, indent=1))
    assert {mode: set(dropped) for mode, dropped in said.items()} == {mode: {HOSTILE} for mode in modes}
    for mode, dropped in said.items():
        assert NAMED[mode] in dropped[HOSTILE], mode
    assert all(set(entry["sites"]) >= HONEST for entry in rounds)
    assert set(rounds[-1]["sites"]) == HONEST | {HOSTILE}, "an honest answer counts again"
    assert HOSTILE in job["dropped"]
    assert HOSTILE in federation.clone.fed("jobs", "logs", job["id"]).stdout
    (run,) = [run for run in federation.mlflow_runs(job["id"]) if "dropped" in str(run["data"]["tags"])]
    assert f"dropped.{HOSTILE}" in {tag["key"] for tag in run["data"]["tags"]}


@pytest.mark.parametrize("mode", BOUNDED)
def test_a_takeover_that_no_answer_gives_away_does_not_pass_the_gates(
    federation: Federation, mode: str
) -> None:
    order(federation, **{"*": mode})
    job = federation.wait_job(federation.submit(rounds=10))
    print(json.dumps(job))
    assert job["state"] == "finished"
    assert not job["gates"]["passed"]
    assert job["model_version"] is None


def test_a_takeover_by_false_numbers_is_a_job_of_the_others(federation: Federation) -> None:
    order(federation, **{"*": "takeover"})
    job = federation.wait_job(federation.submit(rounds=10))
    assert job["state"] == "finished"
    assert set(history(federation, job["id"])[-1]["sites"]) == HONEST
    assert "is 'many', expected a number" in job["hospitals"][HOSTILE]["dropped"]["reason"]
    assert job["global"]["auc_lower"] < 0.95


def test_statistics_go_on_without_what_cannot_be_read(federation: Federation) -> None:
    order(federation, **{"*": "bytes that are no statistics"})
    job = federation.wait_job(str(federation.fedctl("submit", "--job", "statistics")["id"]))
    assert job["state"] == "finished", job
    file = "centre/statistics.json"
    content = json.loads(federation.results("centre", job["id"], file)[file])
    assert set(content["hospitals"]) == HONEST
    assert HOSTILE in job["dropped"]
