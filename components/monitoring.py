"""What a party keeps about itself: its own workspace, what VMs send there, and who learns of trouble.

The agent on the VM and the alerts about one machine are in `machine_monitoring.py`. Without egress there is
no agent: Azure Monitor is reached over the internet (its private link scope is left to those who need it).
A deleted workspace is kept by Azure for 14 days: one of the same name in the same group is that workspace
again, data and all (https://learn.microsoft.com/azure/azure-monitor/logs/delete-workspace).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import pulumi
from pulumi_azure_native import monitor, operationalinsights

from components.context import Context
from components.diagnostics import diagnose
from components.log_alert import log_alert
from federation.notices import Kind
from federation.parties import Party

DESTINATION: Final = "workspace"
_SYSLOG, _PERF = "Microsoft-Syslog", "Microsoft-Perf"
#: Docker's journald driver sets no facility, and records without one arrive as `user`.
_FACILITIES: Final = ["auth", "authpriv", "cron", "daemon", "kern", "syslog", "user"]
_LEVELS: Final = ["Info", "Notice", "Warning", "Error", "Critical", "Alert", "Emergency"]
_COUNTERS: Final = [
    r"Processor(*)\% Processor Time",
    r"Memory(*)\% Used Memory",
    r"Logical Disk(*)\% Used Space",
    r"Network(*)\Total Bytes Transmitted",
]


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """Where the workspace and the rules go; without `machine` there is nothing to collect."""

    context: Context[Party]
    resource_group: pulumi.Input[str]
    machine: bool


@dataclass(frozen=True, kw_only=True)
class MonitoringResources:
    """`collection` is None where no VM has an agent, `quota_alert` where logs have no daily limit.

    `action_groups` are of those who hear of one kind of notice, instead of the party's contacts.
    """

    workspace: operationalinsights.Workspace
    collection: monitor.DataCollectionRule | None
    action_group: monitor.ActionGroup
    action_groups: Mapping[Kind, monitor.ActionGroup]
    quota_alert: monitor.ScheduledQueryRule | None


@final
class Monitoring(pulumi.ComponentResource):
    """Workspace, data collection rule, action group and the alerts on logs of one party."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:Monitoring", name, None, opts)
        self._args = args
        self.resource_group = args.resource_group
        has_agent = args.machine and args.context.party.has_way_out
        has_quota = args.context.settings.monitoring.daily_quota_gb is not None
        workspace = self._workspace()
        self.workspace_id: pulumi.Output[str] = workspace.id
        party = args.context.party
        action_group = self._action_group("", party.contacts)
        self.action_group_id: pulumi.Output[str] = action_group.id
        self.resources = MonitoringResources(
            workspace=workspace,
            collection=self._collection() if has_agent else None,
            action_group=action_group,
            action_groups={kind: self._action_group(kind, who) for kind, who in party.hears.items()},
            quota_alert=self._quota_alert() if has_quota else None,
        )
        diagnose(
            self,
            args.context,
            "workspace",
            resource_id=workspace.id,
            workspace_id=workspace.id,
            logs=("Audit",),
        )
        self.register_outputs({"workspaceId": self.workspace_id})

    def _workspace(self) -> operationalinsights.Workspace:
        args, context = self._args, self._args.context
        settings = context.settings.monitoring
        return operationalinsights.Workspace(
            context.names.of("log"),
            workspace_name=context.names.of("log"),
            resource_group_name=args.resource_group,
            location=context.location,
            sku=operationalinsights.WorkspaceSkuArgs(
                name=operationalinsights.WorkspaceSkuNameEnum.PER_GB2018
            ),
            retention_in_days=settings.retention_days,
            workspace_capping=(
                operationalinsights.WorkspaceCappingArgs(daily_quota_gb=settings.daily_quota_gb)
                if settings.daily_quota_gb is not None
                else None
            ),
            features=operationalinsights.WorkspaceFeaturesArgs(disable_local_auth=True),
            tags=context.tags,
            # Who read whose data is written nowhere else.
            opts=pulumi.ResourceOptions(
                parent=self, provider=context.azure, protect=context.settings.protection.protect_data
            ),
        )

    def _collection(self) -> monitor.DataCollectionRule:
        args, context = self._args, self._args.context
        return monitor.DataCollectionRule(
            context.names.of("dcr"),
            data_collection_rule_name=context.names.of("dcr"),
            resource_group_name=args.resource_group,
            location=context.location,
            kind=monitor.KnownDataCollectionRuleResourceKind.LINUX,
            data_sources=monitor.DataCollectionRuleDataSourcesArgs(
                syslog=[
                    monitor.SyslogDataSourceArgs(
                        name="syslog",
                        streams=[_SYSLOG],
                        facility_names=_FACILITIES,
                        log_levels=_LEVELS,
                    )
                ],
                performance_counters=[
                    monitor.PerfCounterDataSourceArgs(
                        name="counters",
                        streams=[_PERF],
                        sampling_frequency_in_seconds=60,
                        counter_specifiers=_COUNTERS,
                    )
                ],
            ),
            destinations=monitor.DataCollectionRuleDestinationsArgs(
                log_analytics=[
                    monitor.LogAnalyticsDestinationArgs(
                        name=DESTINATION, workspace_resource_id=self.workspace_id
                    )
                ]
            ),
            data_flows=[monitor.DataFlowArgs(streams=[_SYSLOG, _PERF], destinations=[DESTINATION])],
            tags=context.tags,
            opts=context.options(self),
        )

    def who_hears(self, kind: Kind) -> pulumi.Output[str]:
        """Return the id of the action group that hears of this kind of notice."""
        group = self.resources.action_groups.get(kind)
        return group.id if group else self.action_group_id

    def _action_group(self, part: str, addresses: tuple[str, ...]) -> monitor.ActionGroup:
        args, context = self._args, self._args.context
        name = context.names.of("ag", part)
        return monitor.ActionGroup(
            name,
            action_group_name=name,
            resource_group_name=args.resource_group,
            location="global",
            enabled=True,
            # The sender's name in a text message: 12 characters at most.
            group_short_name=(part or context.party.name.replace("-", ""))[:12],
            email_receivers=[
                monitor.MicrosoftCommonEmailReceiverArgs(
                    name=f"contact-{number}", email_address=address, use_common_alert_schema=True
                )
                for number, address in enumerate(addresses, start=1)
            ],
            tags=context.tags,
            opts=context.options(self),
        )

    def _quota_alert(self) -> monitor.ScheduledQueryRule:
        return log_alert(
            self,
            self._args.context,
            "log-quota",
            description="The day's quota of logs is used up: security logs are dropped as well",
            query='_LogOperation | where Category =~ "Ingestion" | where Detail contains "OverQuota"',
            fires_when="GreaterThanOrEqual",
            severity=2,
            monitoring=self,
        )
