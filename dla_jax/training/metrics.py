"""Losses and metrics of classifiers, in nats and in fractions of one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax


def cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    smoothing: float = 0.0,
    class_weights: tuple[float, ...] | None = None,
) -> jax.Array:
    """Return -log softmax(logits)[label] in nats, computed in float32.

    Args:
      logits: float [B, C].
      labels: int32 [B].
      smoothing: weight in [0, 1) of the mean over all classes, against 1 - smoothing of the
        label's.
      class_weights: C numbers that multiply the loss of an example by its class; None: all are 1.

    Returns:
      float32 [B].
    """
    logits = logits.astype(jnp.float32)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    if smoothing:
        loss = (1 - smoothing) * loss - smoothing * jax.nn.log_softmax(logits).mean(-1)
    return loss if class_weights is None else loss * jnp.array(class_weights, jnp.float32)[labels]


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the fraction of rows whose largest logit is the label's.

    Args:
      logits: float [B, C].
      labels: int32 [B].

    Returns:
      float32 [].
    """
    return (logits.argmax(-1) == labels).mean(dtype=jnp.float32)


def masked_sums(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> dict[str, jax.Array]:
    """Sum over the rows where the mask is 1, to be added over batches and divided once.

    Args:
      logits: float [B, C].
      labels: int32 [B].
      mask: float32 [B], 0 for padding.

    Returns:
      {"loss", "accuracy", "count"}: float32 [] each; {"correct"}: float32 [C], by the class of the
      label.
    """
    correct = (logits.argmax(-1) == labels).astype(jnp.float32)
    by_class = jnp.zeros(logits.shape[-1]).at[labels].add(correct * mask)
    # where, not a product: the logits of padding may overflow, and 0 * inf is nan
    loss = jnp.where(mask > 0, cross_entropy(logits, labels), 0.0)
    return {
        "loss": loss.sum(),
        "accuracy": (correct * mask).sum(),
        "count": mask.sum(),
        "correct": by_class,
    }


def class_scores(correct: np.ndarray, counts: np.ndarray) -> dict:
    """Return what a classifier reaches class by class.

    One number would hide that a class is rare.

    Args:
      correct, counts: [C], examples of each class that were taken for it, and all of it; of absent
        ones 0.

    Returns:
      {"class_counts": ints, "class_accuracy": floats, None for an absent class,
      "balanced_accuracy": mean over the others}.
    """
    pairs = zip(correct, counts, strict=True)
    found = [float(right) / int(count) if count else None for right, count in pairs]
    present = [value for value in found if value is not None]
    return {
        "class_counts": [int(count) for count in counts],
        "class_accuracy": found,
        "balanced_accuracy": float(np.mean(present)),
    }
