"""Placeholders that nobody replaced are named before Azure is asked for anything."""

import shutil
from pathlib import Path

import pytest

from automation.delivery.placeholders import CODEOWNERS, left, refuse
from automation.ui.outcome import QuestionError
from clone import paths
from federation.stack_file import load_stack

ROOT = paths.REPOSITORY
DELIVERY = "infra/Pulumi.delivery.yaml"


def test_each_stack_file_names_its_tenant_and_every_subscription() -> None:
    for stack in ("dev", "mvp", "prod"):
        lines = "\n".join(left(ROOT, f"Pulumi.{stack}.yaml"))
        settings = load_stack(ROOT, stack)
        subscriptions = [
            settings.centre.subscription_id,
            *(each.subscription_id for each in settings.hospitals.values()),
        ]
        assert all(value in lines for value in (settings.tenant_id, *subscriptions))
        assert "operations@example.org" in lines
        assert "fed:hospitals.cleveland.subscriptionId is" in lines


def test_who_may_deploy_names_everything_that_only_the_organisation_knows() -> None:
    keys = {line.split(": ")[1].split(" is ")[0] for line in left(ROOT, DELIVERY)}
    assert keys == {
        f"fed-delivery:{name}".removesuffix(":")
        for name in (
            "tenantId",
            "subscriptionId",
            "stateAccount",
            "registry",
            "repository",
            "subjectPrefix",
            "administrators",
        )
    }


def test_the_owners_of_the_code_are_two_teams_to_replace() -> None:
    assert [line.split(" is ")[1].split(":")[0] for line in left(ROOT, CODEOWNERS)] == [
        "@research-centre/platform",
        "@research-centre/security",
    ]


def test_what_was_replaced_is_named_no_more(tmp_path: Path) -> None:
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    owners = tmp_path / CODEOWNERS
    owners.write_text(owners.read_text().replace("@research-centre/", "@st-elsewhere/"))
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "config: {fed:tenantId: 7d3c1b52-6f07-4a5e-9f55-0d2f1c9b8e11}\n"
    )
    refuse(tmp_path, CODEOWNERS, "Pulumi.dev.yaml")

    (tmp_path / "Pulumi.dev.yaml").write_text("config: {fed:contacts: [operations@example.org]}\n")
    with pytest.raises(QuestionError, match=r"fed:contacts is operations@example.org: write an address"):
        refuse(tmp_path, CODEOWNERS, "Pulumi.dev.yaml")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / ".github").mkdir()
        (tmp_path / CODEOWNERS).write_bytes(content)
    with pytest.raises(QuestionError, match="CODEOWNERS cannot be read"):
        left(tmp_path, CODEOWNERS)
