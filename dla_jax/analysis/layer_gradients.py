"""Gradients layer by layer: what reaches the first layers of a deep net."""

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis.units import layers_of, units_of

# Bins of the histograms: bin i holds 2^(i - 42) <= |g| < 2^(i - 41), the first also all that is
# smaller, the last all above.
BINS, SMALLEST = 48, -41  # 2^-41 = 4.5e-13; the last bin begins at 2^5 = 32


def _rows(tree: dict, path: tuple[str, ...]) -> jax.Array:
    """Return the kernel at a path as float32 [n, numbers]: a row a block of a stack, else one."""
    for key in path:
        tree = tree[key]
    return tree.astype(jnp.float32).reshape(len(tree) if "block" in path else 1, -1)


def _histogram(rows: jax.Array) -> jax.Array:
    """Count by the binary exponent of |g|: [n, numbers] -> int32 [n, BINS]."""
    exponent = jnp.where(rows == 0, SMALLEST, jnp.frexp(rows)[1])
    bins = jnp.clip(exponent - SMALLEST, 0, BINS - 1)
    return jax.vmap(lambda row: jnp.zeros(BINS, jnp.int32).at[row].add(1))(bins)


def _moments(g: jax.Array, w: jax.Array) -> dict[str, jax.Array]:
    """Return what `statistics` is made of, for rows of gradients and of weights [n, numbers]."""
    return {
        "count": jnp.full(len(g), g.shape[1], jnp.float32),
        "mean_abs": jnp.abs(g).mean(1),
        "mean": g.mean(1),
        "var": g.var(1),
        "square": (g * g).mean(1),
        "weight": (w * w).mean(1),
        "histogram": _histogram(g),
    }


def statistics(grads: dict, params: dict) -> dict[str, jax.Array]:
    """Describe the gradient of each kernel, and of all kernels of each stage.

    Args:
      grads, params: trees of one of our nets (`layers_of`).

    Returns:
      float32 arrays "layer_<name>" [L] and "stage_<name>" [S] with <name>: mean_abs (of |g|), rms,
      mean (signed), var, relative (norm of the gradient over norm of the weights); int32
      "layer_histogram" [L, BINS] and "stage_histogram".
    """
    layers = layers_of(params)
    paths = list(dict.fromkeys(layer.path for layer in layers))
    parts = [_moments(_rows(grads, path), _rows(params, path)) for path in paths]
    begins = np.cumsum([0, *(len(part["count"]) for part in parts)])
    order = np.array([begins[paths.index(layer.path)] + (layer.index or 0) for layer in layers])
    per_layer = {name: jnp.concatenate([part[name] for part in parts])[order] for name in parts[0]}
    found = _named("layer", per_layer)
    stages = range(1, max(layer.stage for layer in layers) + 1)
    if stages:
        member = [[layer.stage == stage for layer in layers] for stage in stages]
        found |= _named("stage", _pooled(per_layer, np.array(member, np.float32)))
    return found


def _pooled(found: dict, member: np.ndarray) -> dict:
    """Pool the statistics of groups of layers: `member` float32 [groups, layers], 0 or 1."""
    count = member @ found["count"]

    def mean_of(values):
        return member @ (found["count"] * values) / count

    pooled = {name: mean_of(found[name]) for name in ("mean_abs", "mean", "square", "weight")}
    offset = found["mean"] - pooled["mean"][:, None]
    between = (member * found["count"] * offset**2).sum(1) / count
    return pooled | {
        "var": mean_of(found["var"]) + between,
        "histogram": member.astype(np.int32) @ found["histogram"],
    }


def _named(kind: str, found: dict) -> dict:
    values = {name: found[name] for name in ("mean_abs", "mean", "var", "histogram")}
    values |= {
        "rms": jnp.sqrt(found["square"]),
        "relative": jnp.sqrt(found["square"] / found["weight"]),
    }
    return {f"{kind}_{name}": value for name, value in values.items()}


def step_statistics(grads: dict, updates: dict, params: dict) -> dict[str, jax.Array]:
    """Describe a training step: the `statistics` of its own gradient, and its update ratios.

    For the `trace` of `loop.fit`. An update ratio is the norm of the update over the norm of the
    weights that it changes.

    Returns:
      `statistics`, and "layer_update_ratio" float32 [L] and "stage_update_ratio" [S].
    """
    ratios = {
        name.replace("relative", "update_ratio"): value
        for name, value in statistics(updates, params).items()
        if name.endswith("_relative")
    }
    return statistics(grads, params) | ratios


def layer_norms(grads: dict) -> jax.Array:
    """Return the L2 norm of each layer's gradient: kernel, bias and norm of the layer together.

    Args:
      grads: gradients of one of our nets.

    Returns:
      float32 [layers], as `units_of` orders them: the stem, the blocks or layers in order, the
      head.
    """

    def norm(names, stacked):
        leaves = [leaf for name in sorted(names) for leaf in jax.tree.leaves(grads[name])]
        squares = [jnp.square(leaf.astype(jnp.float32)) for leaf in leaves]
        sums = (s.reshape(len(s), -1).sum(1) if stacked else s.sum()[None] for s in squares)
        return jnp.sqrt(sum(sums))

    # A stack gives all its blocks at once, where its first one stands.
    units = [(names, index) for names, index in units_of(grads) if names and not index]
    return jnp.concatenate([norm(names, stacked=index == 0) for names, index in units])
