"""Which jobs may run here: the hospital's own answers, brought to the client; what was asked, brought to the
hospital.

The answers are a file that the hospital's officers keep in its container `policy`, which this VM may only
read. The client reads a copy in a folder that is mounted read-only. What arrived and what was decided goes to
the hospital's container `record`.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from fed_site import job_code
from fed_site.house_rules import HouseRules
from fed_site.job_code import UnreadableJobError
from fed_site.manifest import BASE

from container_server.clock import Clock
from container_server.files import read_json, write_bytes, write_json
from container_server.foreign import ForeignFileError, ForeignFolder
from container_server.hospital.intake import FULL, Intake
from container_server.hospital.officers_file import OfficersFile, PolicyError
from container_server.log import say
from container_server.storage import BlobStore, Unread

POLICY = "jobs.json"
"""The officers' file, in the container `policy`."""
ANSWERS = "answers.json"
"""The client's copy, in the folder that it reads."""
REQUESTS = "requests"
"""Where the client leaves what was asked, below its own folder."""
RELEASES = "releases"
"""Where the client notes what left with a job's answers."""
RELEASES_LIMIT = 2 * 1024 * 1024
JOB_LIMIT = 20 * 1024 * 1024
MOST_WAITING = 100
"""Codes without an answer that are remembered; the record has all that ever asked."""
RULES = ("hours", "columns", "boxes", "runs", "answers", "limits")
"""Of the officers' file: what they allow any job (fed_site/house_rules.py)."""
_WANTS = ("data", "box", "memory_mb")
_REQUEST = re.compile(r"requests/([0-9a-f]{64})\.json")
_RELEASES = re.compile(r"releases/[0-9a-f-]{36}\.jsonl")
_PLATFORM = Path(__file__).parent.parent / "policy" / "platform_jobs.json"


@final
class Consent:
    """The hospital's answers and its record. `step()` may raise TransientError."""

    def __init__(
        self,
        *,
        policy: BlobStore,
        record: BlobStore,
        answers: Path,
        work: Path,
        memory: Path,
        platform_is_approved: bool,
        clock: Clock,
    ):
        self._policy = OfficersFile(policy, POLICY, "jobs", memory.parent)
        self._record = record
        self._answers = answers / ANSWERS
        self._work = ForeignFolder(work)
        self._memory = memory
        self._clock = clock
        self._platform_is_approved = platform_is_approved
        remembered = read_json(memory) or {}
        self._known: dict[str, dict[str, Any]] = remembered.get("jobs", {})
        self._intake = Intake(clock, [(moment, size) for moment, size in remembered.get("taken", [])])
        self._said: dict[str, Any] = remembered.get("answers", {})
        self._brought: dict[str, int] = {}
        self.fault = ""
        """What is wrong with the officers' file (nothing is approved meanwhile) or with what jobs ask."""

    def step(self) -> None:
        """Bring the answers here and what was asked there."""
        self._bring_answers()
        try:
            self._bring_requests()
            self._bring_releases()
        except ForeignFileError as error:
            self.fault = f"what jobs ask for cannot be read: {error}"

    def review(self) -> dict[str, Any]:
        """What was asked, newest first, each with the answer: approved, refused or waiting; and the rules of
        the house.
        """
        jobs = [
            {"code": code, **entry, "answer": self._answer_to(code)} for code, entry in self._known.items()
        ]
        rules = self._said.get("rules", {})
        return {"jobs": sorted(jobs, key=lambda job: -job["asked"]), "rules": rules, "fault": self.fault}

    def knows(self, code: str) -> bool:
        """Whether a job of this code has asked before."""
        return code in self._known

    @property
    def full(self) -> bool:
        """Whether no question is taken any more today."""
        return self._intake.full

    def ask(self, code: str, archive: bytes, said: Mapping[str, str]) -> None:
        """Put a job's code before the officers: `said` is its id, its name and who submits it."""
        self._take({**said, "asked": self._clock.now()}, code, archive)

    def standing(self) -> dict[str, Any]:
        """For the report: what may run now, what may not and why, what waits for an answer since when."""
        rules = HouseRules.read(self._said.get("rules", {}))
        forbidden = {
            code: words
            for code, entry in self._known.items()
            if (
                words := rules.forbids(
                    entry.get("data", {}), entry.get("box", BASE), entry.get("memory_mb", 0)
                )
            )
        }
        closed = rules.closed(self._clock.now()) or ""
        approved = [code for code in self._said.get("approved", []) if code not in forbidden]
        since = {code: entry["first"] for code, entry in self._known.items() if "first" in entry}
        return {
            "approved": [] if closed else approved,
            "refused": {**forbidden, **self._said.get("refused", {})},
            "asked": {code: first for code, first in since.items() if self._answer_to(code) == "waiting"},
            **({"closed": closed} if closed else {}),
            **({"fault": self.fault[:300]} if self.fault else {}),
        }

    def _answer_to(self, code: str) -> str:
        if code in self._said.get("refused", {}):
            return "refused"
        return "approved" if code in self._said.get("approved", ()) else "waiting"

    def _bring_answers(self) -> None:
        platform = False
        try:
            policy = self._policy.read()
            self.fault = ""
            platform = self._platform_is_approved
        except PolicyError as error:
            self.fault = f"no job is approved until {error}"
            policy = Unread.ABSENT
        if policy is Unread.ABSENT:
            policy = {"platform": platform, "approved": [], "refused": []}
        if not isinstance(policy, Unread):
            self._answer(policy)

    def _answer(self, policy: Mapping[str, Any]) -> None:
        platform = platform_jobs().values() if policy["platform"] else ()
        refused = {entry["code"]: entry["why"] for entry in policy["refused"]}
        approved = {*platform, *(entry["code"] for entry in policy["approved"])} - refused.keys()
        rules = {key: policy[key] for key in RULES if key in policy}
        answers = {"approved": sorted(approved), "refused": refused, "rules": rules}
        if answers == self._said and self._answers.is_file():
            return
        write_bytes(self._answers, json.dumps(answers).encode(), 0o644)
        self.note("answers", {**answers, "by": policy["approved"]})
        self._said = answers
        self._remember()
        say("answers to jobs", approved=len(approved), refused=len(refused))

    def _bring_requests(self) -> None:
        for name in self._work.files(REQUESTS):
            if found := _REQUEST.fullmatch(name):
                self._bring_request(found[1])

    def _bring_request(self, code: str) -> None:
        asked = _description(self._work.json(f"{REQUESTS}/{code}.json"))
        if asked is None or self._known.get(code, {}).items() >= asked.items():
            return
        if self.full:
            self.fault = FULL
            return
        archive = None if code in self._known else self._work.read(f"{REQUESTS}/{code}.zip", JOB_LIMIT)
        if archive is not None and not _is_of(code, archive):
            self.fault = f"what asks as {code[:12]} is other code, and is not shown"
        elif archive is not None or code in self._known:
            self._take(asked, code, archive)

    def _take(self, asked: Mapping[str, Any], code: str, archive: bytes | None) -> None:
        """Take note of a job that asks; `archive` is its code, where that is new."""
        self._intake.take(len(archive or b""))
        if archive is not None:
            self._record.write(f"requests/{code}.zip", archive)
        self.note(f"asked-{code[:12]}", {"code": code, **asked, "answer": self._answer_to(code)})
        known = self._known.get(code, {})
        wants = known if archive is None else _wants(archive)
        kept: dict[str, Any] = {key: wants[key] for key in _WANTS if key in wants}
        self._known[code] = {**asked, "first": known.get("first", asked["asked"]), **kept}
        self._remember()
        say("a job asks to run", code=code, name=asked["name"], answer=self._answer_to(code))

    def _bring_releases(self) -> None:
        """What left with jobs' answers, as the client notes it: a file a job, written again as it grows."""
        for name in self._work.files(RELEASES):
            notes = self._work.read(name, RELEASES_LIMIT) if _RELEASES.fullmatch(name) else None
            if notes and self._brought.get(name) != len(notes):
                self._record.write(name, notes)
                self._brought[name] = len(notes)

    def note(self, event: str, content: Mapping[str, Any]) -> None:
        """Add an entry to the hospital's record; none is ever replaced, as its name holds the time."""
        now = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        text = json.dumps({"time": now, "event": event, **content}, indent=1, sort_keys=True)
        self._record.write(f"audit/{now}-{event}.json", text.encode())

    def _remember(self) -> None:
        """Forget the oldest that wait, beyond MOST_WAITING; what the officers answered stays."""
        newest = sorted(self._known, key=lambda code: -self._known[code]["asked"])
        waiting = [code for code in newest if self._answer_to(code) == "waiting"]
        for code in waiting[MOST_WAITING:]:
            del self._known[code]
        content = {"jobs": self._known, "answers": self._said, "taken": self._intake.taken}
        write_json(self._memory, content)


def _is_of(code: str, archive: bytes) -> bool:
    """Whether officers would see what they approve: the client's word is not enough."""
    try:
        return job_code.checksum(archive) == code
    except UnreadableJobError:
        return False


def _wants(archive: bytes) -> dict[str, Any]:
    """What a job's manifest asks for: columns, box, memory; nothing where the client would refuse it."""
    try:
        said = job_code.manifest(archive)
    except UnreadableJobError:
        return {}
    data = {file: list(columns) for file, columns in said.data.items()}
    return {"data": data, "box": said.box, "memory_mb": said.memory_mb}


def platform_jobs() -> dict[str, str]:
    """Name -> checksum of the jobs that come with the platform."""
    known: dict[str, str] = json.loads(_PLATFORM.read_text())
    return {name: checksum.removeprefix("sha256:") for name, checksum in known.items()}


def _description(content: Any) -> dict[str, Any] | None:
    """What a request says of itself, when it is in the client's form."""
    texts = ("job_id", "name", "submitter")
    if not isinstance(content, dict) or not all(isinstance(content.get(name), str) for name in texts):
        return None
    if not isinstance(content.get("asked"), int | float):
        return None
    return {**{name: content[name][:80] for name in texts}, "asked": float(content["asked"])}
