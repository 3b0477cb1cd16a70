"""What NVFlare's hello-cyclic needs around it: images, in place of MNIST, which it would download."""

import runpy
from pathlib import Path

import numpy as np
import tensorflow as tf


def _images() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return made-up images and their digits, for training and tests: a digit is a bright row."""
    random = np.random.default_rng(0)
    digits = random.integers(0, 10, 200)
    images = random.integers(0, 50, (200, 28, 28))
    images[np.arange(200), 2 * digits] = 255
    return (images[:150], digits[:150]), (images[150:], digits[150:])


tf.keras.datasets.mnist.load_data = _images
runpy.run_path(str(Path(__file__).with_name("client.py")), run_name="__main__")
