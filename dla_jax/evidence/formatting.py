"""Numbers as they are written, in tables, figures and on the screen alike."""

import math


def number(value: float, digits: int, sign: bool = False) -> str:
    """Return a number with so many decimals and a true minus sign.

    Where it rounds to zero it has no sign at all.
    """
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    return (text if float(text) else f"{0:.{digits}f}").replace("-", "−")


def short(value: float) -> str:
    """Return a number as short as it may be, with a true minus sign."""
    return f"{value:g}".replace("-", "−")


def digits(value: float) -> str:
    """Return a number in two digits, or as a whole one: `0.0012`, `1,234`; no infinity, no nan."""
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else "overflowed"
    return f"{value:,.0f}" if 99.5 <= abs(value) < 1e6 else f"{value:.2g}"


def points(fraction: float, sign: bool = True) -> str:
    """Return a difference of accuracies in [-1, 1] in percentage points, `+1.2`."""
    return number(100 * fraction, 1, sign)


def amount(value: float, unit: str, sign: bool = True) -> str:
    """Return a value in its unit.

    Accuracies are in "points"; others are as they are ("decades": powers of ten).
    """
    if unit == "points":
        return points(value, sign)
    return number(value, 3 if unit.startswith("nats") else 2, sign)


def interval(low: float, high: float, unit: str = "points", sign: bool = True) -> str:
    """Return ` [+1.1, +5.2]`, or nothing where there is none, as of two values."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f" [{amount(low, unit, sign)}, {amount(high, unit, sign)}]"


def p_value(p: float) -> str:
    """Return a p-value in two digits."""
    return f"{p:.2g}" if p < 0.095 else f"{p:.2f}"


def count(amount_of: int, thing: str) -> str:
    """Return a number of things in words: `1 seed`, `2 seeds`."""
    return f"{amount_of} {thing}{'s' * (amount_of != 1)}"
