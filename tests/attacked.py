"""A small net of digits to attack, trained by one least-squares solution; attacks compiled."""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

from dla_jax.analysis import attacks, ball

NUM_CLASSES = 10


def _trained(images, labels):
    """Return the weights of a net of 64 tanh units: the hidden ones drawn, the head solved."""
    rng = np.random.default_rng(0)
    hidden = (0.4 * rng.standard_normal((64, 64))).astype(np.float32)
    features = np.tanh((images.reshape(len(images), -1) - 0.3) @ hidden)
    wanted = 10 * np.eye(NUM_CLASSES)[labels]
    solved = np.linalg.solve(features.T @ features + 1e-1 * np.eye(64), features.T @ wanted)
    return hidden, solved.astype(np.float32)


_DIGITS = load_digits()
_IMAGES = (_DIGITS.images[..., None] / 16).astype(np.float32)
HIDDEN, HEAD = _trained(_IMAGES[:1000], _DIGITS.target[:1000])
X, LABELS = _IMAGES[1000:1048], _DIGITS.target[1000:1048].astype(np.int32)


def net(x, xp=jnp):
    """Return the logits of images [B, 8, 8, 1]."""
    return xp.tanh((x.reshape(len(x), -1) - 0.3) @ HIDDEN) @ HEAD


def accuracy(x, labels=LABELS):
    """Return which fraction of the images the net classifies as the labels say."""
    return np.mean(net(np.asarray(x), np).argmax(1) == labels)


ROUNDING = 1e-6


L2_OF_EPSILON = 4.0  # an L2 ball that is about as large as that of the other norm


fgsm = jax.jit(attacks.fgsm, static_argnums=0, static_argnames="loss")


pgd = jax.jit(
    attacks.pgd, static_argnums=0, static_argnames=("norm", "random_start", "restarts", "loss")
)


drawn = jax.jit(ball.draw, static_argnames="norm")


def radius_of(delta, norm):
    rows = delta.reshape(len(delta), -1).astype(np.float64)
    return np.linalg.norm(rows, axis=1, ord=2 if norm == "l2" else np.inf)


def project_by_hand(delta, epsilon, norm):
    if norm == "linf":
        return np.minimum(np.maximum(delta, -epsilon), epsilon)
    factors = [
        min(1, e / max(np.sqrt((d**2).sum()), 1e-12)) for d, e in zip(delta, epsilon, strict=True)
    ]
    return np.stack([factor * d for factor, d in zip(factors, delta, strict=True)])
