"""Critics and policies of PPO and REINFORCE: values at time limits, actions that are learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import arms, clock, make_agent, make_hyper, quickly_compiled, run, softmax, table


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
def test_critics_at_a_time_limit_and_at_an_end(name):
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


def test_a_clipped_value_moves_by_little_more_than_the_clip():
    """Far below its target it goes on until it has moved by 0.2, and without clipping further."""
    moved = []
    for clip_vloss in (True, False):
        own = {"update_epochs": 60, "num_minibatches": 1, "clip_vloss": clip_vloss}
        agent = make_agent("ppo", clock(4), hidden=(), optim="sgd", **own)
        if not moved:  # the same beginning for both
            state = quickly_compiled(agent.init)(jax.random.key(0), make_hyper("ppo", lr=0.01))
        after, _ = quickly_compiled(agent.update)(state)
        moved.append(value_of(after) - value_of(state))
    assert 0.2 <= moved[0] < 0.3 and moved[1] > 0.6


def value_of(state):
    """Return the value of the only state, of a critic without hidden layers."""
    return sum(float(leaf.item()) for leaf in jax.tree.leaves(state.params["params"]["critic"]))


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
def test_a_continuous_policy_finds_its_best_action(name, updates):
    env = table([[0]], lambda action: 1 - (action - 0.5) ** 2, limit=2, continuous=True)
    own = {"num_envs": 16}
    if name == "ppo":
        own = {"normalise_obs": True, "normalise_reward": True, "clip_vloss": True}
    agent = make_agent(name, env, hidden=(), **own)
    states, *_ = run(agent, make_hyper(name, lr=0.02), updates)
    act = lambda state: agent.act(agent.actor(state), jnp.ones((1, 1)))
    best = quickly_compiled(jax.vmap(act))(states)
    np.testing.assert_allclose(np.reshape(best, 4), 0.5, atol=0.15)
