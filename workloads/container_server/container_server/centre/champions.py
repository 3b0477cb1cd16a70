"""The promoted models on their way to the hospitals: `models.json` and each one's archive in every hospital's
container, so that a hospital can have its own patients scored (docs/adr/0036).

Which version that is, is this service's own memory of what a person said (`fedctl promote`, `retire`).
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import final

from fed_site import job_code

from container_server.cadence import Cadence
from container_server.centre.composed import PLAN, PREDICTOR
from container_server.centre.enrolments import Enrolments
from container_server.centre.jobs import Jobs
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.files import read_json, write_bytes, write_json
from container_server.log import say
from container_server.messages import MODELS, encode, model_archive
from container_server.model_package import ModelPackage, ModelPackageError, pack

_NUMBERS = "results/global/"


@final
class Champions:
    """`folder` remembers them: `models.json` (name -> checksum), `<checksum>.zip`, what each hospital has."""

    def __init__(
        self,
        jobs: Jobs,
        enrolments: Enrolments,
        clock: Clock,
        folder: Path,
        hospitals: Callable[[], Iterable[str]],
    ):
        self._jobs = jobs
        self._enrolments = enrolments
        self._clock = clock
        self._folder = folder
        self._hospitals = hospitals
        self._promoted: dict[str, str] = read_json(folder / "models.json") or {}
        self._given: dict[str, dict[str, str]] = read_json(folder / "given.json") or {}
        self._giving: dict[str, Chore] = {}
        self._changing = threading.Lock()
        """Two people may promote at once, each on a thread."""
        self._noting = threading.Lock()
        self._times_forgotten: Counter[str] = Counter()

    @property
    def chores(self) -> list[Chore]:
        """One for each hospital that is to be given models."""
        return list(self._giving.values())

    def promoted(self, name: str, version: str, job_id: str, by: str) -> None:
        """Hospitals are to have this version. Raises ContainerServerError where they cannot use it."""
        job = self._jobs.get(job_id)
        plan = self._jobs.left_behind(job, PLAN)
        if plan.get("job") != name or "manifest" not in job.submission:
            raise ModelPackageError(f"what job {job_id[:8]} left of {name} is not here any more")
        archive = pack(
            job=plan,
            submission={**job.submission, "job_id": job.job_id, "by": by},
            version=version,
            files=self._files(job.job_id),
        )
        code = job_code.checksum(archive)
        with self._changing:
            write_bytes(self._folder / f"{code}.zip", archive)
            self._remember({**self._promoted, name: code})
        say("model for hospitals", name=name, version=version, code=code)

    def withdrawn(self, name: str, version: str | None = None) -> None:
        """Hospitals are to have no version of a model, or not this one."""
        with self._changing:
            if version in (None, self._version(name)):
                self._remember({other: code for other, code in self._promoted.items() if other != name})

    def _version(self, name: str) -> str | None:
        """Which one hospitals are to have."""
        if (code := self._promoted.get(name)) is None:
            return None
        return ModelPackage.read((self._folder / f"{code}.zip").read_bytes()).version

    def step(self) -> None:
        """Give each hospital what it lacks. One that cannot be reached holds up no other."""
        due = [name for name in self._hospitals() if self._given.get(name, {}) != self._promoted]
        self._giving = {name: self._chore(name) for name in due}
        for chore in self._giving.values():
            chore.run()
        with self._changing:
            self._clear()

    def _clear(self) -> None:
        """Remove the archives of versions that nobody is to have: 20 MB each."""
        for archive in self._folder.glob("*.zip"):
            if archive.stem not in self._promoted.values():
                archive.unlink()

    def forget(self, hospital: str) -> None:
        """Give them again to a hospital whose container is a new one."""
        with self._noting:
            self._times_forgotten[hospital] += 1
            self._write_given(hospital, {})

    def _files(self, job_id: str) -> dict[str, bytes]:
        """The numbers that a job left, by their names, and the code that predicts, below `code/`."""
        shared, folder = self._jobs.shared, f"jobs/{job_id}"
        found: dict[str, bytes] = {}
        for name in shared.files(folder):
            path = name.removeprefix(f"{folder}/")
            for below, where in ((_NUMBERS, ""), (f"{PREDICTOR}/", "code/")):
                if path.startswith(below) and (content := shared.read(name)) is not None:
                    found[where + path.removeprefix(below)] = content
        return found

    def _chore(self, hospital: str) -> Chore:
        return self._giving.get(hospital) or Chore(
            "models", Cadence(self._clock, interval=0.0), lambda: self._give(hospital), hospital
        )

    def _give(self, hospital: str) -> None:
        forgotten = self._times_forgotten[hospital]
        store, wanted = self._enrolments.channel(hospital).store, dict(self._promoted)
        before = self._given.get(hospital, {})
        for code in set(wanted.values()) - set(before.values()):
            store.write(model_archive(code), (self._folder / f"{code}.zip").read_bytes())
        models = [{"name": name, "code": code} for name, code in sorted(wanted.items())]
        store.write(MODELS, encode("models", {"models": models}))
        for code in set(before.values()) - set(wanted.values()):
            store.delete(model_archive(code))
        with self._noting:
            if self._times_forgotten[hospital] == forgotten:  # else its container is another one by now
                self._write_given(hospital, wanted)

    def _write_given(self, hospital: str, given: Mapping[str, str]) -> None:
        self._given[hospital] = dict(given)
        write_json(self._folder / "given.json", self._given)

    def _remember(self, promoted: dict[str, str]) -> None:
        write_json(self._folder / "models.json", promoted)
        self._promoted = promoted
