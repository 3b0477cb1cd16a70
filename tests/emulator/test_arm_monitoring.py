"""Workspaces, diagnostic settings, collection rules, alerts, budgets: the rules that Azure would enforce."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from emulator.arm.control_plane import ControlPlane
from emulator.arm.messages import Request, Response

SUBSCRIPTION = "/subscriptions/11111111-1111-4111-8111-111111111111"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log-one"
NSG = f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups/nsg"
ACTION_GROUP = f"{GROUP}/providers/Microsoft.Insights/actionGroups/ag"
RULE = f"{GROUP}/providers/Microsoft.Insights/dataCollectionRules/dcr"
SETTINGS = f"{NSG}/providers/Microsoft.Insights/diagnosticSettings"
BUDGET = f"{SUBSCRIPTION}/providers/Microsoft.Consumption/budgets/budget"
VERSIONS = {
    "resourcegroups": "2024-03-01",
    "microsoft.network": "2024-05-01",
    "microsoft.operationalinsights": "2023-09-01",
    "actiongroups": "2024-10-01-preview",
    "datacollectionrules": "2022-06-01",
    "datacollectionruleassociations": "2022-06-01",
    "diagnosticsettings": "2021-05-01-preview",
    "metricalerts": "2018-03-01",
    "scheduledqueryrules": "2025-01-01-preview",
    "microsoft.consumption": "2024-08-01",
}


class Arm:
    """A caller with all rights."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._token, _ = plane.issue_token()

    def __call__(self, method: str, path: str, body: dict[str, Any] | None = None) -> Response:
        parts = path.lower().split("/")
        version = next(VERSIONS[part] for part in reversed(parts) if part in VERSIONS)
        return self._plane.handle(
            Request(
                method=method,
                path=path,
                query={"api-version": version},
                headers={"authorization": f"Bearer {self._token}"},
                body=body,
            )
        )

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self("PUT", path, body)
        assert answer.status in {200, 201}, answer.body
        assert answer.body is not None
        return answer.body

    def refused(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self("PUT", path, body)
        assert answer.status >= 400, answer.body
        assert answer.body is not None
        error: dict[str, Any] = answer.body.get("error", answer.body)
        return error


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[Arm]:
    plane = ControlPlane(tmp_path / "arm.sqlite", b"k" * 32)
    arm = Arm(plane)
    arm.put(GROUP, {"location": "westeurope"})
    arm.put(WORKSPACE, {"location": "westeurope", "properties": {"sku": {"name": "PerGB2018"}}})
    arm.put(NSG, {"location": "westeurope", "properties": {}})
    yield arm
    plane.close()


def setting(*categories: str, workspace: str = WORKSPACE, **more: Any) -> dict[str, Any]:
    logs = [{"category": category, "enabled": True} for category in categories]
    return {"properties": {"workspaceId": workspace, "logs": logs, **more}}


class TestWorkspaces:
    def test_same_name_within_14_days_is_the_same_workspace_again(self, arm: Arm) -> None:
        first = arm("GET", WORKSPACE).body
        assert arm("DELETE", WORKSPACE).status in {200, 202, 204}
        again = arm.put(WORKSPACE, {"location": "westeurope", "properties": {}})
        assert first is not None
        assert again["properties"]["customerId"] == first["properties"]["customerId"]

    def test_retention_outside_the_tier_is_refused(self, arm: Arm) -> None:
        error = arm.refused(WORKSPACE, {"location": "westeurope", "properties": {"retentionInDays": 5}})
        assert error["code"] == "InvalidParameter"


class TestDiagnosticSettings:
    def test_category_of_another_type_is_refused_in_the_flat_shape(self, arm: Arm) -> None:
        answer = arm("PUT", f"{SETTINGS}/one", setting("StorageRead"))
        assert answer.status == 400
        assert answer.body is not None
        assert answer.body["message"] == "Category 'StorageRead' is not supported."

    def test_one_sink_takes_a_category_once(self, arm: Arm) -> None:
        arm.put(f"{SETTINGS}/one", setting("NetworkSecurityGroupEvent"))
        error = arm.refused(f"{SETTINGS}/two", setting("NetworkSecurityGroupEvent"))
        assert error["code"] == "Conflict"
        assert "already used in diagnostic setting 'one'" in error["message"]

    def test_needs_a_sink_that_exists(self, arm: Arm) -> None:
        assert "data sink" in arm.refused(f"{SETTINGS}/x", {"properties": {"logs": []}})["message"]
        missing = arm.refused(
            f"{SETTINGS}/x", setting("NetworkSecurityGroupEvent", workspace=WORKSPACE + "9")
        )
        assert missing["code"] == "ResourceNotFound"

    def test_categories_and_groups_exclude_each_other(self, arm: Arm) -> None:
        body = setting("NetworkSecurityGroupEvent")
        body["properties"]["logs"].append({"categoryGroup": "allLogs", "enabled": True})
        assert "cannot be used together" in arm.refused(f"{SETTINGS}/x", body)["message"]


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
        error = arm.refused(RULE, body)
        assert error["code"] == "InvalidPayload"
        assert named in error["message"]

    def test_association_name_of_endpoints_is_kept_for_them(self, arm: Arm) -> None:
        arm.put(RULE, self.BODY)
        path = f"{NSG}/providers/Microsoft.Insights/dataCollectionRuleAssociations"
        body = {"properties": {"dataCollectionRuleId": RULE}}
        assert arm.refused(f"{path}/configurationAccessEndpoint", body)["code"] == "InvalidPayload"
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
        assert arm.refused(path, self.body())["code"] == "ResourceNotFound"
        arm.put(ACTION_GROUP, {"location": "global", "properties": {"enabled": True, "groupShortName": "ag"}})
        assert "Availabilty" in arm.refused(path, self.body(metric="Availabilty"))["message"]
        assert "window size" in arm.refused(path, self.body(window="PT1M"))["message"]
        arm.put(path, self.body())

    def test_short_name_of_a_group_has_12_characters_at_most(self, arm: Arm) -> None:
        body = {"location": "global", "properties": {"enabled": True, "groupShortName": "x" * 13}}
        assert arm.refused(ACTION_GROUP, body)["code"] == "InvalidGroupShortName"


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
        assert "before the current month" in arm.refused(BUDGET, self.body(past))["message"]
        assert "first day" in arm.refused(BUDGET, self.body(month.replace(day=2)))["message"]
        arm.put(BUDGET, self.body(month))
        later = (month + dt.timedelta(days=40)).replace(day=1)
        assert "cannot be updated" in arm.refused(BUDGET, self.body(later))["message"]

    def test_notification_needs_somebody_to_tell(self, arm: Arm) -> None:
        month = dt.datetime.now(dt.UTC).date().replace(day=1)
        notification = {"enabled": True, "operator": "GreaterThan", "threshold": 80, "contactEmails": []}
        error = arm.refused(BUDGET, self.body(month, notifications={"spent": notification}))
        assert "contactEmails" in error["message"]
