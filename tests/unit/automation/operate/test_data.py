"""A hospital's data on the emulator: never overwritten, never waited for when there are none."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from automation.operate import data, data_sets, emulated
from automation.stacks import demonstration
from automation.stacks.demonstration import foreign
from automation.ui.outcome import FedError, QuestionError, RefusedError
from tests.unit.support.stack_outputs import stack_outputs
from workloads.data import heart_data

OUTPUTS = stack_outputs("cleveland", "hungary", "mercy")


class Storage:
    """Stands for the emulated storage: containers by ARM id, blobs by name with their MD5."""

    def __init__(self, **blobs: dict[str, str]) -> None:
        self.containers = {data.container_of(OUTPUTS, name): found for name, found in blobs.items()}

    def blobs(self, container: str) -> dict[str, str]:
        return self.containers.get(container, {})

    def upload(self, container: str, blob: str, content: bytes) -> bool:
        md5 = demonstration.md5(content)
        changed = self.blobs(container).get(blob) != md5
        self.containers.setdefault(container, {})[blob] = md5
        return changed


def storage(**blobs: dict[str, str]) -> Any:
    return Storage(**blobs)


def of(store: Any, hospital: str) -> data.Container:
    return data.OwnersContainer(datacentre=store, id=data.container_of(OUTPUTS, hospital))


class TestSeeding:
    def test_fills_the_empty_containers_that_have_demonstration_data(self) -> None:
        store = storage()
        seeded = data.seed(store, OUTPUTS)
        assert (seeded.uploaded, seeded.own, seeded.empty) == (("cleveland", "hungary"), (), ("mercy",))
        assert foreign("hungary", store.blobs(data.container_of(OUTPUTS, "hungary"))) == []

    def test_leaves_what_a_hospital_uploaded_itself(self) -> None:
        store = storage(cleveland={"heart.csv": "own"}, hungary={"other.csv": "x"}, mercy={"m.csv": "y"})
        seeded = data.seed(store, OUTPUTS)
        assert (seeded.uploaded, seeded.own) == ((), ("cleveland", "hungary", "mercy"))
        assert store.blobs(data.container_of(OUTPUTS, "cleveland")) == {"heart.csv": "own"}
        assert store.blobs(data.container_of(OUTPUTS, "hungary")) == {"other.csv": "x"}

    def test_a_second_time_changes_nothing(self) -> None:
        store = storage()
        data.seed(store, OUTPUTS)
        seeded = data.seed(store, OUTPUTS)
        assert (seeded.uploaded, seeded.own) == ((), ())


class TestUploading:
    def test_a_file_that_the_vm_would_refuse_stays_here(self, tmp_path: Path) -> None:
        file = tmp_path / "heart.csv"
        file.write_text("age\n1\n")
        store = storage()
        with pytest.raises(RefusedError, match=r"column sex is missing[\s\S]*Fix: "):
            data.put(of(store, "mercy"), file)
        assert store.containers == {}

    def test_of_a_name_that_no_release_has_is_said_who_checks_it(self, tmp_path: Path) -> None:
        (tmp_path / "stay.csv").write_text("age\n1\n")
        checked, changed = data.put(of(storage(), "mercy"), tmp_path / "stay.csv")
        assert changed
        assert "VM checks it if its officers have approved" in checked.notes[-1]

    def test_a_good_one_is_there_under_its_name_and_only_once(self, tmp_path: Path) -> None:
        file = tmp_path / "heart.csv"
        file.write_bytes(heart_data.seed("hungary"))
        container = of(storage(), "mercy")
        checked, changed = data.put(container, file)
        assert (checked.rows, changed) == (294, True)
        assert list(data.listing(container)) == ["heart.csv"]
        assert not data.put(container, file)[1]

    def test_a_table_for_a_model_goes_beside_the_data_and_is_none_of_them(self, tmp_path: Path) -> None:
        file = tmp_path / "heart.ward-3.csv"
        file.write_text("age\n54\n")
        container = of(storage(), "mercy")
        assert data.ask_scores(container, file)
        assert not data.ask_scores(container, file)
        assert list(data.listing(container)) == ["score/heart.ward-3.csv"]
        with pytest.raises(QuestionError, match=r"heart\.xlsx is no \.csv file"):
            data.ask_scores(container, tmp_path / "heart.xlsx")

    def test_a_hospital_or_file_that_does_not_exist_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(QuestionError, match=r"'zurich'.*cleveland, hungary, mercy"):
            data.container_of(OUTPUTS, "zurich")
        with pytest.raises(QuestionError, match=r"none\.csv cannot be read: No such file"):
            data_sets.check(tmp_path / "none.csv")


class TestWaiting:
    """`fed up` waits for hospitals that can register, and says which cannot."""

    def wait(self, monkeypatch: pytest.MonkeyPatch, reason: str, own: set[str]) -> dict[str, str]:
        hospitals = {"cleveland": {"registered": True}, "mercy": {"registered": False, "reason": reason}}
        centre: Any = SimpleNamespace(status=lambda: {"hospitals": hospitals})
        monkeypatch.setattr(emulated, "READY_SECONDS", 0.0)
        return emulated._wait_until_registered(centre, {"cleveland", "mercy"}, own)

    def test_ends_for_one_whose_own_data_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reason = "data: heart.csv: empty"
        assert self.wait(monkeypatch, reason, {"mercy"}) == {"mercy": reason}

    @pytest.mark.parametrize(
        "reason",
        ["the client is starting", "data: not looked at yet", "data: heart.csv (900 MB) is being read"],
    )
    def test_goes_on_for_any_other_reason(self, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
        with pytest.raises(FedError, match="mercy: " + re.escape(reason)):
            self.wait(monkeypatch, reason, {"mercy"})

    def test_goes_on_for_the_demonstration_s_hospitals(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(FedError, match=r"mercy: data: heart\.csv: empty"):
            self.wait(monkeypatch, "data: heart.csv: empty", set())
