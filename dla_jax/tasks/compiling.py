"""How a program that runs once is compiled: cheaply."""

import os
import re

LEVEL = "xla_backend_optimization_level"


def cheaply() -> dict[str, int]:
    """Return the `compiler_options` of a program that runs once a trial, as one that draws weights.

    Compiling it takes longer than running it, and at level 1 about a quarter as long as at XLA's
    own. A lower level that XLA_FLAGS has when this is called, on import, stays.
    """
    given = re.search(rf"{LEVEL}=(\d)", os.environ.get("XLA_FLAGS", ""))
    return {LEVEL: min(1, int(given[1])) if given else 1}
