"""Writes start.npz, the numbers that the network of model.py starts from: `python first.py`."""

from pathlib import Path

import numpy as np

SHAPES = {
    "conv1": (6, 3, 5, 5),
    "conv2": (16, 6, 5, 5),
    "fc1": (120, 400),
    "fc2": (84, 120),
    "fc3": (10, 84),
}
"""Layer -> shape of its weights."""

random = np.random.default_rng(0)
numbers = {}
for layer, shape in SHAPES.items():
    bound = 1 / np.sqrt(np.prod(shape[1:]))  # as PyTorch starts its layers
    numbers[f"{layer}.weight"] = random.uniform(-bound, bound, shape).astype("f4")
    numbers[f"{layer}.bias"] = random.uniform(-bound, bound, shape[:1]).astype("f4")
np.savez(Path(__file__).with_name("start.npz"), **numbers)
