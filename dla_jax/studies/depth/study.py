"""Does depth help residual nets and not plain ones, and is it the skip, the initialisation, the norm or the learning rate?

Each arm at each depth first gets its own learning rate: one grid, chosen on validation, with seeds that are not those
of the final runs. Then depth x arm x seed, paired by seed. Then the claims of the config get their verdicts.
"""

import functools
import math

import jax

from dla_jax.config.workdir import Run
from dla_jax.data import splits
from dla_jax.models.build import build, wire
from dla_jax.studies.depth.arms import (
    Arm,
    Cell,
    arm_of,
    choose_rates,
    final_cells,
    left_out_depths,
    select_cells,
    undecidable_claims,
)
from dla_jax.studies.depth.arms import check_config as check_config
from dla_jax.studies.depth.report import draw as draw
from dla_jax.tasks import image_classifier, image_runs
from dla_jax.training.mesh import data_mesh
from dla_jax.trials.grid import Setting, Story, begin, run_grid


def run(config, run: Run) -> None:
    """Runs the study, or what is left of it, in `run.workdir`, and draws its report."""
    image_set, mesh = image_runs.load(config, run), data_mesh()
    remarks = [*splits.remarks(image_set), *left_out_depths(config), *undecidable_claims(config)]
    begin(config, run, image_set.identity, remarks)
    setting = image_runs.prepare(config, image_set, image_runs.put_data(image_set, mesh), mesh)
    run_grid(
        config,
        run,
        select=select_cells(config),
        final=final_cells(config),
        choose_rates=functools.partial(choose_rates, config),
        setting_of=lambda cell: setting,
        story_of=functools.partial(make_story, setting),
        draw=draw,
        unit="img",
    )


def make_model(setting: Setting, depth: int, arm: Arm):
    """The Flax module of an arm at a depth."""
    config, image_set = setting.config, setting.source
    return build(
        config.model,
        depth=depth,
        skip=arm.skip,
        norm=arm.norm,
        init_scheme=arm.init,
        dtype=config.compute_dtype,
        num_classes=len(image_set.class_names),
        mean=image_set.mean,
        std=image_set.std,
    )


def init_arm(key, *, model, shape: tuple[int, ...], arm: Arm) -> tuple[dict, dict]:
    """(params, model_state) of an arm: its wiring, data rather than structure, is part of the model state."""
    params, model_state = image_classifier.init_model(key, model=model, shape=shape)
    branch = 1.0
    if arm.scaled and "wiring" in model_state:
        branch = 1 / math.sqrt(
            sum(len(leaf) for leaf in jax.tree.leaves(model_state["wiring"])) // 2
        )
    return params, wire(model_state, skip=arm.skip, branch=branch)


def make_story(setting: Setting, cell: Cell) -> Story:
    """What makes the run of a cell."""
    arm = arm_of(setting.config, cell.arm)
    model = make_model(setting, cell.depth, arm)
    # Arms that differ only in how they start share the program: the module they are applied with has the same fields.
    applied = make_model(setting, cell.depth, arm._replace(init="he"))
    init_fn = functools.partial(
        init_arm, model=model, shape=setting.source.images.shape[1:], arm=arm
    )
    return image_runs.make_story(setting, model, applied, init_fn, cell.seed)
