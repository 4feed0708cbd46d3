"""The loss of a network, as a function of its logits or of its parameters."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the mean of -log softmax(logits)[label] in nats.

    Args:
      logits: float [B, C].
      labels: int32 [B].

    Returns:
      float32 [].
    """
    logits = logits.astype(jnp.float32)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def loss_with_batch_statistics(
    apply: Callable, variables: dict, x: jax.Array, labels: jax.Array
) -> Callable:
    """Return the loss of a network on one batch as a function of its parameters.

    BatchNorm takes the statistics of the batch at all parameters: the running ones belong to those
    that were trained, and show another loss beside them.

    Args:
      apply: of one of our nets.
      variables: {"params", "wiring", "batch_stats", ...}; its own parameters are not used.
      x: float32 [B, H, W, C].
      labels: int32 [B].

    Returns:
      params -> float32 [], in nats.
    """

    def loss(params):
        changed = variables | {"params": params}
        if "batch_stats" in variables:
            (logits, _), _ = apply(changed, x, train=True, mutable=["batch_stats"])
        else:
            logits, _ = apply(changed, x, train=False)
        return cross_entropy(logits, labels)

    return loss
