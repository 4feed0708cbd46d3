"""Out-of-distribution scores of features: distances to what a network made of its training images.

As in `ood`, a higher score means more like the training data, and scores are float32 [B]. What has
to be fitted is fitted in float64, on features and logits of training images alone.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.config.checks import check

# Accelerators would round the factors of float32 products to ten bits.
_dot = functools.partial(jnp.dot, precision="highest")
AT_ONCE = 128  # images whose distances to the whole bank are in memory together


class Gaussians(NamedTuple):
    """Gaussians of the classes, with one covariance for all, and one Gaussian of all images.

    means: float32 [C, D] of the classes; mean: float32 [D].
    whitener, background_whitener: float32 [D, D], W with W W^T the pseudo-inverse of the covariance
      within classes, and of all images. The inverse itself would lose in float32 what directions of
      little variance say.
    """

    means: np.ndarray
    whitener: np.ndarray
    mean: np.ndarray
    background_whitener: np.ndarray


def fit_gaussians(features: np.ndarray, labels: np.ndarray, num_classes: int) -> Gaussians:
    """Fit the Gaussians of `mahalanobis` and `relative_mahalanobis`, by maximum likelihood.

    Args:
      features: float [N, D] of training images.
      labels: int [N], below `num_classes`.

    Raises:
      ConfigError: fewer examples than features, or none of a class.
    """
    x, (count, dim) = np.asarray(features, np.float64), features.shape
    mend = "or leave mahalanobis and relative_mahalanobis out"
    check(
        count >= dim + num_classes,
        f"mahalanobis: {count} training examples for a covariance of {dim} features within "
        f"{num_classes} classes; give at least {dim + num_classes} training images, a layer with "
        f"fewer features, {mend}",
    )
    missing = np.flatnonzero(np.bincount(labels, minlength=num_classes) == 0)
    check(
        len(missing) == 0,
        f"mahalanobis: no training example of class {', '.join(map(str, missing))} of "
        f"{num_classes}; give at least one of each, {mend}",
    )
    means = np.stack([x[labels == c].mean(0) for c in range(num_classes)])
    mean = x.mean(0)
    found = means, _whitener(x - means[labels]), mean, _whitener(x - mean)
    return Gaussians(*(array.astype(np.float32) for array in found))


def _whitener(centred: np.ndarray) -> np.ndarray:
    """Return W [D, D] with W W^T the pseudo-inverse of the covariance of centred rows [N, D].

    Directions whose variance is rounding, as `scipy.linalg.pinvh` decides it, do not count.
    """
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    smallest = len(variances) * np.finfo(np.float64).eps * np.abs(variances).max()
    return directions / np.sqrt(np.where(variances > smallest, variances, np.inf))


def mahalanobis(features: jax.Array, fitted: Gaussians) -> jax.Array:
    """Return minus the squared Mahalanobis distance to the nearest class mean.

    Lee et al. 2018, arXiv:1807.03888, equation 2, of one layer, without its change of the input.

    Args:
      features: float32 [B, D].
    """
    return -_class_distances(features, fitted).min(-1)


def relative_mahalanobis(features: jax.Array, fitted: Gaussians) -> jax.Array:
    """Return minus min_c (d_c - d_0), d_0 being the distance to the Gaussian of all images.

    Ren et al. 2021, arXiv:2106.09022, section 2. Args as `mahalanobis`.
    """
    of_all = jnp.square(_dot(features - fitted.mean, fitted.background_whitener)).sum(-1)
    return of_all - _class_distances(features, fitted).min(-1)


def _class_distances(features: jax.Array, fitted: Gaussians) -> jax.Array:
    """Return squared Mahalanobis distances to the class means: float32 [B, C]."""
    places = _dot(features - fitted.mean, fitted.whitener)
    centres = _dot(fitted.means - fitted.mean, fitted.whitener)
    return jnp.square(places[:, None] - centres).sum(-1)


def normalised(features: jax.Array) -> jax.Array:
    """Divide features float32 [B, D] by their L2 norm; a vector of zeros stays as it is."""
    norms = jnp.linalg.norm(features, axis=-1, keepdims=True)
    return features / jnp.where(norms > 0, norms, 1)


def nearest(features: jax.Array, bank: jax.Array, ks: tuple[int, ...]) -> jax.Array:
    """Return minus the distance of normalised features to the k-th nearest row of a bank.

    Sun et al. 2022, arXiv:2204.06507, equation 4. The rows are found by their inner products, so
    two whose squared distances are within some 1e-6 may change places; the distances themselves do
    not suffer from that rounding.

    Args:
      features: float32 [B, D], not normalised.
      bank: float32 [N, D], `normalised` features of training images.
      ks: static, from 1.

    Returns:
      float32 [K, B], one row for each of `ks`.

    Raises:
      ConfigError: a k is larger than N.
    """
    most = max(ks)
    check(
        most <= len(bank),
        f"knn: k = {most} with {len(bank)} training examples; give k of at most {len(bank)}",
    )

    def distances(row):
        _, places = jax.lax.top_k(_dot(bank, row), most)
        found = jnp.linalg.norm(jnp.asarray(bank)[places] - row, axis=-1)
        return jnp.sort(found)[np.array(ks) - 1]

    return -jax.lax.map(distances, normalised(features), batch_size=AT_ONCE).T


class Vim(NamedTuple):
    """What `vim` needs: origin float32 [D], basis of the residual space [D, D - dim], alpha []."""

    origin: np.ndarray
    basis: np.ndarray
    alpha: np.ndarray


def fit_vim(
    features: np.ndarray, logits: np.ndarray, kernel: np.ndarray, bias: np.ndarray, dim: int
) -> Vim:
    """Fit what `vim` needs (Wang et al. 2022, arXiv:2203.10807, section 4).

    Alpha makes the residual as large as the largest logit, on average. It is 0, and the score the
    energy, where training features have no residual but rounding.

    Args:
      features: float [N, D] of training images, what the head is applied to.
      logits: float [N, C] of the same images.
      kernel, bias: of the head, float [D, C] and [C].
      dim: principal directions, from 1 to D - 1.

    Raises:
      ConfigError: `dim` is out of range.
    """
    x, num_features = np.asarray(features, np.float64), features.shape[1]
    check(
        1 <= dim < num_features,
        f"vim: {dim} principal directions of {num_features} features; give 1 to "
        f"{num_features - 1}, a layer with more features, or leave vim out",
    )
    origin = -np.linalg.pinv(np.asarray(kernel, np.float64).T) @ np.asarray(bias, np.float64)
    centred = x - origin
    _, directions = np.linalg.eigh(centred.T @ centred / len(x))  # the smallest first
    basis = directions[:, : num_features - dim]
    residual = np.linalg.norm(centred @ basis, axis=1).sum()
    rounding = np.finfo(np.float32).eps * np.linalg.norm(centred, axis=1).sum()
    largest = np.max(logits, -1).sum(dtype=np.float64)
    alpha = np.float64(largest / residual if residual > rounding else 0.0)
    return Vim(*(array.astype(np.float32) for array in (origin, basis, alpha)))


def vim(features: jax.Array, logits: jax.Array, fitted: Vim) -> jax.Array:
    """Return logsumexp of the logits less the virtual logit, alpha |residual|.

    Wang et al. 2022, arXiv:2203.10807, equation 8. The paper's score is the softmax of the virtual
    logit, a falling function of this one: both order images alike.

    Args:
      features, logits: float32 [B, D] and [B, C].
    """
    residual = jnp.linalg.norm(_dot(features - fitted.origin, fitted.basis), axis=-1)
    return jax.nn.logsumexp(logits, -1) - fitted.alpha * residual
