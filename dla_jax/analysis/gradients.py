"""Gradients layer by layer: what reaches the first layers of a deep net."""

import jax
import jax.numpy as jnp


def layer_norms(grads: dict) -> jax.Array:
    """L2 norm of each layer's gradient: kernel, bias and norm of the layer together, in the order of the network.

    Args:
      grads: gradients of one of our nets. Its entries are the stem ("stem", "stem_norm"), then "blocks..." (a stack of
        blocks, leaves [n, ...], where it holds "block") or "layer...", each counted alone and in the order of their names,
        and the rest: the head and what stands before it.

    Returns:
      float32 [layers]: the stem, the blocks or layers in order, the head.
    """

    def norm(trees, stacked=False):
        squares = [jnp.square(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(trees)]
        return jnp.sqrt(sum(s.reshape(len(s), -1).sum(1) if stacked else s.sum()[None] for s in squares))

    stem = [name for name in grads if name.startswith("stem")]
    inner = sorted({name.removesuffix("_norm") for name in grads if name.startswith(("blocks", "layer"))})
    parts = [norm([grads[name] for name in stem])]
    for name in inner:
        parts.append(norm([grads[name], grads.get(f"{name}_norm", {})], stacked="block" in grads[name]))
    last = grads.keys() - {*stem, *inner, *(f"{name}_norm" for name in inner)}
    parts.append(norm([grads[name] for name in sorted(last)]))
    return jnp.concatenate(parts)
