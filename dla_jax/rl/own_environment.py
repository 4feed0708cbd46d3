"""An environment of one's own, `package.module:factory`: found, and checked before it is played.

The factory takes no arguments and returns (environment, parameters), as `gymnax.make` does, or an
environment alone, whose `default_params` are taken. What it returns has the interface of gymnax
1.0; `own_steps.py` looks at what its functions return.
"""

import dataclasses
import functools
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import numpy as np
from gymnax.environments.environment import Environment

from dla_jax.config import elsewhere, own_code
from dla_jax.config.checks import check
from dla_jax.config.elsewhere import kind_of
from dla_jax.rl import own_steps

EXAMPLE = "docs.examples.walk:Walk"
FUNCTIONS = ("reset_env", "step_env", "is_truncated", "action_space", "observation_space")
INHERITED = ("is_truncated",)  # gymnax's own does


class Own(NamedTuple):
    """An environment of one's own."""

    game: object  # with gymnax's interface
    params: object  # a dataclass, with its time limit
    codes: dict[str, str]  # fingerprints of the files that it was made by (`own_code.codes_of`)


def load(name: str) -> Own:
    """Return the environment that `package.module:factory` makes; it is made and checked once.

    Raises:
      ConfigError: there is no such factory, or what it returns cannot be played.
    """
    module, factory = elsewhere.load_own("env.name", name, EXAMPLE, "environment")
    return _made(name, module, factory)


@functools.cache
def _made(name: str, module: ModuleType, factory: Callable) -> Own:
    """Return what a factory makes; a module that was reloaded has another factory."""
    check(
        callable(factory),
        f"env.name: {name} is {kind_of(factory)}, which cannot be called; give a function without "
        "arguments that returns the environment, or its class",
    )
    made = own_steps.attempt(name, "", factory)
    alone = not isinstance(made, tuple) or hasattr(made, "step_env")
    check(
        alone or len(made) == 2,
        f"env.name: {name} returned {kind_of(made)} of {0 if alone else len(made)}; give "
        "(environment, parameters), or the environment alone",
    )
    game = made if alone else made[0]
    check_interface(name, game)
    if alone:
        check(
            _owner(game, "default_params") is not Environment and "default_params" in dir(game),
            f"env.name: {name} returned {kind_of(game)} without default_params; add them, or "
            "return (environment, parameters)",
        )
    default = functools.partial(own_steps.attempt, name, "default_params", getattr)
    params = default(game, "default_params") if alone else made[1]
    check_params(name, params)
    own_steps.check_steps(name, game, params)
    things = (factory, type(game), type(params))
    return Own(game, params, own_code.codes_of("env.name", name, module, *things))


def check_interface(name: str, game: object) -> None:
    """Raise ConfigError for what is no environment of gymnax 1.0, or would be played otherwise.

    Agents call `reset_env` and `step_env`, and begin episodes themselves.
    """
    kind, bases = kind_of(game), {base.__module__ for base in type(game).__mro__}
    check(
        not isinstance(game, type),
        f"env.name: {name} returned the class {getattr(game, '__name__', '')}; return an instance "
        "of it",
    )
    check(
        not any(base.partition(".")[0] in ("gymnasium", "gym") for base in bases),
        f"env.name: {name} returned gymnasium's {kind.partition(' ')[2]}, whose reset and step are "
        "no JAX functions and cannot be compiled; give an environment with gymnax's "
        f"{', '.join(FUNCTIONS)}",
    )
    check(
        not any(base.startswith("gymnax.wrappers") for base in bases),
        f"env.name: {name} returned gymnax's {kind.partition(' ')[2]}, which wraps reset and step; "
        "agents do not call them: change reset_env and step_env in a class of your own",
    )
    missing = [function for function in FUNCTIONS if not _has(game, function)]
    before = "; before gymnax 1.0 a time limit was part of step_env's fourth result"
    check(
        not missing,
        f"env.name: {name} returned {kind} without {', '.join(missing)}; an environment has "
        f"gymnax's {', '.join(FUNCTIONS)}{before if missing == ['is_truncated'] else ''}",
    )
    check(
        _owner(game, "is_terminal") in (None, Environment)
        or _owner(game, "is_terminated") not in (None, Environment),
        f"env.name: {name} returned {kind} with is_terminal, which before gymnax 1.0 was true at "
        "the time limit too; call it is_terminated, and leave the limit to is_truncated",
    )
    for function in ("reset", "step"):
        check(
            not isinstance(game, Environment) or _is_gymnax(_owner(game, function)),
            f"env.name: {name} returned {kind} with a {function} of its own, which agents do not "
            f"call; move what it does into {function}_env",
        )


def _owner(game: object, name: str) -> type | None:
    """Return the class that an attribute of an environment stands in; None: it is in no class."""
    return next((base for base in type(game).__mro__ if name in vars(base)), None)


def _is_gymnax(kind: type) -> bool:
    """Return whether a class is one of gymnax's."""
    return kind.__module__.partition(".")[0] == "gymnax"


def _has(game: object, function: str) -> bool:
    """Return whether an environment has a function, other than one of gymnax that only raises."""
    own = function in INHERITED or _owner(game, function) is not Environment
    return own and callable(getattr(game, function, None))


def check_params(name: str, params: object) -> None:
    """Raise ConfigError for parameters without a time limit, or that cannot be given another."""
    named = dataclasses.is_dataclass(params) and not isinstance(params, type)
    fields = [field.name for field in dataclasses.fields(params)] if named else []
    check(
        "max_steps_in_episode" in fields,
        f"env.name: the parameters of {name} are {kind_of(params)} without max_steps_in_episode, "
        "the time limit in steps; give a flax.struct.dataclass that has it",
    )
    limit = np.asarray(params.max_steps_in_episode)
    number = limit.shape == () and limit.dtype.kind in "iuf"
    check(
        number and float(limit).is_integer() and limit >= 1,
        f"env.name: the parameters of {name} have max_steps_in_episode "
        f"{params.max_steps_in_episode}; give the time limit in steps, an integer of at least 1",
    )
