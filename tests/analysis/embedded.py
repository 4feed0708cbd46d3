"""Made features, logits and a smooth net that detectors are tested on; detectors compiled."""

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis import distances, ood

RNG = np.random.default_rng(0)
CLASSES, DIM = 3, 6


def drawn_features(rng, count, scale=1.0, shift=0.0):
    """Return features of CLASSES classes float32 [count, DIM] and labels int [count].

    They are correlated, and have very different variances.
    """
    labels = np.arange(count) % CLASSES
    mixing = np.random.default_rng(1).standard_normal((DIM, DIM)) * np.logspace(-2, 1, DIM)
    centres = 4 * np.random.default_rng(2).standard_normal((CLASSES, DIM))
    features = rng.standard_normal((count, DIM)) @ mixing + centres[labels]
    return (scale * features + shift).astype(np.float32), labels


FEATURES, LABELS = drawn_features(RNG, 90)


NEW = np.concatenate([drawn_features(RNG, 30)[0], 5 * RNG.standard_normal((30, DIM))])


NEW = NEW.astype(np.float32)


KERNEL = RNG.standard_normal((DIM, CLASSES)).astype(np.float32)


BIAS = RNG.standard_normal(CLASSES).astype(np.float32)


WEIGHTS = [RNG.standard_normal(shape).astype(np.float32) for shape in ((12, 9), (9, 4))]


IMAGES = RNG.random((5, 2, 3, 2)).astype(np.float32)


def net(x, xp=jnp):
    """Compute a smooth net of images [B, 2, 3, 2]."""
    return xp.tanh(x.reshape(len(x), -1) @ WEIGHTS[0]) @ WEIGHTS[1]


@jax.jit
def odin(x, temperature, epsilons, constant=0.0):
    """Return the scores of `net`, with a constant on all its logits."""
    return ood.odin(lambda x: net(x) + constant, x, temperature, epsilons)


# Not compiled as a whole, each operation would be compiled on its own.
SCORES = {
    "msp": jax.jit(ood.max_softmax),
    "max_logit": jax.jit(ood.max_logit),
    "energy": jax.jit(ood.energy),
    "gen": jax.jit(ood.generalised_entropy, static_argnums=2),
}


mahalanobis, relative_mahalanobis, vim, normalised = map(
    jax.jit,
    (distances.mahalanobis, distances.relative_mahalanobis, distances.vim, distances.normalised),
)


nearest = jax.jit(distances.nearest, static_argnums=2)


def head(features):
    return features @ KERNEL + BIAS
