"""The federation as a picture (SVG): hub, spokes, what may flow where; anything unintended in red.

Every machine and endpoint that takes part in a flow is drawn. With many hospitals only those that differ from
the intent are drawn, and one of the others that stands for all.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from automation.verify.check import Verification
from automation.verify.reach.matrix import Cell
from automation.verify.reach.ports import Ports, difference, text
from automation.verify.reach.spots import Spot
from automation.verify.report.rendering import render

MOST_DRAWN: Final = 8
PER_ROW: Final = 4
COLOURS: Final = {"intended": "#1f5fbf", "missing": "#b06a00", "open": "#c6232f"}
"""In the order of drawing: what matters most comes last, on top."""

_WIDTH, _MARGIN, _GAP = 1120, 24, 20
_NODE_WIDTH, _NODE_HEIGHT, _HEAD = 116, 40, 26
_HUB_WIDTH, _TOP, _ROW, _SPAN = 700, 64, 236, 110


@dataclass(frozen=True, kw_only=True)
class _Node:
    """A labelled box with its centre at (x, y)."""

    x: float
    y: float
    label: str
    note: str


@dataclass(frozen=True, kw_only=True)
class _Box:
    """A party: a frame with nodes inside."""

    x: float
    y: float
    width: float
    height: float
    title: str
    title_below: bool


@dataclass(frozen=True, kw_only=True)
class _Arrow:
    """A flow: its curve, and where its label goes."""

    kind: str
    path: str
    title: str
    label: str
    x: float
    y: float


def picture(verification: Verification) -> str:
    """Return the picture of a deployment."""
    return _Drawing(verification).svg()


class _Drawing:
    def __init__(self, verification: Verification) -> None:
        self._cells = verification.matrix.cells
        self._centre = verification.federation.centre.name
        networks = verification.topology.networks.values()
        self._spaces = {n.party: str(n.space[0]) for n in networks if n.space}
        self._drawn, self._others = self._choose([h.name for h in verification.federation.hospitals])
        self._nodes: dict[str, _Node] = {}
        self._boxes: list[_Box] = []
        self._lay_out(verification.matrix.spots)

    def svg(self) -> str:
        return render(
            "picture.svg.j2",
            width=_WIDTH,
            height=round(max(b.y + b.height for b in self._boxes) + 74),
            colours=COLOURS,
            boxes=self._boxes,
            nodes=list(self._nodes.values()),
            arrows=sorted(self._arrows(), key=lambda a: list(COLOURS).index(a.kind)),
            others=self._others,
            node_width=_NODE_WIDTH,
            node_height=_NODE_HEIGHT,
        )

    def _choose(self, hospitals: Sequence[str]) -> tuple[list[str], int]:
        if len(hospitals) <= MOST_DRAWN:
            return list(hospitals), 0
        differing = {
            s.party for c in self._cells if c.unintended or c.missing for s in (c.source, c.destination)
        }
        chosen = [h for h in hospitals if h in differing][: MOST_DRAWN - 1]
        chosen += [h for h in hospitals if h not in chosen][:1]
        return chosen, len(hospitals) - len(chosen)

    def _lay_out(self, spots: Sequence[Spot]) -> None:
        active = {s for c in self._cells for s in (c.source, c.destination)}
        members = [s for s in spots if s in active]
        right = _MARGIN + _HUB_WIDTH + _GAP
        self._box(self._centre, [s for s in members if s.party == self._centre], (_MARGIN, _TOP), _HUB_WIDTH)
        self._box(
            "outside", [s for s in members if s.subnet is None], (right, _TOP), _WIDTH - right - _MARGIN
        )
        width = (_WIDTH - 2 * _MARGIN - (PER_ROW - 1) * _GAP) / PER_ROW
        top = max(b.y + b.height for b in self._boxes) + _SPAN
        for number, party in enumerate(self._drawn):
            row, column = divmod(number, PER_ROW)
            corner = (_MARGIN + column * (width + _GAP), top + row * _ROW)
            self._box(party, [s for s in members if s.party == party], corner, width)

    def _box(self, party: str, members: Sequence[Spot], corner: tuple[float, float], width: float) -> None:
        x, y = corner
        columns = max(1, int((width - _GAP) // (_NODE_WIDTH + 12)))
        rows = max(1, -(-len(members) // columns))
        height = _HEAD + rows * (_NODE_HEIGHT + 16) + 12
        title = f"{party}  {self._spaces.get(party, '')}".strip()
        below = bool(self._boxes) and y > _TOP  # arrows come in from above
        self._boxes.append(_Box(x=x, y=y, width=width, height=height, title=title, title_below=below))
        step = width / min(columns, max(1, len(members)))
        for number, spot in enumerate(members):
            row, column = divmod(number, columns)
            self._nodes[spot.name] = _Node(
                x=x + step * (column + 0.5),
                y=y + (12 if below else _HEAD + 14) + row * (_NODE_HEIGHT + 16) + _NODE_HEIGHT / 2,
                label=_short("other addresses" if spot.part.startswith("any other") else spot.part),
                note=_short(spot.text),
            )

    def _arrows(self) -> Iterator[_Arrow]:
        found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for cell in self._cells:
            for kind, ports in _layers(cell):
                if ports:
                    what = f"{cell.protocol} {text(ports)}"
                    found[cell.source.name, cell.destination.name, kind].append(what)
        for (source, destination, kind), whats in found.items():
            if source in self._nodes and destination in self._nodes:
                title = f"{source} to {destination}: {', '.join(whats)}"
                yield _arrow(self._nodes[source], self._nodes[destination], kind, title, whats)


def _layers(cell: Cell) -> Iterator[tuple[str, Ports]]:
    yield "intended", difference(cell.intended, cell.missing)
    yield "missing", cell.missing
    yield "open", cell.unintended


def _arrow(a: _Node, b: _Node, kind: str, title: str, whats: Sequence[str]) -> _Arrow:
    """Return a curve from one box to another: level between neighbours, else from edge to edge."""
    if a.y == b.y:
        side = _NODE_WIDTH / 2 if b.x > a.x else -_NODE_WIDTH / 2
        arch = a.y if abs(b.x - a.x) < 2 * _NODE_WIDTH else a.y + _NODE_HEIGHT * 1.5
        left, right, start, end, bend = a.x + side, b.x - side, a.y, b.y, arch
    else:
        down = _NODE_HEIGHT / 2 if b.y > a.y else -_NODE_HEIGHT / 2
        left, right, start, end = a.x, b.x, a.y + down, b.y - down
        bend = (start + end) / 2
    return _Arrow(
        kind=kind,
        path=f"M{left:.0f} {start:.0f}C{left:.0f} {bend:.0f} {right:.0f} {bend:.0f} {right:.0f} {end:.0f}",
        title=title,
        label="" if kind == "intended" else _short("; ".join(whats), 36),
        x=(left + right) / 2,
        y=(start + end) / 2 * 0.25 + bend * 0.75 - 3,
    )


def _short(label: str, most: int = 19) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}\u2026"
