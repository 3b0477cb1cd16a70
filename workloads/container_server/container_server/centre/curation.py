"""Has the dashboards' tables made after each job, and puts them where each party may read them.

The tables are made by `python -m curation` in MLflow's container (workloads/curation), which has the
libraries for it and no way to the hospitals' containers; this service has that way and none of the libraries.
`server/curated/` gets the centre's tables, `client-<hospital>/curated/` each hospital's.
"""

import json
import threading
from pathlib import PurePosixPath
from typing import Any

from container_server.cadence import Cadence
from container_server.centre.composed import PLAN
from container_server.centre.enrolments import Enrolments
from container_server.centre.jobs import Job, Jobs
from container_server.centre.members import CENTRE, Members
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.config import Config
from container_server.engine import Engine, Running
from container_server.errors import TransientError
from container_server.files import read_json, write_json
from container_server.foreign import ForeignFileError, ForeignFolder
from container_server.log import say
from container_server.storage import BlobStore

MLFLOW = "mlflow"


class CurationError(TransientError):
    """The tables could not be made; those that lie there stay as they are."""


class Curation:
    """Remembers, in `memory`, from what tables were made, and to whom they were handed."""

    def __init__(
        self,
        *,
        config: Config,
        store: BlobStore,
        jobs: Jobs,
        enrolments: Enrolments,
        members: Members,
        engine: Engine,
        clock: Clock,
    ):
        self._config = config
        self._clock = clock
        self._store = store
        self._jobs = jobs
        self._enrolments = enrolments
        self._members = members
        self._engine = engine
        self._shared = ForeignFolder(config.curation)
        self._memory = config.agent / "curated.json"
        self._done: dict[str, Any] = read_json(self._memory) or {}
        self._remembering = threading.Lock()
        self._handing: dict[str, Chore] = {}

    @property
    def chores(self) -> list[Chore]:
        """One for each party that waits for its tables."""
        return list(self._handing.values())

    def step(self) -> None:
        """Make and hand on what is new. Raises TransientError when it has to be tried again."""
        # A model that is measured once more is no run of its job: its metrics are in MLflow.
        ended = [job for job in self._jobs.all() if job.over and not job.submission.get("evaluates")]
        hospitals = sorted(name for name, member in self._members.all().items() if member.admitted)
        basis = {
            "jobs": sorted(job.job_id for job in ended),
            "hospitals": sorted(self._members.all()),
            "smallest_cell": self._config.smallest_cell,
            "image": self._config.curation_image,
        }
        if not ended:
            self._handing = {}
            return
        if self._done.get("basis") != basis:
            if self._engine.state(MLFLOW).running is not Running.RUNNING:
                raise CurationError("MLflow's container, in which the tables are made, does not run")
            self._make(ended)
            with self._remembering:
                self._remember({"basis": basis, "delivered": []})
        waiting = [party for party in (CENTRE, *hospitals) if party not in self._done["delivered"]]
        self._handing = {party: self._chore(party) for party in waiting}
        for chore in self._handing.values():
            chore.run()

    def forget(self, hospital: str) -> None:
        """Take note that a hospital's container is a new, empty one: it gets the tables again."""
        with self._remembering:
            if hospital in self._done.get("delivered", ()):
                delivered = [party for party in self._done["delivered"] if party != hospital]
                self._remember({**self._done, "delivered": delivered})

    def _make(self, ended: list[Job]) -> None:
        content = {
            "smallest_cell": self._config.smallest_cell,
            "sites": {name: self._site(name) for name in self._members.all()},
            "runs": [self._run(job) for job in ended],
        }
        try:
            self._shared.write("request.json", json.dumps(content).encode())
        except ForeignFileError as error:
            raise CurationError(f"the tables could not be asked for: {error}") from error
        command = ["python3", "-m", "curation", str(self._config.curation)]
        code, output = self._engine.execute(MLFLOW, command)
        answer = _answer(output)
        refused = answer.get("refused")
        if code != 0 or "rows" not in answer or not isinstance(refused, dict):
            reason = answer.get("error", f"exit code {code} without an answer")
            raise CurationError(f"the tables could not be made: {reason}")
        for job_id, reason in refused.items():
            say("job left out of the tables", job_id=job_id, reason=reason)
        for job_id, hospitals in answer.get("hospitals", {}).items():
            for hospital, reason in hospitals.items():
                say("hospital left out of the tables", job_id=job_id, hospital=hospital, reason=reason)
        say("tables made", jobs=len(ended), left_out=answer.get("left_out"), rows=answer["rows"])

    def _site(self, name: str) -> dict[str, Any]:
        report = self._enrolments.channel(name).report
        return {"state": report.get("state", "unknown"), "reported": report.get("written")}

    def _run(self, job: Job) -> dict[str, Any]:
        metrics = self._jobs.left_behind(job, "results/global/metrics.json")
        provenance = metrics.get("provenance")
        return {
            "id": job.job_id,
            "job": job.name,
            "state": job.state,
            "submitted": job.submitted,
            "code": str(provenance.get("git_tree"))[:12] if isinstance(provenance, dict) else "unknown",
            "progress": job.progress,
            "statistics": self._statistics(job),
            "card": self._card(job),
        }

    def _card(self, job: Job) -> dict[str, Any] | None:
        """What a model card says besides numbers; None for a run that became no version."""
        manifest = job.submission.get("manifest")
        if job.state != "finished" or not job.progress.get("model_version") or not manifest:
            return None
        plan = self._jobs.left_behind(job, PLAN)
        return {
            "title": manifest["title"] or job.name,
            "purpose": manifest["purpose"],
            "author": str(job.submission.get("author", "unknown")),
            "code": job.submission.get("code"),
            "hospitals": sorted(job.submission.get("hospitals", ())),
            "columns": manifest["data"],
            "data": plan.get("data", {}),
            "data_sets": plan.get("data_sets", {}),
        }

    def _statistics(self, job: Job) -> dict[str, Any] | None:
        """What a statistics job that did finish left; None for any other."""
        if job.state != "finished":
            return None
        return self._jobs.left_behind(job, "results/centre/statistics.json") or None

    def _chore(self, party: str) -> Chore:
        return self._handing.get(party) or Chore(
            "tables", Cadence(self._clock, interval=0.0), lambda: self._deliver(party), party
        )

    def _deliver(self, party: str) -> None:
        store = self._store if party == CENTRE else self._enrolments.channel(party).store
        for name, content in self._tables(party).items():
            store.write(f"curated/{name}", content)
        say("tables handed on", party=party)
        with self._remembering:
            self._remember({**self._done, "delivered": [*self._done["delivered"], party]})

    def _tables(self, party: str) -> dict[str, bytes]:
        """MLflow's container writes them: a link that it made to this service's keys must not be followed."""
        try:
            names = self._shared.files(f"tables/{party}")
            contents = {name: self._shared.read(name) for name in names}
        except ForeignFileError as error:
            raise CurationError(f"its tables cannot be read: {error}") from error
        found = {
            PurePosixPath(name).name: content for name, content in contents.items() if content is not None
        }
        if not found:
            raise CurationError("no tables were made for it")
        return found

    def _remember(self, content: dict[str, Any]) -> None:
        self._done = content
        write_json(self._memory, content)


def _answer(output: str) -> dict[str, Any]:
    """The JSON object that the curation printed last, empty where it printed none."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    try:
        answer: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return answer
