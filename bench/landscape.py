"""What a loss landscape costs, by the number of its points.

    python -m bench.landscape [--rounds=5] [--write]

It times `losses_around` of configs/why.py, compiled before, for the residual net of its preset
`digits` over the validation part, and for ResNet-20 on 256 images of 32x32 of noise.
"""

import functools

import jax
import numpy as np

from bench import page, processes
from configs.image_base import resnet
from configs.why import get_config
from dla_jax.config.info import DataInfo
from dla_jax.studies.why.diagnostics import Sample, losses_around
from dla_jax.tasks import image_task
from dla_jax.trials.arms import own_config

RESNET20 = resnet(skip=True, depth=20, scaled=False, plain_stages=())
# {name: (shape of an image, images, model; None: that of the config, points on an axis)}
NETS = {
    "digits": ((8, 8, 1), 288, None, (11, 21, 31)),
    "resnet20": ((32, 32, 3), 256, RESNET20, (3, 5, 7)),
}


def pieces_of(name: str) -> dict:
    """Return {points on an axis: a function that computes the landscape once}."""
    shape, num_images, model, sizes = NETS[name]
    own = own_config(get_config("digits"), "residual")
    if model:
        own.model = model
    means = (0.5,) * shape[-1]
    info = DataInfo(tuple("0123456789"), shape=shape, mean=means, std=means)
    net = image_task.make_model(own, info, init="he")
    how = {"model": net, "shape": shape, "own": own.model}
    params, state = image_task.init_network(jax.random.key(0), **how)
    rng = np.random.default_rng(0)
    images = rng.random((num_images, *shape), np.float32)
    sample = Sample(images, rng.integers(0, 10, num_images).astype(np.int32))
    variables, line = {"params": params, **state}, np.zeros(1)

    def draw(points: int) -> None:
        alphas = np.linspace(-1, 1, points)
        key = jax.random.key(1)
        found = losses_around(variables, sample, key, alphas, line, model=net, chunk=1)
        jax.block_until_ready(found)

    return {points: functools.partial(draw, points) for points in sizes}


def measure(name: str, rounds: int) -> dict[int, np.ndarray]:
    """Return {points on an axis: (wall, CPU) seconds of one landscape, float [rounds, 2]}."""
    pieces = pieces_of(name)
    for do in pieces.values():
        do()
    found = {points: [] for points in pieces}
    for i in range(rounds):
        for points in sorted(pieces, reverse=i % 2 == 1):
            begin = processes.spent()
            pieces[points]()
            found[points].append(processes.spent() - begin)
    return {points: np.array(values) for points, values in found.items()}


def table(results: dict[str, dict[int, np.ndarray]]) -> str:
    """Return a table in Markdown: medians of seconds, and of milliseconds of CPU time a point."""
    head = ["network", "points", "seconds, wall / CPU", "CPU ms a point"]
    rows = []
    for name, found in results.items():
        for points, seconds in found.items():
            wall, cpu = np.median(seconds, 0)
            each = 1000 * cpu / points**2
            rows.append([name, f"{points} x {points}", f"{wall:.2f} / {cpu:.2f}", f"{each:.2f}"])
    return page.markdown(head, rows)


def main() -> None:
    """Measure what the command line asks for, and show the table."""
    given = page.arguments("landscape", __doc__, NETS, rounds=(5, "of all sizes in turn"))
    results = {name: measure(name, given.rounds) for name in given.nets}
    page.show("landscape", table(results), given.write)


if __name__ == "__main__":
    main()
