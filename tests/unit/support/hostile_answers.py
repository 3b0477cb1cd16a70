"""How one hostile hospital answers in a round of `heart`, by mode; and a client that has been taken over.

The modes are those with which one hostile client of a running federation voided everybody's job in 8 of 17
cases and had its own model registered in 3 (2026-11-30), and more of their kind. An end-to-end test puts this
file into a client's image: therefore it imports numpy and NVFlare alone.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable

KEY, CELLS, LONGEST = "numpy_key", 20, 1000.0
"""The array of heart's model, cells of its histograms, and the longest update that a server takes."""
PATIENTS, COUNTED = 294, 300
"""Of Hungary, which is the hostile one; and as its report has them, to the next ten."""

Raw = dict[str, Any]
"""An answer as it arrives: kind, data, meta."""
Change = Callable[[Raw], Any]


def _meta(**changes: Any) -> Change:
    return lambda raw: raw["meta"].update(changes)


def _metric(name: str, value: Any) -> Change:
    def change(raw: Raw) -> None:
        raw["meta"]["initial_metrics"][name] = value

    return change


def _without(name: str) -> Change:
    return lambda raw: raw["meta"]["initial_metrics"].pop(name)


def _histogram(cells: list[float]) -> Change:
    return lambda raw: raw["meta"]["score_histograms"].update(ill=cells)


def _data(change: Callable[[np.ndarray[Any, Any]], Any]) -> Change:
    def changed(raw: Raw) -> None:
        raw["data"] = {KEY: change(raw["data"][KEY])}

    return changed


def _put(value: float) -> Change:
    return _data(lambda array: np.concatenate([[value], array[1:]]))


REFUSED: Mapping[str, tuple[Change, str]] = {
    "not a number": (_put(float("nan")), "no finite number"),
    "infinite": (_put(float("inf")), "no finite number"),
    "1e300": (_put(1e300), "holds 1e+300, at most 1e+06"),
    "longer than any officers allow": (_put(2 * LONGEST), "long, at most 1000 is taken"),
    "another shape": (_data(lambda array: array[:-1]), "has the shape"),
    "another key": (lambda raw: raw.update(data={"other": raw["data"][KEY]}), "its arrays are ['other']"),
    "one array more": (lambda raw: raw["data"].update(more=np.zeros(2)), "its arrays are"),
    "complex numbers": (_data(lambda array: array * 1j), "expected an array of numbers"),
    "objects": (_data(lambda array: array.astype(object)), "expected an array of numbers"),
    "a list": (_data(list), "numpy_key is list"),
    "no arrays": (lambda raw: raw.update(data=None), "its arrays are "),
    "whole weights": (lambda raw: raw.update(kind="WEIGHTS"), "expected a difference of weights"),
    "n_test missing": (_without("n_test"), "the metric n_test is missing"),
    "metrics missing": (lambda raw: raw["meta"].pop("initial_metrics"), "the metric n_test is missing"),
    "metrics are a text": (_meta(initial_metrics="good"), "not a table"),
    "a metric is a text": (_metric("auc", "1.0"), "auc is '1.0', expected a number"),
    "a metric is infinite": (_metric("auc", float("inf")), "auc is inf"),
    "a metric without end": (_metric("auc", 10**5000), "a int without end"),
    "n_test is NaN": (_metric("n_test", float("nan")), "n_test is nan"),
    "AUC of 2": (_metric("auc", 2.0), "auc is 2, expected 0 to 1"),
    "Brier score below zero": (_metric("brier", -1000.0), "brier is -1000, expected 0 to 1"),
    "histogram of 3 cells": (
        _histogram([1.0, 2.0, 3.0]),
        "the histogram ill has 3 cells, expected 20",
    ),
    "histogram missing": (
        lambda raw: raw["meta"]["score_histograms"].pop("ill"),
        "the histogram ill is missing",
    ),
    "histogram below zero": (_histogram([-1.0] * CELLS), "a cell of ill is -1"),
    "histogram of more than everybody": (
        _histogram([100.0] * CELLS),
        "the histogram ill counts 2000 of ",
    ),
    "NUM_STEPS is a text": (_meta(NUM_STEPS_CURRENT_ROUND="many"), "is 'many', expected a number"),
    "NUM_STEPS is 1e18": (_meta(NUM_STEPS_CURRENT_ROUND=1e18), "is 1e+18"),
    "NUM_STEPS is below zero": (_meta(NUM_STEPS_CURRENT_ROUND=-5), "is -5, expected 1 or more"),
    "NUM_STEPS is more than was counted": (
        _meta(NUM_STEPS_CURRENT_ROUND=COUNTED + 1),
        "is 301, its container server counted ",
    ),
    "n_test is 1e6": (_metric("n_test", 1e6), "n_test is 1e+06, its container server counted "),
    "n_test is 1e18": (_metric("n_test", 1e18), "n_test is 1e+18"),
}
"""Mode -> what it does to an honest answer, and how it is named."""


def _perfect(raw: Raw) -> None:
    """Its own model, the most weight it may claim, and perfect scores."""
    length = np.linalg.norm(raw["data"][KEY]) or 1.0
    raw["data"] = {KEY: np.full_like(raw["data"][KEY], -length)}
    raw["meta"]["NUM_STEPS_CURRENT_ROUND"] = PATIENTS
    raw["meta"]["initial_metrics"] |= {"auc": 1.0, "accuracy": 1.0, "brier": 0.0, "own_auc": 0.5}


BOUNDED: Mapping[str, Change] = {
    "perfect scores and the model turned round": _perfect,
    "an update as long as is taken": _data(lambda array: np.full_like(array, -LONGEST / array.size**0.5)),
    "the opposite update": _data(lambda array: -array),
}
"""Modes that no single answer gives away."""


def _takeover(raw: Raw) -> None:
    """What was registered as the model's next version on 2026-11-30."""
    _perfect(raw)
    raw["meta"]["NUM_STEPS_CURRENT_ROUND"] = "many"
    raw["meta"]["initial_metrics"] |= {"n_test": 1e6}


def _no_statistics(raw: Raw) -> None:
    raw["data"] = {name: b"\x00" if isinstance(part, bytes) else part for name, part in raw["data"].items()}


OTHERS: Mapping[str, Change] = {"takeover": _takeover, "bytes that are no statistics": _no_statistics}


def _error(code: str) -> Callable[[Shareable], Shareable]:
    def answer(honest: Shareable) -> Shareable:
        del honest
        wrong = Shareable()
        wrong.set_return_code(code)
        return wrong

    return answer


def _no_dxo(honest: Shareable) -> Shareable:
    del honest
    wrong = Shareable()
    wrong["rows"] = [63.0, 1.0, 145.0]
    return wrong


def _late(honest: Shareable) -> Shareable:
    time.sleep(8)
    return honest


MESSAGES: Mapping[str, tuple[Callable[[Shareable], Shareable], str]] = {
    "an error": (_error(ReturnCode.EXECUTION_EXCEPTION), "its task ended with EXECUTION_EXCEPTION"),
    "a code that ends jobs": (_error(ReturnCode.RUN_MISMATCH), "its task ended with RUN_MISMATCH"),
    "a code of its own": (_error("\x1b[2Jowned"), "its task ended with  [2Jowned"),
    "no DXO": (_no_dxo, "it cannot be read: ValueError"),
    "too late": (_late, "no answer in time"),
}
"""Mode -> what it sends in place of an honest answer, and how it is named."""

ORDERS = "hostile.json"
"""In the client's volume: round -> mode; the mode of all others under `*`."""


def taken_over(
    process: Callable[..., Shareable], hospital: str, folder: Path, current_round: str
) -> Callable[..., Shareable]:
    """Have the filter `process` of one hospital's airlock do what the orders in its volume say.

    `current_round` is the key under which the airlock keeps the round's number in NVFlare's context.
    """

    def hostile(airlock: Any, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        honest = process(airlock, shareable, fl_ctx)
        orders = folder / ORDERS
        if fl_ctx.get_identity_name() != hospital or not orders.is_file():
            return honest
        known = json.loads(orders.read_text())
        return answered(honest, str(known.get(str(fl_ctx.get_prop(current_round)), known.get("*", ""))))

    return hostile


def answered(honest: Shareable, mode: str) -> Shareable:
    """Return an honest answer as a mode changes it; unchanged for no mode's name."""
    if mode in MESSAGES:
        return MESSAGES[mode][0](honest)
    change = BOUNDED.get(mode) or OTHERS.get(mode) or REFUSED.get(mode, (None, ""))[0]
    if change is not None and "DXO" in honest:
        change(honest["DXO"])
    return honest
