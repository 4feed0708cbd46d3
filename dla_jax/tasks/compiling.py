"""How a program that runs once is compiled: cheaply."""

import os

LEVEL = "xla_backend_optimization_level"


def cheaply() -> dict[str, int] | None:
    """Return the `compiler_options` of a program that runs once a trial, as one that draws weights.

    To compile it takes longer than to run it: a quarter of the time at level 1, whose code computes
    the same bits. Where XLA_FLAGS sets a level, that one holds.
    """
    return None if LEVEL in os.environ.get("XLA_FLAGS", "") else {LEVEL: 1}
