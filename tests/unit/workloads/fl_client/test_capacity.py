"""How much of a hospital's data an approved hostile job can still send through its airlock, measured.

Each family of answers here leaves the airlock unchanged, so its size is what a job can tell with one answer:
the logarithm of it is a number of bits that the centre gets. docs/security.md tells the figures.
"""

import lzma
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from fed_site.airlock import Limits, difference, histograms, metrics
from fed_site.privacy import Budget

from tests.unit.support.job_archives import folder_of
from workloads.data import heart_data
from workloads.jobs.heart.heart_job import model

NUMBERS = 1 + len(model.FEATURES)
PATIENTS = heart_data.PATIENTS["cleveland"]
LIMITS = Limits()


def weights_bits(random: np.random.Generator, numbers: int) -> float:
    """Of a difference: the smallest tenth are spent as decoys, the others carry sign, digits and exponent."""
    decoys = math.ceil(LIMITS.smallest_share * (numbers - 1))
    carriers = numbers - decoys
    largest = LIMITS.longest / math.sqrt(carriers)
    levels = np.array(
        [
            round(digits * 10.0**exponent, 12)
            for exponent in range(-8, 0)
            for digits in range(100, 1000)
            if LIMITS.floor <= digits * 10.0**exponent <= largest
        ]
    )
    for _ in range(50):
        told = random.choice(levels, carriers) * random.choice([-1.0, 1.0], carriers)
        left = difference({"w": np.r_[np.zeros(decoys), told]}, None, LIMITS)["w"]
        assert left[decoys:] == pytest.approx(told, rel=1e-9)
    return carriers * math.log2(2 * len(levels))


def metrics_bits(random: np.random.Generator, names: Sequence[str]) -> float:
    """Of metrics that the manifest names: sign and four digits, none finer than a millionth."""
    most = round(math.log10(LIMITS.metric_most)) - 4
    levels = [
        *(round(digits * 1e-6, 6) for digits in range(1, 1000)),
        *(round(digits * 10.0**power, 6) for power in range(-6, most + 1) for digits in range(1000, 10_000)),
    ]
    for _ in range(50):
        told = {name: float(random.choice([-1, 1]) * random.choice(levels)) for name in names}
        assert metrics(told, LIMITS, frozenset(names)) == pytest.approx(told, rel=1e-9)
    return len(names) * math.log2(1 + 2 * len(levels))


def histogram_bits(random: np.random.Generator, announced: Mapping[str, int], patients: int) -> float:
    """Of histograms whose cells hold nobody or enough: how many there are that count no more than all."""
    cells, least = sum(announced.values()), LIMITS.min_cell
    ends = np.cumsum(list(announced.values()))[:-1]
    for _ in range(50):
        used = random.choice(cells, random.integers(1, min(cells, patients // least)), replace=False)
        told = np.zeros(cells)
        told[used] = least
        told[used[0]] += random.integers(0, patients - least * len(used) + 1)
        parts = zip(announced, np.split(told, ends), strict=True)
        given = {name: [float(count) for count in part] for name, part in parts}
        assert histograms(given, patients, LIMITS, announced) == given
    ways = sum(
        math.comb(cells, full) * math.comb(patients - least * full + full, full)
        for full in range(min(cells, patients // least) + 1)
    )
    return math.log2(ways)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(1)


def test_what_an_approved_hostile_job_of_hearts_form_can_tell_in_a_round(random: np.random.Generator) -> None:
    announced = folder_of("heart").content
    told = {
        "weights": weights_bits(random, NUMBERS),
        "metrics": metrics_bits(random, announced["metrics"]),
        "histograms": histogram_bits(random, announced["histograms"], PATIENTS),
        "patients": math.log2(PATIENTS),
    }
    assert {name: round(bits) for name, bits in told.items()} == {
        "weights": 342,
        "metrics": 243,
        "histograms": 146,
        "patients": 8,
    }
    a_patient = 8 * len(lzma.compress(heart_data.seed("cleveland"))) / PATIENTS
    assert sum(told.values()) / a_patient == pytest.approx(9, abs=0.5)  # patients a round


def test_noise_that_protects_a_hospital_leaves_less_than_a_bit_a_round_in_the_weights() -> None:
    """Shannon's capacity of numbers with Gaussian noise, whatever the job's code does."""
    longest = 0.5
    noise = Budget(10.0, 1e-5, 11).deviation(longest)
    bits = NUMBERS / 2 * math.log2(1 + longest**2 / NUMBERS / noise**2)
    assert 0 < bits < 0.1
