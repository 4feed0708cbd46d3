"""The cost of tracing gradients.

    python -m bench.tracing [--rounds=30] [--write]

It times the step of configs/gradients.py, one step a call: without a trace; with the statistics of
its own gradient, update and weights; the same with the row written out as the record has it. And
the gradient on the probe batch. All take turns in one process.
"""

import json

import jax
import numpy as np

from bench import page, processes
from configs.gradients import get_config
from configs.image_base import resnet
from dla_jax.analysis.layer_gradients import step_statistics
from dla_jax.data.images import ImageSet
from dla_jax.evidence.rows import brief
from dla_jax.studies.gradients.study import make_probed
from dla_jax.tasks.image_data import Loaded, put_data
from dla_jax.training import steps
from dla_jax.training.loop import stack_batches
from dla_jax.training.mesh import data_mesh
from dla_jax.training.task import Task, no_trace
from dla_jax.trials.arms import own_config

RESNET20 = resnet(skip=True, depth=20, plain_stages=())
# {name: (shape of an image, batch size, model; None: that of the config)}
NETS = {"digits": ((8, 8, 1), 64, None), "resnet20": ((32, 32, 3), 128, RESNET20)}
PROBE_EVERY = 25


def make_task(name: str) -> Task:
    """Return the Task of a run of the residual net of the study `digits`, or of ResNet-20.

    It is on images uint8 [2000, *shape] of noise.
    """
    shape, batch_size, model = NETS[name]
    rng, config = np.random.default_rng(0), get_config("digits")
    config.unlock()
    config.batch_size = batch_size
    if model:
        config.model = model
    images = rng.integers(0, 256, (2000, *shape), np.uint8)
    labels, classes = np.arange(2000, dtype=np.int32) % 10, tuple("0123456789")
    mean, std = (0.5,) * shape[-1], (0.25,) * shape[-1]
    image_set = ImageSet(name, images, labels, classes, mean, std, test_start=None)
    mesh, own = data_mesh(), own_config(config, "residual")
    return make_probed(own, Loaded(image_set, put_data(image_set, mesh), mesh), seed=0)


def pieces_of(task: Task) -> dict:
    """Return {name: a function that does a piece of work once and is done when it returns}."""
    state, key = steps.init_state(task.init_fn, task.tx, seed=0, lr=1e-3, mesh=task.mesh)
    batch, taken = stack_batches(task.batch_at, 0, 1, 1), {}

    def step(trace, write):
        held = taken.setdefault((trace, write), jax.tree.map(lambda leaf: leaf.copy(), state))
        how = {"loss_fn": task.loss_fn, "tx": task.tx, "trace": trace, "mesh": task.mesh}
        held, series, traced = steps.run_steps(held, task.data, batch, 1, key, **how)
        taken[trace, write] = held
        jax.block_until_ready((held, series, traced))
        if write:
            json.dumps(task.annotate({"step": 1} | brief(traced)))

    return {
        "untraced": lambda: step(no_trace, write=False),
        "traced": lambda: step(step_statistics, write=False),
        "traced, row written": lambda: step(step_statistics, write=True),
        "probe": lambda: jax.block_until_ready(task.probe(state)),
    }


def measure(name: str, rounds: int) -> dict[str, np.ndarray]:
    """Return {piece of work: (wall, CPU) milliseconds of one, float [rounds, 2]}."""
    pieces, repeats = pieces_of(make_task(name)), 5 if name == "resnet20" else 20
    for do in pieces.values():
        do()
    found = {piece: [] for piece in pieces}
    for i in range(rounds):
        for piece in sorted(pieces, reverse=i % 2 == 1):
            begin = processes.spent()
            for _ in range(repeats):
                pieces[piece]()
            found[piece].append(1000 * (processes.spent() - begin) / repeats)
    return {piece: np.array(values) for piece, values in found.items()}


def table(results: dict[str, dict[str, np.ndarray]]) -> str:
    """Return a table in Markdown: medians, and ratios of rounds with median and quartiles."""
    head = [
        "network",
        "untraced step, ms wall / CPU",
        "traced step: times the untraced",
        "with its row written",
        f"probe every {PROBE_EVERY} steps",
    ]
    return page.markdown(head, [[name, *cells(found)] for name, found in results.items()])


def cells(found: dict[str, np.ndarray]) -> list[str]:
    """Return the cells of one network: the untraced step, and ratios to it."""
    untraced = found["untraced"]
    probed = untraced + found["probe"] / PROBE_EVERY
    plain = " / ".join(f"{value:.1f}" for value in np.median(untraced, 0))
    compared = (found["traced"], found["traced, row written"], probed)
    return [plain, *(quartiles(times / untraced) for times in compared)]


def quartiles(ratios: np.ndarray) -> str:
    """Return the median with the quartiles of ratios float [rounds, 2], of wall and CPU time."""
    found = [np.percentile(ratios[:, i], (25, 50, 75)) for i in (0, 1)]
    return " / ".join(f"{mid:.2f} ({low:.2f} to {high:.2f})" for low, mid, high in found)


def main() -> None:
    """Measure what the command line asks for, and show the table."""
    given = page.arguments("tracing", __doc__, NETS, rounds=(30, "of all pieces in turn"))
    results = {name: measure(name, given.rounds) for name in given.nets}
    page.show("tracing", table(results), given.write)


if __name__ == "__main__":
    main()
