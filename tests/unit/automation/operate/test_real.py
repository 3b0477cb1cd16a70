"""Which machines are real after `./fed up --real`, and what is refused before anything is made."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from automation.operate import real
from automation.ui.outcome import QuestionError, RefusedError
from clone import paths
from emulator.guest import accelerator
from emulator.guest.orders import Orders


class Running:
    """A datacentre that notes whether it was stopped."""

    def __init__(self) -> None:
        self.stopped = 0

    def stop(self) -> None:
        self.stopped += 1


@pytest.fixture
def datacentre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A running datacentre in a home of its own, on a machine that has what is needed, without KVM."""
    running = Running()
    made = SimpleNamespace(
        disk=lambda: tmp_path / "image", builder=lambda: None, python=lambda: None, prune=list
    )
    monkeypatch.setenv("FED_HOME", str(tmp_path))
    monkeypatch.setattr(real.Datacentre, "running", lambda _: running)
    monkeypatch.setattr(real.system, "require_packages", lambda _: None)
    monkeypatch.setattr(real, "GuestStore", lambda *_: made)
    monkeypatch.setattr(accelerator, "DEVICE", tmp_path / "kvm")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return running


def target(name: str = "dev", **more: Any) -> Any:
    settings = SimpleNamespace(images=SimpleNamespace(boxes=("tabular",)))
    return SimpleNamespace(
        name=name, hospitals=("cleveland", "hungary"), emulator=object(), settings=settings, **more
    )


def machines() -> tuple[str, ...]:
    orders = Orders.load(paths.real_machines())
    return orders.machines if orders else ()


def test_the_named_hospitals_become_real_and_the_price_is_said(
    datacentre: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    real.order(target(), ["cleveland"])
    assert machines() == ("vm-fed-dev-cleveland",)
    orders = Orders.load(paths.real_machines())
    assert orders
    assert orders.containers == ("box-tabular", "container-server", "fl-client")
    assert datacentre.stopped == 1
    assert real.slow()
    said = capsys.readouterr()
    assert "ten times slower" in said.out + said.err


def test_the_same_order_again_ends_no_machine(datacentre: Running) -> None:
    for _ in range(2):
        real.order(target(), ["cleveland"])
    assert datacentre.stopped == 1


def test_none_makes_a_stacks_machines_emulated_and_leaves_other_stacks_alone(datacentre: Running) -> None:
    real.order(target(), ["cleveland", "hungary"])
    real.order(target("mvp"), ["hungary"])
    assert machines() == ("vm-fed-dev-cleveland", "vm-fed-dev-hungary", "vm-fed-mvp-hungary")
    real.order(target(), ["none"])
    assert machines() == ("vm-fed-mvp-hungary",)
    real.order(target("mvp"), ["none"])
    assert not paths.real_machines().exists()
    assert not real.slow()
    assert datacentre.stopped == 4


@pytest.mark.parametrize(
    ("party", "words"), [("centre", "centre's machine cannot be real"), ("nowhere", "nowhere is no hospital")]
)
def test_who_cannot_be_real_is_refused(party: str, words: str, datacentre: Running) -> None:
    with pytest.raises(QuestionError, match=words):
        real.order(target(), [party])
    assert machines() == ()


def test_azure_is_refused(datacentre: Running) -> None:
    on_azure = target()
    on_azure.emulator = None
    with pytest.raises(QuestionError, match="on Azure every machine is real"):
        real.order(on_azure, ["cleveland"])


def test_without_root_it_is_said_what_to_do(datacentre: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(RefusedError, match="Fix: sudo"):
        real.order(target(), ["cleveland"])
