"""A network of one's own, `package.module:Class`: found, made, and checked before it is trained.

The class is a Flax Linen module. It is called with images float32 [N, H, W, C] in [0, 1] and
`train`, a bool, and returns logits float32 [N, classes].
"""

import ast
import dataclasses
import functools
from types import ModuleType

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp

from dla_jax.config import elsewhere, own_code
from dla_jax.config.checks import check, nearest
from dla_jax.config.elsewhere import attempt, kind_of
from dla_jax.config.info import DataInfo

EXAMPLE = "docs.examples.shapes:Net"
KEYS = {"name", "arguments"}  # of the group `model`
KEY = "model.name"
COLLECTIONS = {"params", "batch_stats"}  # what the loop trains, and what it keeps beside
# What a network is given where it has a field of that name.
FROM_DATA = ("num_classes", "mean", "std", "dtype")
CALL = "a network is called with images float32 [N, H, W, C] and train=True or train=False"
HINTS = {
    flax.errors.InvalidRngError: "there is one named 'params' at the start, and in training one "
    "named 'dropout'",
    flax.errors.ModifyScopeVariableError: "in training batch_stats may change, and nothing else",
    jax.errors.ConcretizationTypeError: "it depends on a value that is known only when it runs; "
    "use jnp.where, or jax.lax.cond",
    jax.errors.TracerArrayConversionError: "use jax.numpy, not NumPy",
    TypeError: CALL,  # last, since those of JAX are TypeErrors too
}


class Own(nn.Module):
    """Call a network of one's own as those of this project are called.

    Returns:
      logits: float32 [N, classes].
      features: {}, since it gives none.
    """

    net: nn.Module

    def __call__(self, x, *, train: bool):
        return self.net(x, train=train), {}


def check_model(model) -> None:
    """Raise ConfigError for a group `model` of which no network of one's own can be made.

    What it does with images is seen by `check_fits`, which has some.
    """
    others = sorted(set(model.keys()) - KEYS)
    check(
        not others,
        f"model: {model.name} has model.name and model.arguments, and not "
        f"{', '.join(others)}; take configs/own.py, or a group of your own",
    )
    kind = load(model.name)[1]
    given = arguments_of(model)
    fields = fields_of(kind)
    for key in given:
        check(
            key in fields,
            f"model.arguments: {model.name} has no field {key}{nearest(key, fields)}; "
            f"it has {', '.join(fields) or 'none'}",
        )
        check(
            key not in FROM_DATA,
            f"model.arguments: {key} is given by the data; leave it out",
        )
    missing = [
        name for name, needed in fields.items() if needed and name not in {*given, *FROM_DATA}
    ]
    check(
        not missing,
        f"model.arguments: {model.name} needs {', '.join(missing)}; give "
        f"--config.model.arguments={missing[0] if missing else ''}=VALUE",
    )


def refuse(key: str, model, why: str) -> None:
    """Raise ConfigError for a network of one's own where one of this project is needed.

    Args:
      key: that gives it.
      model: its group, a ConfigDict or a dict.
      why: a sentence.
    """
    name = model["name"]
    check(
        not elsewhere.is_own(name),
        f"{key}: {name} is a network of one's own, and {why}; compare it with others, with "
        "configs/own.py",
    )


def load(name: str) -> tuple[ModuleType, type]:
    """Return the module and the class that `package.module:Class` names.

    Raises:
      ConfigError: there is none, or it is no class of Flax Linen modules.
    """
    module, kind = elsewhere.load_own(KEY, name, EXAMPLE, "network")
    wanted = "give a class that is derived from flax.linen.Module"
    check(isinstance(kind, type), f"{KEY}: {name} is {kind_of(kind)}, and no class; {wanted}")
    check(issubclass(kind, nn.Module), f"{KEY}: {name} is a class, but no Linen module; {wanted}")
    return module, kind


def codes_of(name: str) -> dict[str, str]:
    """Return fingerprints of the files that a class is made with (`own_code.codes_of`)."""
    return _codes_of(name, *load(name))


@functools.cache  # as it was when it was imported; one that was reloaded is another class
def _codes_of(name: str, module: ModuleType, kind: type) -> dict[str, str]:
    return own_code.codes_of(KEY, name, module, kind)


def fields_of(kind: type) -> dict[str, bool]:
    """Return {argument of a class: whether it has no default}."""
    return {
        field.name: field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
        for field in dataclasses.fields(kind)
        if field.init and field.name not in ("parent", "name")
    }


def arguments_of(model) -> dict:
    """Return the arguments of a group `model`: `width=32` is a number, what is none is a text.

    Raises:
      ConfigError: one is not written so, or given twice.
    """
    found = {}
    for given in model.arguments:
        name, equals, text = str(given).partition("=")
        check(
            bool(equals) and name.isidentifier() and name not in found,
            f"model.arguments: {given} must be NAME=VALUE, each name once, as in "
            "--config.model.arguments=width=32,depth=2",
        )
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        found[name] = tuple(value) if isinstance(value, list) else value
    return found


def make(model, info: DataInfo, dtype: str) -> Own:
    """Return the network of a group `model`.

    It gets `num_classes`, `mean` and `std` (tuples, of the channels of images in [0, 1]) and
    `dtype` where it has such fields.

    Raises:
      ConfigError: it cannot be made.
    """
    kind = load(model.name)[1]
    known = {"num_classes": len(info.class_names), "mean": info.mean, "std": info.std}
    known["dtype"] = dtype
    given = {key: value for key, value in known.items() if key in fields_of(kind)}
    given |= arguments_of(model)
    net = attempt(KEY, model.name, functools.partial(kind, **given))
    attempt(KEY, f"a field of {model.name}", hash, net, hints={TypeError: "give tuples, no lists"})
    return Own(net)


def check_fits(model, info: DataInfo, dtype: str, batch_size: int) -> None:
    """Raise ConfigError for a network that does not make logits of these images.

    Nothing is computed: JAX follows shapes and types alone.

    Args:
      dtype: of the computation, by the config.
    """
    fields = fields_of(load(model.name)[1])
    check(
        dtype == "float32" or "dtype" in fields,
        f"compute_dtype: {dtype}, and {model.name} has no field dtype; leave it at float32",
    )
    made, images = make(model, info, dtype), jnp.zeros((2, *info.shape))
    try_it = functools.partial(attempt, KEY, hints=HINTS)
    start = functools.partial(made.init, train=False)
    variables = try_it(f"init of {model.name}", jax.eval_shape, start, key_shape(), images)
    others = sorted(variables.keys() - COLLECTIONS)
    check(
        not others,
        f"{KEY}: {model.name} keeps {', '.join(others)}; a network has params, and batch_stats "
        "where it has BatchNorm, and nothing else",
    )
    check("params" in variables, f"{KEY}: {model.name} has no parameters, so nothing is learned")
    for leaf in jax.tree.leaves(variables):
        check(
            jnp.issubdtype(leaf.dtype, jnp.floating),
            f"{KEY}: {model.name} has parameters of {leaf.dtype}, which have no gradient; make "
            "them float32",
        )
    check(
        batch_size > 1 or "batch_stats" not in variables,
        "batch_size: 1 with BatchNorm, which has nothing to compare an example with; give 2 or "
        "more, or a network without it",
    )
    for train in (False, True):
        check_logits(model.name, made, variables, images, len(info.class_names), train)


def key_shape() -> jax.ShapeDtypeStruct:
    """Return what a random key looks like; of shapes alone nothing is drawn."""
    return jax.eval_shape(jax.random.key, 0)


def check_logits(name: str, made: Own, variables, images, num_classes: int, train: bool) -> None:
    """Raise ConfigError unless a network returns logits float32 [N, classes].

    Args:
      variables: as shapes.
      train: whether as in training, where batch_stats may change and dropout has its rng.
    """

    def call(variables, images, key):
        how = {"mutable": ["batch_stats"], "rngs": {"dropout": key}} if train else {}
        found = made.apply(variables, images, train=train, **how)
        return found if train else (found, {})

    of, key = f"{name} with train={train}", key_shape()
    (logits, _), changed = attempt(
        KEY, of, jax.eval_shape, call, variables, images, key, hints=HINTS
    )
    wanted = f"float32[N,{num_classes}], a logit for each of {num_classes} classes"
    is_array = isinstance(logits, jax.ShapeDtypeStruct)
    check(is_array, f"{KEY}: {of} returned {kind_of(logits)}; return {wanted}")
    found = (logits.dtype, logits.shape) if is_array else ()
    shown = f"{found[0]}[{','.join(['N', *map(str, found[1][1:])])}]" if found[1] else "a number"
    check(
        found == (jnp.float32, (len(images), num_classes)),
        f"{KEY}: {of} returned {shown}; return {wanted}",
    )
    before = jax.tree.structure(variables.get("batch_stats", {}))
    check(
        not train or jax.tree.structure(changed.get("batch_stats", {})) == before,
        f"{KEY}: {of} has other batch_stats than with train=False; make all of them in both",
    )
