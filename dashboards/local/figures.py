"""Charts as plotly figures: plain data, with colours named by their place in the theme (`$0`, `$text`).

The page's script puts in the colours, so that light, dark and print are one figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from dashboards.local.content import Line, Visual
from dashboards.local.cube import Number
from dashboards.local.wording import because, withheld

Figure = dict[str, Any]

NOTABLE = 0.2
"""A standardised difference that is usually called small, and more than chance in groups of this size."""
_PALE = "$pale"


def figure(visual: Visual, lines: Sequence[Line], form: str, k: int, colours: Mapping[str, str]) -> Figure:
    """Return the chart of a visual of kind columns, bars, lines, intervals or curve. `colours`: series ->
    colour.
    """
    # Plotly reads tags in texts, links above all: names come from jobs and are only to be read.
    lines = [replace(line, words=tuple(map(_plain, line.words))) for line in lines]
    draw = {"columns": _columns, "bars": _bars, "lines": _lines, "intervals": _intervals, "curve": _curve}[
        visual.kind
    ]
    traces, layout = draw(visual, lines, k, colours)
    axis = {"gridcolor": "$grid", "zerolinecolor": "$grid", "linecolor": "$grid", "automargin": True}
    several = sum(1 for trace in traces if trace.get("showlegend", True)) > 1
    return {
        "data": traces,
        "layout": {
            "font": {"family": "var", "size": 13, "color": "$text"},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 48, "r": 16, "t": 16, "b": 40},
            "showlegend": several,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "hoverlabel": {"bgcolor": "$surface", "bordercolor": "$grid", "font": {"color": "$text"}},
            "barcornerradius": 3,
            **layout,
            "xaxis": {**axis, **layout.get("xaxis", {})},
            "yaxis": {**axis, **layout.get("yaxis", {})},
        },
    }


def _columns(visual: Visual, lines: Sequence[Line], k: int, colours: Mapping[str, str]) -> Any:
    """Columns by category; the series are the second `by`, or the measures."""
    percent = visual.measures[0] == "Share of Patients"
    highest = max((one for line in lines for one in map(_value, line.numbers) if one), default=1.0)
    traces: list[Figure] = []
    for name, points in _series(visual, lines):
        values = [_value(number) for _, number in points]
        column = {
            "type": "bar",
            "name": name,
            "offsetgroup": name,
            "x": [str(words[0]) for words, _ in points],
            "customdata": [_hover(number, k, percent) for _, number in points],
            "hovertemplate": "%{x}<br>%{fullData.name}: %{customdata}<extra></extra>",
        }
        colour = colours.get(name, "$0")
        traces.append({**column, "y": values, "marker": {"color": colour}})
        if any(number.reason for _, number in points if number.value is None):
            # A hatched stub in place of each withheld number; one trace, because legends show the first mark.
            stubs = [
                highest * 0.02 if number.value is None and number.reason else None for _, number in points
            ]
            hatched = {
                "color": colour,
                "pattern": {"shape": "/", "fillmode": "replace", "solidity": 0.5, "size": 5},
            }
            traces.append({**column, "y": stubs, "marker": hatched, "showlegend": False})
    axis: dict[str, Any] = {"tickformat": ".0%"} if percent else {}
    if not percent:
        known = [value for line in lines for value in map(_value, line.numbers) if value is not None]
        axis["range"] = [min([0.0, *known]), 1.1 * max(known, default=1.0)]
        for trace in traces:
            labels = ["" if "(" in text else text for text in trace["customdata"]]
            trace |= {"text": labels, "textposition": "outside", "cliponaxis": False}
    layout = {
        "barmode": "group",
        "bargap": 0.25,
        "yaxis": axis,
        "xaxis": {"type": "category", "showgrid": False},
    }
    return traces, layout


def _bars(visual: Visual, lines: Sequence[Line], k: int, colours: Mapping[str, str]) -> Any:
    """Bars to either side of nothing, the longest on top; notable ones in colour."""
    known = [(str(line.words[0]), value) for line in lines if (value := _value(line.numbers[0])) is not None]
    known.sort(key=lambda pair: abs(pair[1]))
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [name for name, _ in known],
        "x": [value for _, value in known],
        "marker": {"color": ["$1" if abs(value) > NOTABLE else _PALE for _, value in known]},
        "hovertemplate": "%{y}: %{x:+.2f} deviations<extra></extra>",
    }
    marks = [
        {
            "type": "line",
            "x0": x,
            "x1": x,
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "line": {"color": "$muted", "dash": "dot", "width": 1},
        }
        for x in (-NOTABLE, NOTABLE)
    ]
    layout = {
        "shapes": marks,
        "height": max(220, 60 + 24 * len(known)),
        "xaxis": {
            "title": {"text": "standard deviations from the federation's mean", "font": {"size": 13}},
            "zeroline": True,
        },
    }
    return [trace], layout


def _lines(visual: Visual, lines: Sequence[Line], k: int, colours: Mapping[str, str]) -> Any:
    """Lines over rounds, or from run to run."""
    if visual.by[0] != "fact_metric.round":
        return _runs(visual, lines, colours)
    traces = []
    for name, points in _series(visual, lines):
        measured = {int(words[0]): _value(number) for words, number in points}
        rounds = range(min(measured), max(measured) + 1)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": list(rounds),
                "y": [measured.get(one) for one in rounds],  # a round without a number is a gap in the line
                "line": {"color": colours.get(name, "$0"), "width": 2.5},
                "marker": {"size": 6},
                "hovertemplate": "round %{x}<br>%{fullData.name}: %{y:.3f}<extra></extra>",
            }
        )
    whole = visual.measures[0] == "Hospitals in Round"
    layout = {
        "xaxis": {
            "title": {"text": "round", "font": {"size": 13}},
            "dtick": 1,
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {"rangemode": "tozero", **({"dtick": 1} if whole else {})}
        if visual.measures[0] in ("Hospitals in Round", "Seconds per Round")
        else {},
    }
    return traces, layout


def _runs(visual: Visual, lines: Sequence[Line], colours: Mapping[str, str]) -> Any:
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": [str(words[0]) for words, _ in points],
            "y": [_value(number) for _, number in points],
            "line": {"color": colours.get(name, "$0"), "width": 2.5},
            "marker": {"size": 9},
            "hovertemplate": "%{x}<br>%{fullData.name}: %{y:.3~f}<extra></extra>",
        }
        for name, points in _series(visual, lines)
    ]
    return traces, {"xaxis": {"type": "category", "showgrid": False}}


def _intervals(visual: Visual, lines: Sequence[Line], k: int, colours: Mapping[str, str]) -> Any:
    """Value with its interval, and what the hospital reaches alone. Measures: value, low, high, alone."""
    names = [str(line.words[0]) for line in reversed(lines)]
    value, low, high, alone = (
        [_value(line.numbers[place]) for line in reversed(lines)] for place in range(4)
    )
    together = {
        "type": "scatter",
        "mode": "markers",
        "name": "Federation's model",
        "y": names,
        "x": value,
        "marker": {"color": "$0", "size": 12},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_gap(end, x) for end, x in zip(high, value, strict=True)],
            "arrayminus": [_gap(x, end) for end, x in zip(low, value, strict=True)],
            "color": "$0",
            "thickness": 2,
            "width": 6,
        },
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
    }
    own = {
        "type": "scatter",
        "mode": "markers",
        "name": "Own data only",
        "y": names,
        "x": alone,
        "marker": {"color": "$muted", "size": 11, "symbol": "diamond-open", "line": {"width": 2}},
        "hovertemplate": "%{y}, own data only: %{x:.3f}<extra></extra>",
    }
    return [together, own], {
        "xaxis": {"title": {"text": "C-statistic (of a yes or no: AUC)", "font": {"size": 13}}},
        "yaxis": {"type": "category", "showgrid": False},
    }


def _curve(visual: Visual, lines: Sequence[Line], k: int, colours: Mapping[str, str]) -> Any:
    """Points joined by a line, by site, next to the diagonal. Measures: x, y and perhaps y's interval."""
    sites: dict[str, list[list[float | None]]] = {}
    for line in lines:
        values = [_value(number) for number in line.numbers]
        if values[0] is not None:
            sites.setdefault(str(line.words[1]), []).append(values)
    diagonal = {
        **{"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "hoverinfo": "skip"},
        **{"line": {"color": "$muted", "dash": "dot", "width": 1}, "showlegend": False},
    }
    traces = [diagonal, *(_site_curve(name, points, colours) for name, points in sites.items())]
    across, up = visual.measures[:2]
    axis = {"range": [-0.02, 1.02], "tickformat": ".0%", "zeroline": False}
    return traces, {
        "xaxis": {**axis, "title": {"text": across.lower(), "font": {"size": 13}}},
        "yaxis": {**axis, "title": {"text": up.lower(), "font": {"size": 13}}},
        "height": 420,
    }


def _site_curve(name: str, points: Sequence[Sequence[float | None]], colours: Mapping[str, str]) -> Figure:
    x, y, *more = zip(*points, strict=True)
    trace: Figure = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"color": colours.get(name, "$0"), "width": 2.5},
        "marker": {"size": 7},
        "hovertemplate": "%{x:.1%}, %{y:.1%}<extra>%{fullData.name}</extra>",
    }
    if more:
        low, high = more[:2]
        trace["error_y"] = {
            **{"type": "data", "symmetric": False, "thickness": 1.5, "width": 4},
            "array": [_gap(end, value) for end, value in zip(high, y, strict=True)],
            "arrayminus": [_gap(value, end) for end, value in zip(low, y, strict=True)],
        }
    return trace


def _series(visual: Visual, lines: Sequence[Line]) -> list[tuple[str, list[tuple[tuple[Any, ...], Number]]]]:
    if len(visual.by) == 1:
        return [
            (measure, [(line.words, line.numbers[place]) for line in lines])
            for place, measure in enumerate(visual.measures)
        ]
    found: dict[str, list[tuple[tuple[Any, ...], Number]]] = {}
    for line in lines:
        found.setdefault(str(line.words[1]), []).append((line.words, line.numbers[0]))
    return list(found.items())


def _hover(number: Number, k: int, percent: bool) -> str:
    value = _value(number)
    if value is None:
        return f"{withheld(number.reason, k)} ({because(number.reason, k)})" if number.reason else "none"
    return f"{value:.1%}" if percent else f"{value:.3f}"


def _plain(word: Any) -> Any:
    return escape(word, quote=False) if isinstance(word, str) else word


def _value(number: Number) -> float | None:
    return float(number.value) if isinstance(number.value, (int, float)) else None


def _gap(high: float | None, low: float | None) -> float | None:
    return None if high is None or low is None else round(high - low, 6)
