"""The emulated random provider over gRPC."""

import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_wire.values import UNKNOWN, Properties
from tests.emulator.plugin_support import Provider, emulated

STRING = "random:index/randomString:RandomString"
ID = "random:index/randomId:RandomId"
UUID = "random:index/randomUuid:RandomUuid"


@pytest.fixture(scope="module")
def random(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    folder: Path = tmp_path_factory.mktemp("random")
    with emulated(folder) as emulation, emulation.provider("random") as provider:
        yield provider


@pytest.mark.parametrize(
    ("inputs", "alphabet"),
    [
        ({"upper": False, "special": False}, string.ascii_lowercase + string.digits),
        ({"lower": False, "upper": False, "special": False}, string.digits),
        ({"number": False, "special": False, "lower": False}, string.ascii_uppercase),
        ({"numeric": False, "upper": False, "lower": False, "overrideSpecial": "-_"}, "-_"),
    ],
)
def test_a_string_is_made_of_the_classes_that_were_asked_for(
    random: Provider, inputs: Properties, alphabet: str
) -> None:
    made = random.deploy(STRING, "s", {"length": 40, **inputs})
    assert len(made.outputs["result"]) == 40
    assert set(made.outputs["result"]) <= set(alphabet)
    assert made.id == made.outputs["result"]


def test_minima_hold(random: Provider) -> None:
    inputs = {"length": 8, "minLower": 2, "minUpper": 2, "minNumeric": 2, "minSpecial": 2}
    result = random.deploy(STRING, "s", inputs).outputs["result"]
    for alphabet in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
        assert sum(letter in alphabet for letter in result) == 2


def test_two_draws_differ(random: Provider) -> None:
    one, other = (random.deploy(STRING, name, {"length": 20}) for name in ("a", "b"))
    assert one.outputs["result"] != other.outputs["result"]


def test_keepers_draw_anew_and_defaults_do_not(random: Provider) -> None:
    made = random.deploy(STRING, "s", {"length": 8, "keepers": {"version": "1"}})
    same = random.diff(made, {"length": 8, "keepers": {"version": "1"}, "upper": True, "numeric": True})
    assert same.changes == same.DIFF_NONE
    other = random.diff(made, {"length": 8, "keepers": {"version": "2"}})
    assert list(other.replaces) == ["keepers"]
    assert not other.deleteBeforeReplace


def test_a_refresh_draws_nothing(random: Provider) -> None:
    made = random.deploy(STRING, "s", {"length": 8})
    assert random.refresh(made) == made


def test_a_preview_does_not_tell(random: Provider) -> None:
    assert random.foretell(UUID, "u", {})["result"] is UNKNOWN


def test_an_id_is_the_same_number_in_every_base(random: Provider) -> None:
    outputs = random.deploy(ID, "i", {"byteLength": 4, "prefix": "p-"}).outputs
    assert int(outputs["hex"].removeprefix("p-"), 16) == int(outputs["dec"].removeprefix("p-"))
    assert len(outputs["hex"]) == len("p-") + 8


@pytest.mark.parametrize(
    ("kind", "inputs", "words"),
    [
        (STRING, {"length": 3, "minLower": 4}, "less than the minima of its classes: 4"),
        (STRING, {}, "length must be a whole number of at least 1"),
        (STRING, {"length": 3, "lower": False, "minLower": 1}, "lower=false excludes"),
        (
            STRING,
            {"length": 3, "lower": False, "upper": False, "numeric": False, "special": False},
            "at least one",
        ),
        (ID, {"byteLength": 0}, "byteLength must be"),
        ("random:index/randomPassword:RandomPassword", {"length": 8}, "draws no passwords"),
        ("random:index/randomPet:RandomPet", {}, "Add it to KINDS"),
    ],
)
def test_what_cannot_be_drawn_is_refused(random: Provider, kind: str, inputs: Properties, words: str) -> None:
    _, failures = random.check(kind, "x", inputs)
    assert any(words in failure for failure in failures), failures
