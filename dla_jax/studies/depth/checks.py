"""What the config of a depth study may say: errors of one line, before anything is trained."""

import functools

from dla_jax.config.checks import (
    ConfigError,
    check,
    check_choice,
    check_distinct,
    check_number,
    check_rules,
    choice,
    count,
    distinct,
    number,
    seed,
)
from dla_jax.config.workdir import Launch
from dla_jax.models import own_network
from dla_jax.models.build import check_depth, check_even, check_start
from dla_jax.studies.depth.arms import (
    NAMED_DEPTHS,
    NORMS,
    STARTS,
    kind_of,
    merges_at_one,
    parse_kind,
    resolve_contrasts,
    side_depths_of,
)
from dla_jax.tasks import image_data, image_task
from dla_jax.trials.arms import check_seeds_apart
from dla_jax.trials.halving import SELECTIONS

# What may follow the "+" in the name of an arm, by family of networks.
MODIFIERS = {
    "cnn": ("scaled", "shared_lr", *NORMS, *STARTS),
    "mlp": ("scaled", "shared_lr", *NORMS, *STARTS),
    "resnet": ("scaled", "shared_lr", *NORMS, *STARTS),
    "lab_a": ("shared_lr",),
    "lab_b": ("scaled", "shared_lr"),
}
RULES = {
    "seeds": distinct(seed()),
    "select_seeds": distinct(seed()),
    "num_side_seeds": count(),
    "lrs": distinct(number(above=0)),
    "selection": choice(SELECTIONS),
}


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for a config that this study cannot run, before anything slow.

    It reads the data, and checks that last.
    """
    own_network.refuse("model.name", config.model, "this study builds nets of several depths")
    check_choice("model.name", config.model.name, tuple(MODIFIERS))
    image_task.check_config(config, launch)
    check_rules(config, RULES)
    check_seeds_apart(config.select_seeds, config.seeds)
    check_depths(config)
    check_arms(config)
    for name in config.claims:
        check_claim(config, name)
    image_data.check_fit(config, image_data.check_data(config, launch))


def check_depths(config) -> None:
    """Raise ConfigError for depths that the networks do not have, or that compare nothing."""
    check_distinct("depths", config.depths, functools.partial(check_depth, config.model))
    check(
        max(config.depths) > 1 or not merges_at_one(config),
        "depths: 1 alone leaves nothing to compare; give more, as in --config.depths=1,5,10",
    )
    check(
        config.reference_depth in (0, *config.depths),
        f"reference_depth: {config.reference_depth} is not among depths, {config.depths}; give one "
        "of them, or 0 for the smallest that has blocks",
    )
    side_depth = functools.partial(check_side_depth, config)
    check_distinct("side_depths", config.side_depths, side_depth, empty=True)
    check(
        not config.side_arms or len(side_depths_of(config)) > 0,
        f"side_depths: none of {config.side_depths} is among depths, {config.depths}; "
        "give one of these",
    )


def check_side_depth(config, key: str, given) -> None:
    """Raise ConfigError for a side depth that is no word and no depth of the networks."""
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


def check_arms(config) -> None:
    """Raise ConfigError for arms that the networks do not have, or that are named twice."""
    arm = functools.partial(check_arm, config)
    check_distinct("arms", config.arms, arm)
    check_distinct("side_arms", config.side_arms, arm, empty=True)
    names = {}
    for name in (*config.arms, *config.side_arms):
        kind = kind_of(config, name)
        image_task.check_norm(config, kind.norm)
        other = names.setdefault(kind, name)
        check(
            other == name and (name not in config.side_arms or name not in config.arms),
            f"side_arms: {name} is already among arms, as {other}; name each arm once",
        )


def check_arm(config, key: str, name: str) -> None:
    """Raise ConfigError for an arm that is not written well, or that the networks do not have."""
    kind = parse_kind(key, name)
    check(
        not str(name).startswith("both"),
        f"{key}: {name} is what depth 1 is called; give plain or residual",
    )
    check(
        not kind.shared_lr or key == "side_arms",
        f"{key}: {name} has the learning rate of another arm; give it in side_arms",
    )
    allowed = MODIFIERS[config.model.name]
    for modifier in str(name).split("+")[1:]:
        check(
            modifier in allowed,
            f"{key}: {name}: {config.model.name} has no {modifier!r}; known: {', '.join(allowed)}",
        )
    own = kind_of(config, name)
    check_start(f"{key}: {name}", init=own.init, skip=own.skip, norm=own.norm)
    check_even(config.model, own.init)
    base = str(name).replace("+shared_lr", "")
    check(not kind.shared_lr or base in config.arms, f"{key}: {name} needs {base} among arms")


def check_claim(config, name: str) -> None:
    """Raise ConfigError for a claim that cannot be weighed."""
    claim = config.claims[name]
    check_choice(f"claims.{name}.direction", claim.direction, (">", "<", "="))
    check_number(f"claims.{name}.margin", claim.margin, above=0)
    try:
        resolve_contrasts(config, claim.contrasts)
    except (ValueError, TypeError, AttributeError):
        expected = "contrasts ((weight, 'arm-depth'), ...)"
        raise ConfigError(
            f"claims.{name}.contrasts: {claim.contrasts} are no {expected}; leave them as they are"
        ) from None
