"""The twins of a finished study: a plain net and a residual one that differ in nothing else."""

from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from dla_jax.config.checks import check, check_choice
from dla_jax.config.elsewhere import is_own
from dla_jax.config.written import read_config
from dla_jax.models import own_network
from dla_jax.models.resnet import stages_of
from dla_jax.studies import find, with_like
from dla_jax.studies.image_networks import fingerprint
from dla_jax.trials.arms import Arm
from dla_jax.trials.finished import IMAGES, finished_runs

ROLES = ("plain", "residual")
MOST_BLOCKS = 1029  # 2^1029 is the last sum of binomials whose terms are float64


class Twins(NamedTuple):
    """The two networks of a finished study."""

    names: tuple[str, str]  # of the plain and the residual one, as their report has them
    models: tuple[dict, dict]  # their groups `model`
    seeds: tuple[int, ...]  # that both have a trained network of
    rows: dict[tuple[str, int], dict]  # {(role, seed): the last row of a run}
    left_out: tuple[int, ...]  # seeds of which one of them diverged


def read_twins(workdir: Path, pair: tuple[str, ...]) -> Twins:
    """Return the twins of a workdir.

    Args:
      pair: names of the plain and the residual network; empty: the deepest twins there are.

    Raises:
      ConfigError: the workdir holds no such twins.
    """
    rows = finished_runs(workdir, "", with_like(IMAGES, workdir), "classifier of images")
    written = read_config(workdir)
    config = ConfigDict(written["config"])
    arms = find(config.experiment).arms(config, written["data"])
    for name in pair:
        check_choice("pair", name, tuple(arms))
    names = tuple(pair) or deepest_twins(arms, workdir)
    models = tuple(arms[name].config.model.to_dict() for name in names)
    check_models(names, models)
    trained = [{row["seed"]: row for row in rows if row["group"] == name} for name in names]
    seeds = tuple(sorted(trained[0].keys() & trained[1].keys()))
    check(
        len(seeds) > 0,
        f"--from: {' and '.join(names)} of {workdir} have no seed in common that did not diverge; "
        "choose others with --config.pair=PLAIN,RESIDUAL",
    )
    found = {
        (role, seed): own[seed] for role, own in zip(ROLES, trained, strict=True) for seed in seeds
    }
    asked = set(arms[names[0]].seeds) & set(arms[names[1]].seeds)
    return Twins(names, models, seeds, found, tuple(sorted(asked - set(seeds))))


def deepest_twins(arms: dict[str, Arm], workdir: Path) -> tuple[str, str]:
    """Return the names of the deepest plain network with a residual one beside it.

    Raises:
      ConfigError: there are none.
    """

    ours = [name for name in arms if not is_own(arms[name].config.model.name)]
    twins = [
        (plain, residual)
        for plain in ours
        for residual in ours
        if not arms[plain].config.model.skip
        and arms[residual].config.model.skip
        and alike(arms[plain].config.model.to_dict(), arms[residual].config.model.to_dict())
        and arms[plain].config.model.depth > 1
    ]
    check(
        len(twins) > 0,
        f"--from: {workdir} has no twins, a plain net and a residual one that are else alike; "
        f"it has {', '.join(arms)}; give a depth study of both, or two of its networks with "
        "--config.pair=PLAIN,RESIDUAL",
    )
    return max(twins, key=lambda pair: arms[pair[0]].config.model.depth)


def alike(plain: dict, residual: dict) -> bool:
    """Tell whether two groups `model` differ at most in the skip, and how branches are scaled."""
    wiring = {"skip": None, "scaled": None}
    return plain | wiring == residual | wiring


def check_models(names: tuple[str, ...], models: tuple[dict, ...]) -> None:
    """Raise ConfigError for two networks that are no plain and residual net with blocks."""
    check(len(names) == 2, f"pair: {', '.join(names)}; give a plain and a residual network")
    for name, model in zip(names, models, strict=True):
        own_network.refuse(f"pair: {name}", model, "this study deletes the blocks of a net")
    for name, model, skip in zip(names, models, (False, True), strict=True):
        kind = "residual" if skip else "plain"
        check(
            model["skip"] == skip,
            f"pair: {name} is not {kind}; give the plain network first, then the residual one",
        )
        check_blocks(f"pair: {name}", model)
    check(
        alike(*models),
        f"pair: {' and '.join(names)} differ in more than the skip; give twins",
    )


def check_blocks(key: str, model: dict) -> None:
    """Raise ConfigError for a network that has no blocks, or none that can be deleted.

    Args:
      model: its group `model`.
    """
    check(
        model["name"] in ("cnn", "mlp", "resnet") and model["depth"] > 1,
        f"{key} is a {model['name']} of depth {model['depth']}, which has no blocks to delete; "
        "give a cnn, an mlp or a resnet of depth 2 or more",
    )
    check(
        len(model.get("plain_stages", ())) == 0,
        f"{key} has stages without skips, so that most paths are none; give one with "
        "plain_stages=()",
    )
    check(
        blocks_of(model) <= MOST_BLOCKS,
        f"{key} has {blocks_of(model)} blocks, and so more paths than can be counted; give at most "
        f"{MOST_BLOCKS}",
    )
    check(
        model.get("shortcut", True) and not model.get("projection", False),
        f"{key} has no shortcuts without parameters, and so no twin; give a resnet with "
        "shortcut=True and projection=False",
    )


def blocks_of(model: dict) -> int:
    """Return the number of blocks of a network that has some, by its group `model`."""
    if model["name"] == "resnet":
        return sum(stages_of(model["depth"], model["bottleneck"])[0])
    return model["depth"] - 1


def check_counts(key: str, model: dict, counts: tuple[int, ...]) -> None:
    """Raise ConfigError for more blocks to delete than a network has.

    Args:
      model: its group `model`.
    """
    blocks = blocks_of(model)
    for count in counts:
        check(
            count <= blocks,
            f"lesions.counts: {count} blocks to delete, and {key} has {blocks}; give 0 to {blocks}",
        )


def identity(workdir: Path, twins: Twins) -> dict:
    """Return what a workdir remembers of the networks that it looks at, and of their images."""
    data = read_config(workdir)["data"]
    return data | {
        "networks": dict(zip(ROLES, twins.names, strict=True)),
        "models": dict(zip(ROLES, twins.models, strict=True)),
        "seeds": list(twins.seeds),
        "fingerprint_of_networks": fingerprint(list(twins.rows.values())),
    }


def arms_of(config, data: dict) -> dict[str, Arm]:
    """Return the twins as arms: "plain" and "residual", with nothing to choose.

    Args:
      data: the `identity` of the networks.
    """
    arms = {}
    for role, model in data["models"].items():
        own = ConfigDict(config.to_dict() | {"model": model})
        arms[role] = Arm(role, own, tuple(data["seeds"]), rates=(0.0,))
    return arms
