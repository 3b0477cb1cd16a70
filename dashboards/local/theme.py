"""The Power BI theme (dashboards/theme.json) as the page's colours, light and dark."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboards.local.cube import Cube

THEME: Mapping[str, Any] = json.loads((Path(__file__).parents[1] / "theme.json").read_text())
_NIGHT = "#12181F"
_PAPER = "#FFFFFF"


def palettes() -> dict[str, dict[str, str]]:
    """`light` and `dark`: name of a colour in figures and style -> colour."""
    series = list(THEME["dataColors"])
    light = {
        **{str(place): colour for place, colour in enumerate(series)},
        "text": THEME["foreground"],
        "muted": THEME["foregroundNeutralSecondary"],
        "pale": mixed(THEME["foregroundNeutralTertiary"], _PAPER, 0.35),
        "grid": mixed(THEME["foregroundNeutralTertiary"], _PAPER, 0.72),
        "surface": THEME["background"],
        "back": THEME["secondaryBackground"],
        "accent": THEME["tableAccent"],
        "good": THEME["good"],
        "bad": THEME["bad"],
        "low": THEME["minimum"],
        "high": THEME["maximum"],
    }
    dark = {
        **{str(place): mixed(colour, _PAPER, 0.32) for place, colour in enumerate(series)},
        "text": mixed(THEME["secondaryBackground"], _NIGHT, 0.06),
        "muted": mixed(THEME["foregroundNeutralTertiary"], _PAPER, 0.4),
        "pale": mixed(THEME["foregroundNeutralTertiary"], _NIGHT, 0.4),
        "grid": mixed(THEME["foregroundNeutralTertiary"], _NIGHT, 0.72),
        "surface": mixed(_NIGHT, _PAPER, 0.06),
        "back": _NIGHT,
        "accent": mixed(THEME["tableAccent"], _PAPER, 0.5),
        "good": mixed(THEME["good"], _PAPER, 0.4),
        "bad": mixed(THEME["bad"], _PAPER, 0.45),
        "low": mixed(THEME["minimum"], _NIGHT, 0.15),
        "high": mixed(THEME["maximum"], _PAPER, 0.25),
    }
    return {"light": light, "dark": dark}


def style() -> str:
    """Return the palettes as custom properties."""
    light, dark = (_properties(palette) for palette in palettes().values())
    return (
        f":root{{{light}color-scheme:light}}\n"
        f"@media (prefers-color-scheme: dark){{:root:not([data-theme=light]){{{dark}color-scheme:dark}}}}\n"
        f":root[data-theme=dark]{{{dark}color-scheme:dark}}\n"
    )


def series(cube: Cube) -> dict[str, str]:
    """Series -> colour: a site has the same one on every page; measures and runs have theirs."""
    sites = sorted(cube.rows["dim_site"], key=lambda row: row["dim_site.sort_order"])
    hospitals = [row for row in sites if row["dim_site.kind"] == "hospital"]
    own_first = sorted(hospitals, key=lambda row: not row["dim_site.is_own"])
    count = len(THEME["dataColors"])
    found = {"Federation": "$0", "AUC Own Data Only": "$pale", "AUC": "$0"}
    found |= {
        row["dim_site.site_label"]: f"${1 + place % (count - 1)}" for place, row in enumerate(own_first)
    }
    runs = sorted(cube.rows["dim_run"], key=lambda row: row["dim_run.started_at"], reverse=True)
    numbers: dict[str, int] = {}
    for row in runs:
        place = numbers[row["dim_run.job"]] = numbers.get(row["dim_run.job"], -1) + 1
        found[row["dim_run.run_label"]] = f"${place % count}"
    return found


def mixed(colour: str, other: str, share: float) -> str:
    """Return a colour with a share (0 to 1) of another in it; both `#RRGGBB`."""
    pairs = zip(_parts(colour), _parts(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02X}" for one, two in pairs)


def _parts(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def _properties(palette: Mapping[str, str]) -> str:
    return "".join(f"--c-{name}:{colour};" for name, colour in palette.items())
