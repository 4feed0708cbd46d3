"""APGD halves its step sizes by the rule of its paper, and equals a loop written from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attacked import LABELS, X, accuracy, net
from scipy.special import log_softmax

from dla_jax.analysis import attacks, ball
from dla_jax.analysis.apgd import apgd, checkpoints, halves
from dla_jax.config.checks import ConfigError

EPSILON, NUM_STEPS = 0.08, 20


@jax.jit
def found(x, labels, key, epsilon):
    """Return the images of APGD, and those of PGD with as many gradients."""
    given = net, x, labels, key
    long = 4 * epsilon
    return {
        "linf": apgd(*given, epsilon, num_steps=NUM_STEPS),
        "dlr": apgd(*given, epsilon, num_steps=NUM_STEPS, loss="dlr"),
        "l2": apgd(*given, long, num_steps=NUM_STEPS, norm="l2"),
        "pgd": attacks.pgd(*given, epsilon, epsilon / 4, NUM_STEPS),
        "pgd_l2": attacks.pgd(*given, long, epsilon, NUM_STEPS, norm="l2"),
    }


def test_checkpoints_are_those_of_the_paper():
    assert checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    # ceil of 2.2, 4.1, 5.7, 7.0, 8.0, 8.7, 9.3, 9.9
    assert checkpoints(10) == (3, 5, 6, 7, 8, 9, 10)
    assert checkpoints(1) == (1,)


def test_step_sizes_are_halved_by_either_condition():
    cases = [
        # rises of 16 steps, largest loss now and before, halved before -> halve
        (12, 2.0, 1.0, False, False),
        (11, 2.0, 1.0, False, True),  # fewer than three in four rose
        (16, 1.0, 1.0, False, True),  # no better since the last checkpoint, at this step size
        (16, 1.0, 1.0, True, False),  # no better, but the step size is new
        (0, 1.0, 1.0, True, True),
    ]
    rises, best, before, halved, expected = map(np.array, zip(*cases, strict=True))
    np.testing.assert_array_equal(halves(rises, 16, best, before, halved), expected)


@jax.jit
def look(x, label):
    """Return (loss, gradient, fooled) of one image."""
    loss = lambda x: attacks.cross_entropy(net(x[None]), label[None])[0]
    return *jax.value_and_grad(loss)(x), net(x[None])[0].argmax() != label


def by_hand(x, start, label, epsilon, norm):
    """Return the image of algorithm 1, and how often the step size was halved, for one image."""

    def inside(at):
        delta = at - x
        if norm == "linf":
            return np.clip(x + np.clip(delta, -epsilon, epsilon), 0, 1)
        return np.clip(x + delta * min(1, epsilon / max(np.linalg.norm(delta), 1e-12)), 0, 1)

    def towards(gradient):
        length = np.linalg.norm(gradient)
        return np.sign(gradient) if norm == "linf" else gradient / length

    at, before, size, losses, answers, halved = start, start, 2 * epsilon, [], [], [True]
    top, last, last_best = (-np.inf, None, None), 0, None
    for step in range(NUM_STEPS + 1):
        value, gradient, fooled = (np.asarray(part) for part in look(at, label))
        answers.append((fooled, value, at))
        losses.append(value)
        top = max(top, (value, step, at, gradient), key=lambda kept: kept[0])
        if step in checkpoints(NUM_STEPS):
            rises = sum(b > a for a, b in zip(losses[last:], losses[last + 1 :]))  # noqa: B905
            few = rises < 0.75 * (step - last)
            halved.append(bool(few or (not halved[-1] and top[0] == last_best)))
            if halved[-1]:
                size, at, gradient, losses[-1] = size / 2, top[2], top[3], top[0]
            last, last_best = step, top[0]
        momentum = 0.75 if step else 1.0
        z = inside(at + size * towards(gradient))
        at, before = inside(at + momentum * (z - at) + (1 - momentum) * (at - before)), at
    best = max(answers, key=lambda answer: (answer[0], answer[1]))
    return best[2], sum(halved) - 1


@pytest.mark.parametrize("norm", ball.NORMS)
def test_it_is_algorithm_1_of_the_paper_image_by_image(norm):
    key, epsilon = jax.random.key(0), EPSILON * (4 if norm == "l2" else 1)
    ours = np.asarray(found(X, LABELS, key, EPSILON)[norm])
    starts = np.asarray(jax.jit(ball.draw, static_argnums=3)(key, X, epsilon, norm))
    halvings = []
    for i in range(12):
        expected, count = by_hand(X[i], starts[i], LABELS[i], np.float32(epsilon), norm)
        halvings.append(count)
        np.testing.assert_allclose(ours[i], expected, atol=2e-4)
    assert min(halvings) < max(halvings) and max(halvings) >= 2


def test_smaller_steps_find_a_peak_that_steps_of_one_size_jump_over():
    peak = np.linspace(0.45, 0.55, 7, dtype=np.float32).reshape(7, 1, 1, 1)
    x, labels = np.full((7, 1, 1, 1), 0.5, np.float32), np.zeros(7, np.int32)
    bump = lambda logits, _: -jnp.square(logits[:, 0])
    forward = lambda x: (x - peak).reshape(7, 1)

    @jax.jit
    def both(key):
        at_once = attacks.pgd(forward, x, labels, key, 0.1, 0.05, 100, loss=bump)
        return apgd(forward, x, labels, key, 0.1, loss=bump), at_once

    ours, at_once = (np.abs(np.asarray(at) - peak).max() for at in both(jax.random.key(0)))
    assert ours < 2e-3 < 1e-2 < at_once


def test_it_is_not_weaker_than_pgd_of_as_many_gradients():
    loss = lambda x: -log_softmax(net(np.asarray(x), np), axis=1)[range(len(X)), LABELS]
    answers = found(X, LABELS, jax.random.key(0), EPSILON)
    noise = 1 / len(X)
    for ours, theirs in (("linf", "pgd"), ("l2", "pgd_l2")):
        assert accuracy(answers[ours]) <= accuracy(answers[theirs]) + noise
        assert loss(answers[ours]).mean() > loss(answers[theirs]).mean() - 0.05
    assert accuracy(answers["dlr"]) < accuracy(X) - 0.3
    for name, answer in found(X, LABELS, jax.random.key(1), 1.0).items():
        assert accuracy(answer) == 0, name


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"loss": "cw"}, "'cw' is not known; give one of ce, dlr"),
        ({"num_steps": 0}, "0 steps; give 1 or more"),
        ({"norm": "l1"}, "'l1' is not known"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(how, told):
    with pytest.raises(ConfigError, match=told) as refused:
        apgd(net, X, LABELS, jax.random.key(0), 0.1, **how)
    assert "\n" not in str(refused.value)


def test_dlr_is_refused_below_three_classes():
    with pytest.raises(ConfigError, match="2 classes; DLR needs three"):
        jax.eval_shape(
            lambda key: apgd(lambda x: net(x)[:, :2], X, LABELS % 2, key, 0.1, loss="dlr"),
            jax.random.key(0),
        )
