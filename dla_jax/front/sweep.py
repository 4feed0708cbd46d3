"""An ad-hoc comparison: `--sweep` makes a config whose arms are all combinations of some values.

It is a config of a kind of study that there is: nothing else knows of sweeps.
"""

import copy
import itertools
import math
from typing import Any

from ml_collections import ConfigDict

from dla_jax import commands
from dla_jax.config.checks import check
from dla_jax.front.sweep_values import Axis, parsed, typed_values, with_member, word
from dla_jax.studies.depth.arms import arms_of
from dla_jax.trials.arms import kind_of, members

MOST = 64  # arms; their pairs are hundreds, and each is corrected for
LONGEST = 120  # letters of an arm's name, which is that of its files
DEPTHS = ("depths", "side_arms", "side_depths", "num_side_seeds", "reference_depth")


def swept(config: ConfigDict, text: str) -> ConfigDict:
    """Return a config that compares all combinations of some values.

    Each network, or arm, of the given config is there with each combination, and each pair of them
    that differs in one value is judged (the key `compared`). Nobody claimed anything of them, so
    the claims are gone. A depth study becomes a comparison of its nets, without its side arms.

    Args:
      config: as `request.prepare` leaves it; it is not changed.
      text: `KEY=VALUE,VALUE;KEY=VALUE,VALUE`. A KEY may be that of one network,
        `networks.NAME.KEY`: then the others are left out.

    Raises:
      ConfigError: a study without arms, a key that is none or not an arm's, a value of another type
        or given twice, one value alone, too many arms.
    """
    made = as_networks(config) if config.experiment == "depth" else copy.deepcopy(config)
    made.unlock()
    measure = getattr(commands.find_experiment(made.experiment), "measure", None)
    check(
        measure is not None,
        f"--sweep: {config.experiment} makes no arms of values; give a study that compares "
        "networks or agents, as configs/rescnn.py, resnet34.py, own.py, dante.py or dqn.py",
    )
    axes = [with_member(made, key, values) for key, values in parsed(text)]
    bases = list(dict.fromkeys(axis.member for axis in axes if axis.member)) or list(members(made))
    check(
        len(bases) == 1 or not any(axis.member for axis in axes),
        f"--sweep: keys of {' and '.join(bases)}; give those of one {kind_of(made)[:-1]}, or keys "
        "that all of them have",
    )
    number = len(bases) * math.prod(len(axis.texts) for axis in axes)
    check(number <= MOST, f"--sweep: {number} arms; give fewer values, for {MOST} at most")
    given = {base: [typed_values(made, base, axis) for axis in axes] for base in bases}
    arms, pairs = {}, []
    for base in bases:
        names = named(made, base, bases, axes, given[base])
        for places, name in names.items():
            values = [each[place] for each, place in zip(given[base], places, strict=True)]
            arms[name] = arm_of(made, base, name, dict(zip(axes, values, strict=True)))
        pairs += pairs_of(names)
    put(made, arms, pairs, [axis.key for axis in axes])
    return made


def named(
    config: ConfigDict, base: str, bases: list[str], axes: list[Axis], values: list[list]
) -> dict[tuple[int, ...], str]:
    """Return {places of its values in the axes: name} of the arms of a network.

    A name is `cnn lr=1e-3 width=16`, without the network where it is the only one.

    Raises:
      ConfigError: a name is too long for a file.
    """
    last = [axis.key.rpartition(".")[2] for axis in axes]
    keys = [
        name if last.count(name) == 1 else axis.key.replace(".", "_")
        for name, axis in zip(last, axes, strict=True)
    ]
    found = {}
    for places in itertools.product(*(range(len(each)) for each in values)):
        chosen = zip(keys, values, places, strict=True)
        words = [f"{key}={word(each[place])}" for key, each, place in chosen]
        name = " ".join([*([base] if len(bases) > 1 else []), *words])
        check(
            len(name) <= LONGEST,
            f"--sweep: {name!r} is too long for the name of an arm; sweep fewer keys",
        )
        found[places] = name
    alike = len(found) > len(set(found.values()))
    check(not alike, f"--sweep: values of {' or '.join(keys)} look alike in a name; give others")
    return found


def arm_of(config: ConfigDict, base: str, name: str, values: dict[Axis, Any]) -> dict:
    """Return the overrides of an arm of that name: those of its network, and its values.

    One that runs at the rate of another network does so at that of the same values.
    """
    own = members(config)[base].to_dict()
    for axis, value in values.items():
        *groups, last = axis.key.split(".")
        owner = own
        for group in groups:
            owner = owner.setdefault(group, {})
        owner[last] = value
    if "lr_of" in own and name.startswith(f"{base} "):
        own["lr_of"] += name.removeprefix(base)
    return own


def pairs_of(names: dict[tuple[int, ...], str]) -> list[tuple[str, str]]:
    """Return the pairs of arms of one network that differ in one value, the later one first.

    Those that differ in the first key come first.
    """
    found = {}
    for first, second in itertools.combinations(names, 2):
        apart = [i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
        if len(apart) == 1:
            found.setdefault(apart[0], []).append((names[second], names[first]))
    return [pair for axis in sorted(found) for pair in found[axis]]


def put(config: ConfigDict, arms: dict[str, dict], pairs: list, keys: list[str]) -> None:
    """Put arms in the place of those of a config, in place, and what is said of them."""
    config[kind_of(config)] = ConfigDict(arms)
    config.compared = tuple(pairs)  # (arm, arm that it is compared with), ...
    config.reported = ConfigDict(dict.fromkeys(arms, "not in the labs"))
    config.claims = ConfigDict()
    swept_keys = list(dict.fromkeys(keys))
    verb = "does" if len(swept_keys) == 1 else "do"
    config.question = f"What {verb} {' and '.join(swept_keys)} change?"
    if "pair" in config:
        config.pair = ()
    if "order" in config:
        config.order = tuple(arms)


def as_networks(config: ConfigDict) -> ConfigDict:
    """Return the comparison of networks that a depth study is, without its side arms."""
    alone = copy.deepcopy(config)
    alone.unlock()
    alone.side_arms = ()
    networks = {name: {"model": arm.config.model.to_dict()} for name, arm in arms_of(alone).items()}
    for key in ("arms", *DEPTHS):
        del alone[key]
    alone.experiment = "architectures"
    alone.pair = ()
    alone.networks = ConfigDict(networks)
    return alone
