"""Does the gradient vanish in a plain net, and neither vanish nor explode in a residual one?

Networks of one depth (configs/gradients.py) are trained side by side. Every row of a run holds,
layer by layer and stage by stage, what the gradient of that very step looks like and what it moves.
Every `probe_every_steps` it also holds the gradient on a probe batch that stays the same from
initialisation to the end.
"""

import functools

import jax
import jax.numpy as jnp

from dla_jax.analysis.layer_gradients import BINS, SMALLEST, statistics, step_statistics
from dla_jax.analysis.units import layers_of
from dla_jax.config.checks import check, check_rules, count
from dla_jax.config.workdir import Launch
from dla_jax.models import own_network
from dla_jax.studies.architectures.study import ARCHITECTURES
from dla_jax.studies.gradients import report
from dla_jax.studies.gradients.answer import answer
from dla_jax.tasks import image_data, image_task
from dla_jax.tasks.image_classifier import shapes_of
from dla_jax.training.record import Record
from dla_jax.training.task import Task
from dla_jax.trials.arms import Arm, Trial, resolve
from dla_jax.trials.grid import Job
from dla_jax.trials.training import jobs_of

# The upper bounds of the bins of histograms, log2 |g|.
LIMITS = [float(exponent) for exponent in range(SMALLEST, SMALLEST + BINS)]
RULES = {
    "trace_first_steps": count(low=20),
    "probe_every_steps": count(),
    "max_histograms": count(),
}


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for a config that this study cannot run, before anything slow."""
    check_rules(config, RULES)
    for arm in resolve(config).values():
        where = f"networks.{arm.name}: model.name"
        own_network.refuse(where, arm.config.model, "this study traces the blocks of a net")
        depth = arm.config.model.depth
        check(
            depth > 1,
            f"networks.{arm.name}: model.depth: {depth} has no blocks whose gradient could be "
            "traced; give at least 2",
        )
    ARCHITECTURES.check(config, launch)


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each run."""
    loaded = image_data.load(config, launch)

    def make_task(trial: Trial) -> Task:
        return make_probed(arms[trial.arm].config, loaded, trial.seed)

    return jobs_of(make_task, trials, launch.workdir, record)


def make_probed(config, loaded: image_data.Loaded, seed: int) -> Task:
    """Return the Task of a run that is probed as it trains.

    The probe's loss is the one that the net learns from, except for the augmentation; where there
    is dropout, or an attack, its draws are always the same.

    Args:
      config: of the network.
    """
    loaded = image_data.load_seen(config, loaded, seed)
    task = image_task.make_task(
        config,
        loaded,
        seed,
        trace=step_statistics,
        trace_first_steps=config.trace_first_steps,
        probe_every_steps=config.probe_every_steps,
    )
    info = image_data.info_of(loaded.image_set)
    model = image_task.make_model(config, info)
    train = image_data.split(config, loaded.image_set, seed)["train"]
    frozen = image_task.freeze_norm_at(config, len(train))
    loss_fn = image_task.loss_of(config, model, loaded.image_set, pad=0, flip=False, frozen=frozen)
    probe = functools.partial(
        probe_gradients,
        data=loaded.data,
        index=train[: config.batch_size],
        key=jax.random.key(seed),
        loss_fn=loss_fn,
    )
    layers = layers_of(shapes_of(model, info.shape))
    names = {
        "layers": [layer.name for layer in layers],
        "stages": [layer.stage for layer in layers],
    }
    shown = histogram_steps(task.plan.num_steps, config.probe_every_steps, config.max_histograms)
    return task._replace(
        probe=probe, annotate=functools.partial(annotate, names=names, shown=shown)
    )


def probe_gradients(state, *, data: dict, index, key, loss_fn) -> dict[str, jax.Array]:
    """Return `statistics` of the gradient on some examples, as "probe_..."; no state changes.

    Args:
      index: int32 [B], the examples.
    """
    found = _probe(state.params, state.model_state, data, index, key, loss_fn=loss_fn)
    return {f"probe_{name}": value for name, value in found.items()}


@functools.partial(jax.jit, static_argnames="loss_fn")
def _probe(params, model_state, data, index, key, *, loss_fn):
    batch = {name: rows[index] for name, rows in data.items()}
    gradient = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, _), grads = gradient(params, model_state, batch, key)
    return statistics(grads, params) | {"loss": jnp.float32(loss)}


def histogram_steps(num_steps: int, probe_every_steps: int, most: int) -> frozenset[int]:
    """Return at most `most` of the steps that are probed, evenly spread."""
    probed = range(0, num_steps + 1, probe_every_steps)
    return frozenset(probed[:: -(-len(probed) // most)])


def annotate(row: dict, *, names: dict, shown: frozenset[int]) -> dict:
    """Return a row with the names of the layers at step 0, and with histograms where shown.

    Args:
      names: {"layers": names, "stages": numbers} of all layers.
      shown: the steps whose histograms are kept.
    """
    if row["step"] == 0:
        row = row | names
    if row["step"] in shown:
        return row | {"histogram_limits": LIMITS}
    return {name: value for name, value in row.items() if not name.endswith("_histogram")}


STUDY = ARCHITECTURES._replace(
    measure=None,  # its report is about the pair
    check=check_config,
    jobs=jobs,
    title=lambda found: f"Gradients on {found.config.data.name}",
    answer=answer,
    run_of=report.run_of,
    sections=report.sections,
)
