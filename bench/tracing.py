"""What tracing gradients costs: python -m bench.tracing [--rounds=30] [--write]

The step of configs/gradients.py, one step a call: without a trace; with the statistics of its own gradient, update and weights;
the same with the row written out as the record has it. And the gradient on the probe batch. All take turns in one process.
"""

import json

import jax
import numpy as np

from bench import page, processes
from configs import gradients as configured
from configs import rescnn
from dla_jax.analysis.layer_gradients import step_statistics
from dla_jax.data.images import ImageSet
from dla_jax.evidence.rows import brief
from dla_jax.studies.gradients import study as gradients
from dla_jax.tasks import image_runs
from dla_jax.training import loop as train
from dla_jax.training import steps
from dla_jax.training.mesh import data_mesh
from dla_jax.trials.arms import own_config
from dla_jax.trials.grid import Setting

RESNET20 = rescnn.resnet(skip=True, depth=20, plain_stages=())
NETS = {
    "digits": ((8, 8, 1), 64, None),
    "resnet20": ((32, 32, 3), 128, RESNET20),
}  # images, batch, model
PROBE_EVERY = 25


def make_setting(name: str) -> Setting:
    """The residual net of the study `digits`, or ResNet-20, on images [2000, *shape] of noise."""
    shape, batch_size, model = NETS[name]
    rng, config = np.random.default_rng(0), configured.get_config("digits")
    config.unlock()
    config.batch_size = batch_size
    if model:
        config.model = model
    images, labels = (
        rng.integers(0, 256, (2000, *shape), np.uint8),
        np.arange(2000, dtype=np.int32) % 10,
    )
    image_set = ImageSet(
        name,
        images,
        labels,
        tuple("0123456789"),
        (0.5,) * shape[-1],
        (0.25,) * shape[-1],
        test_start=None,
    )
    mesh = data_mesh()
    return image_runs.prepare(
        own_config(config, "residual"),
        image_set,
        image_runs.put_data(image_set, mesh),
        mesh,
        step_statistics,
    )._replace(plan=train.Plan(1000, (1000,), 1, 0, 1, 0))


def tasks_of(setting: Setting) -> dict:
    """{name: a function that does it once and is done when it returns}."""
    story = gradients.make_story(setting, 0)
    state, key = steps.init_state(story.init_fn, setting.tx, seed=0, lr=1e-3, mesh=setting.mesh)
    batch, taken = train.stack_batches(story.batch_at, 0, 1, 1), {}

    def step(trace, write):
        held = taken.setdefault((trace, write), jax.tree.map(lambda leaf: leaf.copy(), state))
        held, series, traced = steps.run_steps(
            held,
            setting.data,
            batch,
            1,
            key,
            loss_fn=story.loss_fn,
            tx=setting.tx,
            trace=trace,
            mesh=setting.mesh,
        )
        taken[trace, write] = held
        jax.block_until_ready((held, series, traced))
        if write:
            json.dumps(story.annotate({"step": 1} | brief(traced)))

    return {
        "untraced": lambda: step(train.no_trace, False),
        "traced": lambda: step(step_statistics, False),
        "traced, row written": lambda: step(step_statistics, True),
        "probe": lambda: jax.block_until_ready(story.probe(state)),
    }


def measure(name: str, rounds: int) -> dict[str, np.ndarray]:
    """{task: (wall, CPU) milliseconds of one, float [rounds, 2]}."""
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
    """Markdown: medians, and ratios of rounds with their median and quartiles."""
    head = [
        "network",
        "untraced step, ms wall / CPU",
        "traced step: times the untraced",
        "with its row written",
        f"probe every {PROBE_EVERY} steps",
    ]
    rows = []

    def ratio(found, value):
        quartiles = [
            np.percentile(value(found, i) / found["untraced"][:, i], (25, 50, 75)) for i in (0, 1)
        ]
        return " / ".join(f"{mid:.2f} ({low:.2f} to {high:.2f})" for low, mid, high in quartiles)

    for name, found in results.items():
        rows.append(
            [
                name,
                " / ".join(f"{value:.1f}" for value in np.median(found["untraced"], 0)),
                ratio(found, lambda f, i: f["traced"][:, i]),
                ratio(found, lambda f, i: f["traced, row written"][:, i]),
                ratio(found, lambda f, i: f["untraced"][:, i] + f["probe"][:, i] / PROBE_EVERY),
            ]
        )
    return page.markdown(head, rows)


def main() -> None:
    given = page.arguments("tracing", __doc__, NETS, rounds=(30, "of all tasks in turn"))
    page.show(
        "tracing", table({name: measure(name, given.rounds) for name in given.nets}), given.write
    )


if __name__ == "__main__":
    main()
