"""Seconds by number of hospitals as a picture (SVG), both axes logarithmic."""

import math
from collections.abc import Mapping
from typing import Final

from automation.bench.report import NAMES
from automation.bench.results import Results
from automation.bench.sizes import STEPS

_COLOURS: Final = (
    "#1f77b4",
    "#d62728",
    "#2ca02c",
    "#9467bd",
    "#8c564b",
    "#e377c2",
    "#7f7f7f",
    "#bcbd22",
    "#17becf",
)
_STYLE: Final = 'font-family="sans-serif" font-size="13" fill="#333"'
Series = Mapping[str, Mapping[int, float]]
"""Name of a line -> hospitals -> seconds."""


def plot(results: Results) -> str:
    """Return the picture of a run that measured at least one size."""
    series = _series(results)
    seconds = [value for points in series.values() for value in points.values()]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    sizes = results.sizes()
    axes = _Axes(sizes[0], max(sizes[-1], sizes[0] * 10), low, max(high, low + 1))
    parts = ['<rect width="820" height="380" fill="#fff"/>', *axes.grid(sizes)]
    for index, (name, points) in enumerate(series.items()):
        parts += _line(axes, index, name, points)
    return (
        "\n".join(
            [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 380" {_STYLE}>', *parts, "</svg>"]
        )
        + "\n"
    )


def _series(results: Results) -> Series:
    wanted = [("fed", step) for step in STEPS] + [("floor", "preview"), ("plain", "preview")]
    found = {}
    for program, step in wanted:
        points = {size: results.cost(program, size, step) for size in results.sizes()}
        name = step if program == "fed" else f"{NAMES[program]}: {step}"
        found[name] = {size: cost.wall for size, cost in points.items() if cost}
    return {name: points for name, points in found.items() if points}


class _Axes:
    """From (hospitals, seconds) to a point of the picture."""

    def __init__(self, first: int, last: int, low: int, high: int) -> None:
        self._first, self._wide = math.log10(first), math.log10(last) - math.log10(first)
        self._low, self._high = low, high

    def at(self, size: float, seconds: float) -> tuple[float, float]:
        """Return x and y."""
        x = 60 + 520 * (math.log10(size) - self._first) / self._wide
        return x, 330 - 300 * (math.log10(seconds) - self._low) / (self._high - self._low)

    def grid(self, sizes: list[int]) -> list[str]:
        """Return lines and words of both axes."""
        parts = []
        for power in range(self._low, self._high + 1):
            y = self.at(sizes[0], 10.0**power)[1]
            parts.append(f'<path d="M60,{y:.1f} H580" stroke="#ddd"/>')
            parts.append(f'<text x="52" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g} s</text>')
        for size in sizes:
            x = self.at(size, 10.0**self._low)[0]
            parts.append(f'<text x="{x:.1f}" y="350" text-anchor="middle">{size}</text>')
        return [*parts, '<text x="320" y="372" text-anchor="middle">hospitals</text>']


def _line(axes: _Axes, index: int, name: str, points: Mapping[int, float]) -> list[str]:
    look = f'stroke="{_COLOURS[index % len(_COLOURS)]}" stroke-width="2"'
    look += ' stroke-dasharray="5"' if ":" in name else ""
    line = " ".join("{:.1f},{:.1f}".format(*axes.at(*point)) for point in sorted(points.items()))
    y = 40 + 22 * index
    return [
        f'<polyline fill="none" points="{line}" {look}/>',
        f'<path d="M600,{y} h24" {look}/>',
        f'<text x="632" y="{y + 4}">{name}</text>',
    ]
