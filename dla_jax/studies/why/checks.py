"""What the config of the study may say: errors of one line, before anything slow."""

import jax

from dla_jax.config.checks import (
    check,
    check_choice,
    check_count,
    check_distinct,
    check_rules,
    count,
    distinct,
    number,
)
from dla_jax.config.workdir import Launch
from dla_jax.models import own_network
from dla_jax.models.starts import SCALARS
from dla_jax.studies.architectures.study import ARCHITECTURES
from dla_jax.studies.image_networks import load
from dla_jax.studies.why import source
from dla_jax.trials.arms import own_config

RULES = {"num_images": count(low=2)}
GROUPS = {
    "lesions": {
        "num_counts": count(low=2),
        "num_draws": count(),
        "max_swaps": count(),
        "counts": distinct(count(low=0), empty=True),
    },
    "paths": {"num_routes": count(), "at_once": count()},
    "shattering": {
        "num_networks": count(),
        "width": count(),
        "points": count(low=3),
        "span": number(above=0),
        "longest_lag": count(),
    },
    "landscape": {
        "radius": number(above=0),
        "points": count(low=3),
        "cut_points": count(low=3),
        "chunk": count(),
    },
    "curvature": {
        "num_images": count(low=2),
        "num_products": count(),
        "num_probes": count(),
        "num_density_products": count(low=2),
    },
}


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for a config that this study cannot run, before anything slow."""
    check(jax.process_count() == 1, "--multihost: one process diagnoses networks; leave it out")
    check_rules(config, RULES)
    for group, rules in GROUPS.items():
        check_rules(config[group], rules, prefix=f"{group}.")
    check_grids(config)
    if launch.from_dir or "networks" not in config:
        check_source(config, launch)
        return
    for name in config.networks:
        model = own_config(config, name).model
        own_network.refuse(f"networks.{name}", model, "this study deletes the blocks of a net")
    ARCHITECTURES.check(config, launch)
    check_rules(config, {"probe_every_steps": count()})
    for key in ("diagnosed", "shattered"):
        for name in config[key]:
            check_choice(key, name, tuple(config.networks))
    for name in config.shattered:
        init = own_config(config, name).model.init
        check(
            init not in SCALARS,
            f"shattered: {name} starts with branches of 0 ({init}), whose gradient is that of one "
            "layer; leave it out",
        )
    for name in (*config.pair, *config.diagnosed):
        own = own_config(config, name).model.to_dict()
        source.check_blocks(f"networks.{name}", own)
        source.check_counts(name, own, config.lesions.counts)
    check_twins(config)


def check_twins(config) -> None:
    """Raise ConfigError unless the pair is a plain net and a residual one, else alike."""
    models = tuple(own_config(config, name).model.to_dict() for name in config.pair)
    source.check_models(tuple(config.pair), models)
    for name in config.pair:
        check(name in config.diagnosed, f"diagnosed: {name} of the pair is missing; add it")


def check_grids(config) -> None:
    """Raise ConfigError for grids without a middle, or lags and swaps beyond them."""
    for key in ("points", "cut_points"):
        points = config.landscape[key]
        check(
            points % 2 == 1,
            f"landscape.{key}: {points} has no point in the middle, where the trained network is; "
            f"give an odd number, as {points + 1}",
        )
    own = config.shattering
    check_distinct("shattering.depths", own.depths, check_deep)
    check(
        own.longest_lag < own.points,
        f"shattering.longest_lag: {own.longest_lag} on a grid of {own.points} points; "
        f"give at most {own.points - 1}",
    )
    check(
        0 < own.lag <= own.longest_lag,
        f"shattering.lag: {own.lag} is compared; give 1 to longest_lag, {own.longest_lag}",
    )


def check_deep(key: str, depth: int) -> None:
    """Raise ConfigError for a depth without a block."""
    check_count(key, depth)
    check(depth > 1, f"{key}: {depth} has no blocks; give at least 2")


def check_source(config, launch: Launch) -> None:
    """Raise ConfigError for a workdir whose networks cannot be diagnosed."""
    check(
        launch.from_dir is not None,
        "--from is missing; give the workdir of a finished depth study, as in --from=runs/try1, or "
        "take a preset that trains the networks first, as in configs/why.py:digits",
    )
    check(
        "networks" not in config,
        "--from: this preset trains its own networks; leave it out, or take "
        "--config=configs/why.py --from=WORKDIR, which reads them",
    )
    twins = source.read_twins(launch.from_dir, tuple(config.pair))
    for name, model in zip(twins.names, twins.models, strict=True):
        source.check_counts(name, model, config.lesions.counts)
    load(launch.from_dir, launch)
