"""Convolutions and BatchNorm on one core of a CPU beside PyTorch's, layer by layer.

    python -m bench.convolutions [--nets=resnet20,cnn9] [--rounds=5] [--write]

Both sides take turns in one process, with one thread each and glibc's heap told to keep freed
memory. What counts is the CPU time: it hardly changes when other programs run. PyTorch's is the
faster of its two layouts, contiguous and channels last.
"""

import functools
import os
import time

import numpy as np

from bench import page, processes
from dla_jax.front.heap import keep_freed_memory

BATCH = 128
# {net: (height and width of the input, channels in, channels out, stride) of its 3x3 layers}
NETS = {
    "resnet20": (
        (32, 3, 16, 1),
        (32, 16, 16, 1),
        (32, 16, 32, 2),
        (16, 32, 32, 1),
        (16, 32, 64, 2),
        (8, 64, 64, 1),
    ),
    "cnn9": ((30, 64, 64, 1), (15, 128, 128, 1), (8, 256, 256, 1), (4, 512, 512, 1)),
}
WORK = "forward", "input gradient", "weight gradient", "norm and ReLU", "its gradient"


def arrays(size: int, before: int, width: int, stride: int) -> tuple[np.ndarray, ...]:
    """Return an input, a kernel, and a gradient of the output, NHWC and HWIO, float32."""
    rng, out = np.random.default_rng(0), -(-size // stride)
    shapes = (BATCH, size, size, before), (3, 3, before, width), (BATCH, out, out, width)
    return tuple(rng.standard_normal(shape, np.float32) for shape in shapes)


def our_work(x, kernel, g, stride: int) -> dict:
    """Return {work: a function that does it once} of our layers."""
    import flax.linen as nn
    import jax
    from jax import lax

    from dla_jax.models.fast_products import convolution

    strides, pads = (stride, stride), ((1, 1), (1, 1))
    names = lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    apply = lambda x, kernel: convolution(x, kernel, strides, pads, dimension_numbers=names)
    norm = nn.BatchNorm(use_running_average=False, momentum=0.9)
    state = norm.init(jax.random.key(0), g)

    def normed(params, h):
        variables = {"params": params, "batch_stats": state["batch_stats"]}
        out, moved = norm.apply(variables, h, mutable=["batch_stats"])
        return nn.relu(out), moved

    params = state["params"]
    forward = jax.jit(lambda params, h: jax.vjp(normed, params, h, has_aux=True))
    _, pull, _ = forward(params, g)
    calls = {
        "forward": (jax.jit(apply), x, kernel),
        "input gradient": (jax.jit(lambda x, k, g: jax.vjp(apply, x, k)[1](g)[0]), x, kernel, g),
        "weight gradient": (jax.jit(lambda x, k, g: jax.vjp(apply, x, k)[1](g)[1]), x, kernel, g),
        "norm and ReLU": (forward, params, g),
        "its gradient": (jax.jit(lambda pull, g: pull(g)), pull, g),
    }
    waited = lambda do, *given: jax.block_until_ready(do(*given))
    return {
        work: functools.partial(waited, do, *jax.device_put(given))
        for work, (do, *given) in calls.items()
    }


def torch_work(x, kernel, g, stride: int, layout: str) -> dict:
    """Return what `our_work` does, of PyTorch's, in a layout."""
    import torch
    import torch.nn.functional as F

    def tensor(array, axes):
        found = torch.from_numpy(np.ascontiguousarray(array.transpose(axes)))
        return found.contiguous(memory_format=getattr(torch, layout))

    x, kernel, g = tensor(x, (0, 3, 1, 2)), tensor(kernel, (3, 2, 0, 1)), tensor(g, (0, 3, 1, 2))
    h, width = g.clone().requires_grad_(), g.shape[1]
    scale, bias = torch.ones(width, requires_grad=True), torch.zeros(width, requires_grad=True)
    mean, var = torch.zeros(width), torch.ones(width)

    def gradient(*asked):
        how = None, [stride] * 2, [1, 1], [1, 1], False, [0, 0], 1, asked
        return torch.ops.aten.convolution_backward(g, x, kernel, *how)

    normed = lambda: F.relu(F.batch_norm(h, mean, var, scale, bias, training=True))
    out = normed()
    return {
        "forward": lambda: F.conv2d(x, kernel, None, stride, 1),
        "input gradient": lambda: gradient(True, False, False),
        "weight gradient": lambda: gradient(False, True, False),
        "norm and ReLU": normed,
        "its gradient": lambda: torch.autograd.grad(out, (h, scale, bias), g, retain_graph=True),
    }


def measure(layer: tuple[int, ...], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return {work: {side: CPU milliseconds of one, [rounds]}} of a layer."""
    given, stride = arrays(*layer), layer[-1]
    sides = {"ours": our_work(*given, stride)}
    for layout in ("contiguous_format", "channels_last"):
        sides[layout] = torch_work(*given, stride, layout)
    found = {work: {side: [] for side in sides} for work in WORK}
    for i in range(-1, rounds):  # the first is to warm up
        for side in sorted(sides, reverse=i % 2 == 1):
            for work in WORK:
                repeats, begin = 3, time.process_time()
                for _ in range(repeats):
                    sides[side][work]()
                if i >= 0:
                    lasted = time.process_time() - begin
                    found[work][side].append(1000 * lasted / repeats)
    return found


def table(results: dict[tuple, dict]) -> str:
    """Return a table in Markdown: CPU milliseconds ours / PyTorch's, and the ratio of medians.

    `results`: {(net, *layer): what `measure` returns}. A ratio above 1 means that ours is faster.
    """
    rows = []
    for (net, size, before, width, stride), found in results.items():
        cells = []
        for work in WORK:
            times = {side: np.median(values) for side, values in found[work].items()}
            ours = times.pop("ours")
            best = min(times.values())
            cells.append(f"{ours:.1f} / {best:.1f}: {best / ours:.2f}")
        shape = f"{size}x{size}, {before} to {width}" + (f", stride {stride}" * (stride > 1))
        rows.append([net, shape, *cells])
    return page.markdown(["network", "layer", *WORK], rows)


def main() -> None:
    """Measure what the command line asks for, and show the table."""
    given = page.arguments("convolutions", __doc__, NETS, rounds=(5, "of all work in turn"))
    page.need("convolutions", "torch")
    processes.keep_to(1)
    keep_freed_memory()
    os.environ["OMP_NUM_THREADS"] = "1"
    results = {}
    for net in given.nets:
        for layer in NETS[net]:
            results[net, *layer] = measure(layer, given.rounds)
    page.show("convolutions", table(results), given.write, "torch")


if __name__ == "__main__":
    main()
