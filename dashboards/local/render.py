"""A party's tables -> one HTML file that needs nothing else: no server, no network, no other file.

Its content security policy allows exactly the scripts and the style that it carries, by their hashes, and no
request of any kind.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dashboards.local import figures, left, theme
from dashboards.local.content import PAGES, Line, Page, Visual, pages
from dashboards.local.cube import Cube, Number
from dashboards.local.grid import Cell, Grid, Shown
from dashboards.local.wording import NOTHING, because, shown
from workloads.curation.schema import REASONS

HERE = Path(__file__).parent
_MAP_STYLES = re.compile(r'getElementById\("([0-9a-f]{64})"\)')
"""Id of a style that plotly adds for its maps unless an element has it; the content policy forbids it."""
HALF = {
    ("overview", "columns"),
    ("overview", "bars"),
    ("overview", "table"),
    ("compare", "columns"),
    ("compare", "lines"),
    ("curves", "curve"),
    ("statistics", "columns"),
    ("statistics", "lines"),
    ("about", "table"),
    ("operations", "lines"),
    ("hospitals", "intervals"),
    ("hospitals", "matrix"),
}
"""Page and kind of the visuals that take half a page's width."""
CHARTS = ("columns", "bars", "lines", "intervals", "curve")


def render(
    files: Mapping[str, bytes],
    party: str,
    *,
    mlflow: str | None = None,
    record: Sequence[left.Entry] | None = None,
    cards: Mapping[str, str] | None = None,
) -> str:
    """Return the page of `centre` or a hospital, and of its own `record` where that is given.

    `cards` are the model cards that lie next to it: title and address of each.

    Raises TablesError for files that are no curated tables.
    """
    cube = Cube(files)
    found = pages(cube, "centre" if party == "centre" else "hospital")
    charts: dict[str, Any] = {}
    colours = theme.series(cube)
    shown_pages = [
        (page, [_shown(page, one, cube, colours, charts) for one in page.visuals]) for page in found
    ]
    if record is not None:
        shown_pages.append(left.page(record))
    script = (HERE / "page.js").read_text()
    plotly = resources.files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")
    data = _json({"charts": charts, "palettes": theme.palettes()})
    style = theme.style() + (HERE / "page.css").read_text()
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        title=_name(cube, party),
        party=party,
        pages=shown_pages,
        charts=CHARTS,
        style=style,
        scripts=[plotly, script],
        data=data,
        unwanted_styles=_MAP_STYLES.findall(plotly),
        policy=_policy(style, [plotly, script]),
        cube=cube,
        run=_last_run(cube),
        mlflow=mlflow,
        cards=cards or {},
        reasons=[
            (because(reason, cube.k), because(text, cube.k)) for reason, text in REASONS.items() if reason
        ],
        series=colours,
    )


def _shown(
    page: Page, visual: Visual, cube: Cube, colours: Mapping[str, str], charts: dict[str, Any]
) -> Shown:
    if visual.kind == "card":
        measure = visual.measures[0]
        cells = {
            choice: _cell(lines[0].numbers[0], measure, cube.k) for choice, lines in visual.lines.items()
        }
        return Shown(visual, {}, {}, cells=cells)
    grids, keys = {}, {}
    for choice, lines in visual.lines.items():
        grids[choice] = (
            _matrix(visual, lines, cube.k) if visual.kind == "matrix" else _grid(visual, lines, cube.k)
        )
        if visual.kind in CHARTS and lines:
            key = keys[choice] = f"{page.name}/{visual.name}/{choice}"
            form = PAGES["measures"][visual.measures[0]]["format"]
            charts[key] = figures.figure(visual, lines, form, cube.k, colours)
    return Shown(visual, grids, keys, (page.name, visual.kind) in HALF)


def _grid(visual: Visual, lines: Sequence[Line], k: int) -> Grid:
    headings = [*(PAGES["columns"][name] for name in visual.by), *visual.measures]
    rows = [
        [
            *(_word(word, k) for word in line.words),
            *(_cell(number, name, k) for number, name in zip(line.numbers, visual.measures, strict=True)),
        ]
        for line in lines
    ]
    return Grid(headings, rows)


def _matrix(visual: Visual, lines: Sequence[Line], k: int) -> Grid:
    """Rows by the first `by`, columns by the second."""
    columns = list(dict.fromkeys(str(line.words[1]) for line in lines))
    cells = {(str(line.words[0]), str(line.words[1])): line.numbers[0] for line in lines}
    values = [abs(float(one.value)) for one in cells.values() if isinstance(one.value, (int, float))]
    highest = max(values, default=1.0) or 1.0
    rows = [
        [
            Cell(row),
            *(_cell(cells.get((row, one), Number()), visual.measures[0], k, highest) for one in columns),
        ]
        for row in dict.fromkeys(str(line.words[0]) for line in lines)
    ]
    return Grid([PAGES["columns"][visual.by[0]], *columns], rows)


def _cell(number: Number, measure: str, k: int, highest: float | None = None) -> Cell:
    shade = None
    if highest and isinstance(number.value, (int, float)):
        shade = round(5 * float(number.value) / highest)
    text = shown(number, PAGES["measures"][measure]["format"], k)
    return Cell(text, because(number.reason, k), True, 0 if number.unsure and shade else shade, number.unsure)


def _word(word: Any, k: int) -> Cell:
    if word is None:
        return Cell(NOTHING)
    if hasattr(word, "strftime"):
        return Cell(shown(Number(word), "", k))
    return Cell(because(str(word), k) or "shown")


def _name(cube: Cube, party: str) -> str:
    names = {row["dim_site.site_key"]: row["dim_site.site_label"] for row in cube.rows["dim_site"]}
    return "Research centre" if party == "centre" else str(names.get(party, party))


def _last_run(cube: Cube) -> str:
    latest = [row for row in cube.rows["dim_run"] if row["dim_run.is_latest"]]
    return (
        max(latest, key=lambda row: row["dim_run.started_at"])["dim_run.run_label"]
        if latest
        else "no job yet"
    )


def _json(content: Any) -> str:
    """JSON that cannot end the script element it is in."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _policy(style: str, scripts: Sequence[str]) -> str:
    hashed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {hashed}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
