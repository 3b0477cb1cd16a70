"""The steps of the workflows that speak with GitHub or read what other jobs left, run as commands."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from automation.commands import ci
from automation.delivery import action_lock, pins, steps
from automation.stacks.plan import Change, Plan
from automation.ui.outcome import FedError, QuestionError, RefusedError
from clone import paths
from tests.unit.support.delivery_stub import Answers, Asked, Stub, serving

ROOT = paths.REPOSITORY
COMMIT = "c" * 40


class Repository:
    """What GitHub knows; a test sets it."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}

    def answer(self, asked: Asked) -> Answers:
        if asked.method != "GET":
            return Answers(body={"html_url": f"https://github.example{asked.path}"})
        if asked.path in self.answers:
            return Answers(body=self.answers[asked.path])
        return Answers(status=404, body={"message": "Not Found"})


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def github(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    with serving(repository.answer) as stub:
        for name, value in {
            "GITHUB_API_URL": stub.url,
            "GITHUB_REPOSITORY": "example/fed",
            "GITHUB_TOKEN": "token",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_RUN_ID": "99",
        }.items():
            monkeypatch.setenv(name, value)
        yield stub


def plan(stack: str, *changes: Change, **more: Any) -> Plan:
    return Plan(stack=stack, target="azure", changes=changes, **more)


def keep(folder: Path, name: str, content: Plan) -> None:
    (folder / name).write_text(content.model_dump_json())


DRIFTED = Change(party="hungary", kind="update", type="a:network:NetworkSecurityGroup", name="nsg-h", urn="u")


def test_drift_opens_one_issue_that_says_what_and_where(
    github: Stub, repository: Repository, tmp_path: Path
) -> None:
    repository.answers["/repos/example/fed/issues"] = []
    keep(tmp_path, "drift-dev.json", plan("dev"))
    keep(tmp_path, "drift-prod.json", plan("prod", DRIFTED))
    steps.report_drift(tmp_path, "failure")
    (made,) = github.calls("POST")
    assert made.body["title"] == "Drift: prod"
    assert made.body["body"].startswith(steps.DRIFT)
    assert "`nsg-h`" in made.body["body"]
    assert "https://github.example/example/fed/actions/runs/99" in made.body["body"]
    assert "### dev" not in made.body["body"]


def test_a_drift_job_that_broke_is_reported_and_not_taken_for_clean(
    github: Stub, repository: Repository, tmp_path: Path
) -> None:
    repository.answers["/repos/example/fed/issues"] = [{"number": 4, "body": steps.DRIFT}]
    keep(tmp_path, "drift-mvp.json", plan("mvp", errors=("no Azure login",)))
    steps.report_drift(tmp_path, "failure")
    (made,) = github.calls("PATCH")
    assert made.path == "/repos/example/fed/issues/4"
    assert "no Azure login" in made.body["body"]


def test_without_drift_the_issue_is_closed(github: Stub, repository: Repository, tmp_path: Path) -> None:
    repository.answers["/repos/example/fed/issues"] = [{"number": 4, "body": steps.DRIFT}]
    keep(tmp_path, "drift-dev.json", plan("dev"))
    assert "Closed" in steps.report_drift(tmp_path, "success")
    assert github.calls("PATCH")[-1].body["state"] == "closed"


def test_jobs_that_broke_before_they_left_a_plan_close_nothing(
    github: Stub, repository: Repository, tmp_path: Path
) -> None:
    repository.answers["/repos/example/fed/issues"] = [{"number": 4, "body": steps.DRIFT}]
    keep(tmp_path, "drift-dev.json", plan("dev"))
    with pytest.raises(RefusedError, match="ended in failure and left no plan of mvp, prod:"):
        steps.report_drift(tmp_path, "failure")
    assert github.calls("PATCH") == []


def test_a_stack_whose_job_broke_is_named_beside_one_that_drifted(
    github: Stub, repository: Repository, tmp_path: Path
) -> None:
    repository.answers["/repos/example/fed/issues"] = []
    keep(tmp_path, "drift-dev.json", plan("dev", DRIFTED))
    steps.report_drift(tmp_path, "failure")
    (made,) = github.calls("POST")
    assert "**No plan of mvp, prod.** The jobs ended in failure" in made.body["body"]


def test_a_folder_that_is_not_there_closes_no_issue(github: Stub, tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match=r"There is no folder .*nowhere"):
        steps.report_drift(tmp_path / "nowhere", "success")
    assert github.asked == []


def test_a_folder_that_is_not_there_makes_no_comment(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match=r"There is no folder .*nowhere"):
        steps.pull_request_comment(tmp_path / "nowhere", [])


@pytest.mark.parametrize("text", ["", "dev", "5", "null", '{"dev": 1}', '["../x"]', "[[]]", '"dev"'])
def test_what_affected_never_printed_is_refused(text: str) -> None:
    with pytest.raises(QuestionError, match="fed ci affected"):
        steps.expected_stacks(text)


def test_what_affected_printed_is_read() -> None:
    assert steps.expected_stacks('["dev", "prod"]') == ["dev", "prod"]
    assert steps.expected_stacks("[]") == []


@pytest.mark.parametrize("out", ["/", "/proc/x.json", "/proc/x/y.json", "/dev/null/x.json"])
def test_a_file_that_cannot_be_written_is_named(out: str) -> None:
    with pytest.raises(QuestionError, match=f"{out} cannot be written: "):
        steps.write_intent("dev", Path(out))


def test_a_summary_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    with pytest.raises(FedError, match="GITHUB_STEP_SUMMARY"):
        steps.keep_plan(plan("prod"), tmp_path / "azure-prod.json")


RUNS = "/repos/example/fed/actions/workflows/main.yml/runs"


def test_only_a_commit_that_dev_runs_is_promoted(github: Stub, repository: Repository) -> None:
    repository.answers[RUNS] = {"workflow_runs": [{"conclusion": "failure"}]}
    with pytest.raises(RefusedError, match="No run of Main ended well"):
        steps.check_promotable(COMMIT, "mvp")
    repository.answers[RUNS] = {"workflow_runs": [{"conclusion": "success"}]}
    steps.check_promotable(COMMIT, "mvp")
    assert github.asked[-1].query["head_sha"] == COMMIT


@pytest.mark.parametrize("commit", ["", "main", "c" * 39, "c" * 41, "C" * 40, f"{COMMIT}\n"])
def test_what_is_no_full_commit_is_not_asked_for(github: Stub, commit: str) -> None:
    with pytest.raises(QuestionError, match="40 hex digits"):
        steps.check_promotable(commit, "mvp")
    assert github.asked == []


@pytest.mark.parametrize("upto", ["PROD", "production", ""])
def test_a_promotion_goes_to_a_stack(upto: str) -> None:
    done = CliRunner().invoke(ci.app, ["promotable", COMMIT, "--upto", upto])
    assert done.exit_code == 2
    assert "is not one of" in done.output


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (r"  fed:images:\n    digests:\n(      .*\n)+", "", "prod pins no image"),
        (r"      mlflow: .*\n", "", r"other images than mvp \(mlflow\)"),
    ],
)
def test_prod_that_pins_less_than_mvp_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, told: str
) -> None:
    for name in ("mvp", "prod"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text((ROOT / f"Pulumi.{name}.yaml").read_text())
    prod = tmp_path / "Pulumi.prod.yaml"
    prod.write_text(re.sub(old, new, prod.read_text()))
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    with pytest.raises(RefusedError, match=told):
        pins.require_tried(pins.pinned("prod"))


def test_prod_runs_only_what_mvp_pins(
    github: Stub, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.answers[RUNS] = {"workflow_runs": [{"conclusion": "success"}]}
    for name in ("mvp", "prod"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text((ROOT / f"Pulumi.{name}.yaml").read_text())
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    steps.check_promotable(COMMIT, "prod")
    mvp = tmp_path / "Pulumi.mvp.yaml"
    mvp.write_text(mvp.read_text().replace("mlflow: sha256:0", "mlflow: sha256:1"))
    with pytest.raises(RefusedError, match=r"\(mlflow\).*images promote prod --from mvp"):
        steps.check_promotable(COMMIT, "prod")


def test_a_plan_goes_into_the_runs_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    steps.keep_plan(plan("prod", DRIFTED), tmp_path / "new" / "azure-prod.json")
    assert "### prod: 1 to update" in (tmp_path / "summary.md").read_text()
    assert steps.read_plan(tmp_path / "new" / "azure-prod.json").changes == (DRIFTED,)


def test_what_verify_found_is_in_the_comment_and_nothing_is_read_out_of_garbage(tmp_path: Path) -> None:
    keep(tmp_path, "emulator-dev.json", plan("dev", DRIFTED))
    finding = {
        "kind": "open",
        "what": "hungary reaches cleveland on 22",
        "where": "nsg-c: allow-ssh",
        "fix": "x",
    }
    (tmp_path / "verify-dev.json").write_text(json.dumps({"findings": [finding]}))
    text = steps.pull_request_comment(tmp_path, ["dev"])
    assert "- hungary reaches cleveland on 22 (cause: nsg-c: allow-ssh)" in text
    (tmp_path / "verify-dev.json").write_text("{}")
    with pytest.raises(QuestionError, match=r"not what `fed verify --json` prints"):
        steps.pull_request_comment(tmp_path, ["dev"])


def test_a_file_that_is_no_plan_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "azure-dev.json").write_text('{"steps": []}')
    with pytest.raises(QuestionError, match=r"azure-dev\.json is no plan"):
        steps.pull_request_comment(tmp_path, ["dev"])


def test_the_comment_is_written_under_the_pull_request(
    github: Stub, repository: Repository, tmp_path: Path
) -> None:
    repository.answers["/repos/example/fed/issues/7/comments"] = []
    keep(tmp_path, "emulator-dev.json", plan("dev", DRIFTED))
    command = [
        sys.executable,
        "-P",
        "-m",
        "automation",
        "ci",
        "comment",
        str(tmp_path),
        "--expected",
        '["dev"]',
    ]
    done = subprocess.run(
        [*command, "--pull-request", "7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    (made,) = github.calls("POST")
    assert made.body["body"].startswith("<!-- fed: plan -->\n## What this change does")


def environment() -> dict[str, str]:
    import os  # noqa: PLC0415 the job's variables, as the fixture set them

    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_each_locked_commit_is_compared_with_githubs(github: Stub, repository: Repository) -> None:
    pins = json.loads(action_lock.LOCK.read_text())["actions"]
    for action, pin in pins.items():
        repository.answers[f"/repos/{action}/commits/{pin['version']}"] = {"sha": pin["sha"]}
    action_lock.check(update=False)

    moved = next(iter(pins))
    repository.answers[f"/repos/{moved}/commits/{pins[moved]['version']}"] = {"sha": "f" * 40}
    with pytest.raises(RefusedError, match=f"{moved}: .* is {'f' * 40}"):
        action_lock.check(update=False)


def test_the_lock_is_written_from_the_workflows_only_when_github_agrees(
    github: Stub, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "actions.lock.json"
    lock.write_text(json.dumps({"about": "x", "actions": {}}))
    monkeypatch.setattr(action_lock, "LOCK", lock)
    pins = json.loads((ROOT / ".github/actions.lock.json").read_text())["actions"]
    with pytest.raises(Exception, match="404"):
        action_lock.check(update=True)
    for action, pin in pins.items():
        repository.answers[f"/repos/{action}/commits/{pin['version']}"] = {"sha": pin["sha"]}
    action_lock.check(update=True)
    written = json.loads(lock.read_text())["actions"]
    assert {name: pin["sha"] for name, pin in written.items()} == {
        name: pin["sha"] for name, pin in pins.items()
    }


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"actions": []}', '{"about": "x", "actions": {"actions/checkout": {"sha": 1}}}']
)
@pytest.mark.parametrize("update", [False, True])
def test_a_broken_lock_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, *, update: bool
) -> None:
    lock = tmp_path / "actions.lock.json"
    lock.write_text(text)
    monkeypatch.setattr(action_lock, "LOCK", lock)
    with pytest.raises(QuestionError, match=r"actions\.lock\.json is no lock"):
        action_lock.check(update=update)
    assert lock.read_text() == text
