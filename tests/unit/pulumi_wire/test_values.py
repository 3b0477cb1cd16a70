"""What the engine sends, as plain values; the marks are Pulumi's (sdk/go/common/resource/plugin/rpc.go)."""

from typing import Any

import pytest

from pulumi_wire.values import UNKNOWN, decode, encode

SIGNATURE = "4dabf18193072939515e22adb298388d"  # pragma: allowlist secret
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  # pragma: allowlist secret
ASSET = "c44067f5952c0a294b673a41bacd8c17"  # pragma: allowlist secret
UNKNOWN_OF_EACH_KIND = (
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
)


def secret(value: Any) -> dict[str, Any]:
    return {SIGNATURE: SECRET, "value": value}


@pytest.mark.parametrize("mark", UNKNOWN_OF_EACH_KIND)
def test_what_nobody_knows_yet_is_unknown(mark: str) -> None:
    assert decode(encode({"a": mark, "b": [mark], "c": {"d": mark}})) == {
        "a": UNKNOWN,
        "b": [UNKNOWN],
        "c": {"d": UNKNOWN},
    }


@pytest.mark.parametrize("value", [True, "word", 3, [1, "two"], {"a": {"b": 1}}, UNKNOWN])
def test_a_secret_is_its_value(value: Any) -> None:
    assert decode(encode({"a": secret(value), "b": [secret(value)]})) == {"a": value, "b": [value]}


def test_any_other_mark_is_left_as_it_is() -> None:
    asset = {SIGNATURE: ASSET, "text": "words", "value": "not the whole of it"}
    assert decode(encode({"a": asset})) == {"a": asset}


def test_whole_numbers_are_integers_and_nothing_is_left_out() -> None:
    assert decode(encode({"a": 30, "b": 1.5, "c": None})) == {"a": 30, "b": 1.5}
    assert isinstance(decode(encode({"a": 30}))["a"], int)
