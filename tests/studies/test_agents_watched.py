"""Episodes that are kept to be drawn: which, what of them, what is told of how they ended."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_up_agents import recorded

from configs import agents
from dla_jax.rl import envs, loop
from dla_jax.studies.agents.figures import endings_words, panels_of
from dla_jax.studies.agents.programs import Batch, points_of, programs_of
from dla_jax.studies.agents.study import STUDY, watched_in
from dla_jax.studies.agents.training import WATCHED, watch
from dla_jax.trials.arms import Trial

KEY = jax.random.key(0)


def falls(chance):
    """Return a LunarLander of two steps that lands with a chance, and else crashes.

    Its observation says which; a scene's x counts the steps, its height of the ground is 3.
    """

    def reset(key):
        lands = jax.random.bernoulli(key, chance)
        return jnp.full(8, lands, jnp.float32), (lands, jnp.int32(0))

    def step(key, state, action):
        lands, time = state
        over = time == 1
        reward = jnp.where(over, jnp.where(lands, 100.0, -100.0), action)
        return jnp.full(8, lands, jnp.float32), (lands, time + 1), reward, over, jnp.bool_(False)

    return envs.Env(
        name="LunarLanderJax-v0",
        obs_shape=(8,),
        native_shape=(8,),
        num_actions=4,
        action_size=0,
        max_steps=5,
        reset=reset,
        step=step,
        scene=lambda state: jnp.float32([*[state[1]] * 11, *[3] * 11]),
    )


def seven(actor, obs):
    return jnp.full(len(obs), 7.0)


@pytest.mark.parametrize(("wanted", "total"), [("crashed", -93.0), ("landed", 107.0)])
def test_an_episode_with_the_wanted_ending_is_kept(wanted, total):
    kept = watch(falls(0.5), seven, 0, KEY, wanted)
    assert (kept["ending"], kept["return"], kept["length"]) == (wanted, total, 2)
    assert kept["endings"].keys() == {"crashed", "landed"}
    assert sum(kept["endings"].values()) == WATCHED and min(kept["endings"].values()) > 1
    assert kept["scenes"] == [[1] * 11 + [3] * 11, [2] * 11 + [3] * 11]  # what steps led to


def test_without_it_the_first_is_kept():
    first = loop.watch(falls(0.5), seven, 0, KEY)
    ending = "landed" if first.last_reward > 0 else "crashed"
    for wanted in ("", "flew away"):
        assert watch(falls(0.5), seven, 0, KEY, wanted)["ending"] == ending
    always = watch(falls(1.0), seven, 0, KEY, "crashed")
    assert (always["ending"], always["endings"]) == ("landed", {"landed": WATCHED})


def test_of_other_environments_observations_of_one_episode_are_kept():
    env = envs.make("CartPole-v1", flatten=True, max_steps=20)
    act = lambda actor, obs: jnp.zeros(len(obs), int)
    kept = watch(env, act, 0, KEY, "landed")
    assert kept.keys() == {"scenes", "length", "return"}
    obs, _ = env.reset(jax.random.split(KEY)[0])
    np.testing.assert_allclose(kept["scenes"][0], obs, rtol=1e-3)
    assert len(kept["scenes"]) == kept["length"] == kept["return"] < 20
    breakout = envs.make("Breakout-MinAtar", flatten=True, max_steps=4)
    cells = np.array(watch(breakout, act, 0, KEY, "")["scenes"])
    assert cells.shape[1:] == (10, 10) and cells.max() > 1


def test_a_crash_is_wanted_before_training_and_a_landing_after():
    config = agents.get_config("smoke")
    arms = STUDY.arms(config, {})
    program = programs_of(arms)["ppo"]
    moments = [point.env_steps for point in points_of(program)]
    trial = Trial("final", "ppo", config.seeds[0], 1e-3)
    watched = watched_in(config, Batch(program, [trial], 1))
    wanted = {step: watched(trial, step) for step in moments}
    kept = {step: ending for step, ending in wanted.items() if ending is not None}
    middle = moments[len(moments) // 2]
    assert kept == {moments[0]: "crashed", middle: "", moments[-1]: "landed"}
    assert watched(trial._replace(seed=config.seeds[1]), 0) is None
    assert watched(trial._replace(stage="select"), 0) is None
    no_picture = program._replace(env=program.env._replace(native_shape=(2,)))
    assert watched_in(config, Batch(no_picture, [trial], 1))(trial, 0) is None


def study_of(name, *kept):
    """Return a study of one arm that kept episodes after 0, 100, ... steps."""
    config = agents.get_config("cartpole")
    config.env.name = name
    rows = [
        {
            "run": "final/ppo/seed0",
            "step": 100 * i,
            "env_steps": 100 * i,
            "eval_return": 1.0,
            "env_steps_per_s": 1.0,
            "finite": True,
            "watched": watched,
        }
        for i, watched in enumerate(kept)
    ]
    return recorded(config, rows)


def landed(total, **endings):
    scenes = [[10, 8, 0.1, 10.8, 7.7, 0.5, 9.2, 7.7, -0.5, 1, 0, *[3.0] * 11]] * 3
    ending = next(iter(endings))
    return {
        "scenes": scenes,
        "length": 3,
        "return": total,
        "ending": ending,
        "endings": endings,
    }


def test_captions_say_how_episodes_ended():
    found = study_of("LunarLanderJax-v0", landed(-310.5, crashed=10), landed(251, landed=9))
    notes = [panel["note"] for panel in panels_of(found, "ppo")]
    assert notes == ["crashed, return −310.5", "landed, return 251"]
    words = endings_words(found, "ppo")
    assert "Of 10 episodes each: after 0 steps crashed 10; after 100 steps landed 9." in words
    old = study_of("CartPole-v1", {"obs": [[0.0] * 4] * 3, "length": 3, "return": 3.0})
    assert endings_words(old, "ppo") == ""
    assert [panel["note"] for panel in panels_of(old, "ppo")] == ["return 3"]


def test_records_of_before_are_drawn_alike():
    cells = np.random.default_rng(0).integers(0, 16, (3, 10, 10)).tolist()
    for name, values in (("CartPole-v1", [[0.1, 0, 0.2, 0]] * 3), ("Breakout-MinAtar", cells)):
        shown = [
            panels_of(study_of(name, {key: values, "length": 3, "return": 3.0}), "ppo")[0]
            for key in ("obs", "scenes")
        ]
        np.testing.assert_array_equal(shown[0].pop("scenes"), shown[1].pop("scenes"))
        assert shown[0] == shown[1]
