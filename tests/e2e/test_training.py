"""The main job as a newcomer does it: up, train, look, meet faults, down; with everything where it belongs.

One federation for all of it, since it takes half a minute to come up; each test leaves it whole. What the
images' own code does in further faults is tested on loopback (test_federation_loopback.py).
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from emulator.control import Emulator
from emulator.fabric.control import Fabric
from emulator.fabric.flows import Flow
from emulator.record import start_time
from tests.e2e.clone import PATIENCE, Clone, wait_until
from tests.fabric.cloud import descendants
from tests.unit.workloads_pki import Root
from workloads.data import heart_data

HOSPITALS = ("cleveland", "hungary", "va-long-beach")
FL_PORT, HTTPS, MLFLOW = 8002, 443, 5000
COMPUTE, DISKS = "2024-11-01", "2023-04-02"
LIST_ARTIFACTS = """
import os
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import ContainerClient
identity = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
server = ContainerClient(os.environ["FED_HUB_STORAGE"], "server", credential=identity)
print(*(blob.name for blob in server.list_blobs("mlflow/")))
"""
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
HOLDS = """
import os, sys
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import ContainerClient
identity = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
container = ContainerClient(os.environ["FED_HUB_STORAGE"], sys.argv[1], credential=identity)
print(any(sys.argv[2].encode() in container.download_blob(blob).readall() for blob in container.list_blobs()))
"""


class Federation(NamedTuple):
    """A running federation whose three hospitals are registered."""

    clone: Clone
    fabric: Fabric
    before: set[Path]
    """What the clone consisted of before anything ran."""

    def machine(self, party: str) -> str:
        return f"vm-fed-dev-{party}"

    def run(self, party: str, script: str) -> str:
        """Run a script as root of a party's VM; it must succeed."""
        ran = self.fabric.run(self.machine(party), script)
        assert ran.code == 0, ran
        return ran.stdout

    def fedctl(self, *words: str) -> dict[str, Any]:
        """Ask the centre's container server."""
        ran = self.fabric.exec(self.machine("centre"), ["fedctl", *words], container="container-server")
        assert ran.code == 0, ran
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def hospital(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = self.fedctl("status")["hospitals"][name]
        return row

    def wait_registered(self) -> None:
        """Wait until the centre's services are healthy, and all hospitals registered and well."""

        def whole() -> bool:
            try:
                status = self.fedctl("status")
            except AssertionError:  # the centre's VM is starting
                return False
            hospitals = status["hospitals"].values()
            return status["containers"]["mlflow"] == "running, healthy" and all(
                row["registered"] and row["state"] == "running" for row in hospitals
            )

        wait_until(whole, "every hospital registered")

    def submit(self, rounds: int, after: int) -> str:
        """Start a training and wait until it has done some rounds."""
        job = str(self.fedctl("submit", "--job", "heart", "--rounds", str(rounds))["id"])
        wait_until(lambda: self.fedctl("job", job)["round"] >= after, f"round {after}")
        return job

    def follow(self, *words: str) -> dict[str, Any]:
        """Return what `fed train` with these words says in the end."""
        answer: dict[str, Any] = json.loads(self.clone.fed("train", *words, "--json").stdout)
        return answer

    def restart(self, party: str) -> float:
        """Restart a VM through ARM; return the seconds until everything is back, by itself."""
        emulator = self.clone.emulator()
        vm = self.clone.outputs()[party]["vm"]
        began = time.monotonic()
        answer = emulator.arm("POST", f"{vm}/restart", api_version=COMPUTE)
        assert answer.status_code == 202, answer.text
        revision = emulator.arm("GET", "/emulator/changes?since=999999999").json()["revision"]
        self.fabric.wait_ready(int(revision))
        self.wait_registered()
        return time.monotonic() - began

    def mlflow_states(self, job: str) -> set[str]:
        """Return the states of the runs that MLflow has of a job."""
        with self.fabric.forward(self.machine("centre"), MLFLOW) as port:
            api = f"http://127.0.0.1:{port}/api/2.0/mlflow"
            name = {"experiment_name": "heart"}
            experiment = httpx.get(f"{api}/experiments/get-by-name", params=name).json()["experiment"]
            wanted = {"experiment_ids": [experiment["experiment_id"]], "filter": f"tags.job_id = '{job}'"}
            runs = httpx.post(f"{api}/runs/search", json=wanted).json().get("runs", [])
        return {run["info"]["status"] for run in runs}


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    clone = Clone(tmp_path_factory.mktemp("federation"), machines=True)
    before = files_of(clone)
    try:
        clone.fed("up", seconds=3 * PATIENCE)
        fabric = Fabric.running(clone.emulator())
        assert fabric is not None
        yield Federation(clone, fabric, before)
    finally:
        clone.destroy()


class Trained(NamedTuple):
    """The result of `fed train`, and everything that crossed the networks from the deployment to its end."""

    answer: dict[str, Any]
    flows: list[Flow]


@pytest.fixture(scope="module")
def trained(federation: Federation) -> Trained:
    answer = json.loads(federation.clone.fed("train", "--json", seconds=3 * PATIENCE).stdout)
    return Trained(answer, federation.fabric.flows())


class TestTraining:
    def test_every_hospital_takes_part_in_every_round(self, trained: Trained) -> None:
        assert trained.answer["state"] == "finished"
        assert trained.answer["round"] == trained.answer["rounds"] == 10
        assert set(trained.answer["hospitals"]) == set(HOSPITALS)
        assert not any(row.get("missed") for row in trained.answer["hospitals"].values())

    def test_model_is_worth_more_to_the_hospitals_than_their_own(self, trained: Trained) -> None:
        assert trained.answer["global"]["mean_site_auc_gain"] >= 0.01
        va = trained.answer["hospitals"]["va-long-beach"]
        assert va["auc"] >= va["own_auc"] + 0.02
        assert trained.answer["gates"]["passed"]
        assert trained.answer["model_version"] == "1"

    def test_artifacts_are_in_the_centres_own_container(
        self, federation: Federation, trained: Trained
    ) -> None:
        assert federation.mlflow_states(trained.answer["id"]) == {"FINISHED"}
        listed = federation.fabric.exec(
            federation.machine("centre"), ["python3", "-c", LIST_ARTIFACTS], container="container-server"
        )
        names = {name.rpartition("/artifacts/")[2] for name in listed.stdout.split()}
        assert {"model/model.json", "model/metrics.json"} <= names, listed


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
        assert fed("shell", "hungary", "fl-client", "-c", "ls /data").stdout == "heart.csv\n"

    def test_mlflow_opens_on_this_machines_loopback(self, federation: Federation) -> None:
        opened = federation.clone.start("open", "mlflow", "--port", "0")
        assert opened.stderr is not None
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+", opened.stderr.readline())
            assert address
            assert "<title>MLflow</title>" in httpx.get(address[0]).text
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
        ran = federation.fabric.exec(
            federation.machine("cleveland"), ["python3", "-c", READ_TABLES], container="container-server"
        )
        assert ran.stdout.split("\n")[:3] == [
            "client-cleveland read True",
            "client-hungary 403",
            "server 403",
        ]

    def test_what_one_hospital_published_is_in_no_other_hospitals_container(
        self, federation: Federation, trained: Trained
    ) -> None:
        del trained
        ages = [float(row.split(",")[0]) for row in heart_data.seed("cleveland").decode().splitlines()[1:]]
        published = f'"sum": {sum(ages)}'
        for hospital, found in (("cleveland", "True"), ("hungary", "False")):
            ran = federation.fabric.exec(
                federation.machine(hospital),
                ["python3", "-c", HOLDS, f"client-{hospital}", published],
                container="container-server",
            )
            assert ran.stdout.strip() == found, ran


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
        ran = federation.fabric.exec(
            federation.machine("cleveland"), ["python3", "-c", script], container="fl-client"
        )
        assert ran.stdout.split("\n")[:4] == [
            "10.10.0.4 open",
            "169.254.169.254 closed",
            "10.10.0.68 closed",
            "10.10.2.4 closed",
        ], ran


class TestFaults:
    def test_a_wrong_kit_or_wrong_data_stops_one_hospital_with_its_reason(
        self, federation: Federation, trained: Trained
    ) -> None:
        """At once: a root of somebody else's, a missing file, data of another shape."""
        del trained
        account = federation.clone.outputs()["hospitals"]["va-long-beach"]["storageAccount"]
        data = f"{account}/blobServices/default/containers/data"
        federation.run("cleveland", FOREIGN_ROOT)
        federation.run("hungary", "cd /var/lib/fed/kit/startup && mv client.crt /var/lib/fed/kept")
        federation.fabric.upload(data, "heart.csv", b"age,sex\n63,unknown\n")
        try:
            for name in HOSPITALS:  # which looks at everything when it starts
                federation.run(name, "docker restart container-server")
            reasons = {
                "cleveland": r"startup kit: startup/rootCA\.pem: is SHA256:\S+, pinned is SHA256:",
                "hungary": r"startup kit: startup/client\.crt: missing",
                "va-long-beach": r"running on the last good data; data: heart\.csv: .*column",
            }
            for name, reason in reasons.items():
                wait_until(
                    lambda: re.match(reason, federation.hospital(name).get("reason", "")),  # noqa: B023
                    f"{name}: {reason}",
                )
                assert federation.hospital(name)["state"] == "degraded"
            assert federation.hospital("va-long-beach")["registered"]
            wait_until(lambda: federation.hospital("cleveland")["client"] == "stopped", "the client stops")
        finally:
            federation.run("cleveland", "cd /var/lib/fed && mv kept kit/startup/rootCA.pem")
            federation.run("cleveland", "cd /var/lib/fed && mv kept.json agent/manifest.json")
            federation.run("cleveland", "docker restart container-server")  # it has read the other manifest
            federation.run("hungary", "mv /var/lib/fed/kept /var/lib/fed/kit/startup/client.crt")
            federation.fabric.upload(data, "heart.csv", heart_data.seed("va-long-beach"))
        federation.wait_registered()

    def test_hospitals_that_are_cut_off_or_die_cost_rounds_but_not_the_job(
        self, federation: Federation, trained: Trained
    ) -> None:
        """More rounds than this needs, so it is stopped at last; on loopback such a job goes to its end."""
        del trained
        job = federation.submit(rounds=200, after=1)

        def missed(name: str) -> list[int]:
            now = federation.fedctl("job", job)
            assert now["state"] == "running", now
            rounds: list[int] = now["hospitals"][name].get("missed", [])
            return rounds

        def takes_part(name: str) -> bool:
            return federation.fedctl("job", job)["round"] - 1 not in missed(name)

        cut = federation.fabric.inside(federation.machine("va-long-beach"), ["nft", "-f", "-"])
        subprocess.run(cut, input=CUT, text=True, check=True)
        try:
            wait_until(lambda: len(missed("va-long-beach")) >= 2, "two rounds without the one cut off")
        finally:
            subprocess.run(cut, input="delete table ip cut", text=True, check=True)
        wait_until(lambda: takes_part("va-long-beach"), "the hospital that was cut off takes part again")
        federation.run("hungary", "docker kill fl-client")
        wait_until(lambda: len(missed("hungary")) >= 2, "two rounds without the one that died")
        assert missed("cleveland") == []
        assert takes_part("va-long-beach")
        federation.fedctl("abort", job)
        wait_until(lambda: federation.fedctl("job", job)["state"] == "aborted", "the job is stopped")
        federation.wait_registered()

    def test_the_server_restarts_between_jobs_and_everything_comes_back_by_itself(
        self, federation: Federation, trained: Trained, record_property: Any
    ) -> None:
        before = federation.fedctl("requests"), federation.fedctl("jobs")
        seconds = federation.restart("centre")
        record_property("seconds until everything was back", seconds)
        print(f"everything was back after {seconds:.0f} s")
        assert (federation.fedctl("requests"), federation.fedctl("jobs")) == before
        assert federation.mlflow_states(trained.answer["id"]) == {"FINISHED"}
        assert seconds < 90  # 30 on a machine that does nothing else

    def test_the_server_restarts_during_a_job_which_is_resumed(
        self, federation: Federation, trained: Trained
    ) -> None:
        del trained
        job = federation.submit(rounds=8, after=2)
        federation.restart("centre")
        lost = federation.fedctl("job", job)
        assert lost["state"] == "failed"
        assert "the server stopped" in lost["reason"]
        wait_until(lambda: federation.mlflow_states(job) == {"FAILED"}, "MLflow knows")
        resumed = federation.follow("--resume", job)
        assert (resumed["state"], resumed["resumed_from"], resumed["round"]) == ("finished", job, 8)
        assert len(resumed["seconds"]) == 8 - lost["round"] + 1  # and the one that measures the model


class TestDown:
    """Last, because it takes the federation down."""

    def test_nothing_is_left_behind(self, federation: Federation) -> None:
        fabric, home = federation.fabric, federation.clone.home
        runtime = fabric.settings.runtime
        ours = [fabric.pid, *descendants(fabric.pid), federation.clone.emulator().record.pid]
        networks = {network for pid in ours for network in networks_of(pid)} - networks_of(os.getpid())
        assert len(ours) > 20
        assert len(networks) > 10
        federation.clone.fed("down")
        assert not [pid for pid in ours if start_time(pid)]
        assert not federation.clone.processes()
        everybody = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        wait_until(lambda: not any(networks & networks_of(pid) for pid in everybody), "no network left")
        mounts = Path("/proc/self/mounts").read_text()
        assert str(home) not in mounts
        assert str(runtime) not in mounts
        assert not runtime.exists()
        assert not home.exists()
        assert files_of(federation.clone) == federation.before


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


def files_of(clone: Clone) -> set[Path]:
    """Return the clone's files, without those that Python makes of others."""
    return {
        path
        for path in clone.root.rglob("*")
        if not path.is_relative_to(clone.root / ".venv") and "__pycache__" not in path.parts
    }


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
    state = home / "fabric"
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
    machine = emulator.arm("GET", vm, api_version=COMPUTE).json()
    disk = machine["properties"]["storageProfile"]["dataDisks"][0]["managedDisk"]["id"]
    unique = emulator.arm("GET", disk, api_version=DISKS).json()["properties"]["uniqueId"]
    return str(unique)


def content_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # a log that was rotated meanwhile
        return b""
