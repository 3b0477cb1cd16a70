"""A rule over several settings reads a draft in which any of them may be missing, and never fails by it."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from federation.settings import load
from federation.violations import SettingsError
from tests.unit.support.program_graph import stack_config

REFUSED = object()
"""A value that no setting takes."""


def places(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every setting of a stack file is, groups too."""
    for key, value in tree.items() if isinstance(tree, dict) else ():
        yield (*at, key)
        yield from places(value, (*at, key))


def with_refused(config: dict[str, Any], place: tuple[Any, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    group = changed
    for key in place[:-1]:
        group = group[key]
    group[place[-1]] = REFUSED
    return changed


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_no_rule_fails_over_a_value_that_was_refused(stack: str) -> None:
    config = stack_config(stack)
    for place in places(config):
        with pytest.raises(SettingsError) as refused:
            load(stack, with_refused(config, place))
        assert place[-1] in str(refused.value), place
