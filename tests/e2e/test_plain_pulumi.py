"""After `eval "$(./fed env)"` Pulumi's own command line works on the emulator, for every stack."""

import json
import subprocess

import pytest

from tests.e2e.own_clone import Clone, keep_hospitals

QUIET = "--non-interactive --color never"


@pytest.mark.long
@pytest.mark.parametrize("stack", ["dev", "mvp", "prod"])
def test_every_stack_lives_a_whole_life(shared_clone: Clone, stack: str) -> None:
    """Each question before and after each step; the everyday test asks one of each kind."""
    life(shared_clone, stack, thorough=True)


def test_the_largest_stack_lives_a_whole_life(shared_clone: Clone) -> None:
    """prod has all that the others have; a second `up` and the look for drift are asked of dev elsewhere."""
    life(shared_clone, "prod", thorough=False)


def life(clone: Clone, stack: str, *, thorough: bool) -> None:
    """Deploy a stack, have Azure's own values taken over, find no change, and take it down."""
    file = clone.root / f"Pulumi.{stack}.yaml"
    clone.edit(keep_hospitals("cleveland"), stack)
    before = file.read_bytes()
    at_once = f"-s {stack} --yes --skip-preview {QUIET}"
    if thorough:
        clone.shell(f"set -ex; pulumi preview -s {stack} {QUIET}")
    clone.shell(f"set -ex; pulumi up {at_once}")
    if thorough:
        # The second is what the nightly look for drift asks.
        clone.shell(
            f"""
            set -ex
            pulumi up {at_once} --expect-no-changes
            pulumi preview -s {stack} {QUIET} --refresh --expect-no-changes
            """
        )
    clone.shell(
        f"""
        set -ex
        # What Azure filled in is taken over, and stays no change.
        pulumi refresh {at_once}
        pulumi up {at_once} --expect-no-changes
        """
    )
    parties = json.loads(clone.fed("status", stack, "--json").stdout)["parties"]
    assert [party["party"] for party in parties] == ["centre", "cleveland"]
    assert all(peering["from_centre"] == "Connected" for party in parties for peering in party["peerings"])
    clone.shell(
        f"""
        set -ex
        pulumi state unprotect --all --yes -s {stack}  # what holds data, in prod
        pulumi destroy {at_once}
        """
    )
    assert clone.state(stack) == []
    assert file.read_bytes() == before


def test_the_shell_gets_nothing_but_exports_and_can_be_turned_back(shared_clone: Clone) -> None:
    said = shared_clone.fed("env").stdout
    assert said and all(line.startswith("export ") for line in said.splitlines())
    script = f"{said}\n{shared_clone.fed('env', '--unset').stdout}\nenv"
    left = subprocess.check_output(["/bin/sh", "-c", script], env={"PATH": "/usr/bin:/bin"}, text=True)
    assert "PULUMI" not in left and "FED_" not in left and "plugins/bin" not in left


def test_a_mistake_in_a_stack_file_reaches_pulumis_user_without_a_traceback(shared_clone: Clone) -> None:
    file = shared_clone.root / "Pulumi.dev.yaml"
    before = file.read_text()
    file.write_text(before.replace("fed:machine:", "fed:machine:\n    colour: blue", 1))
    try:
        done = shared_clone.shell(f"pulumi preview -s dev {QUIET} 2>&1 || exit 7", code=7)
    finally:
        file.write_text(before)
    assert "fed:machine.colour: blue" in done.stdout
    assert "Traceback" not in done.stdout
