"""A machine's power, what its instance view says, and the commands that are run in it."""

from __future__ import annotations

from collections.abc import Callable

from emulator.arm.compute.common import not_allowed
from emulator.arm.context import Context
from emulator.arm.errors import bad_request, conflict
from emulator.arm.messages import Json, Request, Response
from emulator.arm.operations import LONGEST_COMMAND, RUN_COMMAND, begin, pending_headers, silent_agent
from emulator.arm.store import Row, Transaction

TURNING = 20.0
"""Seconds that a start, stop or restart typically takes on Azure."""


def view(tx: Transaction, row: Row) -> Json:
    """Return the instance view: agent, provisioning and power."""
    power = str(row.hidden.get("power"))
    health = tx.health(row.key) or {}
    agent = "ProvisioningState/succeeded" if health else "ProvisioningState/Unavailable"
    return {
        "computerName": (row.properties.get("osProfile") or {}).get("computerName"),
        "osName": "ubuntu",
        "osVersion": "24.04",
        "vmAgent": {
            "vmAgentVersion": "Unknown" if not health else "emulator",
            "statuses": [
                {
                    "code": agent,
                    "level": "Info" if health else "Warning",
                    "displayStatus": "Ready" if health else "Not Ready",
                    "message": "The datacentre reports." if health else "No datacentre runs this machine.",
                }
            ],
        },
        "statuses": [
            {"code": f"ProvisioningState/{row.state.lower()}", "level": "Info", "displayStatus": row.state},
            {"code": f"PowerState/{power}", "level": "Info", "displayStatus": f"VM {power}"},
        ],
    }


def _accepted(
    context: Context,
    row: Row,
    request: Request,
    *,
    kind: str = "POST",
    seconds: float,
    keys: frozenset[str] = frozenset(),
) -> tuple[str, Response]:
    operation = begin(context, row, kind, seconds=seconds, keys=keys)
    wait = 0.05 if kind == "POST" else 0.5
    headers = pending_headers(context, request, row.key, operation, wait=wait)
    return operation, Response(status=202, headers=headers)


def turn(power: str, *, boots: bool) -> Callable[[Context, Row, Request], Response]:
    """Return the action that brings a machine into a power state.

    A redeployment shuts the machine down and powers it on at another host:
    https://learn.microsoft.com/rest/api/compute/virtual-machines/redeploy
    """

    def act(context: Context, row: Row, request: Request) -> Response:
        was, action = row.hidden.get("power"), request.path.lower().rpartition("/")[2]
        if action == "restart" and was != "running":
            raise not_allowed(f"Cannot restart VM {row.name}: it is {was}. Start it.")
        if boots and (was != "running" or action in {"restart", "redeploy"}):
            row.hidden["boot"] = int(row.hidden.get("boot", 0)) + 1
        row.hidden["power"] = power
        context.tx.put(row)
        return _accepted(context, row, request, seconds=context.latency.seconds(TURNING))[1]

    return act


def run_command(context: Context, row: Row, request: Request) -> Response:
    """Queue a script for the datacentre.

    https://learn.microsoft.com/azure/virtual-machines/linux/run-command, Restrictions: at least 20 seconds,
    one at a time, and no answer without a way to Azure on port 443.
    """
    body = request.body or {}
    script = body.get("script")
    if body.get("commandId") != "RunShellScript" or not isinstance(script, list) or not script:
        raise bad_request(
            "InvalidParameter", "A run command needs commandId RunShellScript and a script: a list of lines."
        )
    if row.hidden.get("power") != "running":
        raise not_allowed(f"The operation requires the VM to be running (or set to run): {row.id}.")
    if context.tx.health(row.key) is None or not context.datacentre_listens:
        raise silent_agent(row.name)
    only_one = frozenset({f"{row.key}/runcommand"})
    if context.tx.occupied(only_one) is not None:
        raise conflict(
            "Conflict",
            "Run command extension execution is in progress. Please wait for completion before invoking a "
            "run command.",
        )
    operation, response = _accepted(
        context, row, request, kind=RUN_COMMAND, seconds=LONGEST_COMMAND, keys=only_one
    )
    context.tx.add_command(operation, row.id, [str(line) for line in script])
    return response
