"""Does a map show what a network uses? Pixels exchanged by its order, and networks that forget."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage, stats

from dla_jax.analysis.units import units_of


def pixel_ranks(key: jax.Array, heat: jax.Array) -> jax.Array:
    """Return the place of each pixel in the order of a map, the hottest 0.

    Pixels that are equally hot stand in an order drawn at random.

    Args:
      key: of these draws.
      heat: float32 [B, H, W].

    Returns:
      int32 [B, H, W].
    """
    flat = heat.reshape(len(heat), -1)
    keys = jax.random.split(key, len(flat))
    shuffled = jax.vmap(lambda key: jax.random.permutation(key, flat.shape[1]))(keys)
    order = jnp.argsort(-jnp.take_along_axis(flat, shuffled, 1), axis=1, stable=True)
    ranks = jnp.argsort(jnp.take_along_axis(shuffled, order, 1), axis=1)
    return ranks.astype(jnp.int32).reshape(heat.shape)


def counts_of(num_pixels: int, num_steps: int) -> np.ndarray:
    """Return how many pixels are exchanged at each point of a curve: int32 [points].

    They go from none to all in `num_steps` even steps, or in fewer where there are fewer pixels.
    """
    return np.unique(np.linspace(0, num_pixels, num_steps + 1).round().astype(np.int32))


def exchange_curve(
    probability: Callable, hot: jax.Array, rest: jax.Array, ranks: jax.Array, counts: jax.Array
) -> jax.Array:
    """Return a class's probability as pixels of one image replace another's, hottest first.

    Insertion (Petsiuk et al. 2018, arXiv:1806.07421): `hot` is the image, `rest` one without
    information. Deletion: the other way round.

    Args:
      probability: float32 [B, H, W, C] -> float32 [B].
      hot: the image, float32 [B, H, W, C], whose first `count` pixels are shown.
      rest: where the others come from, like `hot`.
      ranks: int32 [B, H, W] (`pixel_ranks`).
      counts: int32 [points] (`counts_of`).

    Returns:
      float32 [points, B].
    """

    def at(count):
        return probability(jnp.where(ranks[..., None] < count, hot, rest))

    return jax.lax.map(at, counts)


def area(curves: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the area under curves over the share of pixels exchanged.

    Args:
      curves: [points, ...].
      counts: [points], pixels exchanged.

    Returns:
      [...], in [0, 1] as the curves are.
    """
    return np.trapezoid(curves, counts / counts[-1], axis=0)


def blurred(images: np.ndarray, share: float) -> np.ndarray:
    """Blur images float32 [B, H, W, C] by a Gaussian.

    Its standard deviation is a share of the shorter side.
    """
    sigma = share * min(images.shape[1:3])
    return ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")


def edges(images: np.ndarray) -> np.ndarray:
    """Return how strong the edge is at each pixel: [B, H, W, C] -> [B, H, W].

    By Sobel's filter over all channels. It looks like an explanation, and knows nothing of a
    network (Adebayo et al. 2018, arXiv:1810.03292, section 5).
    """
    total = 0
    for axis, other in ((1, 2), (2, 1)):
        smooth = ndimage.correlate1d(images, [1, 2, 1], axis=other, mode="nearest")
        slope = ndimage.correlate1d(smooth, [-1, 0, 1], axis=axis, mode="nearest")
        total = total + slope**2
    return np.sqrt(total.sum(-1))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of maps [B, ...] with maps [B, ...]: float [B].

    It is 0 where one of them is the same everywhere.
    """
    ranks = [stats.rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (a, b)]
    first, second = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    norms = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    return np.where(norms > 0, (first * second).sum(1) / np.where(norms > 0, norms, 1), 0)


def forget(variables: dict, fresh: dict, count: int) -> dict:
    """Replace the last `count` layers or blocks of a network, the head first, by fresh ones.

    Cascading randomisation (Adebayo et al. 2018, section 3.1). The head counts as one with the norm
    before it; what is neither a parameter nor a statistic of BatchNorm, the wiring, stays.

    Args:
      variables: {"params", "batch_stats", ...} of one of our nets.
      fresh: those of another, newly initialised one.
      count: 0 to `num_units(variables)`.
    """
    forgotten = units_of(variables["params"])[::-1][:count]
    kinds = [kind for kind in ("params", "batch_stats") if kind in variables]
    return variables | {kind: _mix(variables[kind], fresh[kind], forgotten) for kind in kinds}


def _mix(known: dict, new: dict, forgotten: list[tuple[set[str], int | None]]) -> dict:
    """Return the known entries, those of the forgotten units (`units_of`) from `new`."""
    mixed = dict(known)
    for names, index in forgotten:
        for name in names & known.keys():
            mixed[name] = new[name] if index is None else _exchange(mixed[name], new[name], index)
    return mixed


def _exchange(stack: dict, new: dict, index: int) -> dict:
    def take(old, other):
        return jnp.asarray(old).at[index].set(other[index])

    return jax.tree.map(take, stack, new)


def num_units(variables: dict) -> int:
    """Return how many layers or blocks `forget` can take."""
    return len(units_of(variables["params"]))
