"""What `fed cost` says, read from a Resource Manager that answers as Azure documents it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from automation.operate import cost
from automation.stacks.arm import Answer, Arm
from automation.stacks.target import Target
from automation.ui.options import On
from tests.unit.support.stack_outputs import stack_outputs

OUTPUTS = stack_outputs("hungary")
QUERY = "/providers/Microsoft.CostManagement/query"


def budget(party: str) -> str:
    return f"/subscriptions/s-{party}/providers/Microsoft.Consumption/budgets/budget-fed-dev-{party}"


class Azure(Arm):
    """Has a budget for each party and the hours of its machine; a status instead of a body is an error."""

    def __init__(self) -> None:
        spend = {
            "amount": 100.0,
            "currentSpend": {"amount": 40.5, "unit": "EUR"},
            "forecastSpend": {"amount": 80.25, "unit": "EUR"},
        }
        usage = {
            "columns": [
                {"name": "cost", "type": "Number"},
                {"name": "quantity", "type": "Number"},
                {"name": "MeterCategory", "type": "String"},
                {"name": "Currency", "type": "String"},
            ],
            "rows": [
                [31.5, 250.0, "Virtual Machines", "EUR"],
                [9.0, 1200.0, "Storage", "EUR"],
            ],
        }
        self.answers: dict[str, Mapping[str, Any] | int] = {
            **{budget(party): {"properties": spend} for party in OUTPUTS.parties},
            **{f"/subscriptions/s-{party}{QUERY}": {"properties": usage} for party in OUTPUTS.parties},
        }

    def get(self, path: str, version: str, **query: str) -> Answer:
        found = self.answers.get(path, 404)
        return Answer(status=found, body={}) if isinstance(found, int) else Answer(status=200, body=found)

    def post(self, path: str, version: str, body: Mapping[str, Any]) -> Answer:
        assert path.endswith(QUERY)
        assert body["timeframe"] == "MonthToDate"
        return self.get(path, version)


def target(azure: Azure, on: On = On.AZURE) -> Target:
    return cast("Target", SimpleNamespace(name="dev", on=on, arm=lambda: azure))


def test_each_party_has_its_own_budget_and_the_hours_of_machines_alone() -> None:
    centre, hungary = cost.read(target(Azure()), OUTPUTS)
    assert (centre.party, hungary.party) == ("centre", "hungary")
    assert (hungary.spent, hungary.forecast, hungary.budget, hungary.unit) == (40.5, 80.25, 100.0, "EUR")
    assert hungary.hours == 250.0
    assert not hungary.too_much


@pytest.mark.parametrize(("spent", "forecast"), [(101.0, 90.0), (40.0, 101.0)])
def test_more_than_the_budget_is_said_and_is_a_no(
    spent: float, forecast: float, capsys: pytest.CaptureFixture[str]
) -> None:
    azure = Azure()
    azure.answers[budget("hungary")] = {
        "properties": {
            "amount": 100,
            "currentSpend": {"amount": spent, "unit": "EUR"},
            "forecastSpend": {"amount": forecast, "unit": "EUR"},
        }
    }
    assert not cost.show(target(azure), OUTPUTS, as_json=False)
    assert "more than its budget" in capsys.readouterr().out


def test_what_azure_does_not_say_is_unknown_with_the_reason() -> None:
    azure = Azure()
    azure.answers[budget("hungary")] = 404
    azure.answers[f"/subscriptions/s-centre{QUERY}"] = 403
    costs = list(cost.read(target(azure), OUTPUTS))
    centre, hungary = costs
    assert (centre.hours, centre.why) == (None, "hours: 403: no message")
    assert (hungary.budget, hungary.hours, hungary.why) == (None, 250.0, "it has no budget")
    console = Console(width=140)
    with console.capture() as captured:
        console.print(cost.table(costs))
    assert "unknown" in captured.get()


def test_a_new_budget_without_a_forecast_is_read() -> None:
    azure = Azure()
    azure.answers[budget("hungary")] = {
        "properties": {"amount": 100, "currentSpend": {"amount": 0, "unit": "EUR"}}
    }
    _, hungary = cost.read(target(azure), OUTPUTS)
    assert (hungary.spent, hungary.forecast) == (0.0, None)


def test_the_emulator_is_not_asked_for_hours() -> None:
    azure = Azure()
    for party in OUTPUTS.parties:
        del azure.answers[f"/subscriptions/s-{party}{QUERY}"]
    assert [one.why for one in cost.read(target(azure, On.EMULATOR), OUTPUTS)] == ["", ""]
