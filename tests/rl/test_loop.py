"""Evaluation against a plain loop, the best policy that is kept."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import clock, make_agent, make_hyper, quickly_compiled, table

from dla_jax.rl import envs, loop

LEAN = np.float32([[1.0, 0.3, 4.0, 1.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, -1.0, 0.0]])


def lean(actor, obs):
    """Choose an action of CartPole: to the side that the sum of weighted observations is on."""
    return (obs @ actor > 0).astype(int)


@pytest.fixture(scope="module")
def cart_pole():
    return envs.make("CartPole-v1", flatten=True, max_steps=40)


def test_evaluation_is_a_plain_loop_over_whole_episodes(cart_pole):
    keys = jax.random.split(jax.random.key(5), len(LEAN))
    found = quickly_compiled(loop.evaluate.__wrapped__, static_argnums=(0, 1, 4))(
        cart_pole, lean, LEAN, keys, 3
    )
    found = np.asarray(found)
    assert found.shape == (3, 3) and found.dtype == np.float32
    reset, step = quickly_compiled(cart_pole.reset), quickly_compiled(cart_pole.step)
    for actor, key, row in zip(LEAN, keys, found, strict=True):
        reset_key, step_key = jax.random.split(key)
        for e, episode_key in enumerate(jax.random.split(reset_key, 3)):
            obs, state = reset(episode_key)
            total, over = 0.0, False
            while not over:
                action = int(lean(actor, np.asarray(obs)))
                # any key: CartPole has no chance
                obs, state, reward, terminated, truncated = step(step_key, state, action)
                total, over = total + float(reward), bool(terminated) or bool(truncated)
            assert row[e] == total
    assert found.min() < 20 and found[0].max() == 40


def test_episodes_of_different_lengths_are_told_apart():
    """Action 1 ends an episode for 5; action 0 gives 1, up to the limit of 7 steps."""
    env = table([[0, 0]], [[1.0, 5.0]], [[0, 1]], limit=7)
    act = lambda actor, obs: jnp.full(len(obs), actor)
    found = loop.evaluate(env, act, np.array([0, 1]), jax.random.split(jax.random.key(0), 2), 3)
    np.testing.assert_array_equal(found, [[7] * 3, [5] * 3])
    for actor, length, total in ((0, 7, 7), (1, 1, 5)):
        seen = loop.watch(env, act, jnp.int32(actor), jax.random.key(0))
        assert (seen.length, seen.total) == (length, total) and seen.scenes.shape == (7, 1)
        assert seen.terminated == (actor == 1) and seen.last_reward == (5 if actor else 1)


def test_a_scene_is_what_a_step_led_to():
    """The states 0, 1, 2, of which the last ends the episode, are seen as ten times themselves."""
    env = table([[1], [2], [2]], [[1.0], [2.0], [4.0]], [[0], [0], [1]], limit=5)
    act = lambda actor, obs: jnp.zeros(len(obs), int)
    bare = loop.watch(env, act, 0, jax.random.key(0))
    np.testing.assert_array_equal(bare.scenes[:3], np.eye(3))  # what the steps were taken on
    env = env._replace(scene=lambda state: jnp.float32([10, 0]) * state[0])
    assert env.scene_shape == (2,)
    for each in (env, envs.with_sticky_actions(env, 0.5)):
        seen = loop.watch(each, act, 0, jax.random.key(0))
        np.testing.assert_array_equal(seen.scenes[: seen.length], [[10, 0], [20, 0], [20, 0]])
        assert (seen.total, seen.terminated, seen.last_reward) == (7, True, 4)


def test_random_actions_are_uniform():
    env = table([[0, 0, 0, 0]], [[0.0, 0.0, 0.0, 1.0]], limit=50)
    returns = np.asarray(loop.evaluate_random(env, jax.random.split(jax.random.key(0), 2), 200))
    assert returns.shape == (2, 200) and not np.array_equal(*returns)
    assert float(returns.mean()) == pytest.approx(50 / 4, rel=0.05)
    assert float(returns.std()) == pytest.approx(np.sqrt(50 * 3 / 16), rel=0.2)


def test_a_watched_episode_is_what_was_seen(cart_pole):
    watch = quickly_compiled(loop.watch.__wrapped__, static_argnums=(0, 1))
    for actor in LEAN:
        seen = jax.device_get(watch(cart_pole, lean, actor, jax.random.key(1)))
        rows, length = seen.scenes, seen.length
        assert length == seen.total and rows.shape == (40, 4)
        seen = rows[:length]
        assert (np.abs(seen[0]) <= 0.05).all() and (np.abs(seen[:, 2]) <= 0.2095).all()
        turned = seen[1:, 2] - seen[:-1, 2]
        np.testing.assert_allclose(turned, 0.02 * seen[:-1, 3], atol=1e-6)  # Euler's steps
        pushed = np.sign(seen[1:, 1] - seen[:-1, 1])
        np.testing.assert_array_equal(pushed > 0, lean(actor, seen)[:-1])


def best(scores, actors):
    return loop.Best(np.float32(scores), np.float32(actors))


def test_of_each_run_the_better_policy_is_kept_and_of_equals_the_later():
    kept = loop.keep_best(
        best([1, 5, 3, -np.inf], [[10, 10]] * 4),
        np.float32([2, 4, 3, -100]),
        np.full((4, 2), 20, np.float32),
    )
    np.testing.assert_array_equal(kept.score, [2, 5, 3, -100])
    np.testing.assert_array_equal(kept.actor, [[20] * 2, [10] * 2, [20] * 2, [20] * 2])


def test_a_score_that_is_no_number_is_not_kept():
    """Nor does it keep better ones from being kept later."""
    kept = loop.keep_best(best([1.0], [10.0]), np.float32([np.nan]), np.float32([20.0]))
    kept = loop.keep_best(kept, np.float32([2.0]), np.float32([30.0]))
    assert kept.score == 2 and kept.actor == 30


def test_the_first_score_is_always_kept():
    agent = make_agent("ppo", clock(4), hidden=())
    states = loop.start(agent, [0, 1, 2, 3], [make_hyper("ppo")] * 4)
    none = loop.none_yet(agent, states, 4)
    assert none.score.shape == (4,) and (np.asarray(none.score) == -np.inf).all()
    learn = lambda states: states._replace(params=jax.tree.map(lambda x: x + 1, states.params))
    states = jax.jit(learn, donate_argnums=0)(states)  # as a chunk donates them
    actors = loop.actors_of(agent, states)
    # `none` has outlived the states that it was made of
    kept = loop.keep_best(none, np.full(4, -1e30, np.float32), actors)
    chex.assert_trees_all_equal(jax.device_get(kept.actor), jax.device_get(actors))
    returns = loop.evaluate(
        clock(4), agent.act, kept.actor, jax.random.split(jax.random.key(0), 4), 2
    )
    np.testing.assert_array_equal(returns, np.full((4, 2), 4.0))


def test_runs_have_chances_of_their_own():
    """Of seed and of purpose: no key of training is one of evaluation."""
    keys = [jax.random.key_data(key).tolist() for seed in range(20) for key in loop.keys_of(seed)]
    assert len({tuple(key) for key in keys}) == len(keys) >= 60
