"""From an arm of a study of images to its network and to the Task of one run."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import FrozenConfigDict

from dla_jax.analysis.layer_gradients import layer_norms
from dla_jax.config.checks import check, check_rules, choice, count
from dla_jax.config.info import DataInfo
from dla_jax.config.workdir import Launch
from dla_jax.data import batches, images, splits
from dla_jax.models.build import DTYPES, build, check_images, check_model, wire
from dla_jax.models.starts import SCALARS
from dla_jax.tasks import classifier
from dla_jax.tasks.image_classifier import (
    count_params,
    counting_steps,
    init_model,
    make_evaluate,
    make_loss,
)
from dla_jax.training import optim
from dla_jax.training.mesh import data_mesh, put, replicated, together
from dla_jax.training.steps import STEPS
from dla_jax.training.task import Task

RULES = {
    "compute_dtype": choice(DTYPES),
    **classifier.RULES,
    "parallel": choice(STEPS),
    "freeze_norm_after_epochs": count(low=0),
}


class Loaded(NamedTuple):
    """An image set, and its copy on the devices."""

    image_set: images.ImageSet
    data: dict  # {"image": uint8 [N, H, W, C], "label": int32 [N]}
    mesh: jax.sharding.Mesh


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for the keys that all studies of images have, except those of the data."""
    check(launch.from_dir is None, "--from: this study trains its own nets; leave it out")
    check_model(config.model)
    check_rules(config, RULES)
    check(
        config.parallel == "jit" or jax.process_count() == 1,
        "parallel: pmap runs on one host; with --multihost leave it at jit",
    )
    optim.check_optim(config.optim)
    check_norm(config, config.model.norm)
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


def read(config, launch: Launch) -> images.ImageSet:
    """Return the image set; of several processes the first prepares it while the others wait."""

    def read_it() -> images.ImageSet:
        return read_once(FrozenConfigDict(config.data.to_dict()), launch.data_dir, launch.download)

    first = together(read_it if launch.first else lambda: None, "read the data")
    return together(lambda: first or read_it(), "read the data")


@functools.lru_cache(maxsize=1)
def read_once(data: FrozenConfigDict, data_dir: Path, download: bool) -> images.ImageSet:
    """Return the image set, read once for the check of a config and its run.

    A folder of photos is hashed whole.
    """
    return images.load(data, data_dir, download)


def check_data(config, launch: Launch) -> images.ImageSet:
    """Return the image set; raise ConfigError when it cannot be read."""
    images.check_config(config.data, launch.data_dir, launch.download)
    return read(config, launch)


def check_fit(config, image_set: images.ImageSet) -> None:
    """Raise ConfigError for what the data does not allow: the split, the batch, the network."""
    train = split(config, image_set, config.seeds[0])["train"]
    check(
        config.batch_size <= len(train),
        f"batch_size: {config.batch_size} is larger than the training part of "
        f"{image_set.name}, {len(train)} examples",
    )
    check_images(config.model, image_set.images.shape[1:])


def load(config, launch: Launch) -> Loaded:
    """Return the image set with a whole copy of it on every device.

    Raises:
      ConfigError: it does not fit.
    """
    image_set, mesh = read(config, launch), data_mesh()
    return Loaded(image_set, put_data(image_set, mesh), mesh)


def put_data(image_set: images.ImageSet, mesh: jax.sharding.Mesh) -> dict:
    """Return the images and labels of a set, on every device.

    Raises:
      ConfigError: they do not fit.
    """
    memory = (mesh.local_devices[0].memory_stats() or {}).get("bytes_limit")  # a CPU says nothing
    gib = image_set.images.nbytes / 2**30
    check(
        memory is None or gib < 0.8 * memory / 2**30,
        f"data: the images of {image_set.name} take {gib:.1f} GiB, a device has "
        f"{(memory or 0) / 2**30:.1f}; make them smaller with --config.data.size, or take fewer",
    )
    return put({"image": image_set.images, "label": image_set.labels}, replicated(mesh))


def info_of(image_set: images.ImageSet) -> DataInfo:
    """Return what a network has to know of an image set."""
    return DataInfo(
        class_names=image_set.class_names,
        shape=image_set.images.shape[1:],
        mean=image_set.mean,
        std=image_set.std,
    )


def split(config, image_set: images.ImageSet, seed: int) -> dict[str, np.ndarray]:
    """Return the parts of a seed's data: {"train", "val", "test"}: int32 positions."""
    return splits.split(image_set, seed, config.data.val_fraction, config.data.test_fraction)


def make_model(config, info: DataInfo, init: str | None = None):
    """Return the Flax module of an arm: `config.model` has depth, skip, norm and init.

    Args:
      init: the initialisation, instead of the config's; the trainable numbers that the config's
        brings are there all the same.
    """
    model = config.model
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
    branch = 1.0
    if "scaled" in own and own.scaled and "wiring" in model_state:
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


def make_task(
    config, loaded: Loaded, seed: int, trace: Callable = trace_norms, **rows: int
) -> Task:
    """Return the Task of one run.

    Args:
      config: of the arm.
      rows: fields of `Plan` that say which steps have a row.
    """
    image_set, info = loaded.image_set, info_of(loaded.image_set)
    model = make_model(config, info)
    # Flax compares modules by their fields. The start is in the parameters already, so all networks
    # that differ only in it get the same field here, and share one compiled program.
    applied = make_model(config, info, init="he")
    parts = split(config, image_set, seed)
    train, frozen = parts["train"], freeze_norm_at(config, len(parts["train"]))
    plan = classifier.make_plan(config, len(train), **rows)
    init_fn = functools.partial(init_network, model=model, shape=info.shape, own=config.model)
    evaluate = functools.partial(
        make_evaluate, applied, loaded.data, loaded.mesh, batch_size=config.batch_size
    )

    def batch_at(step: int) -> dict:
        places = batches.batch_positions(seed, step, config.batch_size, len(train))
        return {"index": train[places]}

    return Task(
        init_fn=counting_steps(init_fn) if frozen else init_fn,
        loss_fn=make_loss(
            applied,
            config.data.pad,
            config.data.flip,
            config.label_smoothing,
            frozen,
            splits.class_weights(config.class_weight, image_set),
        ),
        tx=classifier.shared_optimiser(config.optim, plan.num_steps),
        batch_at=batch_at,
        evaluate=evaluate(parts["val"], prefix="val"),
        better=classifier.better,
        plan=plan,
        data=loaded.data,
        mesh=loaded.mesh,
        batch_size=config.batch_size,
        test=evaluate(parts["test"], prefix="test", labels=image_set.labels),
        result=classifier.result_of(config, len(train), len(info.class_names)),
        diverged=guessing(1 / len(info.class_names)),
        facts={"num_params": count_params(model, info.shape)},
        trace=trace,
        parallel=config.parallel,
        units_per_step=config.batch_size,
    )


def guessing(chance: float) -> dict:
    """Return what stands for the scores of a run that diverged: those of guessing.

    "val_loss" is what a learning rate is chosen by, where such a run comes last.
    """
    accuracies = dict.fromkeys(("val_accuracy", "test_accuracy", "balanced_accuracy"), chance)
    losses = dict.fromkeys(("test_loss", "mean_val_loss"), -math.log(chance))
    unknown = "val_loss val_loss_rise examples_per_s seconds_per_epoch class_counts class_accuracy"
    return accuracies | losses | dict.fromkeys(unknown.split())
