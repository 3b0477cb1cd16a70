"""Outputs of a resource, each of which waits for one future.

For each output property of a resource the SDK makes four futures and a task that waits for them: 2.7 kB
until the resource exists, and a program makes all its resources before the first exists. What an output
says is the same: `transfer_properties` stands in for that of ``pulumi.runtime.rpc``.
"""

import asyncio
import functools
from collections.abc import Iterable
from typing import Any

from pulumi import Output, Resource
from pulumi.output import _OutputData
from pulumi.runtime import rpc


def install() -> None:
    """Let the SDK make its outputs here."""
    rpc.transfer_properties = transfer_properties  # type: ignore[assignment]


def transfer_properties(resource: Resource, names: Iterable[str], custom: bool) -> dict[str, rpc.Resolver]:
    """Give a resource an output for each name, and return what resolves each of them.

    ``urn`` and, of a custom resource, ``id`` are the SDK's own affair.
    """
    resolvers: dict[str, rpc.Resolver] = {}
    for name in names:
        if name == "urn" or (name == "id" and custom):
            continue
        data: asyncio.Future[_OutputData[Any]] = asyncio.Future()
        resource.__dict__[name] = Output._from_data(data)
        resolvers[name] = functools.partial(resolve, resource, data)
    return resolvers


def resolve(  # noqa: PLR0917 as the SDK calls it
    resource: Resource,
    data: "asyncio.Future[_OutputData[Any]]",
    value: Any,
    is_known: bool,
    is_secret: bool,
    dependencies: set[Resource] | None,
    failed: Exception | None,
) -> None:
    """Say what an output of a resource is, or why it never will be anything."""
    if failed is not None:
        data.set_exception(failed)
    else:
        data.set_result(_OutputData({*(dependencies or ()), resource}, value, is_known, is_secret))
