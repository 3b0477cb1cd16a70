"""A change is previewed on the stacks that it can reach, and on no other; branches are named as agreed."""

import pytest

from automation.delivery.affected import check_branch, stacks
from automation.outcome import RefusedError

ALL = ("dev", "mvp", "prod")


@pytest.mark.parametrize(
    ("paths", "reached"),
    [
        (["README.md", "docs/runbook.md", "CHANGELOG.md"], []),
        (["tests/unit/test_naming.py", "emulator/arm/store.py", ".github/workflows/main.yml"], []),
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
