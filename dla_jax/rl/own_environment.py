"""An environment of one's own, `package.module:factory`: found, and checked before it is played.

The factory takes no arguments and returns (environment, parameters), as `gymnax.make` does, or an
environment alone, whose `default_params` are taken. What it returns has the interface of gymnax
1.0; `own_steps.py` looks at what its functions return.
"""

import dataclasses
import functools
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
from gymnax.environments.environment import Environment

from dla_jax.config import elsewhere
from dla_jax.config.checks import ConfigError, check
from dla_jax.rl import own_steps
from dla_jax.rl.own_steps import kind_of

EXAMPLE = "docs.examples.walk:Walk"
FUNCTIONS = ("reset_env", "step_env", "is_truncated", "action_space", "observation_space")
INHERITED = ("is_truncated",)  # gymnax's own does
LIBRARIES = ("gymnax", "flax", "chex", *sys.stdlib_module_names)  # versions stand in config.json


class Own(NamedTuple):
    """An environment of one's own."""

    game: object  # with gymnax's interface
    params: object  # a dataclass, with its time limit
    code: str  # fingerprint of the files that it was made by


def is_own(name: str) -> bool:
    """Return whether an `env.name` is that of an environment of one's own."""
    return ":" in name


def load(name: str) -> Own:
    """Return the environment that `package.module:factory` makes; it is made and checked once.

    Raises:
      ConfigError: there is no such factory, or what it returns cannot be played.
    """
    try:
        module, factory = elsewhere.load("env.name", name, EXAMPLE)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        what = f"importing {name.partition(':')[0]} raised {own_steps.told(error)}"
        raise ConfigError(f"env.name: {what}; mend it, or give another environment") from None
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
    return Own(game, params, code_of(name, module, factory, type(game), type(params)))


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


def code_of(name: str, module: ModuleType, *things: object) -> str:
    """Return a fingerprint of the files that define a factory, and the classes of what it returns.

    Libraries are left out; a module that those files import is seen where it has a class of these.

    Raises:
      ConfigError: there is no file.
    """
    owners = [base for thing in things for base in getattr(thing, "__mro__", (thing,))]
    names = {module.__name__, *(getattr(owner, "__module__", module.__name__) for owner in owners)}
    digest = hashlib.sha256()
    for own in sorted(names):
        if own != module.__name__ and own.partition(".")[0] in LIBRARIES:
            continue
        file = getattr(sys.modules.get(own), "__file__", None)
        check(
            file is not None,
            f"env.name: {name} is defined in {own}, which is no file; write it into one, so that a "
            "run that goes on can tell whether it changed",
        )
        digest.update(own.encode() + b"\0" + Path(file).read_bytes() + b"\0")
    return digest.hexdigest()[:16]
