"""LunarLander in JAX: engines, wind, reward, ends, chance."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.rl import envs, lunar_body, lunar_lander
from dla_jax.rl.lunar_body import BODIES, FPS, LEGS
from dla_jax.rl.lunar_lander import LunarLander
from dla_jax.rl.lunar_terrain import HEIGHT, PAD, WIDTH
from dla_jax.rl.pinned_bodies import Motion

GAME = LunarLander()
PARAMS = GAME.default_params
COPIES, STEPS = 16, 128
FLAT = np.full(11, 0.99 * PAD, np.float32)


@jax.jit
def flown(key, actions, params, given, use):
    """Return (states, obs, reward, terminated) of steps, from states `given` if they are used."""
    reset_key, step_key = jax.random.split(key)
    _, states = jax.vmap(GAME.reset_env, (0, None))(jax.random.split(reset_key, COPIES), params)
    states = jax.tree.map(lambda new, own: jnp.where(use, new, own), given, states)
    keys = jax.random.split(step_key, (STEPS, COPIES))
    step_all = jax.vmap(GAME.step_env, (0, 0, 0, None))

    def step(states, row):
        keys, action = row
        obs, after, reward, over, _ = step_all(keys, states, action, params)
        return after, (after, obs, reward, over)

    _, found = jax.lax.scan(step, states, (keys, actions))
    begin = jax.tree.map(lambda x: x[None], states)
    joined = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), begin, found[0])
    return joined, *found[1:]


@functools.cache
def unused():
    """Return zeros in place of a state."""
    like = jax.eval_shape(GAME.reset_env, jax.random.key(0), PARAMS)[1]
    return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)


def fly(actions, seed=0, params=PARAMS, state=None):
    """Return what `flown` says of steps from a state, or from beginnings; nothing ends."""
    given = jax.tree.map(lambda x: np.broadcast_to(x, (COPIES, *x.shape)), state or unused())
    actions = np.broadcast_to(np.int32(actions), (STEPS, COPIES))
    return jax.device_get(flown(jax.random.key(seed), actions, params, given, state is not None))


@pytest.fixture(scope="module")
def played():
    """Return what `fly` says of random actions, and the actions."""
    actions = np.random.default_rng(0).integers(0, 4, (STEPS, COPIES))
    return *fly(actions, params=PARAMS.replace(wind_power=15.0, turbulence_power=1.5)), actions


@functools.cache
def beginning():
    """Return a state that an episode begins with."""
    return one_of(fly(0)[0], 0, 0)


def placed(**changes):
    """Return a state with legs at their lower limits, still, in the middle and 3 m up."""
    motion = Motion(
        pin=np.float32([WIDTH / 2, PAD + 3]),
        angle=np.float32([0, *(LEGS.rest + np.float32([0.4, -0.4]))]),
        velocity=np.zeros((3, 2), np.float32),
        spin=np.zeros(3, np.float32),
    )
    motion = motion._replace(**changes.pop("motion", {}))
    return beginning().replace(motion=motion, ground=jnp.asarray(FLAT), **changes)


@functools.cache
def gap():
    """Return how far the legs of a lander that was `placed` are from the ground, in m."""
    return float(jax.jit(lunar_body.leg_contacts)(placed().motion, FLAT).separation.min())


def one_of(states, t, copy):
    return jax.tree.map(lambda x: x[t, copy], states)


def plain_obs(motion, contact):
    """Return gymnasium's observations [..., 8]."""
    (x, y), (right, up) = (np.moveaxis(v, -1, 0) for v in (motion.pin, motion.velocity[..., 0, :]))
    pad_y = HEIGHT / 4 + 18 / 30
    place = [(x - 10) / 10, (y - pad_y) / (400 / 30 / 2), right * 10 / 50, up * (400 / 30 / 2) / 50]
    legs = np.moveaxis(contact.astype(float), -1, 0)
    return np.stack([*place, motion.angle[..., 0], 20 * motion.spin[..., 0] / 50, *legs], -1)


def plain_shaping(obs):
    x, y, across, up, angle, _, left, right = np.moveaxis(obs, -1, 0)
    return 10 * (left + right) - 100 * (np.hypot(x, y) + np.hypot(across, up) + abs(angle))


def test_observation_and_reward_are_those_of_gymnasium_s_formulas(played):
    states, obs, reward, terminated, actions = played
    now = plain_obs(states.motion, states.contact)
    over = np.cumsum(terminated, axis=0)
    on = over - terminated == 0  # the step that an episode ends with is one of it
    np.testing.assert_allclose(obs[on], now[1:][on], rtol=1e-5, atol=2e-6)
    want = np.diff(plain_shaping(now), axis=0) - 0.3 * (actions == 2) - 0.03 * (actions % 2 == 1)
    want = np.where(terminated, -100, want)
    np.testing.assert_allclose(reward[on], want[on], rtol=0, atol=2e-3)
    assert len(set(zip(actions[on], terminated[on], strict=True))) > 6


def test_a_lander_at_rest_stays_and_has_landed_after_half_a_second():
    state = placed(motion={"pin": np.float32([WIDTH / 2, PAD + 3 - gap() + 0.002])})
    states, _, reward, terminated = fly(0, state=state)
    motion, landed = states.motion, int(np.argmax(terminated[:, 0]))
    assert terminated[landed, 0] and reward[landed, 0] == 100 and landed < 100
    assert not terminated[:landed].any() and states.contact[landed + 1].all()
    still = int(np.flatnonzero(states.resting[: landed + 1, 0] == 0)[-1])
    assert landed + 1 - still == 0.5 * FPS
    moved = np.abs(motion.pin[still:landed] - motion.pin[still]).max()
    assert moved < 1e-3 and np.ptp(motion.angle[still:landed, 0], axis=0).max() < 1e-3


def test_a_lander_whose_legs_move_does_not_rest():
    motion = {"angle": np.float32([0, *(LEGS.rest + np.float32([0.7, -0.7]))])}
    states = fly(0, params=PARAMS.replace(gravity=0.0), state=placed(motion=motion))[0]
    assert np.hypot(*states.motion.velocity[1:20, 0, 0].T).max() < 0.01, "the hull is still"
    assert not states.resting[:20].any() and states.resting[-1].all()


def test_a_sliding_lander_is_slowed_by_box2d_s_friction():
    motion = {
        "pin": np.float32([WIDTH / 2, PAD + 3 - gap()]),
        "velocity": np.full((3, 2), (2, -0.1)),
    }
    states = fly(0, state=placed(motion=jax.tree.map(np.float32, motion)))[0]
    normal, along = np.split(states.impulses[1:20, 0, 2:], 2, axis=1)
    slides = normal > 0.01
    assert slides.sum() > 10
    # of 0.1, the moon's, and 0.2, what shapes have that are given none
    np.testing.assert_allclose(along[slides], -math.sqrt(0.1 * 0.2) * normal[slides], rtol=1e-3)


def test_it_stands_on_its_legs_and_falls_on_its_hull():
    fast = placed(motion={"velocity": np.full((3, 2), (0, -1), np.float32)})
    states, obs, reward, terminated = fly(0, state=fast)
    crash = int(np.argmax(terminated[:, 0]))
    assert terminated[crash, 0] and reward[crash, 0] == -100
    assert (states.contact[:crash].any()) and obs[crash, 0, 3] > -2, "it met its legs first"


@pytest.mark.parametrize("sign", [-1, 1])
def test_out_of_the_picture_is_a_crash(sign):
    start = {"pin": [WIDTH / 2 + sign * 9.5, 9], "velocity": [(sign, 0)] * 3}
    start = {name: np.float32(value) for name, value in start.items()}
    _, obs, reward, terminated = fly(0, state=placed(motion=start))
    first = int(np.argmax(np.abs(obs[:, 0, 0]) >= 1))
    assert 20 < first < 30 and np.argmax(terminated[:, 0]) == first and reward[first, 0] == -100
    both = placed(resting=jnp.float32(0.48), motion={"pin": np.float32([sign * 11 + 10, 9])})
    assert fly(0, params=PARAMS.replace(gravity=0.0), state=both)[2][0, 0] == 100, "rest wins"


def impulse(angle=0.0, main=0.0, side=0.0, noise=(0.0, 0.0)):
    values = map(np.float32, (angle, main, side, noise))
    return np.asarray(jax.jit(lunar_lander.engines)(*values), float)


def plain_engines(angle, main, side, noise):
    """Return the impulse and its torque about the pin as gymnasium's source has them."""
    tip, d = (math.sin(angle), math.cos(angle)), [value / 30 for value in noise]
    across, found = (-tip[1], tip[0]), np.zeros(3)
    ox = tip[0] * (4 / 30 + 2 * d[0]) + across[0] * d[1]
    oy = -tip[1] * (4 / 30 + 2 * d[0]) - across[1] * d[1]
    px, py = -ox * 13 * main, -oy * 13 * main
    found += px, py, ox * py - oy * px
    shift, power = 3 * d[1] + np.sign(side) * 12 / 30, abs(side)
    ox = tip[0] * d[0] + across[0] * shift
    oy = -tip[1] * d[0] - across[1] * shift
    px, py = -ox * 0.6 * power, -oy * 0.6 * power
    x, y = ox - tip[0] * 17 / 30, oy + tip[1] * 14 / 30
    return found + np.array([px, py, x * py - y * px])


def polygon_mass(corners, density):
    """Return mass, centre and moment of inertia about the centre of a polygon of triangles."""
    mass, first, second = 0.0, np.zeros(2), 0.0
    for a, b in zip(corners, np.roll(corners, -1, 0), strict=True):
        part = density * (a[0] * b[1] - a[1] * b[0]) / 2  # with the origin
        mass, first = mass + part, first + part * (a + b) / 3
        second += part * (a @ a + a @ b + b @ b) / 6
    centre = first / mass
    return mass, centre, second - mass * centre @ centre


def test_bodies_are_gymnasium_s_polygons():
    hull = np.array([(-14, 17), (-17, 0), (-17, -10), (17, -10), (17, 0), (14, 17)]) / 30
    leg = np.array([(-2, -8), (2, -8), (2, 8), (-2, 8)]) / 30
    parts = polygon_mass(hull, 5.0), polygon_mass(leg, 1.0), polygon_mass(leg, 1.0)
    mass, centre, inertia = zip(*parts, strict=True)
    np.testing.assert_allclose(BODIES.mass, mass, rtol=1e-5)
    np.testing.assert_allclose(BODIES.inertia, inertia, rtol=1e-4)
    np.testing.assert_allclose(BODIES.centre[0], centre[0], atol=1e-5)
    # the pin is at (-20, 18) and (20, 18) pixels from the legs' centres
    np.testing.assert_allclose(BODIES.centre[1:] * 30, [(20, -18), (-20, -18)], rtol=1e-6)


def test_engines_push_as_gymnasium_s_source_says():
    rng = np.random.default_rng(0)
    for _ in range(20):
        angle, main = rng.uniform(-2, 2), rng.choice([0.0, 0.7, 1.0])
        side, noise = rng.choice([-1, -0.6, 0, 1]), rng.uniform(-1, 1, 2)
        found = impulse(angle, main, side, noise)
        np.testing.assert_allclose(found[:3], plain_engines(angle, main, side, noise), atol=1e-5)
        np.testing.assert_array_equal(found[3:], 0)
    up = impulse(0.3, main=1.0)[:2]
    np.testing.assert_allclose(up, np.array([-np.sin(0.3), np.cos(0.3)]) * 13 * 4 / 30, rtol=1e-5)
    assert impulse(side=-1.0)[2] > 0 > impulse(side=-1.0)[0], "left: counter-clockwise, to the left"


def test_actions_are_powers():
    powers = lambda game, action: [float(value) for value in game.powers(action)]
    assert [powers(GAME, a) for a in range(4)] == [[0, 0], [0, -1], [1, 0], [0, 1]]
    free = LunarLander(continuous=True)
    cases = {(0.0, 0.5): (0, 0), (-1.0, -0.5): (0, 0), (0.01, 0.51): (0.505, 0.51)}
    cases |= {(1.0, -1.0): (1, -1), (5.0, -3.0): (1, -1), (0.5, -0.75): (0.75, -0.75)}
    for action, want in cases.items():
        assert powers(free, jnp.float32(action)) == pytest.approx(want)


def test_gusts_follow_gymnasium_s_formula_until_a_leg_touches(played):
    index = np.int32([-9999, -3, 0, 1, 77, 9998])
    want = np.tanh(np.sin(0.02 * index) + np.sin(math.pi * 0.01 * index))
    np.testing.assert_allclose(jax.jit(lunar_lander.gust)(index), want, rtol=0, atol=1e-4)
    states = played[0]
    blows = ~states.contact[:-1].any(-1)
    assert 0 < blows.mean() < 1
    np.testing.assert_array_equal(np.diff(states.wind, axis=0), np.stack([blows, blows], -1))
    start = placed(wind=jnp.array([25, 60], jnp.int32))
    windy = PARAMS.replace(wind_power=15.0, turbulence_power=1.5)
    after, calm = (fly(0, params=params, state=start)[0] for params in (windy, PARAMS))
    mass = BODIES.mass[:, None]
    linear = [(mass * states.motion.velocity[1, 0]).sum(0) for states in (after, calm)]
    force = 15 * math.tanh(math.sin(0.5) + math.sin(math.pi * 0.25))
    np.testing.assert_allclose(linear[0] - linear[1], [force / FPS, 0], atol=1e-4)
    np.testing.assert_array_equal(calm.wind[:, 0], [[25, 60]] * (STEPS + 1))
    pushed = jax.jit(lunar_lander.wind_impulse)
    torque = np.asarray(pushed(0.4, np.float32([0.0, 0.5]), windy))
    np.testing.assert_allclose(torque, [0, 0, 0.75 / FPS, 0, 0], atol=1e-7)
    push = np.asarray(pushed(0.4, np.float32([1.0, 0.0]), windy), float)
    np.testing.assert_allclose(push[2], -0.101307 * math.cos(0.4) * 15 / FPS, rtol=1e-4)


def test_a_leg_counts_from_a_touch_that_begins_to_one_that_ends():
    rng, counted, before = np.random.default_rng(0), np.zeros(2, bool), np.zeros((2, 10), bool)
    for _ in range(60):
        now = rng.random((2, 10)) < 0.05
        want = counted.copy()
        for leg in range(2):
            for slope in range(10):
                if now[leg, slope] and not before[leg, slope]:
                    want[leg] = True
            for slope in range(10):
                if before[leg, slope] and not now[leg, slope]:
                    want[leg] = False
        counted = np.asarray(lunar_lander.counted_contact(counted, before, now))
        np.testing.assert_array_equal(counted, want)
        before = now


def test_the_same_key_gives_the_same_bits_and_another_does_not():
    first, again, other = (fly(2, seed=seed) for seed in (4, 4, 5))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert (first[1] != other[1]).any((0, 2)).all()
    assert np.ptp(first[0].ground[0], axis=0)[0] > 0 and np.ptp(first[0].wind[0], axis=0).min() > 0


def test_a_time_limit_is_no_end():
    env = envs.make("LunarLanderJax-v0", flatten=True, max_steps=3)
    assert env.max_steps == 3 and envs.make("LunarLanderJax-v0", flatten=True).max_steps == 1000
    state, step, ends = beginning(), jax.jit(env.step), []
    for key in jax.random.split(jax.random.key(1), 3):
        _, state, _, terminated, truncated = step(key, state, jnp.int32(0))
        ends.append((bool(terminated), bool(truncated)))
    assert ends == [(False, False), (False, False), (False, True)]


def test_random_steps_are_numbers(played):
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(played[:3]))


@pytest.mark.slow
def test_a_million_random_steps_are_numbers():
    for rng in map(np.random.default_rng, range(500)):
        test_random_steps_are_numbers(fly(rng.integers(0, 4, (STEPS, COPIES)), rng.integers(2**31)))
