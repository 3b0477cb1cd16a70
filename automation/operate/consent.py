"""A hospital's answers to jobs: what asked to run there, its code, and the officers' word.

Who may write the answers is whoever may write the hospital's container `policy`. On Azure that is done from
the hospital's own network (docs/hospital.md); here it is done on the emulator, in the hospital's place.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from azure import identity

from automation.operate import machines, own_blobs, record
from automation.operate.code_difference import difference
from automation.operate.manifest import describe
from automation.operate.people import PeoplesContainer
from automation.stacks import deploy
from automation.stacks import target as targets
from automation.stacks.target import Target
from automation.ui.lazily import lazily
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError, RefusedError
from federation.naming import POLICY_CONTAINER, RECORD_CONTAINER
from federation.outputs import Outputs
from workloads.container_server.container_server import questions
from workloads.fl_client.fed_site import job_code

if TYPE_CHECKING:
    from emulator.datacentre.control import Datacentre

with lazily():  # on Azure nothing of the emulator is loaded
    from automation.operate import emulated

POLICY = "jobs.json"
AIRLOCK = "airlock.json"
IMAGES = "images.json"
DATA_SETS = "datasets/"
"""Below it, in the container `policy`, the schemas of data sets that officers approved."""
EMPTY: Mapping[str, Any] = {"schema": "fed/jobs/1", "platform": True, "approved": [], "refused": []}
"""What an officer's first word is added to, on the emulator: the platform's own jobs stay approved."""
_HEARD_SECONDS = 60.0
_FOLLOWED = """
from pathlib import Path
file = Path("/var/lib/fed/answers/airlock.json")
print(file.read_text() if file.is_file() else "null")
"""


@final
@dataclass(frozen=True, kw_only=True)
class House:
    """One hospital of a deployed stack."""

    target: Target
    name: str
    outputs: Outputs[str]

    @classmethod
    def of(cls, target: Target, name: str) -> "House":
        """Return a hospital of a stack; raise QuestionError for one that the stack does not have."""
        outputs = deploy.outputs(target)
        if name not in outputs.hospitals:
            raise QuestionError(
                f"there is no hospital {name!r}: the stack has {', '.join(outputs.hospitals)}"
            )
        return cls(target=target, name=name, outputs=outputs)

    def review(self) -> dict[str, Any]:
        """Return the jobs that asked to run here, newest first, each with its answer; `fault` is what is
        wrong with the officers' file.
        """
        machine, question = machines.of(self.outputs, self.name), questions.Review()
        if self.target.emulator is not None:
            command = ["fedctl", *question.words()]
            name = machines.vm_name(self.outputs, self.name)
            return machines.answer(
                self._datacentre().exec(name, command, container="container-server"), self.name, question
            )
        machines.refuse_mute(
            self.target.name,
            self.name,
            "its officers see what asked in its account, container `record` (docs/hospital.md)",
        )
        return machines.fedctl(self.target.arm(), machine, self.name, question)

    def job(self, code: str) -> dict[str, Any]:
        """Return the job of that checksum, or of one that begins so; raise QuestionError without exactly
        one.
        """
        found = [job for job in self.review()["jobs"] if code and job["code"].startswith(code)]
        if len(found) != 1:
            problem = "no job that asked here has" if not found else f"{len(found)} jobs have"
            raise QuestionError(
                f"{problem} a checksum beginning with {code!r}\nFix: ./fed hospital review {self.name}"
            )
        return dict(found[0])

    def record(self) -> list[dict[str, Any]]:
        """Return what the hospital's record holds, in order of time: what asked, what was answered, and what
        left with each answer of a job. Raises FedError where it cannot be read.
        """
        found = self._blobs(RECORD_CONTAINER, record.NEWEST)
        return record.entries((name, content.decode(errors="replace")) for name, content in found.items())

    def save(self, code: str, folder: Path) -> list[str]:
        """Write a job's code, as it arrived at the hospital, into a new folder; return the files' names.

        Raises RefusedError when what is kept there is not the code of that checksum.
        """
        files = job_code.files(self._code(code))
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return sorted(files)

    def look(self, code: str) -> list[str]:
        """Return what a job says of itself, and how its code differs from the version approved before."""
        job = self.job(code)
        archive = self._code(job["code"])
        lines = [f"code {job['code']}, {job['answer']}", *_described(archive)]
        before = self._approved_before(job)
        if before is None:
            return [*lines, "", f"no other version of {job['name']} was approved here"]
        changes = difference(job_code.own_files(self._code(before)), job_code.own_files(archive))
        return [*lines, "", f"since {before[:12]}, which is approved:", *changes]

    def _approved_before(self, job: Mapping[str, Any]) -> str | None:
        """Return the newest other code of a job's name that is approved."""
        same = (one for one in self.review()["jobs"] if one["name"] == job["name"])
        codes = (one["code"] for one in same if one["answer"] == "approved" and one["code"] != job["code"])
        return next(codes, None)

    def approve(self, code: str, by: str) -> None:
        """Let a job's code run here from now on. Raises as `save` does, and FedError when the VM does not
        take the answer.
        """
        job = self.job(code)
        self._code(job["code"])  # what the officers can look at is what the checksum stands for
        entry = {"code": job["code"], "name": job["name"], "by": by}
        self._say(job["code"], "approved", entry)

    def refuse(self, code: str, why: str) -> None:
        """Let a job's code run here no more, and tell its author why. Raises as `approve` does."""
        job = self.job(code)
        self._say(job["code"], "refused", {"code": job["code"], "why": why})

    def withdraw(self, code: str, why: str) -> None:
        """Take an approval back: a job that runs with it here ends at its next task. Raises as `approve`
        does, and QuestionError for code that is not approved.
        """
        job = self.job(code)
        if job["answer"] != "approved":
            raise QuestionError(
                f"{job['code'][:12]} is not approved at {self.name}: it is {job['answer']}\n"
                f"Fix: ./fed hospital review {self.name}"
            )
        self.refuse(job["code"], f"its approval was withdrawn{': ' if why else ''}{why}")

    def airlock(self) -> dict[str, Any] | None:
        """Return the policy that the airlock follows; None where nothing leaves for want of one."""
        followed: dict[str, Any] | None = json.loads(self._inside(_FOLLOWED))
        return followed

    def decide(self, policy: Mapping[str, Any]) -> None:
        """Have the airlock follow this policy. Raises FedError when the VM does not take it."""
        self._upload(AIRLOCK, {"schema": "fed/airlock/1", **policy})
        until = time.monotonic() + _HEARD_SECONDS
        while self.airlock() != policy:
            self.review()  # it looks at the officers' files at once
            if time.monotonic() > until:
                raise FedError(
                    f"{self.name}'s VM does not take this policy, so nothing leaves it\nFix: what is wrong"
                    " with it is said by ./fed status; then give another one"
                )
            time.sleep(0.5)

    def adopt(self, package: Mapping[str, Any]) -> None:
        """Approve a data set: its schema goes where the VM looks for those that no release has."""
        self._upload(f"{DATA_SETS}{package['name']}.json", package)
        self.review()  # it looks at the officers' files at once

    def image(self, digest: str) -> dict[str, str]:
        """Return the image of that digest, or of one that begins so, with what was said to it; raise
        QuestionError without exactly one.
        """
        whole = digest if digest.startswith("sha256:") else f"sha256:{digest}"
        found = [image for image in self.review()["images"] if image["digest"].startswith(whole)]
        if len(found) != 1 or not digest:
            problem = "no image that waits here has" if not found else f"{len(found)} images have"
            raise QuestionError(
                f"{problem} a digest beginning with {digest!r}\nFix: ./fed hospital review {self.name}"
            )
        return dict(found[0])

    def approve_image(self, digest: str, by: str) -> dict[str, str]:
        """Let an image run on the hospital's VM; return it. Raises as `image`, and as `approve`."""
        image = self.image(digest)
        entry = {"digest": image["digest"], "image": image["image"], "by": by[:80]}
        self._say_of_image("approved", entry)
        return image

    def refuse_image(self, digest: str, why: str) -> dict[str, str]:
        """Let an image not run on the hospital's VM; return it. Raises as `image`, and as `approve`."""
        image = self.image(digest)
        entry = {"digest": image["digest"], "image": image["image"], "why": why[:300]}
        self._say_of_image("refused", entry)
        return image

    def _say_of_image(self, answer: str, entry: Mapping[str, str]) -> None:
        held = self._read(POLICY_CONTAINER, IMAGES)
        policy: dict[str, Any] = (
            json.loads(held) if held else {"schema": "fed/images/1", "approved": [], "refused": []}
        )
        for list_of in ("approved", "refused"):
            policy[list_of] = [
                each
                for each in policy[list_of]
                if (each.get("image", entry["image"]), each["digest"]) != (entry["image"], entry["digest"])
            ]
        policy[answer].append(dict(entry))
        self._upload(IMAGES, policy)
        self.review()  # it looks at the officers' files at once

    def _say(self, code: str, answer: str, entry: Mapping[str, str]) -> None:
        held = self._read(POLICY_CONTAINER, POLICY)
        policy = json.loads(held) if held else dict(EMPTY)
        for list_of in ("approved", "refused"):
            policy[list_of] = [each for each in policy[list_of] if each["code"] != code]
        policy[answer].append(dict(entry))
        self._upload(POLICY, policy)
        self._wait_heard(code, answer)

    def _upload(self, blob: str, content: Mapping[str, Any]) -> None:
        account = self.outputs.hospitals[self.name].storage_account
        container = f"{account}/blobServices/default/containers/{POLICY_CONTAINER}"
        self._datacentre().upload(container, blob, (json.dumps(content, indent=1) + "\n").encode())

    def _wait_heard(self, code: str, answer: str) -> None:
        until = time.monotonic() + _HEARD_SECONDS
        while (job := self.job(code))["answer"] != answer:
            if time.monotonic() > until:
                raise FedError(
                    f"{self.name}'s VM still has {job['answer']} for {code[:12]}: its container server"
                    f" does not take the answer\nFix: ./fed logs {self.name} container-server"
                )
            time.sleep(0.5)

    def _code(self, code: str) -> bytes:
        archive = self._read(RECORD_CONTAINER, f"requests/{code}.zip")
        if archive is None:
            raise FedError(f"{self.name}'s record does not have the code {code[:12]} yet: try again")
        if job_code.checksum(archive) != code:
            raise RefusedError(
                f"what {self.name}'s record keeps as {code[:12]} is other code: somebody changed it on the VM"
            )
        return archive

    def _read(self, container: str, blob: str) -> bytes | None:
        return self._blobs(container, {blob: 0}).get(blob)

    def _blobs(self, container: str, wanted: Mapping[str, int]) -> dict[str, bytes]:
        return own_blobs.read(
            self._datacentre(),
            self.outputs,
            self.name,
            account=own_blobs.OWN,
            container=container,
            wanted=wanted,
        )

    def _inside(self, script: str) -> str:
        """Run a script in the hospital's container server."""
        machine = machines.vm_name(self.outputs, self.name)
        ran = self._datacentre().exec(machine, ["python3", "-c", script], container="container-server")
        if ran.code != 0:
            raise FedError(f"{self.name}'s VM cannot be asked: {ran.stderr[-300:]}")
        return ran.stdout

    def _datacentre(self) -> "Datacentre":
        if self.target.emulator is None:
            raise RefusedError(
                f"on Azure only {self.name} itself can reach its account, which has no public front\n"
                "Fix: its officers answer from their own network, see docs/hospital.md"
            )
        return emulated.running_datacentre(self.target)


def record_of(stack: str, on: On, party: str, account: str | None) -> list[record.Entry]:
    """Return a hospital's record; on Azure as whoever is signed in, from the hospital's own account.

    Raises QuestionError where the account's name is missing, and as House.record and PeoplesContainer.
    """
    if on is On.EMULATOR:
        return House.of(targets.open_target(stack, on, check=False), party).record()
    if account is None:
        raise QuestionError(
            f"{party}'s record is in its own account, which only its own people may read\n"
            "Fix: name the account with --account"
        )
    credential = identity.DefaultAzureCredential()
    return record.of_account(PeoplesContainer(account=account, name=RECORD_CONTAINER, credential=credential))


def read_policy(file: Path) -> dict[str, Any]:
    """Return an officers' policy for their airlock. Raises QuestionError for a file that is none."""
    try:
        policy = dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise QuestionError(f"{file}: no policy in JSON: {error}\nFix: see docs/hospital.md") from error
    return {key: value for key, value in policy.items() if key != "schema"}


def _described(archive: bytes) -> list[str]:
    try:
        return list(describe(job_code.manifest(archive)))
    except job_code.UnreadableJobError as error:
        return [f"  it does not say what it is for: {error}"]
