"""Adversarial examples: images changed by at most epsilon, so that a network errs.

One convention throughout: images are float32 [B, H, W, C] in [0, 1], and normalisation is a part of
the network, so epsilon, step sizes and perturbations are in units of those images: 8/255 is 0.0314.
An adversarial image lies in its ball around the image and in [0, 1], up to the rounding of their
sum, 6e-8.

`forward` takes images to logits float32 [B, K], each image on its own: BatchNorm is in evaluation
mode, `lambda x: model.apply(variables, x, train=False)[0]`. Where its parameters are
differentiated, as in adversarial training, give them under `jax.lax.stop_gradient`.

Epsilon, step sizes and numbers of steps may be traced: one compilation serves all.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dla_jax.analysis.ball import clip_to_images, direction, draw, per_image, project
from dla_jax.config.checks import check


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return -log softmax(logits)[label] of each image in nats, float32 [B].

    Args:
      logits: float [B, K].
      labels: int32 [B].
    """
    return optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels)


def margin(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the logit of the label less the largest other one, float32 [B].

    It is negative where the network errs. Args as `cross_entropy`.
    """
    own = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    return jnp.where(own, logits, 0).sum(-1) - jnp.where(own, -jnp.inf, logits).max(-1)


def dlr(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the difference-of-logits ratio, float32 [B].

    Croce and Hein 2020, arXiv:2003.01690, equation 6: minus the margin over the distance of the
    largest logit to the third. The scale of the logits does not matter, so it has a gradient where
    a network is so sure that the cross-entropy has none in float32. Args as `cross_entropy`.

    Raises:
      ConfigError: below three classes.
    """
    classes = logits.shape[-1]
    check(
        classes >= 3,
        f"dlr: a network of {classes} classes; DLR needs three, for it divides by the distance of "
        "the largest logit to the third; take the cross-entropy",
    )
    largest, _ = jax.lax.top_k(logits, 3)
    return -margin(logits, labels) / (largest[:, 0] - largest[:, 2] + 1e-12)


def objective_of(
    forward: Callable, labels: jax.Array, targets: jax.Array | None, loss: Callable
) -> Callable:
    """Return what an attack climbs: images -> (value float32 [B], fooled bool [B]).

    Without targets that is the loss of the labels, and an image fools when another class is
    predicted. With targets it is minus the loss of those, and an image fools when its is predicted.
    """

    def objective(x):
        logits = forward(x)
        predicted = logits.argmax(-1)
        if targets is None:
            return loss(logits, labels), predicted != labels
        return -loss(logits, targets), predicted == targets

    return objective


def gradient_of(objective: Callable) -> Callable:
    """Return x -> (gradient, (value, fooled)) of an objective, by one pass forward and one back."""

    def total(x):
        value, fooled = objective(x)
        return value.sum(), (value, fooled)

    return jax.grad(total, has_aux=True)


def ascend(
    objective: Callable,
    x: jax.Array,
    start: jax.Array,
    epsilon: jax.Array | float,
    step_size: jax.Array | float,
    num_steps: jax.Array | int,
    norm: str = "linf",
) -> jax.Array:
    """Return where steps of projected gradient ascent lead, with one gradient a step.

    Args:
      objective: as `objective_of` makes it.
      x, start: float32 [B, H, W, C] in [0, 1]: the centres of the balls, and the first place.
      epsilon, step_size: float32 [] or [B]. Every step has this length, whatever the gradient's.
      num_steps: int32 []; a Python 1 makes no loop.
      norm: "linf" or "l2".
    """
    gradient_at = gradient_of(objective)

    def step(_, at):
        move = per_image(step_size, x) * direction(gradient_at(at)[0], norm)
        return clip_to_images(x, project(at + move - x, epsilon, norm))

    if isinstance(num_steps, int) and num_steps == 1:
        return step(0, start)
    return jax.lax.fori_loop(0, num_steps, step, start)


def fgsm(
    forward: Callable,
    x: jax.Array,
    labels: jax.Array,
    epsilon: jax.Array | float,
    *,
    targets: jax.Array | None = None,
    loss: Callable = cross_entropy,
) -> jax.Array:
    """Return x + epsilon sign(gradient of the loss), in [0, 1].

    The fast gradient sign method, Goodfellow et al. 2015, arXiv:1412.6572, section 4.

    Args:
      forward: as the module's docstring says.
      x: float32 [B, H, W, C] in [0, 1].
      labels: int32 [B], the true classes.
      epsilon: float32 [] or [B].
      targets: int32 [B], classes to be predicted: the step then goes down their loss, and the
        labels are not looked at.
      loss: (logits, labels) -> float32 [B].
    """
    return ascend(objective_of(forward, labels, targets, loss), x, x, epsilon, epsilon, 1)


def rs_fgsm(
    forward: Callable,
    x: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    epsilon: jax.Array | float,
    step_size: jax.Array | float,
    *,
    targets: jax.Array | None = None,
    loss: Callable = cross_entropy,
) -> jax.Array:
    """Return one step from a random start (Wong et al. 2020, arXiv:2001.03994, algorithm 3).

    Args:
      key: of the start, which is uniform in the ball.
      step_size: float32 [] or [B]; the paper's is 1.25 epsilon.
      forward, x, labels, epsilon, targets, loss: as `fgsm`.
    """
    how = {"targets": targets, "loss": loss}
    return pgd(forward, x, labels, key, epsilon, step_size, 1, **how)


def pgd(
    forward: Callable,
    x: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    epsilon: jax.Array | float,
    step_size: jax.Array | float,
    num_steps: jax.Array | int,
    *,
    norm: str = "linf",
    random_start: bool = True,
    restarts: int = 1,
    targets: jax.Array | None = None,
    loss: Callable = cross_entropy,
) -> jax.Array:
    """Return images after projected gradient ascent (Madry et al. 2018, arXiv:1706.06083, eq. 2.2).

    Of several restarts it is, image by image, the one of the largest loss among those that fool the
    network, or among all where none does.

    Args:
      key: of the random starts.
      step_size: float32 [] or [B].
      num_steps: int32 [].
      norm: "linf"; or "l2", whose steps go along the gradient.
      random_start: begin at a place drawn uniformly from the ball, else at x.
      restarts: static; one after another, so they take no more memory.
      forward, x, labels, epsilon, targets, loss: as `fgsm`.

    Raises:
      ConfigError: an unknown norm, or restarts that would all be the same.
    """
    check(
        restarts == 1 or (restarts > 1 and random_start),
        f"pgd: {restarts} restarts with random_start={random_start}; give 1 or more, and a random "
        "start where there are several",
    )
    objective = objective_of(forward, labels, targets, loss)

    def attempt(key):
        start = draw(key, x, epsilon, norm) if random_start else x
        return ascend(objective, x, start, epsilon, step_size, num_steps, norm)

    if restarts == 1:
        return attempt(key)

    def better_of(best, key):
        at = attempt(key)
        return keep_better(best, (at, *objective(at))), None

    nothing = x, jnp.full(len(x), -jnp.inf), jnp.zeros(len(x), bool)
    (best, _, _), _ = jax.lax.scan(better_of, nothing, jax.random.split(key, restarts))
    return best


def keep_better(best: tuple, found: tuple) -> tuple:
    """Return, image by image, the better of two results of an attack.

    One that fools is better than one that does not, then the one of the larger value.

    Args:
      best, found: (images [B, H, W, C], value float32 [B], fooled bool [B]).
    """
    _, value, fooled = found
    better = jnp.where(best[2] == fooled, value > best[1], fooled)
    return choose(better, found, best)


def choose(chosen: jax.Array, those: tuple, others: tuple) -> tuple:
    """Return arrays [B, ...] whose rows are of `those` where bool [B] is true, else of `others`."""
    pick = lambda this, other: jnp.where(per_image(chosen, this), this, other)
    return jax.tree.map(pick, those, others)


def worst_case(clean: np.ndarray, *attacked: np.ndarray) -> np.ndarray:
    """Return which images are classified correctly, and remain so whatever the attack: bool [B].

    Args:
      clean, attacked: bool [B] each, which images are classified correctly, and after an attack,
        which may also lead an image that was misclassified to its class.
    """
    return np.all([clean, *attacked], axis=0)


def fgsm_as_implemented(
    forward: Callable, x: jax.Array, labels: jax.Array, epsilon: jax.Array | float
) -> jax.Array:
    """Return what two labs' networks saw under FGSM, as images for ours.

    The labs normalise images to [-1, 1], take the step there, and then clamp to [0, 1], as if the
    images had not been normalised. So every pixel darker than mid-grey becomes mid-grey, also at
    epsilon 0, where FGSM as intended returns x.

    Args:
      forward, x, labels: as `fgsm`.
      epsilon: float32 [] or [B], in image units: half of what the labs call epsilon.
    """
    gradient, _ = gradient_of(objective_of(forward, labels, None, cross_entropy))(x)
    normalised = 2 * x - 1 + 2 * per_image(epsilon, x) * direction(gradient)
    return 0.5 + 0.5 * jnp.clip(normalised, 0, 1)


def targeted_fgsm_as_implemented(
    forward: Callable, x: jax.Array, targets: jax.Array, epsilon: jax.Array | float
) -> jax.Array:
    """Return what a lab's network saw under targeted FGSM, as images for ours.

    The lab adds the gradient of the target's loss instead of subtracting it, which leads away from
    the target: it is FGSM with the target in the place of the label, clamp included. The sign alone
    is `fgsm(forward, x, targets, epsilon)`.

    Args:
      targets: int32 [B].
      forward, x, epsilon: as `fgsm_as_implemented`.
    """
    return fgsm_as_implemented(forward, x, targets, epsilon)
