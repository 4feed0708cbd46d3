"""From an arm of a study of images to its network and to the Task of one run."""

import functools
import math
from collections.abc import Callable

import jax

from dla_jax.analysis.layer_gradients import layer_norms
from dla_jax.config.checks import check, check_rules, choice, count
from dla_jax.config.elsewhere import is_own
from dla_jax.config.info import DataInfo
from dla_jax.config.workdir import Launch
from dla_jax.data import batches, images, splits
from dla_jax.models import own_network
from dla_jax.models.build import DTYPES, build, check_model, wire
from dla_jax.models.starts import SCALARS
from dla_jax.tasks import adversarial_loss, classifier
from dla_jax.tasks.adversarial_task import against_attack
from dla_jax.tasks.image_classifier import (
    count_params,
    counting_steps,
    init_model,
    make_evaluate,
    make_loss,
)
from dla_jax.tasks.image_data import Loaded, info_of, load_seen, split
from dla_jax.training import optim
from dla_jax.training.steps import STEPS
from dla_jax.training.task import Task

RULES = {
    "compute_dtype": choice(DTYPES),
    **classifier.RULES,
    "parallel": choice(STEPS),
    "freeze_norm_after_epochs": count(low=0),
}


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for the keys that all studies of images have, except those of the data."""
    check(launch.from_dir is None, "--from: this study trains its own nets; leave it out")
    own = is_own(config.model.name)
    (own_network.check_model if own else check_model)(config.model)
    check_rules(config, RULES)
    check(
        config.parallel == "jit" or jax.process_count() == 1,
        "parallel: pmap runs on one host; with --multihost leave it at jit",
    )
    optim.check_optim(config.optim)
    if not own:  # its norm is seen when it is traced
        check_norm(config, config.model.norm)
    adversarial_loss.check_attack(config)
    devices = jax.device_count()
    classifier.check_parts(config.batch_size, devices, f"{devices} devices")


def check_norm(config, norm: str) -> None:
    """Raise ConfigError for batches of one example with BatchNorm.

    Each feature of such a batch, minus its own mean, may be 0.
    """
    check(
        norm != "batch" or config.batch_size > 1,
        "batch_size: 1 with BatchNorm, which has nothing to compare an example with; "
        "give 2 or more, or another norm",
    )


def make_model(config, info: DataInfo, init: str | None = None):
    """Return the Flax module of an arm: `config.model` has depth, skip, norm and init.

    That of a network of one's own has a name and arguments.

    Args:
      init: the initialisation, instead of the config's; the trainable numbers that the config's
        brings are there all the same.
    """
    model = config.model
    if is_own(model.name):
        return own_network.make(model, info, config.compute_dtype)
    return build(
        model,
        depth=model.depth,
        skip=model.skip,
        norm=model.norm,
        init_scheme=init or model.init,
        scalars=model.init if model.init in SCALARS else "none",
        num_classes=len(info.class_names),
        mean=info.mean,
        std=info.std,
        dtype=config.compute_dtype,
    )


def init_network(key: jax.Array, *, model, shape: tuple[int, ...], own) -> tuple[dict, dict]:
    """Return (params, model_state) of a network, plain or residual as `own` says.

    The wiring, data rather than structure, is part of the model state.

    Args:
      own: the group `model` of the arm's config; `scaled` and `plain_stages` only where it has
        them.
    """
    params, model_state = init_model(key, model=model, shape=shape)
    if "wiring" not in model_state:
        return params, model_state
    branch = 1.0
    if "scaled" in own and own.scaled:
        num_blocks = sum(len(leaf) for leaf in jax.tree.leaves(model_state["wiring"])) // 2
        branch = 1 / math.sqrt(num_blocks)
    plain_stages = own.plain_stages if "plain_stages" in own else ()
    return params, wire(model_state, skip=own.skip, branch=branch, plain_stages=plain_stages)


def trace_norms(grads: dict, updates: dict, params: dict) -> dict[str, jax.Array]:
    """Return the L2 norm of each layer's gradient, for a Task's `trace`."""
    return {"layer_grad_norm": layer_norms(grads)}


def freeze_norm_at(config, num_examples: int) -> int:
    """Return the step from which BatchNorm and dropout stay in evaluation mode; 0: never."""
    frozen = config.freeze_norm_after_epochs
    return batches.epoch_end(frozen, config.batch_size, num_examples) if frozen else 0


def loss_of(config, model, image_set: images.ImageSet, *, pad: int, flip: bool, frozen: int):
    """Return the loss function of an arm, which attacks its batches where the config says so.

    Args:
      model: its module.
      image_set: as the seed sees it.
      pad, flip: of the augmentation.
      frozen: of `freeze_norm_at`.
    """
    weights = splits.class_weights(config.class_weight, image_set)
    attack, smoothing = adversarial_loss.attack_of(config), config.label_smoothing
    if attack is not None:
        return adversarial_loss.make_loss(model, attack, pad, flip, smoothing, weights)
    return make_loss(model, pad, flip, smoothing, frozen, weights)


def make_task(
    config, loaded: Loaded, seed: int, trace: Callable = trace_norms, **rows: int
) -> Task:
    """Return the Task of one run.

    Args:
      config: of the arm.
      rows: fields of `Plan` that say which steps have a row.
    """
    loaded = load_seen(config, loaded, seed)
    image_set, info = loaded.image_set, info_of(loaded.image_set)
    model = make_model(config, info)
    # Flax compares modules by their fields. The start is in the parameters already, so all networks
    # that differ only in it get the same field here, and share one compiled program.
    applied = make_model(config, info, init="he")
    parts = split(config, image_set, seed)
    train, frozen = parts["train"], freeze_norm_at(config, len(parts["train"]))
    plan = classifier.make_plan(config, len(train), **rows)
    data = config.data
    init_fn = functools.partial(init_network, model=model, shape=info.shape, own=config.model)
    evaluate = functools.partial(
        make_evaluate, applied, loaded.data, loaded.mesh, batch_size=config.batch_size
    )

    def batch_at(step: int) -> dict:
        places = batches.batch_positions(seed, step, config.batch_size, len(train))
        return {"index": train[places]}

    task = Task(
        init_fn=counting_steps(init_fn) if frozen else init_fn,
        loss_fn=loss_of(config, applied, image_set, pad=data.pad, flip=data.flip, frozen=frozen),
        tx=classifier.shared_optimiser(config.optim, plan.num_steps),
        batch_at=batch_at,
        evaluate=evaluate(parts["val"], prefix="val"),
        better=classifier.better,
        plan=plan,
        data=loaded.data,
        mesh=loaded.mesh,
        batch_size=config.batch_size,
        test=test_of(image_set, evaluate(parts["test"], prefix="test", labels=image_set.labels)),
        result=classifier.result_of(config, len(train), len(info.class_names)),
        diverged=guessing(1 / len(info.class_names)),
        facts={"num_params": count_params(model, info.shape)} | known_classes(image_set),
        trace=trace,
        parallel=config.parallel,
        units_per_step=config.batch_size,
    )
    return against_attack(task, config, applied, parts["val"], seed)


def known_classes(image_set: images.ImageSet) -> dict:
    """Return what the last row says of the classes where a seed leaves some out.

    Args:
      image_set: as the seed sees it.
    """
    if not image_set.left_out:
        return {}
    return {"class_names": list(image_set.class_names)}


def test_of(image_set: images.ImageSet, evaluate: Callable) -> Callable:
    """Return the test of a run, whose scores class by class are those of all classes.

    A class that the seed leaves out has no examples, and None for its accuracy.

    Args:
      image_set: as the seed sees it.
      evaluate: state -> scores, those class by class of the classes that it keeps.
    """

    def test(state) -> dict:
        found = evaluate(state)
        for label in image_set.left_out:  # rising
            found["class_counts"].insert(label, 0)
            found["class_accuracy"].insert(label, None)
        return found

    return test


def guessing(chance: float) -> dict:
    """Return what stands for the scores of a run that diverged: those of guessing.

    "val_loss" is what a learning rate is chosen by, where such a run comes last.
    """
    accuracies = dict.fromkeys(("val_accuracy", "test_accuracy", "balanced_accuracy"), chance)
    losses = dict.fromkeys(("test_loss", "mean_val_loss"), -math.log(chance))
    unknown = "val_loss val_loss_rise examples_per_s seconds_per_epoch class_counts class_accuracy"
    return accuracies | losses | dict.fromkeys(unknown.split())
