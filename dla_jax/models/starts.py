"""How a network starts: the initial weights, and the trainable numbers that some starts bring."""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

KERNEL_INITS = ("he", "torch_default", "dirac", "orthogonal", "looks_linear")
SCALARS = ("skipinit", "fixup")  # for skips without norm; they bring trainable numbers
INITS = KERNEL_INITS + SCALARS


def centred(matrix: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return a kernel [..., C, D] that is a matrix [C, D] at the window's centre, else 0."""
    zeros = jnp.zeros(shape, matrix.dtype)
    return zeros.at[tuple(size // 2 for size in shape[:-2])].set(matrix)


def dirac(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32) -> jax.Array:
    """Return the identity map as a kernel [..., C, C].

    It is 1 at the centre of the window where input and output channel agree, and 0 elsewhere.
    """
    del key
    return centred(jnp.eye(shape[-2], shape[-1], dtype=dtype), shape)


def orthogonal(
    key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32, *, gain: float, delta: bool
) -> jax.Array:
    """Draw a kernel [..., C, D] that is `gain` times an orthogonal matrix.

    Args:
      delta: whether the matrix [C, D] stands at the centre of the window, so that a convolution is
        orthogonal itself (delta-orthogonal: Xiao et al. 2018, arXiv:1806.05393, algorithm 1); else
        it is the matrix [fan_in, D].
    """
    draw = nn.initializers.orthogonal(gain)
    return centred(draw(key, shape[-2:], dtype), shape) if delta else draw(key, shape, dtype)


def mirrored(
    key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32, *, part: str, delta: bool
) -> jax.Array:
    """Draw a kernel [..., C, D] of a looks-linear net (Balduzzi et al. 2017, section 4).

    V is orthogonal. The stem is [V, -V], so that what it puts out is [u, -u]; relu(u) - relu(-u) is
    u, so that the layers inside, [[V, -V], [-V, V]], make [uV, -uV] of it, and the head, [V; -V],
    makes uV.
    """
    rows = shape[-2] // (1 if part == "stem" else 2)
    columns = shape[-1] // (1 if part == "head" else 2)
    kernel = orthogonal(key, (*shape[:-2], rows, columns), dtype, gain=1.0, delta=delta)
    if part != "head":
        kernel = jnp.concatenate([kernel, -kernel], axis=-1)
    if part != "stem":
        kernel = jnp.concatenate([kernel, -kernel], axis=-2)
    return kernel


def kernel_init(
    name: str, *, square: bool = True, part: str = "inner", scale: float = 1.0
) -> Callable:
    """Return the initialisation of a kernel [..., in, out].

    - `he`: normal, variance 2 / fan_in (He et al. 2015, arXiv:1502.01852).
    - `torch_default`: uniform in +-1/sqrt(fan_in), what PyTorch's Linear and Conv2d do, variance
      1 / (3 fan_in).
    - `dirac`: the identity where input and output width agree (`square`), else `he`; no identity in
      the head, whatever the widths.
    - `orthogonal`: sqrt(2) times an orthogonal matrix, delta-orthogonal inside where `square`.
    - `looks_linear`: mirrored orthogonal weights, with which a net of ReLUs starts as a linear map
      (Balduzzi et al. 2017, arXiv:1702.08591, section 4). It needs even widths; a max-pool is not
      linear all the same, and a ReLU behind the addition (ResNet) only without skips.
    - `skipinit`: `he`, with branches that start at 0 (`gained`).
    - `fixup`: `he` times the `scale` (`branch_scales`), and a head of zeros (Zhang et al. 2019,
      arXiv:1901.09321, section 3).

    Args:
      part: "stem", "inner" or "head" of the net.
      scale: factor of what `he`, `skipinit` and `fixup` draw.
    """
    if name == "torch_default":
        return nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    if name == "dirac" and square and part != "head":
        return dirac
    delta = square and part == "inner"
    if name == "orthogonal":
        return functools.partial(orthogonal, gain=math.sqrt(2), delta=delta)
    if name == "looks_linear":
        return functools.partial(mirrored, part=part, delta=delta)
    if scale == 0 or (name == "fixup" and part == "head"):
        return nn.initializers.zeros
    return nn.initializers.variance_scaling(2.0 * scale**2, "fan_in", "normal")


def bias_init(name: str, fan_in: int) -> Callable:
    """Return the initialisation of a bias.

    Zeros, or for `torch_default` uniform in +-1/sqrt(fan_in).
    """
    if name != "torch_default":
        return nn.initializers.zeros
    bound = 1 / math.sqrt(fan_in)

    def uniform(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return uniform


def branch_scales(name: str, num_layers: int, num_blocks: int) -> list[float]:
    """Return the factor of the initial kernel of each layer of a branch, for `kernel_init`.

    Ones, but for `fixup`: with m layers in each of L branches 0 for the last, and L^(-1/(2m - 2))
    for those before it, of which there are none where m is 1.
    """
    if name != "fixup":
        return [1.0] * num_layers
    return [num_blocks ** (-1 / (2 * num_layers - 2)) for _ in range(num_layers - 1)] + [0.0]


def gained(block: nn.Module, f: jax.Array) -> jax.Array:
    """Return a branch times the block's trainable number "gain".

    It starts at 0 for `skipinit` (De and Smith 2020, arXiv:2002.10444; ReZero, Bachlechner et al.
    2020, arXiv:2003.04887), and at 1 for `fixup`. Other starts have none.

    Args:
      block: with a field `scalars`: a name of SCALARS, or "none".
    """
    if block.scalars == "none":
        return f
    start = nn.initializers.constant({"skipinit": 0.0, "fixup": 1.0}[block.scalars])
    return f * block.param("gain", start, ()).astype(f.dtype)


def shifted(block: nn.Module, h: jax.Array, name: str) -> jax.Array:
    """Return h plus the block's trainable number of that name, which starts at 0.

    Only `fixup` has such numbers, before every layer and activation of a branch. They stand beside
    the layers' own biases, which the published nets do not have.
    """
    if block.scalars != "fixup":
        return h
    return h + block.param(name, nn.initializers.zeros, ()).astype(h.dtype)
