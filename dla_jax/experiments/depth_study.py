"""Does depth help residual nets and not plain ones, and is it the skip, the initialisation, the norm or the learning rate?

Each arm at each depth first gets its own learning rate: one grid, chosen on validation, with seeds that are not those
of the final runs. Then depth x arm x seed, paired by seed. Then the claims of the config get their verdicts.
"""

import functools
import math
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax import classify
from dla_jax import config as configs
from dla_jax.analysis.gradients import layer_norms
from dla_jax.cells import at_a_time, run_all
from dla_jax.checkpoint import Checkpoints, save_model
from dla_jax.config import Run
from dla_jax.data import batches, images
from dla_jax.experiments.depth_grid import Arm, Cell, choose_rates, final_cells, groups_of, parse_arm, select_cells
from dla_jax.experiments.depth_grid import check_config as check_config  # launch.py calls it before anything slow
from dla_jax.experiments.depth_report import draw as draw  # and this for a workdir alone
from dla_jax.logs import Record, progress_line
from dla_jax.mesh import data_mesh, describe_devices, replicated
from dla_jax.models.cnn import CNN
from dla_jax.models.mlp import MLP
from dla_jax.optim import make_optimiser
from dla_jax.stop import NonFiniteLoss
from dla_jax.train import Plan, fit, init_state, run_steps, stack_batches


def run(config, run: Run) -> None:
    """Runs the study, or what is left of it, in `run.workdir`, and draws its report."""
    image_set = images.load(config.data.name)
    study = prepare(config, image_set)
    configs.write_config(run.workdir, config.to_dict(), describe_devices(), image_set.identity)
    record, workers = Record(run.workdir), at_a_time(config.cells_at_a_time)
    select, num_final = select_cells(config), sum(len(seeds) for _, _, seeds in groups_of(config))
    num_cells = len(select) + num_final
    done = f", {len(record.done)} of them done before" if record.done else ""
    print(f"{num_cells} runs: {len(select)} choose learning rates, {num_final} are compared{done}", file=sys.stderr)
    if len(record.done) < num_cells:
        images_each = study.plan.num_steps * config.batch_size
        compile_programs(study, workers)
        with progress_line(num_cells * images_each, run.quiet, "img") as progress:
            progress.update(len(record.done) * images_each)

            def train(cells):
                todo = [cell for cell in cells if cell.name not in record.done]
                run_all(lambda cell: train_cell(study, cell, run.workdir, record, progress), todo, workers)

            train(select)
            train(final_cells(config, choose_rates(config, record.done)))
    else:
        print("the study is finished; drawing its report again", file=sys.stderr)
    record.close()
    draw(run.workdir)


class Study(NamedTuple):
    """What all cells share."""

    config: object
    image_set: images.ImageSet
    data: dict  # on the device: image uint8 [N, H, W, C], label int32 [N]
    mesh: jax.sharding.Mesh
    tx: object
    plan: Plan


def prepare(config, image_set: images.ImageSet) -> Study:
    """Puts the data on the device and makes the plan of a run; the training part has one size for every seed."""
    mesh = data_mesh()
    data = jax.device_put({"image": image_set.images, "label": image_set.labels}, replicated(mesh))
    num_examples = len(split(config, image_set, config.seeds[0])["train"])
    ends = [batches.epoch_end(epoch, config.batch_size, num_examples) for epoch in range(1, config.num_epochs + 1)]
    evaluations = tuple(sorted({*ends[config.eval_every_epochs - 1 :: config.eval_every_epochs], ends[-1]}))
    plan = Plan(ends[-1], evaluations, config.log_every_steps, config.checkpoint_every_steps, config.steps_per_call,
                config.patience)  # fmt: skip
    return Study(config, image_set, data, mesh, make_optimiser(config.optim, plan.num_steps), plan)


def split(config, image_set: images.ImageSet, seed: int) -> dict[str, np.ndarray]:
    """The parts of a seed's data: {"train", "val", "test"}: int32 positions."""
    return images.split(image_set.labels, seed, config.data.val_fraction, config.data.test_fraction)


def make_model(study: Study, depth: int, arm: Arm):
    """The Flax module of an arm at a depth."""
    config, image_set = study.config, study.image_set
    only_cnn = {"pools": config.model.pools} if config.model.name == "cnn" else {}
    return {"cnn": CNN, "mlp": MLP}[config.model.name](
        depth=depth, width=config.model.width, num_classes=len(image_set.class_names), mean=image_set.mean,
        std=image_set.std, norm=arm.norm, init_scheme=arm.init, dtype=config.compute_dtype, **only_cnn,
    )  # fmt: skip


def init_arm(key, *, model, shape: tuple[int, ...], arm: Arm) -> tuple[dict, dict]:
    """(params, model_state) of an arm: its wiring, data rather than structure, is part of the model state."""
    model_state = dict(classify.init_variables(key, model=model, shape=shape))
    params = model_state.pop("params")
    if model.depth > 1:
        branch = 1 / math.sqrt(model.depth - 1) if arm.scaled else 1.0
        ones = jnp.ones(model.depth - 1)
        model_state["wiring"] = {"blocks": {"skip": ones * arm.skip, "branch": ones * branch}}
    return params, model_state


def trace_gradients(grads) -> dict[str, jax.Array]:
    return {"layer_grad_norm": layer_norms(grads)}


def run_arguments(study: Study, cell: Cell) -> dict:
    """The functions and data of a cell, as `train.fit` takes them."""
    arm, parts = parse_arm("arm", cell.arm), split(study.config, study.image_set, cell.seed)
    model = make_model(study, cell.depth, arm)
    # Arms that differ only in how they start share the program: the module they are applied with has the same fields.
    applied = model.clone(init_scheme="he")
    evaluate = functools.partial(classify.make_evaluate, applied, study.data, batch_size=study.config.batch_size)
    order, shape = parts["train"], study.image_set.images.shape[1:]
    return {
        "init_fn": functools.partial(init_arm, model=model, shape=shape, arm=arm),
        "loss_fn": classify.make_loss(applied, study.config.data.pad, study.config.data.flip),
        "tx": study.tx,
        "batch_at": lambda step: {"index": order[batches.batch_positions(cell.seed, step, study.config.batch_size, len(order))]},
        "evaluate": evaluate(parts["val"], prefix="val"),
        "test": evaluate(parts["test"], prefix="test"),
        "num_params": classify.count_params(model, shape),
    }


def compile_programs(study: Study, workers: int) -> None:
    """Compiles each program that the study needs, side by side, by taking no step with it."""

    def compile_one(cell):
        arguments = run_arguments(study, cell)
        state, key = init_state(arguments["init_fn"], study.tx, seed=cell.seed, lr=cell.lr, mesh=study.mesh)
        arguments["evaluate"](state)
        batch = stack_batches(arguments["batch_at"], 0, 1, study.plan.steps_per_call)
        run_steps(state, study.data, batch, 0, key, loss_fn=arguments["loss_fn"], tx=study.tx, trace=trace_gradients,
                  mesh=study.mesh)  # fmt: skip

    started = time.perf_counter()
    groups = groups_of(study.config)
    programs = {(depth, parse_arm("arm", arm).norm): Cell("final", arm, depth, seeds[0], 0.0) for arm, depth, seeds in groups}
    run_all(compile_one, programs.values(), workers)
    print(f"{len(programs)} programs compiled in {time.perf_counter() - started:.0f} s", file=sys.stderr)


def better(row: dict) -> tuple[float, float]:
    """The score by which the best evaluation of a run is chosen."""
    return row["val_accuracy"], -row["val_loss"]


def train_cell(study: Study, cell: Cell, workdir: Path, record: Record, progress) -> None:
    """Trains one cell, or goes on with it, and writes its rows; a final cell's best model is saved for `--from`."""
    arguments = run_arguments(study, cell)
    test, num_params, folder = arguments.pop("test"), arguments.pop("num_params"), workdir / "checkpoints" / cell.name
    checkpoints, seen = Checkpoints(folder / "training"), 0

    def log(row):
        nonlocal seen
        record.append({"run": cell.name} | row)
        progress.update((row["step"] - seen) * study.config.batch_size)
        progress.set_postfix_str(f"loss {row['train_loss']:.3f}", refresh=False)
        seen = row["step"]

    def resume(step):
        nonlocal seen
        seen = step
        progress.update(step * study.config.batch_size)
        return record.resume(cell.name, step)

    chance = 1 / len(study.image_set.class_names)
    result = {"val_accuracy": chance, "val_loss": None, "test_accuracy": chance, "test_loss": None, "diverged_at": None}
    try:
        state, rows = fit(**arguments, seed=cell.seed, lr=cell.lr, plan=study.plan, data=study.data, mesh=study.mesh,
                          better=better, trace=trace_gradients, checkpoints=checkpoints, resume=resume, log=log)  # fmt: skip
        best = max((row for row in rows if "val_accuracy" in row), key=better)
        result |= {"val_accuracy": best["val_accuracy"], "val_loss": best["val_loss"], "best_step": best["step"]}
        result |= {"step": rows[-1]["step"], "train_seconds": rows[-1]["seconds"],
                   "examples_per_s": rows[-1]["step"] * study.config.batch_size / rows[-1]["seconds"]}  # fmt: skip
        if cell.stage == "final":
            result |= test(state)
            save_model(folder / "model", {"params": state.params, "model_state": state.model_state})
    except NonFiniteLoss as error:
        result |= {"step": error.step, "diverged_at": error.step, "best_step": 0, "train_seconds": 0.0,
                   "examples_per_s": 0.0}  # fmt: skip
    checkpoints.delete()
    progress.update((study.plan.num_steps - seen) * study.config.batch_size)
    record.append({"run": cell.name, "done": True} | cell._asdict() | {"group": cell.group, "num_params": num_params,
                  "diverged": result["diverged_at"] is not None} | result)  # fmt: skip
