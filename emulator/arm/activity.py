"""The activity log: who wrote what, and when, for the ninety days that Azure keeps it.

Only what was accepted is there, once, when it was accepted; Azure also logs how it ended, and refusals.
https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema
"""

from __future__ import annotations

import datetime as dt
import re
import uuid

from emulator.arm import ids
from emulator.arm.catalogue import listed
from emulator.arm.context import Context
from emulator.arm.errors import bad_request
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Json, Request
from emulator.arm.store import KEPT_SECONDS, Event, Row
from emulator.arm.times import stamp
from emulator.arm.tokens import TENANT_ID

EVENTS = "Microsoft.Insights/eventtypes/values"
_VERBS = {"PUT": "write", "PATCH": "write", "DELETE": "delete"}
_CONDITION = re.compile(r"(\w+)\s+(eq|ge|le)\s+'?([^'\s]+)'?", re.IGNORECASE)


def note(context: Context, request: Request) -> None:
    """Log a request that was accepted; reads are not logged."""
    path = ids.parse(request.path)
    if path is None or request.method in {"GET", "HEAD"}:
        return
    type_ = context.catalogue.find(path.type)
    operation = f"{type_.name if type_ else path.type}/{_VERBS.get(request.method, 'action')}"
    resource = path.parent if path.is_collection else path.path
    context.tx.add_event(resource, operation, context.caller.client_id)


def _events(context: Context, path: ResourceId, request: Request) -> list[Row]:
    """Return the events of a subscription, the newest first; `$filter` must say from when on."""
    text = request.query.get("$filter", "")
    asked = {(name.lower(), operator.lower()): value for name, operator, value in _CONDITION.findall(text)}
    if ("eventtimestamp", "ge") not in asked:
        raise bad_request("BadRequest", "The $filter of events needs eventTimestamp ge '<time>'.")
    first = max(_time(asked["eventtimestamp", "ge"]), context.tx.now - KEPT_SECONDS)
    last = _time(asked["eventtimestamp", "le"]) if ("eventtimestamp", "le") in asked else context.tx.now
    wanted = {name: value.lower() for (name, operator), value in asked.items() if operator == "eq"}
    return [
        Row(id=f"{path.path}/{event.id}", type=EVENTS, body=body, parent=path.scope)
        for event in context.tx.events(path.subscription or "", first, last)
        if _matches(body := _body(event), wanted)
    ]


def _time(text: str) -> float:
    try:
        found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as wrong:
        raise bad_request("BadRequest", f"'{text}' in the $filter is not a time.") from wrong
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()


def _matches(body: Json, wanted: dict[str, str]) -> bool:
    known = {
        "resourcegroupname": body["resourceGroupName"],
        "resourceuri": body["resourceId"],
        "resourceid": body["resourceId"],
        "resourceprovider": body["resourceProviderName"]["value"],
        "caller": body["caller"],
        "correlationid": body["correlationId"],
    }
    unknown = set(wanted) - set(known)
    if unknown:
        raise bad_request("BadRequest", f"The $filter of events cannot name {', '.join(sorted(unknown))}.")
    return all(str(known[name]).lower() == value for name, value in wanted.items())


def _named(value: str) -> Json:
    return {"value": value, "localizedValue": value}


def _body(event: Event) -> Json:
    path = ids.parse(event.resource)
    number = str(uuid.uuid5(uuid.NAMESPACE_OID, str(event.id)))
    return {
        "id": f"{event.resource}/events/{number}/ticks/{int(event.at * 1e7)}",
        "eventDataId": number,
        "correlationId": number,
        "operationId": number,
        "caller": event.caller,
        "channels": "Operation",
        "level": "Informational",
        "category": _named("Administrative"),
        "eventName": _named("BeginRequest"),
        "operationName": _named(event.operation),
        "status": _named("Accepted"),
        "resourceId": event.resource,
        "resourceGroupName": ids.group_of(event.resource) or "",
        "resourceProviderName": _named(path.namespace if path else ""),
        "resourceType": _named(path.type if path else ""),
        "subscriptionId": ids.subscription_of(event.resource),
        "tenantId": TENANT_ID,
        "eventTimestamp": stamp(event.at),
        "submissionTimestamp": stamp(event.at),
    }


TYPES = (listed(EVENTS, ("2015-04-01",), _events),)
