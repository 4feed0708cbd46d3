"""A small network and a small data set of one's own: which shape is it, and in which colour?

    python launch.py --config=configs/own.py --config.model.name=docs.examples.shapes:Net \\
        --config.data.name=docs.examples.shapes:shapes --config.data.test_fraction=0

Discs, squares and crosses of 12x12 pixels, red, green or blue, in noise. It takes a minute.
"""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np


class Net(nn.Module):
    num_classes: int  # from the data, as are mean and std, where there are such fields
    mean: tuple[float, ...]
    std: tuple[float, ...]
    width: int = 8  # --config.model.arguments=width=16

    @nn.compact
    def __call__(self, images, train):  # float32 [N, H, W, C] in [0, 1]
        h = (images - jnp.array(self.mean)) / jnp.array(self.std)
        for factor in (1, 2):
            h = nn.Conv(factor * self.width, (3, 3), strides=2, use_bias=False)(h)
            h = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(h))
        h = nn.Dropout(0.1, deterministic=not train)(h.mean((1, 2)))
        return nn.Dense(self.num_classes)(h)  # logits float32 [N, classes]


def shapes():
    rng, (y, x) = np.random.default_rng(0), np.mgrid[:12, :12] - 5.5
    inside = [x**2 + y**2 < 16, np.maximum(abs(x), abs(y)) < 4, np.minimum(abs(x), abs(y)) < 1.5]
    names = [f"{c} {s}" for c in ("red", "green", "blue") for s in ("disc", "square", "cross")]

    def draw(n):
        labels = np.arange(n) % 9
        images = rng.uniform(0, 150, (n, 12, 12, 3))
        for image, label in zip(images, labels, strict=True):
            image[np.roll(inside[label % 3], rng.integers(-2, 3, 2), (0, 1)), label // 3] += 100
        return images.astype(np.uint8), labels

    return draw(900), draw(450), names  # (images, labels) to train on; to test on; class names
