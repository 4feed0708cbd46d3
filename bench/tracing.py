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
from configs.common_images import resnet
from configs.gradients import get_config
from dla_jax.analysis.layer_gradients import step_statistics
from dla_jax.data.images import ImageSet
from dla_jax.evidence.rows import brief
from dla_jax.studies.gradients import study as gradients
from dla_jax.tasks import image_runs
from dla_jax.training import steps
from dla_jax.training.loop import stack_batches
from dla_jax.training.mesh import data_mesh
from dla_jax.training.task import Plan, no_trace
from dla_jax.trials.arms import own_config
from dla_jax.trials.grid import Setting

RESNET20 = resnet(skip=True, depth=20, plain_stages=())
# {name: (shape of an image, batch size, model; None: that of the config)}
NETS = {"digits": ((8, 8, 1), 64, None), "resnet20": ((32, 32, 3), 128, RESNET20)}
PROBE_EVERY = 25


def make_setting(name: str) -> Setting:
    """Return the setting of the residual net of the study `digits`, or of ResNet-20.

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
    data = image_runs.put_data(image_set, mesh)
    setting = image_runs.prepare(own, image_set, data, mesh, step_statistics)
    return setting._replace(
        plan=Plan(
            num_steps=1000,
            eval_steps=(1000,),
            log_every_steps=1,
            checkpoint_every_steps=0,
            steps_per_call=1,
            patience=0,
        )
    )


def tasks_of(setting: Setting) -> dict:
    """Return {name: a function that does the task once and is done when it returns}."""
    story = gradients.make_story(setting, 0)
    state, key = steps.init_state(story.init_fn, setting.tx, seed=0, lr=1e-3, mesh=setting.mesh)
    batch, taken = stack_batches(story.batch_at, 0, 1, 1), {}

    def step(trace, write):
        held = taken.setdefault((trace, write), jax.tree.map(lambda leaf: leaf.copy(), state))
        how = {"loss_fn": story.loss_fn, "tx": setting.tx, "trace": trace, "mesh": setting.mesh}
        held, series, traced = steps.run_steps(held, setting.data, batch, 1, key, **how)
        taken[trace, write] = held
        jax.block_until_ready((held, series, traced))
        if write:
            json.dumps(story.annotate({"step": 1} | brief(traced)))

    return {
        "untraced": lambda: step(no_trace, write=False),
        "traced": lambda: step(step_statistics, write=False),
        "traced, row written": lambda: step(step_statistics, write=True),
        "probe": lambda: jax.block_until_ready(story.probe(state)),
    }


def measure(name: str, rounds: int) -> dict[str, np.ndarray]:
    """Return {task: (wall, CPU) milliseconds of one, float [rounds, 2]}."""
    tasks, repeats = tasks_of(make_setting(name)), 5 if name == "resnet20" else 20
    for task in tasks.values():
        task()
    found = {task: [] for task in tasks}
    for i in range(rounds):
        for task in sorted(tasks, reverse=i % 2 == 1):
            begin = processes.spent()
            for _ in range(repeats):
                tasks[task]()
            found[task].append(1000 * (processes.spent() - begin) / repeats)
    return {task: np.array(values) for task, values in found.items()}


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
    given = page.arguments("tracing", __doc__, NETS, rounds=(30, "of all tasks in turn"))
    results = {name: measure(name, given.rounds) for name in given.nets}
    page.show("tracing", table(results), given.write)


if __name__ == "__main__":
    main()
