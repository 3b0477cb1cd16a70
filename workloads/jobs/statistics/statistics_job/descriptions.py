"""The features in words, for those who read the results: labels, units, how finely they are given."""

from collections.abc import Iterator

from .columns import BINARY, CATEGORIES, MAY_BE_MISSING, NUMERIC

Description = dict[str, object]

_NUMBERS = {
    "age": ("Age", "years", 1),
    "trestbps": ("Resting blood pressure", "mmHg", 1),
    "chol": ("Cholesterol", "mg/dl", 1),
    "thalch": ("Maximum heart rate", "per minute", 1),
    "oldpeak": ("ST depression", "mm", 2),
    "ca": ("Coloured vessels", "vessels", 2),
}
"""Column -> label, unit, digits after the point of means and deviations."""
_WHOLE = ("ca",)
"""Columns whose histogram has one cell for each value."""
_INDICATORS = {
    "sex": "Male",
    "fbs": "Fasting sugar above 120 mg/dl",
    "exang": "Angina on exercise",
    "disease": "Coronary heart disease",
    "cp=1": "Typical angina",
    "cp=2": "Atypical angina",
    "cp=3": "Non-anginal pain",
    "restecg=1": "ST-T abnormality at rest",
    "restecg=2": "LV hypertrophy at rest",
    "slope=1": "ST slope rising",
    "slope=2": "ST slope flat",
    "thal=3": "Thallium scan normal",
    "thal=6": "Thallium scan: fixed defect",
}


def describe() -> list[Description]:
    """Of each feature, in order: `key`, `label`, `column`, `kind`, `unit`, `decimals`, `low`, `high`,
    `cells`, `whole`, `may_be_missing`.

    Indicators of missing values belong to their columns and are not among them.
    """
    described: list[Description] = []
    for key, (cells, low, high) in NUMERIC.items():
        label, unit, decimals = _NUMBERS[key]
        described.append(
            {
                "key": key,
                **_column(key, label),
                "kind": "number",
                "unit": unit,
                "decimals": decimals,
                "low": low,
                "high": high,
                "cells": cells,
                "whole": key in _WHOLE,
            }
        )
    for column, key in _indicators():
        described.append(
            {
                "key": key,
                **_column(column, _INDICATORS[key]),
                "kind": "indicator",
                "unit": "share",
                "decimals": 3,
                "low": -0.5,
                "high": 1.5,
                "cells": 2,
                "whole": True,
            }
        )
    return described


def _column(column: str, label: str) -> Description:
    return {"label": label, "column": column, "may_be_missing": column in MAY_BE_MISSING}


def _indicators() -> Iterator[tuple[str, str]]:
    yield from ((column, column) for column in BINARY)
    yield from ((column, f"{column}={code}") for column, codes in CATEGORIES.items() for code in codes)
