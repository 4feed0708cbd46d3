"""What the stories about image classifiers share: the data on the device, and one run of one network from start to test."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import FrozenConfigDict

from dla_jax import classify, optim
from dla_jax.analysis.gradients import layer_norms
from dla_jax.checkpoint import Checkpoints, save_model
from dla_jax.config import Run, check, check_choice, check_count, check_number
from dla_jax.data import batches, images
from dla_jax.logs import Record
from dla_jax.mesh import put, replicated, together
from dla_jax.models.build import DTYPES, check_images, check_model
from dla_jax.optim import make_optimiser
from dla_jax.steps import STEPS
from dla_jax.stop import NonFiniteLoss
from dla_jax.train import Plan, fit


def check_config(config, run: Run) -> None:
    """Raises ConfigError for the keys that all these stories have, but for the data."""
    check(run.from_dir is None, "--from: this study trains its own nets; leave it out")
    check_model(config.model)
    check_choice("compute_dtype", config.compute_dtype, DTYPES)
    check_number("label_smoothing", config.label_smoothing, low=0, below=1)
    check_choice("parallel", config.parallel, tuple(STEPS))
    check(config.parallel == "jit" or jax.process_count() == 1,
          "parallel: pmap runs on one host; with --multihost leave it at jit")  # fmt: skip
    optim.check_optim(config.optim)
    for key in ("num_epochs", "batch_size", "eval_every_epochs", "steps_per_call"):
        check_count(key, config[key])
    check(config.batch_size % jax.device_count() == 0,
          f"batch_size: {config.batch_size} is not divisible by {jax.device_count()} devices")  # fmt: skip
    for key in ("log_every_steps", "checkpoint_every_steps", "patience", "cells_at_a_time", "freeze_norm_after_epochs"):
        check_count(key, config[key], low=0)


def load(config, run: Run) -> images.ImageSet:
    """The image set; of several processes the first prepares and caches it while the others wait."""
    read = lambda: read_once(FrozenConfigDict(config.data.to_dict()), run.data_dir, run.download)  # noqa: E731
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
    check(config.batch_size <= len(train), f"batch_size: {config.batch_size} is larger than the training part of "
          f"{image_set.name}, {len(train)} examples")  # fmt: skip
    check_images(config.model, image_set.images.shape[1:])


def trace_norms(grads, updates, params) -> dict[str, jax.Array]:
    """L2 norm of each layer's gradient."""
    return {"layer_grad_norm": layer_norms(grads)}


class Setting(NamedTuple):
    """What the runs of one config share."""

    config: object
    image_set: images.ImageSet
    data: dict  # on the devices: image uint8 [N, H, W, C], label int32 [N]
    mesh: jax.sharding.Mesh
    tx: object
    plan: Plan
    freeze_norm_at: int  # step; 0: never
    trace: Callable  # as `train.fit` takes it


def put_data(image_set: images.ImageSet, mesh) -> dict:
    """The whole image set on every device.

    Raises:
      ConfigError: it does not fit.
    """
    memory = (mesh.local_devices[0].memory_stats() or {}).get("bytes_limit")  # a CPU says nothing
    gib = image_set.images.nbytes / 2**30
    check(memory is None or gib < 0.8 * memory / 2**30,
          f"data: the images of {image_set.name} take {gib:.1f} GiB, a device has {(memory or 0) / 2**30:.1f}; make them smaller "
          "with --config.data.size, or take fewer")  # fmt: skip
    return put({"image": image_set.images, "label": image_set.labels}, replicated(mesh))


@functools.cache
def shared_optimiser(optim: FrozenConfigDict, num_steps: int):
    """One object for all networks that are trained alike, so that those of one module share the compiled step."""
    return make_optimiser(optim, num_steps)


def prepare(config, image_set: images.ImageSet, data: dict, mesh, trace: Callable = trace_norms, **rows: int) -> Setting:
    """The plan of a run, and its optimiser; the training part has one size for every seed.

    `rows`: fields of `Plan` that say which steps have a row.
    """
    num_examples = len(split(config, image_set, config.seeds[0])["train"])
    ends = [batches.epoch_end(epoch, config.batch_size, num_examples) for epoch in range(1, config.num_epochs + 1)]
    evaluations = tuple(sorted({*ends[config.eval_every_epochs - 1 :: config.eval_every_epochs], ends[-1]}))
    plan = Plan(ends[-1], evaluations, config.log_every_steps, config.checkpoint_every_steps,
                config.steps_per_call, config.patience, **rows)  # fmt: skip
    plan = plan._replace(steps_per_call=min(config.steps_per_call, plan.longest_stretch()))
    tx = shared_optimiser(FrozenConfigDict(config.optim.to_dict() | {"lr": None}), plan.num_steps)  # `fit` sets the rate
    frozen = config.freeze_norm_after_epochs
    freeze_norm_at = batches.epoch_end(frozen, config.batch_size, num_examples) if frozen else 0
    return Setting(config, image_set, data, mesh, tx, plan, freeze_norm_at, trace)


def split(config, image_set: images.ImageSet, seed: int) -> dict[str, np.ndarray]:
    """The parts of a seed's data: {"train", "val", "test"}: int32 positions."""
    return images.split(image_set, seed, config.data.val_fraction, config.data.test_fraction)


def better(row: dict) -> tuple[float, float]:
    """The score by which the best evaluation of a run is chosen."""
    return row["val_accuracy"], -math.inf if row["val_loss"] is None else -row["val_loss"]


def run_arguments(setting: Setting, model, applied, init_fn: Callable, seed: int) -> dict:
    """The functions and data of one run, as `train.fit` takes them, with `test`, `num_params`, `num_examples` (of an epoch) and
    `annotate`: row of `fit` -> row as it is written.

    `applied` is the module that the steps apply: equal for networks that differ only in how they start, so that they
    share the compiled step.
    """
    config, parts = setting.config, split(setting.config, setting.image_set, seed)
    evaluate = functools.partial(classify.make_evaluate, applied, setting.data, setting.mesh, batch_size=config.batch_size)
    order, shape = parts["train"], setting.image_set.images.shape[1:]
    return {
        "init_fn": classify.counting_steps(init_fn) if setting.freeze_norm_at else init_fn,
        "loss_fn": classify.make_loss(applied, config.data.pad, config.data.flip, config.label_smoothing, setting.freeze_norm_at),
        "tx": setting.tx,
        "batch_at": lambda step: {"index": order[batches.batch_positions(seed, step, config.batch_size, len(order))]},
        "evaluate": evaluate(parts["val"], prefix="val"),
        "test": evaluate(parts["test"], prefix="test"),
        "num_params": classify.count_params(model, shape),
        "num_examples": len(order),
        "annotate": lambda row: row,
    }


def train_run(setting: Setting, arguments: dict, cell, workdir: Path, record: Record, progress) -> None:
    """Trains one network, or goes on with it, and writes its rows.

    Of a cell of stage "final" every row is written, and the network is tested and saved for `--from`; of others, which choose
    a learning rate, the evaluations alone.
    """
    batch_size, folder, compared = setting.config.batch_size, workdir / "checkpoints" / cell.name, cell.stage == "final"
    plan = setting.plan
    if not compared:
        plan = plan._replace(log_every_steps=0, trace_first_steps=0, probe_every_steps=0)
    own = ("test", "num_params", "num_examples", "annotate")
    fit_arguments = {key: value for key, value in arguments.items() if key not in own}
    checkpoints, seen = Checkpoints(folder / "training"), 0

    def log(row):
        nonlocal seen
        record.append({"run": cell.name} | arguments["annotate"](row))
        progress.update((row["step"] - seen) * batch_size)
        if row["step"]:
            progress.set_postfix_str(f"loss {row['train_loss']:.3f}", refresh=False)
        seen = row["step"]

    def resume(step):
        nonlocal seen
        seen = step
        progress.update(step * batch_size)
        return record.resume(cell.name, step)

    chance = 1 / len(setting.image_set.class_names)
    result = {"val_accuracy": chance, "val_loss": None, "test_accuracy": chance, "test_loss": None, "diverged_at": None}
    try:
        state, rows = fit(**fit_arguments, seed=cell.seed, lr=cell.lr, plan=plan, data=setting.data, mesh=setting.mesh,
                          better=better, parallel=setting.config.parallel, trace=setting.trace, checkpoints=checkpoints,
                          resume=resume, log=log)  # fmt: skip
        best = max((row for row in rows if "val_accuracy" in row), key=better)
        result |= {"val_accuracy": best["val_accuracy"], "val_loss": best["val_loss"], "best_step": best["step"]}
        rate = rows[-1]["step"] * batch_size / rows[-1]["seconds"]
        result |= {"step": rows[-1]["step"], "train_seconds": rows[-1]["seconds"], "examples_per_s": rate,
                   "seconds_per_epoch": arguments["num_examples"] / rate}  # fmt: skip
        if compared:
            result |= arguments["test"](state)
            save_model(folder / "model", {"params": state.params, "model_state": state.model_state})
    except NonFiniteLoss as error:
        result |= {"step": error.step, "diverged_at": error.step, "best_step": 0}
        result |= dict.fromkeys(("train_seconds", "examples_per_s", "seconds_per_epoch"))
    checkpoints.delete()
    progress.update((plan.num_steps - seen) * batch_size)
    identity = cell._asdict() | {"group": cell.group, "num_params": arguments["num_params"]}
    record.append({"run": cell.name, "done": True} | identity | {"diverged": result["diverged_at"] is not None} | result)
