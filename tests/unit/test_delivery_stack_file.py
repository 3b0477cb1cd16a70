"""A stack file is edited as a person would: what the edit is not about stays byte for byte."""

import difflib
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation.delivery.address_space import next_free
from automation.delivery.stack_file import StackFile
from automation.outcome import QuestionError
from federation.settings import Settings
from federation.violations import SettingsError

ROOT = Path(__file__).resolve().parents[2]
STACKS = ["dev", "mvp", "prod"]
SWITZERLAND = {"subscriptionId": "20000000-0000-4000-8000-00000000cafe", "addressSpace": "10.200.0.0/27"}
DIGESTS = {
    name: f"sha256:{digit * 64}"
    for name, digit in zip(["container-server", "fl-client", "fl-server", "mlflow"], "abcd", strict=True)
}


def stack_file(stack: str, folder: Path) -> StackFile:
    copy = folder / f"Pulumi.{stack}.yaml"
    copy.write_text((ROOT / copy.name).read_text())
    return StackFile(copy)


def changed(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[:1] in "+-" and line[:3] not in {"+++", "---"}]


@pytest.mark.parametrize("stack", STACKS)
def test_adding_a_hospital_adds_its_lines_and_nothing_else(stack: str, tmp_path: Path) -> None:
    file = stack_file(stack, tmp_path)
    before = file.text
    file.add_hospital("switzerland", SWITZERLAND)
    assert changed(before, file.text) == [
        "+    switzerland:",
        "+      subscriptionId: 20000000-0000-4000-8000-00000000cafe",
        "+      addressSpace: 10.200.0.0/27",
    ]
    file.save()
    assert "switzerland" in StackFile(file.path).settings().hospitals


@pytest.mark.parametrize("stack", STACKS)
def test_what_was_added_can_be_removed_without_a_trace(stack: str, tmp_path: Path) -> None:
    file = stack_file(stack, tmp_path)
    before = file.text
    file.add_hospital("switzerland", SWITZERLAND)
    file.set_of_hospital("switzerland", "vmSize", "Standard_D2s_v5")
    file.unset_of_hospital("switzerland", "vmSize")
    file.remove_hospital("switzerland")
    assert file.text == before


COMMENTED = """\
config:
  fed:hospitals: # the members
    # Cleveland joined first.
    cleveland:
      subscriptionId: 1
      contacts:
      - a@example.org # their operations
      - b@example.org
    # Hungary has a range of its own choice.
    hungary:
      addressSpace: 10.0.2.0/27 # agreed by mail

  # Images are built here.
  fed:images:
    build: true
"""


def edited(text: str, folder: Path) -> StackFile:
    path = folder / "Pulumi.dev.yaml"
    path.write_text(text)
    return StackFile(path)


def test_a_new_hospital_stands_with_the_others_and_not_below_the_next_comment(tmp_path: Path) -> None:
    file = edited(COMMENTED, tmp_path)
    file.add_hospital("switzerland", {"subscriptionId": "3"})
    assert "agreed by mail\n    switzerland:\n      subscriptionId: 3\n\n  # Images are" in file.text


def test_a_hospitals_own_comments_go_with_it_and_the_others_stay(tmp_path: Path) -> None:
    file = edited(COMMENTED, tmp_path)
    file.remove_hospital("cleveland")
    assert changed(COMMENTED, file.text) == [
        "-    # Cleveland joined first.",
        "-    cleveland:",
        "-      subscriptionId: 1",
        "-      contacts:",
        "-      - a@example.org # their operations",
        "-      - b@example.org",
    ]
    file.remove_hospital("hungary")
    assert "  fed:hospitals: {} # the members\n\n  # Images are built here." in file.text


def test_a_changed_value_keeps_the_comment_behind_it(tmp_path: Path) -> None:
    file = edited(COMMENTED, tmp_path)
    file.set_of_hospital("hungary", "addressSpace", "10.9.0.0/27")
    assert changed(COMMENTED, file.text) == [
        "-      addressSpace: 10.0.2.0/27 # agreed by mail",
        "+      addressSpace: 10.9.0.0/27 # agreed by mail",
    ]


@pytest.mark.parametrize(
    "empty", ["fed:hospitals: {}", "fed:hospitals:", "fed:hospitals: null", "fed:location: x"]
)
def test_the_first_hospital_of_a_federation_can_be_added(empty: str, tmp_path: Path) -> None:
    file = edited(f"config:\n  fed:environment: dev\n  {empty}\n", tmp_path)
    file.add_hospital("first", {"subscriptionId": "1"})
    assert file.text.endswith("  fed:hospitals:\n    first:\n      subscriptionId: 1\n")
    assert file.has_hospital("first")


def test_digests_are_pinned_line_by_line(tmp_path: Path) -> None:
    file = stack_file("mvp", tmp_path)
    before = file.text
    file.pin(DIGESTS)
    assert file.digests() == DIGESTS
    assert len(changed(before, file.text)) == 2 * len(DIGESTS)
    file.save()


def test_digests_are_added_where_none_were(tmp_path: Path) -> None:
    file = edited(COMMENTED, tmp_path)
    file.pin(DIGESTS)
    assert file.digests() == DIGESTS
    assert changed(COMMENTED, file.text)[0] == "+    digests:"


def test_braces_are_refused_before_anything_is_changed(tmp_path: Path) -> None:
    file = edited("config:\n  fed:hospitals: {cleveland: {subscriptionId: 1}}\n", tmp_path)
    with pytest.raises(QuestionError, match=r"in braces.*by hand"):
        file.add_hospital("switzerland", SWITZERLAND)


def test_an_edit_that_the_settings_refuse_is_not_written(tmp_path: Path) -> None:
    file = stack_file("dev", tmp_path)
    before = file.text
    file.add_hospital("switzerland", {**SWITZERLAND, "addressSpace": "10.10.1.0/27"})
    with pytest.raises(SettingsError, match=r"overlaps with 10\.10\.1\.0/27 of cleveland"):
        file.save()
    assert file.path.read_text() == before


@pytest.mark.parametrize("text", ["", "config:\n", "config: [\n", "- a\n"])
def test_what_is_no_stack_file_is_refused_by_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match=r"Pulumi\.dev\.yaml"):
        edited(text, tmp_path)


def test_a_stack_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match=r"there is no stack qa"):
        StackFile(tmp_path / "Pulumi.qa.yaml")


def test_an_unknown_hospital_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match=r"no hospital switzerland.*cleveland, hungary, va-long-beach"):
        stack_file("dev", tmp_path).remove_hospital("switzerland")


def with_hospitals(spaces: dict[str, str]) -> Settings:
    settings = StackFile(ROOT / "Pulumi.dev.yaml").settings()
    hospitals = {
        name: settings.hospitals["cleveland"].model_copy(update={"address_space": IPv4Network(space)})
        for name, space in spaces.items()
    }
    return settings.model_copy(update={"hospitals": hospitals})


@pytest.mark.parametrize(
    ("spaces", "found"),
    [
        ({}, "10.10.1.0/27"),
        ({"a": "10.10.1.0/27"}, "10.10.2.0/27"),
        ({"a": "10.10.1.0/27", "b": "10.10.2.0/27", "c": "10.10.3.0/27"}, "10.10.4.0/27"),
        ({"a": "10.10.1.0/27", "c": "10.10.3.0/27", "d": "10.10.4.0/27"}, "10.10.2.0/27"),
        ({"a": "10.10.1.0/27", "b": "10.10.1.32/27"}, "10.10.1.64/27"),
        ({"a": "10.10.1.0/24", "b": "10.10.2.0/24"}, "10.10.3.0/24"),
        ({"a": "10.20.0.0/16"}, "10.21.0.0/16"),
    ],
)
def test_the_next_range_lies_on_the_grid_of_the_others(spaces: dict[str, str], found: str) -> None:
    assert str(next_free(with_hospitals(spaces))) == found


@given(st.sets(st.integers(0, 400), max_size=60), st.integers(24, 27))
def test_the_next_range_is_free_and_private(blocks: set[int], prefix: int) -> None:
    start = int(IPv4Network("10.10.1.0/24").network_address)
    spaces = {f"h{block}": f"{IPv4Network((start + 256 * block, prefix))}" for block in blocks}
    settings = with_hospitals(spaces)
    found = next_free(settings)
    assert found.is_private
    assert not any(found.overlaps(IPv4Network(space)) for space in spaces.values())
    assert not found.overlaps(settings.centre.address_space)
    assert found.prefixlen == (prefix if blocks else 27)


def test_a_full_block_is_said_to_be_full() -> None:
    settings = with_hospitals({"a": "10.0.0.0/9", "b": "10.128.0.0/9"})
    with pytest.raises(QuestionError, match=r"--address-space"):
        next_free(settings)
