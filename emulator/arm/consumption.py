"""Microsoft.Consumption: budgets of a subscription or a resource group."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from emulator.arm.catalogue import described
from emulator.arm.context import Write
from emulator.arm.errors import bad_request

BUDGET = "Microsoft.Consumption/budgets"
NOTIFICATIONS = 5
"""The most a budget may have."""


def _day(write: Write, name: str) -> dt.date | None:
    text = (write.properties.get("timePeriod") or {}).get(name)
    if text is None:
        return None
    try:
        return dt.datetime.fromisoformat(str(text).replace("Z", "+00:00")).date()
    except ValueError:
        raise bad_request("400", f"The {name} '{text}' of budget {write.id.name} is not a date.") from None


def _check_period(write: Write) -> None:
    start, end = _day(write, "startDate"), _day(write, "endDate")
    if start is None:
        raise bad_request("400", "Start date is required.")
    if write.old is not None:
        before = write.before("properties.timePeriod.startDate")
        if str(before)[:10] != start.isoformat():
            raise bad_request(
                "400", "Start date of budgets cannot be updated. Please delete and create a new budget."
            )
    else:
        today = dt.datetime.fromtimestamp(write.tx.now, dt.UTC).date()
        if start < today.replace(day=1) and write.properties["timeGrain"] == "Monthly":
            raise bad_request("400", "Start date should not be before the current month.")
        if start > today.replace(day=1) + dt.timedelta(days=366):
            raise bad_request("400", "Start date should not be more than one year in the future.")
    if start.day != 1:
        raise bad_request("400", "Start date should be the first day of a month.")
    if end is None:
        end = start.replace(year=start.year + 10)
        write.properties["timePeriod"]["endDate"] = f"{end.isoformat()}T00:00:00Z"
    if end <= start:
        raise bad_request("400", "End date should be after the start date.")


def _check_notifications(write: Write) -> None:
    if float(write.properties["amount"]) <= 0:
        raise bad_request("400", "The amount of a budget should be greater than 0.")
    notifications = write.properties.get("notifications") or {}
    if len(notifications) > NOTIFICATIONS:
        raise bad_request("400", f"A budget may have {NOTIFICATIONS} notifications at most.")
    for name, notification in notifications.items():
        if not any(notification.get(way) for way in ("contactEmails", "contactRoles", "contactGroups")):
            raise bad_request(
                "400", f"Notification '{name}' needs one of contactEmails, contactRoles, contactGroups."
            )
        if not 0 <= float(notification.get("threshold", -1)) <= 1000:
            raise bad_request("400", f"The threshold of notification '{name}' is not between 0 and 1000.")


def _complete(write: Write) -> None:
    write.properties["currentSpend"] = {"amount": 0.0, "unit": "EUR"}


TYPES = (
    replace(
        described(BUDGET),
        provisioning=False,
        check=(_check_period, _check_notifications, _complete),
    ),
)
