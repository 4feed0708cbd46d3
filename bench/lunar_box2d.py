"""gymnasium's LunarLander, whose physics is Box2D's: what it did, and our step from the same place.

Box2D is imported by gymnasium, as a world is made.
"""

import copy
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.rl.lunar_body import hull_separation, leg_contacts
from dla_jax.rl.lunar_lander import EnvState, LunarLander, shaping_of
from dla_jax.rl.lunar_terrain import POINTS
from dla_jax.rl.pinned_bodies import Motion

LIMIT = 1000  # steps of an episode
ROWS = 1024  # steps that one program takes, or a multiple
NEAR = 0.05  # metres from the ground, within which a step is not one in the air


class Flight(NamedTuple):
    """T steps of gymnasium's, one episode or a part of one."""

    ground: np.ndarray  # [11], heights of the terrain
    bodies: np.ndarray  # [T + 1, 3, 6]: x, y, angle, velocity of the centre of mass, spin
    obs: np.ndarray  # [T + 1, 8]
    action: np.ndarray  # int [T], or [T, 2]
    noise: np.ndarray  # [T, 2] in [-1, 1], of the engines
    reward: np.ndarray  # [T]
    wind: np.ndarray  # int [T, 2], where the wind's courses are before each step
    ended: str  # "landed", "crashed" (out of the picture too), or "" within an episode


def world(**options):
    """Return gymnasium's environment without a time limit.

    Args:
      options: as gymnasium takes them: continuous, gravity, enable_wind, wind_power, ...
    """
    import gymnasium

    return gymnasium.make("LunarLander-v3", **options).unwrapped


def bodies(box) -> np.ndarray:
    """Return where hull and legs of a world are, and how they move: [3, 6]."""
    parts = (box.lander, *box.legs)
    return np.array([(*b.position, b.angle, *b.linearVelocity, b.angularVelocity) for b in parts])


def ground(box) -> np.ndarray:
    """Return the heights of a world's terrain: [11]."""
    slopes = box.sky_polys
    return np.array([slope[0][1] for slope in slopes] + [slopes[-1][1][1]])


def fly(box, policy, seed: int) -> Flight:
    """Play an episode, or 1,000 steps of it.

    Args:
      policy: observation [8] -> action.
    """
    rows, obs = [], box.reset(seed=seed)[0]
    places, seen, terminated = [bodies(box)], [obs], False
    while not terminated and len(rows) < LIMIT:
        action, chance = policy(obs), copy.deepcopy(box.np_random)
        noise = [chance.uniform(-1, 1) for _ in range(2)]
        wind = (box.wind_idx, box.torque_idx) if box.enable_wind else (0, 0)
        obs, reward, terminated, *_ = box.step(action)
        rows.append((action, noise, reward, wind))
        places.append(bodies(box))
        seen.append(obs)
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    ended = ("landed" if rows[-1][2] == 100 else "crashed") if terminated else ""
    return Flight(ground(box), np.array(places), np.array(seen), *columns, ended)


def part(flight: Flight, first: int, last: int) -> Flight:
    """Return the steps from `first` to before `last`."""
    inner = {name: getattr(flight, name)[first:last] for name in ("action", "noise", "reward")}
    inner |= {name: getattr(flight, name)[first : last + 1] for name in ("bodies", "obs")}
    ended = flight.ended if last >= len(flight.action) else ""
    return flight._replace(**inner, wind=flight.wind[first:last], ended=ended)


def motion_of(rows: jax.Array) -> Motion:
    """Return the motion of bodies [3, 6]; the pin is where the hull has it."""
    return Motion(rows[0, :2], rows[:, 2], rows[:, 3:5], rows[:, 5])


def state_of(rows: jax.Array, obs: jax.Array, heights: jax.Array, wind: jax.Array) -> EnvState:
    """Return our state where gymnasium's bodies [3, 6] are, without what a step remembers."""
    return EnvState(
        time=jnp.int32(0),
        motion=motion_of(rows),
        impulses=jnp.zeros(10),
        ground=heights,
        contact=obs[6:] > 0,
        touched=jnp.zeros((2, POINTS - 1), bool),
        resting=jnp.float32(0),
        shaping=shaping_of(obs),
        wind=wind,
        main=jnp.float32(0),
        side=jnp.float32(0),
    )


class Answer(NamedTuple):
    """What our steps make of gymnasium's places, each from where gymnasium was: S steps."""

    bodies: np.ndarray  # [S, 3, 6], as of `Flight`; of the legs only angle, velocity and spin
    obs: np.ndarray  # [S, 8]
    reward: np.ndarray  # [S]
    terminated: np.ndarray  # bool [S]
    air: np.ndarray  # bool [S], nothing is near the ground before or after the step
    steps: np.ndarray  # int [S], of the flight so far


def answers(env: LunarLander, params, flights: list[Flight]) -> Answer:
    """Take our step from every place of the flights.

    Impulses, touched slopes and the time at rest are those that our step before left.
    """
    joined = lambda pick: np.concatenate([np.asarray(pick(flight)) for flight in flights])
    given = (
        joined(lambda f: np.float32(f.bodies[:-1])),
        joined(lambda f: np.float32(f.obs[:-1])),
        joined(lambda f: np.float32(np.broadcast_to(f.ground, (len(f.action), POINTS)))),
        joined(lambda f: np.int32(f.wind)),
        joined(lambda f: f.action),
        joined(lambda f: np.float32(f.noise)),
        joined(lambda f: np.arange(len(f.action))),
    )
    count = len(given[-1])
    longer = lambda column: np.resize(column, (-(-count // ROWS) * ROWS, *column.shape[1:]))
    found = jax.device_get(_answers(env, params, jax.tree.map(longer, given)))
    return Answer(*(column[:count] for column in found), steps=given[-1])


@functools.partial(jax.jit, static_argnames="env")
def _answers(env: LunarLander, params, given: tuple):
    def near(state):
        legs = leg_contacts(state.motion, state.ground).separation.min()
        return jnp.minimum(legs, hull_separation(state.motion, state.ground)) < NEAR

    def take(before, row):
        rows, obs, heights, wind, action, noise, step = row
        kept = {"impulses": before.impulses, "touched": before.touched, "resting": before.resting}
        kept = jax.tree.map(lambda old: jnp.where(step > 0, old, jnp.zeros_like(old)), kept)
        state = state_of(rows, obs, heights, wind).replace(**kept)
        obs, after, reward, terminated, _ = env.step_with(noise, state, action, params)
        motion = after.motion
        places = jnp.broadcast_to(motion.pin, (3, 2))
        columns = places, motion.angle[:, None], motion.velocity, motion.spin[:, None]
        air = ~near(state) & ~near(after)
        return after, (jnp.concatenate(columns, 1), obs, reward, terminated, air)

    first = state_of(*(column[0] for column in given[:4]))
    return jax.lax.scan(take, first, given)[1]


def heuristic(obs: jax.Array) -> jax.Array:
    """Return the action of gymnasium's controller: int32 []."""
    lean = jnp.clip(obs[0] * 0.5 + obs[2], -0.4, 0.4)
    stands = (obs[6] > 0) | (obs[7] > 0)
    turn = jnp.where(stands, 0.0, (lean - obs[4]) * 0.5 - obs[5])
    rise = jnp.where(stands, 0.0, (0.55 * abs(obs[0]) - obs[1]) * 0.5) - obs[3] * 0.5
    side = jnp.where(turn < -0.05, 3, jnp.where(turn > 0.05, 1, 0))
    return jnp.where((rise > abs(turn)) & (rise > 0.05), 2, side)


def heuristic_of_numpy(obs: np.ndarray) -> int:
    """Return the same action with NumPy, step by step."""
    x, y, right, up, angle, spin, *legs = map(float, obs)
    turn = (min(max(x * 0.5 + right, -0.4), 0.4) - angle) * 0.5 - spin
    rise = (0.55 * abs(x) - y) * 0.5 - up * 0.5
    if any(legs):
        turn, rise = 0.0, -up * 0.5
    if rise > abs(turn) and rise > 0.05:
        return 2
    return 3 if turn < -0.05 else 1 if turn > 0.05 else 0
