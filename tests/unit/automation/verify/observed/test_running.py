"""Images that run on a VM, against those that were ordered there and those that the stack names."""

import json
from typing import Any

import pytest

from automation.operate.machines import Ran
from automation.operate.upgrade import Wanted
from automation.verify.facts.resources import VerifyError
from automation.verify.observed import running
from automation.verify.observed.running import Running, compare, other_sets

OLD, NEW = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"
REGISTRY = "crfeddev.azurecr.io"
WANTED = Wanted(party="hungary", images={"fl-client": NEW, "container-server": NEW})
IN_FORCE = {"IMAGE_FL_CLIENT": NEW, "IMAGE_CONTAINER_SERVER": NEW}


def of(digest: str = NEW, in_force: dict[str, str] = IN_FORCE, **more: str) -> Running:
    containers = {
        "container-server": f"{REGISTRY}/container-server@{NEW}",
        "fl-client": f"{REGISTRY}/fl-client@{digest}",
        "fl-box": f"{REGISTRY}/fl-client@{NEW}",
    }
    return Running(containers={**containers, **more}, in_force=in_force)


def found(said: Running) -> list[str]:
    return [finding.what for finding in compare(WANTED, said)]


def test_what_was_ordered_runs() -> None:
    assert found(of()) == []
    assert list(other_sets(WANTED, of())) == []


def test_one_of_another_digest_is_named() -> None:
    (what,) = found(of(OLD))
    assert what.startswith("fl-client of hungary runs fl-client sha256:000000000000, ordered there was")


@pytest.mark.parametrize(
    "image", ["alpine", f"alpine@{NEW}", f"{REGISTRY}/fl-client:latest", f"{REGISTRY}/mlflow@{NEW}"]
)
def test_one_that_is_none_of_its_vm_is_named(image: str) -> None:
    (what,) = found(of(helper=image))
    assert what == f"helper of hungary runs {image}, which is no image of its VM's"


def test_a_vm_that_waits_for_its_turn_is_no_difference_and_is_told() -> None:
    before = of(OLD, {**IN_FORCE, "IMAGE_FL_CLIENT": OLD}, **{"fl-box": f"{REGISTRY}/fl-client@{OLD}"})
    assert found(before) == []
    (said,) = other_sets(WANTED, before)
    assert "hungary is to go on with fl-client sha256:000000000000: the stack names sha256:1111" in said


def test_a_vm_is_asked_by_a_program_whose_answer_is_read() -> None:
    in_force = "".join(f"{name}={digest}\n" for name, digest in IN_FORCE.items())
    printed = "fed-images:" + json.dumps({"containers": dict(of().containers), "in_force": in_force})
    asked: list[Any] = []

    def run(machine: str, command: list[str]) -> Ran:
        asked.append((machine, command[:2]))
        return Ran(0, f"noise\n{printed}\n", "")

    assert running.ask("/subscriptions/1/vm", run) == of()
    assert asked == [("/subscriptions/1/vm", ["python3", "-c"])]


@pytest.mark.parametrize("printed", ["", "fed-images:{}", "fed-images:[", 'fed-images:{"in_force": 1}'])
def test_one_that_does_not_answer_is_named(printed: str) -> None:
    with pytest.raises(VerifyError, match="vm-fed-hungary does not say which images it runs"):
        running.ask("/x/vm-fed-hungary", lambda machine, command: Ran(1, printed, ""))
