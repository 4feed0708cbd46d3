"""What the stories about image classifiers share: the data on the device, and one run of one network from start to test."""

import functools
import math
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from ml_collections import FrozenConfigDict

from dla_jax.analysis.layer_gradients import layer_norms
from dla_jax.config.checks import check, check_choice, check_count, check_number
from dla_jax.config.workdir import Run
from dla_jax.data import batches, images, splits
from dla_jax.models.build import DTYPES, check_images, check_model
from dla_jax.tasks import image_classifier
from dla_jax.tasks.classifier import better, make_plan, run_result, shared_optimiser
from dla_jax.training import optim
from dla_jax.training.mesh import put, replicated, together
from dla_jax.training.steps import STEPS
from dla_jax.trials.grid import Setting, Story


def check_config(config, run: Run) -> None:
    """Raises ConfigError for the keys that all these stories have, but for the data."""
    check(run.from_dir is None, "--from: this study trains its own nets; leave it out")
    check_model(config.model)
    check_choice("compute_dtype", config.compute_dtype, DTYPES)
    check_number("label_smoothing", config.label_smoothing, low=0, below=1)
    check_choice("class_weight", config.class_weight, splits.CLASS_WEIGHTS)
    check_choice("parallel", config.parallel, tuple(STEPS))
    check(
        config.parallel == "jit" or jax.process_count() == 1,
        "parallel: pmap runs on one host; with --multihost leave it at jit",
    )
    optim.check_optim(config.optim)
    for key in ("num_epochs", "batch_size", "eval_every_epochs", "steps_per_call"):
        check_count(key, config[key])
    check_norm(config, config.model.norm)
    check(
        config.batch_size % jax.device_count() == 0,
        f"batch_size: {config.batch_size} is not divisible by {jax.device_count()} devices",
    )
    for key in (
        "log_every_steps",
        "checkpoint_every_steps",
        "patience",
        "cells_at_a_time",
        "freeze_norm_after_epochs",
    ):
        check_count(key, config[key], low=0)


def check_norm(config, norm: str) -> None:
    """Raise ConfigError for batches of one example with BatchNorm: less its own mean, each feature of it may be 0."""
    check(
        norm != "batch" or config.batch_size > 1,
        "batch_size: 1 with BatchNorm, which has nothing to compare an example with; "
        "give 2 or more, or another norm",
    )


def load(config, run: Run) -> images.ImageSet:
    """The image set; of several processes the first prepares and caches it while the others wait."""
    read = lambda: read_once(FrozenConfigDict(config.data.to_dict()), run.data_dir, run.download)
    first = together(read if run.first else lambda: None, "read the data")
    return together(lambda: first or read(), "read the data")


@functools.lru_cache(maxsize=1)
def read_once(data: FrozenConfigDict, data_dir: Path, download: bool) -> images.ImageSet:
    """`images.load`, once for the check of a config and its run: a folder of photos is hashed whole."""
    return images.load(data, data_dir, download)


def check_data(config, run: Run) -> images.ImageSet:
    """Reads the image set, and raises ConfigError when it is not to be had."""
    images.check_config(config.data, run.data_dir, run.download)
    return load(config, run)


def check_fit(config, image_set: images.ImageSet) -> None:
    """Raises ConfigError for what the data does not allow: the split, the batch, the network."""
    train = split(config, image_set, config.seeds[0])["train"]
    check(
        config.batch_size <= len(train),
        f"batch_size: {config.batch_size} is larger than the training part of "
        f"{image_set.name}, {len(train)} examples",
    )
    check_images(config.model, image_set.images.shape[1:])


def trace_norms(grads, updates, params) -> dict[str, jax.Array]:
    """L2 norm of each layer's gradient."""
    return {"layer_grad_norm": layer_norms(grads)}


def put_data(image_set: images.ImageSet, mesh) -> dict:
    """The whole image set on every device.

    Raises:
      ConfigError: it does not fit.
    """
    memory = (mesh.local_devices[0].memory_stats() or {}).get("bytes_limit")  # a CPU says nothing
    gib = image_set.images.nbytes / 2**30
    check(
        memory is None or gib < 0.8 * memory / 2**30,
        f"data: the images of {image_set.name} take {gib:.1f} GiB, a device has {(memory or 0) / 2**30:.1f}; make them smaller "
        "with --config.data.size, or take fewer",
    )
    return put({"image": image_set.images, "label": image_set.labels}, replicated(mesh))


def prepare(
    config, image_set: images.ImageSet, data: dict, mesh, trace: Callable = trace_norms, **rows: int
) -> Setting:
    """The plan of a run, and its optimiser; the training part has one size for every seed.

    `rows`: fields of `Plan` that say which steps have a row.
    """
    plan = make_plan(config, len(split(config, image_set, config.seeds[0])["train"]), **rows)
    tx = shared_optimiser(config.optim, plan.num_steps)
    return Setting(config, data, mesh, tx, plan, trace, image_set, step_size=config.batch_size)


def freeze_norm_at(setting: Setting) -> int:
    """The step from which BatchNorm and dropout are left in evaluation mode; 0: never."""
    config, frozen = setting.config, setting.config.freeze_norm_after_epochs
    num_examples = len(split(config, setting.source, config.seeds[0])["train"])
    return batches.epoch_end(frozen, config.batch_size, num_examples) if frozen else 0


def split(config, image_set: images.ImageSet, seed: int) -> dict[str, np.ndarray]:
    """The parts of a seed's data: {"train", "val", "test"}: int32 positions."""
    return splits.split(image_set, seed, config.data.val_fraction, config.data.test_fraction)


def make_story(setting: Setting, model, applied, init_fn: Callable, seed: int) -> Story:
    """What makes one run.

    `applied` is the module that the steps apply: equal for networks that differ only in how they start, so that they
    share the compiled step.
    """
    config, image_set, frozen = setting.config, setting.source, freeze_norm_at(setting)
    parts, shape, chance = (
        split(config, image_set, seed),
        image_set.images.shape[1:],
        1 / len(image_set.class_names),
    )
    evaluate = functools.partial(
        image_classifier.make_evaluate,
        applied,
        setting.data,
        setting.mesh,
        batch_size=config.batch_size,
    )
    order, weights = parts["train"], splits.class_weights(config.class_weight, image_set)
    # A run that diverged counts as guessing, not as absent; "val_loss" is what a learning rate is chosen by, where it comes last.
    guessing = dict.fromkeys(("val_accuracy", "test_accuracy", "balanced_accuracy"), chance)
    guessing |= dict.fromkeys(("test_loss", "mean_val_loss"), -math.log(chance))
    unknown = (
        "val_loss",
        "val_loss_rise",
        "examples_per_s",
        "seconds_per_epoch",
        "class_counts",
        "class_accuracy",
    )
    return Story(
        init_fn=image_classifier.counting_steps(init_fn) if frozen else init_fn,
        loss_fn=image_classifier.make_loss(
            applied, config.data.pad, config.data.flip, config.label_smoothing, frozen, weights
        ),
        batch_at=lambda step: {
            "index": order[batches.batch_positions(seed, step, config.batch_size, len(order))]
        },
        evaluate=evaluate(parts["val"], prefix="val"),
        better=better,
        test=evaluate(parts["test"], prefix="test", labels=image_set.labels),
        result=functools.partial(
            run_result, batch_size=config.batch_size, num_examples=len(order), chance=chance
        ),
        diverged=guessing | dict.fromkeys(unknown),
        facts={"num_params": image_classifier.count_params(model, shape)},
    )
