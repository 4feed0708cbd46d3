"""The labs of a deep-learning-applications course in JAX and Flax, every claim re-tested.

import dla_jax
study = dla_jax.run("configs/rescnn.py:digits", num_epochs=2)
"""

from dla_jax.config.checks import ConfigError
from dla_jax.front.result import Result, load
from dla_jax.front.run import run

__all__ = ["ConfigError", "Result", "load", "run"]
