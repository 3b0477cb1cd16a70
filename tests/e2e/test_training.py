"""The main job as a newcomer does it: up, train, look, meet faults, down; with everything where it belongs.

One federation for all of it, since it takes half a minute to come up; each test leaves it whole. Who may be
a member of one is tested in test_membership.py.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from emulator.control import Emulator
from emulator.datacentre.flows import Flow
from emulator.record import start_time
from tests.datacentre.cloud import descendants
from tests.e2e.own_clone import PATIENCE, Clone
from tests.e2e.running_federation import COMPUTE, Federation, files_of
from tests.resource_manager import ask
from tests.unit.support.workloads_pki import Root
from workloads.data import heart_data, reference
from workloads.jobs.heart.heart_job import model

HOSPITALS = ("cleveland", "hungary", "va-long-beach")
APPROVING = HOSPITALS[:2]
"""Those whose officers approve a job of one's own; it needs two."""
FL_PORT, HTTPS = 8002, 443
DISKS = "2023-04-02"
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "heart-rate"
MEASURES = """    if flare.is_evaluate():
        given = np.asarray(received.params["numpy_key"], dtype=float)
        flare.send(FLModel(metrics={"error": BEATS * float(np.abs(features @ given - pulse).mean())}))
        continue
"""
"""What the example's script needs more to measure models of others."""
READ_TABLES = """
import os
from azure.core.exceptions import HttpResponseError
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import ContainerClient
identity = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
for name in ("client-cleveland", "client-hungary", "server"):
    container = ContainerClient(os.environ["FED_HUB_STORAGE"], name, credential=identity)
    try:
        blob = container.download_blob("curated/fact_statistics.parquet")
        print(name, "read", blob.size > 0)
    except HttpResponseError as error:
        print(name, error.status_code)
"""
KNOCK = """
import json, urllib.error, urllib.request
api = "/api/2.0/mlflow"
alias = json.dumps(dict(name="heart", alias="champion", version="1")).encode()
asks = {"": None, api + "/experiments/get?experiment_id=99": None, api + "/registered-models/alias": alias}
for path, body in asks.items():
    asked = urllib.request.Request("http://127.0.0.1:5000" + path, body, dict(SIGNED))
    try:
        print(urllib.request.urlopen(asked).status)
    except urllib.error.HTTPError as refused:
        print(refused.code)
"""
"""Asks MLflow for a page, for an experiment that is not there, and to make a version the champion."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("federation"), machines=True)


@pytest.fixture(scope="module")
def before(clone: Clone) -> set[Path]:
    """What the clone consisted of before anything ran."""
    return files_of(clone)


@pytest.fixture(scope="module")
def federation(clone: Clone, before: set[Path]) -> Iterator[Federation]:
    with Federation.up(clone) as running:
        yield running


class Trained(NamedTuple):
    """The result of `fed train`, and everything that crossed the networks from the deployment to its end."""

    answer: dict[str, Any]
    flows: list[Flow]


@pytest.fixture(scope="module")
def trained(federation: Federation) -> Trained:
    answer = json.loads(federation.clone.fed("train", "--json", seconds=3 * PATIENCE).stdout)
    return Trained(answer, federation.datacentre.flows())


@pytest.fixture(scope="module")
def statistics(federation: Federation, trained: Trained) -> dict[str, Any]:
    """What the hospitals published before the training, as the centre alone has it."""
    (job,) = [job["id"] for job in federation.fedctl("jobs")["jobs"] if job["job"] == "statistics"]
    file = "centre/statistics.json"
    content: dict[str, Any] = json.loads(federation.results("centre", job, file)[file])
    return content


class TestStatistics:
    def test_means_are_those_of_all_patients_together(self, statistics: dict[str, Any]) -> None:
        everyone = model.join([model.read_patients(heart_data.seed(name).decode()) for name in HOSPITALS])
        for name in ("age", "chol", "oldpeak"):
            values = everyone.columns[name]
            known = values[values == values]
            assert statistics["global"][name]["count"] == len(known)
            # Hospitals round their sums, so that no patient shows in them.
            assert statistics["global"][name]["mean"] == pytest.approx(known.mean(), abs=0.02 * known.std())
            assert statistics["global"][name]["std"] == pytest.approx(known.std(), rel=0.01)

    def test_few_patients_are_never_published(self, statistics: dict[str, Any]) -> None:
        assert statistics["global"]["ca"]["hospitals"] == ["cleveland"]  # 3 and 2 values elsewhere
        for features in statistics["hospitals"].values():
            for statistic in features.values():
                assert statistic["count"] >= 10
                assert not [cell for cell in statistic.get("histogram", []) if 0 < cell[2] < 5]


class TestTraining:
    def test_every_hospital_takes_part_in_every_round(self, trained: Trained) -> None:
        assert trained.answer["state"] == "finished"
        assert trained.answer["round"] == trained.answer["rounds"] == 10
        assert set(trained.answer["hospitals"]) == set(HOSPITALS)
        assert not any(row.get("missed") for row in trained.answer["hospitals"].values())

    def test_model_is_as_good_as_pooling_and_better_than_each_hospitals_own(
        self, federation: Federation, trained: Trained
    ) -> None:
        file = "global/model.json"
        content = json.loads(federation.results("centre", trained.answer["id"], file)[file])
        scaling = model.Scaling(
            mean={name: pair[0] for name, pair in content["scaling"].items()},
            std={name: pair[1] for name, pair in content["scaling"].items()},
        )
        measured = reference.measure_global(content["weights"], scaling, HOSPITALS)
        pooled = reference.pooled(HOSPITALS)
        assert measured["federated"]["auc"] >= max(0.85, pooled["pooled"]["auc"] - 0.008)
        assert measured["federated"]["accuracy"] >= pooled["pooled"]["accuracy"] - 0.025
        assert measured["federated"]["brier"] <= pooled["pooled"]["brier"] + 0.003
        gains = {
            name: measured["hospitals"][name]["auc"] - entry["own_only"]["auc"]
            for name, entry in pooled["hospitals"].items()
        }
        assert sum(gains.values()) / 3 >= 0.01
        assert gains["va-long-beach"] >= 0.02

        reported = trained.answer
        for name in HOSPITALS:
            assert reported["hospitals"][name]["auc"] == pytest.approx(
                measured["hospitals"][name]["auc"], abs=1e-3
            )
        assert -0.005 <= measured["federated"]["auc"] - reported["global"]["auc_lower"] <= 0.06
        assert reported["global"]["mean_site_auc_gain"] >= 0.01

    def test_model_that_passes_its_gates_is_registered_with_its_version(
        self, federation: Federation, trained: Trained
    ) -> None:
        assert trained.answer["gates"]["passed"]
        assert trained.answer["model_version"] == "1"
        with federation.mlflow() as client:
            asked = client.get("/model-versions/get", params={"name": "heart", "version": "1"})
        assert asked.json()["model_version"]["source"].endswith("/model")

    def test_model_that_a_person_promoted_is_loaded_by_name_and_predicts(
        self, federation: Federation, trained: Trained
    ) -> None:
        federation.clone.fed("model", "promote", "heart", trained.answer["model_version"])
        shown = json.loads(federation.clone.fed("model", "show", "heart", "--json").stdout)
        assert shown["champion"] and shown["promoted_by"] and shown["job_id"] == trained.answer["id"]
        load = "import mlflow.pyfunc; m = mlflow.pyfunc.load_model('models:/heart@champion')"
        predict = f"{load}; print('risk', *m.predict(m.input_example))"
        name, password = federation.signed_in()
        signed = f"MLFLOW_TRACKING_USERNAME={name} MLFLOW_TRACKING_PASSWORD={password}"
        script = f'{signed} MLFLOW_TRACKING_URI=http://127.0.0.1:5000 python3 -c "{predict}"'
        said = federation.clone.fed("shell", "centre", "mlflow", "-c", script)
        assert 0 < float(said.stdout.split()[-1]) < 1

    def test_mlflow_has_the_federations_run_and_one_for_each_hospital(
        self, federation: Federation, trained: Trained
    ) -> None:
        runs = federation.mlflow_runs(trained.answer["id"])
        assert {run["info"]["status"] for run in runs} == {"FINISHED"}
        tags = {
            run["info"]["run_id"]: {tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in runs
        }
        run_of = {found.get("hospital", "global"): run for run, found in tags.items()}
        assert set(run_of) == {"global", *HOSPITALS}
        cleveland, overall = tags[run_of["cleveland"]], tags[run_of["global"]]
        assert cleveland["data_sha256"] == hashlib.sha256(heart_data.seed("cleveland")).hexdigest()
        assert cleveland["mlflow.parentRunId"] == run_of["global"]
        assert overall["gates"] == "passed"
        for name in ("job_checksum", "nvflare", "git_tree", "image", "rounds", "scaling_job"):
            assert overall[name]

    def test_artifacts_are_in_the_centres_own_container(
        self, federation: Federation, trained: Trained
    ) -> None:
        del trained
        listed = federation.read("centre", "server", "mlflow/")
        names = {name.rpartition("/artifacts/")[2] for name in listed}
        assert {"model/model.json", "model/metrics.json"} <= names, listed

    def test_each_hospital_gets_the_model_and_its_own_numbers_only(
        self, federation: Federation, trained: Trained
    ) -> None:
        found = federation.results("hungary", trained.answer["id"], "metrics.json")
        assert set(found) == {"model.json", "model.npy", "metrics.json", "hospital.json"}
        own = json.loads(found["hospital.json"])
        auc = {name: row["auc"] for name, row in trained.answer["hospitals"].items()}
        assert own["hospital"] == "hungary"
        assert own["own"]["auc"] == pytest.approx(auc["hungary"], abs=1e-4)
        text = b"".join(content for name, content in found.items() if name.endswith(".json")).decode()
        assert str(auc["cleveland"])[:6] not in text


class TestLooking:
    def test_status_tells_how_every_part_is_doing(self, federation: Federation, trained: Trained) -> None:
        health = json.loads(federation.clone.fed("status", "--json").stdout)["health"]
        assert health["registered"] == len(HOSPITALS)
        assert health["last_job"]["state"] == "finished"
        assert health["containers"].keys() == {"centre", *HOSPITALS}
        assert health["containers"]["centre"].keys() == {"container-server", "fl-server", "mlflow"}
        for name in HOSPITALS:
            assert health["containers"][name].keys() == {"container-server", "fl-client"}
            row = health["hospitals"][name]
            assert (row["enrolment"], row["state"], row["registered"]) == ("approved", "running", True)
            assert row["reported"] <= time.time() + 1
        words = {words for containers in health["containers"].values() for words in containers.values()}
        assert words <= {"running, healthy", "running, starting"}

    def test_jobs_are_listed(self, federation: Federation, trained: Trained) -> None:
        listed = json.loads(federation.clone.fed("jobs", "--json").stdout)["jobs"]
        assert trained.answer["id"] in {job["id"] for job in listed if job["job"] == "heart"}
        assert "statistics" in {job["job"] for job in listed}

    def test_a_shell_is_in_the_vm_or_in_a_container(self, federation: Federation) -> None:
        fed = federation.clone.fed
        assert fed("shell", "hungary", "-c", "hostname").stdout == "vm-fed-dev-hungary\n"
        assert fed("shell", "hungary", "fl-client", "-c", "ls /data").stdout == "heart.csv\nreadmission.csv\n"

    @pytest.mark.parametrize("container", ["container-server", "fl-server", "mlflow"])
    def test_nothing_on_the_centres_vm_reaches_mlflow_without_an_account(
        self, federation: Federation, container: str
    ) -> None:
        knock = KNOCK.replace("SIGNED", "")
        said = federation.clone.fed("shell", "centre", container, "-c", f"python3 -c '{knock}'").stdout
        assert said.split() == ["401", "401", "401"]

    def test_who_hears_the_hospitals_cannot_say_which_model_people_use(self, federation: Federation) -> None:
        signed = 'Authorization="Bearer " + open("/tracking/password").read()'
        promote = KNOCK.replace("SIGNED", signed)
        said = federation.clone.fed("shell", "centre", "fl-server", "-c", f"python3 -c '{promote}'").stdout
        assert said.split() == ["403", "404", "403"]  # no page, no such experiment, no promotion

    def test_a_person_reads_mlflow_and_changes_nothing(self, federation: Federation) -> None:
        with federation.mlflow() as client:
            assert client.get("/experiments/get-by-name", params={"experiment_name": "heart"}).is_success
            refused = client.post("/experiments/create", json={"name": "mine"})
        assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")

    def test_mlflow_opens_on_this_machines_loopback(self, federation: Federation) -> None:
        opened = federation.clone.start("open", "mlflow", "--port", "0")
        assert opened.stderr is not None
        try:
            page = re.search(r"(http://127\.0\.0\.1:\d+)/#/experiments/\d+/runs", opened.stderr.readline())
            said = re.search(r"sign in as (\S+) with (\S+), good until", opened.stderr.readline())
            assert page and said
            assert httpx.get(page[1]).status_code == 401
            assert "<title>MLflow</title>" in httpx.get(page[1], auth=(said[1], said[2])).text
        finally:
            opened.terminate()
            opened.communicate()


class TestDashboards:
    def test_every_party_gets_a_page_with_the_numbers_of_the_real_data(
        self, federation: Federation, trained: Trained
    ) -> None:
        made = json.loads(federation.clone.fed("dashboards", "--json").stdout)["pages"]
        assert set(made) == {"centre", *HOSPITALS}
        pages = {party: Path(path).read_text() for party, path in made.items()}
        va = trained.answer["hospitals"]["va-long-beach"]
        for party in ("centre", "va-long-beach"):
            assert f"<span>{va['auc']:.3f}</span>" in pages[party]
        assert '<p class="number">303</p>' in pages["cleveland"]  # its own, exactly
        assert '<p class="number">800</p>' in pages["centre"]  # 303, 294 and 200, to the nearest 5
        assert "<span>303</span>" not in pages["hungary"]

    def test_hospitals_page_could_be_made_of_nothing_but_its_own_tables(
        self, federation: Federation, trained: Trained
    ) -> None:
        del trained
        said = federation.python("cleveland", READ_TABLES)
        assert said.split("\n")[:3] == [
            "client-cleveland read True",
            "client-hungary 403",
            "server 403",
        ]

    def test_what_one_hospital_published_is_in_no_other_hospitals_container(
        self, federation: Federation, trained: Trained
    ) -> None:
        del trained
        containers = {name: federation.read(name, f"client-{name}", "") for name in ("cleveland", "hungary")}
        own = next(
            json.loads(content)["statistics"]
            for name, content in containers["cleveland"].items()
            if name.endswith("/hospital.json") and b'"statistics"' in content
        )
        published = f'"sum": {own["age"]["sum"]}'.encode()
        found = {
            name: any(published in content for content in blobs.values())
            for name, blobs in containers.items()
        }
        assert found == {"cleveland": True, "hungary": False}


class TestNothingLeaks:
    def test_nothing_crossed_the_networks_but_the_intended_connections(self, trained: Trained) -> None:
        passed = {
            (flow.source_name, flow.destination_name, flow.port) for flow in trained.flows if flow.passed
        }
        dropped = [flow for flow in trained.flows if not flow.passed]
        centre = {"storage", "registry"}
        intended = {("vm-fed-dev-centre", f"pep-fed-dev-centre-{part}", HTTPS) for part in centre}
        for name in HOSPITALS:
            vm = f"vm-fed-dev-{name}"
            intended |= {(vm, f"pep-fed-dev-centre-{part}", HTTPS) for part in centre}
            intended |= {(vm, f"pep-fed-dev-{name}-storage", HTTPS), (vm, "vm-fed-dev-centre", FL_PORT)}
        assert passed == intended
        assert not dropped

    def test_rows_of_a_hospital_are_on_its_own_disk_and_in_its_own_account_alone(
        self, federation: Federation, trained: Trained
    ) -> None:
        del trained
        outputs = federation.clone.outputs()["hospitals"]
        for hospital in HOSPITALS:
            row = heart_data.seed(hospital).splitlines()[1]
            holders = set(holders_of(row, federation.clone.home))
            account = outputs[hospital]["storageAccount"].rpartition("/")[2]
            disk = disk_of(federation, outputs[hospital]["vm"])
            assert holders == {f"blob {account}/data/heart.csv", f"disk {disk}/data/heart.csv"}


class TestTheClientsContainer:
    def test_reaches_the_server_and_neither_metadata_nor_storage(self, federation: Federation) -> None:
        script = (
            "import socket\n"
            "for a in (('10.10.0.4',8002),('169.254.169.254',80),('10.10.0.68',443),('10.10.2.4',22)):\n"
            "  try: socket.create_connection(a,1.0); print(a[0],'open')\n"
            "  except OSError as e: print(a[0],'closed')\n"
        )
        said = federation.python("cleveland", script, container="fl-client")
        assert said.split("\n")[:4] == [
            "10.10.0.4 open",
            "169.254.169.254 closed",
            "10.10.0.68 closed",
            "10.10.2.4 closed",
        ]


class TestFaults:
    def test_a_wrong_kit_or_wrong_data_stops_one_hospital_with_its_reason(
        self, federation: Federation, trained: Trained
    ) -> None:
        """At once: a root of somebody else's, a missing file, data of another shape."""
        del trained
        data = federation.container("rg-fed-dev-va-long-beach-data", "data")
        federation.run("cleveland", FOREIGN_ROOT)
        federation.run("hungary", "cd /var/lib/fed/kit/startup && mv client.crt /var/lib/fed/kept")
        federation.datacentre.upload(data, "heart.csv", b"age,sex\n63,unknown\n")
        try:
            for name in HOSPITALS:  # which looks at everything when it starts
                federation.run(name, "docker restart container-server")
            reasons = {
                "cleveland": r"startup kit: startup/rootCA\.pem: is SHA256:\S+, pinned is SHA256:",
                "hungary": r"startup kit: startup/client\.crt: missing",
                "va-long-beach": "running on the last good data; data: heart.csv is refused: the",
            }
            for name, reason in reasons.items():
                federation.wait(
                    lambda: re.match(reason, federation.hospital(name).get("reason", "")),  # noqa: B023
                    f"{name}: {reason}",
                )
                assert federation.hospital(name)["state"] == "degraded"
            assert federation.hospital("va-long-beach")["registered"]
            federation.wait(
                lambda: federation.hospital("cleveland")["client"] == "stopped", "the client stops"
            )
        finally:
            federation.run("cleveland", "cd /var/lib/fed && mv kept kit/startup/rootCA.pem")
            federation.run("cleveland", "cd /var/lib/fed && mv kept.json agent/manifest.json")
            federation.run("cleveland", "docker restart container-server")  # it has read the other manifest
            federation.run("hungary", "mv /var/lib/fed/kept /var/lib/fed/kit/startup/client.crt")
            federation.datacentre.upload(data, "heart.csv", heart_data.seed("va-long-beach"))
        federation.wait_registered()

    def test_hospitals_that_are_cut_off_or_die_cost_rounds_but_not_the_job(
        self, federation: Federation, trained: Trained
    ) -> None:
        """More rounds than this needs, so it is stopped at last."""
        del trained
        job = federation.submit(rounds=200, after=1)

        def missed(name: str) -> list[int]:
            now = federation.fedctl("job", job)
            assert now["state"] == "running", now
            rounds: list[int] = now["hospitals"][name].get("missed", [])
            return rounds

        def takes_part(name: str) -> bool:
            return federation.fedctl("job", job)["round"] - 1 not in missed(name)

        cut = federation.datacentre.inside(federation.machine("va-long-beach"), ["nft", "-f", "-"])
        subprocess.run(cut, input=CUT, text=True, check=True)
        try:
            federation.wait(lambda: len(missed("va-long-beach")) >= 2, "two rounds without the one cut off")
        finally:
            subprocess.run(cut, input="delete table ip cut", text=True, check=True)
        federation.wait(lambda: takes_part("va-long-beach"), "the hospital that was cut off takes part again")
        federation.run("hungary", "docker kill fl-client")
        federation.wait(lambda: len(missed("hungary")) >= 2, "two rounds without the one that died")
        assert missed("cleveland") == []
        assert takes_part("va-long-beach")
        federation.fedctl("abort", job)
        federation.wait(lambda: federation.fedctl("job", job)["state"] == "aborted", "the job is stopped")
        federation.wait_registered()

    def test_the_server_restarts_during_a_job_which_is_resumed(
        self, federation: Federation, trained: Trained, record_property: Any
    ) -> None:
        before = federation.fedctl("requests"), federation.fedctl("jobs")["jobs"]
        job = federation.submit(rounds=8, after=2)
        seconds = federation.restart("centre")
        record_property("seconds until everything was back", seconds)
        print(f"everything was back after {seconds:.0f} s")
        assert seconds < 90  # 30 on a machine that does nothing else

        lost, *earlier = federation.fedctl("jobs")["jobs"]
        assert (federation.fedctl("requests"), earlier) == before
        assert federation.mlflow_states(trained.answer["id"]) == {"FINISHED"}
        assert (lost["id"], lost["state"]) == (job, "failed")
        lost = federation.fedctl("job", job)
        assert "the server stopped" in lost["reason"]
        federation.wait(lambda: federation.mlflow_states(job) == {"FAILED"}, "MLflow knows")
        resumed: dict[str, Any] = json.loads(federation.clone.fed("train", "--resume", job, "--json").stdout)
        assert (resumed["state"], resumed["resumed_from"], resumed["round"]) == ("finished", job, 8)
        assert len(resumed["seconds"]) == 8 - lost["round"] + 1  # and the one that measures the model


class TestOwnJobs:
    """A data scientist's own code, dropped into the centre's container."""

    def drop(self, federation: Federation, name: str, files: dict[str, str]) -> dict[str, Any]:
        """Put a job into the inbox, and return the answer."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            for path, content in files.items():
                packed.writestr(f"{name}/{path}", content)
        inbox = federation.container("rg-fed-dev-centre", "inbox")
        federation.datacentre.upload(inbox, f"{name}.zip", archive.getvalue())
        answer = f"{name}.json"
        federation.wait(lambda: answer in federation.datacentre.blobs(inbox), "the inbox's answer")
        said: dict[str, Any] = json.loads(federation.read("centre", "inbox", answer)[answer])
        return said

    def approved(self, federation: Federation, name: str, files: dict[str, str]) -> dict[str, Any]:
        """Put a job into the inbox, have as many hospitals approve its code as it needs; how it ended."""
        job = self.drop(federation, name, files)["job_id"]
        codes = [self.code(federation, hospital, name) for hospital in HOSPITALS]
        waits = federation.fedctl("job", job)
        assert waits["state"] == "waiting"
        assert "0 of 2 hospitals needed have approved its code; it waits for cleveland" in waits["reason"]
        for hospital, code in zip(APPROVING, codes, strict=False):
            federation.clone.fed("hospital", "approve-job", hospital, code, "--by", "its officer")
        return federation.wait_job(job)

    def code(self, federation: Federation, hospital: str, name: str) -> str:
        """The checksum of a job that asked at a hospital, once its VM has noted that."""
        codes: list[str] = []

        def noted() -> bool:
            review = json.loads(federation.clone.fed("hospital", "review", hospital, "--json").stdout)
            codes[:] = [job["code"] for job in review["jobs"] if job["name"] == name]
            return bool(codes)

        federation.wait(noted, f"{name} in {hospital}'s list")
        (code,) = codes
        return code

    def example(self) -> dict[str, str]:
        return {
            str(path.relative_to(EXAMPLE)): path.read_text()
            for path in EXAMPLE.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    def test_the_example_of_the_documentation_runs_at_the_hospitals_that_have_approved_it(
        self, federation: Federation, trained: Trained
    ) -> None:
        del trained
        job = self.approved(federation, "heart-rate", self.example())
        assert (job["state"], job["round"]) == ("finished", 5)
        assert job["gates"]["passed"], job["gates"]
        assert sorted(job["hospitals"]) == sorted(APPROVING)
        assert "dropped" not in job

    @pytest.mark.long
    def test_an_approval_that_is_withdrawn_ends_a_job_there_and_the_others_go_on(
        self, federation: Federation, trained: Trained
    ) -> None:
        """A job runs where the centre knew of an approval as it started: that of the last has to be known."""
        del trained
        last = HOSPITALS[-1]
        first = self.approved(federation, "leaver", self.renamed("leaver"))["id"]
        code = self.code(federation, last, "leaver")
        federation.clone.fed("hospital", "approve-job", last, code, "--by", "its officer")
        federation.wait(lambda: last in federation.fedctl("show", first)["approved"], "the centre knows")
        job = federation.fedctl("submit", "--job", "leaver", "--rounds", "100")["id"]
        federation.wait(lambda: federation.fedctl("job", job)["round"] > 0, "the first round")
        federation.clone.fed("hospital", "withdraw", last, code, "--why", "our board changed its mind")

        def shown() -> dict[str, Any]:
            return federation.fedctl("job", job)

        said = {last: "its approval was withdrawn: our board changed its mind"}
        federation.wait(lambda: shown().get("withdrawn") == said, f"{last} ends it")
        federation.wait(lambda: last in shown().get("dropped", ()), "a round misses it")
        ended = shown()["round"]
        federation.wait(lambda: shown()["round"] > ended + 5, "rounds without it")
        assert shown()["seconds"][-1] < 5, "rounds still wait for it"
        federation.fedctl("abort", job)
        federation.wait(lambda: shown()["state"] == "aborted", "the job is stopped")

    @pytest.mark.long
    @pytest.mark.parametrize(
        ("workflow", "more"), [("sum", ""), ("cyclic", ""), ("cross-site", MEASURES), ("averaging", "")]
    )
    def test_each_workflow_runs(
        self, federation: Federation, trained: Trained, workflow: str, more: str
    ) -> None:
        del trained
        name = f"by-{workflow}"
        files = self.renamed(name)
        described = files["job.yaml"].replace("workflow: averaging", f"workflow: {workflow}")
        if workflow == "averaging":
            described += "aggregation: norm-bounded\nlongest: 0.1\nmeasuring_round: true\n"
        script = files["heart_rate_job/train.py"].replace("    weights = np", f"{more}    weights = np")
        gone = described.partition("gates:")[0] if workflow == "sum" else described
        job = self.approved(federation, name, {"job.yaml": gone, "heart_rate_job/train.py": script})
        assert (job["state"], job["round"]) == ("finished", 5), job
        assert sorted(job["hospitals"]) == sorted(APPROVING)
        assert "dropped" not in job
        if workflow == "cross-site":
            left = federation.results("centre", job["id"], "centre/cross_site.json")
            found = json.loads(left["centre/cross_site.json"])
            assert sorted(found) == sorted(("federation", *APPROVING))
            assert all(sorted(measured) == sorted(APPROVING) for measured in found.values())

    def renamed(self, name: str) -> dict[str, str]:
        """The example as a job of another name."""
        return {
            path: text.replace("name: heart-rate", f"name: {name}") for path, text in self.example().items()
        }

    def test_one_that_sends_whole_weights_runs_as_if_it_sent_their_difference(
        self, federation: Federation, trained: Trained
    ) -> None:
        del trained
        files = {
            path.replace("heart_rate_job", "whole_job"): text.replace("heart_rate_job", "whole_job")
            .replace("name: heart-rate", "name: whole")
            .replace("TransferType.DIFF", "TransferType.FULL")
            .replace("ParamsType.DIFF", "ParamsType.FULL")
            .replace('{"numpy_key": -step}', '{"numpy_key": weights - step}')
            for path, text in self.example().items()
        }
        job = self.approved(federation, "whole", files)
        assert (job["state"], job["gates"]["passed"]) == ("finished", True), job

    def test_one_that_was_refused_is_told_why(self, federation: Federation, trained: Trained) -> None:
        del trained
        files = {
            path: text.replace("heart_rate_job", "purposeless_job").replace(
                "name: heart-rate", "name: purposeless"
            )
            for path, text in self.example().items()
        }
        files = {path.replace("heart_rate_job", "purposeless_job"): text for path, text in files.items()}
        asked = self.drop(federation, "purposeless", files)["job_id"]
        for hospital in APPROVING:
            code = self.code(federation, hospital, "purposeless")
            federation.clone.fed("hospital", "refuse-job", hospital, code, "--why", "it has no purpose")
        job = federation.wait_job(asked)
        assert (job["state"], "it has no purpose" in job["reason"]) == ("failed", True)

    def test_a_mistake_is_named_and_code_for_the_centre_is_none(
        self, federation: Federation, trained: Trained
    ) -> None:
        del trained
        files = {
            "job.yaml": "name: broken\npurpose: none\nbuild: broken_job:build",
            "broken_job.py": "def build(r): 1 / 0",
        }
        said = self.drop(federation, "broken", files)["error"]
        assert "broken/job.yaml: $: Additional properties are not allowed ('build' was unexpected)" in said


class TestDown:
    """Last, because it takes the federation down."""

    def test_nothing_is_left_behind(self, federation: Federation, before: set[Path]) -> None:
        datacentre, home = federation.datacentre, federation.clone.home
        runtime = datacentre.settings.runtime
        ours = [datacentre.pid, *descendants(datacentre.pid), federation.clone.emulator().record.pid]
        networks = {network for pid in ours for network in networks_of(pid)} - networks_of(os.getpid())
        assert len(ours) > 20
        assert len(networks) > 10
        federation.clone.fed("down")
        assert not [pid for pid in ours if start_time(pid)]
        assert not federation.clone.processes()
        everybody = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        federation.wait(lambda: not any(networks & networks_of(pid) for pid in everybody), "no network left")
        mounts = Path("/proc/self/mounts").read_text()
        assert str(home) not in mounts
        assert str(runtime) not in mounts
        assert not runtime.exists()
        assert not home.exists()
        assert files_of(federation.clone) == before


CUT = """
table ip cut {
  chain forward { type filter hook forward priority -10; policy drop; }
  chain output { type filter hook output priority -10; policy drop; }
}
"""
FOREIGN_ROOT = f"""
cd /var/lib/fed
cp -p kit/startup/rootCA.pem kept
cp -p agent/manifest.json kept.json
old=$(sha256sum kept | cut -d' ' -f1)
cat > kit/startup/rootCA.pem <<END
{Root.new().pem.decode()}END
new=$(sha256sum kit/startup/rootCA.pem | cut -d' ' -f1)
sed "s/$old/$new/" kept.json > agent/manifest.json
"""
"""Another root, with a manifest that agrees: only the pinned fingerprint tells it."""


def networks_of(pid: int) -> set[str]:
    """Return the network namespaces that a process is in or holds open."""
    found = set()
    for link in (Path(f"/proc/{pid}/ns/net"), *Path(f"/proc/{pid}/fd").glob("*")):
        try:
            target = str(link.readlink())
        except OSError:  # the process or the descriptor is gone
            continue
        found |= {target} if target.startswith("net:") else set()
    return found


def holders_of(content: bytes, home: Path) -> Iterator[str]:
    """Yield everything of an emulator that holds some content; a blob by its account, container and name."""
    state = home / "datacentre"
    for file in home.rglob("*"):
        if file.is_symlink() or not file.is_file() or content not in (whole := content_of(file)):
            continue
        if file.is_relative_to(state / "blobs"):
            starts = (match.start() for match in re.finditer(re.escape(content), whole))
            blobs = (blob_at(state / "blobs", file.name, start) for start in starts)
            yield from (f"blob {blob}" for blob in blobs if blob)
        elif file.is_relative_to(state / "disks"):
            yield f"disk {file.relative_to(state / 'disks')}"
        else:
            yield str(file.relative_to(home))


def blob_at(folder: Path, extent: str, position: int) -> str | None:
    """Return which blob lies at a position of one of Azurite's files, from its own index."""
    index = json.loads((folder / "__azurite_db_blob__.json").read_text())
    blobs = next(each for each in index["collections"] if each["name"] == "$BLOBS_COLLECTION$")["data"]
    for blob in blobs:
        place = blob["persistency"]
        if place["id"] == extent and place["offset"] <= position < place["offset"] + place["count"]:
            return f"{blob['accountName']}/{blob['containerName']}/{blob['name']}"
    return None


def disk_of(federation: Federation, vm: str) -> str:
    """Return the folder of a VM's data disk."""
    emulator: Emulator = federation.clone.emulator()
    machine = ask(emulator, "GET", vm, api_version=COMPUTE).json()
    disk = machine["properties"]["storageProfile"]["dataDisks"][0]["managedDisk"]["id"]
    unique = ask(emulator, "GET", disk, api_version=DISKS).json()["properties"]["uniqueId"]
    return str(unique)


def content_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # a log that was rotated meanwhile
        return b""
