"""From the group `model` of a config to a network, and from its variables to a plain or residual one."""

import jax
import jax.numpy as jnp

from dla_jax.config.checks import check, check_choice, check_count, check_distinct, check_number
from dla_jax.models.cnn import CNN
from dla_jax.models.labs import INIT, LAB_B_BLOCKS, LabA, LabB
from dla_jax.models.layers import INITS, NORMS
from dla_jax.models.mlp import MLP, Perceptron
from dla_jax.models.resnet import ResNet, stages_of

# The keys of each family beside name, norm and init.
FAMILIES = {
    "cnn": ("width", "pools"),
    "mlp": ("width",),
    "perceptron": ("widths", "dropout", "dropout_at", "relu_logits"),
    "resnet": ("bottleneck", "shortcut", "projection"),
    "lab_a": (),
    "lab_b": ("as_implemented",),
}
DTYPES = ("float32", "bfloat16")


def check_model(model) -> None:
    """Raises ConfigError for a `config.model` that no network can be made of."""
    check_choice("model.name", model.name, FAMILIES)
    missing = [key for key in ("norm", "init", *FAMILIES[model.name]) if key not in model]
    check(
        not missing,
        f"model.name: {model.name} needs model.{', model.'.join(missing)}, which this preset has not; take "
        "a preset that is made for it",
    )
    check_choice("model.norm", model.norm, NORMS)
    check_choice("model.init", model.init, INITS)
    fixed = {
        "perceptron": ("norm", "none"),
        "resnet": ("norm", "batch"),
        "lab_a": ("init", INIT),
        "lab_b": ("init", INIT),
    }
    if model.name in fixed:
        key, value = fixed[model.name]
        check(
            model[key] == value,
            f"model.{key}: {model[key]} with model.name {model.name}, which has {value}; leave it so",
        )
    check(
        not model.name.startswith("lab_") or model.norm == "batch",
        f"model.norm: {model.norm} with model.name {model.name}, which has batch; leave it so",
    )
    if model.name in ("cnn", "mlp"):
        check_count("model.width", model.width)
    if model.name == "cnn":
        check_count("model.pools", model.pools, low=0)
    if model.name == "perceptron":
        check_distinct(
            "model.widths",
            tuple(enumerate(model.widths)),
            lambda key, pair: check_count(key, pair[1]),
        )
        check_number("model.dropout", model.dropout, low=0, below=1)
        check_choice("model.dropout_at", model.dropout_at, ("every", "last"))


def check_depth(model, key: str, depth: int) -> None:
    """Raises ConfigError for a depth that the family has no network of."""
    check_count(key, depth)
    check(depth <= 2000, f"{key}: {depth} must be at most 2000")
    if model.name == "resnet":
        known = (
            "9n + 2 (11, 20, 29, 56, 110, ...), 50 or 101"
            if model.bottleneck
            else "6n + 2 (8, 14, 20, 32, ...), 18 or 34"
        )
        kind = "ResNet with bottlenecks" if model.bottleneck else "ResNet"
        check(
            stages_of(depth, model.bottleneck) is not None,
            f"{key}: there is no {kind} of depth {depth}; give {known}",
        )
    check(
        model.name != "lab_b" or depth in LAB_B_BLOCKS,
        f"{key}: lab B has no net of depth {depth}; give one of {', '.join(map(str, LAB_B_BLOCKS))}",
    )


def check_images(model, shape: tuple[int, ...]) -> None:
    """Raises ConfigError for images [H, W, C] that the family cannot take."""
    side = min(shape[:2])
    if model.name == "cnn":
        check(
            side >> model.pools > 0,
            f"model.pools: {model.pools} halvings leave nothing of {side} pixels; at most {side.bit_length() - 1}",
        )
    check(
        model.name != "lab_b" or shape[:2] == (32, 32),
        f"data.name: lab B's net takes images of 32x32 pixels, not {shape[0]}x{shape[1]}; take cifar10",
    )
    check(
        model.name != "lab_a" or side >= 2,
        f"data.name: lab A's net halves the image, which has {side} pixel; take larger ones",
    )


def ends_in_mean(module) -> bool:
    """Whether a network ends in the mean over "last_conv" and one dense layer, so that its class activation maps are exact."""
    return isinstance(module, (CNN, ResNet)) or (isinstance(module, LabA) and module.residual)


def build(
    model,
    *,
    depth: int,
    skip: bool,
    norm: str,
    init_scheme: str,
    num_classes: int,
    mean,
    std,
    dtype: str,
):
    """The Flax module of a `config.model`: x float32 [B, H, W, C] in [0, 1] -> (logits float32 [B, num_classes], features).

    `norm` and `init_scheme` may differ from the config's, as the arms of a study do. `skip` matters here only where
    plain and residual nets are not built alike; elsewhere it is data, the collection "wiring".
    """
    common = {"num_classes": num_classes, "mean": mean, "std": std, "dtype": dtype}
    if model.name == "perceptron":
        own = {key: model[key] for key in ("dropout", "dropout_at", "relu_logits")}
        return Perceptron(widths=tuple(model.widths), init_scheme=init_scheme, **own, **common)
    common["depth"] = depth
    if model.name == "lab_a":
        return LabA(residual=skip, **common)
    if model.name == "lab_b":
        return LabB(
            as_implemented=model.as_implemented and skip,
            projection=model.as_implemented and skip,
            **common,
        )
    common["init_scheme"] = init_scheme
    if model.name == "resnet":
        return ResNet(
            bottleneck=model.bottleneck,
            shortcut=model.shortcut,
            projection=model.projection and skip,
            **common,
        )
    if model.name == "mlp":
        return MLP(width=model.width, norm=norm, **common)
    return CNN(width=model.width, pools=model.pools, norm=norm, **common)


def wire(
    model_state: dict, *, skip: bool, branch: float = 1.0, plain_stages: tuple[int, ...] = ()
) -> dict:
    """The model state with the wiring of a plain or residual net: data, not structure (`layers.Stack`).

    Args:
      model_state: of one of our nets; without a collection "wiring" it comes back as it is.
      branch: factor of every branch.
      plain_stages: stages of a ResNet without skips, whatever `skip` says; 1 is the first.
    """
    if "wiring" not in model_state:
        return model_state

    def fill(path, ones):
        stage = path[0].key.removeprefix("blocks")[:1]
        plain = stage.isdigit() and int(stage) in plain_stages
        return ones * jnp.float32(
            {"skip": float(skip and not plain), "branch": branch}[path[-1].key]
        )

    return model_state | {"wiring": jax.tree_util.tree_map_with_path(fill, model_state["wiring"])}
