"""DQN against numbers in closed form: its target network, its values, its exploration."""

import functools

import jax
import numpy as np
import pytest
from small import arms, clock, make_agent, make_config, make_hyper, quickly_compiled, run, table

from dla_jax.rl import dqn


def flat(params):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(jax.device_get(params))])


@functools.cache
def one_step_at_a_time():
    """Return (init, update), where an update is one step of play and one gradient step."""
    own = {"num_envs": 1, "steps_per_gradient": 1, "block": 1, "learning_starts": 1}
    agent = make_agent("dqn", clock(4), hidden=(), optim="sgd", **own)
    return quickly_compiled(agent.init), quickly_compiled(agent.update)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("soft", {"tau": 0.1, "target_period": 1.0}),
        ("hard", {"target_period": 3.0}),
        ("none", {"target_period": 1.0}),
        ("episodes", {"target_period_episodes": 2.0}),
    ],
)
def test_targets_move_as_their_rule_says(name, rule):
    init, update = one_step_at_a_time()
    state = init(jax.random.key(0), make_hyper("dqn", **rule))
    np.testing.assert_array_equal(flat(state.params), flat(state.target))
    for count in range(1, 9):
        before, state = flat(state.target), update(state)[0]
        online, target = flat(state.params), flat(state.target)
        assert np.abs(online - before).max() > 1e-3, "nothing was learned"
        if name == "soft":
            np.testing.assert_allclose(target, 0.9 * before + 0.1 * online, rtol=1e-5)
            continue
        ended = (count + 1) // 4  # one step before the first update, four an episode
        due = {"hard": count % 3 == 0, "none": True, "episodes": ended % 2 == 0}[name]
        want = online if due else before
        np.testing.assert_allclose(target, want, rtol=1e-6, err_msg=f"after {count}")


def action_values(params):
    """Return the values of every run, [N, states, actions], of a network without hidden layers."""
    read = lambda head: head["kernel"] + head["bias"][:, None, :]
    if "Dense_0" in params:
        return read(params["Dense_0"])
    advantage = read(params["advantage"])
    return read(params["value"]) + advantage - advantage.mean(-1, keepdims=True)


@pytest.mark.parametrize(
    ("double", "dueling"), [pytest.param(False, False, marks=pytest.mark.slow), (True, True)]
)
def test_dqn_finds_the_known_action_values(double, dueling):
    """State 0: stay for 0, or on to state 1 for -1/2; there stay for 1, or end for 2.

    Staying is worth 1 / (1 - 0.8) = 5. The time limit cuts every episode after 5 steps, and changes
    none of it where it is bootstrapped. Otherwise nothing follows one step in 31 of state 0, where
    a random episode is 1 + 1/2 + 1/4 + 1/8 + 1/16 times, the last of them at its limit; and of
    state 1, where it is 0 + 1/2 + 1/2 + 3/8 + 1/4 times, two in 13.
    """
    env = table([[0, 1], [1, 0]], [[0.0, -0.5], [1.0, 2.0]], [[0, 0], [0, 1]], limit=5)
    own = {"huber": False, "double": double, "dueling": dueling}
    size = {"block": 50, "buffer_size": 1024, "batch_size": 32}
    agent = make_agent("dqn", env, hidden=(), **own, **size)
    shared = {"gamma": 0.8, "target_period": 20.0, "lr": 0.05, "epsilon_end": 1.0}
    hypers = [make_hyper("dqn", **shared, bootstrap=bootstrap) for bootstrap in (1.0, *[0.0] * 4)]
    _, params, metrics = run(agent, hypers, 40)
    values = action_values(params)
    np.testing.assert_allclose(values[0], [[0.8 * 3.5, -0.5 + 0.8 * 5], [5, 2]], atol=0.1)
    stay = 1 / (1 - 0.8 * 11 / 13)
    on = -0.5 + 0.8 * 30 / 31 * stay
    # chance decides which steps are cut, so that each run is off by some 0.15
    np.testing.assert_allclose(values[1:].mean(0), [[0.8 * 30 / 31 * on, on], [stay, 2]], atol=0.2)
    assert metrics["td_error"][0] < 0.1 < metrics["td_error"][1:].min()


@pytest.mark.slow  # the test above meets time limits, bootstrapped and not
def test_dqn_values_at_a_time_limit():
    """Reward 1 a step, 4 steps; action 1 makes of the time limit an end as well.

    With bootstrap the best is 10, and action 1 is worth 1 + 0.9 * 3/4 * 10, as one step in four
    seems to be the last. Without it both actions are worth 1 + 0.9 * 3/4 Q.
    """
    env = clock(4)

    def step(key, state, action):
        obs, state, reward, _, cut = env.step(key, state, action)
        return obs, state, reward, cut & (action == 1), cut

    size = {"block": 50, "buffer_size": 4096, "batch_size": 128}
    agent = make_agent("dqn", env._replace(step=step), hidden=(), huber=False, **size)
    shared = {"target_period": 1.0, "tau": 0.1, "lr": 0.005, "epsilon_end": 1.0}
    hypers = [make_hyper("dqn", **shared, bootstrap=bootstrap) for bootstrap in (1.0, 0.0)]
    _, params, _ = run(agent, hypers, 60)
    cut = 1 / (1 - 0.9 * 0.75)
    want = [[[10, 1 + 0.9 * 0.75 * 10]], [[cut, cut]]]
    np.testing.assert_allclose(action_values(params), want, rtol=0.06)


def test_dqn_values_by_three_steps():
    """Reward 1 a step, and a target network that never moves: 1 + .9 + .81 + .729 of its best."""
    size = {"block": 50, "buffer_size": 1024, "batch_size": 64}
    agent = make_agent("dqn", clock(10_000), hidden=(), huber=False, n_step=3, **size)
    hyper = make_hyper("dqn", target_period=1e9, lr=0.05, epsilon_end=1.0)
    states, params, _ = run(agent, hyper, 30, seeds=2)
    target = action_values(jax.device_get(states.target["params"]))
    want = 2.71 + 0.729 * target.max(-1, keepdims=True)
    np.testing.assert_allclose(action_values(params), want * [1, 1], rtol=1e-3)


@pytest.mark.parametrize(("schedule", "left"), [("linear", 0.5), ("exponential", np.exp(-0.5))])
def test_epsilon_after_half_its_steps(schedule, left):
    hyper = make_hyper("dqn", epsilon_end=0.1, epsilon_steps=1000.0)
    own = make_config("dqn", epsilon_schedule=schedule).agent
    assert float(dqn.epsilon(own, hyper, 500)) == pytest.approx(0.1 + 0.9 * left, rel=1e-5)


def test_dqn_explores_as_often_as_epsilon_says():
    """After 500 of 1000 environment steps from 1 to 0.1.

    The arm that pays is the best of all that the network knows.
    """
    size = {
        "num_envs": 500,
        "buffer_size": 1000,
        "learning_starts": 500,
        "steps_per_gradient": 1,
        "block": 10,
    }
    agent = make_agent("dqn", arms(), hidden=(), optim="sgd", **size)
    hyper = make_hyper("dqn", lr=0.0, epsilon_end=0.1, epsilon_steps=1000.0)
    layer = {"kernel": np.zeros((1, 3), np.float32), "bias": np.float32([0.0, 0.0, 0.5])}

    @quickly_compiled
    def first_update(key):
        state = agent.init(key, hyper)
        return agent.update(state._replace(params={"params": {"Dense_0": layer}}))[1]

    metrics = first_update(jax.random.key(0))
    epsilon = 0.1 + 0.9 / 2
    assert float(metrics["epsilon"]) == pytest.approx(epsilon, rel=1e-5)
    paid = float(metrics["return_sum"] / metrics["length_sum"])
    assert paid == pytest.approx(1 - epsilon * 2 / 3, abs=0.03)
    assert int(metrics["episodes"]) == 5000
