"""An alert on one metric of one resource."""

import pulumi
from pulumi_azure_native import monitor

from components.context import Context
from components.monitoring import Monitoring
from federation.parties import Party


def alert_below(
    parent: pulumi.Resource,
    context: Context[Party],
    part: str,
    *,
    description: str,
    resource_id: pulumi.Input[str],
    monitoring: Monitoring,
    namespace: str,
    metric: str,
    threshold: float,
    minutes: int = 5,
) -> monitor.MetricAlert:
    """Tells the party's contacts when the average of a metric over `minutes` falls below `threshold`."""
    name = context.names.of("alert", part)
    return monitor.MetricAlert(
        name,
        rule_name=name,
        resource_group_name=monitoring.resource_group,
        location="global",
        description=description,
        enabled=True,
        severity=1,
        scopes=[resource_id],
        evaluation_frequency="PT1M",
        window_size=f"PT{minutes}M",
        auto_mitigate=True,
        criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
            odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
            all_of=[
                monitor.MetricCriteriaArgs(
                    criterion_type="StaticThresholdCriterion",
                    name=metric,
                    metric_name=metric,
                    metric_namespace=namespace,
                    operator=monitor.Operator.LESS_THAN,
                    threshold=threshold,
                    time_aggregation=monitor.AggregationTypeEnum.AVERAGE,
                )
            ],
        ),
        actions=[monitor.MetricAlertActionArgs(action_group_id=monitoring.action_group_id)],
        tags=context.tags,
        opts=context.options(parent),
    )
