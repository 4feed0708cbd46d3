"""PPO on a CPU: many rows are taken through the networks part by part, to the same numbers."""

import functools

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
    """Return random rows: ratios and changes of values on both sides of the clip."""
    rng = np.random.default_rng(num_rows)
    floats = rng.normal(size=(5, num_rows)).astype(np.float32)
    return ppo.Batch(
        obs=floats[0][:, None],
        action=rng.integers(0, 3, num_rows).astype(np.int32),
        log_prob=np.log(1 / 3) + 0.3 * floats[1],
        value=0.3 * floats[2],
        advantage=3 * floats[3] + 1,
        target=floats[4],
    )


@pytest.mark.parametrize(("num_rows", "num_parts"), [(8, 1), (12, 2), (24, 4), (13, 1)])
def test_the_gradient_of_equal_parts_is_that_of_all_rows(
    parts, params, num_rows, num_parts, monkeypatch
):
    batch, hyper = batch_of(num_rows), make_hyper("ppo", ent_coef=0.1)
    expected = jax.jit(functools.partial(ppo.gradient, parts))(params, batch, hyper)
    monkeypatch.setattr(ppo, "ROWS", 8)
    divided = functools.partial(ppo.gradient, parts)  # which is traced anew
    program = str(jax.make_jaxpr(divided)(params, batch, hyper))
    assert (f"length={num_parts}" in program) == (num_parts > 1)
    found = jax.jit(divided)(params, batch, hyper)
    assert 0 < found[1]["clipped"] < 1
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_advantages_are_centred_over_the_whole_minibatch(parts, params, monkeypatch):
    """Else what all of a part has in common would not count."""
    monkeypatch.setattr(ppo, "ROWS", 8)
    batch, hyper = batch_of(16), make_hyper("ppo", vf_coef=0.0)
    better = batch._replace(
        advantage=np.repeat(np.float32([-1, 1]), 8), action=np.repeat(np.int32([0, 1]), 8)
    )
    grads, _ = jax.jit(functools.partial(ppo.gradient, parts))(params, better, hyper)
    (bias,) = [leaf for leaf in jax.tree.leaves(grads) if leaf.shape == (3,)]
    assert bias[0] > 0.05 and bias[1] < -0.05  # of the loss: less of action 0, more of action 1


@pytest.mark.parametrize("num_steps", [2, 5, 7])
def test_values_of_some_steps_at_a_time_are_those_of_all(parts, params, num_steps, monkeypatch):
    obs = np.random.default_rng(0).normal(size=(num_steps, 3, 1)).astype(np.float32)
    expected = parts.net.apply(params, obs, method="value")
    monkeypatch.setattr(ppo, "ROWS", 6)  # two steps of three environments
    found = jax.jit(functools.partial(ppo.values_of, parts))(params, obs)
    assert found.shape == (num_steps, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(ppo, "ROWS", 2)  # less than one step has
    np.testing.assert_allclose(ppo.values_of(parts, params, obs), expected, rtol=1e-5, atol=1e-6)
