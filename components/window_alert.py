"""The alert on a window that is still open after its day: the program closes it when somebody runs it."""

import datetime as dt

import pulumi
from pulumi_azure_native import monitor

from components.context import Context
from components.log_alert import log_alert
from components.monitoring import Monitoring
from components.private_storage import PrivateStorage
from federation.parties import HospitalParty


def window_alert(
    parent: pulumi.Resource,
    context: Context[HospitalParty],
    storage: PrivateStorage,
    monitoring: Monitoring,
) -> monitor.ScheduledQueryRule | None:
    """Fire when a request from the window's address is answered after its day; None without a window.

    Writes are always logged, reads where the stack wants them (`storage_account.diagnose_blobs`). The address
    is logged with its port: https://learn.microsoft.com/azure/azure-monitor/reference/tables/storagebloblogs
    """
    window = context.intent.window_of(context.party.name)
    if window is None:
        return None
    closed = window.until + dt.timedelta(days=1)
    query = pulumi.Output.concat(
        'StorageBlobLogs | where AccountName == "',
        storage.account_name,
        f'" | where TimeGenerated >= datetime({closed}) | where StatusCode < 400',
        f' | where tostring(split(CallerIpAddress, ":")[0]) == "{window.address}"',
    )
    return log_alert(
        parent,
        context,
        "window",
        description=f"The window for {window.address} is used after {window.until}: run ./fed up to close it",
        query=query,
        fires_when="GreaterThanOrEqual",
        severity=1,
        monitoring=monitoring,
    )
