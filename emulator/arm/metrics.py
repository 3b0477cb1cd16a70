"""Which metrics a resource has. Nothing is measured here: every metric is answered without a value."""

from __future__ import annotations

from emulator.arm import ids
from emulator.arm.catalogue import Level, listed
from emulator.arm.context import Context
from emulator.arm.errors import bad_request
from emulator.arm.ids import ResourceId
from emulator.arm.insights import METRIC_NAMES
from emulator.arm.messages import Json, Request
from emulator.arm.refusals import missing_resource
from emulator.arm.store import Row

METRICS = "Microsoft.Insights/metrics"
DEFINITIONS = "Microsoft.Insights/metricDefinitions"
VERSIONS = ("2024-02-01", "2018-01-01")


def _known(context: Context, path: ResourceId) -> list[str]:
    """Return the names of a resource's metrics."""
    found = context.tx.get(path.scope)
    if found is None:
        raise missing_resource(path.scope)
    return sorted(METRIC_NAMES.get(found.type.lower(), ()))


def _named(value: str) -> Json:
    return {"value": value, "localizedValue": value}


def _metrics(context: Context, path: ResourceId, request: Request) -> list[Row]:
    """Return the metrics that are asked for, each without a value."""
    known = _known(context, path)
    by_name = {name.lower(): name for name in known}
    asked = [name for name in request.query.get("metricnames", "").split(",") if name] or known[:1]
    for name in asked:
        if name.lower() not in by_name:
            target = ids.parse(path.scope)
            raise bad_request(
                "BadRequest",
                f"Failed to find metric configuration for provider: {target.namespace if target else ''}, "
                f"resource Type: {'/'.join(target.types) if target else ''}, metric: {name}, Valid metrics: "
                f"{','.join(known)}",
            )
    return [
        Row(
            id=f"{path.path}/{name}",
            type=METRICS,
            body={
                "id": f"{path.path}/{by_name[name.lower()]}",
                "type": METRICS,
                "name": _named(by_name[name.lower()]),
                "unit": "Unspecified",
                "timeseries": [],
                "errorCode": "Success",
            },
            parent=path.scope,
        )
        for name in asked
    ]


def _definitions(context: Context, path: ResourceId, _: Request) -> list[Row]:
    return [
        Row(
            id=f"{path.path}/{name}",
            type=DEFINITIONS,
            body={
                "id": f"{path.path}/{name}",
                "resourceId": path.scope,
                "name": _named(name),
                "unit": "Unspecified",
                "isDimensionRequired": False,
            },
            parent=path.scope,
        )
        for name in _known(context, path)
    ]


TYPES = (
    listed(METRICS, VERSIONS, _metrics, level=Level.SCOPE),
    listed(DEFINITIONS, VERSIONS, _definitions, level=Level.SCOPE),
)
