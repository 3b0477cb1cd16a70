"""A clone whose federation runs with its VMs: who lives in it, how it is doing, whether it has recovered."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx

from automation.chaos.own_clone import Ended, OwnClone
from automation.chaos.trial import MOST_RUNS, Trial
from automation.operate.machines import Centre
from automation.operate.sign_in import sign_in
from automation.operate.training import OVER
from automation.stacks.arm import Arm, of_emulator
from automation.ui.outcome import Code, FedError
from emulator.datacentre.control import Datacentre

PARTIES: Final = ("centre", "cleveland", "hungary")
TRAINS: Final = ("train", "--rounds", "6", "--json")
_HEALS_SECONDS = 150.0
"""Within which everything is well again by itself after a fault, on a machine that does ten other things."""
_LOOK_SECONDS = 1.0
_SOUND = ("running", "running, healthy", "running, starting")
_COMPUTE, _DISKS, _MLFLOW_PORT = "2024-11-01", "2023-04-02", 5000


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What no fault may take away: the jobs that have finished, by their ids."""

    finished: frozenset[str]


class Running:
    """A federation of two hospitals that runs. `clone` is where."""

    def __init__(self, folder: Path) -> None:
        self.clone = OwnClone(folder / "clone", FED_MACHINES="1")
        self.clone.edit(_two_hospitals)
        self.is_well = True

    def begin(self) -> float:
        """Deploy it and train once; return the seconds of that training, which also makes the statistics.

        Raises FedError when one fails.
        """
        for command in (("up",), TRAINS):
            ended = trained(self.clone.run(*command))
            if ended.code != 0:
                raise FedError(f"fed {command[0]} fails although nothing disturbs it: {ended.errors}")
        return ended.seconds

    # Who lives in it

    @property
    def datacentre(self) -> Datacentre:
        """The running datacentre; raises FedError when none answers."""
        emulator = self.clone.emulator()
        found = Datacentre.running(emulator) if emulator else None
        if found is None:
            raise FedError("no datacentre runs in this clone")
        return found

    def processes(self) -> Mapping[int, str]:
        """Return pid and command of each process of the datacentre, its VMs and their containers."""
        first = self.datacentre.pid
        return {pid: command for pid in [first, *_below(first)] if (command := _command(pid))}

    def inside(self, party: str, words: Sequence[str], given: str = "") -> None:
        """Run a program of this machine in the network of a party's VM; raise FedError when it fails."""
        command = self.datacentre.inside(machine(party), list(words))
        done = subprocess.run(command, input=given, text=True, capture_output=True, check=False)  # noqa: S603
        if done.returncode:
            raise FedError(f"{' '.join(words)} in the network of {party}: {done.stderr}")

    def power(self, party: str, action: str) -> None:
        """Ask Resource Manager for ``powerOff``, ``start`` or ``restart`` of a party's VM, and wait."""
        arm = self.arm()
        answer = arm.post(f"{self.vm(party)}/{action}", _COMPUTE, {})
        if answer.is_error:
            raise FedError(f"{action} of {party}: {answer.error}")
        revision = int(arm.get("/emulator/changes", "", since="999999999").body["revision"])
        self.datacentre.wait_ready(revision)

    def arm(self) -> Arm:
        """Return the emulator's Resource Manager; raises FedError when none runs."""
        emulator = self.clone.emulator()
        if emulator is None:
            raise FedError("no emulator runs in this clone")
        return of_emulator(emulator)

    def disk(self, party: str) -> Path:
        """Return the folder in which the datacentre keeps the content of a VM's data disk."""
        vm = self.arm().get(self.vm(party), _COMPUTE).body
        (attached,) = vm["properties"]["storageProfile"]["dataDisks"]
        disk = self.arm().get(attached["managedDisk"]["id"], _DISKS).body
        return self.datacentre.settings.state / "disks" / str(disk["properties"]["uniqueId"])

    def empty_data(self, hospital: str) -> None:
        """Delete what a hospital has put into its container `data`, as its people may."""
        container = str(self._outputs(hospital)["container"])
        for blob in self.datacentre.blobs(container):
            self.datacentre.delete(container, blob)

    def vm(self, party: str) -> str:
        """Return the ARM id of a party's VM, as the deployment says it."""
        return str(self._outputs(party)["vm"])

    def _outputs(self, party: str) -> Mapping[str, Any]:
        """Return what the deployment says of a party."""
        file = self.clone.home / "backend" / ".pulumi" / "stacks" / "fed" / "dev.json"
        resources = json.loads(file.read_text())["checkpoint"]["latest"]["resources"]
        stack = next(one["outputs"] for one in resources if one["type"] == "pulumi:pulumi:Stack")
        found: Mapping[str, Any] = stack[party] if party in stack else stack["hospitals"][party]
        return found

    # How it is doing

    def jobs(self) -> list[Mapping[str, Any]]:
        """Return the jobs that the centre knows; raise FedError when it does not answer."""
        answer = self.clone.run("jobs", "--json")
        if answer.code != 0:
            raise FedError(f"fed jobs: {answer.errors}")
        return list(json.loads(answer.output)["jobs"])

    def kept(self) -> Kept:
        """Return what there is now that no fault may take away."""
        return Kept(finished=frozenset(job["id"] for job in self.jobs() if job["state"] == "finished"))

    def troubles(self) -> list[str]:
        """Return what is not well: containers, hospitals, jobs that run, runs of MLflow without a job."""
        answer = self.clone.run("status", "--json")
        if answer.code != 0:
            return [f"fed status: {answer.errors.strip()}"]
        health = json.loads(answer.output)["health"]
        if not health:
            return [f"the centre does not answer: {answer.errors.strip()}"]
        found = [
            f"{party}/{name} is {words}"
            for party, containers in health["containers"].items()
            for name, words in containers.items()
            if words not in _SOUND
        ]
        for name, row in health["hospitals"].items():
            if not (row["registered"] and row["state"] == "running"):
                found.append(f"{name} is {row['state']}: {row.get('reason', 'not registered')}")
        last = health["last_job"]
        if last and last["state"] not in OVER:
            found.append(f"job {last['id'][:8]} is {last['state']}")
        return found

    def heal(self, seconds: float = _HEALS_SECONDS) -> list[str]:
        """Wait until all is well by itself; return what is not after so long, at once where nothing runs."""
        deadline = time.monotonic() + seconds
        while (found := self.troubles()) and self._runs() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        return found

    def _runs(self) -> bool:
        emulator = self.clone.emulator()
        return emulator is not None and Datacentre.running(emulator) is not None

    def recovered(self, fault: str, first: Ended, before: Kept, moments: int = 1) -> Trial:
        """Run a training again after its `first` run, at most twice, until one is done and all is well."""
        began, runs, ended, said = time.monotonic(), 1, trained(first), [first.errors]
        wrong = self.heal()
        while (ended.code != 0 or wrong) and runs < MOST_RUNS:
            runs += 1
            ended = self._again()
            said.append(ended.errors)
            wrong = self.heal()
        done = ended.code == 0 and not wrong
        lost = self._lost(before) if done else []
        left = self._left() if done else wrong
        self.is_well = done and not lost and not left
        undisturbed = runs == 1 and trained(first).code == 0
        return Trial(
            fault=fault,
            during="train",
            moments=moments,
            runs=runs if done else None,
            lost=lost,
            left=left,
            seconds=0.0 if undisturbed else time.monotonic() - began,
            said=(_last_line(first.errors) if runs > 1 else "")
            if self.is_well
            else "\n".join([*said, *wrong]),
        )

    def _again(self) -> Ended:
        """Do what a person does after a failure: deploy again; then resume what failed, or train again."""
        up = self.clone.run("up")
        if up.code != 0:
            return up
        try:
            newest = next(iter(self.jobs()), None)
        except FedError as silent:
            return Ended(code=Code.BROKEN, output="", errors=str(silent), seconds=0.0)
        if newest and newest["state"] == "failed" and newest["job"] == "heart" and newest["round"]:
            return trained(self.clone.run("train", "--resume", newest["id"], "--json"))
        return trained(self.clone.run(*TRAINS))

    def _lost(self, before: Kept) -> list[str]:
        return [f"job {job}" for job in sorted(before.finished - self.kept().finished)]

    def _left(self) -> list[str]:
        running = [
            f"job {job['id'][:8]} is {job['state']}" for job in self.jobs() if job["state"] not in OVER
        ]
        return [*running, *self._open_runs()]

    def _open_runs(self) -> list[str]:
        """Return the runs that MLflow believes to be under way."""
        account = sign_in(Centre(self.arm(), self.vm("centre")), "chaos")
        signed = (account.name, account.password)
        with (
            self.datacentre.forward(machine("centre"), _MLFLOW_PORT) as port,
            httpx.Client(
                base_url=f"http://127.0.0.1:{port}/api/2.0/mlflow", auth=signed, timeout=60
            ) as client,
        ):
            experiments = client.get("/experiments/search", params={"max_results": 100}).raise_for_status()
            ids = [one["experiment_id"] for one in experiments.json().get("experiments", [])]
            wanted = {"experiment_ids": ids, "filter": "attributes.status = 'RUNNING'"}
            runs = client.post("/runs/search", json=wanted).raise_for_status().json().get("runs", [])
        return [f"MLflow's run {one['info']['run_name']} is RUNNING" for one in runs]


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def trained(ended: Ended) -> Ended:
    """Return the end of `fed train` as success where the job finished.

    Whether its model passes the gates is another question: two hospitals and six rounds are few.
    """
    try:
        finished = json.loads(ended.output).get("state") == "finished"
    except ValueError:  # it said nothing, or is another command
        return ended
    return replace(ended, code=0) if finished else ended


def machine(party: str) -> str:
    """Return the name of a party's VM."""
    return f"vm-fed-dev-{party}"


def kill(processes: Mapping[int, str], named: str) -> list[str]:
    """End those whose command has these words with SIGKILL; return their commands."""
    found = {pid: command for pid, command in processes.items() if named in command}
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # with another one, or by itself
            continue
    return list(found.values())


def _two_hospitals(content: Any) -> None:
    hospitals = content["config"]["fed:hospitals"]
    for name in set(hospitals) - set(PARTIES):
        del hospitals[name]


def _below(pid: int) -> list[int]:
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [*map(int, words), *(each for child in words for each in _below(int(child)))]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
