"""The labs' own CNNs as they were implemented, for the claims that hang on how they were built."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from dla_jax.models.layers import (
    FlatDense,
    batch_norm,
    conv,
    dense,
    halve,
    mean_head,
    nudged,
    standardise,
)
from dla_jax.models.resnet import subsample

LAB_B_BLOCKS = {
    9: 1,
    17: 2,
    32: 4,
    48: 6,
}  # what lab B calls the depth -> blocks a stage; 8 convolutions each, and the stem
INIT = "torch_default"


class LabA(nn.Module):
    """Lab A's two families, which differ in much more than the skip.

    Plain: `depth` times conv 3x3, norm, ReLU at full size, then one max-pool, flatten, dropout .2, dense.
    Residual: a stem, then `depth` bottleneck blocks relu(h + norm(conv 64 <- 16 (relu(norm(conv 16 <- 64 (h)))))), then the mean
    over the image, dense: "depth 50" is 101 convolutions, and no dropout.

    Args of the call: x float [B, H, W, C] in [0, 1]; train, nudge and window as `cnn.CNN`. Needs the rng "dropout" when train.

    Returns:
      logits float32 [B, num_classes]; features {"layer000": [B, H, W, 64], ... what each layer or block puts out, "last_conv"}.
    """

    depth: int
    residual: bool
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: str
    width: int = 64

    @nn.compact
    def __call__(
        self, x, *, train: bool, nudge: dict | None = None, window: tuple[int, int] | None = None
    ):
        def layer(h, width, name):
            h = conv(width, h.shape[-1], INIT, self.dtype, name=name)(h)
            return batch_norm(train, self.dtype, f"{name}_norm")(h)

        features, nudge = {}, nudge or {}
        h = nn.relu(layer(standardise(x, self.mean, self.std, self.dtype), self.width, "stem"))
        for i in range(self.depth if self.residual else self.depth - 1):
            if self.residual:
                f = nn.relu(layer(h, self.width // 4, f"layer{i:03}a"))
                h = nn.relu(h + layer(f, self.width, f"layer{i:03}b"))
            else:
                h = nn.relu(layer(h, self.width, f"layer{i:03}"))
            features[f"layer{i:03}"] = h = nudged(h, nudge.get(f"layer{i:03}"))
        features["last_conv"] = h = nudged(h, nudge.get("last_conv"))
        if self.residual:
            return mean_head(
                dense(self.num_classes, self.width, INIT, jnp.float32, name="head"), h, window
            ), features
        h = nn.Dropout(0.2, deterministic=not train)(halve(h).astype(jnp.float32))
        window = None if window is None else (window[0] // 2, window[1] // 2)
        return FlatDense(self.num_classes, INIT, name="head")(h, window), features


class LabB(nn.Module):
    """Lab B's net of 9, 17, 32 or 48 layers: an unpadded stem, four stages at 64, 128, 256, 512, three dense layers.

    A block is conv 3x3 (same width), norm, ReLU, conv 3x3, norm; a stage's last block then doubles the width (but in the last
    stage) and ends in a max-pool. As intended, the branch meets the shortcut before the ReLU, and the shortcut has no
    parameters: plain and residual differ in the collection "wiring" alone. As implemented, a ReLU stands at the end of
    the branch, so that it can only add (He et al. 2016, arXiv:1603.05027, figure 4c), the last block has no shortcut, and
    where shapes change the shortcut is a 1x1 convolution with norm, which the plain net has not (`projection`).
    Without a shortcut the two are the same net.

    Args of the call: x float [B, 32, 32, C] in [0, 1], larger only with a window; train, nudge and window as `cnn.CNN`.

    Returns:
      logits float32 [B, num_classes]; features {"layer000": ..., what each block puts out, "last_conv": [B, 2, 2, 512]}.
    """

    depth: int
    as_implemented: bool
    projection: bool
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: str

    @nn.compact
    def __call__(
        self, x, *, train: bool, nudge: dict | None = None, window: tuple[int, int] | None = None
    ):
        num_blocks = 4 * LAB_B_BLOCKS[self.depth]
        ones = lambda: {"skip": jnp.ones(num_blocks), "branch": jnp.ones(num_blocks)}
        wiring = jax.tree.map(
            lambda number: number.astype(self.dtype), self.variable("wiring", "blocks", ones).value
        )
        layer = functools.partial(conv, init=INIT, dtype=self.dtype, bias=False)
        norm = functools.partial(batch_norm, train, self.dtype)
        features, nudge = {}, nudge or {}
        h = standardise(x, self.mean, self.std, self.dtype)
        h = conv(64, h.shape[-1], INIT, self.dtype, padding="VALID", name="stem")(h)
        for i in range(num_blocks):
            stage_ends, net_ends = (i + 1) % (num_blocks // 4) == 0, i + 1 == num_blocks
            width, name = h.shape[-1] * (2 if stage_ends and not net_ends else 1), f"layer{i:03}"
            f = nn.relu(norm(f"{name}a_norm")(layer(h.shape[-1], h.shape[-1], name=f"{name}a")(h)))
            f = norm(f"{name}b_norm")(layer(width, h.shape[-1], name=f"{name}b")(f))
            f = nn.relu(f) if self.as_implemented else f
            if net_ends:
                f = halve(f)  # what an adaptive pool from 4x4 to 2x2 is
            elif stage_ends:
                f = nn.max_pool(f, (3, 3), (2, 2), ((1, 1), (1, 1)))
            f = wiring["branch"][i] * f
            if not (self.as_implemented and net_ends):
                f = f + wiring["skip"][i] * self._shortcut(h, f.shape, layer, norm, name)
            features[name] = h = nudged(nn.relu(f), nudge.get(name))
        features["last_conv"] = h = nudged(h, nudge.get("last_conv"))
        h = nn.relu(FlatDense(1024, INIT, name="last1")(h.astype(jnp.float32), window))
        h = nn.relu(dense(1024, 1024, INIT, jnp.float32, name="last2")(h))
        return dense(self.num_classes, 1024, INIT, jnp.float32, name="head")(h), features

    def _shortcut(self, h, shape, layer, norm, name):
        if h.shape == shape:
            return h
        if not self.projection:
            return subsample(h, shape[-1], 2)
        return norm(f"{name}c_norm")(
            layer(shape[-1], h.shape[-1], window=1, stride=2, name=f"{name}c")(h)
        )
