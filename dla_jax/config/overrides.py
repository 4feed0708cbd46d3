"""Keys given for a whole study, carried to the networks or arms that have values of their own.

Imports nothing that is slow.
"""

from collections.abc import Iterable

from dla_jax.config.arguments import flatten
from dla_jax.config.checks import check

CARRIED = ("seeds", "num_epochs", "num_steps")  # what a study is shortened or lengthened by


def members_of(config) -> tuple[str, dict]:
    """Return the networks or arms of a config that have overrides of their own, and their key.

    Returns:
      ("networks" or "arms", {name: overrides}); ("", {}) without any.
    """
    for kind in ("networks", "arms"):
        if kind in config and hasattr(config[kind], "items"):
            return kind, dict(config[kind].items())
    return "", {}


def carry(config, given: Iterable[str]) -> list[str]:
    """Carry the keys that were given to the networks or arms that override them.

    Only the CARRIED keys are carried: others may be what a network differs in. What was given for
    a network itself stays.

    Args:
      config: changed in place.
      given: keys as they were typed, `num_epochs`, `networks.plain.seeds`.

    Returns:
      A line for each value that changed.

    Raises:
      ConfigError: a key that every network or arm overrides, so that it would change nothing.
    """
    kind, members = members_of(config)
    given, lines = set(given), []
    for key in sorted(given):
        having = [name for name, own in members.items() if overrides(own, key)]
        if key not in CARRIED:
            check(
                not members or len(having) < len(members),
                f"--config.{key} would change nothing, since all {kind} have their own; "
                f"give --config.{kind}.NAME.{key} for one of {', '.join(members)}",
            )
            continue
        for name in having:
            own = members[name]
            if f"{kind}.{name}.{key}" not in given and own[key] != config[key]:
                before, after = shown(own[key]), shown(config[key])
                lines.append(f"{key}: {after} also for {kind}.{name}, which had {before}")
                own[key] = config[key]
    return lines


def overrides(own, key: str) -> bool:
    """Return whether the overrides of a network hold a key, or replace its whole group.

    A group is replaced by the one of another family, which has a name.
    """
    if key in flatten(own.to_dict()):
        return True
    group, dot, _ = key.partition(".")
    replaceable = group in ("model", "agent") and group in own
    return bool(dot) and replaceable and hasattr(own[group], "keys") and "name" in own[group]


def shown(value) -> str:
    """Return a value as it is typed: `0,1,2`, `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
