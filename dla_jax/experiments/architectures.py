"""Which of several networks is best on one image set, by how much, and what does each cost?

Every network of the config is the config itself with its own overrides. Each first gets its own learning rate, unless
it brings one; then networks x seeds, paired by seed. Then the claims of the config get their verdicts.
"""

import functools
from collections.abc import Callable

from dla_jax import classify
from dla_jax.config import ConfigError, Run, check, check_choice, check_distinct, check_number, check_seed
from dla_jax.experiments import image_runs
from dla_jax.experiments.architectures_grid import choose_rates, final_cells, own_config, select_cells
from dla_jax.experiments.architectures_report import draw as draw  # launch.py calls it for a workdir alone
from dla_jax.experiments.image_grid import run_grid
from dla_jax.mesh import data_mesh
from dla_jax.models.build import build, check_depth, wire
from dla_jax.models.resnet import stages_of


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a config that this study cannot run, before anything slow; reads the data, and checks that last."""
    check(len(config.networks) > 0, "networks is empty; give at least one")
    for network in config.pair:
        check_choice("pair", network, tuple(config.networks))
    check(len(config.pair) in (0, 2), f"pair: {config.pair} has {len(config.pair)} networks; give two, or none")
    for key in ("seeds", "select_seeds"):
        check_distinct(key, config[key], check_seed)
    for network in config.networks:
        own = own_config(config, network)
        try:
            image_runs.check_config(own, run)
            check_depth(own.model, "model.depth", own.model.depth)
            if own.model.name == "resnet":
                stages = len(stages_of(own.model.depth, own.model.bottleneck)[0])
                one = lambda key, stage: check(stage in range(1, stages + 1), f"{key}: there is no stage {stage}; 1 to {stages}")  # noqa: E731, B023
                check_distinct("model.plain_stages", own.model.plain_stages, one, empty=True)
            check_distinct("lrs", own.lrs, functools.partial(check_number, above=0))
            check_distinct("seeds", own.seeds, check_seed)
            shared = sorted(set(config.select_seeds) & set(own.seeds))
            check(not shared, f"select_seeds: {shared} are also seeds of final runs, which would choose on what they test; "
                  "give others")  # fmt: skip
        except ConfigError as error:
            raise ConfigError(f"networks.{network}: {error}") from None
    image_set = image_runs.check_data(config, run)
    for network in config.networks:
        image_runs.check_fit(own_config(config, network), image_set)


def run(config, run: Run) -> None:
    """Runs the study, or what is left of it, in `run.workdir`, and draws its report."""
    image_set, mesh = image_runs.load(config, run), data_mesh()
    data = image_runs.put_data(image_set, mesh)
    settings = {name: image_runs.prepare(own_config(config, name), image_set, data, mesh) for name in config.networks}
    run_networks(config, run, settings, run_arguments, draw)


def run_networks(config, run: Run, settings: dict[str, image_runs.Setting], arguments_of: Callable, draw: Callable) -> None:
    """Trains every network of `settings` with every seed, each at its own learning rate. `arguments_of`: (setting, seed) ->
    the functions and data of a run."""
    setting_of = lambda cell: settings[cell.group]  # noqa: E731
    run_grid(
        config, run, next(iter(settings.values())).image_set, select=select_cells(config), final=final_cells(config),
        choose_rates=functools.partial(choose_rates, config), setting_of=setting_of,
        arguments_of=lambda cell: arguments_of(setting_of(cell), cell.seed), draw=draw,
    )  # fmt: skip


def init_network(key, *, model, shape: tuple[int, ...], own) -> tuple[dict, dict]:
    """(params, model_state) of a network, plain or residual as the group `model` of its config says."""
    params, model_state = classify.init_model(key, model=model, shape=shape)
    return params, wire(model_state, skip=own.skip, plain_stages=own.plain_stages if own.name == "resnet" else ())


def make_model(setting: image_runs.Setting):
    """The Flax module of a network."""
    config, image_set = setting.config, setting.image_set
    return build(
        config.model, depth=config.model.depth, skip=config.model.skip, norm=config.model.norm, init_scheme=config.model.init,
        num_classes=len(image_set.class_names), mean=image_set.mean, std=image_set.std, dtype=config.compute_dtype,
    )  # fmt: skip


def run_arguments(setting: image_runs.Setting, seed: int) -> dict:
    """The functions and data of a run of one network, as `train.fit` takes them."""
    model = make_model(setting)
    shape = setting.image_set.images.shape[1:]
    init_fn = functools.partial(init_network, model=model, shape=shape, own=setting.config.model)
    return image_runs.run_arguments(setting, model, model, init_fn, seed)
