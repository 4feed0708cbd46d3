"""Pictures of noise, folders of them, and what is read of these and said."""

import numpy as np
from PIL import Image

from dla_jax.data import photos

RNG = np.random.default_rng(0)


def pixels(height, width, channels=3):
    return RNG.integers(0, 256, (height, width, channels)).astype(np.uint8)


def fill(root, **numbers):
    """Save distinct images: `fill(root, train__cat=3)` puts three into train/cat."""
    for place, number in numbers.items():
        below = root.joinpath(*place.split("__"))
        below.mkdir(parents=True, exist_ok=True)
        for i in range(number):
            Image.fromarray(pixels(8, 8)).save(below / f"{i}.png")
    return root


def read(root, names):
    return np.stack([photos.read_image(root / name, 8) for name in names])


def listed(capsys):
    return [line.removeprefix("data.path: ") for line in capsys.readouterr().err.splitlines()]
