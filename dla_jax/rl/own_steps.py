"""What the functions of an environment of one's own return, found out by tracing them.

Nothing is compiled and no step is taken: JAX follows shapes and types alone, as it does when an
agent is compiled.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments import spaces
from gymnax.environments.environment import Environment

from dla_jax.config import elsewhere
from dla_jax.config.checks import check
from dla_jax.config.elsewhere import kind_of

RESULTS = {
    "reset_env": ("obs", "state"),
    "step_env": ("obs", "state", "reward", "terminated", "info"),
}
ARRAYS = (jax.Array, np.ndarray, np.generic, bool, int, float)
MOST_HOT = 2**16  # numbers of a one-hot observation
HINTS = {  # what is meant by errors that JAX raises while it traces
    jax.errors.ConcretizationTypeError: "it depends on a value that is known only when it runs; "
    "use jnp.where, or jax.lax.cond",
    jax.errors.TracerArrayConversionError: "use jax.numpy, not NumPy",
}


def attempt(name: str, function: str, call: Callable, *args):
    """Return what a call gives; what it raises becomes a ConfigError of one line.

    Args:
      function: of the environment `name`; empty: its factory.
    """
    of = f"{function} of {name}" if function else name
    return elsewhere.attempt("env.name", of, call, *args, hints=HINTS)


def shown(array: jax.ShapeDtypeStruct) -> str:
    """Return an array's type, as in `float32[3,2]`."""
    return f"{array.dtype}[{','.join(map(str, array.shape))}]"


def is_number(array: object) -> bool:
    """Return whether what was traced is one array of numbers or booleans."""
    kinds = (np.integer, np.floating, np.bool_)
    return isinstance(array, jax.ShapeDtypeStruct) and any(
        jnp.issubdtype(array.dtype, kind) for kind in kinds
    )


def check_steps(name: str, game: object, params: object) -> None:
    """Raise ConfigError for an environment that cannot be played.

    Args:
      name: `package.module:factory`, for messages.
      game: it has all functions of gymnax's interface.
      params: a dataclass with `max_steps_in_episode`.

    Raises:
      ConfigError: it cannot be reset and stepped, as agents do it, or has another time limit than
        its parameters say, at which an evaluation would end an episode.
    """
    actions = attempt(name, "action_space", game.action_space, params)
    check_actions(name, actions)
    obs, state = traced_reset(name, game, params)
    check_observations(
        name, obs, attempt(name, "observation_space", game.observation_space, params)
    )
    discrete = isinstance(actions, spaces.Discrete)
    action = jax.ShapeDtypeStruct(
        () if discrete else tuple(actions.shape), jnp.int32 if discrete else jnp.float32
    )
    after_obs, after, reward, terminated = traced_step(name, game, params, state, action)
    check(
        described(after_obs) == described(obs),
        f"env.name: observations of {name} are {described(obs)} after reset_env, and "
        f"{described(after_obs)} after step_env; give the same type and shape",
    )
    check_states(name, state, after)
    check(
        is_number(reward) and reward.shape == (),
        f"env.name: step_env of {name} gave {described(reward)} as reward, its third result; give "
        "one number, without axes",
    )
    check_flag(name, "step_env", "terminated, its fourth result", terminated)
    truncate = lambda state: game.is_truncated(state, params)
    truncated = attempt(name, "is_truncated", jax.eval_shape, truncate, after)
    check_flag(name, "is_truncated", "its result", truncated)
    check(
        heeds_limit(game, params, after),
        f"env.name: is_truncated of {name} does not look at params.max_steps_in_episode; compare "
        "the steps of the episode with it, as gymnax's does",
    )


def heeds_limit(game: object, params: object, state: object) -> bool:
    """Return whether `is_truncated` looks at `max_steps_in_episode`, as far as tracing can tell."""

    def truncated(limit, state):
        return game.is_truncated(state, dataclasses.replace(params, max_steps_in_episode=limit))

    try:
        jaxpr = jax.make_jaxpr(truncated)(jax.ShapeDtypeStruct((), jnp.int32), state).jaxpr
    except Exception:  # it takes a number of Python alone, and so looks at it
        return True
    return any(used is jaxpr.invars[0] for line in jaxpr.eqns for used in line.invars)


def described(value: object) -> str:
    """Return what was traced in words: an array's type, or what else it is."""
    return shown(value) if isinstance(value, jax.ShapeDtypeStruct) else kind_of(value)


def check_flag(name: str, function: str, what: str, value: object) -> None:
    """Raise ConfigError unless what was traced is one boolean."""
    check(
        described(value) == "bool[]",
        f"env.name: {function} of {name} gave {described(value)} as {what}; give one boolean, "
        "without axes",
    )


def check_results(name: str, function: str, given: object) -> None:
    """Raise ConfigError unless a function gave as many results as gymnax's, of arrays."""
    expected = RESULTS[function]
    count = f"{len(given)} results" if isinstance(given, tuple | list) else kind_of(given)
    more = " (truncated is what is_truncated says)" if count == "6 results" else ""
    check(
        count == f"{len(expected)} results",
        f"env.name: {function} of {name} gave {count}, expected {len(expected)}: "
        f"{', '.join(expected)}{more}",
    )
    for what, part in zip(expected[:4], given, strict=False):
        odd = [leaf for leaf in jax.tree.leaves(part) if not isinstance(leaf, ARRAYS)]
        check(
            not odd,
            f"env.name: {what} of {name} after {function} holds {kind_of((*odd, None)[0])}; give "
            "arrays, and for the state a flax.struct.dataclass of them",
        )


def check_unchanged(name: str, function: str, game: object) -> None:
    """Raise ConfigError where an environment has kept in itself what was computed in a trace."""
    for attribute, value in getattr(game, "__dict__", {}).items():
        with contextlib.suppress(ValueError, TypeError):  # dicts whose keys have no order
            check(
                not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)),
                f"env.name: {function} of {name} sets self.{attribute}, which episodes side by "
                "side would share; keep what changes in the state",
            )


def traced_reset(name: str, game: object, params: object) -> tuple:
    """Return what `reset_env` gives, (obs, state), as shapes and types."""

    def reset(seed):
        given = game.reset_env(jax.random.key(seed), params)
        check_results(name, "reset_env", given)
        return tuple(given)

    found = attempt(name, "reset_env", jax.eval_shape, reset, 0)
    check_unchanged(name, "reset_env", game)
    return found


def traced_step(name: str, game: object, params: object, state: object, action) -> tuple:
    """Return what `step_env` gives, (obs, state, reward, terminated), as shapes and types."""

    def step(seed, state, action):
        given = game.step_env(jax.random.key(seed), state, action, params)
        check_results(name, "step_env", given)
        before, after = (getattr(part, "time", None) for part in (state, given[1]))
        inherited = getattr(type(game), "is_truncated", None) is Environment.is_truncated
        check(
            not inherited or before is None or after is not before,
            f"env.name: step_env of {name} leaves state.time as it was, so that no time limit is "
            "ever reached; add 1 to it",
        )
        return tuple(given[:4])

    found = attempt(name, "step_env", jax.eval_shape, step, 0, state, action)
    check_unchanged(name, "step_env", game)
    return found


def check_actions(name: str, space: object) -> None:
    """Raise ConfigError for a space of actions that agents cannot act in."""
    library = type(space).__module__.partition(".")[0]
    kind = f"{library}'s {type(space).__name__}" if library == "gymnasium" else kind_of(space)
    check(
        isinstance(space, spaces.Discrete | spaces.Box),
        f"env.name: action_space of {name} is {kind}; give Discrete or Box of "
        "gymnax.environments.spaces",
    )
    if isinstance(space, spaces.Discrete):
        whole = isinstance(space.n, int | np.integer) and not isinstance(space.n, bool)
        check(
            whole and space.n >= 2,
            f"env.name: action_space of {name} is Discrete({space.n}); give a whole number of "
            "actions, 2 or more",
        )
        return
    bounds = [np.asarray(bound) for bound in (space.low, space.high)]
    shape = tuple(space.shape)
    check(
        all(bound.shape in ((), shape) for bound in bounds) and math.prod(shape) > 0,
        f"env.name: action_space of {name} is a Box of shape {shape} with bounds of "
        f"{bounds[0].shape} and {bounds[1].shape}; give each the Box's shape, or one number",
    )
    low, high = bounds
    check(
        np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all(),
        f"env.name: action_space of {name} is {space}; give finite bounds, low below high: agents' "
        "actions in [-1, 1] are stretched to them",
    )


def check_observations(name: str, obs: object, space: object) -> None:
    """Raise ConfigError for observations that are no array, or whose space does not say enough.

    Whole numbers become one-hot vectors, as long as their space says.
    """
    check(
        is_number(obs) and math.prod(obs.shape) > 0,
        f"env.name: observations of {name} are {described(obs)}; give one array of numbers",
    )
    check(
        isinstance(space, spaces.Discrete | spaces.Box),
        f"env.name: observation_space of {name} is {kind_of(space)}; give Discrete or Box of "
        "gymnax.environments.spaces",
    )
    if not jnp.issubdtype(obs.dtype, np.integer):
        return
    discrete = isinstance(space, spaces.Discrete)
    low, high = (0, space.n - 1) if discrete else (np.min(space.low), np.max(space.high))
    check(
        low >= 0 and math.prod(obs.shape) * (high + 1) <= MOST_HOT,
        f"env.name: observations of {name} are whole numbers, {shown(obs)} in {space}, which "
        f"become one-hot vectors: they must lie in bounds from 0 on, and take {MOST_HOT:,} numbers "
        "at most; give floats, as in jnp.float32(obs) / 255",
    )


def check_states(name: str, before: object, after: object) -> None:
    """Raise ConfigError unless a state has the same parts, types and shapes after a step."""
    check(
        jax.tree.structure(before) == jax.tree.structure(after),
        f"env.name: the state of {name} is {described(before)} after reset_env, and "
        f"{described(after)} with other parts after step_env, as its second result; give the same",
    )
    parts = zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True)
    for (path, old), new in parts:
        check(
            shown(old) == shown(new),
            f"env.name: state{jax.tree_util.keystr(path)} of {name} is {shown(old)} after "
            f"reset_env, and {shown(new)} after step_env; give the same type and shape",
        )
