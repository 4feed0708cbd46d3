"""What the command line says of a whole study, carried to the networks or arms that have values of their own.

Imports nothing that is slow.
"""

from collections.abc import Iterable

from dla_jax.config.arguments import flatten
from dla_jax.config.checks import check

CARRIED = ("seeds", "num_epochs", "num_steps")  # what a study is shortened or lengthened by


def members_of(config) -> tuple[str, dict]:
    """Return the key under which a config has networks or arms with overrides of their own, and these; ("", {}) without any."""
    for kind in ("networks", "arms"):
        if kind in config and hasattr(config[kind], "items"):
            return kind, dict(config[kind].items())
    return "", {}


def carry(config, given: Iterable[str]) -> list[str]:
    """Carry the keys that were given to the networks or arms that override them, and return a line for each that changed.

    Only CARRIED keys are: others may be what a network differs in. What was given for a network itself stays.

    Args:
      config: changed in place.
      given: keys as they were typed, `num_epochs`, `networks.plain.seeds`.

    Raises:
      ConfigError: a key that every network or arm overrides, so that it would change nothing.
    """
    kind, members = members_of(config)
    given, lines = set(given), []
    for key in sorted(given):
        having = [name for name, own in members.items() if overrides(own, key)]
        if key in CARRIED:
            for name in having:
                if f"{kind}.{name}.{key}" not in given and members[name][key] != config[key]:
                    lines.append(
                        f"{key}: {shown(config[key])} also for {kind}.{name}, which had {shown(members[name][key])}"
                    )
                    members[name][key] = config[key]
        else:
            check(
                not members or len(having) < len(members),
                f"--config.{key} would change nothing, since all {kind} have their own; give --config.{kind}.NAME.{key} for "
                f"one of {', '.join(members)}",
            )
    return lines


def overrides(own, key: str) -> bool:
    """Return whether the overrides of a network hold a key, or another family's whole group in its place."""
    group, _, _ = key.partition(".")
    replaced = (
        group in own
        and hasattr(own[group], "keys")
        and "name" in own[group]
        and group in ("model", "agent")
    )
    return key in flatten(own.to_dict()) or (replaced and "." in key)


def shown(value) -> str:
    """Return a value as it is typed: `0,1,2`."""
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
