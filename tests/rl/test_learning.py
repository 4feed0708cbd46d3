"""The three methods against numbers in closed form: targets, gradients, values at time limits, ways to act."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import arms, clock, make_agent, make_hyper, quickly_compiled, table

from dla_jax.rl import replay
from dla_jax.rl.dqn import targets
from dla_jax.rl.reinforce import Episodes, normalised, returns_of


def run(agent, hyper, updates, seeds=4):
    """Updates of `seeds` runs, or of one for each hyper of a list: (states, metrics of the last update)."""
    hypers = hyper if isinstance(hyper, list) else [hyper] * seeds
    keys, hypers = (
        jax.random.split(jax.random.key(0), len(hypers)),
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *hypers),
    )

    def one(key, hyper):
        state = agent.init(key, hyper)
        return jax.lax.scan(lambda state, _: agent.update(state), state, None, updates)

    states, metrics = quickly_compiled(
        lambda keys, hypers: jax.lax.map(lambda xs: one(*xs), (keys, hypers))
    )(keys, hypers)
    return states, jax.tree.map(lambda x: x[:, -1], metrics)


def test_targets_by_hand():
    """Five samples of reward 1 and discount 1/2, of which two have a value of 8 or 4 to come."""
    row = lambda *values: jnp.array(values)
    batch = replay.Transition(
        None, None, jnp.ones(4), None, row(False, True, False, True), row(False, False, True, True)
    )
    target_q, online_q = jnp.tile(row(8.0, 4.0), (4, 1)), jnp.tile(row(0.0, 1.0), (4, 1))
    for online, bootstrap, want in (
        (None, 1.0, [5, 1, 5, 1]),
        (None, 0.0, [5, 1, 1, 1]),
        (online_q, 1.0, [3, 1, 3, 1]),
        (online_q, 0.0, [3, 1, 1, 1]),
    ):
        np.testing.assert_array_equal(
            targets(target_q, online, batch, jnp.full(4, 0.5), bootstrap), want
        )


def test_targets_move_as_their_rule_says():
    agent = make_agent(
        "dqn", clock(4), num_envs=1, steps_per_gradient=1, block=1, learning_starts=1, hidden=()
    )
    init, update = quickly_compiled(agent.init), quickly_compiled(agent.update)
    flat = lambda params: np.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(params)])
    rules = {
        "soft": {"tau": 0.1, "period": 1.0},
        "hard": {"period": 3.0},
        "none": {"period": 1.0},
        "episodes": {"period_episodes": 2.0},
    }
    for name, rule in rules.items():
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
            np.testing.assert_allclose(
                target, online if due else before, rtol=1e-6, err_msg=f"{name} after {count}"
            )


@pytest.mark.parametrize("double, dueling", [(False, False), (True, True)])
def test_dqn_finds_the_known_action_values(double, dueling):
    """State 0: stay for 0, or on to state 1 for -1/2; there stay for 1, or end for 2. Staying is worth 1 / (1 - 0.8) = 5.

    The time limit cuts every episode after 5 steps, and changes none of it where it is bootstrapped.
    """
    env = table([[0, 1], [1, 0]], [[0.0, -0.5], [1.0, 2.0]], [[0, 0], [0, 1]], limit=5)
    agent = make_agent(
        "dqn",
        env,
        hidden=(),
        huber=False,
        double=double,
        dueling=dueling,
        block=50,
        buffer_size=1024,
        batch_size=32,
    )
    shared = {"gamma": 0.8, "period": 20.0, "lr": 0.05, "epsilon_end": 1.0}
    hypers = [make_hyper("dqn", **shared, bootstrap=bootstrap) for bootstrap in (1.0, 0.0)]
    states, metrics = run(agent, hypers, 40)
    values = action_values(states)
    np.testing.assert_allclose(values[0], [[0.8 * 3.5, -0.5 + 0.8 * 5], [5, 2]], atol=0.1)
    assert values[1][1, 0] < 4 and values[1][1, 1] == pytest.approx(2, abs=0.1)
    assert metrics["td_error"][0] < 0.1 < metrics["td_error"][1]


@pytest.mark.parametrize("ends", [False, True])
def test_dqn_values_at_a_time_limit(ends):
    """Reward 1 a step, 4 steps: 10 with bootstrap; else 1 + 0.9 * 3/4 Q, as one step in four seems to be the last."""
    agent = make_agent(
        "dqn", clock(4, ends), hidden=(), huber=False, block=50, buffer_size=256, batch_size=32
    )
    shared = {"period": 1.0, "tau": 0.1, "lr": 0.02, "epsilon_end": 1.0}
    _, metrics = run(
        agent,
        [make_hyper("dqn", **shared, bootstrap=1.0), make_hyper("dqn", **shared, bootstrap=0.0)],
        30,
    )
    cut = 1 / (1 - 0.9 * 0.75)
    np.testing.assert_allclose(metrics["q"], [cut if ends else 10.0, cut], rtol=0.06)


@pytest.mark.parametrize("name", ["ppo", "reinforce"])
def test_critics_at_a_time_limit(name):
    """From state 0 for nothing to state 1, which gives 1 a step; three steps. With bootstrap state 1 is worth 1 / (1 - gamma)."""
    agent = make_agent(
        name,
        table([[1], [1]], [[0.0], [1.0]], limit=3),
        hidden=(),
        **({"rollout_steps": 9} if name == "ppo" else {}),
    )
    hypers = [
        make_hyper(name, gamma=gamma, bootstrap=bootstrap, gae_lambda=1.0, lr=0.05)
        for gamma in (0.9, 0.5)
        for bootstrap in (1.0, 0.0)
    ]
    states, _ = run(agent, hypers, 500 if name == "reinforce" else 200)
    critic = states.params["params"]["critic"]
    values = np.asarray(critic["kernel"][..., 0] + critic["bias"])
    np.testing.assert_allclose(
        values,
        [[9, 10], [0.9 + 0.81, (1 + 1.9) / 2], [1, 2], [0.5 + 0.25, (1 + 1.5) / 2]],
        rtol=0.06,
    )


def test_an_end_at_the_time_limit_is_an_end():
    agent = make_agent("ppo", clock(4, ends=True), hidden=())
    states, _ = run(agent, make_hyper("ppo", bootstrap=1.0, gae_lambda=1.0, lr=0.05), 150, seeds=1)
    critic = states.params["params"]["critic"]
    mean = np.mean([(1 - 0.9**k) / (1 - 0.9) for k in (1, 2, 3, 4)])
    assert float(critic["kernel"][0, 0, 0] + critic["bias"][0, 0]) == pytest.approx(mean, rel=0.06)


def test_a_clipped_value_moves_by_little_more_than_the_clip():
    """Far below its target it goes on until it has moved by 0.2, and without clipping much further."""
    moved = []
    for clip_value in (True, False):
        agent = make_agent(
            "ppo", clock(4), hidden=(), optim="sgd", epochs=60, minibatches=1, clip_value=clip_value
        )
        init, update = quickly_compiled(agent.init), quickly_compiled(agent.update)
        state = init(jax.random.key(0), make_hyper("ppo", lr=0.01))
        value = lambda state: float(
            sum(leaf.sum() for leaf in jax.tree.leaves(state.params["params"]["critic"]))
        )
        moved.append(value(update(state)[0]) - value(state))
    assert 0.2 <= moved[0] < 0.3 and moved[1] > 0.6


def action_values(states):
    """Of every run: [N, states, actions], read off weights of a network without hidden layers."""
    params = states.params["params"]
    read = lambda head: np.asarray(head["kernel"] + head["bias"][:, None, :])
    if "Dense_0" in params:
        return read(params["Dense_0"])
    advantage = read(params["advantage"])
    return read(params["value"]) + advantage - advantage.mean(-1, keepdims=True)


LOGITS = np.array([1.0, 0.0, -0.5])


def with_logits(state, logits=LOGITS):
    """A policy without hidden layers that has these logits in the only state."""
    actor = {"kernel": jnp.zeros((1, 3)), "bias": jnp.asarray(logits, jnp.float32)}
    return state._replace(params={"params": state.params["params"] | {"actor": actor}})


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


@functools.cache
def bandit(baseline):
    agent = make_agent(
        "reinforce", arms(), hidden=(), optim="sgd", num_envs=8000, baseline=baseline
    )
    return quickly_compiled(agent.init), quickly_compiled(agent.update)


def first_update(baseline="none", logits=LOGITS, **hyper):
    """How far 8000 episodes move the logits, and the metrics."""
    init, update = bandit(baseline)
    after, metrics = update(
        with_logits(init(jax.random.key(1), make_hyper("reinforce", lr=1.0, **hyper)), logits)
    )
    return np.asarray(after.params["params"]["actor"]["bias"]) - logits, metrics


@pytest.mark.parametrize("baseline", ["none", "mean"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_policy_gradient_is_that_of_the_expected_return(baseline, temperature):
    """Of p_2, the probability of the arm that pays: p_2 (e_2 - p) / temperature."""
    moved, metrics = first_update(
        baseline, temperature_start=temperature, temperature_end=temperature
    )
    p = softmax(LOGITS / temperature)
    np.testing.assert_allclose(moved, p[2] * (np.eye(3)[2] - p) / temperature, atol=0.015)
    assert metrics["return_sum"] / 8000 == pytest.approx(p[2], abs=0.02)
    assert metrics["entropy"] == pytest.approx(-(p * np.log(p)).sum(), rel=1e-4)


def test_the_entropy_bonus_flattens_the_policy():
    gain = lambda weight: first_update(entropy=weight)[0]
    p = softmax(LOGITS)
    entropy = -(p * np.log(p)).sum()
    np.testing.assert_allclose(gain(2.0) - gain(0.0), -2.0 * p * (np.log(p) + entropy), atol=1e-4)


@pytest.mark.parametrize("greedy, paid", [(0.0, 1 / 3), (1.0, 1.0), (0.4, 0.4 + 0.6 / 3)])
def test_the_labs_way_plays_the_likeliest_or_any_action(greedy, paid):
    _, metrics = first_update(
        logits=np.array([0.0, 0.1, 0.3]), mixture=1.0, greedy_start=greedy, greedy_end=greedy
    )
    assert metrics["return_sum"] / metrics["length_sum"] == pytest.approx(paid, abs=0.02)


@pytest.mark.parametrize("schedule, left", [("linear", 0.5), ("exponential", np.exp(-0.5))])
def test_dqn_explores_as_often_as_epsilon_says(schedule, left):
    """After 500 of 1000 environment steps from 1 to 0.1; the arm that pays is the best of all that it knows."""
    agent = make_agent(
        "dqn",
        arms(),
        hidden=(),
        num_envs=500,
        buffer_size=1000,
        learning_starts=500,
        steps_per_gradient=1,
        block=10,
        epsilon_schedule=schedule,
    )
    state = quickly_compiled(agent.init)(
        jax.random.key(0), make_hyper("dqn", lr=0.0, epsilon_end=0.1, epsilon_steps=1000.0)
    )
    known = {
        "params": {"Dense_0": {"kernel": jnp.zeros((1, 3)), "bias": jnp.array([0.0, 0.0, 0.5])}}
    }
    _, metrics = quickly_compiled(agent.update)(state._replace(params=known))
    epsilon = 0.1 + 0.9 * left
    assert float(metrics["epsilon"]) == pytest.approx(epsilon, rel=1e-5)
    assert float(metrics["return_sum"] / metrics["length_sum"]) == pytest.approx(
        1 - epsilon * 2 / 3, abs=0.03
    )
    assert int(metrics["episodes"]) == 5000


def test_returns_of_episodes_stop_at_their_end():
    """Three episodes of four rows, gamma 1/2: one ends, one is cut off after two steps in a state worth 8, one in its last row."""
    columns = lambda *rows: jnp.array(rows).T
    alive = columns([1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]).astype(bool)
    reward = columns([1, 2, 4, 99], [1, 2, 99, 99], [1, 1, 1, 1]).astype(jnp.float32)
    terminated = columns([0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]).astype(bool)
    truncated = columns([0, 0, 0, 1], [0, 1, 1, 0], [0, 0, 0, 1]).astype(bool)
    found = returns_of(
        Episodes(None, None, reward, terminated, truncated, alive), jnp.full(3, 8.0), 0.5
    )
    want = columns([3.0, 4, 4, 0], [4.0, 6, 0, 0], [1.875 + 0.5, 1.75 + 1, 1.5 + 2, 5])
    np.testing.assert_allclose(jnp.where(alive, found, 0), want)


def test_advantages_are_normalised_over_living_rows():
    rng = np.random.default_rng(0)
    advantage, alive = (
        rng.normal(3, 2, (6, 3)).astype(np.float32),
        np.arange(6)[:, None] < np.array([6, 2, 4]),
    )
    of = lambda how, centre=False: np.asarray(
        normalised(jnp.where(alive, advantage, 1e6), alive, how, centre)
    )
    np.testing.assert_array_equal(of("none")[alive], advantage[alive])
    np.testing.assert_allclose(
        of("none", True)[alive], advantage[alive] - advantage[alive].mean(), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        [of("batch")[alive].mean(), of("batch")[alive].std()], [0, 1], atol=1e-5
    )
    for e in range(3):
        one = of("episode")[alive[:, e], e]
        np.testing.assert_allclose([one.mean(), one.std()], [0, 1], atol=1e-5)


def test_ppo_learns_the_arm_that_pays_unless_entropy_pays_more():
    agent = make_agent("ppo", arms(), hidden=())
    states, metrics = run(
        agent, [make_hyper("ppo", lr=0.05, entropy=entropy) for entropy in (0.0, 10.0)], 40
    )
    actor = states.params["params"]["actor"]
    for bias, kernel, entropy, learned in zip(
        actor["bias"], actor["kernel"], metrics["entropy"], (True, False), strict=True
    ):
        assert (softmax(np.asarray(bias + kernel[0], np.float64))[2] > 0.9) == learned
        assert (float(entropy) > 0.9 * np.log(3)) == (not learned)


@pytest.mark.parametrize("name, updates", [("ppo", 120), ("reinforce", 300)])
def test_a_continuous_policy_finds_its_best_action(name, updates):
    env = table([[0]], lambda action: 1 - (action - 0.5) ** 2, limit=2, continuous=True)
    own = (
        {"normalise_obs": True, "normalise_reward": True, "clip_value": True}
        if name == "ppo"
        else {"num_envs": 16}
    )
    agent = make_agent(name, env, hidden=(), **own)
    states, _ = run(agent, make_hyper(name, lr=0.02), updates)
    best = [
        agent.act(agent.actor(jax.tree.map(lambda x, i=i: x[i], states)), jnp.ones((1, 1)))[0, 0]
        for i in range(4)
    ]
    np.testing.assert_allclose(best, 0.5, atol=0.15)
