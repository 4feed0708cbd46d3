"""PPO on a CPU: many rows are taken through the networks part by part, to the same numbers."""

import functools
import re

import chex
import jax
import numpy as np
import pytest
from small import arms, make_config, make_hyper

from dla_jax.rl import ppo


@pytest.fixture(scope="module")
def parts():
    return ppo.make_parts(arms(), make_config("ppo", clip_vloss=True))


@pytest.fixture(scope="module")
def params(parts):
    return parts.net.init(jax.random.key(0), np.ones((1, 1), np.float32))


def batch_of(num_rows):
    """Return random rows [num_rows, ...], whose ratios lie on both sides of the clip."""
    rng = np.random.default_rng(num_rows)
    floats = rng.normal(size=(5, num_rows)).astype(np.float32)
    return ppo.Batch(
        obs=floats[0][:, None],
        action=rng.integers(0, 3, num_rows).astype(np.int32),
        log_prob=0.3 * floats[1] - np.float32(1.1),  # about that of one of three actions
        value=0.3 * floats[2],
        advantage=3 * floats[3] + 1,
        target=floats[4],
    )


def lengths_of_loops(function, *given):
    return re.findall(r"length=(\d+)", str(jax.make_jaxpr(function)(*given)))


@pytest.mark.parametrize(
    ("num_rows", "num_parts"),
    [(1, 1), (8, 1), (9, 1), (12, 2), (16, 2), (18, 2), (20, 4), (24, 4), (13, 1), (64, 8)],
)
def test_parts_are_equal_and_no_more_than_it_takes(num_rows, num_parts, monkeypatch):
    monkeypatch.setattr(ppo, "ROWS", 8)
    assert ppo.num_parts_of(num_rows) == num_parts
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert ppo.num_parts_of(num_rows) == 1


@pytest.mark.parametrize("num_parts", [2, 4])
def test_the_gradient_of_parts_is_that_of_all_rows(parts, params, num_parts, monkeypatch):
    batch, hyper = batch_of(24), make_hyper("ppo", ent_coef=0.1)
    whole = functools.partial(ppo.gradient, parts)
    assert lengths_of_loops(whole, params, batch, hyper) == []
    expected = jax.jit(whole)(params, batch, hyper)
    monkeypatch.setattr(ppo, "ROWS", 24 // num_parts)
    divided = functools.partial(ppo.gradient, parts)  # which is traced anew
    assert lengths_of_loops(divided, params, batch, hyper) == [str(num_parts)]
    found = jax.jit(divided)(params, batch, hyper)
    assert 0 < found[1]["clipped"] < 1
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-6)


def test_neither_the_unit_nor_the_mean_of_advantages_matters():
    """They are standardised over a whole minibatch: what all rows of a part share counts."""
    parts = ppo.make_parts(arms(), make_config("ppo", optim="sgd", clip_vloss=True))
    state = jax.jit(functools.partial(ppo.init, parts))(jax.random.key(0), make_hyper("ppo", lr=1))
    batch = jax.tree.map(lambda x: x.reshape(8, 4, *x.shape[1:]), batch_of(32))

    def learner(rows):
        learn = jax.jit(functools.partial(ppo.learn, parts))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ppo, "ROWS", rows)
            learn = learn.trace(state, batch, jax.random.key(0)).lower().compile()
        return functools.partial(learned, learn)

    def learned(learn, advantage):
        given = batch._replace(advantage=np.float32(advantage).reshape(8, 4))
        after, _ = learn(state, given, jax.random.key(0))
        return jax.device_get(after.params["params"]["actor"])

    advantage = np.repeat([-1.0, 2.0, 0.5, 3.0], 8)
    of_halves = learner(16)
    expected = of_halves(advantage)
    moved = jax.tree.map(lambda a, b: abs(a - b).max(), expected, state.params["params"]["actor"])
    assert max(jax.tree.leaves(moved)) > 0.01
    for found in (of_halves(100 * advantage + 7), learner(4)(advantage)):
        chex.assert_trees_all_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("num_steps", "rows", "loops"),
    [(7, 24, []), (8, 12, ["2"]), (7, 9, ["2"]), (7, 2, ["7"])],  # of three environments
)
def test_values_of_some_steps_at_a_time_are_those_of_all(
    parts, params, num_steps, rows, loops, monkeypatch
):
    obs = np.random.default_rng(0).normal(size=(num_steps, 3, 1)).astype(np.float32)
    expected = parts.net.apply(params, obs, method="value")
    monkeypatch.setattr(ppo, "ROWS", rows)
    values_of = functools.partial(ppo.values_of, parts)
    assert lengths_of_loops(values_of, params, obs) == loops
    found = jax.jit(values_of)(params, obs)
    assert found.shape == (num_steps, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert lengths_of_loops(functools.partial(ppo.values_of, parts), params, obs) == []
