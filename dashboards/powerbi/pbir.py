"""The report of a dashboard, as PBIR: one JSON document a file of the report's folder.

Schemas: https://developer.microsoft.com/json-schemas/fabric/item/report/definition
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from dashboards.powerbi import layout
from dashboards.powerbi.description import (
    CELL_POSITION,
    FOLDER,
    WHY,
    Audience,
    Field,
    Measure,
    Page,
    Visual,
    pages,
)
from dashboards.powerbi.layout import Box
from dashboards.powerbi.tmdl import MEASURES
from workloads.curation.schema import REASONS, TABLES

Document = dict[str, Any]

_SCHEMAS: Final = "https://developer.microsoft.com/json-schemas/fabric/item/report/definition"
#: What the report was last saved by, as far as themes care.
_THEME_VERSIONS: Final = {"visual": "2.9.0", "report": "3.3.0", "page": "2.3.1"}
_BASE_THEME: Final = "CY26SU05"

_TYPES: Final = {
    "card": "card",
    "columns": "clusteredColumnChart",
    "bars": "clusteredBarChart",
    "lines": "lineChart",
    "intervals": "lineChart",
    "curve": "scatterChart",
    "matrix": "pivotTable",
    "table": "tableEx",
    "text": "textbox",
}
#: Word of `where` -> (table, column, value, how a reader is told).
_FILTERS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "own": ("dim_site", "is_own", "true", "our hospital"),
    "federation": ("dim_site", "kind", "'federation'", "all hospitals together"),
    "hospitals": ("dim_site", "kind", "'hospital'", "each hospital"),
    "latest": ("dim_run", "is_latest", "true", "latest run"),
    "roc": ("fact_curve", "curve", "'roc'", "last round"),
    "calibration": ("fact_curve", "curve", "'calibration'", "last round"),
    "final": ("fact_metric", "is_final", "true", "last round"),
}
_PRIVACY: Final = (
    "No patient's data leave a hospital: only counts, means, deviations and histograms that its own policy "
    "lets out. Of these, a number that stands for fewer than k patients is not shown, nor one from which it "
    "could be worked out; k is the smallest group of the run's privacy policy.",
    "Counts are rounded to the nearest 5. The federation's numbers are computed from what is shown of its "
    "hospitals, and only where at least three contribute. Why a value is withheld:",
)


def theme_name() -> str:
    """Return the theme's file name: Power BI keeps themes by name, so that a changed theme needs another."""
    digest = hashlib.sha256((FOLDER / "theme.json").read_bytes()).hexdigest()[:8]
    return f"fed-{digest}.json"


def documents(audience: Audience) -> dict[str, Document]:
    """Path in the report's folder -> JSON document."""
    shown = pages(audience)
    found = {
        "definition/version.json": _with_schema("versionMetadata/1.0.0", {"version": "2.0.0"}),
        "definition/report.json": _report(),
        "definition/pages/pages.json": _with_schema(
            "pagesMetadata/1.1.0",
            {"pageOrder": [page.name for page in shown], "activePageName": shown[0].name},
        ),
        f"StaticResources/RegisteredResources/{theme_name()}": _theme(),
    }
    for page in shown:
        folder = f"definition/pages/{page.name}"
        found[f"{folder}/page.json"] = _with_schema(
            "page/2.1.0",
            {
                "name": page.name,
                "displayName": page.title,
                "displayOption": "FitToPage",
                "height": layout.HEIGHT,
                "width": layout.WIDTH,
                **_interactions(page),
            },
        )
        for document in _visuals(page):
            found[f"{folder}/visuals/{document['name']}/visual.json"] = document
    return found


def _interactions(page: Page) -> Document:
    """Keep the page's choices from the visuals that do not follow them."""
    kept = [
        {"source": _choice_name(page, field), "target": f"{page.name}-{visual.name}", "type": "NoFilter"}
        for field in page.choose
        for visual in page.visuals
        if not visual.follows
    ]
    return {"visualInteractions": kept} if kept else {}


def _choice_name(page: Page, field: Field) -> str:
    return f"{page.name}-{field.column.replace('_', '-')}"


def _report() -> Document:
    name = theme_name()
    return _with_schema(
        "report/3.3.0",
        {
            "themeCollection": {
                "baseTheme": {
                    "name": _BASE_THEME,
                    "reportVersionAtImport": _THEME_VERSIONS,
                    "type": "SharedResources",
                },
                "customTheme": {
                    "name": name,
                    "reportVersionAtImport": _THEME_VERSIONS,
                    "type": "RegisteredResources",
                },
            },
            "resourcePackages": [
                {
                    "name": "RegisteredResources",
                    "type": "RegisteredResources",
                    "items": [{"name": name, "path": name, "type": "CustomTheme"}],
                }
            ],
            "settings": {
                "useStylableVisualContainerHeader": True,
                "defaultDrillFilterOtherVisuals": True,
                "useEnhancedTooltips": True,
                # Readers take away what they see, never the rows behind it.
                "exportDataMode": "AllowSummarized",
            },
        },
    )


def _theme() -> Document:
    return {**json.loads((FOLDER / "theme.json").read_text(encoding="utf-8")), "name": theme_name()}


def _visuals(page: Page) -> Iterator[Document]:
    """Yield the page's title, its choices and its visuals, numbered in reading order."""
    parts = [
        _container(
            f"{page.name}-title",
            layout.title(len(page.choose)),
            _text([page.title], 20),
            f"Page {page.title}",
        ),
        *(_choice(page, field, len(page.choose) - 1 - place) for place, field in enumerate(page.choose)),
        *(_shown(page, visual, box) for visual, box in layout.boxes(page)),
    ]
    for order, part in enumerate(parts):
        part["position"] |= {"z": order * 1000, "tabOrder": order * 1000}
        yield _with_schema("visualContainer/2.9.0", part)


def _choice(page: Page, field: Field, place: int) -> Document:
    visual = {
        "visualType": "slicer",
        "query": {"queryState": {"Values": {"projections": [_column(field, active=True)]}}},
        "objects": {
            "data": _properties(mode="'Dropdown'"),
            "selection": _properties(strictSingleSelect="true"),
            "header": _properties(show="true", text=_quoted(field.label)),
        },
    }
    name = _choice_name(page, field)
    document = _container(name, layout.choice(place), visual, f"Choose: {field.label}")
    followers = [shown.where for shown in page.visuals if shown.follows and shown.measures]
    # Of a fact, only what the followers have can be chosen; a dimension is not filtered by its facts.
    if TABLES[field.table].refers_to and followers:
        common = [word for word in followers[0] if all(word in where for where in followers)]
        document["filterConfig"] = {"filters": [_filter(f"{name}-{word}", word) for word in common]}
    return document


def _shown(page: Page, visual: Visual, box: Box) -> Document:
    name = f"{page.name}-{visual.name}"
    if visual.kind == "text":
        reasons = [f"{reason}: {explanation}" for reason, explanation in REASONS.items() if reason]
        body = _text([*_PRIVACY, *reasons], 10)
        return _container(name, box, body, f"{visual.title}: {_PRIVACY[0]}", title=visual.title)
    body = {
        "visualType": _TYPES[visual.kind],
        "query": _query(visual),
        "objects": _objects(visual),
        "drillFilterOtherVisuals": True,
    }
    described = "; ".join(f"{measure.name}: {measure.description}" for measure in visual.measures)
    by = f" by {' and '.join(field.label.lower() for field in visual.by)}" if visual.by else ""
    scope = ", ".join(_FILTERS[word][3] for word in visual.where)
    document = _container(
        name,
        box,
        body,
        f"{visual.title}{by}{f' ({scope})' if scope else ''}. {described}",
        title=visual.title,
        subtitle=scope,
        tooltip=described,
    )
    if visual.where:
        document["filterConfig"] = {"filters": [_filter(f"{name}-{word}", word) for word in visual.where]}
    return document


def _container(
    name: str,
    box: Box,
    visual: Document,
    alternative: str,
    *,
    title: str = "",
    subtitle: str = "",
    tooltip: str = "",
) -> Document:
    dressing = {"general": _properties(altText=_quoted(alternative))}
    dressing["title"] = _properties(show="true", text=_quoted(title)) if title else _properties(show="false")
    if subtitle:
        dressing["subTitle"] = _properties(show="true", text=_quoted(subtitle))
    if tooltip:
        dressing["visualHeader"] = _properties(show="true", showTooltipButton="true")
        dressing["visualHeaderTooltip"] = _properties(text=_quoted(tooltip))
    return {
        "name": name,
        "position": {"x": box.x, "y": box.y, "width": box.width, "height": box.height},
        "visual": {**visual, "visualContainerObjects": dressing},
    }


def _query(visual: Visual) -> Document:
    columns = [_column(field) for field in visual.by]
    values = [_measure(measure) for measure in visual.measures]
    why = [_measure(WHY[home], label="Withheld") for home in _homes(visual) if home in WHY]
    match visual.kind:
        case "card":
            roles = {"Values": values}
        case "table":
            shows_reason = any(field.column == "reason" for field in visual.by)
            roles = {"Values": [*columns, *values, *([] if shows_reason else why)]}
        case "matrix":
            roles = {"Rows": columns[:1], "Columns": columns[1:], "Values": values}
        case "intervals":
            middle, low, high, *others = values
            roles = {"Category": columns, "Y": [middle, *others], "Tooltips": [low, high, *why]}
        case "curve":
            across, up, *others = values
            roles = {"Category": columns[:1], "Series": columns[1:], "X": [across], "Y": [up]}
            roles["Tooltips"] = [*others, *why]
        case _:
            roles = {"Category": columns[:1], "Series": columns[1:], "Y": values, "Tooltips": why}
    state = {role: {"projections": found} for role, found in roles.items() if found}
    for role in ("Category", "Rows"):
        if role in state:
            state[role]["projections"][0]["active"] = True
    if "Category" not in state:
        return {"queryState": state}
    order = columns[0]["field"]
    if visual.by[0].column == "cell_label":
        order = _measure_expression(CELL_POSITION)
        state["Tooltips"]["projections"].append(_measure(CELL_POSITION))
    return {
        "queryState": state,
        "sortDefinition": {"sort": [{"field": order, "direction": "Ascending"}]},
    }


def _objects(visual: Visual) -> Document:
    match visual.kind:
        case "card":
            return {"categoryLabels": _properties(show="false")}
        case "table":
            return {"total": _properties(totals="false")}
        case "matrix":
            return {"subTotals": _properties(rowSubtotals="false", columnSubtotals="false")}
        case "intervals":
            return _interval(visual)
        case _:
            return {**_MARKS.get(visual.kind, {}), **_legend(visual)}


def _legend(visual: Visual) -> Document:
    several = len(visual.by) > 1 or len(visual.measures) > 1
    return {"legend": _properties(show="true", position="'Top'")} if several else {}


def _interval(visual: Visual) -> Document:
    """Points without a line, with an error bar from the second to the third measure."""
    middle, low, high = visual.measures[:3]
    bounds = {
        "kind": "ErrorRange",
        "explicit": {
            "isRelative": _literal("false"),
            "lowerBound": {"expr": _measure_expression(low)},
            "upperBound": {"expr": _measure_expression(high)},
        },
    }
    selector = {"metadata": f"{MEASURES}.{middle.name}"}
    each_point = {"data": [{"dataViewWildcard": {"matchingOption": 0}}], **selector, "highlightMatching": 1}
    return {
        "lineStyles": _properties(showMarker="true", strokeShow="false"),
        "error": [
            {**_properties(enabled="true", barMatchSeriesColor="true")[0], "selector": selector},
            {"properties": {"errorRange": bounds}, "selector": each_point},
        ],
        "legend": _properties(show="true", position="'Top'"),
    }


def _text(paragraphs: list[str], size: int) -> Document:
    runs = [{"textRuns": [{"value": text, "textStyle": {"fontSize": f"{size}pt"}}]} for text in paragraphs]
    return {"visualType": "textbox", "objects": {"general": [{"properties": {"paragraphs": runs}}]}}


def _filter(name: str, word: str) -> Document:
    table, column, value, _ = _FILTERS[word]
    return {
        "name": name,
        "field": _expression("Column", {"Entity": table}, column),
        "type": "Categorical",
        "filter": {
            "Version": 2,
            "From": [{"Name": "t", "Entity": table, "Type": 0}],
            "Where": [
                {
                    "Condition": {
                        "In": {
                            "Expressions": [_expression("Column", {"Source": "t"}, column)],
                            "Values": [[{"Literal": {"Value": value}}]],
                        }
                    }
                }
            ],
        },
        "isHiddenInViewMode": True,
        "isLockedInViewMode": True,
    }


def _column(field: Field, *, active: bool = False) -> Document:
    return {
        "field": _expression("Column", {"Entity": field.table}, field.column),
        "queryRef": f"{field.table}.{field.column}",
        "nativeQueryRef": field.column,
        "displayName": field.label,
        **({"active": True} if active else {}),
    }


def _measure(measure: Measure, *, label: str = "") -> Document:
    return {
        "field": _measure_expression(measure),
        "queryRef": f"{MEASURES}.{measure.name}",
        "nativeQueryRef": measure.name,
        **({"displayName": label} if label else {}),
    }


def _homes(visual: Visual) -> list[str]:
    return list(dict.fromkeys(measure.home for measure in visual.measures))


def _measure_expression(measure: Measure) -> Document:
    return _expression("Measure", {"Entity": MEASURES}, measure.name)


def _expression(kind: str, source: Document, name: str) -> Document:
    return {kind: {"Expression": {"SourceRef": source}, "Property": name}}


def _properties(**values: str) -> list[Document]:
    return [{"properties": {name: _literal(value) for name, value in values.items()}}]


def _literal(value: str) -> Document:
    return {"expr": {"Literal": {"Value": value}}}


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _with_schema(tail: str, document: Document) -> Document:
    return {"$schema": f"{_SCHEMAS}/{tail}/schema.json", **document}


#: Kind of a chart -> what is drawn at its marks.
_MARKS: Final[Mapping[str, Document]] = {
    "columns": {"labels": _properties(show="true")},
    "bars": {"labels": _properties(show="true")},
    "lines": {"lineStyles": _properties(showMarker="true")},
}
