"""What figures show, in words: the pieces of the texts that stand for them where none is seen."""

import math
from collections.abc import Callable, Iterable

from dla_jax.evidence.formatting import digits, number

MOST = 8  # things that a sentence names


def percent(fraction: float) -> str:
    """Return a fraction of one as `94.5 %`; `unknown` where it is nan."""
    return "unknown" if math.isnan(fraction) else f"{number(100 * fraction, 1)} %"


def times(a: float, b: float) -> str:
    """Return `2.1 times`, how large a is beside b, where both are positive numbers."""
    if not (math.isfinite(a) and math.isfinite(b)) or min(a, b) <= 0:
        return "unknown"
    return f"{digits(a / b)} times"


def largest(values: Iterable[float]) -> str:
    """Return the largest finite one of some numbers, and whether others overflowed."""
    values = [float(value) for value in values]
    finite = [value for value in values if math.isfinite(value)]
    if not any(map(math.isinf, values)):
        return digits(max(finite, default=math.nan))
    return f"{digits(max(finite))} where it did not overflow" if finite else digits(math.inf)


def listed(parts: list[str], between: str = ", ", most: int = MOST) -> str:
    """Return texts one after the other; of many the first ones, and how many more there are."""
    rest = [f"{len(parts) - most} more"] if len(parts) > most else []
    return between.join([*parts[:most], *rest])


def ranked(
    values: dict[str, float], form: Callable, *, smallest: bool = False, most: int = MOST
) -> str:
    """Return `b 95.0 %, a 90.1 %`, the largest first, or the smallest; nan comes last.

    Args:
      values: {name: number}.
      form: how a number is written.
      most: how many are named.
    """
    sign = 1 if smallest else -1
    known = {name: value for name, value in values.items() if not math.isnan(value)}
    order = sorted(known, key=lambda name: sign * known[name])
    unknown = [f"{name} unknown" for name in values if name not in known]
    return listed([*(f"{name} {form(known[name])}" for name in order), *unknown], most=most)
