"""A federation of three hospitals with real NVFlare and MLflow on loopback: enrolment, training, faults.

Reachability, identities and containers are the fabric's tests; here it is what the images' own code does.
"""

import io
import json
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from container_server.hospital.state import State

from tests.e2e.loopback import HOSPITALS, Federation, Program
from tests.unit.workloads_pki import request_archive
from workloads.data import heart_data, reference
from workloads.jobs.heart.heart_job import model

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "heart-rate"


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    federation = Federation(tmp_path_factory.mktemp("federation"))
    try:
        federation.start_centre()
        for name in HOSPITALS:
            federation.start_hospital(name)
        federation.wait_registered(3)
        yield federation
    finally:
        federation.end()


@pytest.fixture(scope="module")
def statistics(federation: Federation) -> Any:
    return federation.wait_job(federation.fedctl("submit", job="statistics")["id"])


@pytest.fixture(scope="module")
def trained(federation: Federation, statistics: Any) -> Any:
    return federation.wait_job(federation.fedctl("submit", job="heart", rounds=10)["id"])


def results(federation: Federation, job_id: str, container: str = "server") -> Path:
    inner = "results/global" if container == "server" else ""
    return federation.store(container).folder / "results" / job_id / inner


def wait_results(federation: Federation, job_id: str) -> None:
    last = results(federation, job_id, f"client-{HOSPITALS[-1]}") / "metrics.json"
    federation.wait("results handed on", last.is_file)


def published_statistics(federation: Federation, job_id: str) -> dict[str, Any]:
    """What the hospitals published, as the centre alone has it."""
    file = results(federation, job_id).parent / "centre" / "statistics.json"
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def mlflow(federation: Federation, path: str, **body: Any) -> Any:
    url = f"http://127.0.0.1:{federation.mlflow_port}/api/2.0/mlflow/{path}"
    answer = httpx.post(url, json=body, timeout=20) if body else httpx.get(url, timeout=20)
    answer.raise_for_status()
    return answer.json()


def runs_of(federation: Federation, experiment: str, job_id: str) -> list[dict[str, Any]]:
    found = mlflow(federation, f"experiments/get-by-name?experiment_name={experiment}")["experiment"]
    runs: list[dict[str, Any]] = mlflow(
        federation,
        "runs/search",
        experiment_ids=[found["experiment_id"]],
        filter=f"tags.job_id = '{job_id}'",
        max_results=100,
    )["runs"]
    return runs


def tags_of(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


class TestStatistics:
    def test_means_are_those_of_all_patients_together(self, federation: Federation, statistics: Any) -> None:
        assert statistics["state"] == "finished"
        wait_results(federation, statistics["id"])
        content = published_statistics(federation, statistics["id"])
        everyone = model.join([model.read_patients(heart_data.seed(name).decode()) for name in HOSPITALS])
        for name in ("age", "chol", "oldpeak"):
            values = everyone.columns[name]
            known = values[values == values]
            assert content["global"][name]["count"] == len(known)
            assert content["global"][name]["mean"] == pytest.approx(known.mean(), rel=1e-4)
            assert content["global"][name]["std"] == pytest.approx(known.std(), rel=1e-3)

    def test_few_patients_are_never_published(self, federation: Federation, statistics: Any) -> None:
        wait_results(federation, statistics["id"])
        content = published_statistics(federation, statistics["id"])
        assert content["global"]["ca"]["hospitals"] == ["cleveland"]  # 3 and 2 values elsewhere
        for features in content["hospitals"].values():
            for statistic in features.values():
                assert statistic["count"] >= 10
                assert not [cell for cell in statistic.get("histogram", []) if 0 < cell[2] < 5]


class TestTraining:
    def test_it_is_as_good_as_pooling_and_better_than_each_alone(
        self, federation: Federation, trained: Any
    ) -> None:
        assert (trained["state"], trained["round"]) == ("finished", 10), trained
        wait_results(federation, trained["id"])
        content = json.loads((results(federation, trained["id"]) / "model.json").read_text())
        scaling = model.Scaling(
            mean={name: pair[0] for name, pair in content["scaling"].items()},
            std={name: pair[1] for name, pair in content["scaling"].items()},
        )
        federated = reference.measure_global(content["weights"], scaling, HOSPITALS)
        pooled = reference.pooled(HOSPITALS)
        assert federated["federated"]["auc"] >= pooled["pooled"]["auc"] - 0.008
        assert federated["federated"]["auc"] >= 0.85
        assert federated["federated"]["accuracy"] >= pooled["pooled"]["accuracy"] - 0.02
        assert federated["federated"]["brier"] <= pooled["pooled"]["brier"] + 0.003
        gains = {
            name: federated["hospitals"][name]["auc"] - entry["own_only"]["auc"]
            for name, entry in pooled["hospitals"].items()
        }
        assert sum(gains.values()) / 3 >= 0.01
        assert gains["va-long-beach"] >= 0.02

    def test_what_the_hospitals_report_is_what_the_model_does(
        self, federation: Federation, trained: Any
    ) -> None:
        wait_results(federation, trained["id"])
        content = json.loads((results(federation, trained["id"]) / "model.json").read_text())
        scaling = model.Scaling(
            mean={name: pair[0] for name, pair in content["scaling"].items()},
            std={name: pair[1] for name, pair in content["scaling"].items()},
        )
        measured = reference.measure_global(content["weights"], scaling, HOSPITALS)
        for name in HOSPITALS:
            assert trained["hospitals"][name]["auc"] == pytest.approx(
                measured["hospitals"][name]["auc"], abs=1e-3
            )
        lower = trained["global"]["auc_lower"]
        assert measured["federated"]["auc"] - 0.06 <= lower <= measured["federated"]["auc"] + 0.005

    def test_each_hospital_gets_the_model_and_its_own_numbers_only(
        self, federation: Federation, trained: Any
    ) -> None:
        wait_results(federation, trained["id"])
        folder = results(federation, trained["id"], "client-hungary")
        assert {path.name for path in folder.iterdir()} == {
            "model.json",
            "model.npy",
            "metrics.json",
            "hospital.json",
        }
        text = "".join(path.read_text() for path in folder.glob("*.json"))
        own = json.loads((folder / "hospital.json").read_text())
        assert own["hospital"] == "hungary"
        assert own["own"]["auc"] == pytest.approx(trained["hospitals"]["hungary"]["auc"], abs=1e-4)
        assert str(trained["hospitals"]["cleveland"]["auc"])[:6] not in text

    def test_mlflow_has_the_federations_run_and_one_for_each_hospital(
        self, federation: Federation, trained: Any
    ) -> None:
        runs = runs_of(federation, "heart", trained["id"])
        assert {run["info"]["status"] for run in runs} == {"FINISHED"}
        by_hospital = {tags_of(run).get("hospital", "global"): run for run in runs}
        assert set(by_hospital) == {"global", *HOSPITALS}
        tags = tags_of(by_hospital["cleveland"])
        assert tags["data_sha256"] == federation.agents["cleveland"].report()["data"]["heart.csv"]["sha256"]
        assert tags["mlflow.parentRunId"] == by_hospital["global"]["info"]["run_id"]
        overall = tags_of(by_hospital["global"])
        assert overall["gates"] == "passed"
        for name in ("job_checksum", "nvflare", "git_revision", "image", "rounds", "scaling_job"):
            assert overall[name]

    def test_a_model_that_passes_its_gates_is_registered_with_its_version(
        self, federation: Federation, trained: Any
    ) -> None:
        assert trained["gates"]["passed"]
        assert trained["model_version"] == "1"
        version = mlflow(federation, "model-versions/get?name=heart&version=1")["model_version"]
        assert version["source"].endswith("/model")

    def test_no_hospitals_rows_are_anywhere_but_with_it(self, federation: Federation, trained: Any) -> None:
        wait_results(federation, trained["id"])
        for name in HOSPITALS:
            row = heart_data.seed(name).decode().splitlines()[5].encode()
            homes = (federation.folder / name, federation.folder / "blobs" / f"data-{name}")
            for path in federation.folder.rglob("*"):
                if path.is_file() and not any(path.is_relative_to(home) for home in homes):
                    assert row not in path.read_bytes(), path


class TestFaults:
    def started(self, federation: Federation, rounds: int, after: int) -> str:
        job_id = str(federation.fedctl("submit", job="heart", rounds=rounds)["id"])
        federation.wait(f"round {after}", lambda: federation.fedctl("job", id=job_id)["round"] >= after)
        return job_id

    def test_a_job_survives_the_servers_death_by_being_resumed(
        self, federation: Federation, statistics: Any
    ) -> None:
        job_id = self.started(federation, rounds=6, after=2)
        assert federation.centre is not None
        federation.centre.engine.kill("fl-server")
        assert federation.fedctl("status")["registered"] == 0
        federation.wait_registered(3)
        lost = federation.wait_job(job_id)
        assert lost["state"] == "failed"
        assert "the server stopped" in lost["reason"]
        finished = federation.wait_job(federation.fedctl("resume", id=job_id)["id"])
        assert (finished["state"], finished["resumed_from"]) == ("finished", job_id)
        assert len(finished["seconds"]) == 6 - lost["round"] + 1

    def test_a_client_that_dies_costs_rounds_but_not_the_job(
        self, federation: Federation, statistics: Any
    ) -> None:
        job_id = self.started(federation, rounds=5, after=2)
        federation.hospitals["hungary"].engine.kill("fl-client")
        finished = federation.wait_job(job_id)
        assert finished["state"] == "finished"
        assert finished["hospitals"]["hungary"]["missed"]
        assert "missed" not in finished["hospitals"]["cleveland"]
        federation.wait_registered(3)

    def test_an_absent_hospital_does_not_hold_up_the_others(
        self, federation: Federation, statistics: Any
    ) -> None:
        federation.fedctl("revoke", hospital="va-long-beach", reason="absent")
        try:
            federation.wait_registered(2)
            job = federation.wait_job(federation.fedctl("submit", job="heart", rounds=2)["id"])
            assert (job["state"], sorted(job["hospitals"])) == ("finished", ["cleveland", "hungary"])
        finally:
            federation.fedctl("approve", hospital="va-long-beach")
        federation.wait_registered(3)

    def test_a_damaged_kit_stops_one_client_with_its_reason(self, federation: Federation) -> None:
        kit = federation.folder / "cleveland" / "kit" / "local" / "privacy.json"
        content = kit.read_bytes()
        kit.write_text("{}")
        agent = federation.agents["cleveland"]
        try:
            federation.wait("degraded", lambda: agent.decision.state is State.DEGRADED)
            assert "local/privacy.json: changed since it was assembled" in agent.decision.reason
        finally:
            kit.write_bytes(content)
        federation.wait("running again", lambda: agent.decision.state is State.RUNNING)

    def test_aborted_is_aborted(self, federation: Federation, statistics: Any) -> None:
        job_id = self.started(federation, rounds=40, after=1)
        federation.fedctl("abort", id=job_id)
        assert federation.wait_job(job_id)["state"] == "aborted"


class TestAdmission:
    def test_a_renewed_certificate_retires_the_old_one(self, federation: Federation, tmp_path: Path) -> None:
        agent, home = federation.agents["hungary"], federation.folder / "hungary"
        shutil.copytree(home / "kit", tmp_path / "kit")
        before = agent.report()["certificate"]
        federation.fedctl("renew", hospital="hungary")
        federation.wait("new certificate", lambda: agent.report()["certificate"] != before)
        federation.wait("running", lambda: agent.decision.state is State.RUNNING)
        # A thief uses the old kit while the hospital is off: two clients of one name cannot be connected at
        # once.
        engine = federation.hospitals["hungary"].engine
        program = engine.programs["fl-client"]
        federation.hospitals["hungary"].off()
        environment = {**program.environment, "FED_KIT": str(tmp_path / "kit"), "FED_WORK": str(tmp_path)}
        engine.programs["thief"] = Program(program.arguments, tmp_path, environment)
        engine.start("thief")
        log = federation.folder / "logs" / "centre" / "fl-server.log"
        try:
            federation.wait("refusal", lambda: "is not the one last approved for hungary" in log.read_text())
            assert not (tmp_path / "health.json").exists()
        finally:
            engine.end_all()
            federation.start_hospital("hungary")
        federation.wait_registered(3)

    def test_a_hospital_that_leaves_is_cut_off_within_seconds(self, federation: Federation) -> None:
        federation.members.discard("va-long-beach")
        try:
            federation.wait_registered(2)
        finally:
            federation.members.add("va-long-beach")
        federation.wait_registered(3)

    @pytest.mark.parametrize("asked", [{"cert_type": "lead", "cert_role": "lead"}, {"name": "hungary"}])
    def test_a_hospital_cannot_become_somebody_else(
        self, federation: Federation, asked: dict[str, str]
    ) -> None:
        federation.store("client-cleveland").write(
            "enrol/request.zip", request_archive("cleveland", request_id=f"evil{time.time_ns()}", **asked)
        )
        decision = federation.store("client-cleveland").folder / "enrol" / "decision.json"
        federation.wait("refused", lambda: "evil" in decision.read_text())
        assert json.loads(decision.read_text())["decision"] == "refused"
        assert federation.fedctl("status")["registered"] == 3


class TestOwnJobs:
    def drop(self, federation: Federation, name: str, files: dict[str, str]) -> Any:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for path, content in files.items():
                archive.writestr(f"{name}/{path}", content)
        answer = federation.store("server").folder / "inbox" / f"{name}.json"
        federation.store("server").write(f"inbox/{name}.zip", stream.getvalue())
        federation.wait("the inbox's answer", answer.is_file)
        return json.loads(answer.read_text())

    def example(self) -> dict[str, str]:
        return {
            str(path.relative_to(EXAMPLE)): path.read_text()
            for path in EXAMPLE.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    def test_the_example_of_the_documentation_runs_from_the_inbox(self, federation: Federation) -> None:
        answer = self.drop(federation, "heart-rate", self.example())
        job = federation.wait_job(answer["job_id"])
        assert (job["state"], job["round"]) == ("finished", 5)
        assert job["gates"]["passed"], job["gates"]
        assert sorted(job["hospitals"]) == sorted(HOSPITALS)

    def test_a_job_that_sends_whole_weights_is_stopped_by_the_hospitals(self, federation: Federation) -> None:
        files = {
            path.replace("heart_rate_job", "whole_job"): text.replace("heart_rate_job", "whole_job")
            .replace("name: heart-rate", "name: whole")
            .replace("TransferType.DIFF", "TransferType.FULL")
            .replace("ParamsType.DIFF", "ParamsType.FULL")
            for path, text in self.example().items()
        }
        job = federation.wait_job(self.drop(federation, "whole", files)["job_id"])
        assert job["state"] == "failed"
        log = (federation.folder / "logs" / "cleveland" / "fl-client.log").read_text()
        assert "differences of weights only" in log

    def test_a_broken_job_is_refused_with_the_authors_own_error(self, federation: Federation) -> None:
        files = {"job.yaml": "name: broken\nbuild: broken_job:build", "broken_job.py": "def build(r): 1 / 0"}
        assert "ZeroDivisionError" in self.drop(federation, "broken", files)["error"]
