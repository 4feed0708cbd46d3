"""Pictures of noise."""

import numpy as np

RNG = np.random.default_rng(0)


def pixels(height, width, channels=3):
    return RNG.integers(0, 256, (height, width, channels)).astype(np.uint8)
