"""What compiling a training step costs, by the depth of the network.

    python -m bench.compilation [--nets=digits,...] [--rounds=1] [--write]

It makes the parameters, then traces, lowers and compiles `run_steps` for the Task that a study
makes; no step is taken. Every measurement is a process of its own, without a cache of compiled
programs.
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import language, page, processes
from bench.language import Net
from configs import dante, rescnn
from dla_jax.plots.style import COLUMN, STYLE, looks_of, plt, save

FIGURE = page.ROOT / "docs" / "figures" / "compilation.png"


class Job(NamedTuple):
    """A network at a depth: `kind` is that of an arm of configs/rescnn.py, "" of a decoder."""

    net: str
    kind: str
    depth: int

    def __str__(self):
        return f"{self.net} {self.kind} {self.depth}"


class Family(NamedTuple):
    """Networks that differ in depth alone; `written`: what of it XLA sees block by block."""

    told: str
    kinds: tuple[str, ...]
    depths: tuple[int, ...]
    written: str


FAMILIES = {
    "digits": Family(
        "digits CNN", ("residual",), (5, 10, 25, 50, 100), "a scan, and plain is the same program"
    ),
    "resnet": Family(
        "ResNet",
        ("residual",),
        (20, 56),
        "of each of three stages the first block is written out, the others are a scan",
    ),
    "decoder": Family("decoder", ("",), (2, 6, 12), "written out, layer by layer"),
}
STAGES = "trace", "lower", "compile"


def image_task(job: Job):
    """Return the Task of an arm of the study on noise of the shape of its images."""
    from dla_jax.data.images import ImageSet
    from dla_jax.studies.depth.arms import arm_of
    from dla_jax.tasks import image_data
    from dla_jax.tasks.image_task import make_task
    from dla_jax.training.mesh import data_mesh

    # The digits' test part is split off, CIFAR-10's is there.
    kinds = {"digits": ("digits", (8, 8, 1), None), "resnet": ("he", (32, 32, 3), 1900)}
    preset, shape, test_start = kinds[job.net]
    config = arm_of(rescnn.get_config(preset), job.kind, job.depth, (0,)).config
    rng, mesh = np.random.default_rng(0), data_mesh()
    images = rng.integers(0, 256, (2000, *shape), np.uint8)
    labels, classes = np.arange(2000, dtype=np.int32) % 10, tuple("0123456789")
    half, quarter = (0.5,) * shape[-1], (0.25,) * shape[-1]
    image_set = ImageSet("noise", images, labels, classes, half, quarter, test_start)
    loaded = image_data.Loaded(image_set, image_data.put_data(image_set, mesh), mesh)
    return make_task(config, loaded, seed=0)


def task_of(job: Job):
    """Return the Task of one run, as its study makes it."""
    if job.net != "decoder":
        return image_task(job)
    return language.our_task(Net(dante.gpt(job.depth, 6, 384, 128), batch_size=8, writes=0))


def stages_of(task, state, key):
    """Yield (stage, what it gives) of the step of a Task; the last is the compiled step.

    state, key: what `init_state` makes, or their shapes.
    """
    from dla_jax.training.loop import stack_batches
    from dla_jax.training.steps import run_steps

    rows = task.plan.steps_per_call
    batches = stack_batches(task.batch_at, 0, rows, rows)
    how = {"loss_fn": task.loss_fn, "tx": task.tx, "trace": task.trace, "mesh": task.mesh}
    traced = run_steps.trace(state, task.data, batches, rows, key, **how)
    yield "trace", traced
    lowered = traced.lower()
    yield "lower", lowered
    yield "compile", lowered.compile()


def measure(side: str, job: Job, setting: dict, seconds: float) -> dict:
    """Measure the stages in this process; only the job says which.

    Returns:
      {stage: (wall, CPU) seconds}, "init" that of making the parameters; "before", "peak": MiB
      before the first stage and at most.
    """
    from dla_jax.training.steps import init_state

    del side, setting, seconds
    task, begin = task_of(job), processes.spent()
    state, key = init_state(task.init_fn, task.tx, seed=0, lr=1e-3, mesh=task.mesh)
    found = {"init": (processes.spent() - begin).tolist(), "before": processes.peak()}
    begin = processes.spent()
    for stage, _ in stages_of(task, state, key):
        found[stage] = (processes.spent() - begin).tolist()
        begin = processes.spent()
    return found | {"peak": processes.peak()}


def jobs_of(nets: list[str]) -> list[Job]:
    """Return every depth of the families."""
    chosen = [(net, FAMILIES[net]) for net in nets]
    return [
        Job(net, kind, depth)
        for net, family in chosen
        for kind in family.kinds
        for depth in family.depths
    ]


def median(found: list[dict], key: str) -> np.ndarray:
    """Return the median over rounds."""
    return np.median([each[key] for each in found], 0)


def total(found: list[dict]) -> np.ndarray:
    """Return the (wall, CPU) seconds of all stages together, of the median round."""
    return np.median([np.sum([each[stage] for stage in STAGES], 0) for each in found], 0)


def table(results: dict[Job, list[dict]]) -> str:
    """Return a table in Markdown: medians of seconds, and of memory."""
    head = ["network", "depth", "parameters made", *STAGES, "the three, s wall / CPU"]
    head += ["memory before", "at most"]
    rows = []
    for job, found in results.items():
        stages = [median(found, stage) for stage in ("init", *STAGES)]
        times = [f"{wall:.2f} / {cpu:.2f}" for wall, cpu in (*stages, total(found))]
        memory = [f"{median(found, key):,.0f} MiB" for key in ("before", "peak")]
        name = f"{FAMILIES[job.net].told} {job.kind}".strip()
        rows.append([name, str(job.depth), *times, *memory])
    told = [
        f"{FAMILIES[net].told}: {FAMILIES[net].written}."
        for net in dict.fromkeys(job.net for job in results)
    ]
    return "\n\n".join((page.markdown(head, rows), "How depth is written. " + " ".join(told)))


def draw(results: dict[Job, list[dict]], path: Path) -> str:
    """Draw the CPU-seconds of all stages against depth; return it in words."""
    lines = {}
    for job, found in results.items():
        name = f"{FAMILIES[job.net].told} {job.kind}".strip()
        lines.setdefault(name, {})[job.depth] = float(total(found)[1])
    looks, told = looks_of(lines), []
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(COLUMN, 2.6))
        for name, found in lines.items():
            colour, marker = looks[name]
            axis.plot(list(found), list(found.values()), color=colour, marker=marker, label=name)
            ends = [f"{found[depth]:.1f} s at {depth}" for depth in (min(found), max(found))]
            told.append(f"{name} {', '.join(ends)}")
        axis.set_xlabel("depth, layers")
        axis.set_ylabel("CPU-seconds to trace, lower, compile")
        axis.set_ylim(bottom=0)
        axis.legend(loc="center right")
        save(figure, path)
    return f"CPU-seconds to compile a training step: {'; '.join(told)}."


def main() -> None:
    """Measure what the command line asks for, and show the table."""
    if processes.answered(Job, by=measure):
        return
    given = page.arguments("compilation", __doc__, FAMILIES, rounds=(1, "of all networks"))
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    results = {job: [] for job in jobs_of(given.nets)}
    for i in range(given.rounds):
        for job in sorted(results, reverse=i % 2 == 1):
            results[job].append(processes.run_once("compilation", "ours", job, {}, 0.0))
            print(f"{job}: {results[job][-1]}", file=sys.stderr)
    text = table(results)
    if given.write:
        text += f"\n\n![{draw(results, FIGURE)}](figures/{FIGURE.name})"
    page.show("compilation", text, given.write)


if __name__ == "__main__":
    main()
