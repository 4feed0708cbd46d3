"""Training that attacks its own batches: what a config says of it, and the loss.

Images are in [0, 1], normalisation is part of the network, and epsilon and step sizes are in units
of those images. The attack sees the augmented batch, and the network in evaluation mode, without
dropout and with BatchNorm's running statistics; the loss has it in training mode.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dla_jax.analysis.attacks import ascend, fgsm, pgd, rs_fgsm
from dla_jax.config.checks import check, check_rules, choice, count, number, optional
from dla_jax.data import images
from dla_jax.training.metrics import accuracy, cross_entropy

TRAININGS = ("standard", "fgsm", "fgsm_random_epsilon", "rs_fgsm", "pgd", "trades")
RULES = {
    "name": choice(TRAININGS),
    "epsilon": number(low=0, high=1),
    "step_size": optional(number(above=0)),
    "num_steps": count(),
    "probability": number(low=0, high=1),
    "beta": number(low=0),
    "on_overfitting": choice(("go_on", "stop")),
}
START = 0.001  # standard deviation of the noise that TRADES starts from


class Attack(NamedTuple):
    """How training attacks its batches; the fields are the keys of `config.attack`."""

    name: str
    epsilon: float
    step_size: float
    num_steps: int
    probability: float
    beta: float


def check_attack(config) -> None:
    """Raise ConfigError for a `config.attack` that no training can have."""
    check_rules(config.attack, RULES, prefix="attack.")
    name, frozen = config.attack.name, config.freeze_norm_after_epochs
    check(
        name == "standard" or not frozen,
        f"freeze_norm_after_epochs: {frozen} with attack.name {name}, which trains with "
        "BatchNorm in training mode to its end; give 0, or attack.name standard",
    )


def attack_of(config) -> Attack | None:
    """Return how an arm attacks its batches; None for standard training.

    A step size that is left open is 1.25 epsilon for `rs_fgsm` (Wong et al. 2020,
    arXiv:2001.03994), and else 2.5 epsilon over the number of steps, which from every start reach
    the boundary of the ball (Madry et al. 2018, arXiv:1706.06083, section 5).
    """
    own = config.attack
    if own.name == "standard":
        return None
    open_ = own.epsilon * (1.25 if own.name == "rs_fgsm" else 2.5 / own.num_steps)
    step_size = open_ if own.step_size is None else own.step_size
    return Attack(**{name: own[name] for name in Attack._fields} | {"step_size": step_size})


def kl_divergence(logits: jax.Array, others: jax.Array) -> jax.Array:
    """Return KL(softmax(logits) || softmax(others)) in nats: float [B, C] twice -> float32 [B]."""
    of_logits, of_others = (jax.nn.log_softmax(x.astype(jnp.float32)) for x in (logits, others))
    return (jnp.exp(of_logits) * (of_logits - of_others)).sum(-1)


def trades_examples(forward: Callable, x: jax.Array, key: jax.Array, attack: Attack) -> jax.Array:
    """Return images in the ball and in [0, 1] whose predictions are unlike those of x.

    Steps go along the sign of the gradient of KL(x || image), from x + .001 N(0, I) (TRADES, Zhang
    et al. 2019, arXiv:1901.08573, algorithm 1).

    Args:
      forward: images -> logits float32 [B, C], each image on its own.
      x: float32 [B, H, W, C] in [0, 1].
    """
    clean = forward(x)

    def objective(at):
        logits = forward(at)
        return kl_divergence(clean, logits), logits.argmax(-1) != clean.argmax(-1)

    start = x + START * jax.random.normal(key, x.shape)
    return ascend(objective, x, start, attack.epsilon, attack.step_size, attack.num_steps)


def fgsm_of_random_epsilon(
    forward: Callable, x: jax.Array, labels: jax.Array, key: jax.Array, attack: Attack
) -> jax.Array:
    """Return lab B's batch: with a probability attacked by FGSM, else x itself.

    Epsilon is uniform between 0 and the config's, one for the whole batch.

    Args:
      forward, x: as `trades_examples`; labels: int32 [B].
    """
    key_whether, key_epsilon = jax.random.split(key)
    epsilon = jax.random.uniform(key_epsilon, maxval=attack.epsilon)
    return jax.lax.cond(
        jax.random.bernoulli(key_whether, attack.probability),
        lambda: fgsm(forward, x, labels, epsilon),
        lambda: x,
    )


def attacked(
    forward: Callable, x: jax.Array, labels: jax.Array, key: jax.Array, attack: Attack
) -> jax.Array:
    """Return the images of a batch that is trained on, as constants; args as above."""
    epsilon, step_size, num_steps = attack.epsilon, attack.step_size, attack.num_steps
    match attack.name:
        case "fgsm":
            found = fgsm(forward, x, labels, epsilon)
        case "fgsm_random_epsilon":
            found = fgsm_of_random_epsilon(forward, x, labels, key, attack)
        case "rs_fgsm":
            found = rs_fgsm(forward, x, labels, key, epsilon, step_size)
        case "pgd":
            found = pgd(forward, x, labels, key, epsilon, step_size, num_steps)
        case "trades":
            found = trades_examples(forward, x, key, attack)
    return jax.lax.stop_gradient(found)


@functools.cache
def make_loss(
    model,
    attack: Attack,
    pad: int,
    flip: bool,
    label_smoothing: float,
    class_weights: tuple[float, ...] | None = None,
) -> Callable:
    """Return the loss function of a model that is trained against an attack.

    It is the cross-entropy of the attacked batch; of `trades` that of the clean one plus beta times
    the mean KL(clean || attacked), whose gradient goes through both (Zhang et al. 2019, equation
    5). "train_accuracy" is that of the attacked batch. BatchNorm's running statistics are those of
    the batches that the loss is of: of `trades` the clean one, then the attacked one, for which the
    same units are dropped.

    It is one object for each choice of arguments, as `image_classifier.make_loss`.

    Args:
      model, pad, flip: as there.
      label_smoothing, class_weights: of the cross-entropy of the loss; no attack knows them.
    """

    def loss_fn(params, model_state, batch, key):
        # These as in standard training, so that an epsilon of 0 is that.
        key_augment, key_dropout = jax.random.split(key)
        key_attack = jax.random.fold_in(key, 2)
        x = images.augment(key_augment, batch["image"], pad, flip).astype(jnp.float32) / 255
        labels = batch["label"]
        # Constants to the attack, which is not to be differentiated with respect to them.
        fixed = jax.lax.stop_gradient({"params": params, **model_state})

        def forward(x):
            return model.apply(fixed, x, train=False)[0]

        def train(x, model_state):
            (logits, _), updates = model.apply(
                {"params": params, **model_state},
                x,
                train=True,
                mutable=["batch_stats"],
                rngs={"dropout": key_dropout},
            )
            return logits, {**model_state, **updates}

        adversarial = attacked(forward, x, labels, key_attack, attack)
        if attack.name == "trades":
            clean, model_state = train(x, model_state)
            logits, model_state = train(adversarial, model_state)
            distance = attack.beta * kl_divergence(clean, logits).mean()
        else:
            logits, model_state = train(adversarial, model_state)
            clean, distance = logits, 0.0
        loss = cross_entropy(clean, labels, label_smoothing, class_weights).mean() + distance
        return loss, (model_state, {"train_accuracy": accuracy(logits, labels)})

    return loss_fn
