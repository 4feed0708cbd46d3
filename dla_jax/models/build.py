"""From the group `model` of a config to a network, and how its blocks are wired."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dla_jax.config.checks import (
    check,
    check_choice,
    check_count,
    check_distinct,
    check_rules,
    choice,
    count,
    number,
)
from dla_jax.models.cnn import CNN
from dla_jax.models.labs import INIT, LAB_B_BLOCKS, LabA, LabB
from dla_jax.models.layers import NORMS
from dla_jax.models.mlp import MLP, Perceptron
from dla_jax.models.resnet import ResNet, stages_of
from dla_jax.models.starts import INITS, SCALARS

# The keys of each family beside name, norm and init.
FAMILIES = {
    "cnn": ("width", "pools"),
    "mlp": ("width",),
    "perceptron": ("widths", "dropout", "dropout_at", "relu_logits"),
    "resnet": ("bottleneck", "shortcut", "projection", "preactivation"),
    "lab_a": (),
    "lab_b": ("as_implemented",),
}
DTYPES = ("float32", "bfloat16")


def check_widths(key: str, widths) -> None:
    """Raise ConfigError unless there are widths, each a positive integer; two may be equal."""
    numbered = tuple(enumerate(widths))
    check_distinct(key, numbered, lambda key, pair: check_count(key, pair[1]))


# Keys that have one value alone in a family.
FIXED = {
    "perceptron": {"norm": "none"},
    "lab_a": {"init": INIT, "norm": "batch"},
    "lab_b": {"init": INIT, "norm": "batch"},
}
RULES = {"norm": choice(NORMS), "init": choice(INITS)}
FAMILY_RULES = {
    "cnn": {"width": count(), "pools": count(low=0)},
    "mlp": {"width": count()},
    "perceptron": {
        "widths": check_widths,
        "dropout": number(low=0, below=1),
        "dropout_at": choice(("every", "last")),
    },
}


def check_model(model) -> None:
    """Raise ConfigError for a `config.model` that no network can be made of."""
    check_choice("model.name", model.name, FAMILIES)
    missing = [key for key in ("norm", "init", *FAMILIES[model.name]) if key not in model]
    check(
        not missing,
        f"model.name: {model.name} needs model.{', model.'.join(missing)}, which this preset has "
        "not; take a preset that is made for it",
    )
    check_rules(model, RULES, prefix="model.")
    for key, value in FIXED.get(model.name, {}).items():
        check(
            model[key] == value,
            f"model.{key}: {model[key]} with model.name {model.name}, which has {value}; "
            "leave it so",
        )
    check_rules(model, FAMILY_RULES.get(model.name, {}), prefix="model.")
    check(
        model.name != "resnet" or not (model.preactivation and model.bottleneck),
        "model.preactivation: true with model.bottleneck true, which there is no block for; make "
        "one of them false",
    )
    check_even(model, model.init)
    if "skip" in model:  # else the arms of a study say it
        skip = model.skip and model.get("shortcut", True) and not model.get("plain_stages", ())
        check_start("model.init", init=model.init, skip=skip, norm=model.norm)


def check_even(model, init: str) -> None:
    """Raise ConfigError for an odd width with looks_linear, which mirrors one half of a layer."""
    key = "widths" if "widths" in model else "width"
    widths = model.get("widths", (model.get("width", 0),))
    odd = [str(width) for width in widths if width % 2] if init == "looks_linear" else []
    check(
        not odd,
        f"model.{key}: {', '.join(odd)} is odd, and looks_linear makes one half of a layer the "
        "mirror of the other; give an even one",
    )


def check_start(key: str, *, init: str, skip: bool, norm: str) -> None:
    """Raise ConfigError for a start of a net's branches where it has no skips, or a norm."""
    check(
        init not in SCALARS or skip,
        f"{key}: {init} starts with branches of 0, and needs a skip beside each; without skips "
        "take he, orthogonal, looks_linear or dirac",
    )
    check(
        init not in SCALARS or norm == "none",
        f"{key}: {init} is for nets without norm, and this one has {norm}; give norm none",
    )


def check_depth(model, key: str, depth: int) -> None:
    """Raise ConfigError for a depth that the family has no network of."""
    check_count(key, depth)
    check(depth <= 2000, f"{key}: {depth} must be at most 2000")
    if model.name == "resnet":
        kind, known = "ResNet", "6n + 2 (8, 14, 20, 32, ...), 18 or 34"
        if model.bottleneck:
            kind = "ResNet with bottlenecks"
            known = "9n + 2 (11, 20, 29, 56, 110, ...), 50 or 101"
        check(
            stages_of(depth, model.bottleneck) is not None,
            f"{key}: there is no {kind} of depth {depth}; give {known}",
        )
    if model.name == "lab_b":
        known = ", ".join(map(str, LAB_B_BLOCKS))
        check(
            depth in LAB_B_BLOCKS, f"{key}: lab B has no net of depth {depth}; give one of {known}"
        )


def check_images(model, shape: tuple[int, ...]) -> None:
    """Raise ConfigError for images [H, W, C] that the family cannot take."""
    side = min(shape[:2])
    if model.name == "cnn":
        check(
            side >> model.pools > 0,
            f"model.pools: {model.pools} halvings leave nothing of {side} pixels; "
            f"at most {side.bit_length() - 1}",
        )
    if model.name == "lab_b":
        check(
            shape[:2] == (32, 32),
            "data.name: lab B's net takes images of 32x32 pixels, "
            f"not {shape[0]}x{shape[1]}; take cifar10",
        )
    if model.name == "lab_a":
        check(
            side >= 2,
            f"data.name: lab A's net halves the image, which has {side} pixel; take larger ones",
        )


def ends_in_mean(module) -> bool:
    """Tell whether a network ends in the mean over "last_conv" and one dense layer.

    Then its class activation maps are exact.
    """
    return isinstance(module, (CNN, ResNet)) or (isinstance(module, LabA) and module.residual)


class Arm(NamedTuple):
    """What one arm of a study chooses of a network, beside the config's `model`."""

    depth: int
    skip: bool
    norm: str
    init_scheme: str
    scalars: str


def build(
    model,
    *,
    depth: int,
    skip: bool,
    norm: str,
    init_scheme: str,
    scalars: str,
    num_classes: int,
    mean,
    std,
    dtype: str,
):
    """Make the Flax module of a `config.model`.

    `norm` and `init_scheme` may differ from the config's, as the arms of a study do. `scalars` is
    the start whose trainable numbers the net has (`starts.SCALARS`), or "none". `skip` matters here
    only where plain and residual nets are not built alike; elsewhere it is data, the collection
    "wiring".

    Returns:
      A module that maps x float32 [B, H, W, C] in [0, 1] to (logits float32 [B, num_classes],
      features).
    """
    data = {"num_classes": num_classes, "mean": mean, "std": std, "dtype": dtype}
    return _BUILDERS[model.name](model, Arm(depth, skip, norm, init_scheme, scalars), data)


def _build_cnn(model, arm: Arm, data: dict) -> CNN:
    return CNN(
        depth=arm.depth,
        width=model.width,
        pools=model.pools,
        norm=arm.norm,
        init_scheme=arm.init_scheme,
        scalars=arm.scalars,
        **data,
    )


def _build_mlp(model, arm: Arm, data: dict) -> MLP:
    return MLP(
        depth=arm.depth,
        width=model.width,
        norm=arm.norm,
        init_scheme=arm.init_scheme,
        scalars=arm.scalars,
        **data,
    )


def _build_perceptron(model, arm: Arm, data: dict) -> Perceptron:
    return Perceptron(
        widths=tuple(model.widths),
        dropout=model.dropout,
        dropout_at=model.dropout_at,
        relu_logits=model.relu_logits,
        init_scheme=arm.init_scheme,
        **data,
    )


def _build_resnet(model, arm: Arm, data: dict) -> ResNet:
    return ResNet(
        depth=arm.depth,
        bottleneck=model.bottleneck,
        shortcut=model.shortcut,
        projection=model.projection and arm.skip,
        preactivation=model.preactivation,
        norm=arm.norm,
        init_scheme=arm.init_scheme,
        scalars=arm.scalars,
        **data,
    )


def _build_lab_a(model, arm: Arm, data: dict) -> LabA:
    del model
    return LabA(depth=arm.depth, residual=arm.skip, **data)


def _build_lab_b(model, arm: Arm, data: dict) -> LabB:
    as_implemented = model.as_implemented and arm.skip
    return LabB(depth=arm.depth, as_implemented=as_implemented, projection=as_implemented, **data)


_BUILDERS = {
    "cnn": _build_cnn,
    "mlp": _build_mlp,
    "perceptron": _build_perceptron,
    "resnet": _build_resnet,
    "lab_a": _build_lab_a,
    "lab_b": _build_lab_b,
}


def wire(
    model_state: dict, *, skip: bool, branch: float = 1.0, plain_stages: tuple[int, ...] = ()
) -> dict:
    """Return the model state with the wiring of a plain or residual net.

    The wiring is data, not structure (`layers.Stack`).

    Args:
      model_state: of one of our nets; without a collection "wiring" it comes back as it is.
      skip: whether the blocks have their skips.
      branch: factor of every branch.
      plain_stages: stages of a ResNet without skips, whatever `skip` says; 1 is the first.
    """
    if "wiring" not in model_state:
        return model_state

    def fill(path, ones):
        stage = path[0].key.removeprefix("blocks")[:1]
        plain = stage.isdigit() and int(stage) in plain_stages
        numbers = {"skip": float(skip and not plain), "branch": branch}
        return ones * jnp.float32(numbers[path[-1].key])

    return model_state | {"wiring": jax.tree_util.tree_map_with_path(fill, model_state["wiring"])}
