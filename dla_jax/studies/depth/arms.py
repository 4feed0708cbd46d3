"""The grid of the depth study: its arms, its cells, and the learning rate that each arm gets at each depth."""

import functools
import itertools
from typing import NamedTuple

from dla_jax.config.checks import (
    ConfigError,
    check,
    check_choice,
    check_count,
    check_distinct,
    check_number,
    check_seed,
)
from dla_jax.config.workdir import Run
from dla_jax.evidence import undecidable
from dla_jax.models.build import check_depth
from dla_jax.tasks import image_runs
from dla_jax.tasks.classifier import rate_score
from dla_jax.trials.grid import best_rates

STARTS = ("he", "torch_default", "dirac")
NORMS = {"batch": "batch", "no_norm": "none"}
NAMED_DEPTHS = ("reference", "deepest")  # that follow when `depths` changes
# What may follow the "+" in the name of an arm, by family of networks.
MODIFIERS = {
    "cnn": ("scaled", "shared_lr", *NORMS, *STARTS),
    "mlp": ("scaled", "shared_lr", *NORMS, *STARTS),
    "resnet": ("scaled", "shared_lr", *STARTS),
    "lab_a": ("shared_lr",),
    "lab_b": ("scaled", "shared_lr"),
}


class Arm(NamedTuple):
    """skip: h + a f(h), not f(h); scaled: a = 1/sqrt(depth - 1), not 1; shared_lr: the rate of the reference depth."""

    skip: bool
    scaled: bool
    norm: str | None
    init: str | None
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
        lr = f"lr{self.lr}-" if self.stage == "select" else ""
        return f"{self.stage}/{self.group}/{lr}seed{self.seed}"


def parse_arm(key: str, name: str) -> Arm:
    """`plain` or `residual`, then any of `+scaled`, `+batch` or `+no_norm`, `+he`, `+torch_default` or `+dirac`, `+shared_lr`.

    `both` is the arm of depth 1, where plain and residual are one net. What the name does not say is None.

    Raises:
      ConfigError: unknown base or modifier.
    """
    base, *modifiers = str(name).split("+")
    check_choice(key, base, ("plain", "residual", "both"))
    for modifier in modifiers:
        check_choice(f"{key}: {name}", modifier, ("scaled", "shared_lr", *NORMS, *STARTS))
        check(modifiers.count(modifier) == 1, f"{key}: {name} says {modifier!r} twice")
    starts, norms = (
        [modifier for modifier in modifiers if modifier in known] for known in (STARTS, NORMS)
    )
    check(len(starts) <= 1, f"{key}: {name} has two initialisations; give one")
    check(len(norms) <= 1, f"{key}: {name} is with and without norm; give one")
    norm, init = NORMS[norms[0]] if norms else None, starts[0] if starts else None
    return Arm(base == "residual", "scaled" in modifiers, norm, init, "shared_lr" in modifiers)


def arm_of(config, name: str) -> Arm:
    """The arm of that name, with the config's own norm and initialisation where the name says none."""
    arm = parse_arm("arm", name)
    return arm._replace(norm=arm.norm or config.model.norm, init=arm.init or config.model.init)


def check_arm(config, key: str, name: str) -> None:
    """Raises ConfigError for an arm that is not written well or that the family of networks does not have."""
    arm = parse_arm(key, name)
    check(
        not str(name).startswith("both"),
        f"{key}: {name} is what depth 1 is called; give plain or residual",
    )
    check(
        not arm.shared_lr or key == "side_arms",
        f"{key}: {name} has the learning rate of another arm; give it in side_arms",
    )
    allowed = MODIFIERS[config.model.name]
    for modifier in str(name).split("+")[1:]:
        check(
            modifier in allowed,
            f"{key}: {name}: {config.model.name} has no {modifier!r}; known: {', '.join(allowed)}",
        )
    base = str(name).replace("+shared_lr", "")
    check(not arm.shared_lr or base in config.arms, f"{key}: {name} needs {base} among arms")


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a config that this study cannot run, before anything slow; reads the data, and checks that last."""
    check_choice("model.name", config.model.name, tuple(MODIFIERS))
    image_runs.check_config(config, run)
    for key in ("seeds", "select_seeds"):
        check_distinct(key, config[key], check_seed)
    check_count("num_side_seeds", config.num_side_seeds)
    shared = sorted(set(config.select_seeds) & set(config.seeds))
    check(
        not shared,
        f"select_seeds: {shared} are also seeds of final runs, which would choose on what they test; give others",
    )
    depth = functools.partial(check_depth, config.model)
    check_distinct("depths", config.depths, depth)
    check(
        max(config.depths) > 1 or not merges_at_one(config),
        "depths: 1 alone leaves nothing to compare; give more, as in --config.depths=1,5,10",
    )
    check(
        config.reference_depth in (0, *config.depths),
        f"reference_depth: {config.reference_depth} is not among depths, {config.depths}; give one of them, or 0 for the "
        "smallest that has blocks",
    )
    check_distinct(
        "side_depths", config.side_depths, functools.partial(check_side_depth, config), empty=True
    )
    check(
        not config.side_arms or len(side_depths_of(config)) > 0,
        f"side_depths: none of {config.side_depths} is among depths, {config.depths}; give one of these",
    )
    check_distinct("lrs", config.lrs, functools.partial(check_number, above=0))
    arm = functools.partial(check_arm, config)
    check_distinct("arms", config.arms, arm)
    check_distinct("side_arms", config.side_arms, arm, empty=True)
    names = {}
    for name in (*config.arms, *config.side_arms):
        image_runs.check_norm(config, arm_of(config, name).norm)
        other = names.setdefault(arm_of(config, name), name)
        check(
            other == name and (name not in config.side_arms or name not in config.arms),
            f"side_arms: {name} is already among arms, as {other}; name each arm once",
        )
    for name, claim in config.claims.items():
        check_choice(f"claims.{name}.direction", claim.direction, (">", "<", "="))
        check_number(f"claims.{name}.margin", claim.margin, above=0)
        try:
            resolve(config, claim.contrasts)
        except (ValueError, TypeError, AttributeError):
            expected = "contrasts ((weight, 'arm-depth'), ...)"
            raise ConfigError(
                f"claims.{name}.contrasts: {claim.contrasts} are no {expected}; leave them as they are"
            ) from None
    image_runs.check_fit(config, image_runs.check_data(config, run))


def check_side_depth(config, key: str, given) -> None:
    """Raise ConfigError for a side depth that is no word and no depth of the family of networks."""
    if str(given) in NAMED_DEPTHS:
        return
    check(
        str(given).isdecimal(),
        f"{key}: {given!r} is neither a depth nor {' or '.join(NAMED_DEPTHS)}",
    )
    check_depth(config.model, key, int(given))
    check(
        int(given) > 1 or not merges_at_one(config),
        f"{key}: 1 has no blocks, so all arms are one net there",
    )


def reference_of(config) -> int:
    """Return the depth that the gain from depth is measured from: the configured one, or the smallest that has blocks."""
    blocks = [depth for depth in config.depths if depth > 1 or not merges_at_one(config)]
    return config.reference_depth or min(blocks or config.depths)


def side_depths_of(config) -> tuple[int, ...]:
    """Return the depths at which side arms run: those of `depths` that `side_depths` names, by number or word.

    Workdirs of before, which list their side seeds, ran them at all that are named.
    """
    named = {"reference": reference_of(config), "deepest": max(config.depths)}
    wanted = [
        named[str(given)] if str(given) in named else int(given) for given in config.side_depths
    ]
    return tuple(
        sorted(set(wanted) if "side_seeds" in config else set(wanted) & set(config.depths))
    )


def left_out_depths(config) -> list[str]:
    """Return a line where `side_depths` has depths that the study does not run."""
    absent = [
        str(given)
        for given in config.side_depths
        if str(given).isdecimal() and int(given) not in config.depths
    ]
    if not (absent and config.side_arms):
        return []
    return [
        f"side_depths: {', '.join(absent)} is not among depths; side arms run at {', '.join(map(str, side_depths_of(config)))}"
    ]


def side_seeds_of(config) -> tuple[int, ...]:
    """Return the seeds of side arms, paired with those of the main ones; workdirs of before list them."""
    return tuple(
        config.side_seeds if "side_seeds" in config else config.seeds[: config.num_side_seeds]
    )


def merges_at_one(config) -> bool:
    """Whether plain and residual are one net at depth 1, a stem and a head."""
    return config.model.name in ("cnn", "mlp")


def groups_of(config) -> list[tuple[str, int, tuple[int, ...]]]:
    """(arm, depth, seeds) of the study, deepest first; where depth 1 has no blocks, all arms are the one net `both` there."""
    one = 1 in config.depths and merges_at_one(config)
    groups = [
        (arm, depth, config.seeds)
        for arm in config.arms
        for depth in config.depths
        if depth > 1 or not one
    ]
    groups += [
        (arm, depth, side_seeds_of(config))
        for arm in config.side_arms
        for depth in side_depths_of(config)
        if not (parse_arm("arm", arm).shared_lr and depth == reference_of(config))
    ]
    groups += [("both", 1, config.seeds)] if one else []
    return sorted(groups, key=lambda group: -group[1])


def rates_to_try(config) -> tuple[float, ...]:
    """The learning rates of the grid; the one of `optim.lr` where that is given."""
    return tuple(config.lrs) if config.optim.lr is None else (config.optim.lr,)


def select_cells(config) -> list[Cell]:
    """The grid that chooses each arm's learning rate at each depth; empty when there is but one."""
    rates = rates_to_try(config)
    if len(rates) == 1:
        return []
    groups = [
        (arm, depth) for arm, depth, _ in groups_of(config) if not parse_arm("arm", arm).shared_lr
    ]
    return [
        Cell("select", arm, depth, seed, lr)
        for arm, depth in groups
        for lr in rates
        for seed in config.select_seeds
    ]


def final_cells(config) -> list[Cell]:
    """The runs that the claims are about, their learning rates still open."""
    return [
        Cell("final", arm, depth, seed, 0.0)
        for arm, depth, seeds in groups_of(config)
        for seed in seeds
    ]


def choose_rates(config, done: dict[str, dict]) -> dict[str, float]:
    """{group: the learning rate that does best on validation data}, or the only one there is."""
    cells, rates = select_cells(config), {}
    best = best_rates(cells, done, rate_score)
    for arm, depth, _ in groups_of(config):
        shared = parse_arm("arm", arm).shared_lr
        own = (
            f"{arm.replace('+shared_lr', '')}-{reference_of(config)}"
            if shared
            else f"{arm}-{depth}"
        )
        rates[f"{arm}-{depth}"] = best[own] if cells else rates_to_try(config)[0]
    return rates


def resolve(config, contrasts) -> list[tuple]:
    """The contrasts of a claim in terms of the study's own depths.

    "reference", "deepest" and "second", the first depth after the reference, stand for those depths; a contrast between "each"
    and "next" for one from every depth to the next. At depth 1, where all arms are one net, that is "both".
    """
    later = [depth for depth in config.depths if depth > reference_of(config)]
    named = {
        "deepest": max(config.depths),
        "reference": reference_of(config),
        "second": min(later, default="second"),
    }

    def group(arm, depth):
        merged = str(depth) == "1" and arm in config.arms and merges_at_one(config)
        return f"{'both' if merged else arm}-{depth}"

    found = []
    for terms in contrasts:
        parts = [(float(weight), *name.rpartition("-")[::2]) for weight, name in terms]
        each = any(depth == "next" for _, _, depth in parts)
        for here, following in (
            itertools.pairwise(sorted(config.depths)) if each else [(None, None)]
        ):
            depths = named | {"each": here, "next": following}
            found.append(
                tuple(
                    (weight, group(arm, depths.get(depth, depth))) for weight, arm, depth in parts
                )
            )
    return found


def undecidable_claims(config) -> list[str]:
    """Return a line for the screen where claims cannot be decided with these depths, arms and seeds."""
    claims = [
        {"contrasts": resolve(config, claim["contrasts"])}
        for claim in config.claims.to_dict().values()
    ]
    return undecidable.remarks(
        claims, {f"{arm}-{depth}": seeds for arm, depth, seeds in groups_of(config)}
    )
