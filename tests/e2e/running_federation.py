"""A federation that runs on the emulator, and what tests ask of it."""

import base64
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from emulator.datacentre.control import Datacentre
from tests.e2e.own_clone import PATIENCE, Clone, wait_until
from tests.resource_manager import ask

COMPUTE = "2024-11-01"
MLFLOW = 5000
READ = """
import base64, json, os, sys
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import ContainerClient
identity = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
container = ContainerClient(os.environ["FED_HUB_STORAGE"], sys.argv[1], credential=identity)
blobs = container.list_blobs(sys.argv[2])
found = {blob.name: container.download_blob(blob).readall() for blob in blobs}
print(json.dumps({name: base64.b64encode(content).decode() for name, content in found.items()}))
"""


@dataclass(frozen=True)
class Federation:
    """A clone whose dev stack is deployed, with running machines."""

    clone: Clone
    datacentre: Datacentre

    @classmethod
    @contextlib.contextmanager
    def up(cls, clone: Clone) -> Iterator["Federation"]:
        """Deploy a clone's dev stack, and take everything of the clone along at the end."""
        try:
            clone.fed("up", seconds=3 * PATIENCE)
            datacentre = Datacentre.running(clone.emulator())
            assert datacentre is not None
            yield cls(clone, datacentre)
        finally:
            clone.destroy()

    @staticmethod
    def machine(party: str) -> str:
        """Return the name of a party's VM."""
        return f"vm-fed-dev-{party}"

    def run(self, party: str, script: str) -> str:
        """Run a script as root of a party's VM; it must succeed."""
        ran = self.datacentre.run(self.machine(party), script)
        assert ran.code == 0, ran
        return ran.stdout

    def python(self, party: str, script: str, *arguments: str, container: str = "container-server") -> str:
        """Run a Python script in a container; it must succeed."""
        ran = self.datacentre.exec(
            self.machine(party), ["python3", "-c", script, *arguments], container=container
        )
        assert ran.code == 0, ran
        return ran.stdout

    @staticmethod
    def wait(true: Callable[[], Any], what: str) -> None:
        """Wait until something is true that costs a machine's time to find out."""
        wait_until(true, what, every=1)

    def fedctl(self, *words: str) -> dict[str, Any]:
        """Ask the centre's container server."""
        ran = self.datacentre.exec(self.machine("centre"), ["fedctl", *words], container="container-server")
        assert ran.code == 0, ran
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def hospital(self, name: str) -> dict[str, Any]:
        """Return what the centre knows of a hospital."""
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

        self.wait(whole, "every hospital registered")

    def submit(self, rounds: int, after: int = 0) -> str:
        """Start a training and wait until it has done some rounds."""
        job = str(self.fedctl("submit", "--job", "heart", "--rounds", str(rounds))["id"])
        self.wait(lambda: self.fedctl("job", job)["round"] >= after, f"round {after}")
        return job

    def wait_job(self, job: str) -> dict[str, Any]:
        """Wait until a job is over, and return it."""
        over = {"finished", "failed", "aborted"}
        self.wait(lambda: self.fedctl("job", job)["state"] in over, f"the end of job {job}")
        return self.fedctl("job", job)

    def read(self, party: str, container: str, prefix: str) -> dict[str, bytes]:
        """Return blobs of the centre's account, as a party's own machine reads them."""
        found = json.loads(self.python(party, READ, container, prefix))
        return {name: base64.b64decode(content) for name, content in found.items()}

    def results(self, party: str, job: str, wanted: str) -> dict[str, bytes]:
        """Return what a party got of a job, by name; waits until the file `wanted` is among it."""
        centre = party == "centre"
        container = "results" if centre else f"client-{party}"
        prefix = f"{job}/results/" if centre else f"results/{job}/"
        found: dict[str, bytes] = {}

        def arrived() -> bool:
            found.update(self.read(party, container, prefix))
            return f"{prefix}{wanted}" in found

        self.wait(arrived, f"{wanted} of {job} at {party}")
        return {name.removeprefix(prefix): content for name, content in found.items()}

    def container(self, group: str, name: str) -> str:
        """Return the ARM id of a blob container by the resource group that its account is in."""
        (found,) = [
            str(each["id"])
            for each in self.clone.state()
            if each["type"] == "azure-native:storage:BlobContainer"
            and f"/resourceGroups/{group}/" in each["id"]
            and each["id"].endswith(f"/containers/{name}")
        ]
        return found

    def log(self, party: str, container: str) -> str:
        """Return the log of a container."""
        return b"".join(self.datacentre.logs(self.machine(party), container)).decode()

    def restart(self, party: str) -> float:
        """Restart a VM through ARM; return the seconds until everything is back, by itself."""
        emulator = self.clone.emulator()
        vm = self.clone.outputs()[party]["vm"]
        began = time.monotonic()
        answer = ask(emulator, "POST", f"{vm}/restart", api_version=COMPUTE)
        assert answer.status_code == 202, answer.text
        revision = ask(emulator, "GET", "/emulator/changes?since=999999999").json()["revision"]
        self.datacentre.wait_ready(int(revision))
        self.wait_registered()
        return time.monotonic() - began

    def signed_in(self, name: str = "tester") -> tuple[str, str]:
        """Return the name and the password of an account at MLflow."""
        password = secrets.token_urlsafe(32)
        checksum = hashlib.sha256(password.encode()).hexdigest()
        return str(self.fedctl("sign-in", name, "--sha256", checksum)["name"]), password

    @contextlib.contextmanager
    def mlflow(self) -> Iterator[httpx.Client]:
        """Give a client of MLflow's API, as a person who is signed in."""
        with (
            self.datacentre.forward(self.machine("centre"), MLFLOW) as port,
            httpx.Client(
                base_url=f"http://127.0.0.1:{port}/api/2.0/mlflow", auth=self.signed_in(), timeout=30
            ) as client,
        ):
            yield client

    def mlflow_runs(self, job: str) -> list[dict[str, Any]]:
        """Return the runs that MLflow has of a job."""
        with self.mlflow() as client:
            name = {"experiment_name": "heart"}
            found = client.get("/experiments/get-by-name", params=name).json()["experiment"]
            wanted = {"experiment_ids": [found["experiment_id"]], "filter": f"tags.job_id = '{job}'"}
            runs: list[dict[str, Any]] = client.post("/runs/search", json=wanted).json().get("runs", [])
        return runs

    def mlflow_states(self, job: str) -> set[str]:
        """Return the states of the runs that MLflow has of a job."""
        return {run["info"]["status"] for run in self.mlflow_runs(job)}


def files_of(clone: Clone) -> set[Path]:
    """Return a clone's files, without those that Python makes of others."""
    return {
        path
        for path in clone.root.rglob("*")
        if not path.is_relative_to(clone.root / ".venv") and "__pycache__" not in path.parts
    }
