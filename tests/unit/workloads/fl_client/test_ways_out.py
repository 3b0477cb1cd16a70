"""The 26 ways in which a job once brought rows through a hospital's filters, at today's airlock.

On 2026-11-30 24 of them worked, with the real data of one hospital. 25 are closed; the one that is left is
the numbers of the approved model themselves, which test_capacity.py measures.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fed_site.filters import Airlock, SentModel
from fed_site.manifest import Manifest
from fed_site.notes import Notes
from fed_site.patients import OwnFiles
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.statistics_spec import Bin, Histogram, HistogramType
from nvflare.app_common.app_constant import StatisticsConstants
from nvflare.fuel.utils import fobs

from tests.unit.support.job_archives import manifest_content
from tests.unit.support.ledgers_of_tests import at_once
from workloads.data import heart_data

ROWS = heart_data.seed("cleveland").decode().splitlines()[1:]
RAW = "\n".join(ROWS)
AGES = np.array([float(row.split(",")[0]) for row in ROWS])
NUMBERS = 29
"""Of heart's model, which is what the officers approved here."""
STEP = StatisticsConstants.STATS_2nd_STATISTICS
Way = Callable[[Airlock], bool]
"""Whether it gets what it wants out."""


@pytest.fixture
def airlock(tmp_path: Path) -> Airlock:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/heart.csv").write_bytes(heart_data.seed("cleveland"))
    (tmp_path / "airlock.json").write_text("{}")
    leaves = {"model": {"w": str(NUMBERS)}, "metrics": ["auc"], "histograms": {}, "statistics": []}
    manifest = Manifest.read(json.dumps(manifest_content(leaves=leaves, answers=10_000)).encode())
    return Airlock(
        OwnFiles(tmp_path / "data"),
        Notes(tmp_path / "releases"),
        tmp_path,
        policy=tmp_path / "airlock.json",
        manifest=manifest,
        keep=at_once,
    )


def left(airlock: Airlock, answer: Shareable) -> Shareable:
    """What leaves of an answer, after a task with the approved model."""
    context = FLContext()
    SentModel().process(DXO(DataKind.WEIGHTS, {"w": np.zeros(NUMBERS)}).to_shareable(), context)
    out: Shareable = airlock.process(answer, context)
    return out


def is_in(out: Any, secret: str) -> bool:
    """Whether a text is anywhere in what left, at any depth."""
    if isinstance(out, Mapping):
        return any(is_in(part, secret) for pair in out.items() for part in pair)
    if isinstance(out, list | tuple):
        return any(is_in(part, secret) for part in out)
    if isinstance(out, bytes):
        return secret.encode() in out
    return isinstance(out, str) and secret in out


def update(data: Any = None, **meta: Any) -> Shareable:
    known = {MetaKey.NUM_STEPS_CURRENT_ROUND: len(ROWS), **meta}
    array = np.full(NUMBERS, 0.01) if data is None else data
    made: Shareable = DXO(DataKind.WEIGHT_DIFF, {"w": array}, known).to_shareable()
    return made


def text(answer: Callable[[], Shareable]) -> Way:
    return lambda airlock: is_in(left(airlock, answer()), ROWS[0])


def of_kind(kind: Any) -> Way:
    return text(lambda: DXO(kind, {"rows": ROWS}, {"x": ROWS}).to_shareable())


def one_metric_a_patient(airlock: Airlock) -> bool:
    told = {f"p{number}": age for number, age in enumerate(AGES)}
    out = left(airlock, update(initial_metrics=told))
    return bool(from_shareable(out).meta[MetaKey.INITIAL_METRICS])


def without_dxo() -> Shareable:
    return Shareable({"rows": ROWS})


def with_return_code() -> Shareable:
    answer = Shareable({"rows": ROWS})
    answer.set_return_code(ReturnCode.EXECUTION_EXCEPTION)
    return answer


def next_to_a_dxo() -> Shareable:
    answer = update()
    answer["extra"] = ROWS
    answer.set_header("hx", RAW)
    return answer


def numbers(sent: Any, read: Callable[[np.ndarray[Any, Any]], bool], **meta: Any) -> Way:
    """Numbers of a model: whether the reader gets from what left what was hidden there."""

    def way(airlock: Airlock) -> bool:
        out = left(airlock, update(sent, **meta))
        return out.get_return_code() == ReturnCode.OK and read(from_shareable(out).data["w"])

    return way


def statistics(claimed: Mapping[str, Any], leaks: Callable[[Mapping[str, Any]], bool]) -> Way:
    def way(airlock: Airlock) -> bool:
        data = {StatisticsConstants.STATISTICS_TASK_KEY: STEP, STEP: fobs.dumps(dict(claimed))}
        out = left(airlock, DXO(DataKind.STATISTICS, data).to_shareable())
        return out.get_return_code() == ReturnCode.OK and leaks(fobs.loads(from_shareable(out).data[STEP]))

    return way


def indicator(total: float, **more: Any) -> Way:
    """A made-up feature that is 1 for one patient, in some coding."""
    claimed = {"count": {"d": {"h": len(ROWS)}}, "sum": {"d": {"h": total}}, **more}
    return statistics(claimed, lambda out: any("h" in out.get(name, {}).get("d", {}) for name in out))


SORTED = {str(number): age for number, age in enumerate(sorted(AGES.tolist()))}
FEW = np.random.default_rng(1).integers(1, 2**48, NUMBERS)
CELL_OF_ONE = Histogram(HistogramType.STANDARD, [Bin(0, 1, 1), Bin(1, 2, len(ROWS) - 1)])
WAYS: Mapping[str, Way] = {
    "text in the metadata of a difference": text(lambda: update(note=RAW)),
    "one metric a patient": one_metric_a_patient,
    "rows as a metric's name": text(lambda: update(initial_metrics={RAW: 1.0})),
    "kind ANALYTIC": of_kind(DataKind.ANALYTIC),
    "kind APP_DEFINED": of_kind(DataKind.APP_DEFINED),
    "kind PSI": of_kind(DataKind.PSI),
    "kind FL_MODEL": of_kind(DataKind.FL_MODEL),
    "kind METRICS with rows": of_kind(DataKind.METRICS),
    "whole weights without any, rows in the metadata": text(
        lambda: DXO(DataKind.WEIGHTS, {}, {"rows": ROWS}).to_shareable()
    ),
    "no DXO at all": text(without_dxo),
    "a return code": text(with_return_code),
    "a key and a header next to a DXO": text(next_to_a_dxo),
    "303 ages in the weights": numbers(AGES / 200, lambda out: len(out) == len(AGES)),
    "48 bits a number": numbers(
        FEW / 2.0**48 + 1, lambda out: bool((np.rint((out - 1) * 2**48) == FEW).any())
    ),
    "a million for a trillion patients": numbers(
        np.full(NUMBERS, 1e6), lambda out: bool(np.abs(out).max() > 1), NUM_STEPS_CURRENT_ROUND=10**12
    ),
    "a number without a shape": numbers(np.array(1e6), lambda out: True),
    "quantiles at 303 points": statistics(
        {"count": {"d": {"age": len(ROWS)}}, StatisticsConstants.STATS_QUANTILE: {"d": {"age": SORTED}}},
        lambda out: StatisticsConstants.STATS_QUANTILE in out,
    ),
    "a feature for each patient": statistics(
        {
            "count": {"d": {f"p{number}": len(ROWS) for number in range(20)}},
            "sum": {"d": {f"p{number}": float(AGES[number]) * 1.0001 for number in range(20)}},
        },
        lambda out: bool(out["sum"]["d"]),
    ),
    "one patient's indicator and a thousand": indicator(1 + 1000.0 * len(ROWS)),
    "one patient's indicator": indicator(1.0),
    "one patient's indicator, 0 or -1": indicator(-1.0),
    "the deviation of one patient's indicator": indicator(1.0, stddev={"d": {"h": 0.0574}}),
    "the variance of one patient's indicator": indicator(1.0, var={"d": {"h": 1.0 / 302}}),
    "a histogram with a cell of one": indicator(1.0, histogram={"d": {"h": CELL_OF_ONE}}),
    "the smallest value, asked for again and again": statistics(
        {
            "count": {"d": {"age": len(ROWS)}},
            "sum": {"d": {"age": float(AGES.sum())}},
            "min": {"d": {"age": float(AGES.min())}},
        },
        lambda out: out["min"]["d"].get("age") == AGES.min(),
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_is_closed(airlock: Airlock, name: str) -> None:
    assert not WAYS[name](airlock)


class Open:
    """No airlock."""

    def process(self, answer: Shareable, context: FLContext) -> Shareable:
        return answer


@pytest.mark.parametrize("name", WAYS)
def test_without_an_airlock_it_is_open(name: str) -> None:
    """Else its being closed would prove nothing."""
    assert WAYS[name](Open())  # type: ignore[arg-type]


def test_these_are_the_25(airlock: Airlock) -> None:
    assert len(WAYS) == 25


def test_the_one_that_is_left_are_the_numbers_of_the_approved_model(airlock: Airlock) -> None:
    """Twenty ages in 29 numbers: within the bits that test_capacity.py measures."""
    decoys, few = NUMBERS - 20, AGES[:20]
    hidden = np.r_[np.full(decoys, 1e-9), few / 1000]
    out = from_shareable(left(airlock, update(hidden))).data["w"][decoys:]
    assert np.rint(out / out[0] * few[0]) == pytest.approx(few)
