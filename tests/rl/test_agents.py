"""All three methods: the same bits from the same key, one program for all runs, resuming, sums."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import METHODS, make_agent, make_hyper, nothing_compiled, run_chunk

from dla_jax.rl import envs, loop
from dla_jax.training.mesh import data_mesh

LIMIT = 12


@functools.cache
def agent_of(name):
    env = envs.make("CartPole-v1", flatten=True, max_steps=LIMIT)
    # its statistics are part of its state
    own = {"normalise_obs": True, "normalise_reward": True} if name == "ppo" else {}
    return make_agent(name, env, hidden=(), **own)


def begin(name, seeds=(0, 1, 2, 3), **changes):
    return loop.start(agent_of(name), list(seeds), [make_hyper(name, **changes)] * len(seeds))


def go_on(name, states, updates, done=0):
    """Take some updates; those of REINFORCE have more than 2 and at most 4 * LIMIT steps."""
    most = jnp.int32((done + updates) * 4 * LIMIT)
    return run_chunk(agent_of(name), states, jnp.int32(updates), most, most)


def arrays(states):
    return {name: np.asarray(leaf) for name, leaf in loop.to_arrays(states).items()}


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seeds_give_the_same_bits_and_others_do_not(name):
    first, again, others = (
        go_on(name, begin(name, seeds), 1)[0]
        for seeds in ((0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 5, 1))
    )
    chex.assert_trees_all_equal(arrays(first), arrays(again))
    weights = []
    for states in (first, others):
        leaves = jax.tree.leaves(jax.device_get(states.params))
        weights.append(np.concatenate([leaf.reshape(4, -1) for leaf in leaves], 1))
    np.testing.assert_array_equal(weights[0][:2], weights[1][:2])
    np.testing.assert_array_equal(weights[1][1], weights[1][3])
    assert len(np.unique(np.concatenate(weights), axis=0)) == 5


@pytest.mark.parametrize("name", METHODS)
def test_chunks_and_other_numbers_compile_nothing_new(name):
    states, _ = go_on(name, begin(name), 1)
    numbers = {"lr": 1e-4, "gamma": 0.5, "bootstrap": 0.0}
    others = begin(name, (7, 8, 9, 10), epsilon_end=0.1, target_period=3.0, **numbers)
    with nothing_compiled():
        states, _ = go_on(name, states, 2, 1)
        go_on(name, states, 1, 3)
        go_on(name, others, 1)


@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_run_is_the_run_itself(name):
    whole = begin(name)
    for done in range(3):
        whole, _ = go_on(name, whole, 1, done)
    parted, _ = go_on(name, begin(name), 1)
    saved = arrays(parted)
    parted = loop.from_arrays(saved, begin(name, (4, 5, 6, 7), lr=1.0))
    for done in (1, 2):
        parted, _ = go_on(name, parted, 1, done)
    chex.assert_trees_all_equal(arrays(whole), arrays(parted))


@pytest.mark.parametrize("name", METHODS)
def test_what_was_read_from_a_checkpoint_is_not_compiled_again(name):
    # it has the types of what was written, without weak ones, or all would be traced anew
    states = begin(name)
    found = loop.from_arrays(arrays(states), states)
    for (path, old), new in zip(
        jax.tree_util.tree_leaves_with_path(states), jax.tree.leaves(found), strict=True
    ):
        assert (jax.typeof(old), old.sharding) == (jax.typeof(new), new.sharding), (
            jax.tree_util.keystr(path)
        )


@pytest.mark.parametrize(
    "name",
    [
        "dqn",
        pytest.param("ppo", marks=pytest.mark.slow),
        pytest.param("reinforce", marks=pytest.mark.slow),
    ],
)
def test_a_run_among_others_on_four_devices_is_close_to_the_run_alone_on_one(name, monkeypatch):
    lrs = (1e-2, 1e-3, 3e-3, 1e-2)
    together = loop.start(agent_of(name), [0, 1, 2, 3], [make_hyper(name, lr=lr) for lr in lrs])
    assert len(together.key.sharding.device_set) == 4
    third = {leaf: x[2:3] if x.ndim else x for leaf, x in arrays(together).items()}
    together, metrics = go_on(name, together, 2)
    assert len(together.key.sharding.device_set) == 4
    assert not together.key.sharding.is_fully_replicated
    monkeypatch.setattr(loop, "data_mesh", lambda: data_mesh(jax.devices()[:1]))
    alone, own = go_on(name, loop.from_arrays(third, together), 2)
    assert len(alone.key.sharding.device_set) == 1
    params = [jax.tree.leaves(jax.device_get(state.params)) for state in (alone, together)]
    for ours, theirs in zip(*params, strict=True):
        np.testing.assert_allclose(ours[0], theirs[2], rtol=1e-3, atol=1e-4)
    own, metrics = jax.device_get((own, metrics))
    for key in own:
        np.testing.assert_allclose(own[key][0], metrics[key][2], rtol=1e-2, atol=1e-3, err_msg=key)


@pytest.mark.parametrize("name", METHODS)
def test_metrics_are_one_number_a_run_and_count_the_episodes(name):
    updates = 5  # rewards of CartPole are 1, so that returns are lengths
    states, metrics = go_on(name, begin(name), updates)
    assert {values.shape for values in metrics.values()} == {(4,)}
    assert all(np.isfinite(values).all() for values in metrics.values())
    np.testing.assert_array_equal(metrics["return_sum"], metrics["length_sum"])
    assert (metrics["episodes"] > 0).all()
    mean = metrics["length_sum"] / metrics["episodes"]
    assert (mean <= LIMIT).all() and (mean > 7).all()
    steps = loop.env_steps(states, 4)
    assert steps.shape == (4,)
    if name == "reinforce":
        np.testing.assert_array_equal(steps, metrics["length_sum"])
        np.testing.assert_array_equal(metrics["episodes"], 4 * np.asarray(states.updates))
    else:
        agent = agent_of(name)
        assert (steps == agent.first_steps + updates * agent.steps_per_update).all()
        assert int(states.updates) == updates
        under_way = np.asarray(states.running.episode_length).sum(1)
        if name == "ppo":  # the random steps that DQN begins with are not among the sums
            np.testing.assert_array_equal(steps - under_way, metrics["length_sum"])


def test_reinforce_goes_on_to_its_target_and_never_beyond_its_limit():
    agent = agent_of("reinforce")
    for target, limit in ((4 * LIMIT, 4 * LIMIT), (300, 300), (100, 1000)):
        numbers = map(jnp.int32, (0, target, limit))
        states, metrics = run_chunk(agent, begin("reinforce"), *numbers)
        steps = np.asarray(states.env_steps)
        assert (steps <= limit).all()
        assert (np.abs(steps - target) < agent.most_steps).all()
        assert target == limit or (steps >= target).all()
        np.testing.assert_array_equal(steps, metrics["length_sum"])


@pytest.mark.parametrize("name", METHODS)
def test_the_first_update_ends_where_it_says(name, monkeypatch):
    monkeypatch.setattr(loop, "run_chunk", run_chunk)
    states = begin(name)
    found = loop.first_update_steps(agent_of(name), states, 4, 1000)
    # `states` were not donated before
    after, _ = run_chunk(agent_of(name), states, *map(jnp.int32, (1, 1, 1000)))
    np.testing.assert_array_equal(found, loop.env_steps(after, 4))
    assert name != "reinforce" or len(set(found.tolist())) > 1


def test_a_chunk_without_room_for_an_update_has_no_metric_that_is_not_a_number():
    # a run that has spent its budget has not diverged
    agent, numbers = agent_of("reinforce"), map(jnp.int32, (0, 1, 1))
    states, metrics = run_chunk(agent, begin("reinforce"), *numbers)
    assert all(np.isfinite(values).all() for values in metrics.values())
    assert not np.asarray(states.env_steps).any()
