"""Which of several networks is best on one image set, by how much, and what does each cost?

Every network of the config is the config itself with its own overrides. Each first gets its own learning rate, unless
it brings one; then networks x seeds, paired by seed. Then the claims of the config get their verdicts.
"""

import functools
import sys
import time

from dla_jax import classify
from dla_jax import config as configs
from dla_jax.cells import at_a_time, run_all
from dla_jax.config import ConfigError, Run, check, check_distinct, check_number, check_seed
from dla_jax.experiments import image_runs
from dla_jax.experiments.architectures_grid import Cell, final_cells, own_config, select_cells
from dla_jax.experiments.architectures_report import draw as draw  # launch.py calls it for a workdir alone
from dla_jax.logs import Record, progress_line
from dla_jax.mesh import data_mesh, describe_devices
from dla_jax.models.build import build, check_depth


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a config that this study cannot run, before anything slow; reads the data, and checks that last."""
    check(len(config.networks) > 0, "networks is empty; give at least one")
    for key in ("seeds", "select_seeds"):
        check_distinct(key, config[key], check_seed)
    shared = sorted(set(config.select_seeds) & set(config.seeds))
    check(not shared, f"select_seeds: {shared} are also seeds of final runs, which would choose on what they test; give others")
    check_distinct("lrs", config.lrs, functools.partial(check_number, above=0))
    for network in config.networks:
        own = own_config(config, network)
        try:
            image_runs.check_config(own, run)
            check_depth(own.model, "model.depth", own.model.depth)
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
    if run.first:
        configs.write_config(run.workdir, config.to_dict(), describe_devices(), image_set.identity)
    record, workers = Record(run.workdir, run.first), at_a_time(config.cells_at_a_time)
    select, images_of = select_cells(config), {name: s.plan.num_steps * s.config.batch_size for name, s in settings.items()}
    final = [Cell("final", network, seed, 0.0) for network in config.networks for seed in config.seeds]
    done = f", {len(record.done)} of them done before" if record.done else ""
    print(f"{len(select + final)} runs: {len(select)} choose learning rates, {len(final)} are compared{done}", file=sys.stderr)
    if len(record.done) < len(select + final):
        compile_programs(settings, config.seeds[0], workers)
        with progress_line(sum(images_of[cell.group] for cell in select + final), run.quiet, "img") as progress:
            progress.update(sum(images_of[cell.group] for cell in select + final if cell.name in record.done))

            def train(cell):
                setting = settings[cell.group]
                image_runs.train_run(setting, run_arguments(setting, cell.seed), cell.name, cell._asdict(), seed=cell.seed,
                                     lr=cell.lr, compared=cell.stage == "final", workdir=run.workdir, record=record,
                                     progress=progress)  # fmt: skip

            def train_all(cells):
                run_all(train, [cell for cell in cells if cell.name not in record.done], workers)

            train_all(select)
            train_all(final_cells(config, record.done))
    else:
        print("the study is finished; drawing its report again", file=sys.stderr)
    record.close()
    if run.first:
        draw(run.workdir)


def run_arguments(setting: image_runs.Setting, seed: int) -> dict:
    """The functions and data of a run of one network, as `train.fit` takes them."""
    config, image_set = setting.config, setting.image_set
    model = build(
        config.model, depth=config.model.depth, skip=True, norm=config.model.norm, init_scheme=config.model.init,
        num_classes=len(image_set.class_names), mean=image_set.mean, std=image_set.std, dtype=config.compute_dtype,
    )  # fmt: skip
    init_fn = functools.partial(classify.init_model, model=model, shape=image_set.images.shape[1:])
    return image_runs.run_arguments(setting, model, model, init_fn, seed)


def compile_programs(settings: dict, seed: int, workers: int) -> None:
    """Compiles each network's programs, side by side."""
    started = time.perf_counter()
    run_all(lambda s: image_runs.compile_program(s, run_arguments(s, seed), seed), settings.values(), workers)
    print(f"{len(settings)} programs compiled in {time.perf_counter() - started:.0f} s", file=sys.stderr)
