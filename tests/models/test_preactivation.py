"""ResNets with norm and ReLU before the convolutions are what their definition says."""

import functools

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from written_out import (
    COMMON,
    X,
    apply,
    conv,
    count_params,
    norm,
    relu,
    standardise,
    with_wiring,
)

from configs.image_base import resnet as resnet_group
from dla_jax.analysis.units import layers_of
from dla_jax.config.checks import ConfigError
from dla_jax.models.build import build, check_model
from dla_jax.models.resnet import ResNet
from dla_jax.tasks.image_classifier import init_variables


def preactivated(depth, shortcut=True, projection=True, **changes):
    """Make a ResNet of pre-activation blocks."""
    layout = {"bottleneck": False, "shortcut": shortcut, "projection": projection}
    layout |= {"preactivation": True, "init_scheme": "he"}
    return ResNet(depth=depth, **COMMON | layout | changes)


def test_preactresnet_18_has_the_published_number_of_parameters():
    # kuangliu's net has 11,171,146; Fast-AT's also the norm before the mean, 2 x 512.
    assert count_params(preactivated(18)) == 11_171_146 + 2 * 512


def block(h, p, s, stride, skip, branch):
    """Compute one pre-activation block by its parameters and statistics."""
    first = relu(norm(h, p["norm1"], s["norm1"]))
    f = conv(first, p["conv1"]["kernel"], stride)
    f = conv(relu(norm(f, p["norm2"], s["norm2"])), p["conv2"]["kernel"])
    if "shortcut" in p:
        h = conv(first, p["shortcut"]["kernel"], stride)
    elif f.shape != h.shape:
        missing = (f.shape[-1] - h.shape[-1]) // 2
        h = jnp.pad(h[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (missing, missing)))
    return skip * h + branch * f


@functools.partial(jax.jit, static_argnames="per_stage")
def written_out(variables, skip, branch, *, per_stage):
    """Compute (logits, features of the last convolution) in a loop over the blocks."""
    p, s = variables["params"], variables["batch_stats"]
    h = conv(standardise(X), p["stem"]["kernel"])
    for stage in (1, 2, 3):
        first, others = f"blocks{stage}a", f"blocks{stage}b"
        h = block(h, p[first]["single"], s[first]["single"], min(stage, 2), skip, branch)
        for i in range(per_stage - 1):
            take = lambda tree, i=i: jax.tree.map(lambda leaf: leaf[i], tree["block"])
            h = block(h, take(p[others]), take(s[others]), 1, skip, branch)
    h = relu(norm(h, p["norm"], s["norm"]))
    return h.mean((1, 2)) @ p["head"]["kernel"] + p["head"]["bias"], h


@pytest.mark.parametrize(("depth", "projection"), [(14, True), (8, False)])
def test_a_net_is_what_its_definition_says(depth, projection):
    model = preactivated(depth, projection=projection)
    drawn_variables = drawn.variables_of(model, X.shape)
    for skip, branch in ((0.0, 1.0), (1.0, 0.5)):
        variables = with_wiring(drawn_variables, skip, branch)
        expected = written_out(variables, skip, branch, per_stage=(depth - 2) // 6)
        logits, features = apply(variables, model=model)
        for found, wanted in zip((logits, features["last_conv"]), expected, strict=True):
            size = np.abs(wanted).max()
            np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4 * size)
    params = drawn_variables["params"]
    assert ("shortcut" in params["blocks2a"]["single"]) == projection
    assert "stem_norm" not in params and "shortcut" not in params["blocks1a"]["single"]


def test_a_net_without_shortcuts_is_the_plain_twin():
    wired, bare = preactivated(8, projection=False), preactivated(8, shortcut=False)
    variables = drawn.variables_of(wired, X.shape)
    plain, residual = (
        apply(with_wiring(variables, skip, 1.0), model=wired)[0] for skip in (0.0, 1.0)
    )
    found, _ = apply(variables, model=bare)
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-4)
    assert not np.allclose(plain, residual, rtol=1e-2)


def test_its_layers_stand_in_the_order_of_the_network():
    model = preactivated(8)
    variables = drawn.shapes_of(model, X.shape)
    layers = layers_of(variables["params"])
    names = ["stem", "blocks1a conv1", "blocks1a conv2", "blocks2a conv1", "blocks2a conv2"]
    assert [layer.name for layer in layers][:6] == [*names, "blocks2a shortcut"]
    assert [layer.stage for layer in layers] == [0, 1, 1, 2, 2, 2, 3, 3, 3, 0]
    assert set(variables["wiring"]) == {"blocks1a", "blocks2a", "blocks3a"}


def test_the_flag_of_a_config_says_which_net_is_built():
    usual = ConfigDict(resnet_group(depth=20, skip=True))
    flagged = ConfigDict(usual.to_dict() | {"preactivation": True})
    arm = {"depth": 20, "skip": True, "norm": "batch", "init_scheme": "he", "scalars": "none"}
    check_model(usual), check_model(flagged)
    assert not build(usual, **arm, **COMMON).preactivation
    assert build(flagged, **arm, **COMMON).preactivation


@pytest.mark.parametrize(
    ("start", "numbers"), [pytest.param("skipinit", 1, marks=pytest.mark.slow), ("fixup", 5)]
)
def test_with_a_start_that_brings_numbers_the_branches_start_at_0(start, numbers):
    own = {"init_scheme": start, "scalars": start, "norm": "none"}
    model = preactivated(8, projection=False, **own)
    variables = init_variables(jax.random.key(0), model=model, shape=X.shape[1:])
    of_block = variables["params"]["blocks2a"]["single"]
    assert len([leaf for leaf in of_block.values() if not isinstance(leaf, dict)]) == numbers
    head = {"kernel": np.ones((64, 10), np.float32), "bias": np.zeros(10, np.float32)}
    variables = variables | {"params": variables["params"] | {"head": head}}
    (whole, _), (halved, _), (bare, _) = (
        apply(with_wiring(variables, skip, branch), model=model)
        for skip, branch in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.0))
    )
    np.testing.assert_array_equal(whole, bare)
    assert np.abs(whole).max() > 0.1 and not np.allclose(whole, halved)


def test_bottlenecks_are_refused():
    model = ConfigDict(resnet_group(preactivation=True, bottleneck=True))
    with pytest.raises(ConfigError, match=r"model\.preactivation: .* model\.bottleneck"):
        check_model(model)


def torch_preactresnet_18(torch, variables):
    """Return Fast-AT's PreActResNet-18 in PyTorch, in evaluation mode, with these weights."""
    nn, F = torch.nn, torch.nn.functional
    tensor = lambda array: torch.from_numpy(np.array(array))
    kernel = lambda p: tensor(np.asarray(p["kernel"]).transpose(3, 2, 0, 1))

    def normed(h, p, s):
        return F.batch_norm(h, *(tensor(x) for x in (s["mean"], s["var"], p["scale"], p["bias"])))

    class PreActBlock(nn.Module):
        def __init__(self, p, s, stride):
            super().__init__()
            self.p, self.s, self.stride = p, s, stride

        def forward(self, x):
            out = F.relu(normed(x, self.p["norm1"], self.s["norm1"]))
            shortcut = x
            if "shortcut" in self.p:
                shortcut = F.conv2d(out, kernel(self.p["shortcut"]), stride=self.stride)
            out = F.conv2d(out, kernel(self.p["conv1"]), stride=self.stride, padding=1)
            out = F.relu(normed(out, self.p["norm2"], self.s["norm2"]))
            return F.conv2d(out, kernel(self.p["conv2"]), padding=1) + shortcut

    p, s = jax.device_get((variables["params"], variables["batch_stats"]))
    take = lambda tree: jax.tree.map(lambda leaf: leaf[0], tree["block"])
    blocks = []
    for stage in (1, 2, 3, 4):
        first, second = f"blocks{stage}a", f"blocks{stage}b"
        blocks.append(PreActBlock(p[first]["single"], s[first]["single"], min(stage, 2)))
        blocks.append(PreActBlock(take(p[second]), take(s[second]), 1))

    def forward(x):
        x = torch.from_numpy(np.asarray(x).transpose(0, 3, 1, 2))
        out = nn.Sequential(*blocks)(F.conv2d(x, kernel(p["stem"]), padding=1))
        out = F.relu(normed(out, p["norm"], s["norm"]))
        out = F.avg_pool2d(out, 4).flatten(1)
        return out @ tensor(p["head"]["kernel"]) + tensor(p["head"]["bias"])

    return forward


def test_preactresnet_18_equals_that_of_pytorch():
    torch = pytest.importorskip("torch", reason="needs requirements-bench.txt")
    model = preactivated(18)
    variables = drawn.variables_of(model, X.shape)
    with torch.no_grad():
        expected = torch_preactresnet_18(torch, variables)(standardise(X)).numpy()
    found, features = apply(variables, model=model)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert features["last_conv"].shape == (len(X), 4, 4, 512)
