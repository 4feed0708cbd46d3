"""Critics and policies of PPO and REINFORCE: values at time limits, actions that are learned."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import (
    arms,
    clock,
    make_agent,
    make_config,
    make_hyper,
    quickly_compiled,
    run,
    softmax,
    table,
)

from dla_jax.rl import episodes, ppo
from dla_jax.training.optim import set_learning_rate


@pytest.fixture
def short_blocks(monkeypatch):
    """Let REINFORCE play blocks of 4 steps, not of 32, most of which would be idle here."""
    monkeypatch.setattr(episodes, "BLOCK", 4)


def two_worlds():
    """Return an environment of two kinds of episodes, each of three steps.

    The one goes from state 0 for nothing to state 1, which gives 1 a step. The other stays in
    state 2, which gives 1 a step as well, and its time limit is an end.
    """
    env = table([[1], [1], [2]], [[0.0], [1.0], [1.0]], limit=3)

    def reset(key):
        at = 2 * jax.random.bernoulli(key).astype(jnp.int32)
        return jax.nn.one_hot(at, 3), (at, jnp.int32(0))

    def step(key, state, action):
        obs, after, reward, _, cut = env.step(key, state, action)
        return obs, after, reward, cut & (state[0] == 2), cut

    return env._replace(reset=reset, step=step)


@pytest.mark.parametrize("name", ["ppo", "reinforce"])
def test_critics_at_a_time_limit_and_at_an_end(name, short_blocks):
    """With bootstrap state 1 is worth 1 / (1 - gamma); state 2 never is."""
    own = {"num_steps": 9} if name == "ppo" else {}
    agent = make_agent(name, two_worlds(), hidden=(), **own)
    hypers = [
        make_hyper(name, gamma=gamma, bootstrap=bootstrap, gae_lambda=1.0, lr=0.05)
        for gamma in (0.9, 0.5)
        for bootstrap in (1.0, 0.0)
    ]
    _, params, _ = run(agent, hypers, 500 if name == "reinforce" else 200)
    values = params["critic"]["kernel"][..., 0] + params["critic"]["bias"]
    ended = {gamma: (3 + 2 * gamma + gamma**2) / 3 for gamma in (0.9, 0.5)}
    want = [
        [9, 10, ended[0.9]],
        [0.9 + 0.81, (1 + 1.9) / 2, ended[0.9]],
        [1, 2, ended[0.5]],
        [0.5 + 0.25, (1 + 1.5) / 2, ended[0.5]],
    ]
    np.testing.assert_allclose(values, want, rtol=0.06)


@functools.cache
def learner(clip_vloss):
    """Return (the parts of a PPO that goes through all rows 60 times, its compiled `learn`)."""
    own = {"update_epochs": 60, "num_minibatches": 1, "clip_vloss": clip_vloss}
    parts = ppo.make_parts(clock(4), make_config("ppo", hidden=(), optim="sgd", **own))
    return parts, quickly_compiled(functools.partial(ppo.learn, parts))


def learned(clip_vloss=False, logits=(0, 0), ent_coef=0.0, lr=0.01, **rows):
    """Return (logits, value) of the only state after PPO has learned from rows; it was worth 0.

    Half of the actions are 0, half are 1.
    """
    parts, learn = learner(clip_vloss)
    layer = lambda bias: {"kernel": np.zeros((1, len(bias)), np.float32), "bias": np.float32(bias)}
    params = {"params": {"actor": layer(logits), "critic": layer([0])}}
    opt_state = set_learning_rate(parts.tx.init(params), np.float32(lr))
    known = {"params": params, "opt_state": opt_state}
    known["hyper"] = make_hyper("ppo", ent_coef=ent_coef)
    action, ones = np.tile(np.int32([0, 1]), (8, 2)), np.ones((8, 4), np.float32)
    log_prob = np.log(softmax(np.float32(logits)))[action]
    batch = ppo.Batch(ones[..., None], action, log_prob, *np.float32([0 * ones] * 3))
    batch = batch._replace(**{name: np.float32(given(action)) for name, given in rows.items()})
    state = ppo.State(**dict.fromkeys(ppo.State._fields) | known)
    found = learn(state, batch, jax.random.key(0))[0].params["params"]
    return tuple(np.ravel(found[of]["kernel"] + found[of]["bias"]) for of in ("actor", "critic"))


def test_a_clipped_value_moves_by_little_more_than_the_clip():
    """Far below its target it goes on until it has moved by 0.2, and without clipping further."""
    moved = [
        learned(clip, target=lambda action: 3 + 0 * action)[1].item() for clip in (True, False)
    ]
    assert 0.2 <= moved[0] < 0.3 and moved[1] > 0.6


def test_ppo_comes_to_what_was_better_unless_entropy_pays_more():
    """What was better becomes likelier until its ratio is a little more than 1.2."""
    better = lambda action: 2 * action - 1
    # With these rates it is so far after a half of the steps or more, the last of which is 0.02.
    for logits, lr in (((0, 0), 0.01), ((0, 1), 0.05)):
        likelier = 1.2 * softmax(np.float64(logits))[1]
        clipped = np.log(likelier / (1 - likelier))
        (rest, liked), _ = learned(logits=logits, lr=lr, advantage=better)
        assert clipped - 1e-4 < liked - rest < clipped + 0.02, "until the ratio is clipped"
        (rest, liked), _ = learned(logits=logits, advantage=better, ent_coef=10.0)
        assert abs(liked - rest) < 0.3
    (rest, liked), _ = learned(logits=(0, 1))
    assert liked - rest == pytest.approx(1)


@pytest.mark.slow  # the test above looks at the loss, that of continuous policies at the loop
def test_ppo_learns_the_arm_that_pays_unless_entropy_pays_more():
    agent = make_agent("ppo", arms(), hidden=())
    hypers = [make_hyper("ppo", lr=0.05, ent_coef=ent_coef) for ent_coef in (0.0, 10.0)]
    _, params, metrics = run(agent, hypers, 40)
    actor = params["actor"]
    logits = np.asarray(actor["bias"] + actor["kernel"][:, 0], np.float64)
    for run_logits, entropy, learned in zip(logits, metrics["entropy"], (True, False), strict=True):
        assert (softmax(run_logits)[2] > 0.9) == learned
        assert (float(entropy) > 0.9 * np.log(3)) == (not learned)


@pytest.mark.parametrize(("name", "updates"), [("ppo", 120), ("reinforce", 300)])
def test_a_continuous_policy_finds_its_best_action(name, updates, short_blocks):
    env = table([[0]], lambda action: 1 - (action - 0.5) ** 2, limit=2, continuous=True)
    own = {"num_envs": 16}
    if name == "ppo":
        own = {"normalise_obs": True, "normalise_reward": True, "clip_vloss": True}
    agent = make_agent(name, env, hidden=(), **own)
    states, *_ = run(agent, make_hyper(name, lr=0.02), updates)
    act = lambda state: agent.act(agent.actor(state), jnp.ones((1, 1)))
    best = quickly_compiled(jax.vmap(act))(states)
    np.testing.assert_allclose(np.reshape(best, 4), 0.5, atol=0.15)
