"""Attacks stay in their balls, equal closed forms and numpy's loops, and mislead a network."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attacked import (
    L2_OF_EPSILON,
    LABELS,
    NUM_CLASSES,
    ROUNDING,
    X,
    accuracy,
    drawn,
    fgsm,
    net,
    pgd,
    project_by_hand,
    radius_of,
)
from drawn import variables_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from dla_jax.analysis import attacks, ball
from dla_jax.analysis.apgd import apgd
from dla_jax.analysis.square import square
from dla_jax.config.checks import ConfigError
from dla_jax.models.mlp import MLP

RNG = np.random.default_rng(0)
TARGETS = ((LABELS + 1 + RNG.integers(0, NUM_CLASSES - 1, len(X))) % NUM_CLASSES).astype(np.int32)


@jax.jit
def every_attack(x, labels, seed, epsilon, num_steps):
    """Return {attack: adversarial images} in one program; epsilon is float32 [B]."""
    key, size = jax.random.key(seed), epsilon / 4
    given, long = (net, x, labels), L2_OF_EPSILON * epsilon
    return {
        "fgsm": attacks.fgsm(*given, epsilon),
        "fgsm_targeted": attacks.fgsm(*given, epsilon, targets=TARGETS),
        "rs_fgsm": attacks.rs_fgsm(*given, key, epsilon, 1.25 * epsilon),
        "pgd": attacks.pgd(*given, key, epsilon, size, num_steps),
        "pgd_restarts": attacks.pgd(*given, key, epsilon, size, num_steps, restarts=4),
        "pgd_l2": attacks.pgd(*given, key, long, long / 4, num_steps, norm="l2"),
        # by DLR, so that each norm is seen with each loss; test_apgd.py has it by cross-entropy
        "apgd": apgd(*given, key, epsilon, num_steps=12, loss="dlr"),
        "apgd_l2": apgd(*given, key, long, num_steps=12, norm="l2", loss="dlr"),
        "square": square(*given, key, epsilon, 10 * num_steps),
    }


def attacked(epsilon, num_steps, seed=0, x=X):
    return every_attack(x, LABELS, seed, np.broadcast_to(np.float32(epsilon), len(x)), num_steps)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1, width=32), st.integers(0, 2**31 - 1), st.integers(1, 12))
def test_every_adversarial_image_lies_in_its_ball_and_in_0_to_1(epsilon, seed, num_steps):
    for name, found in attacked(epsilon, num_steps, seed).items():
        found, norm = np.asarray(found), "l2" if name.endswith("l2") else "linf"
        longest = epsilon * (L2_OF_EPSILON if norm == "l2" else 1)
        assert radius_of(found - X, norm).max() <= longest * (1 + ROUNDING) + ROUNDING, name
        assert found.min() >= 0 and found.max() <= 1, name


def test_an_epsilon_of_0_changes_no_bit():
    x = np.where(X == 0, np.float32(1e-30), X)
    for name, found in attacked(0.0, 5, x=x).items():
        np.testing.assert_array_equal(np.asarray(found).view(np.int32), x.view(np.int32), name)


def test_every_image_has_an_epsilon_of_its_own():
    epsilon = np.linspace(0, 0.2, len(X), dtype=np.float32)
    for name, found in attacked(epsilon, 5).items():
        found, norm = np.asarray(found), "l2" if name.endswith("l2") else "linf"
        longest = epsilon * (L2_OF_EPSILON if norm == "l2" else 1)
        radius = radius_of(found - X, norm)
        assert np.all(radius <= longest + ROUNDING), name
        np.testing.assert_array_equal(found[0], X[0], name)
        assert np.mean(radius > 0.5 * longest - ROUNDING) > 0.9, name


WEIGHTS = RNG.standard_normal((12, 5)).astype(np.float32)
IMAGES = RNG.random((30, 2, 3, 2)).astype(np.float32)
CLASSES = RNG.integers(0, 5, 30).astype(np.int32)


def linear(x):
    return x.reshape(len(x), -1) @ WEIGHTS


def slope_by_hand(x, labels):
    """Return the gradient of the cross-entropy of the linear net: (p - label) W^T."""
    p = softmax(x.reshape(len(x), -1).astype(np.float64) @ WEIGHTS, axis=1)
    return ((p - np.eye(5)[labels]) @ WEIGHTS.T).reshape(x.shape)


def test_fgsm_is_the_closed_form_for_a_linear_net():
    for targets, sign, classes in ((None, 1, CLASSES), (1 - CLASSES % 2, -1, 1 - CLASSES % 2)):
        slope = slope_by_hand(IMAGES, classes)
        assert np.abs(slope).min() > 1e-6
        found = fgsm(linear, IMAGES, CLASSES, 0.3, targets=targets)
        np.testing.assert_allclose(
            found, np.clip(IMAGES + sign * 0.3 * np.sign(slope), 0, 1), atol=ROUNDING
        )


def steps_by_hand(x, at, labels, epsilon, step_size, count, norm, sign=1):
    for _ in range(count):
        slope = sign * slope_by_hand(at, labels)
        length = np.sqrt((slope**2).sum((1, 2, 3), keepdims=True))
        at = at + step_size * (np.sign(slope) if norm == "linf" else slope / length)
        radius = np.full((len(x), 1, 1, 1), epsilon)
        at = np.clip(x + project_by_hand(at - x, radius, norm), 0, 1)
    return at


@pytest.mark.parametrize("norm", ball.NORMS)
def test_pgd_is_a_loop_of_numpy(norm):
    key = jax.random.key(5)
    for start, targets in ((False, CLASSES[::-1]), (True, None)):
        found = pgd(
            linear,
            IMAGES,
            CLASSES,
            key,
            0.25,
            0.07,
            9,
            norm=norm,
            random_start=start,
            targets=targets,
        )
        begin = np.asarray(drawn(key, IMAGES, 0.25, norm=norm)) if start else IMAGES
        climbed = CLASSES if targets is None else targets
        sign = 1 if targets is None else -1
        expected = steps_by_hand(IMAGES, begin, climbed, 0.25, 0.07, 9, norm, sign)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(begin - IMAGES).max() > 0.1


def test_one_step_of_size_epsilon_is_fgsm_and_from_a_random_start_that_of_wong():
    key = jax.random.key(1)
    one = pgd(linear, IMAGES, CLASSES, key, 0.1, 0.1, np.int32(1), random_start=False)
    np.testing.assert_array_equal(one, fgsm(linear, IMAGES, CLASSES, 0.1))
    begin = np.asarray(drawn(key, IMAGES, 0.1))
    expected = steps_by_hand(IMAGES, begin, CLASSES, 0.1, 0.125, 1, "linf")
    found = jax.jit(attacks.rs_fgsm, static_argnums=0)(linear, IMAGES, CLASSES, key, 0.1, 0.125)
    np.testing.assert_allclose(found, expected, atol=ROUNDING)


def test_of_restarts_the_one_of_the_largest_loss_among_those_that_fool_is_kept():
    key = jax.random.key(2)
    keys = jax.random.split(key, 3)
    each = np.stack([pgd(net, X, LABELS, key, 0.06, 0.02, 3) for key in keys])
    losses = np.stack([-log_softmax(net(x, np), axis=1)[range(len(X)), LABELS] for x in each])
    wrong = np.stack([net(x, np).argmax(1) != LABELS for x in each])
    rank = losses + 1000 * wrong
    found = pgd(net, X, LABELS, key, 0.06, 0.02, 3, restarts=3)
    expected = each[rank.argmax(0), range(len(X))]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert 0 < wrong.mean() < 1 and len(set(rank.argmax(0))) == 3


def test_an_image_that_fools_is_better_than_one_of_a_larger_loss():
    images = np.arange(8, dtype=np.float32).reshape(2, 4, 1, 1, 1)
    values = np.array([[3, 1, 2, 5], [2, 2, 3, 9]], np.float32)
    fooled = np.array([[True, False, True, True], [False, True, True, False]])
    best, value, wrong = attacks.keep_better(*zip(images, values, fooled, strict=True))
    np.testing.assert_array_equal(best.ravel(), [0, 5, 6, 3])
    np.testing.assert_array_equal(value, [3, 2, 3, 5])
    assert wrong.all()


def test_more_steps_and_restarts_do_not_help_the_network_and_unbounded_attacks_leave_it_nothing():
    assert accuracy(X) > 0.9
    once, more = (attacked(0.08, steps) for steps in (1, 10))
    noise = 1 / len(X)
    for name in ("pgd", "pgd_restarts", "pgd_l2", "square"):
        assert accuracy(more[name]) <= accuracy(once[name]) + noise, name
    assert accuracy(more["pgd_restarts"]) <= accuracy(more["pgd"])
    assert accuracy(more["pgd"]) <= accuracy(more["fgsm"]) + noise < accuracy(X) - 0.3
    for name, found in attacked(1.0, 40).items():
        if name not in ("fgsm", "fgsm_targeted", "rs_fgsm"):  # one step of length 1 is no climb
            assert accuracy(found) == 0, name


def test_the_loss_of_the_target_falls_and_with_the_lab_s_sign_rises():
    of_target = lambda x: -log_softmax(net(np.asarray(x), np), axis=1)[range(len(X)), TARGETS]
    before = of_target(X)
    assert np.all(of_target(fgsm(net, X, LABELS, 0.02, targets=TARGETS)) < before)
    assert np.all(of_target(fgsm(net, X, TARGETS, 0.02)) > before)
    by_lab = jax.jit(attacks.targeted_fgsm_as_implemented, static_argnums=0)
    bright = 0.5 + X / 2  # of which the lab's clamp takes nothing
    before = of_target(bright)
    assert np.all(of_target(by_lab(net, bright, TARGETS, 0.01)) > before)
    pulled = pgd(net, X, LABELS, jax.random.key(0), 0.3, 0.05, 20, targets=TARGETS)
    assert accuracy(pulled, TARGETS) > 0.9


def test_the_lab_s_clamp_turns_dark_pixels_into_mid_grey_even_at_0():
    by_lab = jax.jit(attacks.fgsm_as_implemented, static_argnums=0)
    found = by_lab(net, X, LABELS, 0.0)
    np.testing.assert_array_equal(found, np.maximum(X, 0.5))
    normalised = 2 * IMAGES - 1
    lab = np.clip(normalised + 0.2 * np.sign(slope_by_hand(IMAGES, CLASSES)), 0, 1)
    found = by_lab(linear, IMAGES, CLASSES, 0.1)
    np.testing.assert_allclose(found, (lab + 1) / 2, atol=ROUNDING)


def test_the_worst_case_is_that_of_each_image():
    correct = np.array([[1, 1, 0, 1], [1, 0, 1, 1]], bool)
    np.testing.assert_array_equal(attacks.worst_case(*correct), [True, False, False, True])


def test_one_compilation_serves_all_epsilons_step_sizes_and_numbers_of_steps():
    traces = []

    def watched(x):
        traces.append(x.shape)
        return linear(x)

    run = jax.jit(functools.partial(attacks.pgd, watched))
    key = jax.random.key(0)
    found = [
        run(IMAGES, CLASSES, key, epsilon, step_size, steps)
        for epsilon, step_size, steps in ((0.1, 0.02, 3), (0.0, 0.5, 8), (0.3, 0.1, 1))
    ]
    assert len(traces) == 1 and run._cache_size() == 1
    assert not np.array_equal(found[0], found[2])


def test_attacks_over_several_epsilons_at_once_are_those_one_by_one():
    epsilons, key = np.array([0.0, 0.05, 0.2], np.float32), jax.random.key(0)
    how = {"norm": "linf", "random_start": True, "targets": None}  # compiled above already
    attack = lambda e: pgd(linear, IMAGES, CLASSES, key, e, e / 4, 5, **how)
    together = jax.device_get(jax.jit(jax.vmap(attack))(epsilons))
    for found, epsilon in zip(together, epsilons, strict=True):
        np.testing.assert_allclose(found, attack(float(epsilon)), atol=1e-5)


def test_a_loss_on_attacked_images_can_be_differentiated_by_parameters():
    def loss(weights):
        fixed = jax.lax.stop_gradient(weights)
        forward = lambda x: x.reshape(len(x), -1) @ fixed
        x = pgd(forward, IMAGES, CLASSES, jax.random.key(0), 0.1, 0.03, jnp.int32(4))
        return attacks.cross_entropy(x.reshape(len(x), -1) @ weights, CLASSES).mean(), x

    (_, x), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(WEIGHTS)
    p = softmax(np.asarray(x).reshape(30, 12) @ WEIGHTS, axis=1) - np.eye(5)[CLASSES]
    np.testing.assert_allclose(slope, np.asarray(x).reshape(30, 12).T @ p / 30, atol=1e-6)


def test_with_batch_norm_in_evaluation_each_image_is_attacked_on_its_own():
    how = {"mean": (0.5,), "std": (0.25,), "norm": "batch", "init_scheme": "he", "dtype": "float32"}
    model = MLP(depth=1, width=8, num_classes=4, **how)
    variables = variables_of(model, (1, 3, 3, 1))
    forward = lambda x: model.apply(variables, x, train=False)[0]
    x, labels = RNG.random((6, 3, 3, 1)).astype(np.float32), np.arange(6, dtype=np.int32) % 4
    attack = jax.jit(lambda x, y: fgsm(forward, x, y, 0.1))
    alone = np.concatenate([attack(x[i : i + 1], labels[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(attack(x, labels), alone, atol=ROUNDING)


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (lambda: attacks.dlr(np.zeros((2, 2)), np.zeros(2, int)), "2 classes; DLR needs three"),
        (lambda: ball.project(X, 0.1, "l1"), "'l1' is not known; give one of linf, l2"),
        (lambda: ball.draw(jax.random.key(0), X, 0.1, "l1"), "'l1' is not known"),
        (
            lambda: attacks.pgd(net, X, LABELS, None, 0.1, 0.1, 1, random_start=False, restarts=2),
            "2 restarts with random_start=False",
        ),
        (lambda: attacks.pgd(net, X, LABELS, None, 0.1, 0.1, 1, restarts=0), "0 restarts"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(attack, told):
    with pytest.raises(ConfigError, match=told) as refused:
        attack()
    assert "\n" not in str(refused.value)
