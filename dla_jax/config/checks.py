"""Wrong input, in one line: what was given, what was expected, how to mend it.

Imports nothing that is slow: a mistyped key goes no further than here.
"""

import difflib
import math


class ConfigError(Exception):
    """Wrong input, in one line: what was given, what was expected, how to mend it. `launch.py` exits with 2."""


def nearest(name: str, choices) -> str:
    """` (did you mean 'x'?)` for the choice that looks most like `name`; empty when none does."""
    match = difflib.get_close_matches(str(name), [str(choice) for choice in choices], n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


def check(condition: bool, message: str) -> None:
    """Raises ConfigError(message) unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def check_choice(key: str, given, choices) -> None:
    """Raises ConfigError, with the choices and the nearest one, when `given` is not among them."""
    check(given in choices, f"{key}: unknown {given!r}{nearest(given, choices)}; known: {', '.join(choices)}")


def check_number(key: str, given, *, low=None, above=None, high=None, below=None) -> None:
    """Raises ConfigError unless `given` is a finite number within the bounds (`low <=`, `above <`, `<= high`, `< below`)."""
    check(isinstance(given, (int, float)) and not isinstance(given, bool) and math.isfinite(given),
          f"{key}: {given!r} is not a finite number; give one, as in --config.{key}=1")  # fmt: skip
    bounds = [(low, "at least", given >= (low if low is not None else given)),
              (above, "greater than", above is None or given > above),
              (high, "at most", given <= (high if high is not None else given)),
              (below, "less than", below is None or given < below)]  # fmt: skip
    for bound, words, holds in bounds:
        check(bound is None or holds, f"{key}: {given} must be {words} {bound}")


def check_count(key: str, given, *, low: int = 1) -> None:
    """Raises ConfigError unless `given` is an integer of at least `low`."""
    check(isinstance(given, int) and not isinstance(given, bool), f"{key}: {given!r} is not an integer")
    check(given >= low, f"{key}: {given} must be at least {low}")


def check_seed(key: str, given) -> None:
    """Raises ConfigError unless `given` is a seed that every generator takes: an integer in [0, 2^32)."""
    check_count(key, given, low=0)
    check(given < 2**32, f"{key}: {given} must be less than 2^32")


def check_distinct(key: str, values, check_one, *, empty: bool = False) -> None:
    """Raises ConfigError when a tuple is empty, repeats a value, or holds one that `check_one(key, value)` refuses."""
    check(empty or len(values) > 0, f"{key} is empty; give at least one value, as in --config.{key}=1,2")
    for value in values:
        check_one(key, value)
        check(list(values).count(value) == 1, f"{key}: {value!r} is given twice; give each value once")
