"""A question arrives as it was asked: both ends write and read it by one class."""

import dataclasses
from typing import Any, get_type_hints

import pytest
from container_server import fedctl
from container_server.question import Question, UnreadableQuestionError
from container_server.questions import QUESTIONS, Check, Submit
from hypothesis import given
from hypothesis import strategies as st

# One that begins with a dash looks like an option; "--" alone is what says that none follows.
_ANY = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
TEXTS = (_ANY | _ANY.map(lambda text: f"-{text}")).filter(lambda text: text != "--")
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    str | None: st.none() | TEXTS,
    int | None: st.none() | st.integers(0, 10_000),
    bool: st.booleans(),
}


def any_of(question: type[Question[Any]]) -> st.SearchStrategy[Question[Any]]:
    """Every question of this kind that could be asked."""
    types, values = get_type_hints(question), {}
    for field in dataclasses.fields(question):
        choices = field.metadata.get("choices")
        named = st.dictionaries(TEXTS.filter(lambda text: "=" not in text), TEXTS)
        values[field.name] = st.sampled_from(choices) if choices else VALUES.get(types[field.name], named)
    return st.builds(question, **values)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.command)
@given(data=st.data())
def test_a_question_is_read_as_it_was_asked(question: type[Question[Any]], data: st.DataObject) -> None:
    asked = data.draw(any_of(question))
    read = vars(fedctl.parser().parse_args(asked.words()))
    assert read.pop("command") == question.command
    assert question.read(read) == asked


def test_what_the_other_end_does_not_know_is_refused_and_not_left_out() -> None:
    with pytest.raises(UnreadableQuestionError, match="unexpected keyword argument 'gpu'"):
        Submit.read({"job": "heart", "gpu": True})
    with pytest.raises(UnreadableQuestionError, match="missing 1 required keyword-only argument: 'job'"):
        Check.read({})


def test_a_parameter_without_a_value_is_refused() -> None:
    with pytest.raises(UnreadableQuestionError, match="--param steps: expected NAME=VALUE"):
        fedctl.parser().parse_args(["submit", "--job", "heart", "--param", "steps"])


def test_every_question_has_a_name_of_its_own_and_says_what_it_is_about() -> None:
    names = [question.command for question in QUESTIONS]
    assert len(set(names)) == len(names)
    assert all(question.about for question in QUESTIONS)
