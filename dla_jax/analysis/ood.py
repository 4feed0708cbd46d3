"""Out-of-distribution scores: how much an image is like those that a network was trained on.

One convention throughout: a higher score means more like the training data. Scores are float32 [B].
Those here are of logits; `distances` has those of features.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dla_jax.analysis.cam import layer_of


def max_softmax(logits: jax.Array) -> jax.Array:
    """Return the largest softmax probability (Hendrycks and Gimpel 2017, arXiv:1610.02136).

    Args:
      logits: float32 [B, C]. Where the largest is 17 above all others, the score is 1 in float32.
    """
    return jax.nn.softmax(logits).max(-1)


def max_logit(logits: jax.Array) -> jax.Array:
    """Return the largest of the logits [B, C] (Hendrycks et al. 2022, arXiv:1911.11132)."""
    return logits.max(-1)


def energy(logits: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
    """Return minus the free energy of the logits [B, C], T logsumexp(f / T).

    Liu et al. 2020, arXiv:2010.03759, equation 4.
    """
    return temperature * jax.nn.logsumexp(logits / temperature, -1)


def generalised_entropy(
    logits: jax.Array, gamma: jax.Array | float = 0.1, top: int = 100
) -> jax.Array:
    """Return GEN, minus the sum of (p (1 - p))^gamma over the `top` largest probabilities.

    Liu et al. 2023, "GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection",
    CVPR, equation 3. A small gamma looks at how far p is from 0 and 1, so both logarithms are
    computed as such: 1 - p would be 0 for every sure network.

    Args:
      logits: float32 [B, C].
      gamma: above 0.
      top: all classes where there are no more.
    """
    log_p = jax.nn.log_softmax(logits)
    margin, largest = _margin(logits)
    of_largest = jax.nn.log_sigmoid(-margin)[:, None]
    log_rest = jnp.where(largest, of_largest, jnp.log1p(-jnp.exp(log_p)))
    terms = jnp.exp(gamma * (log_p + log_rest))  # in the order of p
    if logits.shape[-1] > top:
        terms = jax.lax.top_k(terms, top)[0]
    return -terms.sum(-1)


def _margin(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the log-odds of the predicted class, float32 [B], and where it is, bool [B, C].

    That is its logit less the logsumexp of the others: its probability is the sigmoid.
    """
    largest = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=bool)
    others = jax.nn.logsumexp(jnp.where(largest, -jnp.inf, logits), -1)
    return jnp.where(largest, logits, 0).sum(-1) - others, largest


def odin(
    forward: Callable, x: jax.Array, temperature: jax.Array | float, epsilons: jax.Array
) -> jax.Array:
    """Return the largest softmax probability at T of images made a little surer of their class.

    ODIN, Liang et al. 2018, arXiv:1706.02690, equations 1 and 2: x' = x + eps sign(gradient of
    log max softmax(f(x) / T)), not clipped, as in the paper. The class is the one predicted of x.

    Args:
      forward: images float32 [B, H, W, C] -> logits float32 [B, K], each image on its own.
      x: in [0, 1].
      temperature: T.
      epsilons: float32 [E], in units of x; at 0 the score is the softmax of x at T.

    Returns:
      float32 [E, B].
    """
    direction = odin_direction(*jax.vjp(forward, x), temperature)

    def score(epsilon):
        return max_softmax(forward(x + epsilon * direction) / temperature)

    return jax.lax.map(score, jnp.asarray(epsilons, x.dtype))


def odin_direction(
    logits: jax.Array, pull_back: Callable, temperature: jax.Array | float
) -> jax.Array:
    """Return the signs of `odin`'s gradient, float32 [B, H, W, C].

    The gradient is that of the log-odds. They rise and fall with the probability, but have a
    gradient where the network is so sure that its probability is 1 in float32.

    Args:
      logits, pull_back: float32 [B, K] and what `jax.vjp(forward, x)` returns beside.
    """
    slopes = jax.grad(lambda logits: _margin(logits / temperature)[0].sum())(logits)
    return jnp.sign(pull_back(slopes)[0])


def pooled(features: dict, layer: str) -> jax.Array:
    """Return the features of a layer: float32 [B, D], the mean over its places where it has some.

    Args:
      features: a network's.
      layer: named as `cam.layer_of` does.
    """
    found = layer_of(features, layer).astype(jnp.float32)
    return found.mean((1, 2)) if found.ndim == 4 else found
