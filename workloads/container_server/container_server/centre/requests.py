"""Puts jobs that wait before the hospitals, and starts them once enough have approved.

In each hospital's container `asked.json` lists the jobs for which its answer is missing, and
`asked/<code>.zip` is their code. The hospital answers by its report.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import final

from container_server.cadence import Cadence
from container_server.centre.enrolments import Enrolments
from container_server.centre.jobs import Job, Jobs
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.files import read_json, write_json
from container_server.messages import ASKED, asked_archive, encode

MOST = 50
"""Jobs that a hospital is asked for at a time; the oldest come first."""


@final
class Requests:
    """`memory` is the file that remembers what each hospital was asked: code -> job's id."""

    def __init__(
        self,
        jobs: Jobs,
        enrolments: Enrolments,
        clock: Clock,
        memory: Path,
        hospitals: Callable[[], Iterable[str]],
    ):
        self._jobs = jobs
        self._enrolments = enrolments
        self._clock = clock
        self._memory = memory
        self._hospitals = hospitals
        self._asked: dict[str, dict[str, str]] = read_json(memory) or {}
        self._asking: dict[str, Chore] = {}

    @property
    def chores(self) -> list[Chore]:
        """One for each hospital that is to be asked."""
        return list(self._asking.values())

    def step(self) -> None:
        """Ask, and start or end what waits. One hospital that cannot be asked holds up no other."""
        waiting = [job for job in reversed(self._jobs.all()) if job.state == "waiting"]
        self._enrolments.await_report({name for job in waiting for name in self._jobs.standing(job).waits})
        wanted = {name: self._wanted(name, waiting) for name in self._hospitals()}
        due = {name for name, asked in wanted.items() if asked != self._asked.get(name, {})}
        self._asking = {name: self._chore(name) for name in sorted(due)}
        for name, chore in self._asking.items():
            chore.action = lambda name=name: self._ask(name, wanted[name])  # type: ignore[misc]
            chore.run()
        if waiting:
            self._jobs.step()

    def forget(self, hospital: str) -> None:
        """Ask a hospital again whose container is a new one."""
        self._remember(hospital, {})

    def _wanted(self, hospital: str, waiting: list[Job]) -> dict[str, str]:
        open_jobs = [job for job in waiting if hospital in self._jobs.standing(job).waits]
        return {str(job.submission["code"]): job.job_id for job in open_jobs[:MOST]}

    def _chore(self, hospital: str) -> Chore:
        return self._asking.get(hospital) or Chore(
            "asking", Cadence(self._clock, interval=0.0), lambda: None, hospital
        )

    def _ask(self, hospital: str, wanted: dict[str, str]) -> None:
        store, before = self._enrolments.channel(hospital).store, self._asked.get(hospital, {})
        for code, job_id in wanted.items():
            if code not in before:
                store.write(asked_archive(code), self._jobs.built.archive(job_id))
        jobs = [{"code": code, "job_id": job_id} for code, job_id in wanted.items()]
        store.write(ASKED, encode("asked", {"jobs": jobs}))
        for code in before.keys() - wanted.keys():
            store.delete(asked_archive(code))
        self._remember(hospital, wanted)

    def _remember(self, hospital: str, asked: dict[str, str]) -> None:
        self._asked[hospital] = asked
        write_json(self._memory, self._asked)
