"""Gradients layer by layer: what reaches the first layers of a deep net."""

import jax
import jax.numpy as jnp


def layer_norms(grads: dict) -> jax.Array:
    """L2 norm of each layer's gradient (kernel, bias and norm of the layer together).

    Args:
      grads: gradients of a net of the depth study: "stem", "blocks" (leaves stacked [depth - 1, ...], absent at
        depth 1), "head", and "norm" before the head, which is counted with the head.

    Returns:
      float32 [depth + 1]: the stem, the blocks in order, the head.
    """

    def norm(tree, stacked):
        squares = [jnp.square(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(tree)]
        return jnp.sqrt(sum(s.reshape(len(s), -1).sum(1) if stacked else s.sum()[None] for s in squares))

    parts = [norm(grads["stem"], False)]
    if "blocks" in grads:
        parts.append(norm(grads["blocks"], True))
    parts.append(norm({name: grads[name] for name in ("head", "norm") if name in grads}, False))
    return jnp.concatenate(parts)
