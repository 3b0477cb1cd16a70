"""Settings of dev in which cleveland has a door in a network of its own, or hungary a window."""

import copy
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from tests.unit.support.program_graph import stack_config

TODAY = dt.datetime.now(tz=dt.UTC).date()
TOMORROW = TODAY + dt.timedelta(days=1)
YESTERDAY = TODAY - dt.timedelta(days=1)

PEOPLE = "93000000-0000-4000-8000-000000000001"
OFFICERS = "93000000-0000-4000-8000-000000000002"
UPLOADERS = "93000000-0000-4000-8000-000000000003"
CLEVELAND = "20000000-0000-4000-8000-000000000001"
NETWORK = f"/subscriptions/{CLEVELAND}/resourceGroups/rg-house/providers/Microsoft.Network"
HOUSE = f"{NETWORK}/virtualNetworks/vnet-house"
DESKS = f"{HOUSE}/subnets/desks"
ZONE = f"{NETWORK}/privateDnsZones/privatelink.blob.core.windows.net"
ADDRESS = "10.50.3.20"
RESEARCHERS = "93000000-0000-4000-8000-000000000004"
OPERATORS = "93000000-0000-4000-8000-000000000005"
CENTRE = "20000000-0000-4000-8000-000000000000"
CAMPUS = DESKS.replace(CLEVELAND, CENTRE)
CENTRES_ADDRESS = "10.60.3.20"
OFFICE = "198.51.100.7"


def door(**changes: Any) -> dict[str, Any]:
    """A door in cleveland's own network; a change to None leaves a setting out."""
    endpoint = {"subnetId": DESKS, "address": ADDRESS, **changes}
    return {
        "people": PEOPLE,
        "officers": OFFICERS,
        "endpoint": {key: value for key, value in endpoint.items() if value is not None},
    }


def centre(**changes: Any) -> dict[str, Any]:
    """The researchers' door, in a network of the centre's own."""
    return {"people": RESEARCHERS, "endpoint": {"subnetId": CAMPUS, "address": CENTRES_ADDRESS, **changes}}


def operated() -> dict[str, Any]:
    """The centre's door, with operators."""
    return {**centre(), "operators": OPERATORS}


def window(until: dt.date = TOMORROW, **changes: Any) -> dict[str, Any]:
    """A door that is a window for one office."""
    return {"people": UPLOADERS, "window": {"address": OFFICE, "until": until.isoformat(), **changes}}


def config(stack: str = "dev", doors: Mapping[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    """The settings of a stack with these doors, by hospital."""
    found = copy.deepcopy(stack_config(stack))
    subscription = found["fed:hospitals"]["cleveland"]["subscriptionId"]
    for name, entry in (doors or {}).items():
        party = found["fed:centre"] if name == "centre" else found["fed:hospitals"][name]
        party["door"] = json.loads(json.dumps(entry).replace(CLEVELAND, subscription))
    return found
