"""A made-up table of patients for the tutorial: `python3 patients.py SEED > stay.csv`. Standard library only.

CC0. Each seed is another hospital: its patients are older or younger, and more or fewer are emergencies.
"""

import csv
import math
import random
import sys

COLUMNS = ("age", "sex", "emergency", "albumin", "long_stay", "split")
PATIENTS = 600


def main(seed: int) -> None:
    """Write the table to standard output."""
    rng = random.Random(seed)  # noqa: S311 - made-up patients, the same for everybody
    age_here, emergencies = 60 + 4 * (seed % 4), 0.3 + 0.1 * (seed % 3)
    write = csv.writer(sys.stdout, lineterminator="\n").writerow
    write(COLUMNS)
    for number in range(PATIENTS):
        age = min(99, max(18, round(rng.gauss(age_here, 13))))
        emergency = int(rng.random() < emergencies)
        albumin = min(55.0, max(15.0, rng.gauss(39 - 3 * emergency, 5)))
        chance = 1 / (1 + math.exp(-(0.1 * (age - 66) + 1.6 * emergency - 0.28 * (albumin - 37.5) - 0.7)))
        known = "" if rng.random() < 0.05 else f"{albumin:.1f}"
        split = "test" if number % 4 == 0 else "train"
        write((age, rng.randrange(2), emergency, known, int(rng.random() < chance), split))


if __name__ == "__main__":
    main(int(sys.argv[1]))
