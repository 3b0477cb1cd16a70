"""An alert on the rows that a query finds in a party's workspace."""

from typing import Literal, Protocol

import pulumi
from pulumi_azure_native import monitor

from components.context import Context
from federation.parties import Party


class Alarm(Protocol):
    """Which workspace to ask, and whom to tell."""

    resource_group: pulumi.Input[str]
    workspace_id: pulumi.Output[str]
    action_group_id: pulumi.Output[str]


def log_alert(
    parent: pulumi.Resource,
    context: Context[Party],
    part: str,
    *,
    description: str,
    query: pulumi.Input[str],
    fires_when: Literal["LessThan", "GreaterThanOrEqual"],
    severity: int,
    monitoring: Alarm,
    tells: pulumi.Input[str] | None = None,
    periods: int = 1,
    after: tuple[pulumi.Resource, ...] = (),
) -> monitor.ScheduledQueryRule:
    """Compare the number of rows in the last 15 minutes with one, every 5 minutes.

    It fires when that holds `periods` times in a row, and tells an action group, the party's unless `tells`.
    """
    name = context.names.of("alert", part)
    return monitor.ScheduledQueryRule(
        name,
        rule_name=name,
        resource_group_name=monitoring.resource_group,
        location=context.location,
        kind=monitor.Kind.LOG_ALERT,
        display_name=name,
        description=description,
        enabled=True,
        severity=float(severity),
        evaluation_frequency="PT5M",
        window_size="PT15M",
        scopes=[monitoring.workspace_id],
        # A new workspace has no such table yet.
        skip_query_validation=True,
        auto_mitigate=True,
        criteria=monitor.ScheduledQueryRuleCriteriaArgs(
            all_of=[
                monitor.ConditionArgs(
                    query=query,
                    time_aggregation=monitor.TimeAggregation.COUNT,
                    operator=fires_when,
                    threshold=1.0,
                    failing_periods=monitor.ConditionFailingPeriodsArgs(
                        number_of_evaluation_periods=float(periods),
                        min_failing_periods_to_alert=float(periods),
                    ),
                )
            ]
        ),
        actions=monitor.ActionsArgs(action_groups=[tells or monitoring.action_group_id]),
        tags=context.tags,
        opts=context.options(parent, depends_on=after),
    )
