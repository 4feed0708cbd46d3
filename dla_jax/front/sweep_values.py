"""The keys and values of a sweep: how they are typed, and which may be swept."""

import ast
import math
import re
from decimal import Decimal
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from dla_jax.config.arguments import FLAGS, flatten
from dla_jax.config.checks import ConfigError, check, check_choice, lookup
from dla_jax.config.command_line import check_key
from dla_jax.config.overrides import shown
from dla_jax.config.written import FREE_KEYS
from dla_jax.studies.plans import SOLVED
from dla_jax.trials.arms import kind_of, members, own_config

EXAMPLE = "as in --sweep='optim.lr=1e-3,1e-2;model.width=16,32'"
# Keys of the whole study, which no arm can have for itself. Of the data an arm has only what is
# done to the images of a batch.
OF_THE_STUDY = (
    "experiment",
    "question",
    "seeds",
    "select_seeds",
    "selection",
    "pair",
    "order",
    "runs_at_once",
    "env.name",
    "env.judge",
)
OF_A_BATCH = ("data.pad", "data.flip")
FAMILIES = ("model.name", "agent.name")  # each has keys of its own


class Axis(NamedTuple):
    """A key with the values that it is to have."""

    member: str  # the network or arm whose key it is; "" for all of them
    key: str  # dotted
    texts: tuple[str, ...]  # the values as they were typed


def parsed(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return [(key, its values as they were typed)] of `KEY=VALUE,VALUE;KEY=VALUE,VALUE`.

    Raises:
      ConfigError: it is written in another way, a key or a value is given twice, or one value.
    """
    found = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        key, equals, rest = (word.strip() for word in part.partition("="))
        check(bool(key and equals), f"--sweep: {part!r} is not KEY=VALUE,VALUE; give it {EXAMPLE}")
        check(key not in found, f"--sweep: {key} is given twice; give all its values at once")
        # Commas within brackets are those of a tuple.
        values = tuple(value.strip() for value in re.split(r",(?![^(]*\))", rest))
        check(all(values), f"--sweep: {key}: a value is empty; give them {EXAMPLE}")
        check(
            len(values) > 1,
            f"--sweep: {key} has one value, which compares nothing; give more, or the value by "
            f"--config.{key}={rest}",
        )
        found[key] = values
    check(len(found) > 0, f"--sweep is empty; give keys with values, {EXAMPLE}")
    return list(found.items())


def with_member(config: ConfigDict, key: str, texts: tuple[str, ...]) -> Axis:
    """Return the values of a key as an axis, `networks.NAME.KEY` as one of that network alone.

    Raises:
      ConfigError: there is no such network, or the key is not for a sweep.
    """
    kind, member, own = kind_of(config), "", key
    if key.startswith(f"{kind}."):
        _, member, own = [*key.split(".", 2), "", ""][:3]
        check_choice(f"--sweep: {kind}", member, tuple(members(config)))
        check(bool(own), f"--sweep: {key} is a group of keys; give one of them, as {key}.KEY")
    group = own.partition(".")[0]
    check(own != "lrs", f"--sweep: {key} are the rates to choose from; give optim.lr")
    check(
        own not in ("depths", "arms", "side_arms"),
        f"--sweep: {key} is what the study compares anyway; give --config.{key}={','.join(texts)}",
    )
    check(
        own not in FAMILIES,
        f"--sweep: {key}: each family has keys of its own; write networks of both into a config, "
        "as in configs/own.py",
    )
    check(
        own not in OF_THE_STUDY and (group != "data" or own in OF_A_BATCH),
        f"--sweep: {key} is one for the whole study, whose runs are paired; make a study of each "
        "value, and compare them with configs/compare.py",
    )
    check(
        own not in FREE_KEYS and group not in ("claims", "reported", "networks", "compared"),
        f"--sweep: {key} changes no result, so there is nothing to compare; leave it out",
    )
    return Axis(member, own, texts)


def typed_values(config: ConfigDict, base: str, axis: Axis) -> list[Any]:
    """Return the values of an axis, of the type that the key has in a network.

    Raises:
      ConfigError: the network has no such key, a value is of another type, or given twice.
    """
    own = own_config(config, base)
    place = f"--sweep: {kind_of(config)}.{base}: " if len(members(config)) > 1 else "--sweep: "
    known = list(flatten(own.to_dict()))
    check_key(axis.key, known, "the config", prefix=place, typed="--sweep=")
    check(
        axis.key != "optim.lr" or "lr_of" not in members(config)[base],
        f"{place}it runs at the rate of another (lr_of); give {kind_of(config)}.NAME.optim.lr of "
        "one that does not",
    )
    check(
        own.model.name not in SOLVED or axis.key.startswith(("model.", "encoder.")),
        f"{place}{own.model.name} is fitted at once, without {axis.key}; give "
        f"{kind_of(config)}.NAME.{axis.key} of another",
    )
    before = lookup(own, axis.key)
    if before is None:  # what is left open in the config has a type there
        group, _, name = axis.key.rpartition(".")
        kind = type_of(lookup(config, group) if group else config, name)
    else:
        kind = type(before)
    values = []
    for text in axis.texts:
        value = typed(f"{place}{axis.key}", text, kind, before)
        check(value not in values, f"{place}{axis.key}: {text} is given twice; give each once")
        values.append(value)
    return values


def type_of(group: ConfigDict, name: str) -> type:
    """Return the type of a key that is left open; a number, where the config does not say."""
    return group.get_type(name) if name in group else float


def typed(place: str, text: str, kind: type, before: Any) -> Any:
    """Return the value that a text says, of a type.

    Args:
      place: what stands before messages.
      before: what the key has in the config.

    Raises:
      ConfigError: it says no such value.
    """
    try:
        if kind is bool:
            return FLAGS[text.lower()]
        if kind in (tuple, list):
            return typed_tuple(text, before)
        value = kind(text)
        if kind is float and not math.isfinite(value):
            raise ValueError
        return value
    except (ValueError, KeyError, SyntaxError):
        example = "(64,32)" if kind in (tuple, list) else shown(before)
        like = f", as {example}" if before is not None else ""
        raise ConfigError(f"{place}: {text!r} is no {kind.__name__}; give one{like}") from None


def typed_tuple(text: str, before: tuple) -> tuple:
    """Return the tuple that a text says, `(64,32)` or `64`, its parts of the type of those before.

    Raises:
      ValueError, SyntaxError: it says none.
    """
    if before and isinstance(before[0], str):
        return tuple(word.strip() for word in text.strip("()").split(",") if word.strip())
    value = ast.literal_eval(text)
    value = value if isinstance(value, tuple) else (value,)
    kinds = (int, float) if before and isinstance(before[0], float) else (int,)
    if before and not all(type(part) in kinds for part in value):
        raise ValueError
    return value


def word(value: Any) -> str:
    """Return a value as it stands in the name of an arm, which has no dots or slashes.

    A number with a fraction is a whole one with an exponent: 0.001 is `1e-3`.
    """
    if isinstance(value, tuple):
        return "(" + ",".join(map(word, value)) + ")"
    if isinstance(value, float) and not value.is_integer():
        number = Decimal(repr(value)).normalize().as_tuple()
        sign = "-" if number.sign else ""
        return f"{sign}{''.join(map(str, number.digits))}e{number.exponent}"
    text = shown(value).removesuffix(".0") if isinstance(value, float) else shown(value)
    return re.sub(r"[./\\]", "_", text)
