"""The grid of the depth study: its arms, its cells, and the learning rate that each arm gets at each depth."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from dla_jax import optim
from dla_jax.config import Run, check, check_choice, check_count, check_distinct, check_number
from dla_jax.data import images

MODELS = ("cnn", "mlp")
DTYPES = ("float32", "bfloat16")
MODIFIERS = ("scaled", "batch", "torch_default", "dirac", "shared_lr")


class Arm(NamedTuple):
    """skip: h + a f(h), not f(h); scaled: a = 1/sqrt(depth - 1), not 1; shared_lr: the rate of the reference depth."""

    skip: bool
    scaled: bool
    norm: str
    init: str
    shared_lr: bool


class Cell(NamedTuple):
    """One run: `stage` is "select" (learning rates, on validation) or "final"."""

    stage: str
    arm: str
    depth: int
    seed: int
    lr: float

    @property
    def group(self) -> str:
        return f"{self.arm}-{self.depth}"

    @property
    def name(self) -> str:
        lr = f"lr{self.lr:g}-" if self.stage == "select" else ""
        return f"{self.stage}/{self.group}/{lr}seed{self.seed}"


def parse_arm(key: str, name: str) -> Arm:
    """`plain` or `residual`, then any of `+scaled`, `+batch` (norm), `+torch_default`, `+dirac` (init), `+shared_lr`.

    `both` is the arm of depth 1, where plain and residual are one net.

    Raises:
      ConfigError: unknown base or modifier.
    """
    base, *modifiers = str(name).split("+")
    check_choice(key, base, ("plain", "residual", "both"))
    for modifier in modifiers:
        check_choice(f"{key}: {name}", modifier, MODIFIERS)
        check(modifiers.count(modifier) == 1, f"{key}: {name} says {modifier!r} twice")
    check(not {"torch_default", "dirac"} <= set(modifiers), f"{key}: {name} has two initialisations; give one")
    init = next((modifier for modifier in modifiers if modifier in ("torch_default", "dirac")), "he")
    norm = "batch" if "batch" in modifiers else "none"
    return Arm(base == "residual", "scaled" in modifiers, norm, init, "shared_lr" in modifiers)


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a config that this study cannot run, before anything slow."""
    check(run.from_dir is None, "--from: this study trains its own nets; leave it out")
    check_choice("data.name", config.data.name, images.DATASETS)
    for key in ("val_fraction", "test_fraction"):
        check_number(f"data.{key}", config.data[key], above=0, below=0.5)
    check_count("data.pad", config.data.pad, low=0)
    check_choice("model.name", config.model.name, MODELS)
    check_count("model.width", config.model.width)
    if config.model.name == "cnn":
        check_count("model.pools", config.model.pools, low=0)
    check_choice("compute_dtype", config.compute_dtype, DTYPES)
    optim.check_optim(config.optim)
    check_count("num_epochs", config.num_epochs)
    check_count("batch_size", config.batch_size)
    check(config.batch_size % jax.device_count() == 0,
          f"batch_size: {config.batch_size} is not divisible by {jax.device_count()} devices")  # fmt: skip
    check_count("eval_every_epochs", config.eval_every_epochs)
    check_count("steps_per_call", config.steps_per_call)
    for key in ("log_every_steps", "checkpoint_every_steps", "patience", "cells_at_a_time"):
        check_count(key, config[key], low=0)
    seed = functools.partial(check_count, low=0)
    for key in ("seeds", "side_seeds", "select_seeds", "side_select_seeds"):
        check_distinct(key, config[key], seed)
    for key in ("select_seeds", "side_select_seeds"):
        shared = sorted(set(config[key]) & {*config.seeds, *config.side_seeds})
        check(not shared, f"{key}: {shared} are also seeds of final runs, which would choose on what they test; give others")
    check_distinct("depths", config.depths, check_count)
    check(max(config.depths) > 1, "depths: 1 alone leaves nothing to compare; give more, as in --config.depths=1,5,10")
    check_distinct("side_depths", config.side_depths, functools.partial(check_count, low=2), empty=True)
    check_count("reference_depth", config.reference_depth, low=2)
    check_distinct("lrs", config.lrs, functools.partial(check_number, above=0))
    check_distinct("arms", config.arms, parse_arm)
    check_distinct("side_arms", config.side_arms, parse_arm, empty=True)
    both = sorted(set(config.arms) & set(config.side_arms))
    check(not both, f"side_arms: {', '.join(both)} already among arms; name each arm once")
    for arm in (*config.arms, *config.side_arms):
        base = arm.replace("+shared_lr", "")
        check("+shared_lr" not in arm or (base in config.arms and config.reference_depth in config.depths),
              f"arm {arm}: needs {base} among arms and {config.reference_depth} among depths")  # fmt: skip
    for name, claim in config.claims.items():
        check_choice(f"claims.{name}.direction", claim.direction, (">", "<"))
        check_number(f"claims.{name}.margin", claim.margin, above=0)
    check_data(config, images.load(config.data.name))


def check_data(config, image_set: images.ImageSet) -> None:
    """Raises ConfigError for what the data does not allow: the split, the batch, the pooling."""
    train = images.split(image_set.labels, config.seeds[0], config.data.val_fraction, config.data.test_fraction)["train"]
    check(
        config.batch_size <= len(train),
        f"batch_size: {config.batch_size} is larger than the training part of {image_set.name}, {len(train)} examples",
    )
    side = min(image_set.images.shape[1:3])
    if config.model.name == "cnn":
        check(
            side >> config.model.pools > 0,
            f"model.pools: {config.model.pools} halvings leave nothing of {side} pixels; at most {side.bit_length() - 1}",
        )


def groups_of(config) -> list[tuple[str, int, tuple[int, ...]]]:
    """(arm, depth, seeds) of the study, deepest first; at depth 1 all arms are the one net `both`."""
    groups = [(arm, depth, config.seeds) for arm in config.arms for depth in config.depths if depth > 1]
    groups += [(arm, depth, config.side_seeds) for arm in config.side_arms for depth in config.side_depths
               if not (parse_arm("arm", arm).shared_lr and depth == config.reference_depth)]  # fmt: skip
    groups += [("both", 1, config.seeds)] if 1 in config.depths else []
    return sorted(groups, key=lambda group: -group[1])


def rates_to_try(config) -> tuple[float, ...]:
    """The learning rates of the grid; the one of `optim.lr` where that is given."""
    return tuple(config.lrs) if config.optim.lr is None else (config.optim.lr,)


def select_cells(config) -> list[Cell]:
    """The grid that chooses each arm's learning rate at each depth; empty when there is but one."""
    rates = rates_to_try(config)
    if len(rates) == 1:
        return []
    groups = [(arm, depth) for arm, depth, _ in groups_of(config) if not parse_arm("arm", arm).shared_lr]
    seeds = lambda arm: config.side_select_seeds if arm in config.side_arms else config.select_seeds  # noqa: E731
    return [Cell("select", arm, depth, seed, lr) for arm, depth in groups for lr in rates for seed in seeds(arm)]


def final_cells(config, rates: dict[str, float]) -> list[Cell]:
    """The runs that the claims are about. `rates`: group -> learning rate."""

    def rate(arm, depth):
        shared = parse_arm("arm", arm).shared_lr
        return rates[f"{arm.replace('+shared_lr', '')}-{config.reference_depth}" if shared else f"{arm}-{depth}"]

    return [Cell("final", arm, depth, seed, rate(arm, depth)) for arm, depth, seeds in groups_of(config) for seed in seeds]


def choose_rates(config, done: dict[str, dict]) -> dict[str, float]:
    """{group: the learning rate of highest mean validation accuracy}; of equals the one of lowest loss, then the smallest."""
    rates, tried, cells = {}, sorted(rates_to_try(config)), select_cells(config)
    if not cells:
        return {f"{arm}-{depth}": tried[0] for arm, depth, _ in groups_of(config)}
    for group in dict.fromkeys(cell.group for cell in cells):
        rows = {lr: [done[cell.name] for cell in cells if cell.group == group and cell.lr == lr] for lr in tried}
        mean = lambda lr, key: float(np.mean([np.inf if row[key] is None else row[key] for row in rows[lr]]))  # noqa: E731, B023
        rates[group] = max(tried, key=lambda lr: (mean(lr, "val_accuracy"), -mean(lr, "val_loss")))
    return rates
