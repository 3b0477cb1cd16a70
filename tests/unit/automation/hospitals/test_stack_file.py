"""A stack file is edited as a person would: what the edit is not about stays byte for byte."""

import difflib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation.hospitals.address_space import next_free
from automation.hospitals.stack_file import StackFile
from automation.ui.outcome import QuestionError
from clone import paths
from federation.settings import Settings
from federation.stack_file import load_stack
from federation.violations import SettingsError

ROOT = paths.REPOSITORY
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


IN_BRACES = """\
config:
  fed:hospitals:
    hungary: { subscriptionId: a, addressSpace: b, retired: left }
    "quoted": { subscriptionId: c }
    switzerland: &entry
      retired: left
    austria: *entry
"""


@pytest.mark.parametrize("name", ["hungary", "switzerland"])
def test_an_edit_that_would_change_anything_else_is_refused(name: str, tmp_path: Path) -> None:
    file = edited(IN_BRACES, tmp_path)
    with pytest.raises(QuestionError, match=rf"Pulumi\.dev\.yaml: fed:hospitals\.{name}.*braces"):
        file.unset_of_hospital(name, "retired")
    with pytest.raises(QuestionError, match=r"line by line"):
        file.set_of_hospital(name, "retired", "leaving")
    assert file.text == file.path.read_text() == IN_BRACES


@pytest.mark.parametrize(
    "digests",
    [
        "{ mlflow: sha256:0 }",
        "\n      'mlflow': sha256:0",
        "\n      mlflow:\n        sha256:0",
        "\n      mlflow: >-\n        sha256:0",
    ],
)
def test_digests_that_cannot_be_pinned_are_refused(digests: str, tmp_path: Path) -> None:
    text = f"config:\n  fed:images:\n    digests: {digests}\n"
    file = edited(text, tmp_path)
    with pytest.raises(QuestionError, match=r"fed:images\.digests\.mlflow.*Nothing was written"):
        file.pin({"mlflow": DIGESTS["mlflow"]})
    assert file.text == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "1\n    y: 2"),
        ("x", "1 # none"),
        ("x", "{a: 1}"),
        ("x: 1\n    y", "1"),
        ("true", "1"),
        ("x", "a:"),
    ],
)
def test_what_yaml_would_read_otherwise_is_not_written(name: str, value: str, tmp_path: Path) -> None:
    file = edited(COMMENTED, tmp_path)
    with pytest.raises(QuestionError):
        file.add_hospital(name, {"subscriptionId": value})
    assert file.text == COMMENTED


def test_line_ends_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    before = (ROOT / path.name).read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(before)
    file = StackFile(path)
    file.add_hospital("switzerland", SWITZERLAND)
    file.set_of_hospital("switzerland", "vmSize", "Standard_D2s_v5")
    file.save()
    assert path.read_bytes().startswith(before)
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n") == before.count(b"\n") + 4


def test_what_another_command_wrote_is_not_lost(tmp_path: Path) -> None:
    first, second = stack_file("dev", tmp_path), StackFile(tmp_path / "Pulumi.dev.yaml")
    before = first.text
    first.add_hospital("switzerland", SWITZERLAND)
    second.add_hospital("austria", {**SWITZERLAND, "addressSpace": "10.201.0.0/27"})
    first.save()
    with pytest.raises(QuestionError, match=r"changed by somebody else"):
        second.save()
    assert second.put_back(before) is False
    assert first.path.read_text() == first.text
    assert first.put_back(before) is True
    assert first.path.read_text() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["Pulumi.dev.yaml"]


def test_of_many_commands_at_once_none_is_lost(tmp_path: Path) -> None:
    path = stack_file("dev", tmp_path).path

    def add(number: int) -> None:
        while True:
            file = StackFile(path)
            entry = {
                "subscriptionId": f"20000000-0000-4000-8000-0000000001{number:02}",
                "addressSpace": f"10.200.{number}.0/27",
            }
            file.add_hospital(f"h{number}", entry)
            try:
                return file.save()
            except QuestionError:
                continue

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(6)))
    assert {f"h{number}" for number in range(6)} < set(StackFile(path).settings().hospitals)


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        ("fed:images: foo", StackFile.digests),
        ("fed:images: {digests: [a, b]}", StackFile.digests),
        ("fed:images: foo", lambda file: file.pin(DIGESTS)),
        ("fed:hospitals: 5", lambda file: file.has_hospital("a")),
        ("fed:hospitals: 5", lambda file: file.add_hospital("a", SWITZERLAND)),
        ("fed:hospitals: [a]", lambda file: file.remove_hospital("a")),
    ],
)
def test_what_is_no_group_is_refused(text: str, ask: Callable[[StackFile], object], tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match=r"Pulumi\.dev\.yaml: .* is no group of settings"):
        ask(edited(f"config:\n  {text}\n", tmp_path))


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_bytes(b"config: \xff")
    with pytest.raises(QuestionError, match=r"Pulumi\.dev\.yaml is not UTF-8"):
        StackFile(path)
    with pytest.raises(SettingsError, match=r"Pulumi\.dev\.yaml"):
        load_stack(tmp_path, "dev")
    path.unlink()
    path.mkdir()
    with pytest.raises(QuestionError, match=r"Pulumi\.dev\.yaml cannot be read: Is a directory"):
        StackFile(path)
    with pytest.raises(SettingsError, match=r"Is a directory"):
        load_stack(tmp_path, "dev")


@pytest.mark.parametrize("name", ["a" * 300, "../dev", "", "a\nb"])
def test_what_no_stack_can_be_called_is_said(name: str) -> None:
    with pytest.raises(SettingsError, match=r"no stack can have this name[^\0]*dev, mvp, prod"):
        load_stack(ROOT, name)


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
