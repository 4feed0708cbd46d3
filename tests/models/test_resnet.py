"""ResNets are what their definition says, written out in a loop."""

import functools

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
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

from dla_jax.models.resnet import ResNet, stages_of, subsample


def resnet(depth, bottleneck=False, shortcut=True, projection=False):
    """Make a ResNet."""
    return ResNet(
        depth=depth,
        bottleneck=bottleneck,
        shortcut=shortcut,
        projection=projection,
        init_scheme="he",
        **COMMON,
    )


@pytest.mark.parametrize(
    ("depth", "params"),
    [
        (20, 269_722),
        pytest.param(32, 464_154, marks=pytest.mark.slow),
        pytest.param(44, 658_586, marks=pytest.mark.slow),
        (56, 853_018),
        (110, 1_727_962),
    ],
)
def test_cifar_resnets_have_the_published_number_of_parameters(depth, params):
    assert count_params(resnet(depth)) == params  # .27, .46, .66, .85, 1.7 M


@pytest.mark.parametrize(
    ("depth", "params"),
    [
        (18, 11_173_962),
        pytest.param(34, 21_282_122, marks=pytest.mark.slow),
        (50, 23_520_842),
    ],
)
def test_wide_resnets_have_the_published_number_of_parameters(depth, params):
    assert count_params(resnet(depth, bottleneck=depth == 50, projection=True)) == params


def test_shortcuts_without_parameters_have_none():
    projected = sum(a * b + 2 * b for a, b in [(64, 128), (128, 256), (256, 512)])
    assert count_params(resnet(18)) == 11_173_962 - projected


@pytest.mark.parametrize(
    ("shape", "width", "stride"), [((2, 8, 8, 4), 8, 2), ((2, 7, 5, 3), 6, 2), ((1, 4, 4, 5), 5, 1)]
)
def test_subsample_takes_every_other_pixel_and_pads_channels_with_zeros(shape, width, stride):
    h = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = np.asarray(subsample(jnp.asarray(h), width, stride))
    taken, low = h[:, ::stride, ::stride], (width - shape[-1]) // 2
    np.testing.assert_array_equal(found[..., low : low + shape[-1]], taken)
    assert found.shape[-1] == width and np.count_nonzero(found) == np.count_nonzero(taken)


def test_depths_that_there_are():
    assert stages_of(20) == ((3, 3, 3), (16, 32, 64))
    assert stages_of(110) == ((18, 18, 18), (16, 32, 64))
    assert stages_of(34) == ((3, 4, 6, 3), (64, 128, 256, 512))
    assert all(stages_of(depth) is None for depth in (1, 2, 7, 9, 19, 21, 51))
    assert stages_of(50, bottleneck=True) == ((3, 4, 6, 3), (64, 128, 256, 512))
    assert stages_of(29, bottleneck=True) == ((3, 3, 3), (16, 32, 64))
    assert stages_of(32, bottleneck=True) is None


def block(h, p, s, stride, skip, branch):
    """Compute one residual block by its parameters and statistics."""
    if "conv3" in p:
        f = relu(norm(conv(h, p["conv1"]["kernel"]), p["norm1"], s["norm1"]))
        f = relu(norm(conv(f, p["conv2"]["kernel"], stride), p["norm2"], s["norm2"]))
        f = norm(conv(f, p["conv3"]["kernel"]), p["norm3"], s["norm3"])
    else:
        f = relu(norm(conv(h, p["conv1"]["kernel"], stride), p["norm1"], s["norm1"]))
        f = norm(conv(f, p["conv2"]["kernel"]), p["norm2"], s["norm2"])
    if "shortcut" in p:
        h = conv(h, p["shortcut"]["kernel"], stride)
        h = norm(h, p["shortcut_norm"], s["shortcut_norm"])
    elif f.shape != h.shape:
        h = h[:, ::stride, ::stride]
        zeros = jnp.zeros((*h.shape[:3], (f.shape[-1] - h.shape[-1]) // 2))
        h = jnp.concatenate([zeros, h, zeros], -1)
    return relu(skip * h + branch * f)


@functools.cache
def variables_of(model):
    """Draw variables, once."""
    return drawn.variables_of(model, X.shape)


@functools.partial(jax.jit, static_argnames=("per_stage",))
def written_out(variables, skip, branch, *, per_stage):
    """Compute (logits, features of the last convolution) in a loop over the blocks."""
    p, s = variables["params"], variables["batch_stats"]
    h = relu(norm(conv(standardise(X), p["stem"]["kernel"]), p["stem_norm"], s["stem_norm"]))
    for stage in (1, 2, 3):
        first, others = f"blocks{stage}a", f"blocks{stage}b"
        h = block(h, p[first]["single"], s[first]["single"], min(stage, 2), skip, branch)
        for i in range(per_stage - 1):
            take = lambda tree, i=i: jax.tree.map(lambda leaf: leaf[i], tree["block"])
            h = block(h, take(p[others]), take(s[others]), 1, skip, branch)
    return h.mean((1, 2)) @ p["head"]["kernel"] + p["head"]["bias"], h


@pytest.mark.parametrize(("skip", "branch"), [(0.0, 1.0), (1.0, 1.0), (1.0, 0.5)])
@pytest.mark.parametrize(
    ("depth", "projection", "bottleneck"),
    [
        pytest.param(20, False, False, marks=pytest.mark.slow),
        (14, True, False),
        (8, False, False),
        pytest.param(20, False, True, marks=pytest.mark.slow),
        (11, True, True),
    ],
)
def test_a_resnet_is_what_its_definition_says(depth, projection, bottleneck, skip, branch):
    model = resnet(depth, bottleneck=bottleneck, projection=projection)
    variables = with_wiring(variables_of(model), skip, branch)
    per_stage = (depth - 2) // (9 if bottleneck else 6)
    expected, h = written_out(variables, skip, branch, per_stage=per_stage)
    logits, features = apply(variables, model=model)
    for found, wanted in ((logits, expected), (features["last_conv"], h)):
        size = np.abs(wanted).max()
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4 * size)
    assert jax.tree.leaves(variables["wiring"])
    assert ("shortcut" in variables["params"]["blocks2a"]["single"]) == projection


def test_a_net_without_shortcuts_is_the_plain_twin():
    # The same function with the same parameters, and no shortcut in the program to multiply by 0.
    wired, bare = resnet(8), resnet(8, shortcut=False)
    variables = variables_of(wired)
    plain, residual = (
        apply(with_wiring(variables, skip, 1.0), model=wired)[0] for skip in (0.0, 1.0)
    )
    found, _ = apply(variables, model=bare)
    np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-5)
    assert not np.allclose(plain, residual, rtol=1e-2)
