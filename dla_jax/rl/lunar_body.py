"""LunarLander's vessel: a hull with two legs, how it meets the ground, and its first moment.

Lengths are in metres, masses in kilograms, angles in radians.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.rl import pinned_bodies
from dla_jax.rl.lunar_terrain import HEIGHT, WIDTH, above, polygon_separation, touched_slopes
from dla_jax.rl.pinned_bodies import Bodies, Contacts, Legs, Motion, rotate

FPS, SCALE = 50, 30.0  # steps a second; pixels a metre, in which gymnasium gives shapes
TOUCHED = -0.015  # Box2D stops a body in the step in which it would get deeper into the skin
FRICTION = math.sqrt(0.1 * 0.2)  # of legs (Box2D's default) on the terrain
VELOCITY_SWEEPS, POSITION_SWEEPS = 30, 10

HULL = np.float32([(-14, 17), (-17, 0), (-17, -10), (17, -10), (17, 0), (14, 17)]) / SCALE
LEG = np.float32([2, 8]) / SCALE  # half the width and height of a leg
BODIES = Bodies(  # the hull has density 5 and its centre 3.04 pixels above the pin, legs density 1
    mass=np.float32([4.8166666, 0.0711111, 0.0711111]),
    inertia=np.float32([0.7838807, 0.0017909, 0.0017909]),
    centre=np.float32([(0, 0.101307), (20 / SCALE, -18 / SCALE), (-20 / SCALE, -18 / SCALE)]),
)
LEGS = Legs(
    rest=np.float32([-0.05, 0.05]),
    lower=np.float32([0.4, -0.9]),
    upper=np.float32([0.9, -0.4]),
    speed=np.float32([-0.3, 0.3]),
    torque=40.0,
)
# gymnasium makes the legs 0.6 m beside the pin. Box2D's first step pulls them to it and past their
# limits: the angles they have then, by how much more than the hull they turn, and how far that
# lifts the hull's centre. Found by 1,000 resets of Box2D, which they fit to 0.0002.
FIRST_ANGLE, FIRST_TURN, FIRST_LIFT = np.float32([0.4919, -0.4921]), 1.31, 0.0061
# Which corners of a leg are its lower ones, and which those of its right side.
LOWER_CORNERS, RIGHT_CORNERS = np.float32([(-1, -1), (1, -1)]), np.float32([(1, -1), (1, 1)])


def first_response() -> np.ndarray:
    """Return the matrix [3, 3] from what acts on the hull to the first velocity.

    That is from a force on its centre, in N, and a torque, in Nm, to (x, y, spin) of the pin after
    one step from rest; limits hold the legs.
    """
    cos, sin = np.cos([0.0, *LEGS.rest]), np.sin([0.0, *LEGS.rest])
    x, y = BODIES.centre.T
    arms = np.stack([cos * x - sin * y, sin * x + cos * y], axis=1)
    per_spin = np.stack([-arms[:, 1], arms[:, 0]], axis=1)
    mass = np.zeros((3, 3))
    mass[:2, :2] = BODIES.mass.sum() * np.eye(2)
    mass[:2, 2] = mass[2, :2] = BODIES.mass @ per_spin
    mass[2, 2] = (BODIES.inertia + BODIES.mass * (arms**2).sum(1)).sum()
    push = np.eye(3)
    push[2, :2] = per_spin[0]
    return np.float32(np.linalg.solve(mass, push) / FPS)


FIRST_RESPONSE = first_response()


def first_motion(force: jax.Array, torque: jax.Array, gravity: float) -> Motion:
    """Return the motion after the first step, in which a force and a torque act on the hull.

    Args:
      force: float32 [2], on its centre, in N.
      torque: float32 [], in Nm.
    """
    *pin_velocity, spin = FIRST_RESPONSE @ jnp.append(force, torque)
    pin_velocity = jnp.stack(pin_velocity) + jnp.array([0.0, gravity / FPS])
    turn = spin / FPS
    angle = jnp.concatenate([turn[None], FIRST_ANGLE + FIRST_TURN * turn])
    before = rotate(BODIES.centre, jnp.concatenate([jnp.zeros(1), LEGS.rest]))
    velocity = pin_velocity + spin * pinned_bodies.perpendicular(before)
    centre = jnp.array([WIDTH / 2, HEIGHT + FIRST_LIFT]) + before[0] + velocity[0] / FPS
    pin = centre - rotate(BODIES.centre[0], turn)
    return Motion(pin, angle, velocity, jnp.full(3, spin))


def weight(gravity: jax.Array, angle: jax.Array) -> jax.Array:
    """Return the generalised impulse [5] of gravity in one step."""
    falling = jnp.broadcast_to(jnp.array([0.0, gravity / FPS]), (3, 2))
    return pinned_bodies.momentum(BODIES, rotate(BODIES.centre, angle), falling, jnp.zeros(3))


def leg_contacts(motion: Motion, ground: jax.Array) -> Contacts:
    """Return the two corners of each leg that its side towards the ground has."""
    centres = rotate(BODIES.centre[1:], motion.angle[1:])
    _, normal = above(ground, motion.pin + centres)
    up = rotate(normal, -motion.angle[1:])[:, None, :]  # in the legs' own frames
    lower = LOWER_CORNERS * jnp.where(up[..., 1:] < 0, -1.0, 1.0)
    side = RIGHT_CORNERS * jnp.where(up[..., :1] > 0, -1.0, 1.0)
    corners = LEG * jnp.where(abs(up[..., 1:]) >= abs(up[..., :1]), lower, side)
    arm = (centres[:, None] + rotate(corners, motion.angle[1:, None])).reshape(4, 2)
    separation, normal = above(ground, motion.pin + arm)
    return Contacts(np.array([1, 1, 2, 2]), arm, normal, separation)


def lower_sides(motion: Motion, contacts: Contacts) -> jax.Array:
    """Return the ends of the legs' sides towards the ground: float32 [2, 2, 2]."""
    return (motion.pin + contacts.arm).reshape(2, 2, 2)


def hull_separation(motion: Motion, ground: jax.Array) -> jax.Array:
    """Return how far the hull is from the ground: float32 [], negative where they overlap."""
    return polygon_separation(HULL, motion.pin, motion.angle[0], ground)


def advance(motion: Motion, ground: jax.Array, impulses: jax.Array, push: jax.Array) -> tuple:
    """Return (motion, impulses, touched slopes [2, 10], whether the hull crashed) after one step.

    As in Box2D, what touches is known at the beginning of a step, or, of a body that would get deep
    into the ground, in the step itself.
    """
    before = leg_contacts(motion, ground)
    limited = pinned_bodies.at_limits(LEGS, motion)[1:]
    after, impulses = pinned_bodies.new_velocities(
        BODIES, LEGS, motion, before, push, FRICTION, impulses, 1 / FPS, VELOCITY_SWEEPS
    )
    after = pinned_bodies.moved(BODIES, after, 1 / FPS)
    inside = leg_contacts(after, ground)
    touched = touched_slopes(lower_sides(motion, before), ground, 0.0)
    touched |= touched_slopes(lower_sides(after, inside), ground, TOUCHED)
    crashed = hull_separation(motion, ground) <= 0
    crashed |= hull_separation(after, ground) < TOUCHED
    after = pinned_bodies.pushed_out(BODIES, LEGS, after, inside, limited, POSITION_SWEEPS)
    return after, impulses, touched, crashed
