"""The labs' own nets are what their definition says, written out."""

import functools

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
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

from dla_jax.models.labs import LabA, LabB


@functools.cache
def variables_of(model):
    """Draw variables, once."""
    return drawn.variables_of(model, X.shape)


@functools.partial(jax.jit, static_argnames=("per_stage", "as_implemented"))
def lab_b(variables, skip, *, per_stage, as_implemented):
    """Compute lab B's net, written out."""
    p, s = variables["params"], variables["batch_stats"]
    h = conv(standardise(X), p["stem"]["kernel"], pad=0) + p["stem"]["bias"]
    for i in range(4 * per_stage):
        name, last, ends = f"layer{i:03}", i + 1 == 4 * per_stage, (i + 1) % per_stage == 0
        f = relu(norm(conv(h, p[f"{name}a"]["kernel"]), p[f"{name}a_norm"], s[f"{name}a_norm"]))
        f = norm(conv(f, p[f"{name}b"]["kernel"]), p[f"{name}b_norm"], s[f"{name}b_norm"])
        f = relu(f) if as_implemented else f
        if last:
            f = f.reshape(len(X), 2, 2, 2, 2, -1).max((2, 4))
        elif ends:
            padding = ((0, 0), (1, 1), (1, 1), (0, 0))
            f = lax.reduce_window(f, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), padding)
        if as_implemented and last:
            h = f
            continue
        if f.shape == h.shape:
            short = h
        elif as_implemented:
            short = conv(h, p[f"{name}c"]["kernel"], 2)
            short = norm(short, p[f"{name}c_norm"], s[f"{name}c_norm"])
        else:
            missing = (f.shape[-1] - h.shape[-1]) // 2
            short = jnp.pad(h[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (missing, missing)))
        h = relu(skip * short + f)
    h = h.reshape(len(X), -1)
    for name in ("last1", "last2"):
        h = relu(h @ p[name]["kernel"] + p[name]["bias"])
    return h @ p["head"]["kernel"] + p["head"]["bias"]


@pytest.mark.parametrize(
    ("depth", "per_stage", "skip", "as_implemented"),
    [
        (17, 2, 0.0, False),
        (17, 2, 1.0, False),
        # all of whose blocks the deeper one has too
        pytest.param(9, 1, 1.0, True, marks=pytest.mark.slow),
        (17, 2, 1.0, True),
    ],
)
def test_lab_b_is_what_its_definition_says(depth, per_stage, skip, as_implemented):
    model = LabB(depth=depth, as_implemented=as_implemented, projection=as_implemented, **COMMON)
    variables = with_wiring(variables_of(model), skip, 1.0)
    expected = lab_b(variables, skip, per_stage=per_stage, as_implemented=as_implemented)
    logits, _ = apply(variables, model=model)
    np.testing.assert_allclose(logits, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("depth", "convolutions"), [(9, 9), (17, 17), (32, 33), (48, 49)])
def test_lab_b_counts_its_convolutions(depth, convolutions):
    model = LabB(depth=depth, as_implemented=False, projection=False, **COMMON)
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), X, train=False))["params"]
    kernels = [layer["kernel"] for layer in params.values() if "kernel" in layer]
    assert sum(kernel.ndim == 4 for kernel in kernels) == convolutions


@pytest.mark.parametrize("depth", [1, 5])
def test_lab_as_nets_have_the_parameters_of_their_definition(depth):
    convolution = lambda fan_in, width: 9 * fan_in * width + width + 2 * width  # kernel, bias, norm
    stem = convolution(3, 64)
    plain = stem + (depth - 1) * convolution(64, 64) + 64 * 16 * 16 * 10 + 10
    residual = stem + depth * (convolution(64, 16) + convolution(16, 64)) + 64 * 10 + 10
    assert count_params(LabA(depth=depth, residual=False, **COMMON)) == plain
    assert count_params(LabA(depth=depth, residual=True, **COMMON)) == residual


@functools.partial(jax.jit, static_argnames="residual")
def lab_a(variables, *, residual):
    """Compute lab A's net of depth 3, written out."""
    p, s = variables["params"], variables["batch_stats"]

    def layer(h, name):
        h = conv(h, p[name]["kernel"]) + p[name]["bias"]
        return norm(h, p[f"{name}_norm"], s[f"{name}_norm"])

    h = relu(layer(standardise(X), "stem"))
    if residual:
        for i in range(3):
            h = relu(h + layer(relu(layer(h, f"layer00{i}a")), f"layer00{i}b"))
        h = h.mean((1, 2))
    else:
        for i in range(2):
            h = relu(layer(h, f"layer00{i}"))
        h = h.reshape(len(X), 16, 2, 16, 2, 64).max((2, 4)).reshape(len(X), -1)
    return h @ p["head"]["kernel"] + p["head"]["bias"]


@pytest.mark.parametrize("residual", [False, True])
def test_lab_a_is_what_its_definition_says(residual):
    model = LabA(depth=3, residual=residual, **COMMON)
    variables = drawn.variables_of(model, X.shape)
    expected = lab_a(variables, residual=residual)
    logits, _ = apply(variables, model=model)
    np.testing.assert_allclose(logits, expected, rtol=2e-4, atol=2e-4)


def test_lab_a_drops_out_in_training_only():
    model = LabA(depth=1, residual=False, **COMMON)
    variables = drawn.variables_of(model, X.shape)

    @jax.jit
    def train(seed):
        rngs = {"dropout": jax.random.key(seed)}
        return model.apply(variables, X, train=True, mutable=["batch_stats"], rngs=rngs)[0][0]

    evaluate = lambda: apply(variables, model=model)[0]
    assert not np.allclose(train(1), train(2))
    np.testing.assert_array_equal(train(1), train(1))
    np.testing.assert_array_equal(evaluate(), evaluate())
