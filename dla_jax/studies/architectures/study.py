"""Which of several networks is best on one image set, by how much, and what does each cost?

Every network of the config is the config itself with its own overrides. Each first gets its own learning rate, unless
it brings one; then networks x seeds, paired by seed. Then the claims of the config get their verdicts.
"""

import functools
from collections.abc import Callable

from dla_jax.config.checks import check, check_choice, check_distinct
from dla_jax.config.workdir import Run
from dla_jax.data import splits
from dla_jax.models.build import build, check_depth, wire
from dla_jax.models.resnet import stages_of
from dla_jax.studies.architectures.report import draw as draw
from dla_jax.tasks import image_classifier, image_runs
from dla_jax.tasks.classifier import rate_score
from dla_jax.training.mesh import data_mesh
from dla_jax.trials.arms import (
    check_networks,
    choose_rates,
    final_cells,
    own_config,
    select_cells,
    undecidable_claims,
)
from dla_jax.trials.grid import Setting, Story, begin, run_grid


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a config that this study cannot run, before anything slow; reads the data, and checks that last."""
    for network in config.pair:
        check_choice("pair", network, tuple(config.networks))
    check(
        len(config.pair) in (0, 2),
        f"pair: {config.pair} has {len(config.pair)} networks; give two, or none",
    )
    check_networks(config, functools.partial(check_own, run=run))
    image_set = image_runs.check_data(config, run)
    for network in config.networks:
        image_runs.check_fit(own_config(config, network), image_set)


def check_own(own, run: Run) -> None:
    """Raises ConfigError for the config of a network."""
    image_runs.check_config(own, run)
    check_depth(own.model, "model.depth", own.model.depth)
    if own.model.name == "resnet":
        stages = len(stages_of(own.model.depth, own.model.bottleneck)[0])
        one = lambda key, stage: check(
            stage in range(1, stages + 1), f"{key}: there is no stage {stage}; 1 to {stages}"
        )
        check_distinct("model.plain_stages", own.model.plain_stages, one, empty=True)


def run(config, run: Run) -> None:
    """Runs the study, or what is left of it, in `run.workdir`, and draws its report."""
    image_set, mesh = image_runs.load(config, run), data_mesh()
    data = image_runs.put_data(image_set, mesh)
    settings = {
        name: image_runs.prepare(own_config(config, name), image_set, data, mesh)
        for name in config.networks
    }
    run_networks(config, run, settings, make_story, draw)


def run_networks(
    config, run: Run, settings: dict[str, Setting], story_of: Callable, draw: Callable
) -> None:
    """Trains every network of `settings` with every seed, each at its own learning rate. `story_of`: (setting, seed) -> what
    makes a run."""
    setting_of = lambda cell: settings[cell.group]
    image_set = next(iter(settings.values())).source
    begin(
        config, run, image_set.identity, [*splits.remarks(image_set), *undecidable_claims(config)]
    )
    run_grid(
        config,
        run,
        select=select_cells(config),
        final=final_cells(config),
        choose_rates=functools.partial(choose_rates, config, score=rate_score),
        setting_of=setting_of,
        story_of=lambda cell: story_of(setting_of(cell), cell.seed),
        draw=draw,
        unit="img",
    )


def init_network(key, *, model, shape: tuple[int, ...], own) -> tuple[dict, dict]:
    """(params, model_state) of a network, plain or residual as the group `model` of its config says."""
    params, model_state = image_classifier.init_model(key, model=model, shape=shape)
    return params, wire(
        model_state, skip=own.skip, plain_stages=own.plain_stages if own.name == "resnet" else ()
    )


def make_model(setting: Setting):
    """The Flax module of a network."""
    config, image_set = setting.config, setting.source
    return build(
        config.model,
        depth=config.model.depth,
        skip=config.model.skip,
        norm=config.model.norm,
        init_scheme=config.model.init,
        num_classes=len(image_set.class_names),
        mean=image_set.mean,
        std=image_set.std,
        dtype=config.compute_dtype,
    )


def make_story(setting: Setting, seed: int) -> Story:
    """What makes a run of one network."""
    model = make_model(setting)
    shape = setting.source.images.shape[1:]
    init_fn = functools.partial(init_network, model=model, shape=shape, own=setting.config.model)
    return image_runs.make_story(setting, model, model, init_fn, seed)
