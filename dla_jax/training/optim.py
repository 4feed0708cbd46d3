"""Optimisers and learning-rate schedules, all from optax, with a learning rate that is traced.

The peak learning rate lives in the optimiser's state (`optax.inject_hyperparams`), so a grid of
learning rates shares one compiled step; schedules are shapes in [0, 1] that multiply it.
"""

import collections
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from dla_jax.config.checks import check, check_number, check_rules, choice, number, optional

OPTIMISERS = ("sgd", "adam", "adamw", "lion")
DECOUPLED = ("adamw", "lion")  # whose weight decay is no part of the gradient
SCHEDULES = ("constant", "cosine", "linear", "one_cycle", "multi_step")
DECAYED = ("all", "kernels")


def check_milestones(key: str, fractions) -> None:
    """Raise ConfigError unless all fractions lie between 0 and 1; there may be none."""
    for fraction in fractions:
        check_number(key, fraction, above=0, below=1)


RULES = {
    "name": choice(OPTIMISERS),
    "schedule": choice(SCHEDULES),
    "decayed": choice(DECAYED),
    "lr": optional(number(above=0)),
    "momentum": number(low=0, below=1),
    "b1": number(low=0, below=1),
    "b2": number(low=0, below=1),
    "eps": number(above=0),
    "weight_decay": number(low=0),
    "clip_norm": number(low=0),
    "warmup_fraction": number(low=0, below=1),
    "decay_factor": number(above=0, high=1),
    "milestones": check_milestones,
}


def check_optim(config) -> None:
    """Raise ConfigError when a key of `config.optim` is out of range."""
    check_rules(config, RULES, prefix="optim.")
    check(
        config.schedule != "one_cycle" or config.warmup_fraction > 0,
        "optim.warmup_fraction: 0 with schedule one_cycle, whose first part is the warm-up; "
        "0.3 is usual",
    )


def make_schedule(config, num_steps: int) -> Callable[[jax.Array], jax.Array]:
    """Return the schedule as a shape: step (int32 []) -> fraction of the peak learning rate.

    The fraction is float32 [] in [0, 1]. `warmup_fraction` of the steps rise linearly from 0
    (except for `one_cycle`, see there); then `constant` stays at 1; `cosine` falls to 0 (Loshchilov
    and Hutter 2017, arXiv:1608.03983), `linear` falls to 0 in a line; `multi_step` multiplies by
    `decay_factor` at each of `milestones`, fractions of all steps (He et al. 2015,
    arXiv:1512.03385).
    """
    warmup_steps = round(config.warmup_fraction * num_steps)
    main_steps = max(1, num_steps - warmup_steps)
    if config.schedule == "one_cycle":
        return one_cycle(num_steps, config.warmup_fraction)
    if config.schedule == "multi_step":
        drops = collections.defaultdict(lambda: 1.0)
        for fraction in config.milestones:  # two may fall on one step
            drops[round(fraction * num_steps) - warmup_steps] *= config.decay_factor
        main = optax.piecewise_constant_schedule(1.0, drops)
    elif config.schedule == "cosine":
        main = optax.cosine_decay_schedule(1.0, main_steps)
    elif config.schedule == "linear":
        main = optax.linear_schedule(1.0, 0.0, main_steps)
    else:
        main = optax.constant_schedule(1.0)
    if not warmup_steps:
        return main
    warmup = optax.linear_schedule(0.0, 1.0, warmup_steps)
    return optax.join_schedules([warmup, main], [warmup_steps])


def one_cycle(num_steps: int, warmup_fraction: float) -> Callable[[jax.Array], jax.Array]:
    """Return the learning rate of PyTorch's OneCycleLR, by its defaults, as a shape.

    (Smith and Topin 2018, arXiv:1708.07120.) A cosine from 1/25 at step 0 to 1 at step
    `warmup_fraction * num_steps - 1`, which need not be whole, and one from there to 4e-6, a
    10,000th of the start, at the last step, `num_steps - 1`; the end is kept after it. Where the
    first part has no length, as in a run of a few steps, the second starts at or before step 0.
    PyTorch's also moves momentum, or b1, from .95 to .85 and back (`cycle_momentum`); here it stays
    as the config has it.
    """
    start, end = 1 / 25, 1 / 25 / 10_000
    peak = warmup_fraction * num_steps - 1

    def shape(step):
        step = jnp.minimum(jnp.asarray(step, jnp.float32), num_steps - 1)
        # sin² and cos² of half the angle: (1 - cos) / 2 and (1 + cos) / 2 lose digits near 0
        fall = end + (1 - end) * jnp.cos(jnp.pi / 2 * (step - peak) / (num_steps - 1 - peak)) ** 2
        if peak <= 0:
            return fall
        rise = start + (1 - start) * jnp.sin(jnp.pi / 2 * step / peak) ** 2
        return jnp.where(step <= peak, rise, fall)

    return shape


def make_optimiser(config, num_steps: int) -> optax.GradientTransformation:
    """Chain clipping by global norm and the named optimiser, at `peak lr * schedule(step)`.

    `weight_decay` is added to the gradient for `sgd` and `adam` (as PyTorch does) and decoupled for
    `adamw` and `lion` (Loshchilov and Hutter 2019, arXiv:1711.05101; Chen et al. 2023,
    arXiv:2302.06675), on all parameters or, `decayed` being "kernels", not on biases and norms
    (Devlin et al. 2019). `clip_norm` 0 switches clipping off.

    Returns:
      A transformation whose state holds the peak learning rate, `config.lr` or 0: set it with
      `set_learning_rate`.
    """
    shape = make_schedule(config, num_steps)

    def chain(lr):
        rule = _rule(config, lambda step: lr * shape(step))
        if not config.clip_norm:
            return optax.chain(*rule)
        # Checkpoints have a place for a clipping without state before the norm.
        return optax.chain(optax.identity(), _clip(config.clip_norm), *rule)

    return optax.inject_hyperparams(chain)(lr=config.lr or 0.0)


def _clip(max_norm: float) -> optax.GradientTransformation:
    """Clip by global norm (Pascanu et al. 2013), and keep the norm that is left in the state.

    It does as `optax.clip_by_global_norm`. What is left is the norm where that is below `max_norm`,
    else `max_norm`: no second sum over all of the gradient.
    """
    clip = optax.clip_by_global_norm(max_norm)

    def init(params):
        return optax.SnapshotState({"clipped_norm": optax.tree.norm(params)})

    def update(grads, state, params=None):
        del state
        norm = optax.tree.norm(grads)
        # norm / norm: not a number where the gradient is not finite, as the clipped one is not
        left = jnp.where(norm < max_norm, norm, norm / norm * max_norm)
        return clip.update(grads, clip.init(params))[0], optax.SnapshotState({"clipped_norm": left})

    return optax.GradientTransformation(init, update)


def _rule(config, rate: Callable) -> tuple[optax.GradientTransformation, ...]:
    """Return the named optimiser with its weight decay, at `rate(step)`."""
    mask = decayed_kernels if config.decayed == "kernels" else None
    decay = {"weight_decay": config.weight_decay, "mask": mask}
    optimisers = {
        "sgd": lambda: optax.sgd(rate, config.momentum or None, nesterov=config.nesterov),
        "adam": lambda: optax.adam(rate, config.b1, config.b2, config.eps),
        "adamw": lambda: optax.adamw(rate, config.b1, config.b2, config.eps, **decay),
        "lion": lambda: optax.lion(rate, config.b1, config.b2, **decay),
    }
    optimiser = optimisers[config.name]()
    if config.name in DECOUPLED:
        return (optimiser,)
    coupled = optax.add_decayed_weights(**decay) if config.weight_decay else optax.identity()
    return coupled, optimiser


def decayed_kernels(params) -> dict:
    """Mark kernels and embeddings, no biases and nothing of a norm: a tree of bools."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key in ("kernel", "embedding"), params
    )


def set_learning_rate(opt_state, lr: float):
    """Return the optimiser's state with another peak learning rate.

    It is a traced leaf, so nothing new is compiled.

    Raises:
      ConfigError: the optimiser was not made by `make_optimiser`, and keeps no such leaf.
    """
    check(
        "lr" in getattr(opt_state, "hyperparams", {}),
        f"lr: {lr} cannot be set in this optimiser; give it to the optimiser, as in "
        "optax.adam(1e-3), and leave lr out, or take optim.make_optimiser",
    )
    hyperparams = opt_state.hyperparams | {"lr": jnp.asarray(lr, jnp.float32)}
    return opt_state._replace(hyperparams=hyperparams)


def clipped_norm(opt_state) -> dict[str, jax.Array]:
    """Return {"clipped_norm": global norm of the last gradient as clipping left it, float32 []}.

    Empty where nothing is clipped.
    """
    norm = optax.tree.get(opt_state, "clipped_norm", default=None)
    return {} if norm is None else {"clipped_norm": norm}
