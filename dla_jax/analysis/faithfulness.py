"""Does a map show what a network uses? Pixels taken away and put back by its order, and networks made to forget."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage, stats

from dla_jax.analysis.units import units_of


def pixel_ranks(key: jax.Array, heat: jax.Array) -> jax.Array:
    """The place of each pixel in the order of a map, the hottest 0: float32 [B, H, W] -> int32 [B, H, W].

    Pixels that are equally hot stand in an order drawn at random.
    """
    flat = heat.reshape(len(heat), -1)
    shuffled = jax.vmap(lambda key: jax.random.permutation(key, flat.shape[1]))(
        jax.random.split(key, len(flat))
    )
    order = jnp.argsort(-jnp.take_along_axis(flat, shuffled, 1), axis=1, stable=True)
    return (
        jnp.argsort(jnp.take_along_axis(shuffled, order, 1), axis=1)
        .astype(jnp.int32)
        .reshape(heat.shape)
    )


def counts_of(num_pixels: int, num_steps: int) -> np.ndarray:
    """How many pixels are exchanged at each point of a curve: int32 [points], from none to all, `num_steps` or fewer apart."""
    return np.unique(np.linspace(0, num_pixels, num_steps + 1).round().astype(np.int32))


def exchange_curve(
    probability: Callable, hot: jax.Array, rest: jax.Array, ranks: jax.Array, counts: jax.Array
) -> jax.Array:
    """The probability of a class as the pixels of one image replace those of another, hottest first.

    Insertion (Petsiuk et al. 2018, arXiv:1806.07421): `hot` is the image, `rest` one without information. Deletion: the other
    way round.

    Args:
      probability: float32 [B, H, W, C] -> float32 [B].
      hot: the image, float32 [B, H, W, C], whose first `count` pixels are shown. rest: where the others come from.
      ranks: int32 [B, H, W] (`pixel_ranks`).
      counts: int32 [points] (`counts_of`).

    Returns:
      float32 [points, B].
    """
    return jax.lax.map(
        lambda count: probability(jnp.where(ranks[..., None] < count, hot, rest)), counts
    )


def area(curves: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Area under curves [points, ...] over the share of pixels exchanged: [...], in [0, 1] as the curves are."""
    return np.trapezoid(curves, counts / counts[-1], axis=0)


def blurred(images: np.ndarray, share: float) -> np.ndarray:
    """Images float32 [B, H, W, C] blurred by a Gaussian whose standard deviation is a share of the shorter side."""
    sigma = share * min(images.shape[1:3])
    return ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")


def edges(images: np.ndarray) -> np.ndarray:
    """How strong the edge is at each pixel, by Sobel's filter over all channels: [B, H, W, C] -> [B, H, W].

    It looks like an explanation, and knows nothing of a network (Adebayo et al. 2018, arXiv:1810.03292, section 5).
    """
    across = lambda weights, axis, x: ndimage.correlate1d(x, weights, axis, mode="nearest")
    slopes = [across([-1, 0, 1], axis, across([1, 2, 1], 3 - axis, images)) for axis in (1, 2)]
    return np.sqrt(sum(slope**2 for slope in slopes).sum(-1))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of maps [B, ...] with maps [B, ...], float [B]; 0 where one of them is the same everywhere."""
    ranks = [stats.rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (a, b)]
    first, second = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    norms = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    return np.where(norms > 0, (first * second).sum(1) / np.where(norms > 0, norms, 1), 0)


def forget(variables: dict, fresh: dict, count: int) -> dict:
    """The variables of a network whose last `count` layers or blocks, the head first, are those of another, fresh one.

    Cascading randomisation (Adebayo et al. 2018, section 3.1). The head counts as one with the norm before it; what is neither
    a parameter nor a statistic of BatchNorm, the wiring, stays.

    Args:
      variables, fresh: {"params", "batch_stats", ...} of one of our nets.
      count: 0 to `num_units(variables)`.
    """
    forgotten = units_of(variables["params"])[::-1][:count]

    def mix(kind, known, new):
        mixed = dict(known)
        for names, index in forgotten:
            for name in names & known.keys():
                if index is None:
                    mixed[name] = new[name]
                else:
                    take = lambda old, other, index=index: (
                        jnp.asarray(old).at[index].set(other[index])
                    )
                    mixed[name] = jax.tree.map(take, mixed[name], new[name])
        return mixed

    return variables | {
        kind: mix(kind, variables[kind], fresh[kind])
        for kind in ("params", "batch_stats")
        if kind in variables
    }


def num_units(variables: dict) -> int:
    """Of how many layers or blocks `forget` can take."""
    return len(units_of(variables["params"]))
