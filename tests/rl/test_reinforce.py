"""REINFORCE against numbers in closed form: its gradient, its ways to act, returns, advantages."""

import functools

import jax
import numpy as np
import pytest
from small import arms, make_agent, make_hyper, quickly_compiled, softmax

from dla_jax.rl import episodes
from dla_jax.rl.episodes import Episodes
from dla_jax.rl.reinforce import normalised, returns_of

LOGITS = np.array([1.0, 0.0, -0.5])


@pytest.fixture
def short_blocks(monkeypatch):
    """Play and learn from blocks of 2 steps, not of 32, most of which would be idle here."""
    monkeypatch.setattr(episodes, "BLOCK", 2)


def with_logits(state, logits=LOGITS):
    """Return a policy without hidden layers that has these logits in the only state."""
    actor = {"kernel": np.zeros((1, 3), np.float32), "bias": np.float32(logits)}
    return state._replace(params={"params": state.params["params"] | {"actor": actor}})


@functools.cache
def bandit(baseline, block):
    """Return (init, update); `block` is `episodes.BLOCK`, which both are traced with."""
    own = {"num_envs": 8000, "baseline": baseline}
    agent = make_agent("reinforce", arms(), hidden=(), optim="sgd", **own)
    return quickly_compiled(agent.init), quickly_compiled(agent.update)


def first_update(baseline="none", logits=LOGITS, **hyper):
    """Return how far 8000 episodes move the logits, and the metrics."""
    init, update = bandit(baseline, episodes.BLOCK)
    state = init(jax.random.key(1), make_hyper("reinforce", lr=1.0, **hyper))
    after, metrics = update(with_logits(state, logits))
    return np.asarray(after.params["params"]["actor"]["bias"]) - logits, jax.device_get(metrics)


def check_first_update(baseline, temperature):
    """Compare it with the gradient of p_2, the probability of the arm that pays.

    That is p_2 (e_2 - p) / temperature.
    """
    moved, metrics = first_update(
        baseline, temperature_start=temperature, temperature_end=temperature
    )
    p = softmax(LOGITS / temperature)
    np.testing.assert_allclose(moved, p[2] * (np.eye(3)[2] - p) / temperature, atol=0.015)
    assert metrics["return_sum"] / 8000 == pytest.approx(p[2], abs=0.02)
    assert metrics["entropy"] == pytest.approx(-(p * np.log(p)).sum(), rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_policy_gradient_is_that_of_the_expected_return(temperature, short_blocks):
    check_first_update("none", temperature)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_so_it_is_with_the_mean_as_a_baseline_and_blocks_far_longer_than_episodes(temperature):
    assert episodes.BLOCK == 32, "blocks are those of a study"
    check_first_update("mean", temperature)


def test_the_entropy_bonus_flattens_the_policy(short_blocks):
    gain = lambda weight: first_update(ent_coef=weight)[0]
    p = softmax(LOGITS)
    entropy = -(p * np.log(p)).sum()
    np.testing.assert_allclose(gain(2.0) - gain(0.0), -2.0 * p * (np.log(p) + entropy), atol=1e-4)


@pytest.mark.parametrize(("greedy", "paid"), [(0.0, 1 / 3), (1.0, 1.0), (0.4, 0.4 + 0.6 / 3)])
def test_the_labs_way_plays_the_likeliest_or_any_action(greedy, paid, short_blocks):
    manner = {"mixture": 1.0, "greedy_start": greedy, "greedy_end": greedy}
    _, metrics = first_update(logits=np.array([0.0, 0.1, 0.3]), **manner)
    assert metrics["return_sum"] / metrics["length_sum"] == pytest.approx(paid, abs=0.02)


def columns(*rows):
    return np.array(rows).T


def test_returns_of_episodes_stop_at_their_end():
    """Three episodes of four rows, gamma 1/2.

    One ends, one is cut off after two steps in a state worth 8, one in its last row.
    """
    alive = columns([1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]).astype(bool)
    reward = columns([1, 2, 4, 99], [1, 2, 99, 99], [1, 1, 1, 1]).astype(np.float32)
    terminated = columns([0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]).astype(bool)
    truncated = columns([0, 0, 0, 1], [0, 1, 1, 0], [0, 0, 0, 1]).astype(bool)
    played = Episodes(None, None, reward, terminated, truncated, alive)
    found = quickly_compiled(returns_of)(played, np.full(3, 8, np.float32), 0.5)
    want = columns([3.0, 4, 4, 0], [4.0, 6, 0, 0], [1.875 + 0.5, 1.75 + 1, 1.5 + 2, 5])
    np.testing.assert_allclose(np.where(alive, found, 0), want)


def test_advantages_are_normalised_over_living_rows():
    rng = np.random.default_rng(0)
    advantage = rng.normal(3, 2, (6, 3)).astype(np.float32)
    alive = np.arange(6)[:, None] < np.array([6, 2, 4])
    given = np.where(alive, advantage, np.float32(1e6))
    compiled = quickly_compiled(normalised, static_argnums=(2, 3))
    of = lambda how, centre=False: np.asarray(compiled(given, alive, how, centre))
    np.testing.assert_array_equal(of("none")[alive], advantage[alive])
    centred = advantage[alive] - advantage[alive].mean()
    np.testing.assert_allclose(of("none", centre=True)[alive], centred, rtol=1e-4, atol=1e-5)
    batch = of("batch")[alive]
    np.testing.assert_allclose([batch.mean(), batch.std()], [0, 1], atol=1e-5)
    for e in range(3):
        one = of("episode")[alive[:, e], e]
        np.testing.assert_allclose([one.mean(), one.std()], [0, 1], atol=1e-5)
