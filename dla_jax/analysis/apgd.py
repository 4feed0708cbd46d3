"""APGD: projected gradient ascent that chooses its step sizes itself.

Croce and Hein 2020, arXiv:2003.01690, section 3. Conventions as `analysis/attacks.py`.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis.attacks import (
    choose,
    cross_entropy,
    dlr,
    gradient_of,
    keep_better,
    objective_of,
)
from dla_jax.analysis.ball import clip_to_images, direction, draw, per_image, project
from dla_jax.config.checks import check

LOSSES = {"ce": cross_entropy, "dlr": dlr}
MOMENTUM = 0.75  # the paper's alpha: what is kept of a step, the rest being the step before
ENOUGH = 0.75  # the paper's rho: steps that have to raise the loss


def checkpoints(num_steps: int) -> tuple[int, ...]:
    """Return after how many steps the step size may be halved, in increasing order.

    They are w_j = ceil(p_j N) with p = 0.22, 0.41, 0.57, ... (section 3.2), in hundredths here.
    """
    found, at, apart = [], 22, 22
    while at <= 100:
        found.append(-(-at * num_steps // 100))
        apart = max(apart - 3, 6)
        at += apart
    return tuple(dict.fromkeys(found))


def halves(
    rises: jax.Array,
    steps: jax.Array | int,
    best: jax.Array,
    best_before: jax.Array,
    halved_before: jax.Array,
) -> jax.Array:
    """Return which images halve their step size at a checkpoint, bool [B].

    It is where too few steps since the last checkpoint raised the loss (condition 1), or where
    neither the step size nor the largest loss has changed since the last one (condition 2).

    Args:
      rises: int32 [B], how many of the steps since the last checkpoint raised the loss.
      steps: how many there were.
      best, best_before: float32 [B], the largest loss so far, now and at the last checkpoint.
      halved_before: bool [B], whether the step size was halved at the last checkpoint.
    """
    return (rises < ENOUGH * steps) | (~halved_before & (best == best_before))


class Climb(NamedTuple):
    """Where the attack on each image stands.

    at, before: float32 [B, H, W, C], the image, and that of one step before.
    value: float32 [B], the loss at `at`.
    top: (image, loss, gradient) where the loss was largest.
    found: what `keep_better` keeps, the attack's answer.
    step_size, rises, best_before, halved: [B], what `halves` needs.
    """

    at: jax.Array
    before: jax.Array
    value: jax.Array
    top: tuple[jax.Array, jax.Array, jax.Array]
    found: tuple[jax.Array, jax.Array, jax.Array]
    step_size: jax.Array
    rises: jax.Array
    best_before: jax.Array
    halved: jax.Array


def apgd(
    forward: Callable,
    x: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    epsilon: jax.Array | float,
    *,
    num_steps: int = 100,
    norm: str = "linf",
    loss: str | Callable = "ce",
) -> jax.Array:
    """Return the image of the largest loss that fools the network, or of the largest loss.

    The paper's algorithm 1, from a random start, with one gradient a step.

    Args:
      forward: images float32 [B, H, W, C] -> logits float32 [B, K], each image on its own.
      x: float32 [B, H, W, C] in [0, 1].
      labels: int32 [B], the true classes.
      key: of the start, uniform in the ball.
      epsilon: float32 [] or [B].
      num_steps: static, from 1.
      norm: "linf" or "l2".
      loss: "ce", "dlr", or (logits, labels) -> float32 [B].

    Raises:
      ConfigError: an unknown norm or loss, no steps, or DLR below three classes.
    """
    check(num_steps >= 1, f"apgd: {num_steps} steps; give 1 or more")
    check(
        callable(loss) or loss in LOSSES,
        f"loss: {loss!r} is not known; give one of {', '.join(LOSSES)}",
    )
    objective = objective_of(forward, labels, None, loss if callable(loss) else LOSSES[loss])
    climb = functools.partial(_climb, gradient_of(objective), x, epsilon, norm)
    start = draw(key, x, epsilon, norm)
    nothing, no = jnp.full(len(x), -jnp.inf), jnp.zeros(len(x), bool)
    first = Climb(
        at=start,
        before=start,
        value=-nothing,  # so that the start is no rise
        top=(start, nothing, jnp.zeros_like(x)),
        found=(start, nothing, no),
        step_size=jnp.broadcast_to(2.0 * jnp.asarray(epsilon, x.dtype), len(x)),
        rises=jnp.zeros(len(x), jnp.int32),
        best_before=nothing,
        halved=no,
    )
    since = np.zeros(num_steps, np.int32)  # steps since the last checkpoint, where one is
    places = [place for place in checkpoints(num_steps) if place < num_steps]
    since[places] = np.diff(places, prepend=0)
    momentum = np.full(num_steps, MOMENTUM, np.float32)
    momentum[0] = 1.0
    last, _ = jax.lax.scan(climb, first, (since, momentum))
    return keep_better(last.found, (last.at, *objective(last.at)))[0]


def _climb(gradient_at: Callable, x, epsilon, norm: str, climb: Climb, now) -> tuple[Climb, None]:
    """Look at the loss where the climb stands, halve the step size where it is due, and step.

    Args:
      gradient_at: of the objective (`attacks.gradient_of`).
      now: (steps since the last checkpoint, 0 where there is none; momentum).
    """
    since, momentum = now
    gradient, (value, fooled) = gradient_at(climb.at)
    here = climb.at, value, gradient
    top = choose(value > climb.top[1], here, climb.top)
    rises, due = climb.rises + (value > climb.value), since > 0
    halved = halves(rises, since, top[1], climb.best_before, climb.halved)
    back = due & halved  # to the image of the largest loss
    at, from_value, gradient = choose(back, top, here)
    step_size = jnp.where(back, climb.step_size / 2, climb.step_size)

    def inside(place):
        return clip_to_images(x, project(place - x, epsilon, norm))

    step = inside(at + per_image(step_size, x) * direction(gradient, norm))
    mixed = at + momentum * (step - at) + (1 - momentum) * (at - climb.before)
    return Climb(
        at=inside(mixed),
        before=at,
        value=from_value,
        top=top,
        found=keep_better(climb.found, (climb.at, value, fooled)),
        step_size=step_size,
        rises=jnp.where(due, 0, rises),
        best_before=jnp.where(due, top[1], climb.best_before),
        halved=jnp.where(due, halved, climb.halved),
    ), None
