"""Bodies on one pin: closed forms of mechanics, and brute force."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from dla_jax.rl import pinned_bodies
from dla_jax.rl.pinned_bodies import ANGULAR_SLOP, SLOP, Bodies, Bounds, Contacts, Legs, Motion

# No two numbers are equal, so that nothing can be swapped unseen.
BODIES = Bodies(
    mass=np.float32([3.0, 0.4, 0.7]),
    inertia=np.float32([0.9, 0.03, 0.05]),
    centre=np.float32([(0.05, 0.1), (0.6, -0.5), (-0.7, -0.4)]),
)
LEGS = Legs(
    rest=np.float32([-0.05, 0.07]),
    lower=np.float32([0.4, -0.9]),
    upper=np.float32([0.8, -0.3]),
    speed=np.float32([-0.3, 0.2]),
    torque=np.float32(2.0),
)
FREE = LEGS._replace(lower=np.float32([-99, -99]), upper=np.float32([99, 99]))
CORNERS = np.float32([(0.5, -0.7), (0.7, -0.6), (-0.6, -0.6), (-0.8, -0.55)])
ON = np.array([1, 1, 2, 2])
STEPS, DT, FRICTION = 100, 0.02, 0.3


def contacts_of(motion, floor):
    arm = pinned_bodies.rotate(CORNERS, motion.angle[ON])
    normal = jnp.broadcast_to(jnp.array([0.0, 1.0]), (4, 2))
    return Contacts(ON, arm, normal, motion.pin[1] + arm[:, 1] - floor)


@pytest.fixture(scope="module")
def simulate():
    """Return a function: motion -> (motions [STEPS + 1, ...], impulses [STEPS, 10])."""

    @jax.jit
    def run(motion, legs, gravity, floor, dt):
        def step(carry, _):
            motion, impulses = carry
            arms = pinned_bodies.rotate(BODIES.centre, motion.angle)
            falling = jnp.broadcast_to(gravity * dt, (3, 2))
            push = pinned_bodies.momentum(BODIES, arms, falling, jnp.zeros(3))
            contacts = contacts_of(motion, floor)
            limited = pinned_bodies.at_limits(legs, motion)[1:]
            after, impulses = pinned_bodies.new_velocities(
                BODIES, legs, motion, contacts, push, FRICTION, impulses, dt, 40
            )
            after = pinned_bodies.moved(BODIES, after, dt)
            touching = contacts_of(after, floor)
            after = pinned_bodies.pushed_out(BODIES, legs, after, touching, limited, 20)
            return (after, impulses), (after, impulses)

        _, (motions, impulses) = jax.lax.scan(step, (motion, jnp.zeros(10)), length=STEPS)
        return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), motion, motions), impulses

    def simulate(motion, legs=FREE, gravity=(0.0, 0.0), floor=-1e4, dt=DT):
        found = run(motion, legs, jnp.asarray(gravity), floor, dt)
        return jax.tree.map(lambda x: np.asarray(x, float), found)

    return simulate


def consistent(pin_velocity, spin, angle, pin=(0.0, 0.0)):
    """Return a motion in which all bodies keep to the pin."""
    angle, spin = np.float32(angle), np.float32(spin)
    arms = np.asarray(pinned_bodies.rotate(BODIES.centre, angle))
    velocity = pin_velocity + spin[:, None] * np.stack([-arms[:, 1], arms[:, 0]], 1)
    return Motion(np.float32(pin), angle, np.float32(velocity), spin)


def but_last(motions):
    return jax.tree.map(lambda x: x[:-1], motions)


def but_first(motions):
    return jax.tree.map(lambda x: x[1:], motions)


def centres(motions):
    cos, sin = np.cos(motions.angle), np.sin(motions.angle)
    x, y = BODIES.centre.T
    arms = np.stack([cos * x - sin * y, sin * x + cos * y], -1)
    return motions.pin[:, None] + arms


def linear_and_angular(motions):
    """Return the momentum [T, 2] and the angular momentum about the common centre [T]."""
    mass, at, v = BODIES.mass[:, None], centres(motions), motions.velocity
    away = at - (mass * at).sum(1, keepdims=True) / mass.sum()
    turning = (BODIES.mass * (away[..., 0] * v[..., 1] - away[..., 1] * v[..., 0])).sum(1)
    return (mass * v).sum(1), turning + (BODIES.inertia * motions.spin).sum(1)


def energy(motions):
    moving = (BODIES.mass * (motions.velocity**2).sum(-1)).sum(1)
    return (moving + (BODIES.inertia * motions.spin**2).sum(1)) / 2


def jacobian(arms):
    """Return what generalised velocities [5] do to the velocities of three bodies: [9, 5]."""
    rows = np.zeros((9, 5))
    for body, (x, y) in enumerate(arms):
        rows[3 * body : 3 * body + 2, :2] = np.eye(2)
        rows[3 * body : 3 * body + 3, 2 + body] = -y, x, 1
    return rows


def masses():
    both = np.stack([BODIES.mass, BODIES.mass, BODIES.inertia], 1)
    return np.diag(both.reshape(-1).astype(float))


def test_inverse_mass_and_momentum_are_those_of_maximal_coordinates():
    rng, inverse = np.random.default_rng(0), jax.jit(pinned_bodies.inverse_mass)
    momentum = jax.jit(pinned_bodies.momentum)
    for _ in range(3):
        arms, speeds = rng.normal(size=(3, 2)), rng.normal(size=5)
        to_bodies = jacobian(arms)
        whole = to_bodies.T @ masses() @ to_bodies
        found = np.asarray(inverse(BODIES, np.float32(arms)))
        np.testing.assert_allclose(found @ whole, np.eye(5), atol=2e-5)
        velocity, spin = np.split((to_bodies @ speeds).reshape(3, 3), [2], axis=1)
        found = momentum(BODIES, np.float32(arms), velocity, spin[:, 0])
        np.testing.assert_allclose(found, whole @ speeds, rtol=1e-4, atol=1e-5)


def by_enumeration(matrix, speed, low, high):
    """Return the impulses for which each is low, high, or leaves its row without speed."""
    for kinds in itertools.product((-1, 0, 1), repeat=len(speed)):
        kinds = np.array(kinds)
        free = kinds == 0
        impulses = np.where(kinds < 0, low, np.where(kinds > 0, high, 0.0))
        if not np.isfinite(impulses).all():
            continue
        left = -(speed + matrix @ impulses)[free]
        impulses[free] = np.linalg.solve(matrix[np.ix_(free, free)], left)
        left, within = speed + matrix @ impulses, 1e-9
        fits = (impulses >= low - within) & (impulses <= high + within)
        if (fits & (kinds * left <= within)).all():
            return impulses
    raise AssertionError("there is always one")


def test_relax_solves_complementarity_problems():
    rng, kinds = np.random.default_rng(1), set()
    low, high = np.array([-0.2, 0.0, 0.0, -0.3]), np.array([0.2, np.inf, np.inf, 0.1])
    aim, no = np.float32([0.3, 0.0, -0.2, 0.1]), np.zeros(4, bool)
    same = np.arange(4)
    bounds = Bounds(*map(jnp.asarray, (aim, low, high, 0 * aim, same, no, no)))
    solve = jax.jit(
        lambda matrix, speed: pinned_bodies.relax(matrix, speed, jnp.zeros(4), bounds, 400)
    )
    for _ in range(40):
        rows, speed = rng.normal(size=(4, 6)), rng.normal(size=4)
        want = by_enumeration(rows @ rows.T, speed - aim, low, high)
        found = solve(np.float32(rows @ rows.T), np.float32(speed))
        np.testing.assert_allclose(found, want, atol=2e-3)
        kinds.add(tuple(np.sign(want - low) - np.sign(high - want)))
    assert len(kinds) > 10


TUMBLING = {"pin_velocity": (1.0, 3.0), "spin": (1.5, -2.0, 2.5), "angle": (0.3, 0.8, -0.2)}


def test_the_common_centre_falls_as_the_closed_form_says(simulate):
    gravity, n = np.array([0.5, -10.0]), np.arange(STEPS + 1)[:, None]
    motions, _ = simulate(consistent(**TUMBLING), LEGS, gravity)
    mass = BODIES.mass[:, None]
    centre = (mass * centres(motions)).sum(1) / mass.sum()
    speed = linear_and_angular(motions)[0][0] / mass.sum()
    want = centre[0] + n * DT * speed + gravity * DT**2 * n * (n + 1) / 2
    np.testing.assert_allclose(centre, want, atol=3e-5)


def test_momentum_is_kept_with_motors_on(simulate):
    motions, impulses = simulate(consistent(**TUMBLING), LEGS)
    assert np.abs(impulses[:, :2]).max() > 0.03, "the motors did nothing"
    linear, angular = linear_and_angular(motions)
    np.testing.assert_allclose(linear, linear[:1] + 0 * linear, atol=1e-4)
    before, after = but_last(motions), but_first(motions)
    in_place = before._replace(velocity=after.velocity, spin=after.spin)
    np.testing.assert_allclose(linear_and_angular(in_place)[1], angular[:-1], atol=2e-5)
    # bodies move in straight lines and are put back, as in Box2D: that costs the square of a step
    np.testing.assert_allclose(angular, angular[0], rtol=0.02)


def test_energy_is_kept_without_motors_the_better_the_shorter_the_steps(simulate):
    legs, lost = FREE._replace(torque=np.float32(0)), []
    for dt in (DT / 5, DT / 10):
        found = energy(simulate(consistent(**TUMBLING), legs, dt=dt)[0])
        lost.append(np.abs(found[: 1 + round(STEPS * DT / 10 / dt)] / found[0] - 1).max())
    assert lost[0] < 1e-3 and lost[1] < 0.65 * lost[0]


def test_motors_push_with_their_torque_and_stop_at_their_speed(simulate):
    still = consistent((0, 0), (0, 0, 0), (0.1, 0.6, -0.5))
    weak = FREE._replace(torque=np.float32(0.001))
    motions, _ = simulate(still, weak)
    arms = np.asarray(pinned_bodies.rotate(BODIES.centre, still.angle))
    whole = jacobian(arms).T @ masses() @ jacobian(arms)
    torques = np.array([0, 0, 0.0, -0.001, 0.001])  # by the hull on the legs, as `speed` wants it
    torques[2] = -torques[3:].sum()
    np.testing.assert_allclose(
        motions.spin[1], DT * np.linalg.solve(whole, torques)[2:], rtol=1e-3, atol=1e-8
    )
    motions, _ = simulate(still, FREE._replace(torque=np.float32(40.0)))
    np.testing.assert_allclose(
        motions.spin[1:, 1:] - motions.spin[1:, :1] - LEGS.speed, 0, atol=1e-5
    )


@pytest.mark.parametrize("spin", [6.0, -6.0])
def test_limits_hold_under_hard_spin(simulate, spin):
    start = consistent((0, 0), (spin, 0, 0), (0.0, 0.55, -0.55))
    motions, _ = simulate(start, LEGS)
    angle = motions.angle[:, 1:] - motions.angle[:, :1] - LEGS.rest
    beyond = np.maximum(LEGS.lower - angle, angle - LEGS.upper)
    assert beyond.max() > -0.01, "no limit was reached"
    assert beyond.max() < 6 * DT  # found out in the step after
    assert beyond[10:].max() < 2 * ANGULAR_SLOP
    assert np.abs(motions.spin[-1]).max() > 1


def test_friction_keeps_to_its_cone_and_opposes_sliding(simulate):
    arms_of = jax.jit(jax.vmap(lambda motion: contacts_of(motion, 0.0).arm))
    for right in (2.0, -2.0):
        start = consistent((right, -0.5), (0, 0, 0), (0.0, 0.55, -0.55), pin=(0, 0.75))
        motions, impulses = simulate(start, LEGS, (0.0, -10.0), floor=0.0)
        normal, along = impulses[:, 2:6], impulses[:, 6:]
        assert normal.min() >= 0 and (normal > 0).any(0).sum() >= 2
        assert (np.abs(along) <= FRICTION * normal + 1e-6).all()
        before, after = but_last(motions), but_first(motions)
        arms = np.asarray(arms_of(before))
        hull = centres(before)[:, 0] - before.pin
        pin_speed = after.velocity[:, 0, 0] + after.spin[:, 0] * hull[:, 1]
        sliding = pin_speed[:, None] - after.spin[:, ON] * arms[..., 1]
        slides = (np.abs(sliding) > 0.02) & (normal > 1e-3)
        assert slides.sum() > 20
        full = -np.sign(sliding) * FRICTION * normal
        np.testing.assert_allclose(along[slides], full[slides], rtol=1e-3, atol=1e-4)
        change = np.diff(linear_and_angular(motions)[0], axis=0)
        np.testing.assert_allclose(change[:, 0], along.sum(1), atol=1e-4)
        weight = 10 * DT * BODIES.mass.sum()
        np.testing.assert_allclose(change[:, 1], normal.sum(1) - weight, atol=1e-4)


def test_what_is_inside_the_ground_is_moved_out_and_velocities_stay():
    start = consistent((1, 1), (0.1, 0.2, 0.3), (0.0, 0.55, -0.55), pin=(0, 0.0))
    separation = jax.jit(lambda motion, floor: contacts_of(motion, floor).separation)
    arms = np.sort(separation(start, 0.0))
    limited = jnp.zeros(2, bool), jnp.zeros(2, bool)
    push = jax.jit(
        lambda floor: pinned_bodies.pushed_out(
            BODIES, LEGS, start, contacts_of(start, floor), limited, 100
        )
    )
    for depth, left in ((0.004, 0.004), (0.01, SLOP + 0.8 * (0.01 - SLOP)), (0.06, 3 * SLOP)):
        floor = np.float32(arms[0] + depth)
        after = push(floor)
        np.testing.assert_array_equal(after.velocity, start.velocity)
        lowest = float(separation(after, floor).min())
        assert lowest == pytest.approx(-left, abs=1e-3 if depth > 0.05 else 1e-5)
    nothing = push(np.float32(arms[0] - 1))
    np.testing.assert_allclose(nothing.angle, start.angle, atol=1e-6)


def test_bodies_are_put_back_on_the_pin_by_the_smallest_change():
    start, dt = consistent(**TUMBLING), 0.1
    after = jax.jit(pinned_bodies.moved)(BODIES, start, dt)
    arms = lambda angle: np.asarray(pinned_bodies.rotate(BODIES.centre, np.float32(angle)), float)
    apart = start.pin + arms(start.angle) + dt * start.velocity  # each body by itself
    angle = start.angle + dt * start.spin

    def change(unknown):
        pin, turned = unknown[:2], unknown[2:]
        moved = np.sqrt(BODIES.mass)[:, None] * (pin + arms(turned) - apart)
        return np.concatenate([moved.reshape(-1), np.sqrt(BODIES.inertia) * (turned - angle)])

    want = optimize.least_squares(change, np.concatenate([start.pin, angle]), diff_step=1e-3).x
    drift = np.abs(np.concatenate([start.pin + dt * np.array([1.0, 3.0]), angle]) - want).max()
    assert drift > 1e-3
    np.testing.assert_allclose(np.concatenate([after.pin, after.angle]), want, atol=0.05 * drift)
