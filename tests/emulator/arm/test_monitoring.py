"""Workspaces, diagnostic settings, collection rules, alerts, budgets: the rules that Azure would enforce."""

import datetime as dt
from typing import Any, ClassVar

import pytest

from emulator.arm import operational_insights
from tests.emulator.arm_client import GROUP, SUBSCRIPTION, Arm, said

WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log-one"
NSG = f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups/nsg"
ACTION_GROUP = f"{GROUP}/providers/Microsoft.Insights/actionGroups/ag"
RULE = f"{GROUP}/providers/Microsoft.Insights/dataCollectionRules/dcr"
SETTINGS = f"{NSG}/providers/Microsoft.Insights/diagnosticSettings"
BUDGET = f"{SUBSCRIPTION}/providers/Microsoft.Consumption/budgets/budget"


@pytest.fixture(autouse=True)
def workspace_and_group(arm: Arm) -> None:
    arm.put(WORKSPACE, {"location": "westeurope", "properties": {"sku": {"name": "PerGB2018"}}})
    arm.put(NSG, {"location": "westeurope", "properties": {}})


def setting(*categories: str, workspace: str = WORKSPACE, **more: Any) -> dict[str, Any]:
    logs = [{"category": category, "enabled": True} for category in categories]
    return {"properties": {"workspaceId": workspace, "logs": logs, **more}}


class TestWorkspaces:
    def test_same_name_within_14_days_is_the_same_workspace_again(self, arm: Arm) -> None:
        first = arm.get(WORKSPACE)
        arm.delete(WORKSPACE)
        again = arm.put(WORKSPACE, {"location": "westeurope", "properties": {}})
        assert again["properties"]["customerId"] == first["properties"]["customerId"]

    def test_the_name_is_kept_for_14_days_where_the_workspace_was(
        self, arm: Arm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """https://learn.microsoft.com/rest/api/loganalytics/workspaces/delete"""
        first = arm.get(WORKSPACE)["properties"]["customerId"]
        arm.delete(WORKSPACE)
        elsewhere = {"location": "northeurope", "properties": {}}
        assert arm.refusal(WORKSPACE, elsewhere).startswith("Conflict: The workspace name 'log-one'")
        monkeypatch.setattr(operational_insights, "RECOVERABLE_SECONDS", 0.0)
        assert arm.put(WORKSPACE, elsewhere)["properties"]["customerId"] != first

    def test_retention_outside_the_tier_is_refused(self, arm: Arm) -> None:
        error = arm.refusal(WORKSPACE, {"location": "westeurope", "properties": {"retentionInDays": 5}})
        assert error.startswith("InvalidParameter: ")


class TestDiagnosticSettings:
    def test_category_of_another_type_is_refused_in_the_flat_shape(self, arm: Arm) -> None:
        answer = arm("PUT", f"{SETTINGS}/one", setting("StorageRead"))
        assert answer.body is not None
        assert "error" not in answer.body
        assert said(answer) == "BadRequest: Category 'StorageRead' is not supported."

    def test_one_sink_takes_a_category_once(self, arm: Arm) -> None:
        arm.put(f"{SETTINGS}/one", setting("NetworkSecurityGroupEvent"))
        error = arm.refusal(f"{SETTINGS}/two", setting("NetworkSecurityGroupEvent"))
        assert error.startswith("Conflict: ")
        assert "already used in diagnostic setting 'one'" in error

    def test_needs_a_sink_that_exists(self, arm: Arm) -> None:
        assert "data sink" in arm.refusal(f"{SETTINGS}/x", {"properties": {"logs": []}})
        missing = arm.refusal(
            f"{SETTINGS}/x", setting("NetworkSecurityGroupEvent", workspace=WORKSPACE + "9")
        )
        assert missing.startswith("ResourceNotFound: ")

    def test_categories_and_groups_exclude_each_other(self, arm: Arm) -> None:
        body = setting("NetworkSecurityGroupEvent")
        body["properties"]["logs"].append({"categoryGroup": "allLogs", "enabled": True})
        assert "cannot be used together" in arm.refusal(f"{SETTINGS}/x", body)


class TestCollectionRules:
    BODY: ClassVar[dict[str, Any]] = {
        "location": "westeurope",
        "kind": "Linux",
        "properties": {
            "dataSources": {
                "syslog": [
                    {
                        "name": "s",
                        "streams": ["Microsoft-Syslog"],
                        "facilityNames": ["user"],
                        "logLevels": ["Info"],
                    }
                ]
            },
            "destinations": {"logAnalytics": [{"name": "ws", "workspaceResourceId": WORKSPACE}]},
            "dataFlows": [{"streams": ["Microsoft-Syslog"], "destinations": ["ws"]}],
        },
    }

    def test_answer_names_the_workspace_and_an_immutable_id_that_stays(self, arm: Arm) -> None:
        first = arm.put(RULE, self.BODY)["properties"]
        assert first["immutableId"].startswith("dcr-")
        assert arm.put(RULE, self.BODY)["properties"]["immutableId"] == first["immutableId"]

    @pytest.mark.parametrize(
        ("part", "value", "named"),
        [
            ("dataFlows", [{"streams": ["Microsoft-Syslog"], "destinations": ["nowhere"]}], "nowhere"),
            ("dataFlows", [{"streams": ["Microsoft-Perf"], "destinations": ["ws"]}], "Microsoft-Perf"),
        ],
    )
    def test_flow_between_what_is_not_declared_is_refused(
        self, arm: Arm, part: str, value: Any, named: str
    ) -> None:
        body = {**self.BODY, "properties": {**self.BODY["properties"], part: value}}
        error = arm.refusal(RULE, body)
        assert error.startswith("InvalidPayload: ")
        assert named in error

    def test_association_name_of_endpoints_is_kept_for_them(self, arm: Arm) -> None:
        arm.put(RULE, self.BODY)
        path = f"{NSG}/providers/Microsoft.Insights/dataCollectionRuleAssociations"
        body = {"properties": {"dataCollectionRuleId": RULE}}
        assert arm.refusal(f"{path}/configurationAccessEndpoint", body).startswith("InvalidPayload: ")
        arm.put(f"{path}/mine", body)


class TestAlerts:
    def body(self, metric: str = "Availability", window: str = "PT5M") -> dict[str, Any]:
        return {
            "location": "global",
            "properties": {
                "severity": 1,
                "enabled": True,
                "scopes": [WORKSPACE],
                "evaluationFrequency": "PT5M",
                "windowSize": window,
                "criteria": {
                    "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                    "allOf": [
                        {
                            "criterionType": "StaticThresholdCriterion",
                            "name": "c",
                            "metricName": metric,
                            "metricNamespace": "Microsoft.Storage/storageAccounts",
                            "operator": "LessThan",
                            "threshold": 1,
                            "timeAggregation": "Average",
                        }
                    ],
                },
                "actions": [{"actionGroupId": ACTION_GROUP}],
            },
        }

    def test_metric_alert_needs_its_group_its_metric_and_a_wide_enough_window(self, arm: Arm) -> None:
        path = f"{GROUP}/providers/Microsoft.Insights/metricAlerts/alert"
        assert arm.refusal(path, self.body()).startswith("ResourceNotFound: ")
        arm.put(ACTION_GROUP, {"location": "global", "properties": {"enabled": True, "groupShortName": "ag"}})
        assert "Availabilty" in arm.refusal(path, self.body(metric="Availabilty"))
        assert "window size" in arm.refusal(path, self.body(window="PT1M"))
        arm.put(path, self.body())

    def test_short_name_of_a_group_has_12_characters_at_most(self, arm: Arm) -> None:
        body = {"location": "global", "properties": {"enabled": True, "groupShortName": "x" * 13}}
        assert arm.refusal(ACTION_GROUP, body).startswith("InvalidGroupShortName: ")


class TestBudgets:
    def body(self, start: dt.date, **more: Any) -> dict[str, Any]:
        return {
            "properties": {
                "category": "Cost",
                "amount": 100,
                "timeGrain": "Monthly",
                "timePeriod": {"startDate": f"{start.isoformat()}T00:00:00Z"},
                **more,
            }
        }

    def test_starts_with_a_month_not_before_this_one_and_never_moves(self, arm: Arm) -> None:
        month = dt.datetime.now(dt.UTC).date().replace(day=1)
        past = (month - dt.timedelta(days=1)).replace(day=1)
        assert "before the current month" in arm.refusal(BUDGET, self.body(past))
        assert "first day" in arm.refusal(BUDGET, self.body(month.replace(day=2)))
        arm.put(BUDGET, self.body(month))
        later = (month + dt.timedelta(days=40)).replace(day=1)
        assert "cannot be updated" in arm.refusal(BUDGET, self.body(later))

    def test_notification_needs_somebody_to_tell(self, arm: Arm) -> None:
        month = dt.datetime.now(dt.UTC).date().replace(day=1)
        notification = {"enabled": True, "operator": "GreaterThan", "threshold": 80, "contactEmails": []}
        error = arm.refusal(BUDGET, self.body(month, notifications={"spent": notification}))
        assert "contactEmails" in error
