"""What watches one VM: the agent, what it collects, and the alert when the VM is away."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import compute, managedidentity, monitor

from components.context import Context
from components.log_alert import log_alert
from components.metric_alert import alert_below
from components.monitoring import Monitoring
from federation.notices import CODES, DESCRIPTIONS, OF_CENTRE, OF_HOSPITAL, Kind
from federation.parties import CentreParty, Party


@dataclass(frozen=True, kw_only=True)
class MachineMonitoring:
    """`agent`, `association` and `heartbeat_alert` are None where the VM cannot reach Azure Monitor.

    Nor are there alerts on what its container server says then.
    """

    agent: compute.VirtualMachineExtension | None
    association: monitor.DataCollectionRuleAssociation | None
    heartbeat_alert: monitor.ScheduledQueryRule | None
    notice_alerts: Mapping[Kind, monitor.ScheduledQueryRule]
    availability_alert: monitor.MetricAlert


def watch_machine(
    parent: pulumi.Resource,
    context: Context[Party],
    *,
    machine: compute.VirtualMachine,
    identity: managedidentity.UserAssignedIdentity,
    resource_group: pulumi.Input[str],
    monitoring: Monitoring,
) -> MachineMonitoring:
    """Installs the agent where there is a collection rule for it; watches availability everywhere.

    Agent and association name the VM by its outputs, so that they are made again with a replaced VM.
    """
    collection = monitoring.resources.collection
    agent = _agent(parent, context, machine, identity, resource_group) if collection else None
    association = _association(parent, context, machine, collection, agent) if collection and agent else None
    return MachineMonitoring(
        agent=agent,
        association=association,
        heartbeat_alert=_heartbeat_alert(parent, context, monitoring, association) if association else None,
        notice_alerts=_notice_alerts(parent, context, monitoring, association) if association else {},
        availability_alert=alert_below(
            parent,
            context,
            "vm-availability",
            description="The VM is not available",
            resource_id=machine.id,
            monitoring=monitoring,
            namespace="Microsoft.Compute/virtualMachines",
            metric="VmAvailabilityMetric",
            threshold=1.0,
        ),
    )


def _notice_alerts(
    parent: pulumi.Resource,
    context: Context[Party],
    monitoring: Monitoring,
    association: monitor.DataCollectionRuleAssociation,
) -> dict[Kind, monitor.ScheduledQueryRule]:
    """Return an alert for each kind of notice that the VM's container server logs.

    Docker tags its lines with the container's name, which arrives as the process
    (https://learn.microsoft.com/azure/azure-monitor/reference/tables/syslog): no other container is believed.
    """
    return {
        kind: log_alert(
            parent,
            context,
            f"notice-{kind}",
            description=DESCRIPTIONS[kind],
            query=(
                'Syslog | where ProcessName == "container-server" | extend said = parse_json(SyslogMessage)'
                f' | where said.event == "notice" and said.code in ({_quoted(CODES[kind])})'
            ),
            fires_when="GreaterThanOrEqual",
            severity=2,
            monitoring=monitoring,
            tells=monitoring.who_hears(kind),
            after=(association,),
        )
        for kind in (OF_CENTRE if isinstance(context.party, CentreParty) else OF_HOSPITAL)
    }


def _quoted(codes: tuple[str, ...]) -> str:
    return ", ".join(f'"{code}"' for code in codes)


def _agent(
    parent: pulumi.Resource,
    context: Context[Party],
    machine: compute.VirtualMachine,
    identity: managedidentity.UserAssignedIdentity,
    resource_group: pulumi.Input[str],
) -> compute.VirtualMachineExtension:
    return compute.VirtualMachineExtension(
        context.names.label("agent"),
        vm_extension_name="AzureMonitorLinuxAgent",
        vm_name=machine.name,
        resource_group_name=resource_group,
        location=context.location,
        publisher="Microsoft.Azure.Monitor",
        type="AzureMonitorLinuxAgent",
        type_handler_version="1.29",
        auto_upgrade_minor_version=True,
        enable_automatic_upgrade=True,
        settings={
            "authentication": {
                "managedIdentity": {"identifier-name": "mi_res_id", "identifier-value": identity.id}
            }
        },
        tags=context.tags,
        opts=context.options(parent),
    )


def _association(
    parent: pulumi.Resource,
    context: Context[Party],
    machine: compute.VirtualMachine,
    collection: monitor.DataCollectionRule,
    agent: compute.VirtualMachineExtension,
) -> monitor.DataCollectionRuleAssociation:
    return monitor.DataCollectionRuleAssociation(
        context.names.of("dcra"),
        association_name=context.names.of("dcra"),
        resource_uri=machine.id,
        data_collection_rule_id=collection.id,
        opts=context.options(parent, depends_on=[agent]),
    )


def _heartbeat_alert(
    parent: pulumi.Resource,
    context: Context[Party],
    monitoring: Monitoring,
    association: monitor.DataCollectionRuleAssociation,
) -> monitor.ScheduledQueryRule:
    """Silence counts from the agent's start on: a rule that is older than its VM would only be wrong."""
    return log_alert(
        parent,
        context,
        "agent",
        description="The VM's agent has not been heard of for 20 minutes",
        query="Heartbeat",
        fires_when="LessThan",
        severity=1,
        periods=2,
        monitoring=monitoring,
        after=(association,),
    )
