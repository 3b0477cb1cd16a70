"""Writes start.npz, the numbers that the network of model.py starts from: `python first.py`."""

from pathlib import Path

import numpy as np

SHAPES = {"dense": (784, 128), "dense_1": (128, 10)}
"""Layer -> shape of its weights."""

random = np.random.default_rng(0)
numbers = {}
for layer, shape in SHAPES.items():
    bound = np.sqrt(6 / sum(shape))  # as Keras starts its layers (Glorot)
    numbers[f"{layer}/0"] = random.uniform(-bound, bound, shape).astype("f4")
    numbers[f"{layer}/1"] = np.zeros(shape[1], "f4")
np.savez(Path(__file__).with_name("start.npz"), **numbers)
