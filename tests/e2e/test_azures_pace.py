"""The whole program on an Azure that takes its time, and whose roles have no effect at first.

The scale is a fraction of Azure's typical durations (emulator/arm/latency.py); a role's minute is scaled too.
"""

from collections.abc import Iterator

import pytest

from tests.e2e.own_clone import Clone, keep_hospitals


@pytest.fixture
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone whose Azure takes a fiftieth of the real one's time."""
    found = Clone(tmp_path_factory.mktemp("clone"), latency="azure:0.02")
    yield found
    found.destroy()


def comes_up_and_stays(clone: Clone, stack: str) -> None:
    """Deploy a stack from nothing and again."""
    assert "warning" not in clone.fed("up", stack).stderr
    again = clone.fed("up", stack).stderr
    assert "unchanged in" in again
    assert not any(word in again for word in ("created", "updated", "replaced", "deleted", "warning"))


def test_dev_comes_up_in_one_go(clone: Clone) -> None:
    clone.edit(keep_hospitals("cleveland"))
    comes_up_and_stays(clone, "dev")


def test_accounts_and_disks_wait_for_their_key_with_plain_pulumi_too(clone: Clone) -> None:
    clone.edit(keep_hospitals("cleveland"), "mvp")
    said = clone.shell("pulumi up -s mvp --yes --skip-preview --non-interactive --color never").stdout
    assert "asking again" in said
    again = clone.fed("up", "mvp").stderr
    assert "unchanged in" in again and "created" not in again


@pytest.mark.long
@pytest.mark.parametrize("stack", ["mvp", "prod"])
def test_a_whole_stack_comes_up_in_one_go_and_goes(clone: Clone, stack: str) -> None:
    comes_up_and_stays(clone, stack)
    if stack == "prod":
        assert "is configured" in clone.fed("status", stack, "--no-health").stdout
    clone.fed("verify", stack)
    hospitals = [word for name in clone.outputs(stack)["hospitals"] for word in ("--delete-data", name)]
    clone.fed("down", stack, "--yes", "--confirm", stack, *hospitals)
