"""`fed ci plan --expect`: what was approved is read before anything is written, and compared whole."""

import os
from pathlib import Path

import pytest

from automation.commands import ci
from automation.delivery import planning
from automation.stacks import plan as plans
from automation.stacks.plan import Change, Plan
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError, RefusedError

CHANGE = Change(party="hungary", kind="delete", type="a:network:NetworkSecurityGroup", name="nsg-h", urn="u")
APPROVED = Plan(stack="prod", target="azure")


@pytest.fixture
def approved(tmp_path: Path) -> Path:
    file = tmp_path / "approved.json"
    file.write_text(APPROVED.model_dump_json())
    return file


@pytest.fixture
def previews(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stacks that were previewed; each preview finds one change."""
    previewed: list[str] = []

    def preview(target: str) -> Plan:
        previewed.append(target)
        return Plan(stack=target, target="azure", changes=(CHANGE,))

    monkeypatch.setattr(planning, "open_target", lambda name, _: name)
    monkeypatch.setattr(planning.deploy, "preview", preview)
    monkeypatch.setattr(plans, "show", lambda *_, **__: None)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return previewed


def test_another_plan_than_the_approved_one_is_refused(approved: Path, previews: list[str]) -> None:
    with pytest.raises(RefusedError, match="only now: delete"):
        ci.plan("prod", approved.with_name("new.json"), expect=approved, on=On.AZURE)
    assert previews == ["prod"]


@pytest.mark.parametrize("link", [False, True])
def test_the_approved_plan_is_never_written_over(approved: Path, previews: list[str], *, link: bool) -> None:
    out = approved.with_name("link.json") if link else approved
    if link:
        os.link(approved, out)
    with pytest.raises(QuestionError, match="one file"):
        ci.plan("prod", out, expect=approved, on=On.AZURE)
    assert previews == []
    assert planning.read_plan(approved) == APPROVED


def test_a_file_that_is_no_plan_is_refused_before_the_preview(tmp_path: Path, previews: list[str]) -> None:
    with pytest.raises(QuestionError, match="is no plan"):
        ci.plan("prod", tmp_path / "new.json", expect=tmp_path / "nowhere.json", on=On.AZURE)
    assert previews == []


@pytest.mark.parametrize(
    "other", [Plan(stack="mvp", target="azure"), Plan(stack="prod", target="emulator")], ids=str
)
def test_a_plan_of_another_stack_or_place_is_another_plan(other: Plan) -> None:
    assert APPROVED.differences(other) != []
    with pytest.raises(RefusedError):
        planning.require_approved(other, APPROVED)


def test_a_preview_that_failed_is_told_also_when_its_plan_cannot_be_kept(
    tmp_path: Path, previews: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> Plan:
        raise FedError("no Azure login")

    monkeypatch.setattr(planning.deploy, "preview", broken)
    with pytest.raises(FedError, match=r"(?s)no Azure login.*cannot be written"):
        ci.plan("prod", tmp_path, on=On.AZURE)
