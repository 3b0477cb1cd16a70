"""A change is previewed on the stacks that it can reach, and on no other; branches are named as agreed."""

import os
import subprocess
from pathlib import Path

import pytest

from automation.delivery import steps
from automation.delivery.affected import check_branch, stacks
from automation.ui.outcome import QuestionError, RefusedError
from clone import paths

ALL = ("dev", "mvp", "prod")


@pytest.mark.parametrize(
    ("paths", "reached"),
    [
        (["README.md", "docs/runbook.md", "CHANGELOG.md"], []),
        (["tests/unit/federation/test_naming.py", "emulator/arm/store.py", ".github/workflows/main.yml"], []),
        (["Pulumi.mvp.yaml"], ["mvp"]),
        (["Pulumi.prod.yaml", "Pulumi.dev.yaml"], ["dev", "prod"]),
        (["workloads/fl_client/Dockerfile"], ["dev"]),
        (["components/central_node.py"], list(ALL)),
        (["federation/intent.py"], list(ALL)),
        (["policies/__main__.py"], list(ALL)),
        (["requirements.txt"], list(ALL)),
        (["Pulumi.yaml"], list(ALL)),
        (["__main__.py"], list(ALL)),
        (["a-file-that-nobody-foresaw.py"], list(ALL)),
        (["Pulumi.gone.yaml"], []),
        ([], []),
    ],
)
def test_a_change_reaches_these_stacks(paths: list[str], reached: list[str]) -> None:
    assert stacks(paths, ALL) == reached


@pytest.mark.parametrize(
    "name", ["feature-switzerland", "feature-nsg-2", "feature-pin_images.v2", "dependabot/pip/x"]
)
def test_these_branches_are_named_as_agreed(name: str) -> None:
    check_branch(name)


@pytest.mark.parametrize(
    ("name", "proposed"),
    [
        ("feature/Switzerland", "feature-switzerland"),
        ("fix_nsg", "feature-fix-nsg"),
        ("Feature-X", "feature-x"),
        ("main", "feature-main"),
        ("feature-", "feature-what-it-does"),
        ("feature-a\n", "feature-a"),
    ],
)
def test_another_name_is_refused_with_the_commands_that_mend_it(name: str, proposed: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        check_branch(name)
    assert f"git push origin -u {proposed}\n" in str(refusal.value)


def test_the_commands_can_be_pasted_whatever_the_branch_is_called() -> None:
    with pytest.raises(RefusedError) as refusal:
        check_branch("x;$(id)")
    assert "git branch -m 'x;$(id)' feature-x-id\n" in str(refusal.value)
    assert "git push origin --delete 'x;$(id)'" in str(refusal.value)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, in place of this one."""
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    (tmp_path / "components").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "components" / "central_node.py").write_text("node = 1\n" * 20)
    git("init", "--quiet", "--initial-branch", "main")
    commit()
    return tmp_path


def git(*arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=paths.REPOSITORY, check=True)


def commit() -> None:
    git("add", ".")
    git("commit", "--quiet", "-m", "a change")


def test_a_file_that_moves_out_of_a_deployment_reaches_every_stack(repository: Path) -> None:
    git("mv", "components/central_node.py", "docs/")
    commit()
    assert steps.affected_stacks("HEAD~1", "HEAD") == list(ALL)


def test_a_path_that_git_would_quote_is_read_as_it_is(repository: Path) -> None:
    (repository / "docs" / "Zürich\n.md").write_text("x")
    (repository / "docs" / os.fsdecode(b"latin-\xfc.md")).write_text("x")
    commit()
    assert steps.affected_stacks("HEAD~1", "HEAD") == []


@pytest.mark.parametrize(("base", "head"), [("", "HEAD"), (" ", "HEAD"), ("HEAD", "")])
def test_an_empty_commit_is_refused_and_not_taken_for_head(repository: Path, base: str, head: str) -> None:
    with pytest.raises(QuestionError, match="is empty"):
        steps.affected_stacks(base, head)


@pytest.mark.parametrize("base", ["nowhere", "--stat", "0" * 40])
def test_a_commit_that_git_does_not_know_is_refused(repository: Path, base: str) -> None:
    with pytest.raises(QuestionError, match="git diff"):
        steps.affected_stacks(base, "HEAD")
