"""Losses and metrics of classifiers, in nats and in fractions of one."""

import jax
import jax.numpy as jnp
import optax


def cross_entropy(logits: jax.Array, labels: jax.Array, smoothing: float = 0.0) -> jax.Array:
    """-log softmax(logits)[label] in nats, computed in float32.

    Args:
      logits: float [B, C].
      labels: int32 [B].
      smoothing: weight in [0, 1) of the mean over all classes, against 1 - smoothing of the label's.

    Returns:
      float32 [B].
    """
    logits = logits.astype(jnp.float32)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    if not smoothing:
        return loss
    return (1 - smoothing) * loss - smoothing * jax.nn.log_softmax(logits).mean(-1)


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Fraction of rows whose largest logit is the label's: logits float [B, C], labels int32 [B] -> float32 []."""
    return (logits.argmax(-1) == labels).mean(dtype=jnp.float32)


def masked_sums(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> dict[str, jax.Array]:
    """Sums over the rows where the mask is 1, to be added over batches and divided once.

    Args:
      logits: float [B, C].
      labels: int32 [B].
      mask: float32 [B], 0 for padding.

    Returns:
      {"loss", "accuracy", "count"}: float32 [] each.
    """
    correct = (logits.argmax(-1) == labels).astype(jnp.float32)
    # where, not a product: the logits of padding may overflow, and 0 * inf is nan
    loss = jnp.where(mask > 0, cross_entropy(logits, labels), 0.0)
    return {"loss": loss.sum(), "accuracy": (correct * mask).sum(), "count": mask.sum()}
