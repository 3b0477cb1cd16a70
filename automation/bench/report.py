"""What was measured, as a page (Markdown) and as plain data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from automation.bench.measure import Cost
from automation.bench.results import Results, growth, targets
from automation.bench.sizes import STEPS
from automation.ui import templates

NAMES: Final = {"fed": "fed", "floor": "floor", "plain": "plain program", "simulator": "NVFlare's simulator"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A step at each size; `growth` are the exponents of time and memory."""

    name: str
    costs: Sequence[Cost | None]
    growth: Sequence[float | None]


def document(results: Results) -> dict[str, Any]:
    """Return everything as plain data."""
    return {
        "machine": asdict(results.machine),
        "seconds": round(results.seconds, 1),
        "rows": [asdict(row) for row in results.rows],
        "targets": [{**asdict(each), "holds": each.holds} for each in targets(results)],
        "left_out": list(results.left_out),
    }


def markdown(results: Results, picture: str = "") -> str:
    """Return the page; `picture` is the address of the SVG, if there is one."""
    sizes = results.sizes()
    largest = max(sizes, default=0)
    of_largest = [
        row for row in results.rows if (row.program, row.hospitals) == ("fed", largest) and row.step in STEPS
    ]
    return (
        templates.next_to(__file__, markup=False)
        .get_template("performance.md.j2")
        .render(
            results=results,
            machine=results.machine,
            targets=targets(results),
            sizes=sizes,
            largest=largest,
            lines=_lines(results, sizes),
            resources={row.hospitals: row.resources for row in results.rows if row.step == "second up"},
            machines=[row for row in results.rows if row.step not in STEPS],
            of_largest=of_largest,
            roles=sorted({role for row in of_largest for role in row.cost.shares}),
            names=NAMES,
            picture=picture,
        )
    )


def _lines(results: Results, sizes: Sequence[int]) -> list[Line]:
    found = []
    for program in ("fed", "floor", "plain"):
        for step in STEPS:
            costs = [results.cost(program, size, step) for size in sizes]
            grown = [growth(results, step, quantity, program) for quantity in ("wall", "peak")]
            if any(costs):
                found.append(Line(name=f"{NAMES[program]}: {step}", costs=costs, growth=grown))
    return found
