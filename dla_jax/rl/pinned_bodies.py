"""Rigid bodies in a plane that share one pin: a hull and its legs, with contacts.

Body 0 is the hull; each leg turns about the pin, within limits, driven by a motor. Box2D (Catto,
"Iterative dynamics with temporal coherence", GDC 2005) keeps such a joint together by impulses, in
180 iterations a step in gymnasium's LunarLander. Here the pin holds by the choice of coordinates,
its place and the angles of the B bodies: what is left to iterate over are the motors and contacts,
a few numbers for which some sweeps are enough. Lengths are in metres, angles in radians and
counter-clockwise, masses in kilograms.

A generalised velocity is [B + 2]: that of the pin, then the spin of every body; generalised
momenta and impulses are numbered alike.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Bodies(NamedTuple):
    """What never changes of B bodies."""

    mass: np.ndarray  # float32 [B]
    inertia: np.ndarray  # float32 [B], about the centre of mass
    centre: np.ndarray  # float32 [B, 2], of mass, from the pin, at angle 0


class Legs(NamedTuple):
    """The joints of L = B - 1 legs with the hull."""

    rest: np.ndarray  # float32 [L], angle between leg and hull that counts as 0
    lower: np.ndarray  # float32 [L], limits of the angle from there
    upper: np.ndarray  # float32 [L]
    speed: np.ndarray  # float32 [L], that the motor wants, in radians a second
    torque: float  # N m, the most that a motor has


class Motion(NamedTuple):
    """Where the bodies are and how they move."""

    pin: jax.Array  # float32 [2]
    angle: jax.Array  # float32 [B]
    velocity: jax.Array  # float32 [B, 2], of the centres of mass, m/s
    spin: jax.Array  # float32 [B], rad/s


class Contacts(NamedTuple):
    """Points of bodies that may touch the ground: P of them."""

    body: np.ndarray  # int [P]
    arm: jax.Array  # float32 [P, 2], from the pin
    normal: jax.Array  # float32 [P, 2], out of the ground
    separation: jax.Array  # float32 [P], metres; negative: inside the ground


class Bounds(NamedTuple):
    """What the impulses of R rows may be: float32 [R] where nothing else is said."""

    wanted: jax.Array  # speeds that the rows are brought to
    low: jax.Array
    high: jax.Array
    friction: jax.Array  # times the impulse of the row `pair`: by how much the bounds are wider
    pair: np.ndarray  # int [R]
    at_lower: jax.Array  # bool [R]: the speed may not be negative, whatever the bounds
    at_upper: jax.Array  # bool [R]: nor positive


# Box2D's b2_linearSlop, b2_angularSlop and b2_baumgarte: what is left of an overlap, and the part
# of the rest that one iteration takes away. Its iterations end at three times the slop.
SLOP, ANGULAR_SLOP, BAUMGARTE = 0.005, 2 / 180 * np.pi, 0.2
DEEPEST = -3 * SLOP


def rotate(vector: jax.Array, angle: jax.Array) -> jax.Array:
    """Return vectors [..., 2] turned by angles [...]."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    x, y = vector[..., 0], vector[..., 1]
    return jnp.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def cross(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return the cross product of vectors [..., 2] in a plane: [...]."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def perpendicular(vector: jax.Array) -> jax.Array:
    """Return the velocity of points [..., 2] that turn about the origin at 1 rad/s."""
    return jnp.stack([-vector[..., 1], vector[..., 0]], axis=-1)


def momentum(bodies: Bodies, arms: jax.Array, velocity: jax.Array, spin: jax.Array) -> jax.Array:
    """Return the generalised momentum [B + 2] of bodies whose centres are at `arms` [B, 2]."""
    linear = bodies.mass[:, None] * velocity
    return jnp.concatenate([linear.sum(0), bodies.inertia * spin + cross(arms, linear)])


def inverse_mass(bodies: Bodies, arms: jax.Array) -> jax.Array:
    """Return the matrix [B + 2, B + 2] from generalised impulses to changes of velocity.

    The mass matrix is [[m I, C], [C^T, D]] with a diagonal D, since every body turns by itself: its
    inverse needs that of the 2 x 2 matrix m I - C D^-1 C^T alone (the Schur complement).
    """
    own = bodies.inertia + bodies.mass * (arms**2).sum(-1)  # D: about the pin
    coupling = bodies.mass[:, None] * perpendicular(arms)  # C^T
    scaled = coupling / own[:, None]
    complement = bodies.mass.sum() * jnp.eye(2) - (coupling[:, :, None] * scaled[:, None, :]).sum(0)
    (a, b), (_, d) = complement
    pin = jnp.array([[d, -b], [-b, a]]) / (a * d - b * b)
    across = -(scaled[:, None, :] * pin).sum(-1)  # [B, 2]
    turning = jnp.diag(1 / own) - (across[:, None, :] * scaled[None, :, :]).sum(-1)
    return jnp.block([[pin, across.T], [across, turning]])


def joint_rows(num_bodies: int) -> np.ndarray:
    """Return the Jacobian [L, B + 2] of the legs' angles with the hull."""
    legs = num_bodies - 1
    return np.concatenate(
        [np.zeros((legs, 2)), -np.ones((legs, 1)), np.eye(legs)], axis=1, dtype=np.float32
    )


def contact_rows(contacts: Contacts, direction: jax.Array, num_bodies: int) -> jax.Array:
    """Return the Jacobian [P, B + 2] of the velocities of points along `direction` [P, 2]."""
    on_body = np.eye(num_bodies, dtype=np.float32)[contacts.body]
    return jnp.concatenate([direction, on_body * cross(contacts.arm, direction)[:, None]], axis=1)


def relax(matrix: jax.Array, speed: jax.Array, start: jax.Array, bounds: Bounds, sweeps: int):
    """Return impulses float32 [R] found by projected Gauss-Seidel: sequential impulses.

    One row after another gets the impulse that brings it to the speed it wants, as far as its
    bounds let it. The rows are a loop, not written out: that compiles in a fifth of the time.

    Args:
      matrix: float32 [R, R], from impulses to changes of the rows' speeds.
      speed: float32 [R], of the rows without any impulse.
      start: float32 [R], to begin with: those of the step before ("warm starting").
    """
    responses, pair = 1 / jnp.diagonal(matrix), jnp.asarray(bounds.pair)

    def update(count, impulses):
        row = count % len(start)
        stopped = impulses[row] - (speed[row] + (matrix[row] * impulses).sum()) * responses[row]
        room = bounds.friction[row] * impulses[pair[row]]
        wanted = stopped + bounds.wanted[row] * responses[row]
        held = jnp.clip(wanted, bounds.low[row] - room, bounds.high[row] + room)
        held = jnp.where(bounds.at_lower[row], jnp.maximum(held, stopped), held)
        held = jnp.where(bounds.at_upper[row], jnp.minimum(held, stopped), held)
        return impulses.at[row].set(held)

    return jax.lax.fori_loop(0, sweeps * len(start), update, start)


def at_limits(legs: Legs, motion: Motion) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return (angles from rest, whether at the lower limit, whether at the upper one): [L] each."""
    angle = motion.angle[1:] - motion.angle[0] - legs.rest
    return angle, angle <= legs.lower, angle >= legs.upper


def new_velocities(
    bodies: Bodies,
    legs: Legs,
    motion: Motion,
    contacts: Contacts,
    push: jax.Array,
    friction: float,
    start: jax.Array,
    dt: float,
    sweeps: int,
) -> tuple[Motion, jax.Array]:
    """Return the motion with its velocities at the end of a step, and the impulses [L + 2 P].

    Args:
      push: float32 [B + 2], generalised impulse of all forces in this step.
      friction: coefficient of Coulomb's law.
      start: float32 [L + 2 P], the impulses of the step before: motors with limits, along the
        normals, along the ground.
    """
    num_bodies, num_legs, points = len(bodies.mass), len(legs.rest), len(contacts.body)
    arms = rotate(bodies.centre, motion.angle)
    inverse = inverse_mass(bodies, arms)
    rows = jnp.concatenate(
        [
            joint_rows(num_bodies),
            contact_rows(contacts, contacts.normal, num_bodies),
            contact_rows(contacts, -perpendicular(contacts.normal), num_bodies),
        ]
    )
    free = inverse @ (momentum(bodies, arms, motion.velocity, motion.spin) + push)
    _, at_lower, at_upper = at_limits(legs, motion)
    motor, pushing = jnp.full(num_legs, legs.torque * dt), contacts.separation <= 0
    none, free_legs, free_points = jnp.zeros(points), jnp.zeros(num_legs), jnp.zeros(points, bool)
    normals = np.arange(num_legs, num_legs + points)
    bounds = Bounds(
        wanted=jnp.concatenate([legs.speed, none, none]),
        low=jnp.concatenate([-motor, none, none]),
        high=jnp.concatenate([motor, jnp.where(pushing, jnp.inf, 0.0), none]),
        friction=jnp.concatenate([free_legs, none, none + friction]),
        pair=np.concatenate([np.arange(num_legs), normals, normals]),
        at_lower=jnp.concatenate([at_lower, free_points, free_points]),
        at_upper=jnp.concatenate([at_upper, free_points, free_points]),
    )
    impulses = relax(rows @ inverse @ rows.T, rows @ free, start, bounds, sweeps)
    new = free + inverse @ (rows.T @ impulses)
    velocity = new[:2] + new[2:, None] * perpendicular(arms)
    return motion._replace(velocity=velocity, spin=new[2:]), impulses


def moved(bodies: Bodies, motion: Motion, dt: float) -> Motion:
    """Return the motion after a time in which every body kept its velocity.

    The bodies drift off the pin by the square of the time, as circles leave their tangents; they
    are put back by the smallest change, each centre weighed by its mass.
    """
    angle = motion.angle + dt * motion.spin
    arms, old_arms = rotate(bodies.centre, angle), rotate(bodies.centre, motion.angle)
    centres = motion.pin + old_arms + dt * motion.velocity
    pin = centres[0] - arms[0]
    drift = momentum(bodies, arms, centres - pin - arms, jnp.zeros_like(angle))
    shift = inverse_mass(bodies, arms) @ drift
    return motion._replace(pin=pin + shift[:2], angle=angle + shift[2:])


def pushed_out(
    bodies: Bodies,
    legs: Legs,
    motion: Motion,
    contacts: Contacts,
    limited: tuple[jax.Array, jax.Array],
    sweeps: int,
) -> Motion:
    """Return the motion with points moved out of the ground and legs inside their limits.

    Velocities are kept (Box2D's position iterations). An overlap of more than three slops is
    reduced to that; a smaller one shrinks by a fifth of what it has beyond one slop.

    Args:
      contacts: of `motion`.
      limited: which legs were at the lower, and at the upper limit as the step began.
    """
    num_bodies = len(bodies.mass)
    inverse = inverse_mass(bodies, rotate(bodies.centre, motion.angle))
    rows = jnp.concatenate(
        [joint_rows(num_bodies), contact_rows(contacts, contacts.normal, num_bodies)]
    )
    angle, (at_lower, at_upper) = at_limits(legs, motion)[0], limited
    under, over = angle - legs.lower + ANGULAR_SLOP, angle - legs.upper - ANGULAR_SLOP
    gap = jnp.minimum(contacts.separation + SLOP, 0.0)
    wanted_gap = jnp.maximum(DEEPEST + SLOP, (1 - BAUMGARTE) * gap)
    excess = jnp.concatenate([jnp.where(at_lower, under, over), gap - wanted_gap])
    deep = contacts.separation < -SLOP
    most = jnp.concatenate([jnp.where(at_lower, jnp.inf, 0.0), jnp.where(deep, jnp.inf, 0.0)])
    least = jnp.concatenate([jnp.where(at_upper, -jnp.inf, 0.0), jnp.zeros(len(deep))])
    none = jnp.zeros(len(rows))
    never = jnp.zeros(len(rows), bool)
    bounds = Bounds(none, least, most, none, np.arange(len(rows)), never, never)
    shifts = relax(rows @ inverse @ rows.T, excess, none, bounds, sweeps)
    change = inverse @ (rows.T @ shifts)
    return motion._replace(pin=motion.pin + change[:2], angle=motion.angle + change[2:])
