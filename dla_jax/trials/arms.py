"""What a study compares: its arms, each resolved to a config of its own, and the runs they need."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from dla_jax.config.checks import (
    ConfigError,
    check,
    check_choice,
    check_distinct,
    check_seed,
    number,
)
from dla_jax.trials.halving import SELECTIONS


class Arm(NamedTuple):
    """One thing that is compared, resolved: a network, a recipe, a method, a depth of an arm."""

    name: str
    config: ConfigDict  # the study's config, with what this arm overrides
    seeds: tuple[int, ...]  # of its final runs
    rates: tuple[float, ...]  # learning rates to choose from; one: there is nothing to choose
    lender: str | None = None  # the arm at whose chosen rate it runs; None: it chooses its own
    cost: float = 0.0  # among arms of one study the dearest is trained first


class Trial(NamedTuple):
    """One run: `stage` is "select" (to choose a learning rate, on validation data) or "final"."""

    stage: str
    arm: str
    seed: int
    lr: float

    @property
    def name(self) -> str:
        """The name of the run in the record and among the checkpoints."""
        lr = f"lr{self.lr}-" if self.stage == "select" else ""
        return f"{self.stage}/{self.arm}/{lr}seed{self.seed}"


def kind_of(config) -> str:
    """Return the key under which a config holds what it compares: "networks" or "arms"."""
    return "arms" if "arms" in config else "networks"


def members(config) -> ConfigDict:
    """Return the overrides of everything that a config compares, by name."""
    return config[kind_of(config)]


def resolve(config) -> dict[str, Arm]:
    """Return the arms of a config that holds them as overrides of itself, by name."""
    arms = {}
    for name in members(config):
        own = own_config(config, name)
        rates = tuple(own.lrs) if own.optim.lr is None else (own.optim.lr,)
        arms[name] = Arm(name, own, tuple(own.seeds), rates, lender=lender_of(config, name))
    return arms


def own_config(config, name: str) -> ConfigDict:
    """Return the config that an arm is trained with: the study's, with what the arm overrides."""
    left_out = ("networks", "arms", "claims")
    own = ConfigDict({key: value for key, value in config.to_dict().items() if key not in left_out})
    for key, value in members(config)[name].to_dict().items():
        if key in ("model", "agent") and value.keys() >= {"name"}:
            own[key] = ConfigDict(value)  # another family has other keys
        elif isinstance(value, dict):
            own[key].update(value)
        else:
            own[key] = value
    return own


def lender_of(config, name: str) -> str | None:
    """Return the arm whose chosen learning rate an arm runs at, its `lr_of`; None without one."""
    return members(config)[name].get("lr_of")


def select_trials(arms: dict[str, Arm], seeds: tuple[int, ...]) -> list[Trial]:
    """Return the runs that choose a learning rate for each arm that has several to choose from."""
    open_ = [arm for arm in arms.values() if arm.lender is None and len(arm.rates) > 1]
    return [
        Trial("select", arm.name, seed, lr)
        for arm in dearest_first(open_)
        for lr in arm.rates
        for seed in seeds
    ]


def final_trials(arms: dict[str, Arm]) -> list[Trial]:
    """Return the runs that are compared, their learning rates still open.

    They are ordered seed by seed, so that what is compared runs side by side: the seconds of an
    epoch depend on what else a machine has to do.
    """
    seeds = dict.fromkeys(seed for arm in arms.values() for seed in arm.seeds)
    ordered = dearest_first(list(arms.values()))
    return [
        Trial("final", arm.name, seed, 0.0)
        for seed in seeds
        for arm in ordered
        if seed in arm.seeds
    ]


def dearest_first(arms: list[Arm]) -> list[Arm]:
    """Return arms in the order of their cost, so that no long run is left alone at the end."""
    return sorted(arms, key=lambda arm: -arm.cost)


def best_rate(rows: dict[float, list[dict]], score: Callable) -> float:
    """Return the rate whose runs score highest, of equals the first.

    Args:
      rows: {rate: last rows of its runs}.
      score: of `choose_rates`.
    """
    by_rate = {lr: score(found) for lr, found in rows.items()}
    return max(by_rate, key=by_rate.get)


def choose_rates(
    arms: dict[str, Arm],
    selected: list[Trial],
    done: dict[str, dict],
    score: Callable,
    pick: Callable = best_rate,
) -> dict[str, float]:
    """Return {arm: the learning rate of its final runs}.

    It is the rate that `pick` picks, the best of a full grid (of equals the smallest), the only one
    there is, or that of the arm's lender.

    Args:
      selected: the runs that choose.
      done: {name of a run: its last row}.
      score: the last rows of the runs at one rate -> a number or tuple, larger for a better rate.
      pick: ({rate: last rows of its runs}, rising; score) -> the chosen rate.
    """
    rates = {}
    for arm in arms.values():
        rows = {}
        for trial in sorted(selected, key=lambda trial: trial.lr):
            if trial.arm == arm.name:
                rows.setdefault(trial.lr, []).append(done[trial.name])
        rates[arm.name] = pick(rows, score) if rows else arm.rates[0]
    return {arm.name: rates[arm.lender or arm.name] for arm in arms.values()}


def mean_score(value: str, sign: float = 1.0) -> Callable:
    """Return a score for `choose_rates`: `sign` times the mean of a value of the last rows."""

    def score(rows: list[dict]) -> float:
        return sign * float(np.mean([row[value] for row in rows]))

    return score


def check_arms(config, check_own: Callable) -> None:
    """Raise ConfigError for arms, seeds and rates that make no comparison.

    Args:
      check_own: takes the config of an arm, and raises ConfigError where it does not suit the
        study.
    """
    kind = kind_of(config)
    check(len(members(config)) > 0, f"{kind} is empty; give at least one")
    for key in ("seeds", "select_seeds"):
        check_distinct(key, config[key], check_seed)
    if "selection" in config:
        check_choice("selection", config.selection, SELECTIONS)
    for name in members(config):
        own = own_config(config, name)
        check_one(config, name, functools.partial(check_lender, config, name))
        check_one(config, name, functools.partial(check_grid, config, own))
        check_one(config, name, functools.partial(check_own, own))


def check_one(config, name: str, check_it: Callable[[], None]) -> None:
    """Call `check_it`; when it raises ConfigError, let the message name the arm."""
    try:
        check_it()
    except ConfigError as error:
        raise ConfigError(f"{kind_of(config)}.{name}: {error}") from None


def check_lender(config, name: str) -> None:
    """Raise ConfigError for an arm that runs at the rate of none, or also brings its own rates."""
    lender, own = lender_of(config, name), members(config)[name]
    if lender is None:
        return
    lenders = [
        other for other in members(config) if other != name and lender_of(config, other) is None
    ]
    check_choice("lr_of", lender, tuple(lenders))
    check(
        "lrs" not in own and own.get("optim", {}).get("lr") is None,
        f"lr_of: it runs at the rate of {lender}; take out its own lrs and optim.lr",
    )


def check_grid(config, own) -> None:
    """Raise ConfigError for the learning rates and seeds of an arm."""
    check_distinct("lrs", own.lrs, number(above=0))
    check_distinct("seeds", own.seeds, check_seed)
    check_seeds_apart(config.select_seeds, own.seeds)


def check_one_rate(own) -> None:
    """Raise ConfigError for a model without training, whose every rate would give the same."""
    check(
        own.optim.lr is not None or len(own.lrs) == 1,
        f"lrs: {len(own.lrs)} rates, but {own.model.name} is fitted at once, without one; give one",
    )


def check_seeds_apart(select_seeds, seeds) -> None:
    """Raise ConfigError when a seed chooses a learning rate and is tested too."""
    shared = sorted(set(select_seeds) & set(seeds))
    check(
        not shared,
        f"select_seeds: {shared} are also seeds of final runs, which would choose on what they "
        "test; give others",
    )
