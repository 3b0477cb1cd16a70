"""Made-up rows of a data set, for a trial on a laptop: of the right form, and of nobody. Pure.

Values are drawn one by one within what the schema allows, so nothing can be learned from them but whether
code runs.
"""

import datetime as dt
import math
import random

from .schema import Column, DataSet

MISSING_SHARE = 0.05
"""How many values are left out of a column that may lack some."""
_WIDTH = 100.0
"""Between the bounds of a column that has one of them, or none."""
_DAYS = 20_000
_LAST_DAY = dt.date(2024, 12, 31)


def table(data_set: DataSet, rows: int, seed: int) -> list[list[str]]:
    """A header and so many rows, in the plain form; the same for the same seed."""
    chance = random.Random(f"{data_set.name} {seed}")  # noqa: S311 - nothing secret is drawn
    columns = [[column.name, *_values(column, rows, chance)] for column in data_set.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _values(column: Column, rows: int, chance: random.Random) -> list[str]:
    if column.possible:  # each about as often, so that few rows have all of them
        drawn = [column.possible[number % len(column.possible)] for number in range(rows)]
        chance.shuffle(drawn)
    else:
        drawn = [_value(column, chance) for _ in range(rows)]
    return drawn if column.required else [_perhaps(value, chance) for value in drawn]


def _perhaps(value: str, chance: random.Random) -> str:
    return "" if chance.random() < MISSING_SHARE else value


def _value(column: Column, chance: random.Random) -> str:
    if column.type == "date":
        return (_LAST_DAY - dt.timedelta(days=chance.randrange(_DAYS))).isoformat()
    if column.type == "string":
        return f"text {chance.randrange(1000)}"
    least, most = _bounds(column)
    if column.type == "integer":
        return str(chance.randint(math.ceil(least), math.floor(most)))
    return f"{chance.uniform(least, most):.4g}"


def _bounds(column: Column) -> tuple[float, float]:
    least, most = column.minimum, column.maximum
    if math.isinf(least):
        least = 0.0 if math.isinf(most) else most - _WIDTH
    return least, least + _WIDTH if math.isinf(most) else most
