"""The labs of a deep-learning-applications course in JAX and Flax, every claim re-tested.

import dla_jax
study = dla_jax.run("configs/rescnn.py:digits", num_epochs=2)
"""

import importlib

# Each is imported when it is first asked for, since `launch.py --help` has no time for it.
_PLACES = {
    "ConfigError": "dla_jax.config.checks",
    "Result": "dla_jax.front.result",
    "load": "dla_jax.front.result",
    "run": "dla_jax.front.run",
}
__all__ = ["ConfigError", "Result", "load", "run"]


def __getattr__(name: str):
    """Return one of the names above (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module 'dla_jax' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    """Return the names that an interpreter completes."""
    return [*globals(), *_PLACES]
