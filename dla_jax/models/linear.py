"""The simplest network of images, which stands in configs/own.py until one's own is named."""

import flax.linen as nn

from dla_jax.models.layers import standardise


class Linear(nn.Module):
    """Classify images float32 [N, H, W, C] in [0, 1] by one dense layer: logistic regression.

    Returns logits float32 [N, num_classes].
    """

    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @nn.compact
    def __call__(self, images, train: bool):
        del train
        pixels = standardise(images, self.mean, self.std, "float32")
        return nn.Dense(self.num_classes)(pixels.reshape(len(pixels), -1))
