"""Texts that Resource Manager reads though they are no strict JSON."""

import pytest

from emulator.arm import loose_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "b"}', {"a": "b"}),
        ('{"p": {"mode": "m", template:{"x": 1}}}', {"p": {"mode": "m", "template": {"x": 1}}}),
        ('{// why\n"a": /* not */ "http://x: y /* z */"}', {"a": "http://x: y /* z */"}),
        ('{"a": "say: \\"no: way\\"", b: true}', {"a": 'say: "no: way"', "b": True}),
    ],
)
def test_comments_and_bare_names_are_taken(text: str, value: object) -> None:
    assert loose_json.loads(text) == value


@pytest.mark.parametrize("text", ["{", "{a}", '{"a": b}', "nonsense", '"open', "/* x"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line 1|Expecting|Unterminated"):
        loose_json.loads(text)
