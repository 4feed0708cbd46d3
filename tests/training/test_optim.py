"""Optimisers follow their textbook rules, and schedules their closed forms."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from dla_jax.config.checks import ConfigError
from dla_jax.training.optim import (
    DECAYED,
    OPTIMISERS,
    check_optim,
    clipped_norm,
    make_optimiser,
    make_schedule,
    set_learning_rate,
)


def make_config(**changes):
    config = ConfigDict(
        {
            "name": "sgd",
            "lr": 0.1,
            "schedule": "constant",
            "warmup_fraction": 0.0,
            "milestones": (0.5, 0.75),
            "decay_factor": 0.1,
            "momentum": 0.9,
            "nesterov": False,
            "b1": 0.9,
            "b2": 0.99,
            "eps": 1e-8,
            "weight_decay": 0.0,
            "decayed": "all",
            "clip_norm": 0.0,
        }
    )
    config.update(changes)
    return config


PARAMS = np.array([1.0, -2.0, 3.0])
GRADS = np.array([[0.5, -1.0, 2.0], [1.0, 1.0, -1.0], [0.1, 0.2, -0.3]])


def ours(config, lr=None):
    tx = make_optimiser(config, 10)
    params = jnp.asarray(PARAMS, jnp.float32)
    state = tx.init(params)
    if lr is not None:
        state = set_learning_rate(state, lr)
    for g in GRADS:
        updates, state = tx.update(jnp.asarray(g, jnp.float32), state, params)
        params = optax.apply_updates(params, updates)
    return np.asarray(params)


def by_hand(config):
    """Take the steps by the textbook rules in numpy."""
    p, m, v = PARAMS.copy(), np.zeros(3), np.zeros(3)
    c, lr, decay = config, config.lr, config.weight_decay
    for t, g in enumerate(GRADS, 1):
        if config.clip_norm:
            g = g * min(1, config.clip_norm / np.linalg.norm(g))
        if c.name == "sgd":
            g = g + decay * p
            m = c.momentum * m + g
            p = p - lr * (g + c.momentum * m if c.nesterov else m)
        elif c.name in ("adam", "adamw"):
            shrink = decay * p if c.name == "adamw" else 0
            g = g + (decay * p if c.name == "adam" else 0)
            m, v = c.b1 * m + (1 - c.b1) * g, c.b2 * v + (1 - c.b2) * g * g
            p = p - lr * (m / (1 - c.b1**t) / (np.sqrt(v / (1 - c.b2**t)) + c.eps) + shrink)
        else:  # Lion: the sign of an interpolation, decoupled decay
            p = p - lr * (np.sign(c.b1 * m + (1 - c.b1) * g) + decay * p)
            m = c.b2 * m + (1 - c.b2) * g
    return p


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize(
    "changes",
    [{}, {"weight_decay": 0.1}, {"clip_norm": 1.0}, {"weight_decay": 0.1, "clip_norm": 0.5}],
)
def test_optimisers_follow_their_textbook_rule(name, changes):
    config = make_config(name=name, **changes)
    np.testing.assert_allclose(ours(config), by_hand(config), rtol=1e-5)


def test_nesterov():
    config = make_config(nesterov=True)
    np.testing.assert_allclose(ours(config), by_hand(config), rtol=1e-5)


def test_the_learning_rate_in_the_state_is_the_one_used():
    config = make_config(name="adam")
    expected = by_hand(make_config(name="adam", lr=0.02))
    np.testing.assert_allclose(ours(config, lr=0.02), expected, rtol=1e-5)


# A parameter of 2 after one step against a gradient of -0.5, at a learning rate of 0.1 and a weight
# decay of 0.5, which adds 1: (with, without decay). sgd: 2 - 0.1 * (-0.5 + 1), 2 - 0.1 * -0.5.
# adam's first step has the length of the learning rate, and the sign of the sum or of the gradient.
# adamw and lion: 2 - 0.1 * (-1 + 1), 2 - 0.1 * -1.
ONE_STEP = {"sgd": (1.95, 2.05), "adam": (1.9, 2.1), "adamw": (2.0, 2.1), "lion": (2.0, 2.1)}


@pytest.mark.parametrize("decayed", DECAYED)
@pytest.mark.parametrize("name", OPTIMISERS)
def test_weight_decay_reaches_the_kernels_alone_or_all(name, decayed):
    tx = make_optimiser(make_config(name=name, weight_decay=0.5, decayed=decayed), 10)
    params = {
        "embed": {"embedding": np.full(2, 2, np.float32)},
        "dense": {"kernel": np.full((2, 3), 2, np.float32), "bias": np.full(3, 2, np.float32)},
        "norm": {"scale": np.full(3, 2, np.float32), "bias": np.full(3, 2, np.float32)},
    }
    grads = jax.tree.map(lambda leaf: np.full_like(leaf, -0.5), params)

    @jax.jit
    def step(params):
        updates, _ = tx.update(grads, tx.init(params), params)
        return optax.apply_updates(params, updates)

    stepped = step(params)
    with_decay, without = ONE_STEP[name]
    spared = with_decay if decayed == "all" else without
    for layer, leaf, expected in (
        ("embed", "embedding", with_decay),
        ("dense", "kernel", with_decay),
        ("dense", "bias", spared),
        ("norm", "scale", spared),
        ("norm", "bias", spared),
    ):
        np.testing.assert_allclose(stepped[layer][leaf], expected, rtol=1e-5, err_msg=leaf)


CLIPPED = make_optimiser(make_config(momentum=0.0, clip_norm=2.0, lr=1.0), 10)
USUAL = optax.chain(optax.clip_by_global_norm(2.0), optax.sgd(1.0))


@functools.cache
def update_of(tx):
    """Return the update of an optimiser, compiled once."""
    return jax.jit(tx.update)


@pytest.mark.parametrize("scale", [1e-3, 0.2, 1.0, 30.0])
def test_clipping_is_optaxs_and_its_norm_that_of_what_is_left(scale):
    rng = np.random.default_rng(0)
    grads = {name: np.float32(scale * rng.normal(size=50)) for name in "ab"}
    before = jax.tree.map(np.ones_like, grads)
    updates, state = update_of(CLIPPED)(grads, CLIPPED.init(before), before)
    expected, _ = update_of(USUAL)(grads, USUAL.init(before), before)
    jax.tree.map(np.testing.assert_array_equal, updates, expected)
    left = optax.tree.norm(updates)
    np.testing.assert_allclose(clipped_norm(state)["clipped_norm"], left, rtol=1e-6)
    assert left <= 2.0 * (1 + 1e-6) and (scale < 0.1) == (left < 1.9)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_clipped_norm_of_a_gradient_that_is_not_finite_is_no_number(bad):
    tx = make_optimiser(make_config(clip_norm=2.0), 10)
    grads = {"a": jnp.array([1.0, bad])}
    assert np.isnan(clipped_norm(tx.update(grads, tx.init(grads), grads)[1])["clipped_norm"])


def test_learning_rates_share_one_trace():
    tx = make_optimiser(make_config(name="adam"), 10)
    params = jnp.ones(3)

    @jax.jit
    @chex.assert_max_traces(1)
    def step(state):
        return tx.update(params, state, params)[0]

    first, second = (step(set_learning_rate(tx.init(params), lr)) for lr in (0.1, 0.2))
    np.testing.assert_allclose(2 * first, second, rtol=1e-6)


def shape_of(num_steps=100, **changes):
    schedule = make_schedule(make_config(**changes), num_steps)
    return np.array([schedule(step) for step in range(num_steps)])


def test_schedules_have_their_closed_form():
    steps = np.arange(100)
    cosine = (1 + np.cos(np.pi * steps / 100)) / 2
    drops = np.select([steps < 50, steps < 75], [1, 0.1], 0.01)
    np.testing.assert_allclose(shape_of(schedule="constant"), 1)
    np.testing.assert_allclose(shape_of(schedule="linear"), 1 - steps / 100, atol=1e-6)
    np.testing.assert_allclose(shape_of(schedule="cosine"), cosine, atol=1e-6)
    np.testing.assert_allclose(shape_of(schedule="multi_step"), drops, rtol=1e-5)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "multi_step"])
def test_warm_up_is_linear_and_leaves_the_milestones_where_they_are(schedule):
    shape = shape_of(schedule=schedule, warmup_fraction=0.2)
    np.testing.assert_allclose(shape[:21], np.arange(21) / 20, atol=1e-6)
    if schedule == "multi_step":
        np.testing.assert_allclose(shape[[49, 50, 74, 75]], [1, 0.1, 0.1, 0.01], rtol=1e-5)
    if schedule == "cosine":
        np.testing.assert_allclose(shape[60], 0.5, atol=1e-6)


# What torch.optim.lr_scheduler.OneCycleLR(max_lr=1) gives at every step:
# {(total_steps, pct_start): fractions of the peak}.
TORCH = {
    (10, 0.3): [0.04, 0.52, 1, 0.950485, 0.811746, 0.611262, 0.388742, 0.188258, 0.0495194, 4e-6],
    (7, 0.25): [0.04, 0.9944154355, 0.8665264698, 0.6112620219, 0.3173322185, 0.08688426532, 4e-6],
    (5, 0.05): [0.9397371167, 0.7008489089, 0.3772597474, 0.1054333236, 4e-6],
    (4, 0.5): [0.04, 1, 0.500002, 4e-6],
    (4, 0.3): [0.04, 0.8117456539, 0.2830609982, 4e-6],
    (3, 0.3): [0.9944154355, 0.4626371027, 4e-6],
    (2, 0.3): [0.8117456539, 4e-6],
    (1, 0.3): [4e-6],
}


@pytest.mark.parametrize("num_steps, fraction", TORCH)
def test_one_cycle_is_pytorchs(num_steps, fraction):
    shape = shape_of(num_steps, schedule="one_cycle", warmup_fraction=fraction)
    np.testing.assert_allclose(shape, TORCH[num_steps, fraction], rtol=2e-5)


@pytest.mark.parametrize("num_steps, fraction", [(100, 0.3), (1000, 0.1), (20_000, 0.3), (12, 0.9)])
def test_one_cycle_has_its_closed_form(num_steps, fraction):
    steps, top, last = np.arange(num_steps, dtype=float), fraction * num_steps - 1, num_steps - 1

    def cosine(start, end, part):
        return end + (start - end) / 2 * (1 + np.cos(np.pi * part))

    rise = cosine(1 / 25, 1, steps / top)
    fall = cosine(1, 4e-6, (steps - top) / (last - top))
    expected = np.where(steps <= top, rise, fall)
    config = make_config(schedule="one_cycle", warmup_fraction=fraction)
    schedule = jax.jit(jax.vmap(make_schedule(config, num_steps)))
    shape = np.asarray(schedule(jnp.arange(num_steps)))
    np.testing.assert_allclose(shape, expected, rtol=1e-3, atol=1e-9)
    assert shape[-1] == pytest.approx(4e-6, rel=1e-5) and shape.max() <= 1


def test_one_cycle_keeps_its_end_and_has_a_value_however_few_the_steps():
    # among them a quarter of four steps: a first part of no length
    for num_steps, fraction in itertools.product(range(1, 9), (0.125, 0.25, 0.3, 0.5, 0.99)):
        config = make_config(schedule="one_cycle", warmup_fraction=fraction)
        schedule = make_schedule(config, num_steps)
        shape = np.array([schedule(step) for step in range(num_steps + 3)])
        assert ((shape > 0) & (shape <= 1)).all(), (num_steps, fraction)
        np.testing.assert_allclose(shape[num_steps - 1 :], 4e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "key, value",
    [
        ("name", "adamm"),
        ("schedule", "cosin"),
        ("lr", 0.0),
        ("lr", -1.0),
        ("lr", float("nan")),
        ("momentum", 1.0),
        ("b2", -0.1),
        ("weight_decay", -1.0),
        ("clip_norm", -1.0),
        ("milestones", (1.5,)),
        ("decay_factor", 0.0),
    ],
)
def test_values_out_of_range_are_named(key, value):
    with pytest.raises(ConfigError, match=f"optim.{key}"):
        check_optim(make_config(**{key: value}))


def test_one_cycle_without_warm_up_is_refused():
    with pytest.raises(ConfigError, match="warmup_fraction"):
        check_optim(make_config(schedule="one_cycle"))
