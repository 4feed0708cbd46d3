"""Does depth help residual nets and not plain ones, and is it the skip, the initialisation, the norm or the learning rate?

Each arm at each depth first gets its own learning rate: one grid, chosen on validation, with seeds that are not those
of the final runs. Then depth x arm x seed, paired by seed. Then the claims of the config get their verdicts.
"""

import functools
import math
import sys
import time

import jax
import jax.numpy as jnp

from dla_jax import classify
from dla_jax import config as configs
from dla_jax.cells import at_a_time, run_all
from dla_jax.config import Run
from dla_jax.experiments import image_runs
from dla_jax.experiments.depth_grid import Arm, Cell, arm_of, choose_rates, final_cells, groups_of, select_cells
from dla_jax.experiments.depth_grid import check_config as check_config  # launch.py calls it before anything slow
from dla_jax.experiments.depth_report import draw as draw  # and this for a workdir alone
from dla_jax.experiments.image_runs import Setting
from dla_jax.logs import Record, progress_line
from dla_jax.mesh import data_mesh, describe_devices
from dla_jax.models.build import build


def run(config, run: Run) -> None:
    """Runs the study, or what is left of it, in `run.workdir`, and draws its report."""
    image_set, mesh = image_runs.load(config, run), data_mesh()
    setting = image_runs.prepare(config, image_set, image_runs.put_data(image_set, mesh), mesh)
    if run.first:
        configs.write_config(run.workdir, config.to_dict(), describe_devices(), image_set.identity)
    record, workers = Record(run.workdir, run.first), at_a_time(config.cells_at_a_time)
    select, num_final = select_cells(config), sum(len(seeds) for _, _, seeds in groups_of(config))
    num_cells = len(select) + num_final
    done = f", {len(record.done)} of them done before" if record.done else ""
    print(f"{num_cells} runs: {len(select)} choose learning rates, {num_final} are compared{done}", file=sys.stderr)
    if len(record.done) < num_cells:
        images_each = setting.plan.num_steps * config.batch_size
        compile_programs(setting, workers)
        with progress_line(num_cells * images_each, run.quiet, "img") as progress:
            progress.update(len(record.done) * images_each)

            def train(cell):
                image_runs.train_run(setting, run_arguments(setting, cell), cell.name, cell._asdict() | {"group": cell.group},
                                     seed=cell.seed, lr=cell.lr, compared=cell.stage == "final", workdir=run.workdir,
                                     record=record, progress=progress)  # fmt: skip

            def train_all(cells):
                run_all(train, [cell for cell in cells if cell.name not in record.done], workers)

            train_all(select)
            train_all(final_cells(config, choose_rates(config, record.done)))
    else:
        print("the study is finished; drawing its report again", file=sys.stderr)
    record.close()
    if run.first:
        draw(run.workdir)


def make_model(setting: Setting, depth: int, arm: Arm):
    """The Flax module of an arm at a depth."""
    config, image_set = setting.config, setting.image_set
    return build(
        config.model, depth=depth, skip=arm.skip, norm=arm.norm, init_scheme=arm.init, dtype=config.compute_dtype,
        num_classes=len(image_set.class_names), mean=image_set.mean, std=image_set.std,
    )  # fmt: skip


def init_arm(key, *, model, shape: tuple[int, ...], arm: Arm) -> tuple[dict, dict]:
    """(params, model_state) of an arm: its wiring, data rather than structure, is part of the model state."""
    params, model_state = classify.init_model(key, model=model, shape=shape)
    if "wiring" in model_state:
        num_blocks = sum(len(leaf) for leaf in jax.tree.leaves(model_state["wiring"])) // 2
        numbers = {"skip": float(arm.skip), "branch": 1 / math.sqrt(num_blocks) if arm.scaled else 1.0}
        fill = lambda path, ones: ones * jnp.float32(numbers[path[-1].key])  # noqa: E731
        model_state["wiring"] = jax.tree_util.tree_map_with_path(fill, model_state["wiring"])
    return params, model_state


def run_arguments(setting: Setting, cell: Cell) -> dict:
    """The functions and data of a cell, as `train.fit` takes them."""
    arm = arm_of(setting.config, cell.arm)
    model = make_model(setting, cell.depth, arm)
    # Arms that differ only in how they start share the program: the module they are applied with has the same fields.
    applied = make_model(setting, cell.depth, arm._replace(init="he"))
    init_fn = functools.partial(init_arm, model=model, shape=setting.image_set.images.shape[1:], arm=arm)
    return image_runs.run_arguments(setting, model, applied, init_fn, cell.seed)


def compile_programs(setting: Setting, workers: int) -> None:
    """Compiles each program that the study needs, side by side."""
    started, programs = time.perf_counter(), {}
    for arm, depth, seeds in groups_of(setting.config):
        arguments = run_arguments(setting, Cell("final", arm, depth, seeds[0], 0.0))
        programs.setdefault(arguments["loss_fn"], (arguments, seeds[0]))
    run_all(lambda program: image_runs.compile_program(setting, *program), programs.values(), workers)
    print(f"{len(programs)} programs compiled in {time.perf_counter() - started:.0f} s", file=sys.stderr)
