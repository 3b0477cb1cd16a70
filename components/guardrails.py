"""What is put around a finished party: a budget, and locks on what holds its data.

Locks are made last and removed first: Azure refuses to delete anything below a locked scope, role assignments
and diagnostic settings included. They guard state and not machines, because a new image replaces a VM
(docs/adr/0008).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import pulumi
from pulumi_azure_native import authorization, consumption

from components.context import Context
from federation.parties import Party


@dataclass(frozen=True, kw_only=True)
class GuardrailsArgs:
    """`guarded` has the ids to lock by a word for each; locks wait for everything in `after`."""

    context: Context[Party]
    guarded: Mapping[str, pulumi.Input[str]]
    after: Sequence[pulumi.Resource]


@dataclass(frozen=True, kw_only=True)
class GuardrailsResources:
    """The budget and the locks; none where the stack has none."""

    budget: consumption.Budget
    locks: Mapping[str, authorization.ManagementLockByScope]


@final
class Guardrails(pulumi.ComponentResource):
    """Budget and locks of one party."""

    def __init__(self, name: str, args: GuardrailsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:Guardrails", name, None, opts)
        self._args = args
        guarded = args.guarded if args.context.settings.protection.locks else {}
        self.resources = GuardrailsResources(
            budget=self._budget(), locks={part: self._lock(part, scope) for part, scope in guarded.items()}
        )
        self.register_outputs({"budgetId": self.resources.budget.id})

    def _budget(self) -> consumption.Budget:
        context = self._args.context
        return consumption.Budget(
            context.names.of("budget"),
            budget_name=context.names.of("budget"),
            scope=f"/subscriptions/{context.party.subscription_id}",
            category=consumption.CategoryType.COST,
            amount=context.party.monthly_budget,
            time_grain=consumption.TimeGrainType.MONTHLY,
            time_period=self._period(),
            notifications={
                "spent": self._notification(80, consumption.ThresholdType.ACTUAL),
                "forecast": self._notification(100, consumption.ThresholdType.FORECASTED),
            },
            # Azure cannot move the start of a budget, and the month of the first deployment is over some day.
            opts=pulumi.ResourceOptions(parent=self, provider=context.azure, ignore_changes=["timePeriod"]),
        )

    def _period(self) -> consumption.BudgetTimePeriodArgs:
        budgets, today = self._args.context.settings.budgets, self._args.context.today
        start = budgets.start_date or today.replace(day=1)
        end = budgets.end_date or start.replace(year=start.year + 10)
        return consumption.BudgetTimePeriodArgs(start_date=_midnight(start), end_date=_midnight(end))

    def _notification(self, percent: float, kind: consumption.ThresholdType) -> consumption.NotificationArgs:
        return consumption.NotificationArgs(
            enabled=True,
            operator=consumption.OperatorType.GREATER_THAN_OR_EQUAL_TO,
            threshold=float(percent),
            threshold_type=kind,
            contact_emails=list(self._args.context.party.contacts),
        )

    def _lock(self, part: str, scope: pulumi.Input[str]) -> authorization.ManagementLockByScope:
        context = self._args.context
        name = context.names.of("lock", part)
        return authorization.ManagementLockByScope(
            name,
            lock_name=name,
            scope=scope,
            level=authorization.LockLevel.CAN_NOT_DELETE,
            notes=f"Holds data of {context.party.name}: set fed:protection.locks to false first",
            opts=context.options(self, depends_on=self._args.after),
        )


def _midnight(day: dt.date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
