"""A hospital leaves after the round, revoked first; nothing of others goes along; the run command is read
rightly.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from automation.hospitals import membership as hospital
from automation.hospitals.stack_file import StackFile
from automation.operate.machines import Centre
from automation.stacks import deploy
from automation.stacks.plan import Change, Plan
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError, RefusedError
from clone import paths
from federation.settings import Settings
from federation.stack_file import load_stack
from tests.unit.support.stack_outputs import stack_outputs
from workloads.container_server.container_server.question import Question

ROOT = paths.REPOSITORY


class FakeTarget:
    """A deployed stack whose centre answers from a list."""

    name = "mvp"

    def __init__(self, on: On, settings: Settings | None = None) -> None:
        self.on = on
        self.settings = settings

    def arm(self) -> None:
        return None


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(deploy, "outputs", lambda _: stack_outputs())
    monkeypatch.setattr(hospital, "POLL_SECONDS", 0)
    return calls


def answering(
    monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, ...]], *jobs: Mapping[str, Any] | None
) -> None:
    states = iter(jobs)

    def ask(_: object, question: Question[Any]) -> Mapping[str, Any]:
        calls.append(question.words())
        return {"last_job": next(states)} if question.command == "status" else {"status": "revoked"}

    monkeypatch.setattr(hospital.Centre, "ask", ask)


def job(round_: int, state: str = "running", name: str = "a") -> dict[str, Any]:
    return {"id": name, "round": round_, "rounds": 5, "state": state}


@pytest.mark.parametrize(
    "jobs",
    [
        (None,),
        (job(5, "finished"),),
        (job(2), job(2), job(3)),
        (job(2), job(2, "aborted")),
        (job(2), job(0, name="b")),
    ],
)
def test_the_round_ends_before_the_hospital_is_revoked(
    monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, ...]], jobs: tuple[Mapping[str, Any] | None, ...]
) -> None:
    answering(monkeypatch, asked, *jobs)
    hospital.drain(FakeTarget(On.AZURE), "hungary", wait_seconds=60)  # type: ignore[arg-type]
    assert asked[:-1] == [("status",)] * len(jobs)
    assert asked[-1][:2] == ("revoke", "hungary")


def test_a_round_that_does_not_end_stops_everything(
    monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, ...]]
) -> None:
    answering(monkeypatch, asked, *[job(2)] * 1000)
    with pytest.raises(RefusedError, match="did not end within 0 s; nothing was changed"):
        hospital.drain(FakeTarget(On.AZURE), "hungary", wait_seconds=0)  # type: ignore[arg-type]
    assert ("revoke", "hungary") not in {call[:2] for call in asked}


def test_who_cannot_be_revoked_on_azure_does_not_leave(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: list[tuple[str, ...]]
) -> None:
    def ask(*_: object) -> Mapping[str, Any]:
        raise FedError("vm-fed-dev-centre does not take commands: VMAgentStatusCommunicationError: no status")

    monkeypatch.setattr(hospital.Centre, "ask", ask)
    with pytest.raises(FedError, match="cannot be revoked, and nothing was changed"):
        hospital.drain(FakeTarget(On.AZURE), "hungary", wait_seconds=0)  # type: ignore[arg-type]
    hospital.drain(FakeTarget(On.EMULATOR), "hungary", wait_seconds=0)  # type: ignore[arg-type]
    assert "No VM runs on this emulator" in capsys.readouterr().err


@pytest.mark.parametrize(("stack", "told"), [("dev", False), ("mvp", True)])
def test_a_stack_that_pins_no_images_yet_says_why_its_centre_is_silent(
    monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, ...]], stack: str, told: bool
) -> None:
    """mvp and prod pin zeros until the first promotion; dev builds its own."""

    def ask(*_: object) -> Mapping[str, Any]:
        raise FedError("the centre's container server does not answer: container 12ab is not running")

    monkeypatch.setattr(hospital.Centre, "ask", ask)
    target = FakeTarget(On.EMULATOR, load_stack(ROOT, stack))
    with pytest.raises(FedError, match="cannot be revoked, and nothing was changed") as refused:
        hospital.drain(target, "hungary", wait_seconds=0)  # type: ignore[arg-type]
    assert ("Fix: promote some (./fed images promote mvp)" in str(refused.value)) is told


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"granted": True}, ["the centre signs the request of hungary within seconds"]),
        ({"granted": False}, ["hungary is let in again with the certificate that it has"]),
        ({"note": "nothing of it waits"}, ["nothing of hungary waits for a person", "nothing of it waits"]),
        (
            {"granted": False, "note": "in force; hungary is told later: 412"},
            ["hungary is let in again", "in force; hungary is told later: 412"],
        ),
    ],
)
def test_a_yes_says_what_it_did(
    answer: Mapping[str, Any], told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    class Approving(Centre):
        def __init__(self) -> None:
            pass

        def ask(self, question: Question[Any]) -> Any:
            assert question.words() == ("approve", "hungary")
            return {"hospital": "hungary", "status": "approved", **answer}

    hospital.approve(Approving(), "hungary")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(told)
    assert all(words in line for words, line in zip(told, said, strict=True))


def plan(*parties: str) -> Plan:
    changes = (Change(party=party, kind="create", type="a:b:C", name="n", urn=party) for party in parties)
    return Plan(stack="dev", target="emulator", changes=tuple(changes))


def test_only_the_hospital_and_the_centre_may_be_touched() -> None:
    assert hospital.strangers(plan("centre", "switzerland"), "switzerland") == []
    assert hospital.strangers(plan("centre", "switzerland", "hungary", "shared"), "switzerland") == [
        "hungary",
        "shared",
    ]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in ROOT.glob("Pulumi.*.yaml"):
        (tmp_path / file.name).write_text(file.read_text())
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    monkeypatch.setattr(hospital, "open_target", lambda *_: FakeTarget(On.EMULATOR))
    monkeypatch.setattr(hospital.plans, "show", lambda *_, **__: None)
    return tmp_path


def planning(monkeypatch: pytest.MonkeyPatch, *parties: str) -> list[str]:
    """Let every preview say that these parties change; what is deployed is collected."""
    deployed: list[str] = []
    members = ("cleveland", "hungary", "va-long-beach")
    monkeypatch.setattr(deploy, "outputs", lambda _: stack_outputs(*members))
    monkeypatch.setattr(deploy, "preview", lambda _: plan(*parties))
    monkeypatch.setattr(deploy, "up", lambda *_, **__: deployed.append("up"))
    return deployed


def add(name: str, *, yes: bool, **more: Any) -> None:
    given = {"subscription": None, "address_space": None, "location": None, "machines": False, **more}
    hospital.add("dev", On.EMULATOR, name, yes=yes, **given)


def remove(stack: str, name: str, *, yes: bool, delete_data: str | None = None) -> None:
    hospital.remove(stack, On.EMULATOR, name, delete_data=delete_data, wait_seconds=0, yes=yes)


NEW = "20000000-0000-4000-8000-00000000cafe"


def test_what_else_is_pending_is_not_deployed_by_the_way(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = planning(monkeypatch, "centre", "switzerland", "hungary")
    with pytest.raises(RefusedError, match="touches hungary as well, so nothing was deployed"):
        add("switzerland", yes=True, subscription=NEW)
    assert deployed == []


def test_one_that_was_never_deployed_leaves_nothing_behind(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = planning(monkeypatch, "centre", "switzerland")
    before = (clone / "Pulumi.dev.yaml").read_text()
    add("switzerland", yes=False, subscription=NEW)
    monkeypatch.setattr(hospital, "_urns", lambda *_: [])
    remove("dev", "switzerland", yes=True)
    assert (clone / "Pulumi.dev.yaml").read_text() == before
    assert deployed == []


def test_without_yes_only_the_file_changes(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = planning(monkeypatch, "centre", "switzerland")
    add("switzerland", yes=False, subscription=NEW)
    assert StackFile(clone / "Pulumi.dev.yaml").has_hospital("switzerland")
    assert deployed == []


def test_a_plan_that_cannot_be_made_leaves_the_file_as_it_was(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> Plan:
        raise FedError("no Azure login")

    monkeypatch.setattr(deploy, "preview", fail)
    with pytest.raises(FedError, match="no Azure login"):
        add("switzerland", yes=True, subscription=NEW)
    assert (clone / "Pulumi.dev.yaml").read_text() == (ROOT / "Pulumi.dev.yaml").read_text()


def test_a_file_that_somebody_else_changed_meanwhile_is_not_put_back(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clone / "Pulumi.dev.yaml"

    def fail(_: object) -> Plan:
        path.write_text(path.read_text() + "# mine\n")
        raise FedError("no Azure login")

    monkeypatch.setattr(deploy, "preview", fail)
    with pytest.raises(FedError, match="no Azure login"):
        add("switzerland", yes=True, subscription=NEW)
    assert path.read_text().endswith("10.10.4.0/27\n# mine\n")


def test_who_left_and_stands_in_braces_keeps_its_entry(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = planning(monkeypatch, "centre", "hungary")
    path = clone / "Pulumi.dev.yaml"
    before, _, rest = path.read_text().partition("    hungary:")
    entry = (
        "{ subscriptionId: 20000000-0000-4000-8000-000000000002, addressSpace: 10.10.2.0/27, retired: left }"
    )
    text = f"{before}    hungary: {entry}\n    va-long-beach:{rest.partition('va-long-beach:')[2]}"
    path.write_text(text)
    with pytest.raises(QuestionError, match=r"Pulumi\.dev\.yaml: fed:hospitals\.hungary .*braces"):
        add("hungary", yes=True)
    assert (path.read_text(), deployed) == (text, [])


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("switzerland", {}, "name its subscription"),
        ("hungary", {"subscription": NEW}, "which cannot change"),
        ("hungary", {"address_space": "10.99.0.0/27"}, "which cannot change"),
        ("hungary", {"location": "northeurope"}, "which cannot change"),
        ("a:\n    b", {"subscription": NEW}, "^NAME .*lower-case letters"),
        ("switzerland", {"subscription": f"{NEW}\n      vmSize: x"}, "^--subscription .*GUID"),
        (
            "switzerland",
            {"subscription": NEW, "address_space": "10.99.0.0/27 # x"},
            "^--address-space .*VNet",
        ),
        ("switzerland", {"subscription": ""}, "^--subscription .*GUID"),
        ("switzerland", {"subscription": NEW, "address_space": ""}, "^--address-space .*VNet"),
        ("switzerland", {"subscription": NEW, "location": "a\nb"}, "^--location .*region"),
    ],
)
def test_a_wrong_question_changes_nothing(clone: Path, name: str, given: dict[str, str], text: str) -> None:
    with pytest.raises(QuestionError, match=text):
        add(name, yes=True, **given)
    assert (clone / "Pulumi.dev.yaml").read_text() == (ROOT / "Pulumi.dev.yaml").read_text()


def retirement(clone: Path, stack: str, name: str) -> str | None:
    return StackFile(clone / f"Pulumi.{stack}.yaml").settings().hospitals[name].retired


def test_where_nothing_is_locked_leaving_is_one_deployment(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = planning(monkeypatch, "centre", "hungary")
    monkeypatch.setattr(hospital, "drain", lambda *_, **__: deployed.append("drained"))
    remove("dev", "hungary", yes=True)
    assert deployed == ["drained", "up"]
    assert retirement(clone, "dev", "hungary") == "left"


def test_where_data_are_locked_the_lock_is_lifted_and_put_back(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = planning(monkeypatch, "centre", "hungary")
    monkeypatch.setattr(hospital, "drain", lambda *_, **__: deployed.append("drained"))
    remove("prod", "hungary", yes=False)
    assert (deployed, retirement(clone, "prod", "hungary")) == ([], "leaving")
    remove("prod", "hungary", yes=True)
    assert deployed == ["drained", "up", "up"], "the file said it before, but nothing had been deployed"
    assert retirement(clone, "prod", "hungary") == "left"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_who_could_not_be_revoked_is_still_a_member_in_the_file(
    clone: Path, monkeypatch: pytest.MonkeyPatch, stack: str
) -> None:
    deployed = planning(monkeypatch, "centre", "hungary")

    def fail(*_: object, **__: object) -> None:
        raise FedError("the centre does not answer. So hungary cannot be revoked, and nothing was changed.")

    monkeypatch.setattr(hospital, "drain", fail)
    with pytest.raises(FedError, match="cannot be revoked"):
        remove(stack, "hungary", yes=True)
    assert (deployed, retirement(clone, stack, "hungary")) == ([], None)


def test_who_is_no_member_any_more_is_not_drained_again(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = planning(monkeypatch, "hungary")
    monkeypatch.setattr(deploy, "outputs", lambda _: stack_outputs())
    file = StackFile(clone / "Pulumi.prod.yaml")
    file.set_of_hospital("hungary", "retired", "leaving")
    file.save()
    remove("prod", "hungary", yes=True)
    assert (deployed, retirement(clone, "prod", "hungary")) == (["up"], "left")
    with pytest.raises(QuestionError, match="has left; its data are kept"):
        remove("prod", "hungary", yes=True)


@pytest.mark.parametrize(
    ("stack", "name", "delete_data", "error", "text"),
    [
        ("dev", "atlantis", None, QuestionError, "no hospital atlantis"),
        ("dev", "atlantis", "atlantis", QuestionError, "no hospital atlantis"),
        ("dev", "hungary", "cleveland", QuestionError, "nothing was deleted"),
        ("prod", "hungary", "hungary", RefusedError, "Let it leave first"),
    ],
)
def test_data_go_only_when_their_hospital_is_named_and_has_left(
    clone: Path,
    monkeypatch: pytest.MonkeyPatch,
    stack: str,
    name: str,
    delete_data: str | None,
    error: type[FedError],
    text: str,
) -> None:
    monkeypatch.setattr(deploy, "outputs", lambda _: stack_outputs("hungary"))
    monkeypatch.setattr(hospital, "_urns", lambda *_, **__: ["urn::hungary"] if name == "hungary" else [])
    with pytest.raises(error, match=text):
        remove(stack, name, yes=True, delete_data=delete_data)
    assert (clone / f"Pulumi.{stack}.yaml").read_text() == (ROOT / f"Pulumi.{stack}.yaml").read_text()


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_killed_deletion_of_data_is_gone_on_with_by_the_same_words(
    clone: Path, monkeypatch: pytest.MonkeyPatch, stack: str
) -> None:
    deployed = planning(monkeypatch, "centre", "hungary")
    file = StackFile(clone / f"Pulumi.{stack}.yaml")
    file.remove_hospital("hungary")
    file.save()
    monkeypatch.setattr(deploy, "outputs", lambda _: stack_outputs("cleveland"))
    monkeypatch.setattr(hospital, "_urns", lambda *_, **__: ["urn::what-is-left"])
    monkeypatch.setattr(hospital, "_unprotect", lambda *_: deployed.append("unprotected"))
    remove(stack, "hungary", yes=True, delete_data="hungary")
    assert deployed == ["unprotected", "up"]


def test_a_member_whose_locked_entry_was_taken_out_by_hand_keeps_its_data(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = planning(monkeypatch, "centre", "hungary")
    file = StackFile(clone / "Pulumi.prod.yaml")
    file.remove_hospital("hungary")
    file.save()
    monkeypatch.setattr(hospital, "_urns", lambda *_, **__: ["urn::data"])
    with pytest.raises(RefusedError, match="Let it leave first"):
        remove("prod", "hungary", yes=True, delete_data="hungary")
    assert deployed == []
