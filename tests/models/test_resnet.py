import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dla_jax.models.labs import LabA, LabB
from dla_jax.models.resnet import ResNet, stages_of, subsample

X = jax.random.uniform(jax.random.key(9), (3, 32, 32, 3))
COMMON = {"num_classes": 10, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4), "dtype": "float32"}


def count(model):
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), X, train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def init(model, seed=0):
    """Variables with statistics of BatchNorm and scales that are not what they start as."""
    variables = model.init(jax.random.key(seed), X, train=False)
    rng = np.random.default_rng(seed)
    shaken = jax.tree.map(
        lambda leaf: leaf * rng.uniform(0.7, 1.3, leaf.shape) + rng.uniform(0, 0.1, leaf.shape),
        {name: variables[name] for name in ("params", "batch_stats")},
    )
    return variables | jax.tree.map(jnp.float32, shaken)


def with_wiring(variables, skip, branch):
    numbers = {"skip": skip, "branch": branch}
    fill = lambda path, leaf: leaf * numbers[path[-1].key]
    return variables | {"wiring": jax.tree_util.tree_map_with_path(fill, variables["wiring"])}


def conv(h, kernel, stride=1, pad=None):
    pad = (kernel.shape[0] - 1) // 2 if pad is None else pad
    return lax.conv_general_dilated(
        h, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def norm(h, p, s):
    return (h - s["mean"]) / np.sqrt(s["var"] + 1e-5) * p["scale"] + p["bias"]


def relu(h):
    return jnp.maximum(h, 0)


def standardise(x):
    return (x - jnp.array(COMMON["mean"])) / jnp.array(COMMON["std"])


@pytest.mark.parametrize(
    ("depth", "params"),
    [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)],
)
def test_cifar_resnets_have_the_published_number_of_parameters(depth, params):
    assert (
        count(
            ResNet(
                depth=depth,
                bottleneck=False,
                shortcut=True,
                projection=False,
                init_scheme="he",
                **COMMON,
            )
        )
        == params
    )  # .27, .46, .66, .85, 1.7 M


@pytest.mark.parametrize(
    ("depth", "params"), [(18, 11_173_962), (34, 21_282_122), (50, 23_520_842)]
)
def test_wide_resnets_have_the_published_number_of_parameters(depth, params):
    assert (
        count(
            ResNet(
                depth=depth,
                bottleneck=depth == 50,
                shortcut=True,
                projection=True,
                init_scheme="he",
                **COMMON,
            )
        )
        == params
    )


def test_shortcuts_without_parameters_have_none():
    projected = sum(a * b + 2 * b for a, b in [(64, 128), (128, 256), (256, 512)])
    assert (
        count(
            ResNet(
                depth=18,
                bottleneck=False,
                shortcut=True,
                projection=False,
                init_scheme="he",
                **COMMON,
            )
        )
        == 11_173_962 - projected
    )


@pytest.mark.parametrize(
    ("shape", "width", "stride"), [((2, 8, 8, 4), 8, 2), ((2, 7, 5, 3), 6, 2), ((1, 4, 4, 5), 5, 1)]
)
def test_subsample_takes_every_other_pixel_and_pads_channels_with_zeros(shape, width, stride):
    h = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = np.asarray(subsample(jnp.asarray(h), width, stride))
    low = (width - shape[-1]) // 2
    np.testing.assert_array_equal(found[..., low : low + shape[-1]], h[:, ::stride, ::stride])
    assert found.shape[-1] == width and np.count_nonzero(found) == np.count_nonzero(
        h[:, ::stride, ::stride]
    )


def test_depths_that_there_are():
    assert stages_of(20) == ((3, 3, 3), (16, 32, 64)) and stages_of(110) == (
        (18, 18, 18),
        (16, 32, 64),
    )
    assert stages_of(34) == ((3, 4, 6, 3), (64, 128, 256, 512))
    assert all(stages_of(depth) is None for depth in (1, 2, 7, 9, 19, 21, 51))
    assert stages_of(50, bottleneck=True) == ((3, 4, 6, 3), (64, 128, 256, 512))
    assert (
        stages_of(29, bottleneck=True) == ((3, 3, 3), (16, 32, 64))
        and stages_of(32, bottleneck=True) is None
    )


@pytest.mark.parametrize(("skip", "branch"), [(0.0, 1.0), (1.0, 1.0), (1.0, 0.5)])
@pytest.mark.parametrize(
    ("depth", "projection", "bottleneck"),
    [(20, False, False), (14, True, False), (8, False, False), (20, False, True), (11, True, True)],
)
def test_a_resnet_is_what_its_definition_says(depth, projection, bottleneck, skip, branch):
    model = ResNet(
        depth=depth,
        bottleneck=bottleneck,
        shortcut=True,
        projection=projection,
        init_scheme="he",
        **COMMON,
    )
    variables = with_wiring(init(model), skip, branch)
    p, s = variables["params"], variables["batch_stats"]
    h = relu(norm(conv(standardise(X), p["stem"]["kernel"]), p["stem_norm"], s["stem_norm"]))
    for stage in (1, 2, 3):
        blocks = [(p[f"blocks{stage}a"]["single"], s[f"blocks{stage}a"]["single"], min(stage, 2))]
        for i in range((depth - 2) // (9 if bottleneck else 6) - 1):
            take = lambda tree, i=i: jax.tree.map(lambda leaf: leaf[i], tree)
            blocks.append(
                (take(p[f"blocks{stage}b"]["block"]), take(s[f"blocks{stage}b"]["block"]), 1)
            )
        for q, t, stride in blocks:
            if bottleneck:
                f = relu(norm(conv(h, q["conv1"]["kernel"]), q["norm1"], t["norm1"]))
                f = relu(norm(conv(f, q["conv2"]["kernel"], stride), q["norm2"], t["norm2"]))
                f = norm(conv(f, q["conv3"]["kernel"]), q["norm3"], t["norm3"])
            else:
                f = relu(norm(conv(h, q["conv1"]["kernel"], stride), q["norm1"], t["norm1"]))
                f = norm(conv(f, q["conv2"]["kernel"]), q["norm2"], t["norm2"])
            if "shortcut" in q:
                h = norm(
                    conv(h, q["shortcut"]["kernel"], stride), q["shortcut_norm"], t["shortcut_norm"]
                )
            elif f.shape != h.shape:
                h = h[:, ::stride, ::stride]
                zeros = jnp.zeros((*h.shape[:3], (f.shape[-1] - h.shape[-1]) // 2))
                h = jnp.concatenate([zeros, h, zeros], -1)
            h = relu(skip * h + branch * f)
    expected = h.mean((1, 2)) @ p["head"]["kernel"] + p["head"]["bias"]
    logits, features = model.apply(variables, X, train=False)
    close = lambda found, wanted: np.testing.assert_allclose(
        found, wanted, rtol=2e-4, atol=2e-4 * np.abs(wanted).max()
    )
    close(logits, expected)
    close(features["last_conv"], h)
    assert (
        len(jax.tree.leaves(variables["wiring"]))
        and ("shortcut" in p["blocks2a"]["single"]) == projection
    )


def test_a_net_without_shortcuts_is_the_plain_twin():
    """The same function with the same parameters, and no shortcut in the program to multiply by 0."""
    wired, bare = (
        ResNet(
            depth=14,
            bottleneck=False,
            shortcut=shortcut,
            projection=False,
            init_scheme="he",
            **COMMON,
        )
        for shortcut in (True, False)
    )
    variables = init(wired)
    plain, residual = (
        wired.apply(with_wiring(variables, skip, 1.0), X, train=False)[0] for skip in (0.0, 1.0)
    )
    np.testing.assert_allclose(
        bare.apply(variables, X, train=False)[0], plain, rtol=1e-5, atol=1e-5
    )
    assert not np.allclose(plain, residual, rtol=1e-2)


def lab_b(variables, per_stage, skip, as_implemented):
    """Lab B's net written out."""
    p, s = variables["params"], variables["batch_stats"]
    pool = lambda h: lax.reduce_window(
        h, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0))
    )
    h = conv(standardise(X), p["stem"]["kernel"], pad=0) + p["stem"]["bias"]
    for i in range(4 * per_stage):
        name, last, ends = f"layer{i:03}", i + 1 == 4 * per_stage, (i + 1) % per_stage == 0
        f = relu(norm(conv(h, p[f"{name}a"]["kernel"]), p[f"{name}a_norm"], s[f"{name}a_norm"]))
        f = norm(conv(f, p[f"{name}b"]["kernel"]), p[f"{name}b_norm"], s[f"{name}b_norm"])
        f = relu(f) if as_implemented else f
        if last:
            f = f.reshape(3, 2, 2, 2, 2, -1).max((2, 4))
        elif ends:
            f = pool(f)
        if as_implemented and last:
            h = f
            continue
        if f.shape == h.shape:
            short = h
        elif as_implemented:
            short = norm(
                conv(h, p[f"{name}c"]["kernel"], 2), p[f"{name}c_norm"], s[f"{name}c_norm"]
            )
        else:
            missing = (f.shape[-1] - h.shape[-1]) // 2
            short = jnp.pad(h[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (missing, missing)))
        h = relu(skip * short + f)
    h = h.reshape(3, -1)
    for name in ("last1", "last2"):
        h = relu(h @ p[name]["kernel"] + p[name]["bias"])
    return h @ p["head"]["kernel"] + p["head"]["bias"]


@pytest.mark.parametrize(("skip", "as_implemented"), [(0.0, False), (1.0, False), (1.0, True)])
@pytest.mark.parametrize(("depth", "per_stage"), [(9, 1), (17, 2)])
def test_lab_b_is_what_its_definition_says(depth, per_stage, skip, as_implemented):
    model = LabB(depth=depth, as_implemented=as_implemented, projection=as_implemented, **COMMON)
    variables = with_wiring(init(model), skip, 1.0)
    expected = lab_b(variables, per_stage, skip, as_implemented)
    np.testing.assert_allclose(
        model.apply(variables, X, train=False)[0], expected, rtol=2e-4, atol=2e-4
    )


@pytest.mark.parametrize(("depth", "convolutions"), [(9, 9), (17, 17), (32, 33), (48, 49)])
def test_lab_b_counts_its_convolutions(depth, convolutions):
    model = LabB(depth=depth, as_implemented=False, projection=False, **COMMON)
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), X, train=False))["params"]
    assert (
        sum("kernel" in layer and layer["kernel"].ndim == 4 for layer in params.values())
        == convolutions
    )


@pytest.mark.parametrize("depth", [1, 5])
def test_lab_as_nets_have_the_parameters_of_their_definition(depth):
    convolution = lambda fan_in, width: 9 * fan_in * width + width + 2 * width  # kernel, bias, norm
    plain = count(LabA(depth=depth, residual=False, **COMMON))
    residual = count(LabA(depth=depth, residual=True, **COMMON))
    assert plain == convolution(3, 64) + (depth - 1) * convolution(64, 64) + 64 * 16 * 16 * 10 + 10
    assert (
        residual
        == convolution(3, 64) + depth * (convolution(64, 16) + convolution(16, 64)) + 64 * 10 + 10
    )


@pytest.mark.parametrize("residual", [False, True])
def test_lab_a_is_what_its_definition_says(residual):
    model = LabA(depth=3, residual=residual, **COMMON)
    variables = init(model)
    p, s = variables["params"], variables["batch_stats"]

    def layer(h, name):
        return norm(
            conv(h, p[name]["kernel"]) + p[name]["bias"], p[f"{name}_norm"], s[f"{name}_norm"]
        )

    h = relu(layer(standardise(X), "stem"))
    if residual:
        for i in range(3):
            h = relu(h + layer(relu(layer(h, f"layer00{i}a")), f"layer00{i}b"))
        h = h.mean((1, 2))
    else:
        for i in range(2):
            h = relu(layer(h, f"layer00{i}"))
        h = h.reshape(3, 16, 2, 16, 2, 64).max((2, 4)).reshape(3, -1)
    expected = h @ p["head"]["kernel"] + p["head"]["bias"]
    np.testing.assert_allclose(
        model.apply(variables, X, train=False)[0], expected, rtol=2e-4, atol=2e-4
    )


def test_lab_a_drops_out_in_training_only():
    model = LabA(depth=1, residual=False, **COMMON)
    variables = init(model)
    key = {"dropout": jax.random.key(1)}
    train = lambda key: model.apply(variables, X, train=True, mutable=["batch_stats"], rngs=key)[0][
        0
    ]
    assert not np.allclose(train(key), train({"dropout": jax.random.key(2)}))
    np.testing.assert_array_equal(train(key), train(key))
    np.testing.assert_array_equal(
        model.apply(variables, X, train=False)[0], model.apply(variables, X, train=False)[0]
    )
