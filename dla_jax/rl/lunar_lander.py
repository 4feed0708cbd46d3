"""gymnasium's LunarLander-v3 in JAX, with gymnax's interface.

Terrain, engines and their noise, wind, observation, reward and ends are gymnasium's, whose physics
is Box2D's: https://gymnasium.farama.org/environments/box2d/lunar_lander. The mechanics here are
those of `pinned_bodies`: in the air a step is Box2D's but for its rounding and the motors of the
legs, which give way a little; on the ground it is near. Whole episodes are not equal one by one,
but alike: `python -m bench.lunar_lander` measures it. Lengths are in metres, times in seconds.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments import environment, spaces

from dla_jax.rl.lunar_body import BODIES, FPS, SCALE, advance, first_motion, weight
from dla_jax.rl.lunar_terrain import HEIGHT, PAD, POINTS, WIDTH, terrain
from dla_jax.rl.pinned_bodies import Motion, cross, rotate

MAIN_POWER, MAIN_Y = 13.0, 4 / SCALE
SIDE_POWER, SIDE_AWAY, SIDE_HEIGHT, SIDE_Y = 0.6, 12 / SCALE, 14 / SCALE, 17 / SCALE
INITIAL_FORCE = 1000.0  # N, the most along each axis, in the step that begins an episode
# Box2D's rule of rest, b2Island::Solve, which asks for overlaps that are mended too: here they are
SLEEP_TIME, SLEEP_SPEED, SLEEP_SPIN = 0.5, 0.01, 2 / 180 * math.pi


@struct.dataclass
class EnvState(environment.EnvState):
    """Where everything is."""

    motion: Motion
    impulses: jax.Array  # float32 [10], of the last step
    ground: jax.Array  # float32 [11], heights of the terrain at x = 0, 2, ..., 20
    contact: jax.Array  # bool [2], whether each leg counts as touching the ground
    touched: jax.Array  # bool [2, 10], which slopes each leg touches
    resting: jax.Array  # float32 [], seconds that nothing has moved
    shaping: jax.Array  # float32 [], the potential that the reward is the change of
    wind: jax.Array  # int32 [2], where the wind's force and its torque are in their courses
    main: jax.Array  # float32 [], power of the main engine in the last step, 0 to 1
    side: jax.Array  # float32 [], the same of the side engines; negative: the left one


@struct.dataclass
class EnvParams(environment.EnvParams):
    """What gymnasium lets one choose."""

    gravity: float = -10.0
    wind_power: float = 0.0  # gymnasium's enable_wind: 15.0
    turbulence_power: float = 0.0  # and 1.5
    max_steps_in_episode: int = 1000


def counted_contact(counted: jax.Array, before: jax.Array, now: jax.Array) -> jax.Array:
    """Return whether gymnasium counts each leg as touching: bool [2].

    It does from where a touch of any slope begins to where one of any slope ends: a leg that slid
    from one slope to the next stands there uncounted, until it has been in the air.
    """
    began, ended = (now & ~before).any(1), (before & ~now).any(1)
    return (counted | began) & ~ended


def engines(angle: jax.Array, main: jax.Array, side: jax.Array, noise: jax.Array) -> jax.Array:
    """Return the generalised impulse [5] of the engines in one step.

    Args:
      angle: of the hull.
      main: power of the main engine, 0 or from 0.5 to 1.
      side: of the side engines; negative: gymnasium's left one, which pushes to the left.
      noise: float32 [2] in [-1, 1], which moves where the engines push.
    """
    sin, cos, noise = jnp.sin(angle), jnp.cos(angle), noise / SCALE
    along, across = jnp.array([sin, -cos]), jnp.array([-cos, -sin])  # as gymnasium's tip and side
    offset = along * (MAIN_Y + 2 * noise[0]) + across * noise[1]
    main_impulse = -offset * MAIN_POWER * main
    away = 3 * noise[1] + jnp.sign(side) * SIDE_AWAY
    side_offset = along * noise[0] + across * away
    side_impulse = -side_offset * SIDE_POWER * abs(side)
    # gymnasium mixes 17 and 14 pixels here, so that the lever depends on the hull's angle
    lever = side_offset + jnp.array([-sin * SIDE_Y, cos * SIDE_HEIGHT])
    torque = cross(offset, main_impulse) + cross(lever, side_impulse)
    return jnp.concatenate([main_impulse + side_impulse, torque[None], jnp.zeros(2)])


def gust(index: jax.Array) -> jax.Array:
    """Return the course of wind and turbulence, which never repeats, in [-1, 1]."""
    return jnp.tanh(jnp.sin(0.02 * index) + jnp.sin(math.pi * 0.01 * index))


def blows(params: EnvParams) -> bool:
    """Return whether there is any wind, as gymnasium's `enable_wind`."""
    return (params.wind_power != 0) | (params.turbulence_power != 0)


def wind_forces(course: jax.Array, params: EnvParams) -> tuple[jax.Array, jax.Array]:
    """Return the wind's force on the hull's centre, [2] in N, and its torque in Nm.

    Args:
      course: float32 [2], what `gust` says of both.
    """
    return jnp.stack([course[0] * params.wind_power, 0.0]), course[1] * params.turbulence_power


def wind_impulse(angle: jax.Array, course: jax.Array, params: EnvParams) -> jax.Array:
    """Return the generalised impulse [5] of wind and turbulence in one step."""
    force, torque = wind_forces(course, params)
    torque += cross(rotate(BODIES.centre[0], angle), force)
    return jnp.concatenate([force, torque[None], jnp.zeros(2)]) / FPS


def shaping_of(obs: jax.Array) -> jax.Array:
    """Return the potential whose change is the reward, without fuel and ends."""
    away, speed = jnp.sqrt((obs[:2] ** 2).sum()), jnp.sqrt((obs[2:4] ** 2).sum())
    return -100 * (away + speed + abs(obs[4])) + 10 * (obs[6] + obs[7])


def scene(state: EnvState) -> jax.Array:
    """Return what a picture shows, float32 [22].

    Place and angle of the hull and of each leg, main and side power, and the ground's heights.
    """
    motion = state.motion
    places = motion.pin + rotate(BODIES.centre, motion.angle) * np.float32([[0], [1], [1]])
    poses = jnp.concatenate([places, motion.angle[:, None]], axis=1).reshape(-1)
    return jnp.concatenate([poses, jnp.stack([state.main, state.side]), state.ground])


class LunarLander(environment.Environment[EnvState, EnvParams]):
    """The lander with four actions, or with two continuous ones: main throttle, side throttle."""

    def __init__(self, continuous: bool = False):
        self.continuous = continuous

    @property
    def default_params(self) -> EnvParams:
        """Return gymnasium's parameters."""
        return EnvParams()

    def reset_env(self, key, params):
        """Return (obs, state) after the first step, in which a random force acts, and wind."""
        ground_key, force_key, wind_key = jax.random.split(key, 3)
        force = jax.random.uniform(force_key, (2,), minval=-INITIAL_FORCE, maxval=INITIAL_FORCE)
        wind = jax.random.randint(wind_key, (2,), -9999, 9999)
        sideways, torque = wind_forces(gust(wind), params)
        state = EnvState(
            time=jnp.int32(0),
            motion=first_motion(force + sideways, torque, params.gravity),
            impulses=jnp.zeros(10),
            ground=terrain(ground_key),
            contact=jnp.zeros(2, bool),
            touched=jnp.zeros((2, POINTS - 1), bool),
            resting=jnp.float32(0),
            shaping=jnp.float32(0),
            wind=wind + blows(params),
            main=jnp.float32(0),
            side=jnp.float32(0),
        )
        obs = self.get_obs(state)
        return obs, state.replace(shaping=shaping_of(obs))

    def step_env(self, key, state, action, params):
        """Return (obs, state, reward, terminated, info) of one step of 0.02 s."""
        return self.step_with(jax.random.uniform(key, (2,), minval=-1), state, action, params)

    def step_with(self, noise, state, action, params):
        """Return what `step_env` does, with the engines' noise given: float32 [2] in [-1, 1]."""
        main, side = self.powers(action)
        blown = ~state.contact.any() & blows(params)
        push = engines(state.motion.angle[0], main, side, noise)
        push += weight(params.gravity, state.motion.angle)
        push += blown * wind_impulse(state.motion.angle[0], gust(state.wind), params)
        motion, impulses, touched, crashed = advance(
            state.motion, state.ground, state.impulses, push
        )
        moves = (jnp.square(motion.velocity).sum(1) > SLEEP_SPEED**2) | (
            abs(motion.spin) > SLEEP_SPIN
        )
        after = state.replace(
            time=state.time + 1,
            motion=motion,
            impulses=impulses,
            contact=counted_contact(state.contact, state.touched, touched),
            touched=touched,
            resting=jnp.where(moves.any(), 0.0, state.resting + 1 / FPS),
            wind=state.wind + blown,
            main=main,
            side=side,
        )
        obs = self.get_obs(after)
        after = after.replace(shaping=shaping_of(obs))
        landed, lost = after.resting >= SLEEP_TIME - 1e-4, crashed | (abs(obs[0]) >= 1)
        reward = after.shaping - state.shaping - 0.3 * main - 0.03 * abs(side)
        reward = jnp.where(landed, 100.0, jnp.where(lost, -100.0, reward))
        terminated = landed | lost
        return obs, after, reward, terminated, {"terminated": terminated}

    def powers(self, action):
        """Return the power of the main engine, 0 to 1, and of the side engines, -1 to 1."""
        if not self.continuous:
            return jnp.float32(action == 2), jnp.float32(action == 3) - jnp.float32(action == 1)
        main, side = jnp.clip(action[0], -1, 1), jnp.clip(action[1], -1, 1)
        return jnp.where(main > 0, (main + 1) / 2, 0.0), jnp.where(abs(side) > 0.5, side, 0.0)

    def get_obs(self, state, params=None, key=None):
        """Return place, velocity, angle, spin and contacts of the legs, scaled: float32 [8]."""
        motion = state.motion
        x, y = motion.pin
        scaled = [
            x / (WIDTH / 2) - 1,
            (y - PAD - 18 / SCALE) / (HEIGHT / 2),
            motion.velocity[0, 0] * (WIDTH / 2) / FPS,
            motion.velocity[0, 1] * (HEIGHT / 2) / FPS,
            motion.angle[0],
            20 * motion.spin[0] / FPS,
        ]
        return jnp.concatenate([jnp.stack(scaled), jnp.float32(state.contact)])

    def action_space(self, params=None):
        """Return four actions (none, left, main, right), or two numbers in [-1, 1]."""
        return spaces.Box(-1, 1, (2,)) if self.continuous else spaces.Discrete(4)

    def observation_space(self, params=None):
        """Return the bounds that gymnasium gives."""
        high = jnp.array([2.5, 2.5, 10, 10, 2 * math.pi, 10, 1, 1])
        return spaces.Box(high * jnp.array([-1] * 6 + [0, 0]), high, (8,))
