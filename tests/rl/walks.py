"""Writes modules with environments of one's own, most of them changes of docs/examples/walk.py."""

import importlib
import itertools
import sys
import tempfile
import textwrap
from pathlib import Path

import jax
import pytest

from dla_jax.config.checks import ConfigError
from dla_jax.rl import envs

HEAD = """
import dataclasses
import gymnasium
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments import environment, spaces
from gymnax.wrappers import purerl
from docs.examples.walk import Params, State, Walk
"""
BEFORE = HEAD.count("\n")  # lines above what is written
FOLDER = tempfile.TemporaryDirectory()
NUMBERS = itertools.count()
sys.path.append(FOLDER.name)


def path_of(module):
    """Return the file of a module that was written."""
    return Path(FOLDER.name) / f"{module}.py"


def write(source, head=HEAD):
    """Write a module, and return its name."""
    module = f"own_walk_{next(NUMBERS)}"
    path_of(module).write_text(head + textwrap.dedent(source))
    importlib.invalidate_caches()
    return module


def refusal(name):
    """Return the one line in which an environment is refused."""
    with pytest.raises(ConfigError) as refused:
        envs.check_env(name)
    message = str(refused.value)
    assert "\n" not in message and message.startswith("env.name: "), message
    return message


def roll(env, actions):
    """Return the Steps [T, E] that actions [T, E, ...] lead to."""

    def run(key):
        running = envs.start(env, key, actions.shape[1])
        drawn = envs.draw(env, key, *actions.shape[:2])
        take = lambda running, given: envs.advance(env, running, *given)
        return jax.lax.scan(take, running, (actions, drawn))[1]

    return jax.device_get(jax.jit(run)(jax.random.key(0)))
