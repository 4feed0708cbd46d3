"""The runs of a comparison of networks, or of other arms, and the learning rate that each gets."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from ml_collections import ConfigDict

from dla_jax.config.checks import (
    ConfigError,
    check,
    check_choice,
    check_distinct,
    check_number,
    check_seed,
)
from dla_jax.evidence import undecidable
from dla_jax.trials.grid import best_rates


class Cell(NamedTuple):
    """One run: `stage` is "select" (learning rates, on validation) or "final"; the group is the network."""

    stage: str
    group: str
    seed: int
    lr: float

    @property
    def name(self) -> str:
        lr = f"lr{self.lr}-" if self.stage == "select" else ""
        return f"{self.stage}/{self.group}/{lr}seed{self.seed}"


def kind_of(config) -> str:
    """The key under which a config has what it compares: networks, or other arms."""
    return "arms" if "arms" in config else "networks"


def members(config) -> ConfigDict:
    """What is compared, by name."""
    return config[kind_of(config)]


def check_networks(config, check_own: Callable) -> None:
    """Raises ConfigError for networks, seeds and rates that make no comparison, or as `check_own` does for a network's config."""
    kind = kind_of(config)
    check(len(members(config)) > 0, f"{kind} is empty; give at least one")
    for key in ("seeds", "select_seeds"):
        check_distinct(key, config[key], check_seed)
    for network in members(config):
        check_network(network, check_lender, config, network, kind=kind)
        check_network(network, check_grid, config, own_config(config, network), kind=kind)
        check_network(network, check_own, own_config(config, network), kind=kind)


def check_network(network: str, work: Callable, *arguments, kind: str = "networks") -> None:
    """`work(*arguments)`, whose ConfigError then names the network."""
    try:
        work(*arguments)
    except ConfigError as error:
        raise ConfigError(f"{kind}.{network}: {error}") from None


def lender_of(config, network: str) -> str | None:
    """The network whose chosen learning rate a network runs at, its `lr_of`; None where it has a rate of its own."""
    return members(config)[network].get("lr_of")


def check_lender(config, network: str) -> None:
    """Raises ConfigError for a network that runs at the rate of none, or besides brings rates of its own."""
    lender, own = lender_of(config, network), members(config)[network]
    if lender is None:
        return
    lenders = [
        other for other in members(config) if other != network and lender_of(config, other) is None
    ]
    check_choice("lr_of", lender, tuple(lenders))
    check(
        "lrs" not in own and own.get("optim", {}).get("lr") is None,
        f"lr_of: it runs at the rate of {lender}; take out its own lrs and optim.lr",
    )


def check_grid(config, own) -> None:
    """Raises ConfigError for the rates and seeds of a network."""
    check_distinct("lrs", own.lrs, functools.partial(check_number, above=0))
    check_distinct("seeds", own.seeds, check_seed)
    shared = sorted(set(config.select_seeds) & set(own.seeds))
    check(
        not shared,
        f"select_seeds: {shared} are also seeds of final runs, which would choose on what they test; give others",
    )


def own_config(config, network: str) -> ConfigDict:
    """The config that a network is trained with: the study's, with what the network overrides."""
    own = ConfigDict(
        {
            key: value
            for key, value in config.to_dict().items()
            if key not in ("networks", "arms", "claims")
        }
    )
    for key, value in members(config)[network].to_dict().items():
        if key in ("model", "agent") and value.keys() >= {"name"}:
            own[key] = ConfigDict(value)  # another family has other keys
        elif isinstance(value, dict):
            own[key].update(value)
        else:
            own[key] = value
    return own


def undecidable_claims(config) -> list[str]:
    """Return a line for the screen where claims cannot be decided with these networks and seeds."""
    return undecidable.remarks(
        config.claims.to_dict().values(), {name: seeds_of(config, name) for name in members(config)}
    )


def select_cells(config) -> list[Cell]:
    """The grid that chooses the learning rate of each network that neither brings nor borrows one; empty where there is but one
    rate."""
    owns = {
        network: own_config(config, network)
        for network in members(config)
        if lender_of(config, network) is None
    }
    open_ = {
        network: own.lrs
        for network, own in owns.items()
        if own.optim.lr is None and len(own.lrs) > 1
    }
    return [
        Cell("select", network, seed, lr)
        for network, lrs in open_.items()
        for lr in lrs
        for seed in config.select_seeds
    ]


def seeds_of(config, network: str) -> tuple[int, ...]:
    """The seeds that a network is trained with."""
    return tuple(own_config(config, network).seeds)


def final_cells(config) -> list[Cell]:
    """The runs that the claims are about, their learning rates still open.

    Seed by seed, so that what is compared runs side by side: seconds of an epoch depend on what else a machine has to do.
    """
    seeds = {network: seeds_of(config, network) for network in members(config)}
    order = dict.fromkeys(seed for found in seeds.values() for seed in found)
    return [
        Cell("final", network, seed, 0.0)
        for seed in order
        for network in members(config)
        if seed in seeds[network]
    ]


def choose_rates(config, done: dict[str, dict], score: Callable) -> dict[str, float]:
    """{network: the learning rate that it brings, else the one that scores best on validation data, or the only one; or that of
    the network that its `lr_of` names}."""
    owns = {network: own_config(config, network) for network in members(config)}
    rates = {network: own.optim.lr or own.lrs[0] for network, own in owns.items()}
    rates |= best_rates(select_cells(config), done, score)
    return {network: rates[lender_of(config, network) or network] for network in rates}
