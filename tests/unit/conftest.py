"""The program's graph for each stack, recorded once a session and read by many tests."""

import sys
from functools import cache

import pytest
from hypothesis import settings

from engine import lazy_sdk
from tests.unit.support.program_graph import Graph, record, stack_config

# The program is tested as it is run: with no more of Azure's SDK than it names.
sys.meta_path.insert(0, lazy_sdk.Finder())

NEWCOMER = "switzerland"

# Two cores that do other things as well: how long an example takes says nothing about the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@cache
def _recorded(stack: str) -> Graph:
    return record(stack)


@pytest.fixture(params=["dev", "mvp", "prod"])
def graph(request: pytest.FixtureRequest) -> Graph:
    """The graph of each stack in turn."""
    return _recorded(request.param)


@pytest.fixture
def dev() -> Graph:
    return _recorded("dev")


@pytest.fixture
def mvp() -> Graph:
    return _recorded("mvp")


@pytest.fixture
def prod() -> Graph:
    return _recorded("prod")


@cache
def _with_newcomer(stack: str) -> Graph:
    config = stack_config(stack)
    config["fed:hospitals"][NEWCOMER] = {
        "subscriptionId": "90000000-0000-4000-8000-000000000004",
        "addressSpace": "10.99.0.0/27",
    }
    return record(stack, config)


@pytest.fixture(params=["dev", "prod"])
def onboarding(request: pytest.FixtureRequest) -> tuple[Graph, Graph]:
    """(before, after) a fourth hospital was added to a stack's settings."""
    return _recorded(request.param), _with_newcomer(request.param)
