"""Made-up patients for the data set `readmission`: time until an event, or until they were last seen well.

Nobody was ever one of them: `seed` draws them from a model of this file, with a generator whose numbers are
the same in every version of Python (`random.Random.random`,
https://docs.python.org/3/library/random.html#notes-on-reproducibility). Hospitals differ in size, age, how
often patients come back, and in what they do not measure. Dedicated to the public (CC0 1.0,
https://creativecommons.org/publicdomain/zero/1.0/).
"""

import argparse
import csv
import io
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import NormalDist
from typing import Final

from workloads.data.fed_data import schema

SCHEMA: Final = Path(__file__).parent / "readmission" / schema.FILE
COLUMNS: Final = tuple(schema.read(SCHEMA.read_bytes()).by_name)
SEED: Final = 2026
TEST_SHARE: Final = 0.3
YEAR: Final = 365
"""Days for which a patient is followed at most."""


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """What makes a hospital's patients its own."""

    patients: int
    age: float
    """Mean, in years."""
    risk: float
    """Added to the logarithm of each patient's hazard."""
    unmeasured: Mapping[str, float]
    """Column -> share of the patients without a value."""


HOSPITALS: Final[Mapping[str, Hospital]] = {
    "cleveland": Hospital(patients=380, age=68, risk=0.0, unmeasured={"sodium": 0.02}),
    "hungary": Hospital(patients=240, age=64, risk=-0.3, unmeasured={"ejection": 0.25, "sodium": 0.1}),
    "switzerland": Hospital(patients=160, age=74, risk=0.1, unmeasured={"creatinine": 0.05}),
    "va-long-beach": Hospital(patients=300, age=72, risk=0.35, unmeasured={"sodium": 0.4, "creatinine": 0.1}),
}


def seed(hospital: str) -> bytes:
    """The CSV that one hospital uploads to its own container. Raises KeyError for any other hospital."""
    house, random = HOSPITALS[hospital], Random(f"{SEED}:{hospital}")  # noqa: S311 - no secret
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_patient(house, random) for _ in range(house.patients))
    return text.getvalue().encode()


def _patient(house: Hospital, random: Random) -> dict[str, object]:
    """One patient. The hazard follows age, heart, kidneys, sodium, diabetes and earlier admissions."""
    age = _between(_normal(random, house.age, 10), 20, 100)
    sex = int(random.random() < 0.58)
    ejection = _between(_normal(random, 42, 12), 10, 75)
    creatinine = _between(math.exp(_normal(random, 0.15, 0.35)), 0.4, 8)
    sodium = _between(_normal(random, 138.5, 3.5), 120, 150)
    diabetes = int(random.random() < 0.38)
    admissions = int(-math.log(1 - random.random()) * 0.9)
    stay = 2 + int(-math.log(1 - random.random()) * 6)
    hazard = (
        house.risk
        + 0.35 * (age - 70) / 10
        - 0.45 * (ejection - 42) / 12
        + 0.5 * (math.log(creatinine) - 0.15) / 0.35
        - 0.25 * (sodium - 138.5) / 3.5
        + 0.35 * diabetes
        + 0.3 * admissions
    )
    # Weibull: most who come back do so early. Some are lost to sight before a year is over.
    event = 420 * (-math.log(1 - random.random()) / math.exp(hazard)) ** (1 / 0.8)
    seen = YEAR if random.random() < 0.7 else 30 + random.random() * (YEAR - 30)
    measured = {
        "ejection": f"{ejection:.0f}",
        "creatinine": f"{creatinine:.2f}",
        "sodium": f"{sodium:.0f}",
    }
    for column, share in sorted(house.unmeasured.items()):
        if random.random() < share:
            measured[column] = ""
    return {
        **{"age": f"{age:.0f}", "sex": sex, "diabetes": diabetes, "admissions": admissions, "stay": stay},
        **measured,
        "days": max(1, math.ceil(min(event, seen))),
        "event": int(event <= seen),
        "split": "test" if random.random() < TEST_SHARE else "train",
    }


def _normal(random: Random, mean: float, deviation: float) -> float:
    return NormalDist(mean, deviation).inv_cdf(min(max(random.random(), 1e-9), 1 - 1e-9))


def _between(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def main() -> None:
    """`python -m workloads.data.readmission_data HOSPITAL > readmission.csv`: one hospital's file."""
    parser = argparse.ArgumentParser(description="One hospital's made-up patients, as CSV")
    parser.add_argument("hospital", choices=sorted(HOSPITALS))
    sys.stdout.buffer.write(seed(parser.parse_args().hospital))


if __name__ == "__main__":
    main()
