"""ROC and calibration: exact for the hospital itself, and for others over cells that hold k or nobody."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.curation import curves
from workloads.curation import policy as rules
from workloads.curation.policy import Policy

POLICY = Policy(10)
PARTS = 20
counted = st.lists(st.integers(0, 15), min_size=PARTS, max_size=PARTS)


def scores(negative: list[int], positive: list[int]) -> curves.Scores:
    return curves.Scores.read(
        {"negative": negative, "positive": positive}, float(sum(negative) + sum(positive))
    )


def area(curve: curves.Curve) -> float:
    return sum((b.x - a.x) * (a.y + b.y) / 2 for a, b in pairwise(curve.points))


@settings(max_examples=300, deadline=None)
@given(negative=counted, positive=counted)
def test_every_cell_holds_nobody_or_k_patients_of_either_class(
    negative: list[int], positive: list[int]
) -> None:
    given_scores = scores(negative, positive)
    seen = curves.merged(given_scores, POLICY)
    if min(sum(negative), sum(positive)) < 10:
        assert seen is None
        return
    assert seen is not None
    for counts, divided in zip((negative, positive), seen.divided, strict=True):
        assert set(seen.cuts) <= set(divided)
        assert (divided[0], divided[-1]) == (0, PARTS)
        held = [sum(counts[low:high]) for low, high in pairwise(divided)]
        assert all(one == 0 or one >= 10 for one in held)
    for low, high in pairwise(seen.cuts):
        assert all(
            sum(counts[low:high]) == 0 or sum(counts[low:high]) >= 10 for counts in (negative, positive)
        )


@settings(max_examples=100, deadline=None)
@given(negative=counted, positive=counted)
def test_counts_are_to_the_nearest_5_and_nothing_is_told_within_a_cell(
    negative: list[int], positive: list[int]
) -> None:
    seen = curves.merged(scores(negative, positive), POLICY)
    if seen is None:
        return
    for counts, divided in zip((seen.scores.negative, seen.scores.positive), seen.divided, strict=True):
        for low, high in pairwise(divided):
            assert len(set(counts[low:high])) == 1
            assert sum(counts[low:high]) == pytest.approx(5 * round(sum(counts[low:high]) / 5))


def test_own_curve_has_the_area_of_the_histograms() -> None:
    generator = np.random.default_rng(1)
    healthy = np.histogram(generator.beta(2, 5, 300), PARTS, (0, 1))[0].tolist()
    ill = np.histogram(generator.beta(5, 2, 200), PARTS, (0, 1))[0].tolist()
    drawn = curves.own(scores(healthy, ill))
    below = np.concatenate([[0], np.cumsum(healthy)[:-1]])
    exact = (np.array(ill) * (below + 0.5 * np.array(healthy))).sum() / (300 * 200)
    assert area(drawn["roc"]) == pytest.approx(exact, abs=0.002)
    assert (drawn["roc"].points[0].x, drawn["roc"].points[-1].y) == (0, 1)
    for point in drawn["calibration"].points:
        assert point.n is not None and point.n >= curves.OWN_CELL
        assert point.low is not None and point.high is not None
        assert point.low <= point.y <= point.high


def test_federation_s_curve_lies_at_that_of_all_patients_or_a_little_below() -> None:
    generator = np.random.default_rng(2)
    hospitals = []
    for size in (90, 120, 150):
        healthy = np.histogram(generator.beta(2, 4, size), PARTS, (0, 1))[0].tolist()
        ill = np.histogram(generator.beta(4, 2, size), PARTS, (0, 1))[0].tolist()
        hospitals.append(scores(healthy, ill))
    true = curves.own(
        curves.Scores(
            tuple(np.sum([one.negative for one in hospitals], axis=0).tolist()),
            tuple(np.sum([one.positive for one in hospitals], axis=0).tolist()),
        )
    )
    seen = [curves.merged(one, POLICY) for one in hospitals]
    together = curves.federation(seen)
    assert area(true["roc"]) - 0.05 < area(together["roc"]) < area(true["roc"]) + 0.01
    for curve in together.values():
        assert curve.points == tuple(sorted(curve.points, key=lambda point: point.x))
    assert curves.federation(seen[:2])["roc"] == curves.Curve(reason=rules.FEW_HOSPITALS)
    assert curves.federation([*seen[:2], None])["roc"].reason == rules.FEW_HOSPITALS


def test_class_in_one_cell_has_no_curve() -> None:
    few = scores([1, 0] * 10, [3] * 20)
    assert {one.reason for one in curves.shown(curves.merged(few, POLICY)).values()} == {rules.FEW}


def test_classes_that_are_apart_have_one() -> None:
    apart = scores([30, *[0] * 19], [*[0] * 19, 30])
    drawn = curves.shown(curves.merged(apart, POLICY))
    assert area(drawn["roc"]) == 1
    assert [(point.y, point.n) for point in drawn["calibration"].points] == [(0, 30), (1, 30)]


@pytest.mark.parametrize(
    ("negative", "positive", "patients"),
    [([1, 2], [1], 9.0), ([], [], 9.0), ([5, -1], [1, 1], 9.0), ([5, 5], [1, 1], 9.0)],
)
def test_scores_that_no_patients_have_are_refused(
    negative: list[int], positive: list[int], patients: float
) -> None:
    with pytest.raises(ValueError, match="scores"):
        curves.Scores.read({"negative": negative, "positive": positive}, patients)


def test_federation_s_calibration_is_over_groups_that_all_hospitals_have() -> None:
    whole = scores([30, *[0] * 9, 10, *[0] * 9], [10, *[0] * 9, 30, *[0] * 9])
    drawn = curves.federation([curves.merged(whole, POLICY)] * 3)
    assert [(point.y, point.n) for point in drawn["calibration"].points] == [(0.25, 120), (0.75, 120)]
    small = scores([10, *[0] * 19], [10, *[0] * 19])
    hidden = curves.federation([*[curves.merged(whole, POLICY)] * 2, curves.merged(small, POLICY)])
    assert hidden["calibration"].reason == rules.HIDDEN_PART
    assert hidden["roc"].points
