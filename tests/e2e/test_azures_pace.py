"""The whole life of each stack on an Azure that takes its time, and whose roles have no effect at first.

The scale is a fraction of Azure's typical durations (emulator/arm/latency.py); a role's minute is scaled too.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.own_clone import PATIENCE, Clone, keep_hospitals

NEWCOMER, SUBSCRIPTION = "switzerland", "20000000-0000-4000-8000-0000000000aa"

Make = Callable[[str], Clone]


@pytest.fixture
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Return what makes a clone whose Azure takes a given fraction of the real one's time."""
    made = []

    def clone(scale: str) -> Clone:
        made.append(Clone(tmp_path_factory.mktemp("clone"), latency=f"azure:{scale}"))
        return made[-1]

    yield clone
    for each in made:
        each.destroy()


def up(clone: Clone, stack: str, *options: str) -> str:
    """Deploy a stack and return what was said."""
    said = clone.fed("up", stack, *options, seconds=3 * PATIENCE).stderr
    assert "warning" not in said
    return said


def changes_nothing(said: str) -> None:
    """Fail unless a deployment left everything as it was."""
    assert "unchanged in" in said
    assert not any(word in said for word in ("created", "updated", "replaced", "deleted"))


def lives(clone: Clone, stack: str, *, proven: bool) -> None:
    """Deploy a stack from nothing and again, look at Azure, let a hospital join and leave, take all down.

    With `proven` it is verified before it goes.
    """
    assert "created" in up(clone, stack)
    changes_nothing(up(clone, stack))
    changes_nothing(up(clone, stack, "--refresh"))
    if stack == "prod":
        assert "is configured" in clone.fed("status", stack, "--no-health").stdout
    there = set(clone.outputs(stack)["hospitals"])

    member = ("--stack", stack, "--yes")
    clone.fed("hospital", "add", NEWCOMER, "--subscription", SUBSCRIPTION, *member, seconds=3 * PATIENCE)
    assert set(clone.outputs(stack)["hospitals"]) == there | {NEWCOMER}
    leave, away = ("hospital", "remove", NEWCOMER), ("--delete-data", NEWCOMER)
    if stack == "prod":  # data that are locked go once their hospital has left
        clone.fed(*leave, *member, seconds=3 * PATIENCE)
    clone.fed(*leave, *away, *member, seconds=3 * PATIENCE)
    assert set(clone.outputs(stack)["hospitals"]) == there
    if proven:
        changes_nothing(up(clone, stack))
        clone.fed("verify", stack, seconds=3 * PATIENCE)  # starts the machines, so it comes last

    kept = [word for name in there for word in ("--delete-data", name)]
    sure = () if stack == "dev" else ("--confirm", stack)
    clone.fed("down", stack, "--yes", *sure, *kept, seconds=3 * PATIENCE)
    assert not clone.state(stack)


def test_dev_lives_its_whole_life(make: Make) -> None:
    clone = make("0.005")
    clone.edit(keep_hospitals("cleveland"))
    lives(clone, "dev", proven=False)


def test_accounts_and_disks_wait_for_their_key_with_plain_pulumi_too(make: Make) -> None:
    clone = make("0.02")
    clone.edit(keep_hospitals("cleveland"), "mvp")
    said = clone.shell("pulumi up -s mvp --yes --skip-preview --non-interactive --color never").stdout
    assert "asking again" in said
    changes_nothing(up(clone, "mvp"))


@pytest.mark.long
@pytest.mark.parametrize("stack", ["dev", "mvp", "prod"])
def test_a_whole_stack_lives_on_an_azure_five_times_as_fast(make: Make, stack: str) -> None:
    lives(make("0.2"), stack, proven=True)
