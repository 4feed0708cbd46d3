"""Losses of attacked batches equal those written out; epsilon 0 is standard training."""

import functools

import chex
import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs.image_base import image_attack
from dla_jax.analysis import attacks
from dla_jax.config.checks import ConfigError
from dla_jax.models.mlp import MLP
from dla_jax.tasks import image_classifier
from dla_jax.tasks.adversarial_loss import (
    Attack,
    attack_of,
    attacked,
    check_attack,
    fgsm_of_random_epsilon,
    make_loss,
    trades_examples,
)

COMMON = {"num_classes": 5, "mean": (0.3,), "std": (0.4,), "dtype": "float32"}
NET = MLP(depth=1, width=6, norm="batch", init_scheme="he", **COMMON)
RNG = np.random.default_rng(4)
BATCH = {
    "image": RNG.integers(0, 256, (8, 4, 4, 1)).astype(np.uint8),
    "label": np.array([0, 1, 2, 3, 4, 0, 1, 2], np.int32),
}
VARIABLES = drawn.variables_of(NET, BATCH["image"].shape)
PARAMS = VARIABLES["params"]
STATE = {name: VARIABLES[name] for name in VARIABLES if name != "params"}
KEY = jax.random.key(7)
KEY_ATTACK = jax.random.fold_in(KEY, 2)
ATTACK = Attack("pgd", 0.1, 0.03, 3, 0.5, 6.0)
PLAIN = (0, False, 0.0)  # no augmentation, no label smoothing


def forward(x):
    """Return the logits of the network in evaluation mode."""
    return NET.apply(VARIABLES, x, train=False)[0]


def trained(params, state, x):
    """Return (logits, new batch statistics) of the network in training mode."""
    (logits, _), new = NET.apply({"params": params, **state}, x, train=True, mutable="batch_stats")
    return logits, state | new


def log_softmax(logits):
    """Return logits less the logarithm of the sum of their exponentials."""
    return logits - jnp.log(jnp.exp(logits).sum(-1, keepdims=True))


def nll(logits):
    """Return the mean cross-entropy of the batch, written out."""
    return -log_softmax(logits)[np.arange(8), BATCH["label"]].mean()


def kl(p_logits, q_logits):
    """Return KL(p || q) of each image as cross-entropy less entropy, written out."""
    log_p, log_q = log_softmax(p_logits), log_softmax(q_logits)
    p = jnp.exp(log_p)
    return (p * log_p).sum(-1) - (p * log_q).sum(-1)


@functools.cache
def step_of(loss_fn):
    """Return the compiled function (params, state, key) -> ((loss, aux), gradient)."""
    gradient = jax.value_and_grad(loss_fn, has_aux=True)
    return jax.jit(lambda params, state, key: gradient(params, state, BATCH, key))


@functools.cache
def found(attack, augmented=PLAIN):
    """Return ((loss, (model state, metrics)), gradient) of a batch that is attacked."""
    return jax.device_get(step_of(make_loss(NET, attack, *augmented))(PARAMS, STATE, KEY))


X = BATCH["image"].astype(np.float32) / 255


@functools.cache
def images_of(name):
    """Return the attacked batch, made here."""
    labels = BATCH["label"]
    if name == "fgsm":
        gradient = jax.jit(jax.grad(lambda x: nll(forward(x))))(X)
        return np.clip(X + np.float32(0.1) * np.sign(gradient), 0, 1)
    if name == "rs_fgsm":
        return jax.jit(lambda: attacks.rs_fgsm(forward, X, labels, KEY_ATTACK, 0.1, 0.03))()
    if name == "pgd":
        return jax.jit(lambda: attacks.pgd(forward, X, labels, KEY_ATTACK, 0.1, 0.03, 3))()
    at = X + 0.001 * jax.random.normal(KEY_ATTACK, X.shape)
    towards = jax.jit(jax.grad(lambda at: kl(forward(X), forward(at)).sum()))
    for _ in range(3):
        at = np.clip(at + np.float32(0.03) * np.sign(towards(at)), X - 0.1, X + 0.1)
        at = np.clip(at, 0, 1)
    return at


@functools.partial(jax.jit, static_argnames="trades")
@functools.partial(jax.value_and_grad, has_aux=True)
def expected_of(params, images, *, trades):
    """Return ((loss, (model state, logits)), gradient) of images that were attacked before."""
    if not trades:
        logits, state = trained(params, STATE, images)
        return nll(logits), (state, logits)
    clean, state = trained(params, STATE, X)
    logits, state = trained(params, state, images)
    return nll(clean) + 6.0 * kl(clean, logits).mean(), (state, logits)


@pytest.mark.parametrize("name", ["fgsm", "rs_fgsm", "pgd", "trades"])
def test_the_loss_is_that_of_a_batch_attacked_on_its_own(name):
    """Its gradient is that of constant images, its statistics are those of what it is trained on.

    The attack sees the running statistics, and leaves them as they are.
    """
    images = np.asarray(images_of(name))
    assert np.abs(images - X).max() <= 0.1 + 1e-6 and 0 <= images.min() <= images.max() <= 1
    expected = expected_of(PARAMS, images, trades=name == "trades")
    (loss, (state, logits)), gradient = expected
    (value, (new_state, metrics)), of_params = found(ATTACK._replace(name=name))
    np.testing.assert_allclose(value, loss, rtol=1e-5)
    chex.assert_trees_all_close(of_params, gradient, rtol=1e-3, atol=1e-4)
    chex.assert_trees_all_close(new_state, jax.device_get(state), rtol=1e-5, atol=1e-6)
    assert metrics["train_accuracy"] == np.mean(logits.argmax(-1) == BATCH["label"])
    # An image that is not attacked, or statistics of other images, would be seen.
    (clean, (clean_state, _)), _ = found_standard()
    assert abs(clean - loss) > 0.01
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), new_state, clean_state)
    assert max(jax.tree.leaves(moved["batch_stats"])) > 1e-3


@functools.cache
def found_standard(augmented=PLAIN):
    """Return what `found` does, of standard training."""
    loss_fn = image_classifier.make_loss(NET, *augmented)
    return jax.device_get(step_of(loss_fn)(PARAMS, STATE, KEY))


# rs_fgsm is pgd of one step
@pytest.mark.parametrize(
    "name",
    ["fgsm", "fgsm_random_epsilon", pytest.param("rs_fgsm", marks=pytest.mark.slow), "pgd"],
)
def test_an_epsilon_of_0_is_standard_training_bit_for_bit(name):
    augmented = (0, True, 0.1)
    attack = Attack(name, 0.0, 0.0, 2, 1.0, 6.0)
    chex.assert_trees_all_equal(found(attack, augmented), found_standard(augmented))


def test_trades_with_a_beta_of_0_has_the_loss_and_the_gradient_of_standard_training():
    (loss, _), gradient = found(ATTACK._replace(name="trades", beta=0.0))
    (expected, _), expected_gradient = found_standard()
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    chex.assert_trees_all_close(gradient, expected_gradient, rtol=1e-5, atol=1e-6)


def test_smoothing_and_class_weights_are_of_the_cross_entropy_of_the_attacked_batch():
    weights = (0.5, 1.0, 1.5, 1.0, 1.0)
    loss_fn = make_loss(NET, ATTACK._replace(name="fgsm"), 0, False, 0.2, weights)
    (loss, _), _ = step_of(loss_fn)(PARAMS, STATE, KEY)
    logits = jax.jit(trained)(PARAMS, STATE, images_of("fgsm"))[0]
    log_p = np.asarray(log_softmax(logits))
    picked = 0.8 * log_p[np.arange(8), BATCH["label"]] + 0.2 * log_p.mean(-1)
    np.testing.assert_allclose(
        loss, -(picked * np.array(weights)[BATCH["label"]]).mean(), rtol=1e-5
    )


@pytest.mark.parametrize("name", ["fgsm", "fgsm_random_epsilon"])
def test_no_gradient_goes_through_an_attack(name):
    attack = ATTACK._replace(name=name, probability=1.0)
    sloping = lambda x: jnp.stack([-x.sum((1, 2, 3)), jnp.zeros(len(x))], -1)

    def moved(x):
        return attacked(sloping, x, jnp.zeros(8, jnp.int32), KEY_ATTACK, attack).sum()

    total, gradient = jax.jit(jax.value_and_grad(moved))(X)
    assert total > X.sum() + 1e-3 and not np.any(gradient)


def test_trades_begins_beside_x_and_ends_in_its_ball_far_from_its_predictions():
    one = ATTACK._replace(epsilon=0.05, step_size=0.04, num_steps=4)

    @jax.jit
    def run():
        images = trades_examples(forward, X, KEY, one)
        distances = [kl(forward(X), forward(x)).mean() for x in (images, noise)]
        return images, *distances

    noise = np.clip(X + 0.05 * np.sign(RNG.standard_normal(X.shape)), 0, 1).astype(np.float32)
    images, distance, of_noise = run()
    assert np.abs(images - X).max() <= 0.05 + 1e-6 and 0 <= images.min() <= images.max() <= 1
    assert distance > 2 * of_noise


@pytest.mark.parametrize(
    ("probability", "low", "high"), [(0.0, 0, 0), (0.5, 0.42, 0.58), (1.0, 1, 1)]
)
def test_lab_b_attacks_a_share_of_the_batches_by_epsilons_that_are_uniform(probability, low, high):
    """The gradient of this forward is positive everywhere: an image moves by its epsilon."""
    attack = ATTACK._replace(name="fgsm_random_epsilon", epsilon=0.2, probability=probability)
    x, labels = jnp.full((2, 1, 1, 1), 0.5), jnp.zeros(2, jnp.int32)
    rising = lambda x: jnp.stack([-x.sum((1, 2, 3)), jnp.zeros(2)], -1)

    def moved(key):
        return fgsm_of_random_epsilon(rising, x, labels, key, attack) - x

    keys = jax.random.split(jax.random.key(0), 800)
    moves = np.asarray(jax.jit(lambda: jax.lax.map(moved, keys))()).reshape(800, 2)
    np.testing.assert_array_equal(moves[:, 0], moves[:, 1])  # one epsilon a batch
    touched = moves[:, 0] != 0
    assert low <= touched.mean() <= high
    if probability:
        own = moves[touched, 0]
        assert 0 < own.min() < 0.02 and 0.18 < own.max() <= 0.2 + 1e-6
        assert own.mean() == pytest.approx(0.1, abs=0.012)


def config_of(**changes):
    """Return the config of an arm that has little beside its group `attack`."""
    frozen = changes.pop("frozen", 0)
    attack = image_attack()
    attack.update(changes)
    return ConfigDict({"attack": attack, "freeze_norm_after_epochs": frozen})


def test_standard_training_attacks_nothing():
    check_attack(config_of(frozen=3))
    assert attack_of(config_of()) is None


def test_a_step_size_that_is_left_open_is_that_of_the_papers():
    size = lambda **changes: attack_of(config_of(epsilon=0.1, **changes)).step_size
    assert size(name="rs_fgsm") == pytest.approx(0.125)
    assert size(name="pgd", num_steps=5) == size(name="trades", num_steps=5) == pytest.approx(0.05)
    assert size(name="pgd", step_size=0.01) == 0.01
    attack = attack_of(config_of(name="fgsm_random_epsilon", epsilon=0.05, probability=0.25))
    assert attack[:2] == ("fgsm_random_epsilon", 0.05) and attack.probability == 0.25


def test_trials_of_one_attack_share_the_compiled_step():
    one, other = (attack_of(config_of(name="pgd", epsilon=0.1)) for _ in range(2))
    assert make_loss(NET, one, *PLAIN) is make_loss(NET, other, *PLAIN)
    assert make_loss(NET, one, *PLAIN) is not make_loss(NET, one._replace(epsilon=0.2), *PLAIN)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "fgms"}, "attack.name: unknown 'fgms' .did you mean 'fgsm'"),
        ({"epsilon": -0.1}, "attack.epsilon: -0.1 must be at least 0"),
        ({"epsilon": 8.0}, "attack.epsilon: 8.0 must be at most 1"),
        ({"step_size": 0.0}, "attack.step_size: 0.0 must be greater than 0"),
        ({"num_steps": 0}, "attack.num_steps: 0 must be at least 1"),
        ({"probability": 1.5}, "attack.probability: 1.5 must be at most 1"),
        ({"beta": -1.0}, "attack.beta: -1.0 must be at least 0"),
        ({"on_overfitting": "halt"}, "attack.on_overfitting: unknown 'halt'"),
        ({"name": "pgd", "frozen": 2}, "freeze_norm_after_epochs: 2 with attack.name pgd"),
    ],
)
def test_wrong_attacks_are_refused_in_one_line(changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        check_attack(config_of(**changes))
    assert "\n" not in str(caught.value)
