"""What a teardown takes along and what it leaves: a hospital's data go only by the hospital's name."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from automation.stacks import demonstration, hospital_data, take_down
from automation.stacks.hospital_data import kept, without
from automation.stacks.urns import name_of, type_of
from automation.ui.outcome import QuestionError, RefusedError
from emulator.control import Emulator
from emulator.datacentre.control import Datacentre
from emulator.datacentre.errors import DatacentreError
from tests.unit.support.verify_deployment import exported

HOSPITALS = ("cleveland", "hungary", "va-long-beach")
Blobs = dict[str, dict[str, str]]


def state(stack: str = "dev") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = exported(stack)["deployment"]["resources"]
    return found


def target(*, emulator: Any = None, stack: str = "dev") -> Any:
    return SimpleNamespace(name=stack, hospitals=HOSPITALS, emulator=emulator, on="azure")


class TestOnAzure:
    def test_every_hospital_s_data_stay_because_nobody_else_can_look(self) -> None:
        assert set(kept(target(), state(), ())) == set(HOSPITALS)

    def test_a_named_hospital_s_data_go(self) -> None:
        assert set(kept(target(), state(), ["hungary"])) == {"cleveland", "va-long-beach"}

    def test_a_name_that_nobody_has_stops_everything(self) -> None:
        with pytest.raises(QuestionError, match=r"names budapest; .*cleveland, hungary, va-long-beach"):
            kept(target(), state(), ["hungary", "budapest"])

    def test_the_centre_has_no_data_of_a_hospital(self) -> None:
        with pytest.raises(QuestionError, match="names centre"):
            kept(target(), state(), ["centre"])


def test_what_may_keep_azure_from_deleting_is_named_with_the_fix() -> None:
    """Deleted backups (azure-cli's recording of 2026-08-31), and a gateway's subnet (azure-docs#116634)."""
    found = sorted(take_down._obstacles(state("prod")))
    assert [line.partition(",")[0] for line in found] == [
        "bvault-fed-prod-centre keeps deleted backups for 14 days",
        "vnet-fed-prod-centre has a subnet for Power BI's data gateway",
    ]
    assert all("Fix: " in line for line in found)
    assert not list(take_down._obstacles(state("dev")))


class TestWhatStays:
    @pytest.mark.parametrize("stack", ["dev", "mvp", "prod"])
    def test_is_the_account_and_its_key_and_nothing_that_leads_there(self, stack: str) -> None:
        going = set(without(target(stack=stack), state(stack), ["cleveland"]))
        stays = [each for each in state(stack) if each["urn"] not in going]
        kinds = {type_of(each["urn"]).removeprefix("azure-native:") for each in stays if each["custom"]}
        azures = {name_of(each["urn"]) for each in stays if type_of(each["urn"]).startswith("azure-native:")}

        assert {"storage:StorageAccount", "storage:BlobContainer", "resources:ResourceGroup"} <= kinds
        assert kinds >= ({"keyvault:Vault", "keyvault:Key"} if stack != "dev" else set())
        assert not kinds & {
            "network:VirtualNetwork",
            "network:PrivateEndpoint",
            "compute:VirtualMachine",
            "compute:Disk",
            "network:VirtualNetworkPeering",
        }
        assert all(f"-{stack}-cleveland" in name for name in azures), azures

    def test_needs_nothing_that_goes(self) -> None:
        going = set(without(target(stack="prod"), state("prod"), ["hungary"]))

        for each in state("prod"):
            if each["urn"] not in going:
                assert not set(hospital_data._depends_on(each)) & going, each["urn"]

    def test_is_nothing_when_no_data_stay(self) -> None:
        assert without(target(), state(), ()) == [each["urn"] for each in state()]

    def test_is_everything_of_a_hospital_that_has_left(self) -> None:
        left = [each for each in state() if type_of(each["urn"]) != "azure-native:compute:VirtualMachine"]
        going = without(target(), left, ["cleveland"])

        workspaces = {name_of(urn) for urn in going if type_of(urn).endswith(":Workspace")}
        assert "log-fed-dev-hungary" in workspaces
        assert "log-fed-dev-cleveland" not in workspaces


@pytest.fixture
def on_emulator(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a target on an emulator whose containers hold these blobs (name -> MD5) of each hospital."""

    def make(blobs: Blobs | None, *, broken: bool = False) -> Any:
        def ensure(_: Any) -> Any:
            if broken:
                raise DatacentreError("no network namespaces here")
            return SimpleNamespace(
                blobs=lambda container: next(
                    (found for name, found in (blobs or {}).items() if f"-{name}-data/" in container), {}
                )
            )

        monkeypatch.setattr(Datacentre, "has_blobs", lambda _: blobs is not None)
        monkeypatch.setattr(Datacentre, "ensure", ensure)
        return target(emulator=object())

    return make


class TestOnTheEmulator:
    def test_the_demonstration_data_are_no_hospital_s(self, on_emulator: Callable[..., Any]) -> None:
        ours = {
            name: {blob: demonstration.md5(content) for blob, content in demonstration.files(name).items()}
            for name in HOSPITALS
        }

        assert kept(on_emulator(ours), state(), ()) == {}

    @pytest.mark.parametrize(
        "blobs",
        [{"own.csv": "x"}, {"heart.csv": "changed"}, {"readmission.csv": ""}],
        ids=str,
    )
    def test_anything_else_is(self, on_emulator: Callable[..., Any], blobs: dict[str, str]) -> None:
        here = on_emulator({"hungary": blobs})

        assert kept(here, state(), ()) == {"hungary": next(iter(blobs))}
        assert kept(here, state(), ["hungary"]) == {}

    def test_nothing_is_there_where_no_storage_ever_ran(self, on_emulator: Callable[..., Any]) -> None:
        assert kept(on_emulator(None, broken=True), state(), ()) == {}

    def test_what_cannot_be_seen_is_not_deleted_unseen(self, on_emulator: Callable[..., Any]) -> None:
        here = on_emulator({}, broken=True)

        with pytest.raises(RefusedError, match=r"--delete-data cleveland --delete-data hungary"):
            kept(here, state(), ())


@pytest.mark.parametrize(
    ("left", "goes"),
    [
        ({"fed-delivery/delivery": 40, "fed/dev": 0}, True),
        ({"fed-delivery/delivery": 0, "fed/mvp": 9}, False),
    ],
)
def test_the_emulator_goes_with_the_last_federation_and_a_rehearsed_bootstrap_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left: dict[str, int], goes: bool
) -> None:
    gone: list[Path] = []
    monkeypatch.setattr(take_down, "stacks", lambda _: left)
    monkeypatch.setattr(take_down, "living", lambda _: [])
    monkeypatch.setattr(Datacentre, "running", lambda _: None)
    monkeypatch.setattr(Emulator, "destroy", lambda home, **_: gone.append(home))
    emulator: Any = SimpleNamespace(home=tmp_path / "home", backend=tmp_path)

    take_down._remove_emulator(emulator)

    assert gone == ([emulator.home] if goes else [])
