"""Diagnostic settings: what a resource tells the party's own workspace."""

from collections.abc import Sequence

import pulumi
from pulumi_azure_native import monitor

from components.context import Context
from federation.parties import Party


def diagnose(
    parent: pulumi.Resource,
    context: Context[Party],
    part: str,
    *,
    resource_id: pulumi.Input[str],
    workspace_id: pulumi.Input[str],
    logs: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> monitor.DiagnosticSetting:
    """Send the log categories `logs` and metric categories `metrics` of a resource to the workspace."""
    name = context.names.of("diag", part)
    return monitor.DiagnosticSetting(
        name,
        name=name,
        resource_uri=resource_id,
        workspace_id=workspace_id,
        logs=[monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True) for category in logs]
        or None,
        metrics=[
            monitor.DiagnosticsMetricSettingsArgs(category=category, enabled=True) for category in metrics
        ]
        or None,
        opts=context.options(parent),
    )
