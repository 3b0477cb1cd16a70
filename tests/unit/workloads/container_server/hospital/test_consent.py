"""No job runs at a hospital before the hospital has approved its code."""

import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from container_server.foreign import ForeignFolder
from container_server.hospital import consent as hospital_consent
from container_server.hospital import intake
from container_server.hospital.asked import Asked
from container_server.hospital.consent import MOST_WAITING, POLICY, Consent, platform_jobs
from container_server.messages import ASKED, asked_archive, checked, encode
from container_server.storage import StorageForbiddenError
from fed_site import box, consent, job_form, withdrawal
from fed_site.arrivals import Arrivals
from fed_site.house_rules import HouseRules
from fed_site.job_code import CLIENT, UnreadableJobError, checksum
from fed_site.job_code import files as archived
from fed_site.manifest import Manifest
from nvflare.apis.fl_context import FLContext, FLContextManager
from nvflare.apis.fl_exception import UnsafeJobError
from nvflare.apis.shareable import Shareable
from nvflare.apis.workspace import Workspace
from nvflare.fuel.utils.config_service import ConfigService
from nvflare.private.fed.utils.app_deployer import AppDeployer

from tests.unit.support.job_archives import archive, built, job, packed
from tests.unit.support.workloads_fakes import FakeClock, FolderStore
from tests.unit.support.workloads_world import World


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("builds")


class TestChecksum:
    @pytest.mark.parametrize("name", ["heart", "readmission", "statistics"])
    def test_platforms_jobs_have_those_that_hospitals_know(self, name: str, builds: Path) -> None:
        """After a change to a job of the platform's: write the new checksum into platform_jobs.json."""
        assert checksum(archive(built(name, builds))) == platform_jobs()[name]

    @pytest.mark.parametrize("name", ["heart", "readmission", "statistics"])
    def test_a_hospital_gets_what_runs_there_in_the_form_that_it_takes(self, name: str, builds: Path) -> None:
        own = {f"code/{name}_job/{file}.py" for file in ("__init__", "model", "train")}
        arrived = archived(archive(built(name, builds)))
        assert set(arrived) == {CLIENT, "manifest.json"} | (set() if name == "statistics" else own)
        job_form.check(arrived, {})

    def test_other_numbers_are_the_same_code(self, builds: Path) -> None:
        first, other = built("heart", builds), built("heart", builds, mean=-7.0, steps=9)
        assert (first / CLIENT).read_text() != (other / CLIENT).read_text()
        assert checksum(archive(first)) == checksum(archive(other))

    def test_fewer_hospitals_are_other_code(self) -> None:
        """Of a sum over two hospitals each knows the other's share; officers read that three take part."""
        assert checksum(job(minimum_sites=3)) != checksum(job(minimum_sites=2))
        assert checksum(job(rounds=5, answers=9, author="eve")) == checksum(job())

    def test_what_the_server_alone_reads_and_signatures_do_not_count(self, builds: Path) -> None:
        folder = built("heart", builds)
        signed = archive(
            folder,
            {
                "config/config_fed_server.json": "{}",
                "code/.__nvfl_sig.json": "{}",
                ".__nvfl_submitter.crt": "",
            },
        )
        assert checksum(signed) == checksum(archive(folder))

    @pytest.mark.parametrize(
        "changes",
        [
            {"code/heart_job/train.py": "import os"},
            {"code/more.py": ""},
            {"code/config_fed_server.json": "{}"},
            {"config/config_fed_client.conf": "{}"},
            {"manifest.json": "{}"},
        ],
    )
    def test_any_other_file_is_other_code(self, builds: Path, changes: dict[str, str]) -> None:
        folder = built("heart", builds)
        assert checksum(archive(folder, changes)) != checksum(archive(folder))

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("fed_site.box_executor.BoxExecutor", "nvflare.app_common.np.np_trainer.NPTrainer"),
            ('"train"', '"*"'),
            ('"executors"', '"task_result_filters": [{"path": "x"}], "executors"'),
            ('"--steps"', '"--backdoor"'),
            ('"age": [', '"age": [true, '),
        ],
    )
    def test_another_text_in_the_clients_configuration_is_other_code(
        self, builds: Path, before: str, after: str
    ) -> None:
        folder = built("heart", builds)
        text = (folder / CLIENT).read_text()
        assert before in text
        changed = archive(folder, {CLIENT: text.replace(before, after)})
        assert checksum(changed) != checksum(archive(folder))

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"PK\x03\x04",
            packed({"../x.py": b""}),
            packed({"code/train.py": b"", "code/./train.py": b"evil"}),
            packed({"code/train.py": b"", "code//train.py": b"evil"}),
            packed({"/x.py": b""}),
            packed({"a\\b.py": b""}),
            packed({"custom/x.py": b"", "custom/X.py": b""}),
            packed({f"{number}.py": b"" for number in range(501)}),
            packed({CLIENT: b"{"}),
            packed({CLIENT: b"[" * 100_000}),
        ],
    )
    def test_an_archive_that_is_no_job_is_refused(self, content: bytes) -> None:
        with pytest.raises(UnreadableJobError):
            checksum(content)

    def test_a_file_that_is_there_twice_is_refused(self) -> None:
        written = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(written, "w") as opened:
            warnings.simplefilter("ignore")  # zipfile warns of what is tested here
            for content in ("shown", "run"):
                opened.writestr("custom/x.py", content)
        with pytest.raises(UnreadableJobError):
            checksum(written.getvalue())


class TestManifest:
    """Of a job as it was built."""

    def test_model_metrics_histograms_and_columns_are_those_of_the_job(self, builds: Path) -> None:
        content = (built("heart", builds) / "manifest.json").read_bytes()
        assert checked("manifest", json.loads(content))
        heart = Manifest.read(content)
        assert heart.model == {"numpy_key": "29"}
        assert {"auc", "own_auc", "n_test"} <= set(heart.metrics)
        assert heart.histograms == {"healthy": 20, "ill": 20}
        assert {"age", "disease", "split"} <= set(heart.data["heart.csv"])
        assert (heart.rounds, heart.minimum_sites, heart.statistics) == (10, 2, ())
        assert "coronary" in heart.purpose

    def test_statistics_are_those_that_the_hospitals_are_asked_for(self, builds: Path) -> None:
        content = (built("statistics", builds) / "manifest.json").read_bytes()
        assert Manifest.read(content).statistics == ("count", "histogram", "mean", "stddev", "sum")


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the hospital's answers are for the client; nothing is there yet."""
    monkeypatch.setattr(consent, "ANSWERS", tmp_path / "answers.json")
    monkeypatch.setattr(consent, "REQUESTS", tmp_path / "work/requests")
    monkeypatch.setattr(consent, "RUNS", tmp_path / "runs.json")
    monkeypatch.setattr(consent, "RELEASES", tmp_path / "releases")
    return tmp_path / "answers.json"


def said(*approved: str, refused: dict[str, str] | None = None, **rules: Any) -> str:
    """The container server's file of what the officers said."""
    return json.dumps({"approved": approved, "refused": refused or {}, "rules": rules})


JOB_ID = "00000000-0000-4000-8000-000000000001"


class Arrival:
    """A job arrives at the client; what NVFlare would unpack is counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.unpacked: list[str] = []
        self.run = folder / "workspace" / JOB_ID
        for part in ("startup", "local"):
            (folder / "workspace" / part).mkdir(parents=True)
        monkeypatch.setattr(AppDeployer, "deploy", self._unpack)
        monkeypatch.setattr(consent, "ARRIVALS", folder)
        self.seen: list[str] = []
        """What was below the workspace while the job was unpacked."""

    def _unpack(self, where: Workspace, job_id: str, *more: Any) -> None:
        self.unpacked.append(job_id)
        for name, content in archived(more[2]).items():
            path = Path(where.get_app_dir(job_id)) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.seen += [path.name for path in self.run.parent.rglob("*")]

    def of(self, content: bytes, job_id: str = JOB_ID, called: str | None = None) -> str:
        context = FLContextManager(identity_name="cleveland").new_context()
        meta = {"name": "cohort\x1b[2J", "submitter_name": "lead@centre.local", "job_id": called or job_id}
        workspace = Workspace(str(self.run.parent), site_name="cleveland")
        return str(consent.ConsentingDeployer().deploy(workspace, job_id, meta, "app", content, context))


@pytest.fixture
def arrival(monkeypatch: pytest.MonkeyPatch, answers: Path) -> Arrival:
    return Arrival(monkeypatch, answers.parent)


JOB = job()
ARCHIVES = {checksum(archive): archive for archive in (JOB, job(b"other()"))}
CODE, OTHER = ARCHIVES
TABULAR = "tabular@sha256:" + "1" * 64


class TestArrival:
    def test_nothing_runs_without_an_answer(self, arrival: Arrival) -> None:
        words = arrival.of(JOB)
        assert not arrival.unpacked
        assert words.startswith("has not approved")
        assert checksum(JOB)[:12] in words
        assert "fed hospital review cleveland" in words

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"approved": 1, "refused": {}}', "null"])
    def test_answers_that_cannot_be_read_approve_nothing(
        self, arrival: Arrival, answers: Path, content: str
    ) -> None:
        answers.write_text(content)
        assert arrival.of(JOB)
        assert not arrival.unpacked

    def test_approved_code_is_unpacked(self, arrival: Arrival, answers: Path) -> None:
        answers.write_text(said(checksum(JOB)))
        assert arrival.of(JOB) == ""
        assert arrival.unpacked == [JOB_ID]
        assert (arrival.run / consent.CODE).read_text() == checksum(JOB)

    def test_its_code_never_gets_into_nvflares_workspace(
        self, arrival: Arrival, answers: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There NVFlare 2.9 would take a file of that name for the hospital's, and import what it names."""
        planted = job(more={"code/comm_config.json": b'{"comm_driver_path": "/box/code/drivers"}'})
        answers.write_text(said(checksum(planted)))
        assert arrival.of(planted) == ""
        assert sorted(arrival.seen) == ["local", "startup"]
        monkeypatch.setattr(ConfigService, "_config_path", [str(arrival.run.parent)])
        assert ConfigService.load_configuration("comm_config.json") is None
        app = arrival.run / "app_cleveland"
        assert sorted(path.name for path in app.iterdir()) == ["config", "manifest.json"]
        code = Arrivals(answers.parent).code(JOB_ID)
        assert sorted(path.name for path in code.iterdir()) == ["comm_config.json", "job.py"]
        monkeypatch.setattr(ConfigService, "_config_path", [str(code)])
        assert ConfigService.load_configuration("comm_config.json") is not None  # NVFlare takes it there

    def test_each_start_is_noted_with_its_code(self, arrival: Arrival, answers: Path) -> None:
        answers.write_text(said(checksum(JOB)))
        arrival.of(JOB)
        (note,) = (answers.parent / "releases").iterdir()
        assert json.loads(note.read_text())["started"] == checksum(JOB)

    @pytest.mark.parametrize(
        ("job_id", "called"), [("job-1", None), ("local", None), (JOB_ID, "local"), ("", None)]
    )
    def test_a_job_that_would_leave_no_notes_is_not_taken(
        self, arrival: Arrival, answers: Path, job_id: str, called: str | None
    ) -> None:
        answers.write_text(said(checksum(JOB)))
        assert "has no id, or two" in arrival.of(JOB, job_id, called)
        assert not arrival.unpacked

    def test_refused_code_is_not_and_its_author_is_told_why(self, arrival: Arrival, answers: Path) -> None:
        code = checksum(JOB)
        answers.write_text(said(code, refused={code: "no purpose"}))
        assert "no purpose" in arrival.of(JOB)
        assert not arrival.unpacked

    @pytest.mark.parametrize(
        ("rules", "named"),
        [
            ({"columns": {"heart.csv": ["sex"]}}, "lets no job read age of heart.csv"),
            ({"boxes": ["tabular"]}, "lets no job run in the box base"),
            ({"hours": {"from": "00:00", "to": "00:00"}}, "lets jobs run from 00:00 to 00:00 UTC alone"),
        ],
    )
    def test_approved_code_keeps_the_rules_of_the_house(
        self, arrival: Arrival, answers: Path, rules: dict[str, Any], named: str
    ) -> None:
        answers.write_text(said(checksum(JOB), **rules))
        assert named in arrival.of(JOB)
        assert not arrival.unpacked

    def test_a_job_whose_box_is_not_on_the_machine_is_not_unpacked(
        self, arrival: Arrival, answers: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = job(box=TABULAR)
        answers.write_text(said(checksum(asked)))
        assert arrival.of(asked).startswith("has no box tabular@sha256:1111")
        assert not arrival.unpacked
        monkeypatch.setattr(box, "HERE", ("base", TABULAR))
        assert arrival.of(asked) == ""

    def test_approved_code_runs_as_often_as_the_house_allows(self, arrival: Arrival, answers: Path) -> None:
        answers.write_text(said(checksum(JOB), runs={"a_day": 2}))
        assert [arrival.of(JOB) for _ in range(3)] == [
            "",
            "",
            "lets the same code run 2 times in 24 hours, and it has",
        ]
        assert arrival.unpacked == [JOB_ID] * 2

    @pytest.mark.parametrize("content", [b"PK", packed({**archived(JOB), "custom/job.py": b""})])
    def test_an_archive_that_is_no_job_is_not_unpacked_nor_shown(
        self, arrival: Arrival, content: bytes
    ) -> None:
        assert "does not take this job" in arrival.of(content)
        assert not arrival.unpacked
        assert not consent.REQUESTS.exists()

    @pytest.mark.parametrize("content", [None, b"", b"{}", b"[]"])
    def test_a_job_that_does_not_say_what_it_is_for_is_not_unpacked(
        self, arrival: Arrival, content: bytes | None
    ) -> None:
        words = arrival.of(packed({"x.py": b""} | ({} if content is None else {"manifest.json": content})))
        assert "manifest" in words
        assert not arrival.unpacked

    def test_what_was_asked_is_left_for_the_officers(self, arrival: Arrival) -> None:
        arrival.of(JOB)
        code = checksum(JOB)
        assert (consent.REQUESTS / f"{code}.zip").read_bytes() == JOB
        asked = json.loads((consent.REQUESTS / f"{code}.json").read_text())
        assert (asked["job_id"], asked["submitter"]) == (JOB_ID, "lead@centre.local")
        assert "\x1b" not in asked["name"]

    def test_only_the_newest_requests_are_kept(self, arrival: Arrival) -> None:
        for number in range(consent.MOST_REQUESTS + 5):
            arrival.of(job(str(number).encode()))
        assert len(list(consent.REQUESTS.iterdir())) == 2 * consent.MOST_REQUESTS


class TestWithdrawal:
    """A job runs as long as its code is approved, and no answer leaves after that."""

    @pytest.fixture
    def context(self, tmp_path: Path) -> FLContext:
        workspace = type("Workspace", (), {"get_run_dir": lambda _, job: str(tmp_path)})()
        consent.remember_code(workspace, "job-1", CODE)
        engine = type("Engine", (), {"get_workspace": lambda _: workspace})()
        return FLContextManager(engine=engine, job_id="job-1").new_context()

    @pytest.fixture(autouse=True)
    def read_from(self, answers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(withdrawal, "ANSWERS", answers)

    def test_what_is_approved_goes_by(self, answers: Path, context: FLContext) -> None:
        answers.write_text(said(CODE))
        task = Shareable({"x": 1})
        assert withdrawal.StillApproved().process(task, context) is task

    @pytest.mark.parametrize(
        "words",
        [
            {"approved": [], "refused": {}},
            {"approved": [CODE], "refused": {CODE: "withdrawn"}},
            {"approved": [OTHER], "refused": {}},
            None,
        ],
    )
    def test_what_is_not_any_more_ends_here(
        self, answers: Path, context: FLContext, words: dict[str, Any] | None
    ) -> None:
        if words is not None:
            answers.write_text(json.dumps({"rules": {}, **words}))
        with pytest.raises(UnsafeJobError):
            withdrawal.StillApproved().process(Shareable(), context)

    def test_a_job_whose_code_is_not_known_gets_nothing(self, tmp_path: Path, context: FLContext) -> None:
        (tmp_path / consent.CODE).unlink()
        with pytest.raises(OSError, match="fed_code"):
            withdrawal.StillApproved().process(Shareable(), context)


class House:
    """A hospital's side: its policy, its record, and what its client asks and reads."""

    def __init__(self, folder: Path, *, platform: bool = False) -> None:
        self.folder = folder
        self.policy = FolderStore(folder / "policy")
        self.record = FolderStore(folder / "record")
        self.clock = FakeClock()
        self.platform = platform
        self.consent = self.restarted()

    def restarted(self) -> Consent:
        return Consent(
            policy=self.policy,
            record=self.record,
            answers=self.folder / "answers",
            work=self.folder / "work",
            memory=self.folder / "memory.json",
            platform_is_approved=self.platform,
            clock=self.clock,
        )

    def step(self) -> None:
        self.clock.sleep(1)
        self.consent.step()

    def write(self, **changes: Any) -> None:
        policy = {"schema": "fed/jobs/1", "platform": False, "approved": [], "refused": [], **changes}
        self.policy.write(POLICY, json.dumps(policy).encode())

    def ask(self, code: str = CODE, content: bytes | None = None, **changes: Any) -> None:
        requests = self.folder / "work/requests"
        requests.mkdir(parents=True, exist_ok=True)
        described = {
            "job_id": "1",
            "name": "cohort",
            "submitter": "lead",
            "asked": self.clock.now(),
            **changes,
        }
        (requests / f"{code}.zip").write_bytes(ARCHIVES[code] if content is None else content)
        (requests / f"{code}.json").write_text(json.dumps(described))

    @property
    def answers(self) -> consent.Answers:
        """As the client reads them."""
        return consent.Answers.read(self.folder / "answers/answers.json")

    def events(self) -> list[dict[str, Any]]:
        names = [entry.name for entry in self.record.list("audit/")]
        return [json.loads((self.record.folder / name).read_text()) for name in names]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield House(tmp_path)


def approval(code: str = CODE) -> dict[str, str]:
    return {"code": code, "name": "cohort", "by": "Dr Meier"}


class TestKnown:
    def test_questions_without_an_answer_push_out_none_that_has_one(self, house: House) -> None:
        """A hundred questions of the centre's took an approved version out of the officers' list."""
        house.write(approved=[approval()], refused=[{"code": OTHER, "why": "no"}])
        house.ask()
        house.ask(OTHER)
        house.step()
        for number in range(MOST_WAITING + 5):
            house.clock.sleep(1)
            house.consent.ask(f"{number:064x}", b"code", {"job_id": "1", "name": "x", "submitter": "lead"})
        known = {job["code"]: job["answer"] for job in house.consent.review()["jobs"]}
        assert (known[CODE], known[OTHER]) == ("approved", "refused")
        assert list(known.values()).count("waiting") == MOST_WAITING
        assert f"{0:064x}" not in known


class TestIntake:
    """A hostile centre could fill a hospital's account with 50 archives of 20 MB a look."""

    SAID: ClassVar = {"job_id": "1", "name": "x", "submitter": "lead"}

    def test_a_days_code_is_bounded_and_goes_on_the_next_day(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(intake, "MOST_BYTES", 3_000)
        for number in range(3):
            assert not house.consent.full
            house.consent.ask(f"{number:064x}", b"c" * 1_000, self.SAID)
        assert house.consent.full
        assert house.restarted().full, "a restart does not begin a new day"
        house.ask()
        house.step()
        assert house.consent.fault == intake.FULL
        assert not house.consent.knows(CODE)
        house.clock.sleep(intake.DAY)
        house.step()
        assert house.consent.knows(CODE)

    def test_so_are_questions_for_code_that_is_known(self, house: House) -> None:
        house.ask()
        house.step()
        before = len(house.record.list("audit/"))
        for number in range(2 * intake.MOST_QUESTIONS):
            house.ask(job_id=str(number))
            house.step()
        assert len(house.record.list("audit/")) - before <= intake.MOST_QUESTIONS

    def test_nothing_is_fetched_from_the_centre_meanwhile(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channel = FolderStore(house.folder / "channel")
        jobs = [{"code": CODE, "job_id": JOB_ID}]
        channel.write(ASKED, encode("asked", {"jobs": jobs}))
        channel.write(asked_archive(CODE), ARCHIVES[CODE])
        monkeypatch.setattr(intake, "MOST_QUESTIONS", 0)
        asked = Asked(channel, house.consent)
        asked.step()
        asked.step()
        assert asked.fault == intake.FULL
        assert f"read {asked_archive(CODE)}" not in channel.calls
        monkeypatch.setattr(intake, "MOST_QUESTIONS", 200)
        asked.step()
        assert house.consent.knows(CODE)
        assert not asked.fault


class TestAnswers:
    def test_without_a_policy_nothing_is_approved(self, house: House) -> None:
        house.step()
        assert house.answers == consent.Answers(frozenset(), {})

    def test_in_dev_the_platforms_own_jobs_are(self, tmp_path: Path) -> None:
        house = House(tmp_path, platform=True)
        house.step()
        assert house.answers.approved == set(platform_jobs().values())

    def test_an_officers_word_reaches_the_client_and_is_taken_back(self, house: House) -> None:
        house.write(approved=[approval()])
        house.step()
        assert house.answers.approved == {CODE}
        house.write(refused=[{"code": CODE, "why": "no purpose"}])
        house.step()
        assert house.answers == consent.Answers(frozenset(), {CODE: "no purpose"})

    def test_a_policy_that_says_no_to_the_platforms_jobs_is_heard(self, tmp_path: Path) -> None:
        house = House(tmp_path, platform=True)
        house.write()
        house.step()
        assert not house.answers.approved

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"[]",
            b'{"schema": "fed/jobs/1"}',
            json.dumps({"schema": "fed/jobs/1", "platform": True, "approved": ["x"], "refused": []}).encode(),
            b"x" * 1_000_000,
        ],
    )
    def test_a_policy_that_is_wrong_approves_nothing_and_is_named(self, house: House, content: bytes) -> None:
        house.write(approved=[approval()])
        house.step()
        house.policy.write(POLICY, content)
        house.step()
        assert not house.answers.approved
        assert "no job is approved until policy/jobs.json is right" in house.consent.fault

    def test_a_policy_that_is_gone_approves_nothing_and_is_named(self, tmp_path: Path) -> None:
        """In dev the platform's jobs need no word; taking the file away is none, also with the VM off."""
        house = House(tmp_path, platform=True)
        house.write(approved=[approval()], columns={"heart.csv": ["age"]})
        house.step()
        house.policy.delete(POLICY)
        for _ in range(2):
            house.step()
            assert not house.answers.approved
            assert "no job is approved until policy/jobs.json is back" in house.consent.standing()["fault"]
            house.consent = house.restarted()
        house.write(platform=True)
        house.step()
        assert house.answers.approved == set(platform_jobs().values())
        assert not house.consent.fault

    def test_storage_that_cannot_be_reached_changes_no_answer(self, house: House) -> None:
        house.write(approved=[approval()])
        house.step()
        house.policy.failure = StorageForbiddenError("no role yet")
        with pytest.raises(StorageForbiddenError):
            house.step()
        assert house.answers.approved == {CODE}

    def test_rules_of_the_house_reach_the_client_and_the_report(self, house: House) -> None:
        rules: dict[str, Any] = {
            "hours": {"from": "00:00", "to": "00:00"},
            "columns": {"heart.csv": ["age"]},
            "runs": {"a_day": 3},
        }
        house.write(approved=[approval()], **rules)
        house.step()
        assert house.answers.rules == HouseRules.read(rules)
        standing = house.consent.standing()
        assert standing["approved"] == []
        assert standing["closed"].startswith("lets jobs run from 00:00")

    def test_a_job_that_asks_for_other_columns_is_refused_by_the_rules_alone(self, house: House) -> None:
        code = checksum(JOB)
        house.write(approved=[approval(code)], columns={"heart.csv": ["sex"]})
        house.step()
        house.consent.ask(code, JOB, {"job_id": "1", "name": "cohort", "submitter": "ada"})
        standing = house.consent.standing()
        assert standing["refused"] == {code: "lets no job read age of heart.csv"}
        assert code not in standing["approved"]

    def test_a_job_that_asks_for_another_box_is_refused_by_the_rules_alone(self, house: House) -> None:
        asked = job(box=TABULAR)
        code = checksum(asked)
        house.write(approved=[approval(code)], boxes=["base"])
        house.step()
        house.consent.ask(code, asked, {"job_id": "1", "name": "cohort", "submitter": "ada"})
        assert house.consent.standing()["refused"][code].startswith("lets no job run in the box tabular@")

    @pytest.mark.parametrize(
        "rules",
        [
            {"boxes": ["Tabular"]},
            {"hours": {"from": "25:00", "to": "06:00"}},
            {"hours": "night"},
            {"columns": ["age"]},
            {"runs": {"a_day": 0}},
            {"everything": True},
        ],
    )
    def test_rules_that_are_wrong_approve_nothing(self, house: House, rules: dict[str, Any]) -> None:
        house.write(approved=[approval()], **rules)
        house.step()
        assert not house.answers.approved
        assert "no job is approved until policy/jobs.json is right" in house.consent.standing()["fault"]

    def test_a_refusal_wins_over_an_approval(self, house: House) -> None:
        house.write(approved=[approval()], refused=[{"code": CODE, "why": "second thoughts"}])
        house.step()
        assert not house.answers.approved


class TestRecord:
    def test_code_that_asks_is_brought_to_the_hospital_once(self, house: House) -> None:
        house.ask()
        house.step()
        house.step()
        house.consent = house.restarted()
        house.step()
        assert (house.record.folder / f"requests/{CODE}.zip").read_bytes() == JOB
        assert [event["event"] for event in house.events()] == ["answers", f"asked-{CODE[:12]}"]

    def test_each_time_that_a_job_asks_is_recorded_with_the_answer(self, house: House) -> None:
        house.ask()
        house.step()
        house.write(approved=[approval()])
        house.step()
        house.ask(asked=house.clock.now(), job_id="2")
        house.step()
        asked = [(event["job_id"], event["answer"]) for event in house.events() if "code" in event]
        assert asked == [("1", "waiting"), ("2", "approved")]
        said = [event for event in house.events() if event["event"] == "answers"]
        assert said[-1]["by"] == [approval()]

    def test_review_shows_what_waits(self, house: House) -> None:
        house.ask()
        house.ask(OTHER, asked=house.clock.now() + 5)
        house.write(refused=[{"code": CODE, "why": "no"}])
        house.step()
        shown = house.consent.review()["jobs"]
        assert [(job["code"], job["answer"]) for job in shown] == [(OTHER, "waiting"), (CODE, "refused")]

    def test_review_shows_the_rules_of_the_house(self, house: House) -> None:
        rules = {"hours": {"from": "18:00", "to": "06:00"}, "limits": {"memory_mb": 4096, "seconds": 60}}
        house.write(**rules)
        house.step()
        assert house.consent.review()["rules"] == rules

    @pytest.mark.parametrize(
        "limits", [{"memory_mb": 0}, {"cpus": 0}, {"seconds": 1e9}, {"scratch_mb": "all"}, {"disk": 1}]
    )
    def test_limits_that_are_none_approve_nothing(self, house: House, limits: dict[str, Any]) -> None:
        house.write(approved=[approval()], limits=limits)
        house.step()
        assert "limits" in house.consent.fault
        assert not house.consent.standing()["approved"]

    def test_what_left_is_brought_as_it_grows(self, house: House) -> None:
        job = "00000000-0000-4000-8000-000000000001"
        notes = house.folder / f"work/releases/{job}.jsonl"
        notes.parent.mkdir(parents=True)
        for text in ("one\n", "one\ntwo\n"):
            notes.write_text(text)
            house.step()
            house.step()
            assert (house.record.folder / f"releases/{job}.jsonl").read_text() == text
        assert house.record.calls.count(f"write releases/{job}.jsonl") == 2

    @pytest.mark.parametrize("content", [ARCHIVES[OTHER], b"no archive"])
    def test_what_is_shown_is_the_code_of_its_checksum(self, house: House, content: bytes) -> None:
        """Whoever broke into the client could show officers one job, and have them approve another's."""
        house.ask(content=content)
        house.step()
        assert not house.record.list("requests/")
        assert house.consent.review()["jobs"] == []
        assert CODE[:12] in house.consent.fault

    def test_what_a_job_puts_in_place_of_a_request_is_not_read(self, house: House) -> None:
        secret = house.folder / "secret"
        secret.write_text("key")
        house.ask()
        (house.folder / f"work/requests/{CODE}.zip").unlink()
        (house.folder / f"work/requests/{CODE}.zip").symlink_to(secret)
        house.step()
        assert not house.record.list("requests/")
        assert "no regular file" in house.consent.fault

    @pytest.mark.parametrize("changes", [{"name": 1}, {"asked": "x"}, {"job_id": None}])
    def test_a_request_of_another_form_is_left(self, house: House, changes: dict[str, Any]) -> None:
        house.ask(**changes)
        house.step()
        assert not house.consent.review()["jobs"]


def test_a_hospitals_agent_brings_answers_before_its_client_starts(tmp_path: Path) -> None:
    world = World(tmp_path)
    seen: list[bool] = []
    world.client.on_start = lambda _: seen.append((world.hospital_config.answers / "answers.json").is_file())
    world.turn(10)
    assert seen == [True]


def test_a_policy_that_is_wrong_is_named_in_the_hospitals_report(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.store("policy").write(POLICY, b"{}")
    world.turn(70)
    assert "policy/jobs.json" in world.report()["reason"]


def test_requests_are_read_from_where_the_client_leaves_them() -> None:
    assert consent.REQUESTS.name == hospital_consent.REQUESTS
    assert ForeignFolder(consent.REQUESTS).files() == []
