"""Wrong input, in one line: what was given, what was expected, how to mend it.

Imports nothing that is slow: a mistyped key goes no further than here.
"""

import difflib
import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

Rule = Callable[[str, Any], None]  # (key, value): raises ConfigError for a value that it refuses


class ConfigError(Exception):
    """Wrong input, in one line: what was given, what was expected, how to mend it.

    `launch.py` exits with 2.
    """


def nearest(name: str, choices) -> str:
    """Return ` (did you mean 'x'?)` for the choice most like `name`; empty when none is like it."""
    match = difflib.get_close_matches(str(name), [str(choice) for choice in choices], n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


def check(condition: bool, message: str) -> None:
    """Raise ConfigError(message) unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def check_choice(key: str, given, choices) -> None:
    """Raise ConfigError, with the choices and the nearest one, when `given` is not among them."""
    known = ", ".join(choices)
    check(given in choices, f"{key}: unknown {given!r}{nearest(given, choices)}; known: {known}")


def check_number(key: str, given, *, low=None, above=None, high=None, below=None) -> None:
    """Raise ConfigError unless `given` is a finite number within the bounds.

    The bounds are `low <=`, `above <`, `<= high`, `< below`.
    """
    check(
        isinstance(given, (int, float)) and not isinstance(given, bool) and math.isfinite(given),
        f"{key}: {given!r} is not a finite number; give one, as in --config.{key}=1",
    )
    bounds = [
        (low, "at least", given >= (low if low is not None else given)),
        (above, "greater than", above is None or given > above),
        (high, "at most", given <= (high if high is not None else given)),
        (below, "less than", below is None or given < below),
    ]
    for bound, words, holds in bounds:
        check(bound is None or holds, f"{key}: {given} must be {words} {bound}")


def check_count(key: str, given, *, low: int = 1) -> None:
    """Raise ConfigError unless `given` is an integer of at least `low`."""
    check(
        isinstance(given, int) and not isinstance(given, bool),
        f"{key}: {given!r} is not an integer",
    )
    check(given >= low, f"{key}: {given} must be at least {low}")


def check_seed(key: str, given) -> None:
    """Raise ConfigError unless `given` is a seed that every generator takes.

    That is an integer in [0, 2^32).
    """
    check_count(key, given, low=0)
    check(given < 2**32, f"{key}: {given} must be less than 2^32")


def check_distinct(key: str, values, check_one, *, empty: bool = False) -> None:
    """Raise ConfigError when a tuple is empty, repeats a value, or holds a wrong one.

    Args:
      check_one: `check_one(key, value)` refuses a wrong value.
      empty: whether the tuple may be empty.
    """
    check(
        empty or len(values) > 0,
        f"{key} is empty; give at least one value, as in --config.{key}=1,2",
    )
    for value in values:
        check_one(key, value)
        once = list(values).count(value) == 1
        check(once, f"{key}: {value!r} is given twice; give each value once")


def lookup(config, path: str) -> Any:
    """Return the value of a dotted key, such as `optim.lr`."""
    return functools.reduce(lambda group, name: group[name], path.split("."), config)


def check_rules(config, rules: dict[str, Rule], prefix: str = "") -> None:
    """Apply a table of rules, `{key: rule}`, to a config.

    Args:
      config: a group of keys.
      rules: for each dotted key of the group, what its value must be: `count()`, `number()`, ...
      prefix: what stands before the keys in messages, as in `optim.`.

    Raises:
      ConfigError: the first value that breaks its rule.
    """
    for key, rule in rules.items():
        rule(prefix + key, lookup(config, key))


def count(low: int = 1) -> Rule:
    """Return the rule for an integer of at least `low`."""
    return functools.partial(check_count, low=low)


def number(low=None, above=None, high=None, below=None) -> Rule:
    """Return the rule for a finite number: `low <=`, `above <`, `<= high`, `< below`."""
    return functools.partial(check_number, low=low, above=above, high=high, below=below)


def choice(choices: Iterable[str]) -> Rule:
    """Return the rule for one of several names."""
    return functools.partial(check_choice, choices=tuple(choices))


def distinct(rule: Rule, empty: bool = False) -> Rule:
    """Return the rule for a tuple of values that follow a rule, each given once.

    `empty` allows none at all.
    """
    return functools.partial(check_distinct, check_one=rule, empty=empty)


def optional(rule: Rule) -> Rule:
    """Return the rule for a value that may be None, or else follows a rule."""

    def check_given(key: str, given) -> None:
        if given is not None:
            rule(key, given)

    return check_given


def seed() -> Rule:
    """Return the rule for a seed that every generator takes."""
    return check_seed
