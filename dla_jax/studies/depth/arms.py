"""The arms of the depth study: depths times kinds of nets, written as `plain+batch-25`."""

import itertools
from typing import NamedTuple

from ml_collections import ConfigDict

from dla_jax.config.checks import check, check_choice
from dla_jax.models.starts import INITS
from dla_jax.trials.arms import Arm

STARTS = INITS
NORMS = {"batch": "batch", "no_norm": "none"}
NAMED_DEPTHS = ("reference", "deepest")  # that follow when `depths` changes


class Kind(NamedTuple):
    """What the name of an arm says, without its depth."""

    skip: bool  # h + a f(h), not f(h)
    scaled: bool  # a = 1/sqrt(depth - 1), not 1
    norm: str | None  # None: the config's
    init: str | None  # None: the config's
    shared_lr: bool  # at the learning rate of the reference depth


def parse_kind(key: str, name: str) -> Kind:
    """Return what a name says: `plain` or `residual`, then modifiers.

    These are any of `+scaled`, `+batch` or `+no_norm`, a start such as `+dirac` (STARTS),
    `+shared_lr`. `both` is the arm of depth 1, where plain and residual are one net.

    Args:
      key: the config's key, for messages.

    Raises:
      ConfigError: an unknown base or modifier, or two that exclude each other.
    """
    base, *modifiers = str(name).split("+")
    check_choice(key, base, ("plain", "residual", "both"))
    for modifier in modifiers:
        check_choice(f"{key}: {name}", modifier, ("scaled", "shared_lr", *NORMS, *STARTS))
        check(modifiers.count(modifier) == 1, f"{key}: {name} says {modifier!r} twice")
    starts = [modifier for modifier in modifiers if modifier in STARTS]
    norms = [modifier for modifier in modifiers if modifier in NORMS]
    check(len(starts) <= 1, f"{key}: {name} has two initialisations; give one")
    check(len(norms) <= 1, f"{key}: {name} is with and without norm; give one")
    return Kind(
        skip=base == "residual",
        scaled="scaled" in modifiers,
        norm=NORMS[norms[0]] if norms else None,
        init=starts[0] if starts else None,
        shared_lr="shared_lr" in modifiers,
    )


def kind_of(config, name: str) -> Kind:
    """Return the kind of that name, with the config's own norm and initialisation by default."""
    kind = parse_kind("arm", name)
    return kind._replace(norm=kind.norm or config.model.norm, init=kind.init or config.model.init)


def arms_of(config, data: dict | None = None) -> dict[str, Arm]:
    """Return the arms of the study by name, `plain-25`, in the order of tables.

    `data` is not needed.
    """
    order = ["both", *config.arms, *config.side_arms]
    groups = sorted(groups_of(config), key=lambda group: (order.index(group[0]), group[1]))
    return {f"{kind}-{depth}": arm_of(config, kind, depth, seeds) for kind, depth, seeds in groups}


def arm_of(config, name: str, depth: int, seeds: tuple[int, ...]) -> Arm:
    """Return a kind of net at a depth as an arm."""
    left_out = ("claims", "arms", "side_arms", "depths", "side_depths")
    own = ConfigDict({key: value for key, value in config.to_dict().items() if key not in left_out})
    kind = kind_of(config, name)
    own.model.update(kind._asdict() | {"depth": depth})
    shared = name_at(config, name.replace("+shared_lr", ""), reference_of(config))
    return Arm(
        name=f"{name}-{depth}",
        config=own,
        seeds=tuple(seeds),
        rates=tuple(config.lrs) if config.optim.lr is None else (config.optim.lr,),
        lender=shared if kind.shared_lr else None,
        cost=depth,
    )


def labels_of(arm: Arm) -> dict:
    """Return what the summary says of an arm beside its name."""
    return {"arm": arm.name.rpartition("-")[0], "depth": arm.config.model.depth}


def groups_of(config) -> list[tuple[str, int, tuple[int, ...]]]:
    """Return (kind, depth, seeds) of the arms of the study.

    Where depth 1 has no blocks, all kinds are the one net `both` there.
    """
    one = 1 in config.depths and merges_at_one(config)
    depths = [depth for depth in config.depths if depth > 1 or not one]
    groups = [(kind, depth, config.seeds) for kind in config.arms for depth in depths]
    for kind in config.side_arms:
        shared = parse_kind("arm", kind).shared_lr
        groups += [
            (kind, depth, side_seeds_of(config))
            for depth in side_depths_of(config)
            if not (shared and depth == reference_of(config))
        ]
    return [*groups, *([("both", 1, config.seeds)] if one else [])]


def reference_of(config) -> int:
    """Return the depth that the gain from depth is measured from.

    It is the configured one, or the smallest that has blocks.
    """
    blocks = [depth for depth in config.depths if depth > 1 or not merges_at_one(config)]
    return config.reference_depth or min(blocks or config.depths)


def side_depths_of(config) -> tuple[int, ...]:
    """Return the depths at which side arms run: those of `depths` that `side_depths` names.

    Workdirs of earlier versions, which list their side seeds, ran them at all that are named.
    """
    named = {"reference": reference_of(config), "deepest": max(config.depths)}
    wanted = {
        named[str(given)] if str(given) in named else int(given) for given in config.side_depths
    }
    return tuple(sorted(wanted if "side_seeds" in config else wanted & set(config.depths)))


def left_out_depths(config) -> list[str]:
    """Return a line where `side_depths` has depths that the study does not run."""
    numbers = [str(given) for given in config.side_depths if str(given).isdecimal()]
    absent = [number for number in numbers if int(number) not in config.depths]
    if not (absent and config.side_arms):
        return []
    run = ", ".join(map(str, side_depths_of(config)))
    return [f"side_depths: {', '.join(absent)} is not among depths; side arms run at {run}"]


def side_seeds_of(config) -> tuple[int, ...]:
    """Return the seeds of side arms, paired with those of the main ones.

    Workdirs of earlier versions list them.
    """
    first = config.side_seeds if "side_seeds" in config else config.seeds[: config.num_side_seeds]
    return tuple(first)


def merges_at_one(config) -> bool:
    """Return whether plain and residual are one net at depth 1, a stem and a head."""
    return config.model.name in ("cnn", "mlp")


def name_at(config, kind: str, depth: int | str) -> str:
    """Return the name of the arm of a kind at a depth: `both-1` where all main arms are one net."""
    merged = str(depth) == "1" and kind in config.arms and merges_at_one(config)
    return f"{'both' if merged else kind}-{depth}"


def claims_of(config) -> dict[str, dict]:
    """Return the claims of a config, their contrasts in terms of the study's own arms."""
    return {
        name: claim | {"contrasts": resolve_contrasts(config, claim["contrasts"])}
        for name, claim in config.claims.to_dict().items()
    }


def resolve_contrasts(config, contrasts) -> list[tuple]:
    """Return the contrasts of a claim in terms of the study's own depths.

    "reference", "deepest" and "second", the first depth after the reference, stand for those
    depths; a contrast between "each" and "next" for one from every depth to the next. At depth 1,
    where all arms are one net, that is "both".
    """
    later = [depth for depth in config.depths if depth > reference_of(config)]
    named = {
        "deepest": max(config.depths),
        "reference": reference_of(config),
        "second": min(later, default="second"),
    }

    found = []
    for terms in contrasts:
        parts = [(float(weight), *name.rpartition("-")[::2]) for weight, name in terms]
        steps = any(depth == "next" for _, _, depth in parts)
        for here, following in itertools.pairwise(sorted(config.depths)) if steps else [(0, 0)]:
            depths = named | {"each": here, "next": following}
            found.append(
                tuple(
                    (weight, name_at(config, kind, depths.get(depth, depth)))
                    for weight, kind, depth in parts
                )
            )
    return found
