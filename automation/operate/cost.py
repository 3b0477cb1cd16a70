"""What each party has cost this month, what its budget allows, and how long its VM ran: as Azure counts it.

The budget is the one that the program made. Hours are those that Cost Management was told of, hours behind:
https://learn.microsoft.com/rest/api/cost-management/query/usage. Both are of the party's subscription, which
is its alone. On the emulator nothing costs anything and no hours are counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from automation.stacks.arm import Answer, Arm
from automation.stacks.target import Target
from automation.ui import console
from automation.ui.options import On
from federation.naming import Names
from federation.outputs import Outputs

BUDGETS: Final = "2024-08-01"
QUERIES: Final = "2024-08-01"
MACHINES: Final = "Virtual Machines"
"""Azure's category of the meters that run while a VM is allocated; they count hours."""
_QUESTION: Final[Mapping[str, Any]] = {
    "type": "ActualCost",
    "timeframe": "MonthToDate",
    "dataset": {
        "granularity": "None",
        "aggregation": {
            "cost": {"name": "Cost", "function": "Sum"},
            "quantity": {"name": "UsageQuantity", "function": "Sum"},
        },
        "grouping": [{"type": "Dimension", "name": "MeterCategory"}],
    },
}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One party's month. `unit` is a currency; None is what Azure does not say, `why` says why not.

    `budget`, `spent` and `forecast` are amounts, `hours` those of its VM.
    """

    party: str
    budget: float | None = None
    spent: float | None = None
    forecast: float | None = None
    unit: str = ""
    hours: float | None = None
    why: str = ""

    @property
    def too_much(self) -> bool:
        """Whether more than the budget is spent, or will be."""
        likely = max(self.spent or 0.0, self.forecast or 0.0)
        return self.budget is not None and likely > self.budget


def show(target: Target, outputs: Outputs[str], *, as_json: bool) -> bool:
    """Read and print the month of each party; return whether every one stays within its budget."""
    costs = list(read(target, outputs))
    if as_json:
        console.show_json({"stack": target.name, "on": target.on, "parties": [asdict(one) for one in costs]})
    else:
        console.show(table(costs))
    return not any(one.too_much for one in costs)


def read(target: Target, outputs: Outputs[str]) -> Iterator[Cost]:
    """Yield the month of each party, the centre first."""
    arm = target.arm()
    for party, named in outputs.parties.items():
        scope = f"/subscriptions/{named.subscription}"
        name = Names(stack=target.name, party=party).of("budget")
        budget = arm.get(f"{scope}/providers/Microsoft.Consumption/budgets/{name}", BUDGETS)
        hours, why = (None, "") if target.on is On.EMULATOR else _hours(arm, scope)
        yield _cost(party, budget, hours, why)


def _cost(party: str, budget: Answer, hours: float | None, why: str) -> Cost:
    if budget.is_error:
        missing = "it has no budget" if budget.status == HTTPStatus.NOT_FOUND else budget.error
        return Cost(party=party, hours=hours, why="; ".join(filter(None, (missing, why))))
    properties = budget.body["properties"]
    spent, forecast = (properties.get(name) or {} for name in ("currentSpend", "forecastSpend"))
    return Cost(
        party=party,
        budget=float(properties["amount"]),
        spent=_amount(spent),
        forecast=_amount(forecast),
        unit=str(spent.get("unit", "")),
        hours=hours,
        why=why,
    )


def _amount(spend: Mapping[str, Any]) -> float | None:
    return float(spend["amount"]) if "amount" in spend else None


def _hours(arm: Arm, scope: str) -> tuple[float | None, str]:
    """Return the hours that VMs of a subscription ran this month, or why Azure does not say."""
    answer = arm.post(f"{scope}/providers/Microsoft.CostManagement/query", QUERIES, _QUESTION)
    if answer.is_error:
        return None, f"hours: {answer.error}"
    properties = answer.body.get("properties") or {}
    columns = [str(column["name"]) for column in properties.get("columns", ())]
    rows = [dict(zip(columns, row, strict=True)) for row in properties.get("rows", ())]
    return sum(float(row["quantity"]) for row in rows if row["MeterCategory"] == MACHINES), ""


def table(costs: list[Cost]) -> Table:
    """Return a row for each party."""
    result = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("party", "spent this month", "forecast", "budget", "VM hours", ""):
        result.add_column(heading, justify="left" if heading in {"party", ""} else "right")
    for one in costs:
        money = (_money(amount, one.unit) for amount in (one.spent, one.forecast, one.budget))
        hours = "unknown" if one.hours is None else f"{one.hours:.1f}"
        remark = one.why or ("more than its budget" if one.too_much else "")
        result.add_row(one.party, *money, hours, Text(remark, style="red" if remark else ""))
    return result


def _money(amount: float | None, unit: str) -> str:
    return "unknown" if amount is None else f"{amount:.2f} {unit}".strip()
