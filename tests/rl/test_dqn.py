"""DQN against numbers in closed form: its target network, its values, its exploration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import arms, clock, make_agent, make_hyper, quickly_compiled, run, table


def flat(params):
    return np.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(params)])


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
    own = {"num_envs": 1, "steps_per_gradient": 1, "block": 1, "learning_starts": 1}
    agent = make_agent("dqn", clock(4), hidden=(), **own)
    init, update = quickly_compiled(agent.init), quickly_compiled(agent.update)
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


def action_values(states):
    """Return the values of every run, [N, states, actions], of a network without hidden layers."""
    params = states.params["params"]
    read = lambda head: np.asarray(head["kernel"] + head["bias"][:, None, :])
    if "Dense_0" in params:
        return read(params["Dense_0"])
    advantage = read(params["advantage"])
    return read(params["value"]) + advantage - advantage.mean(-1, keepdims=True)


@pytest.mark.parametrize(("double", "dueling"), [(False, False), (True, True)])
def test_dqn_finds_the_known_action_values(double, dueling):
    """State 0: stay for 0, or on to state 1 for -1/2; there stay for 1, or end for 2.

    Staying is worth 1 / (1 - 0.8) = 5. The time limit cuts every episode after 5 steps, and changes
    none of it where it is bootstrapped.
    """
    env = table([[0, 1], [1, 0]], [[0.0, -0.5], [1.0, 2.0]], [[0, 0], [0, 1]], limit=5)
    own = {"huber": False, "double": double, "dueling": dueling}
    size = {"block": 50, "buffer_size": 1024, "batch_size": 32}
    agent = make_agent("dqn", env, hidden=(), **own, **size)
    shared = {"gamma": 0.8, "target_period": 20.0, "lr": 0.05, "epsilon_end": 1.0}
    hypers = [make_hyper("dqn", **shared, bootstrap=bootstrap) for bootstrap in (1.0, 0.0)]
    states, metrics = run(agent, hypers, 40)
    values = action_values(states)
    np.testing.assert_allclose(values[0], [[0.8 * 3.5, -0.5 + 0.8 * 5], [5, 2]], atol=0.1)
    assert values[1][1, 0] < 4 and values[1][1, 1] == pytest.approx(2, abs=0.1)
    assert metrics["td_error"][0] < 0.1 < metrics["td_error"][1]


@pytest.mark.parametrize("ends", [False, True])
def test_dqn_values_at_a_time_limit(ends):
    """Reward 1 a step, 4 steps: 10 with bootstrap.

    Without it 1 + 0.9 * 3/4 Q, as one step in four seems to be the last.
    """
    size = {"block": 50, "buffer_size": 256, "batch_size": 32}
    agent = make_agent("dqn", clock(4, ends), hidden=(), huber=False, **size)
    shared = {"target_period": 1.0, "tau": 0.1, "lr": 0.02, "epsilon_end": 1.0}
    hypers = [make_hyper("dqn", **shared, bootstrap=bootstrap) for bootstrap in (1.0, 0.0)]
    _, metrics = run(agent, hypers, 30)
    cut = 1 / (1 - 0.9 * 0.75)
    np.testing.assert_allclose(metrics["q"], [cut if ends else 10.0, cut], rtol=0.06)


@pytest.mark.parametrize(("schedule", "left"), [("linear", 0.5), ("exponential", np.exp(-0.5))])
def test_dqn_explores_as_often_as_epsilon_says(schedule, left):
    """After 500 of 1000 environment steps from 1 to 0.1.

    The arm that pays is the best of all that the network knows.
    """
    size = {"num_envs": 500, "buffer_size": 1000, "learning_starts": 500}
    steps = {"steps_per_gradient": 1, "block": 10}
    agent = make_agent("dqn", arms(), hidden=(), epsilon_schedule=schedule, **size, **steps)
    hyper = make_hyper("dqn", lr=0.0, epsilon_end=0.1, epsilon_steps=1000.0)
    state = quickly_compiled(agent.init)(jax.random.key(0), hyper)
    layer = {"kernel": jnp.zeros((1, 3)), "bias": jnp.array([0.0, 0.0, 0.5])}
    state = state._replace(params={"params": {"Dense_0": layer}})
    _, metrics = quickly_compiled(agent.update)(state)
    epsilon = 0.1 + 0.9 * left
    assert float(metrics["epsilon"]) == pytest.approx(epsilon, rel=1e-5)
    paid = float(metrics["return_sum"] / metrics["length_sum"])
    assert paid == pytest.approx(1 - epsilon * 2 / 3, abs=0.03)
    assert int(metrics["episodes"]) == 5000
