"""Attacks on one trained network, many images at a time: one program an attack, for all epsilons.

A network is attacked in evaluation mode: BatchNorm has the statistics that training left.
"""

import functools

import jax
import numpy as np

from dla_jax.analysis import apgd, attacks, square
from dla_jax.studies.ood.detectors import AT_A_TIME, Network, by_parts

ATTACKS = ("fgsm", "rs_fgsm", "pgd", "pgd_l2", "apgd_ce", "apgd_dlr", "square")
BLIND = ("square",)  # they see no gradient
OTHER_BALLS = ("pgd_l2",)  # their change is bounded in another norm
FAST_STEP = 1.25  # of FGSM from a random start, in epsilons (Wong et al. 2020)


@functools.partial(jax.jit, static_argnames=("model", "attack", "restarts", "apgd_steps"))
def perturbed(
    variables, x, labels, targets, key, how: dict, *, model, attack, restarts, apgd_steps
) -> jax.Array:
    """Return attacked images float32 [B, H, W, C] in [0, 1].

    Args:
      x: float32 [B, H, W, C] in [0, 1].
      labels: int32 [B].
      targets: int32 [B], which the images shall be taken for; None: for any wrong class.
      how: {"epsilon", "epsilon_l2", "step_size" (in epsilons), "num_steps", "num_queries"}.
      attack: one of `ATTACKS`, or as labs B and D have it.
      restarts, apgd_steps: of PGD and APGD.
    """

    def forward(x):
        return model.apply(variables, x, train=False)[0]

    epsilon = how["epsilon"]
    if attack == "fgsm":
        return attacks.fgsm(forward, x, labels, epsilon, targets=targets)
    if attack == "rs_fgsm":
        return attacks.rs_fgsm(forward, x, labels, key, epsilon, FAST_STEP * epsilon)
    if attack == "square":
        return square.square(forward, x, labels, key, epsilon, how["num_queries"])
    if attack.startswith("apgd"):
        loss = attack.removeprefix("apgd_")
        return apgd.apgd(forward, x, labels, key, epsilon, num_steps=apgd_steps, loss=loss)
    if attack == "lab_b":
        return attacks.fgsm_as_implemented(forward, x, labels, epsilon)
    if attack == "lab_d_targeted":
        return attacks.targeted_fgsm_as_implemented(forward, x, targets, epsilon)
    norm = "l2" if attack == "pgd_l2" else "linf"
    epsilon = how["epsilon_l2"] if norm == "l2" else epsilon
    return attacks.pgd(
        forward,
        x,
        labels,
        key,
        epsilon,
        how["step_size"] * epsilon,
        how["num_steps"],
        norm=norm,
        restarts=restarts,
        targets=targets,
    )


@functools.partial(jax.jit, static_argnames="model")
def logits_of(variables, x, *, model) -> jax.Array:
    """Return the logits float32 [B, C] of images float32 [B, H, W, C] in [0, 1]."""
    return model.apply(variables, x, train=False)[0]


@functools.partial(jax.jit, static_argnames="model")
def saliency_of(variables, x, labels, *, model) -> jax.Array:
    """Return the gradient of the cross-entropy by each pixel: float32 [B, H, W, C]."""

    def loss(x):
        logits = model.apply(variables, x, train=False)[0]
        return attacks.cross_entropy(logits, labels).sum()

    return jax.grad(loss)(x)


def as_floats(images: np.ndarray) -> np.ndarray:
    """Return images uint8 as float32 in [0, 1]."""
    return images.astype(np.float32) / 255


def attack_images(
    config,
    network: Network,
    x: np.ndarray,
    labels: np.ndarray,
    attack: str,
    *,
    epsilon: float | None = None,
    targets: np.ndarray | None = None,
    restarts: int | None = None,
) -> np.ndarray:
    """Return attacked images float32 [N, H, W, C], a part at a time, all of one shape.

    Args:
      config: of the study.
      x: float32 [N, H, W, C] in [0, 1].
      labels: int32 [N].
      attack: as `perturbed` has it.
      epsilon: None for that of the config.
      targets: int32 [N], or None.
      restarts: of PGD; None for those of the config.
    """
    how = {
        "epsilon": config.epsilon if epsilon is None else epsilon,
        "epsilon_l2": config.epsilon_l2,
        "step_size": config.step_size,
        "num_steps": config.num_steps,
        "num_queries": config.num_queries,
    }
    restarts = config.num_restarts if restarts is None else restarts
    if attack not in ("pgd", "pgd_l2"):
        restarts = 1  # it has none, and one program is enough
    static = {"restarts": restarts, "apgd_steps": config.num_apgd_steps}
    key = jax.random.key(network.row["seed"])

    def work(part: np.ndarray):
        own = jax.random.fold_in(key, int(part[0]))  # random starts of its own
        aimed = None if targets is None else targets[part]
        return perturbed(
            network.variables,
            x[part],
            labels[part],
            aimed,
            own,
            how,
            model=network.model,
            attack=attack,
            **static,
        )

    return by_parts(work, np.arange(len(x)), axis=0, size=part_of(config))


def part_of(config) -> int:
    """Return how many images are attacked together, few or many: one shape, one program."""
    return min(AT_A_TIME, config.num_images)


def predicted(config, network: Network, x: np.ndarray) -> np.ndarray:
    """Return the class that each image float32 [N, H, W, C] is taken for: int [N]."""
    return classified(config, network, x).argmax(-1)


def classified(config, network: Network, x: np.ndarray) -> np.ndarray:
    """Return the logits float32 [N, C] of images float32 [N, H, W, C]."""

    def work(part: np.ndarray):
        return logits_of(network.variables, x[part], model=network.model)

    return by_parts(work, np.arange(len(x)), axis=0, size=part_of(config))
