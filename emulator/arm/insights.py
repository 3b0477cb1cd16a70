"""Microsoft.Insights: what resources tell (diagnostic settings, collection rules), and who is sent it."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

from emulator.arm import answers, ids
from emulator.arm.catalogue import Level, Place, Reference, described, listed, values_at
from emulator.arm.context import Context, Write
from emulator.arm.errors import ArmError, bad_request, conflict, not_found
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Request
from emulator.arm.operational_insights import WORKSPACE
from emulator.arm.refusals import missing_resource
from emulator.arm.store import Row, Transaction
from emulator.arm.times import stamp

ACTION_GROUP = "Microsoft.Insights/actionGroups"
RULE = "Microsoft.Insights/dataCollectionRules"
ASSOCIATION = "Microsoft.Insights/dataCollectionRuleAssociations"
CATEGORY = "Microsoft.Insights/diagnosticSettingsCategories"
SETTING = "Microsoft.Insights/diagnosticSettings"
METRIC_ALERT = "Microsoft.Insights/metricAlerts"
LOG_ALERT = "Microsoft.Insights/scheduledQueryRules"
STORAGE = "Microsoft.Storage/storageAccounts"

# Action groups


def _check_short_name(write: Write) -> None:
    short = write.properties["groupShortName"]
    if len(short) > 12:
        raise bad_request(
            "InvalidGroupShortName",
            f"The short name '{short}' of action group {write.id.name} is longer than 12 characters.",
        )


def _write_otherwise(_: Transaction, row: Row, answer: dict[str, object]) -> None:
    """This provider writes ids and types its own way.

    Recorded: Test_Insights_ActionGroup_v20230101_CRUD and
    Test_Insights_DiagnosticSetting_v20210501preview_CRUD, 2025.
    """
    if row.type == ACTION_GROUP:
        answer["id"] = row.id.replace("/Microsoft.Insights/", "/microsoft.insights/")
        answer["type"] = "Microsoft.Insights/ActionGroups"
        answer["location"] = "Global" if answer["location"] == "global" else answer["location"]
    else:
        above, own = row.id.rsplit("/providers/Microsoft.Insights/", 1)
        lower = above.replace("/resourceGroups/", "/resourcegroups/")
        answer["id"] = f"{lower}/providers/microsoft.insights/{own}"


def _enable_receivers(write: Write) -> None:
    for receiver in write.properties.get("emailReceivers") or []:
        receiver["status"] = "Enabled"


# Collection rules


def _invalid_rule(reason: str) -> ArmError:
    return bad_request("InvalidPayload", f"Data collection rule is invalid: {reason}")


def _check_flows(write: Write) -> None:
    properties = write.properties
    produced = {
        stream
        for sources in (properties.get("dataSources") or {}).values()
        if isinstance(sources, list)
        for source in sources
        for stream in source.get("streams") or []
    }
    named = {
        destination.get("name")
        for destinations in (properties.get("destinations") or {}).values()
        for destination in (destinations if isinstance(destinations, list) else [destinations])
    }
    for flow in properties.get("dataFlows") or []:
        for destination in flow.get("destinations") or []:
            if destination not in named:
                raise _invalid_rule(f"data flow destination '{destination}' is not among its destinations.")
        for stream in flow.get("streams") or []:
            if stream not in produced and not stream.startswith("Custom-"):
                raise _invalid_rule(f"stream '{stream}' of a data flow comes from none of its data sources.")


def _locate_workspaces(write: Write) -> None:
    for _, destination in values_at(write.body, "properties.destinations.logAnalytics[]"):
        workspace = write.tx.get(destination.get("workspaceResourceId", ""))
        if workspace is None or workspace.type != WORKSPACE:
            raise _no_workspace(str(destination.get("workspaceResourceId", "")))
        if workspace.location != write.body["location"]:
            raise _invalid_rule(
                f"workspace {workspace.id} is in '{workspace.location}', the rule in "
                f"'{write.body['location']}': they must be in one region."
            )
        destination["workspaceId"] = workspace.properties["customerId"]


def _no_workspace(wanted: str) -> ArmError:
    """Recorded: Test_Insights_v1api20230311_CreationAndDeletion, 2025."""
    message = f"Log Analytics workspace destination resource with Id '{wanted}' does not exist"
    detail = {"code": "WorkspaceNotFound", "message": message, "target": "workspaceResourceId"}
    return bad_request("WorkspaceNotFound", message, details=[detail])


def _number_rule(write: Write) -> None:
    write.settle("properties.immutableId", f"dcr-{uuid.uuid4().hex}")


def _check_association(write: Write) -> None:
    rule = write.get("properties.dataCollectionRuleId")
    endpoint = write.get("properties.dataCollectionEndpointId")
    if (rule is None) == (endpoint is None):
        raise bad_request(
            "InvalidPayload",
            "An association names either a data collection rule or a data collection endpoint.",
        )
    if (write.id.name.lower() == "configurationaccessendpoint") != (endpoint is not None):
        raise bad_request(
            "InvalidPayload",
            "The association name 'configurationAccessEndpoint' is kept for a data collection endpoint.",
        )


# Diagnostic settings

LOGS: dict[str, frozenset[str]] = {
    "microsoft.network/networksecuritygroups": frozenset(
        {"NetworkSecurityGroupEvent", "NetworkSecurityGroupRuleCounter"}
    ),
    "microsoft.network/virtualnetworks": frozenset({"VMProtectionAlerts"}),
    "microsoft.storage/storageaccounts/blobservices": frozenset(
        {"StorageRead", "StorageWrite", "StorageDelete"}
    ),
    "microsoft.keyvault/vaults": frozenset({"AuditEvent", "AzurePolicyEvaluationDetails"}),
    "microsoft.containerregistry/registries": frozenset(
        {"ContainerRegistryLoginEvents", "ContainerRegistryRepositoryEvents"}
    ),
    "microsoft.operationalinsights/workspaces": frozenset({"Audit", "SummaryLogs"}),
    "microsoft.dataprotection/backupvaults": frozenset(
        {
            "CoreAzureBackup",
            "AddonAzureBackupJobs",
            "AddonAzureBackupPolicy",
            "AddonAzureBackupProtectedInstance",
        }
    ),
}
"""Resource type -> log categories that it has. A type that is not here has none."""

METRICS: dict[str, frozenset[str]] = {
    "microsoft.network/networksecuritygroups": frozenset(),
    "microsoft.storage/storageaccounts": frozenset({"Transaction", "Capacity"}),
    "microsoft.storage/storageaccounts/blobservices": frozenset({"Transaction", "Capacity"}),
}
"""Resource type -> metric categories, where they are not just AllMetrics."""

SETTINGS = 5
"""The most that a resource may have."""


def _check_categories(write: Write) -> None:
    target = ids.parse(write.id.scope)
    type_ = target.type.lower() if target else ""
    known = {
        "logs": LOGS.get(type_, frozenset()),
        "metrics": METRICS.get(type_, frozenset({"AllMetrics"})),
    }
    for list_, what in (("logs", "Category"), ("metrics", "Metric category")):
        entries = write.properties.get(list_) or []
        names = {name.lower() for name in known[list_]}
        for entry in entries:
            category, group = entry.get("category"), entry.get("categoryGroup")
            if category and category.lower() not in names:
                raise bad_request("BadRequest", f"{what} '{category}' is not supported.")
            if group and group.lower() not in ({"alllogs", "audit"} if names else set()):
                raise bad_request("BadRequest", f"Category group '{group}' is not supported.")
            if (entry.get("retentionPolicy") or {}).get("days"):
                raise bad_request(
                    "BadRequest",
                    "Diagnostic settings does not support retention for new diagnostic settings.",
                )
            entry.setdefault("retentionPolicy", {"days": 0, "enabled": False})
        if {True, False} <= {bool(entry.get("categoryGroup")) for entry in entries}:
            raise bad_request("BadRequest", "Categories and category groups cannot be used together.")


def _categories(context: Context, path: ResourceId, _: Request) -> list[Row]:
    """Return the log and metric categories of a resource.

    https://learn.microsoft.com/rest/api/monitor/diagnostic-settings-category/list
    """
    found = context.tx.get(path.scope)
    if found is None:
        raise missing_resource(path.scope)
    kind = found.type.lower()
    named = [(name, "Logs") for name in sorted(LOGS.get(kind, ()))]
    named += [(name, "Metrics") for name in sorted(METRICS.get(kind, {"AllMetrics"}))]
    return [
        Row(
            id=f"{path.path}/{name}",
            type=CATEGORY,
            body={
                "id": f"{path.path}/{name}",
                "name": name,
                "type": CATEGORY,
                "properties": {"categoryType": what},
            },
            parent=path.scope,
        )
        for name, what in named
    ]


def _check_sinks(write: Write) -> None:
    properties = write.properties
    sinks = {
        name: properties[name]
        for name in ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId")
        if properties.get(name)
    }
    if not sinks:
        raise bad_request("BadRequest", "At least one data sink needs to be specified.")
    if not any(
        entry.get("enabled") for entry in (*_entries(properties, "logs"), *_entries(properties, "metrics"))
    ):
        raise bad_request("BadRequest", "At least one log or metric of a diagnostic setting must be enabled.")
    others = [row for row in write.tx.children(write.id.scope, SETTING) if row.key != write.id.key]
    if write.old is None and len(others) >= SETTINGS:
        raise bad_request("BadRequest", f"A resource can have {SETTINGS} diagnostic settings at most.")
    for other in others:
        for sink, identifier in sinks.items():
            if str(other.properties.get(sink, "")).lower() == str(identifier).lower():
                _refuse_shared_categories(write, other, str(identifier))


def _entries(properties: dict[str, object], name: str) -> list[dict[str, object]]:
    entries = properties.get(name)
    return entries if isinstance(entries, list) else []


def _refuse_shared_categories(write: Write, other: Row, sink: str) -> None:
    for list_ in ("logs", "metrics"):
        taken = {entry.get("category") for entry in _entries(other.properties, list_)}
        for entry in _entries(write.properties, list_):
            if entry.get("category") in taken:
                raise conflict(
                    "Conflict",
                    f"Data sink '{sink}' is already used in diagnostic setting '{other.name}' for category "
                    f"'{entry.get('category')}'. Data sinks can't be reused in different settings on the "
                    "same category for the same resource.",
                )


# Alerts

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")


def _minutes(write: Write, name: str) -> int:
    text = str(write.properties.get(name))
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise bad_request("BadRequest", f"The {name} '{text}' is not an ISO 8601 duration such as PT5M.")
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return (days * 24 + hours) * 60 + minutes


def _check_window(write: Write) -> None:
    if _minutes(write, "windowSize") < _minutes(write, "evaluationFrequency"):
        raise bad_request(
            "BadRequest", "The window size of an alert must not be smaller than its evaluation frequency."
        )
    if write.properties.get("severity") not in range(5):
        raise bad_request("BadRequest", "The severity of an alert is a number from 0 to 4.")


def _scopes_exist(write: Write) -> None:
    for scope in write.properties.get("scopes") or []:
        if not write.tx.exists(scope) and not _is_known_subscription(write, scope):
            raise missing_resource(scope)


def _is_known_subscription(write: Write, scope: str) -> bool:
    """Say whether a scope is a whole subscription; a group is a resource here.

    https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-types#metric-alerts
    """
    subscription = ids.subscription_of(scope)
    return scope.count("/") == 2 and subscription is not None and write.tx.has_subscription(subscription)


METRIC_NAMES: dict[str, frozenset[str]] = {
    "microsoft.compute/virtualmachines": frozenset(
        {
            "VmAvailabilityMetric", "Percentage CPU", "Available Memory Bytes", "CPU Credits Remaining",
            "Network In Total", "Network Out Total", "OS Disk IOPS Consumed Percentage",
            "Data Disk IOPS Consumed Percentage",
        }
    ),
    "microsoft.storage/storageaccounts": frozenset(
        {"Availability", "UsedCapacity", "Transactions", "Ingress", "Egress", "SuccessE2ELatency"}
    ),
    "microsoft.keyvault/vaults": frozenset(
        {"Availability", "ServiceApiLatency", "ServiceApiHit", "ServiceApiResult", "SaturationShoebox"}
    ),
    "microsoft.containerregistry/registries": frozenset({"StorageUsed", "SuccessfulPullCount"}),
}  # fmt: skip
"""Metric namespace -> the metrics known here. A metric of another namespace is not checked."""


def _check_metrics(write: Write) -> None:
    for _, criterion in values_at(write.body, "properties.criteria.allOf[]"):
        namespace, metric = criterion.get("metricNamespace", ""), criterion.get("metricName", "")
        known = {name.lower() for name in METRIC_NAMES.get(namespace.lower(), ())}
        if known and metric.lower() not in known and not criterion.get("skipMetricValidation"):
            raise bad_request(
                "BadRequest",
                f"The following metric name(s) were not found: {metric}. Please note that for custom "
                "metrics, the relevant metric namespace must be specified. Activity ID: "
                f"{uuid.uuid4()}.",
            )


def _date_alert(write: Write) -> None:
    write.properties["lastUpdatedTime"] = stamp(write.tx.now)
    write.properties["isMigrated"] = False


OPERATORS = ("Equals", "GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual")


def _check_query(write: Write) -> None:
    muted = write.properties.get("muteActionsDuration")
    if muted and write.properties.get("autoMitigate"):
        raise bad_request("BadRequest", "muteActionsDuration cannot be used while autoMitigate is true.")
    for _, criterion in values_at(write.body, "properties.criteria.allOf[]"):
        if criterion.get("operator") not in OPERATORS:
            raise bad_request("BadRequest", f"The operator '{criterion.get('operator')}' is unknown.")
        if not str(criterion.get("query") or "").strip():
            raise bad_request("BadRequest", f"A condition of alert {write.id.name} has no query.")
        periods = criterion.get("failingPeriods") or {}
        evaluated = periods.get("numberOfEvaluationPeriods", 1)
        if periods.get("minFailingPeriodsToAlert", 1) > evaluated:
            raise bad_request(
                "BadRequest", "minFailingPeriodsToAlert must not be above numberOfEvaluationPeriods."
            )


def _name_workspace_type(tx: Transaction, row: Row, answer: dict[str, object]) -> None:
    del tx, row
    properties = answer["properties"]
    if isinstance(properties, dict):
        properties.setdefault("targetResourceTypes", [WORKSPACE])


def _missing_setting(id_: ResourceId) -> ArmError:
    return not_found("ResourceNotFound", f"The diagnostic setting '{id_.name}' doesn't exist.")


TYPES = (
    listed(CATEGORY, ("2021-05-01-preview", "2017-05-01-preview"), _categories, level=Level.SCOPE),
    replace(
        described(ACTION_GROUP, place=Place.ANY),
        patch=("tags", "identity", "properties"),
        provisioning=False,
        required=("properties.groupShortName",),
        check=(_check_short_name, _enable_receivers),
        render=_write_otherwise,
    ),
    replace(
        described(RULE),
        answers=answers.REPLACED,
        patch=("tags", "identity"),
        required=("properties.dataFlows", "properties.destinations"),
        check=(_check_flows, _locate_workspaces, _number_rule),
    ),
    replace(
        described(ASSOCIATION),
        answers=answers.REPLACED,
        provisioning=False,
        references=(Reference(path="properties.dataCollectionRuleId", types=(RULE,)),),
        check=(_check_association,),
    ),
    replace(
        described(SETTING),
        answers=answers.REPLACED,
        provisioning=False,
        flat_errors=True,
        missing=_missing_setting,
        references=(
            Reference(path="properties.workspaceId", types=(WORKSPACE,)),
            Reference(path="properties.storageAccountId", types=(STORAGE,)),
        ),
        check=(_check_categories, _check_sinks),
        render=_write_otherwise,
    ),
    replace(
        described(METRIC_ALERT, place=Place.GLOBAL),
        answers=answers.REPLACED,
        patch=("tags", "properties"),
        provisioning=False,
        defaults={"properties": {"autoMitigate": True}},
        references=(Reference(path="properties.actions[].actionGroupId", types=(ACTION_GROUP,)),),
        check=(_check_window, _scopes_exist, _check_metrics, _date_alert),
    ),
    replace(
        described(LOG_ALERT),
        patch=("tags", "identity", "properties"),
        provisioning=False,
        required=(
            "properties.scopes",
            "properties.criteria",
            "properties.evaluationFrequency",
            "properties.windowSize",
        ),
        defaults={"properties": {"enabled": True, "autoMitigate": True}},
        references=(Reference(path="properties.scopes[]", types=(WORKSPACE,)),),
        check=(_check_window, _check_query),
        render=_name_workspace_type,
    ),
)
