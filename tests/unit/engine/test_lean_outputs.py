"""An output made by lean_outputs says what the SDK's own would say."""

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pulumi import Output, Resource
from pulumi.output import UNKNOWN
from pulumi.runtime import rpc
from pulumi.runtime.settings import SETTINGS

from engine import lean_outputs

MAKERS = pytest.mark.parametrize(
    "make", [lean_outputs.transfer_properties, rpc.transfer_properties], ids=["lean", "SDK's own"]
)
Make = Callable[..., dict[str, rpc.Resolver]]


@pytest.fixture(autouse=True)
def _own_outputs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep what fails here out of other tests.

    Another test's program waits for all outputs there are, and a failed future that is collected late, in the
    middle of an import, breaks that import (python/cpython#106905).
    """
    outputs: set[Any] = set()
    monkeypatch.setattr(SETTINGS, "outputs", outputs)
    yield
    outputs.clear()
    gc.collect(1)  # all generations would take a second in a process that has run many tests


class Thing(Resource):
    """A resource without an engine."""

    def __init__(self) -> None:
        """Register nowhere."""


async def said(output: Output[Any]) -> dict[str, Any]:
    """Everything that an output says."""
    return {
        "value": await output.future(with_unknowns=True),
        "known": await output.is_known(),
        "secret": await output.is_secret(),
        "resources": await output.resources(),
    }


@MAKERS
@pytest.mark.parametrize(
    ("value", "known", "secret", "is_known"),
    [
        ("10.10.0.0/24", True, False, True),
        (None, False, False, False),
        ("key", True, True, True),
        ({"inner": UNKNOWN}, True, False, False),
    ],
    ids=["known", "unknown", "secret", "unknown inside"],
)
async def test_says_what_it_was_resolved_with(
    make: Make, value: Any, known: bool, secret: bool, is_known: bool
) -> None:
    thing, other = Thing(), Thing()
    resolvers = make(thing, {"address": None}, True)
    resolvers["address"](value, known, secret, {other}, None)

    assert await said(thing.__dict__["address"]) == {
        "value": value,
        "known": is_known,
        "secret": secret,
        "resources": {thing, other},
    }


@MAKERS
async def test_waits_until_it_is_resolved_and_so_does_what_is_made_of_it(make: Make) -> None:
    thing = Thing()
    resolvers = make(thing, {"name": None}, True)
    upper = thing.__dict__["name"].apply(str.upper)
    resolvers["name"]("vnet", True, False, set(), None)

    assert await upper.future() == "VNET"
    assert await upper.resources() == {thing}


@MAKERS
async def test_raises_what_failed(make: Make) -> None:
    thing = Thing()
    resolvers = make(thing, {"name": None}, True)
    resolvers["name"](None, True, False, set(), RuntimeError("refused"))

    with pytest.raises(RuntimeError, match="refused"):
        await thing.__dict__["name"].future()


@MAKERS
@pytest.mark.parametrize(("custom", "made"), [(True, {"name"}), (False, {"id", "name"})])
async def test_leaves_the_sdk_what_is_its_own(make: Make, custom: bool, made: set[str]) -> None:
    thing = Thing()
    assert set(make(thing, {"urn": None, "id": None, "name": None}, custom)) == made
    assert made <= thing.__dict__.keys()


async def test_stands_in_for_the_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "transfer_properties", rpc.transfer_properties)  # put back afterwards
    lean_outputs.install()
    assert rpc.transfer_properties is lean_outputs.transfer_properties
