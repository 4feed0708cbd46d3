"""LunarLander in JAX beside gymnasium's, whose physics is Box2D's.

Stored steps are compared everywhere, fresh ones where Box2D is installed (requirements-box2d.txt).
"""

import jax
import numpy as np
import pytest
from lander_files import stored
from scipy import stats

from bench import lunar_box2d, lunar_returns
from dla_jax.rl import lunar_lander
from dla_jax.rl.lunar_body import BODIES, first_motion
from dla_jax.rl.lunar_lander import LunarLander
from dla_jax.rl.pinned_bodies import rotate

GAME, FREE = LunarLander(), LunarLander(continuous=True)
PARAMS = GAME.default_params
first = jax.jit(first_motion)
WINDY = PARAMS.replace(wind_power=15.0, turbulence_power=1.5)
FLIGHTS, RESETS = stored()
# In the air, of the observed x, y, velocities and angle, and of the spin: seen in 2,355 steps were
# 5e-5 and 8e-5 at most.
PLACE, SPIN = 2e-4, 5e-4


def compare(game, params, flights):
    """Return (our answers, absolute differences of observations [S, 8])."""
    found = lunar_box2d.answers(game, params, flights)
    return found, np.abs(found.obs - np.concatenate([flight.obs[1:] for flight in flights]))


def check_air(differences):
    assert differences[:, [0, 1, 2, 3, 4]].max() < PLACE
    assert differences[:, 5].max() < SPIN
    assert (differences[:, 6:] == 0).all()


def rewards(flights):
    return np.concatenate([flight.reward for flight in flights])


@pytest.fixture(scope="module")
def kept():
    """Return {name: (our answers, differences)} of the stored stretches."""
    found, differences = compare(GAME, PARAMS, list(FLIGHTS.values()))
    ends = np.cumsum([len(flight.action) for flight in FLIGHTS.values()])[:-1]
    parts = zip(*(np.split(column, ends) for column in (*found, differences)), strict=True)
    return {
        name: (lunar_box2d.Answer(*own[:-1]), own[-1])
        for name, own in zip(FLIGHTS, parts, strict=True)
    }


@pytest.mark.parametrize("name", [name for name in FLIGHTS if name.startswith("air")])
def test_stored_steps_in_the_air(kept, name):
    found, differences = kept[name]
    assert found.air.all()
    check_air(differences)
    flight = FLIGHTS[name]
    np.testing.assert_allclose(found.reward, flight.reward, atol=0.02)
    places = np.abs(found.bodies - flight.bodies[1:])
    assert places[:, 0, :2].max() < 1e-4 and places[:, 1:, 2].max() < 2e-3
    assert places[:, 1:, 3:5].max() < 0.04 and places[:, 1:, 5].max() < 0.04
    assert not found.terminated.any()


def test_stored_steps_have_all_actions():
    taken = [FLIGHTS[name].action for name in FLIGHTS if name.startswith("air")]
    assert set(np.concatenate(taken)) == {0, 1, 2, 3}


def check_ground(differences):
    """Check that most steps are near; some are not, as impulses of hard touches are shared out."""
    for quantile, place, speed, spin in ((0.5, 1e-4, 1e-3, 5e-3), (0.9, 1e-3, 0.03, 0.1)):
        found = np.quantile(differences, quantile, axis=0)
        assert found[[0, 1]].max() < place and found[[2, 3, 4]].max() < speed and found[5] < spin


def test_the_stored_touch_is_near(kept):
    found, differences = kept["touch"]
    assert FLIGHTS["touch"].obs[:, 6:].any() and not FLIGHTS["touch"].obs[0, 6:].any()
    assert (differences[:, 6:] == 0).all() and not found.terminated.any()
    check_ground(differences)


def test_the_stored_rest_ends_as_landed(kept):
    found, differences = kept["rest"]
    # it is not quite still before, and our impulses and touches begin anew with the stretch
    assert differences[20:, :6].max() < 1e-3 and (differences[1:, 6:] == 0).all()
    assert differences[30:, :6].max() < 1e-5
    assert found.reward[-1] == FLIGHTS["rest"].reward[-1] == 100
    assert found.terminated[-1] and not found.terminated[:-1].any()


def test_the_stored_crash_is_one(kept):
    found, _ = kept["crash"]
    np.testing.assert_array_equal(found.terminated, [False] * 4 + [True])
    assert found.reward[-1] == FLIGHTS["crash"].reward[-1] == -100


def test_first_motions_are_those_of_stored_resets():
    for reset in RESETS:
        found = first(np.float32(reset["force"]), np.float32(0), -10.0)
        want = lunar_box2d.motion_of(np.array(reset["bodies"]))
        np.testing.assert_allclose(found.pin, want.pin, atol=2e-4)
        np.testing.assert_allclose(found.angle, want.angle, atol=2e-4)
        np.testing.assert_allclose(found.velocity, want.velocity, atol=5e-5)
        np.testing.assert_allclose(found.spin, want.spin, atol=1e-4)


def momenta(motion):
    """Return (momentum [2], angular momentum about the centre of all masses)."""
    mass, turned = BODIES.mass[:, None], np.asarray(rotate(BODIES.centre, motion.angle))
    velocity, middle = np.asarray(motion.velocity), (mass * turned).sum(0) / mass.sum()
    arms, spins = turned - middle, BODIES.inertia * np.asarray(motion.spin)
    turning = BODIES.mass * (arms[:, 0] * velocity[:, 1] - arms[:, 1] * velocity[:, 0])
    return (mass * velocity).sum(0), (spins + turning).sum()


def test_force_and_torque_of_the_first_step_become_momentum():
    pushed, alone = (first(np.float32([0, 0]), np.float32(t), 0.0) for t in (300.0, 0.0))
    linear, angular = momenta(pushed)
    np.testing.assert_allclose(linear, [0, 0], atol=1e-4)
    np.testing.assert_allclose(angular, 300 / 50, rtol=0.03)  # the legs turn within the step
    assert momenta(alone)[1] == 0
    linear, _ = momenta(first(np.float32([500, -200]), np.float32(0), 0.0))
    np.testing.assert_allclose(linear, [10, -4], rtol=1e-5)


def test_the_first_step_has_wind():
    keys = jax.random.split(jax.random.key(3), 8)
    reset = jax.jit(jax.vmap(GAME.reset_env, (0, None)))
    windy, calm = (reset(keys, params)[1] for params in (WINDY, PARAMS))
    np.testing.assert_array_equal(windy.wind, calm.wind + 1)
    course = np.tanh(np.sin(0.02 * calm.wind) + np.sin(np.pi * 0.01 * calm.wind))
    change = np.asarray(windy.motion.velocity - calm.motion.velocity)
    np.testing.assert_allclose(
        (BODIES.mass[:, None] * change).sum(1), 15 / 50 * course[:, :1] * [1, 0], atol=1e-4
    )


def test_fresh_first_steps_with_wind():
    pytest.importorskip("Box2D")
    from gymnasium.utils.seeding import np_random

    box = lunar_box2d.world(enable_wind=True)
    for seed in range(8):
        box.reset(seed=seed)
        force = np_random(seed)[0].uniform(size=14)[12:] * 2000 - 1000  # after the terrain's 12
        course = lunar_lander.gust(np.int32([box.wind_idx - 1, box.torque_idx - 1]))
        wind, torque = lunar_lander.wind_forces(course, WINDY)
        found = first(np.float32(force) + wind, torque, -10.0)
        want = lunar_box2d.motion_of(lunar_box2d.bodies(box))
        np.testing.assert_allclose(found.velocity, want.velocity, atol=5e-5)
        np.testing.assert_allclose(found.spin, want.spin, atol=1e-4)


def test_the_controller_is_that_of_gymnasium_in_both_forms():
    obs = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32) * 0.4
    obs[:, 6:] = np.random.default_rng(1).random((300, 2)) < 0.3
    found = np.asarray(jax.jit(jax.vmap(lunar_box2d.heuristic))(obs))
    np.testing.assert_array_equal(found, [lunar_box2d.heuristic_of_numpy(row) for row in obs])
    assert set(found) == {0, 1, 2, 3}
    pytest.importorskip("Box2D")
    from gymnasium.envs.box2d.lunar_lander import heuristic

    box = lunar_box2d.world()
    np.testing.assert_array_equal(found, [heuristic(box, row) for row in obs])


def any_of_four(rng):
    return lambda obs: int(rng.integers(4))


def any_throttle(rng):
    return lambda obs: rng.uniform(-1.3, 1.3, 2).astype(np.float32)


@pytest.mark.parametrize("wind", [False, True])
@pytest.mark.parametrize("game", [GAME, FREE])
def test_fresh_steps(game, wind):
    pytest.importorskip("Box2D")
    box = lunar_box2d.world(continuous=game.continuous, enable_wind=wind)
    rng = np.random.default_rng(1 + wind)
    policy = (any_throttle if game.continuous else any_of_four)(rng)
    flights = [lunar_box2d.fly(box, policy, seed) for seed in range(100, 108)]
    found, differences = compare(game, WINDY if wind else PARAMS, flights)
    steps = np.concatenate([np.arange(len(flight.action)) for flight in flights])
    np.testing.assert_array_equal(found.steps, steps)
    assert 0.5 < found.air.mean() < 1
    check_air(differences[found.air])
    crashed = np.array([flight.ended == "crashed" for flight in flights])
    ends = np.cumsum([len(flight.action) for flight in flights]) - 1
    # which step a body is stopped in is a matter of less than a millimetre
    assert crashed.all() and (found.reward[ends] == -100).sum() >= 7
    others = np.delete(found.terminated, ends)
    assert others.mean() < 0.01
    air = found.air & ~found.terminated
    np.testing.assert_allclose(found.reward[air], rewards(flights)[air], atol=0.02)


def test_fresh_landings():
    pytest.importorskip("Box2D")
    box = lunar_box2d.world()
    flights = [lunar_box2d.fly(box, lunar_box2d.heuristic_of_numpy, 200 + i) for i in range(8)]
    found, differences = compare(GAME, PARAMS, flights)
    check_air(differences[found.air])
    assert (~found.air).sum() > 200
    check_ground(differences[~found.air])
    assert (differences[:, 6:] > 0).any(1).mean() < 0.01
    ends = np.cumsum([len(flight.action) for flight in flights]) - 1
    landed = np.array([flight.ended == "landed" for flight in flights])
    assert landed.sum() > 4 and (found.reward[ends[landed]] != 100).sum() <= 1
    assert np.delete(found.terminated, ends).mean() < 0.01


@pytest.mark.parametrize("player", lunar_returns.untrained(), ids=lambda player: player.name)
def test_episodes_are_alike(player):
    pytest.importorskip("Box2D")
    theirs = lunar_returns.box2d_episodes(player, 100, 500)
    ours = lunar_returns.our_episodes(player, 100, 1)
    for name in ("total", "length"):
        p = stats.ks_2samp(getattr(ours, name), getattr(theirs, name)).pvalue
        assert p > 0.001, (name, p)
    landed = [np.mean(found.landed) for found in (ours, theirs)]
    assert abs(landed[0] - landed[1]) < 0.15
